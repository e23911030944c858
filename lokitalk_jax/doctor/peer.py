"""Checks of the folders of ER-NeRF, SyncTalk and TalkingGaussian."""

import csv
import pathlib
from collections.abc import Iterator

import cv2
import numpy as np

from lokitalk_jax.doctor import peer_transforms, pictures, sound
from lokitalk_jax.doctor.finding import ERROR, NOTE, WARNING, Finding, listed
from lokitalk_jax.doctor.peer_transforms import AGAIN, SPLITS
from lokitalk_jax.progress import Progress, track

# RGB of parsing maps. Grey and black stand for the mouth's inside in TalkingGaussian's.
_COMMON = {(255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255)}
_GAUSSIAN = {(100, 100, 100), (0, 0, 0)}
_LOOKED_AT = 40  # parsing maps


def is_one(path: pathlib.Path) -> bool:
    """Whether a folder is laid out as theirs."""
    return (path / SPLITS[0]).exists() or (path / "ori_imgs").is_dir()


def numbered(path: pathlib.Path, suffix: str) -> dict[int, pathlib.Path]:
    """Files named by numbers alone, in order."""
    found = [p for p in path.glob(f"*{suffix}") if p.stem.isdigit()]
    return {int(p.stem): p for p in sorted(found, key=lambda p: int(p.stem))}


def examine(path: pathlib.Path, progress: Progress | None) -> Iterator[Finding]:
    """All checks."""
    images = numbered(path / "ori_imgs", ".jpg")
    count = len(images)
    if not images:
        yield Finding(ERROR, "no_frames", "ori_imgs", "no frame is there", AGAIN)
        return
    gaps = sorted(set(range(max(images) + 1)) - images.keys())
    if gaps:
        seen = f"frames {listed(gaps)} are missing between others"
        yield Finding(ERROR, "missing_frames", "ori_imgs", seen, AGAIN)
    landmarks = yield from _landmarks(path, images)
    poses = yield from peer_transforms.transforms(path, count)
    shape = yield from _images(path, images, progress)
    if shape is not None:
        yield from _size(path, shape)
    yield from _parsing(path, images)
    if poses is not None and landmarks is not None:
        yield from peer_transforms.index_shift(poses, landmarks)
    yield from sound.wav(
        path / "aud.wav", count, "extract it with ffmpeg -ar 16000 -ac 1"
    )
    features = sorted(path.glob("aud*.npy"))
    if not features:
        seen = "no audio features"
        yield Finding(NOTE, "no_features", "aud*.npy", seen, "not needed to import")
    for file in features:
        yield from sound.windows(file, count)
    yield from _expressions(path, count)


def _landmarks(path, images):
    """Checks .lms files; gives [F, 68, 2], or None."""
    files = numbered(path / "ori_imgs", ".lms")
    if len(files) != len(images):
        missing = sorted(images.keys() - files.keys())
        yield Finding(
            ERROR,
            "landmarks_missing",
            "ori_imgs/*.lms",
            f"{len(files)} landmark files for {len(images)} frames"
            + (f"; none of frames {listed(missing)}" if missing else ""),
            "their tracking numbers poses anew past a gap, so that all later ones are "
            f"shifted: cut the video where no face is seen and {AGAIN}",
        )
        return None
    rows, bad = [], []
    for index, file in files.items():
        try:
            rows.append(np.loadtxt(file).reshape(68, 2))
        except (ValueError, OSError):
            bad.append(index)
    if bad:
        seen = f"{listed(bad)}: not 68 pairs of numbers"
        yield Finding(ERROR, "landmarks_unreadable", "ori_imgs/*.lms", seen, AGAIN)
        return None
    found = np.stack(rows)
    if not np.isfinite(found).all():
        frames = np.flatnonzero(~np.isfinite(found).all((1, 2)))
        seen = f"{listed(frames)}: not finite"
        yield Finding(ERROR, "not_finite", "ori_imgs/*.lms", seen, AGAIN)
        return None
    return found


def _images(path, images, progress):
    """Checks the frames and what is made of them; gives their shape, or None."""
    kinds = {
        "ori_imgs": (".jpg", 3, True),
        "gt_imgs": (".jpg", 3, True),
        "torso_imgs": (".png", 4, False),
        "parsing": (".png", 3, True),
    }
    shape, repeats = None, pictures.Repeats()
    faults = {kind: pictures.Faults(kind, AGAIN) for kind in kinds}
    there = {kind: (path / kind).is_dir() for kind in kinds}
    for index in track(images, progress, "checking", len(images)):
        for kind, (suffix, channels, _) in kinds.items():
            if not there[kind]:
                continue
            picture = pictures.read(path / kind / f"{index}{suffix}")
            if shape is None and picture is not None:
                shape = picture.shape[:2]
            wanted = (*(shape or (0, 0)), channels)
            if faults[kind].add(index, picture, wanted) and kind == "ori_imgs":
                repeats.add(index, picture)
    for kind, (_, _, needed) in kinds.items():
        if not there[kind]:
            if needed:
                seen = "there is no such folder"
                yield Finding(ERROR, "no_frames", kind, seen, AGAIN)
            continue
        yield from faults[kind].findings()
    yield from repeats.findings(
        np.zeros(len(images), bool), "ori_imgs", "import the folder, which marks them"
    )
    return shape


def _size(path, shape) -> Iterator[Finding]:
    height, width = shape
    if height % 2 or width % 2:
        seen = f"frames of {width}x{height}: an odd side, of which they lose a pixel"
        yield Finding(WARNING, "odd_size", "ori_imgs", seen, "crop to even sides")
    plate = pictures.read(path / "bc.jpg")
    if plate is None:
        seen = "missing, cut off or no picture"
        yield Finding(ERROR, "unreadable_picture", "bc.jpg", seen, AGAIN)
    elif plate.shape[:2] != shape:
        seen = f"{plate.shape[1]}x{plate.shape[0]}, frames are {width}x{height}"
        yield Finding(ERROR, "picture_size", "bc.jpg", seen, AGAIN)


def _parsing(path, images) -> Iterator[Finding]:
    at = np.linspace(0, len(images) - 1, min(_LOOKED_AT, len(images))).astype(int)
    colours, headless = set(), []
    for index in np.array(list(images))[at]:
        parsed = pictures.read(path / "parsing" / f"{index}.png", cv2.IMREAD_COLOR)
        if parsed is None:
            continue
        rgb = np.unique(parsed.reshape(-1, 3), axis=0)
        mine = {tuple(int(v) for v in one) for one in rgb}
        colours |= mine
        if (0, 0, 255) not in mine:
            headless.append(int(index))
        else:
            # Swapped channels put the torso where the head is.
            head = np.argwhere((parsed == (0, 0, 255)).all(-1))[:, 0].mean()
            torso = np.argwhere((parsed == (255, 0, 0)).all(-1))[:, 0]
            if len(torso) and torso.mean() < head:
                headless.append(int(index))
    unknown = colours - _COMMON - _GAUSSIAN
    if unknown:
        seen = f"{len(unknown)} colours that are no class, such as {sorted(unknown)[0]}"
        yield Finding(ERROR, "parsing_colours", "parsing", seen, AGAIN)
    if len(headless) > len(at) // 10:
        yield Finding(
            ERROR,
            "parsing_swapped",
            "parsing",
            f"no head (blue), or the torso (red) above it, in {listed(headless)}",
            "on disk head is RGB (0, 0, 255); were red and blue swapped?",
        )
    flavour = "TalkingGaussian" if colours & _GAUSSIAN else "ER-NeRF"
    yield Finding(NOTE, "parsing_flavour", "parsing", f"as {flavour} writes it", "none")


def _expressions(path, count) -> Iterator[Finding]:
    table = path / "au.csv"
    if table.is_file():
        with open(table, newline="", errors="replace") as file:
            rows = list(csv.reader(file))
        names = [name.strip() for name in rows[0]] if rows else []
        if "AU45_r" not in names:
            seen = "no column AU45_r (blinks)"
            yield Finding(WARNING, "expressions", "au.csv", seen, "run OpenFace again")
        if abs(len(rows) - 1 - count) > 0:
            seen = f"{len(rows) - 1} rows for {count} frames"
            remedy = "run OpenFace on the 25 fps video that the frames are from"
            yield Finding(WARNING, "expressions", "au.csv", seen, remedy)
    shapes = path / "bs.npy"
    if shapes.is_file():
        try:
            scores = np.load(shapes, allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            seen = f"cannot be read ({error})"
            yield Finding(WARNING, "expressions", "bs.npy", seen, AGAIN)
            return
        if scores.shape != (count, 52):
            seen = f"{scores.shape} instead of ({count}, 52)"
            yield Finding(WARNING, "expressions", "bs.npy", seen, AGAIN)
