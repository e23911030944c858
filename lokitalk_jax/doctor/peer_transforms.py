"""Checks of the camera poses in folders of ER-NeRF, SyncTalk and TalkingGaussian."""

import json
from collections.abc import Iterator

import numpy as np

from lokitalk_jax.doctor.finding import ERROR, Finding, listed

AGAIN = "run that program's preparation again"
SPLITS = ("transforms_train.json", "transforms_val.json")


def transforms(path, count):
    """Checks the two files of poses; gives (focal, centre, {image: pose}), or None."""
    poses, camera, broken = {}, None, False
    for name in SPLITS:
        try:
            content = json.loads((path / name).read_text())
            camera = camera or tuple(
                float(content[k]) for k in ("focal_len", "cx", "cy")
            )
            for frame in content["frames"]:
                pose = np.array(frame["transform_matrix"], np.float64)
                if pose.shape != (4, 4):
                    raise ValueError(f"a transform_matrix of shape {pose.shape}")
                if int(frame["img_id"]) in poses:
                    seen = f"img_id {frame['img_id']} occurs twice"
                    yield Finding(ERROR, "transforms", name, seen, AGAIN)
                    broken = True
                poses[int(frame["img_id"])] = pose
        except FileNotFoundError:
            yield Finding(ERROR, "transforms", name, "there is no such file", AGAIN)
            return None
        except KeyError as error:
            yield Finding(ERROR, "transforms", name, f"no field {error}", AGAIN)
            return None
        except (ValueError, TypeError) as error:
            yield Finding(ERROR, "transforms", name, f"cannot be read ({error})", AGAIN)
            return None
    if len(poses) != count:
        seen = f"{len(poses)} poses for {count} frames"
        yield Finding(ERROR, "pose_count", "transforms_*.json", seen, AGAIN)
        broken = True
    array = np.stack(list(poses.values()))
    finite = np.isfinite(array).all((1, 2))
    turn = np.where(finite[:, None, None], array, 0)[:, :3, :3]
    rigid = np.abs(turn @ np.swapaxes(turn, 1, 2) - np.eye(3)).max((1, 2)) < 1e-3
    rigid &= np.linalg.det(turn) > 0
    bad = [k for k, ok in zip(poses, finite & rigid, strict=True) if not ok]
    if bad:
        seen = f"frames {listed(bad)}: not finite, or no rotation with a shift"
        yield Finding(ERROR, "not_rigid", "transforms_*.json", seen, AGAIN)
        broken = True
    else:
        away = np.linalg.norm(array[:, :3, 3], axis=1)
        if not 0.1 < np.median(away) < 5:
            seen = f"the camera is {np.median(away):.3g} from the head as a rule"
            remedy = "translations are metres: is there a factor of 10 or 1000?"
            yield Finding(ERROR, "depth", "transforms_*.json", seen, remedy)
    return None if broken else (camera, poses)


def index_shift(poses, landmarks) -> Iterator[Finding]:
    """Whether landmarks move as the poses of their own frames say."""
    (focal, x, y), by_image = poses
    camera = np.stack([np.linalg.inv(by_image[k]) for k in sorted(by_image)])
    rigid = [*range(27, 36), 36, 39, 42, 45]  # nose, corners of the eyes
    rays = (landmarks[:, rigid] - [x, y]) / [focal, -focal]
    errors = {by: _triangulation_error(camera, rays, by) for by in range(-3, 4)}
    best = min(errors, key=errors.get)
    if best and errors[best] < 0.8 * errors[0]:
        yield Finding(
            ERROR,
            "index_shift",
            "transforms_*.json",
            f"landmarks of frame i fit the pose of frame i{-best:+d} better than their "
            f"own ({focal * errors[best]:.2f} px, {focal * errors[0]:.2f} px)",
            f"a frame without a face shifts all poses after it; cut it out and {AGAIN}",
        )


def _triangulation_error(camera: np.ndarray, rays: np.ndarray, by: int) -> float:
    """How far points of one rigid head are from the rays, frames shifted by `by`.

    The camera looks along -z with y up: x / -z and y / -z are the rays' two numbers.
    """
    count = len(rays) - abs(by)
    if count < 10:
        return np.inf
    seen, known = rays[max(by, 0) :][:count], camera[max(-by, 0) :][:count]
    squared = 0.0
    for point in range(seen.shape[1]):
        u = seen[:, point]
        # (row_xy + u row_z) [X; 1] = 0 for each frame and both numbers.
        rows = known[:, :2] + u[..., None] * known[:, 2:3]
        rows = rows.reshape(-1, 4)
        found = np.linalg.lstsq(rows[:, :3], -rows[:, 3], rcond=None)[0]
        placed = known @ np.append(found, 1)
        apart = placed[:, :2] / -placed[:, 2:3] - u
        squared += (apart**2).sum(-1).mean()
    return float(np.sqrt(squared / seen.shape[1]))
