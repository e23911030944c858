"""Skull and hair of the demo cast."""

import numpy as np
from scipy.interpolate import PchipInterpolator

from lokitalk_jax.demo import solids
from lokitalk_jax.demo.looks import Looks

_SKULL_CENTRE = np.array([0.0, -0.018, 0.022])
_SKULL_AXES = np.array([0.0745, 0.097, 0.090])

# Polar angle of the hairline, degrees from the crown, at the front, sides and back.
_HAIRLINES = {
    "short": (50, 84, 118),
    "fringe": (60, 92, 124),
    "bob": (54, 96, 135),
    "long": (51, 98, 135),
    "bun": (47, 86, 112),
}


def skull_back(looks: Looks) -> np.ndarray:
    """The skull [rows, columns, 3], its front pressed in behind the face, metres."""
    centre, axes = _skull(looks)
    directions = solids.sphere(16, 28)
    pressed = np.where(directions[..., 2:] < 0, [0.97, 0.97, 0.15], 1.0)
    return centre + axes * directions * pressed


def hair(looks: Looks) -> list[tuple[str, np.ndarray]]:
    """A cap that dives under the skin at the hairline, and the hair below it.

    Returns:
      names of the parts and their grids of points [rows, columns, 3], metres.
    """
    centre, axes = _skull(looks)
    s = looks.head_size
    directions = solids.sphere(48, 72)
    polar = np.degrees(np.arccos(-directions[..., 1]))
    azimuth = np.arctan2(directions[..., 0], -directions[..., 2])
    angles = np.radians([0, 35, 75, 100, 180])
    front, side, back = _HAIRLINES[looks.hair_style]
    line = PchipInterpolator(angles, [front, front + 6, side, side + 4, back])(
        np.abs(azimuth)
    )
    line = line + 7 * looks.hair_side * np.sin(azimuth) * (np.abs(azimuth) < np.pi / 2)
    skin = 1 / np.linalg.norm(directions / axes, axis=-1)
    waves = (
        0.0016
        * np.sin(9 * azimuth + 5 * np.sin(polar / 17))
        * np.sin(np.radians(polar))
    )
    thick = looks.hair_volume * s * (0.75 + 0.5 * np.cos(np.radians(polar)) ** 2)
    grown = solids.smooth((line - polar) / 9 + 0.5)
    sunk = solids.smooth((polar - line) / 22 + 0.15)
    radius = skin * (1 - 0.5 * sunk) + grown * (thick + waves)
    parts = [("hair", centre + directions * radius[..., None])]
    if looks.hair_style in ("bob", "long"):
        length = {"bob": 0.082, "long": 0.125}[looks.hair_style]
        at = np.array([0, 0.014 + 0.4 * length, 0.058]) * s
        size = np.array([0.088 + looks.hair_volume, length, 0.052]) * s
        parts.append(("back_hair", solids.ellipsoid(at, size, 20, 32)))
    if looks.hair_style == "bun":
        at = np.array([0.0, -0.128, 0.045]) * s
        parts.append(("bun", solids.ellipsoid(at, [0.04 * s] * 3, 16, 24)))
    return parts


def _skull(looks):
    return _SKULL_CENTRE * looks.head_size, _SKULL_AXES * looks.head_size
