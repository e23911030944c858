"""Folders as ER-NeRF's preparation writes them, of a few small frames.

Written from the format's description alone, so that what reads them is tested against
it and not against itself.
"""

import json
import pathlib
import wave

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from lokitalk_jax import face_mesh

FOCAL = 110.0


def poses(count, seed=0):
    """Head to camera [F, 4, 4] in their axes: y up, the camera looks along -z."""
    rng = np.random.default_rng(seed)
    time = np.arange(count)[:, None]
    phase = rng.uniform(0, 6, (2, 3))
    turn = np.sin(0.7 * time + phase[0]) * [0.1, 0.3, 0.08]
    matrix = np.tile(np.eye(4), (count, 1, 1))
    matrix[:, :3, :3] = Rotation.from_euler("XYZ", turn).as_matrix()
    matrix[:, :3, 3] = np.sin(0.5 * time + phase[1]) * 0.01 + [0.005, -0.01, -0.6]
    return matrix


def head_points():
    """The average face in their head frame, metres: y up, z towards the viewer."""
    points = face_mesh.canonical_points() * [1, -1, -1]
    # Their origin is another point of the head, and their faces are a little larger.
    return 1.06 * points @ Rotation.from_euler("x", 0.05).as_matrix().T + [
        0,
        -0.02,
        0.03,
    ]


def project(points, matrix, width, height):
    """Pixels of points, as their programs project: u = -fX/Z + cx, v = fY/Z + cy."""
    x, y, z = np.moveaxis(points @ matrix[:3, :3].T + matrix[:3, 3], -1, 0)
    return np.stack([-FOCAL * x / z + width / 2, FOCAL * y / z + height / 2], -1)


def mesh(matrix, width, height):
    """Landmarks [478, 3] that a perfect detector would find."""
    points = head_points()
    flat = project(points, matrix, width, height)
    depth = -(points @ matrix[2, :3])
    depth = FOCAL * (depth - depth.mean()) / 0.6
    found = np.concatenate([flat, depth[:, None]], 1)
    return np.float32(np.concatenate([found, np.repeat(found[:1], 10, 0)]))


def write(path: pathlib.Path, count=22, width=64, height=64, gaussian=False):
    """Writes a folder; returns the poses [F, 4, 4], head to camera in their axes."""
    rng = np.random.default_rng(1)
    for kind in ("ori_imgs", "gt_imgs", "torso_imgs", "parsing"):
        (path / kind).mkdir(parents=True)
    matrices = poses(count)
    plate = np.full((height, width, 3), (90, 140, 60), np.uint8)
    cv2.imwrite(str(path / "bc.jpg"), plate)
    frames = []
    for i, matrix in enumerate(matrices):
        found = mesh(matrix, width, height)
        hull = cv2.convexHull(np.int32(found[:468, :2]))
        chin = int(found[152, 1])
        head = cv2.fillConvexPoly(np.zeros((height, width), np.uint8), hull, 1) > 0
        torso = np.zeros_like(head)
        torso[chin:, 8:-8] = True
        torso &= ~head
        neck = torso.copy()
        neck[chin + 4 :] = False
        image = np.where(head[..., None], (120, 150, 200), plate)
        image = np.where(torso[..., None], (150, 60, 30 + 4 * i), image)
        noise = rng.normal(0, 3, (height, width, 1))
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
        colours = np.full((height, width, 3), 255, np.uint8)  # BGR from here on
        colours[torso], colours[neck], colours[head] = (
            (0, 0, 255),
            (0, 255, 0),
            (255, 0, 0),
        )
        if gaussian:
            mouth = cv2.convexHull(np.int32(found[list(face_mesh.LIPS_INNER), :2]))
            cv2.fillConvexPoly(colours, mouth, (100, 100, 100))
        cv2.imwrite(str(path / "ori_imgs" / f"{i}.jpg"), image)
        cv2.imwrite(str(path / "gt_imgs" / f"{i}.jpg"), image)
        rgba = np.dstack([image, np.where(torso, 255, 0).astype(np.uint8)])
        cv2.imwrite(str(path / "torso_imgs" / f"{i}.png"), rgba)
        cv2.imwrite(str(path / "parsing" / f"{i}.png"), colours)
        np.savetxt(
            path / "ori_imgs" / f"{i}.lms", found[list(face_mesh.MESH_TO_68), :2], "%f"
        )
        camera_to_head = np.linalg.inv(matrix)
        frames.append(
            {"img_id": i, "aud_id": i, "transform_matrix": camera_to_head.tolist()}
        )
    split = count * 10 // 11
    for name, part in ("train", frames[:split]), ("val", frames[split:]):
        content = {
            "focal_len": FOCAL,
            "cx": width / 2,
            "cy": height / 2,
            "frames": part,
        }
        (path / f"transforms_{name}.json").write_text(json.dumps(content))
    write_wav(path / "aud.wav", count * 640)
    np.save(path / "aud_ds.npy", rng.normal(size=(count, 16, 29)))
    np.save(path / "bs.npy", rng.random((count, 52)))
    rows = ["frame, timestamp, AU45_r", *(f"{i}, {i / 25}, 0.5" for i in range(count))]
    (path / "au.csv").write_text("\n".join(rows) + "\n")
    return matrices


def write_wav(path, samples, rate=16000, channels=1, loud=0.2):
    """Writes noise."""
    values = np.random.default_rng(0).normal(0, loud, samples * channels)
    values = np.clip(values, -0.99, 0.99)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((32767 * values).astype("<i2").tobytes())
