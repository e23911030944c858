"""Simple surfaces as grids of points [rows, columns, 3], and their triangles."""

import numpy as np


def sphere(rows: int, columns: int) -> np.ndarray:
    """Directions [rows, columns, 3] from the crown down; column 0 is at the back."""
    polar = np.linspace(0, np.pi, rows)[:, None]
    azimuth = np.linspace(-np.pi, np.pi, columns)[None]
    return np.stack(
        [
            np.sin(polar) * np.sin(azimuth),
            -np.cos(polar) * np.ones_like(azimuth),
            -np.sin(polar) * np.cos(azimuth),
        ],
        -1,
    )


def ellipsoid(centre, axes, rows: int, columns: int) -> np.ndarray:
    """Points [rows, columns, 3] of an ellipsoid with half axes `axes` [3], metres."""
    return np.asarray(centre) + np.asarray(axes) * sphere(rows, columns)


def grid_mesh(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Texture coordinates [V, 2] and triangles [T, 3] of a grid of points."""
    rows, columns = shape
    u, v = np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows))
    index = np.arange(rows * columns).reshape(shape)
    a, b = index[:-1, :-1].ravel(), index[:-1, 1:].ravel()
    c, d = index[1:, :-1].ravel(), index[1:, 1:].ravel()
    triangles = np.concatenate([np.stack([a, b, d], -1), np.stack([a, d, c], -1)])
    return np.stack([u.ravel(), v.ravel()], -1), triangles


def turn(axis: int, angle: float) -> np.ndarray:
    """Rotation matrix [3, 3] about a coordinate axis by an angle in radians."""
    matrix = np.eye(3)
    a, b = (axis + 1) % 3, (axis + 2) % 3
    matrix[a, a] = matrix[b, b] = np.cos(angle)
    matrix[b, a], matrix[a, b] = np.sin(angle), -np.sin(angle)
    return matrix


def smooth(t: np.ndarray) -> np.ndarray:
    """Smooth step from 0 at t = 0 to 1 at t = 1, of t [...]."""
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)
