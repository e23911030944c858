"""Identity folders of a few small frames whose colours say where they are from."""

import pathlib

import numpy as np
from scipy.spatial.transform import Rotation

from lokitalk_jax.data import folder, layout
from lokitalk_jax.data.folder_writer import FolderWriter

LIP_CENTRE = np.array([0.5, 0.65])  # of the image's width and height
EYE_CENTRES = np.array([[0.62, 0.35], [0.38, 0.35]])  # the person's left and right


def tracks(frames: int, height: int, width: int, seed: int = 0) -> layout.Tracks:
    """A head that sways, speaks and blinks; its landmarks stand still."""
    rng = np.random.default_rng(seed)
    size = np.array([width, height])
    landmarks = np.zeros((frames, 478, 3), np.float32)
    landmarks[..., :2] = size / 2
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    ring = np.stack([-np.cos(angles), np.sin(angles)], -1) * size * [0.1, 0.06]
    ids = [61, 146, 91, 181, 84, 17, 314, 405, 321, 375]
    ids += [291, 409, 270, 269, 267, 0, 37, 39, 40, 185]
    landmarks[:, ids, :2] = LIP_CENTRE * size + ring
    for corners, centre in zip(((362, 263), (33, 133)), EYE_CENTRES, strict=True):
        across = np.array([[-0.06, 0], [0.06, 0]])
        landmarks[:, corners, :2] = (centre + across) * size

    pose = np.tile(np.eye(4, dtype=np.float32), (frames, 1, 1))
    turn = np.cumsum(rng.normal(0, 0.04, (frames, 3)), 0)
    pose[:, :3, :3] = Rotation.from_rotvec(turn).as_matrix()
    pose[:, :3, 3] = np.cumsum(rng.normal(0, 0.01, (frames, 3)), 0) + [0, 0, 0.7]
    modes = rng.normal(0, 1, (4, 40, 3))
    speech = rng.normal(0, 1, (frames, 4)) * [4e-3, 2e-3, 1e-3, 5e-4]
    lips = np.einsum("fk,kpi->fpi", speech, modes) + rng.normal(0, 0.02, (40, 3))
    eyes = rng.uniform(0.25, 0.3, (frames, 2))
    eyes[::10] = 0.05
    return layout.Tracks(
        head_to_camera=pose,
        landmarks=landmarks,
        lips=lips.astype(np.float32),
        eye_ratio=eyes.astype(np.float32),
        valid=np.ones(frames, bool),
        duplicate=np.zeros(frames, bool),
    )


def write(
    path: pathlib.Path,
    frames: int = 22,
    height: int = 48,
    width: int = 64,
    seed: int = 0,
    **changes,
) -> folder.IdentityFolder:
    """Writes an identity folder; `changes` replace fields of its tracks.

    Red is 3 times the column, green 4 times the row, blue the frame; a person stands
    in the middle half, his head above the middle row.
    """
    out = FolderWriter(path, png=True)
    row, column = np.mgrid[:height, :width]
    inside = (column >= width // 4) & (column < width * 3 // 4)
    labels = np.where(row < height // 2, layout.HEAD, layout.TORSO) * inside
    plate = np.stack([row, column, np.full_like(row, 255)], -1)
    for index in range(frames):
        image = np.stack([3 * column, 4 * row, np.full_like(row, index)], -1)
        out.write_frame(index, image.astype(np.uint8))
        out.write_mask(index, (255 * inside).astype(np.uint8))
        out.write_labels(index, labels.astype(np.uint8))
    out.write_plate(plate.astype(np.uint8), row < height // 2)
    out.write_tracks(tracks(frames, height, width, seed)._replace(**changes))
    out.write_meta(
        layout.Meta(
            height=height,
            width=width,
            focal=1.4 * width,
            principal=(width / 2, height / 2),
            frame_count=frames,
            train_frames=layout.train_count(frames),
        ),
    )
    return folder.IdentityFolder(path)
