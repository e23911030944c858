"""An identity folder that the doctor finds no fault with, and ways to spoil it."""

import json

import cv2
import numpy as np
import peer_folder
import tiny_folder

from lokitalk_jax import face_mesh
from lokitalk_jax.cli import prepare
from lokitalk_jax.data import face_geometry, layout
from lokitalk_jax.data.folder_writer import FolderWriter
from lokitalk_jax.media import image_file

COUNT, SIZE, FOCAL = 44, 64, 110.0


def good_tracks():
    """Landmarks that fit their poses, of a head that turns, speaks and blinks."""
    matrices = peer_folder.poses(COUNT)
    axes = np.diag([1.0, -1.0, -1.0])
    ours = np.tile(np.eye(4), (COUNT, 1, 1))
    ours[:, :3, :3] = axes @ matrices[:, :3, :3] @ axes
    ours[:, :3, 3] = matrices[:, :3, 3] @ axes
    points = face_mesh.canonical_points()
    points = np.concatenate([points, points[:10]])
    placed = points @ np.swapaxes(ours[:, :3, :3], 1, 2) + ours[:, None, :3, 3]
    flat = FOCAL * placed[..., :2] / placed[..., 2:] + SIZE / 2
    depth = FOCAL * (placed[..., 2:] - 0.6) / 0.6
    landmarks = np.float32(np.concatenate([flat, depth], -1))
    ours = np.float32(ours)
    eyes = np.full((COUNT, 2), 0.3, np.float32)
    eyes[20:23] = 0.08
    centre = SIZE / 2, SIZE / 2
    lips = face_geometry.lips_in_head_frame(landmarks, ours, FOCAL, centre)
    lips[5:9, 31:40] = lips[5:9, 29:20:-1]  # closed: lower lip on the upper one
    lips[12:18, 30:40, 1] += 0.012  # open
    return layout.Tracks(
        head_to_camera=ours,
        landmarks=landmarks,
        lips=lips,
        eye_ratio=eyes,
        valid=np.ones(COUNT, bool),
        duplicate=np.zeros(COUNT, bool),
    )


def write_identity(path):
    tracks = good_tracks()
    tiny_folder.write(path, COUNT, SIZE, SIZE, **tracks._asdict())
    out = FolderWriter(path, png=True)
    rng = np.random.default_rng(0)
    for i in range(COUNT):
        hull = cv2.convexHull(np.int32(tracks.landmarks[i, :468, :2]))
        labels = np.full((SIZE, SIZE), layout.BACKGROUND, np.uint8)
        labels[44:, 10:54] = layout.TORSO
        cv2.fillConvexPoly(labels, hull, layout.HEAD)
        noise = rng.integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
        out.write_labels(i, labels)
        out.write_mask(i, np.where(labels, 255, 0).astype(np.uint8))
        out.write_frame(i, noise)
    out.write_sound(rng.normal(0, 0.2, COUNT * 640))
    change_meta(path, focal=FOCAL, source={}, quality={})
    return path


def change_meta(path, **fields):
    file = path / "identity.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def change_tracks(path, **changes):
    """Replaces arrays of tracks.npz; None drops one."""
    with np.load(path / "tracks.npz") as stored:
        arrays = dict(stored) | changes
    np.savez(path / "tracks.npz", **{k: v for k, v in arrays.items() if v is not None})


def truncate(file, keep=0.6):
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * keep)])


def black(pictures, count):
    for i in range(count):
        image = np.zeros((SIZE, SIZE), np.uint8)
        image_file.write(pictures / f"{i:06d}.png", image)


def found_in(path, name, words, capsys):
    """The finding, by way of the command for programs; never a traceback."""
    status = prepare.main([f"--check={path}", "--json"])
    report = json.loads(capsys.readouterr().out)
    checks = {one["check"]: one for one in report["findings"]}
    assert "internal" not in checks, checks["internal"]
    assert name in checks, list(checks)
    assert any(
        words in one["seen"] and one["remedy"]
        for one in report["findings"]
        if one["check"] == name
    ), checks[name]
    errors = [one for one in report["findings"] if one["severity"] == "error"]
    assert status == bool(errors) and report["ok"] == (not errors)
    return checks[name]["severity"]
