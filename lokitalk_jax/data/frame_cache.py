"""Images of an identity folder at the training size, resized once and memory-mapped.

Plain .npy files that every process maps read-only, in one folder for each size and
state of the identity folder. A cache appears complete or not at all (it is renamed into
place), so two processes may open it at once, and it is built again when the identity
folder has changed.
"""

import hashlib
import os
import pathlib
import shutil
import zlib
from collections.abc import Iterator
from concurrent import futures
from typing import NamedTuple

import cv2
import numpy as np

from lokitalk_jax import files, user_cache
from lokitalk_jax.data import layout, regions
from lokitalk_jax.data.folder import IdentityFolder
from lokitalk_jax.progress import Progress, track

# The last axis of `Images.images`: all channels of a pixel side by side, since rays are
# read one pixel at a time.
RGB, MASK, LABEL, REGIONS = slice(0, 3), 3, 4, slice(5, 7)
_CHANNELS = 7

_VERSION = 2  # part of a cache's name: raise it when its contents change


class Images(NamedTuple):
    """Images of an identity, memory-mapped; F frames of H x W pixels.

    Attributes:
      images: uint8 [F, H, W, 7]: `RGB`, the soft person `MASK`, the `LABEL` and the
        masks of the head and torso `REGIONS`.
      plate: uint8 [H, W, 3], the background plate.
    """

    images: np.ndarray
    plate: np.ndarray


def load(
    folder: IdentityFolder,
    shape: tuple[int, int],
    cache_root: os.PathLike | str | None = None,
    progress: Progress | None = None,
) -> Images:
    """Images of `folder` at `shape` (H, W), from the cache or resized into it.

    Args:
      folder: the prepared identity.
      shape: at most the folder's own size.
      cache_root: folder for the caches of all identities; by default the identity
        folder's own `cache`, or the user's cache folder where that is read-only.
      progress: called for every frame that is resized.

    Raises:
      ValueError: an image is missing or of another size than the folder says.
      OSError: the disk has no room.
    """
    size = f"{shape[1]}x{shape[0]}"
    name = f"{size}-{_fingerprint(folder)}"
    roots = _roots(folder, cache_root)
    made = [root / name for root in roots if (root / name).is_dir()]
    target = made[0] if made else next(filter(_writable, roots), roots[-1]) / name
    if not made:
        target.parent.mkdir(parents=True, exist_ok=True)
        _make(folder, shape, target, progress)
        for stale in target.parent.glob(f"{size}-*"):
            if stale != target:
                shutil.rmtree(stale, ignore_errors=True)
    # Plain views: memmap's own class costs microseconds at every index.
    return Images(
        *(
            np.load(target / f"{key}.npy", mmap_mode="r").view(np.ndarray)
            for key in Images._fields
        )
    )


def _make(
    folder: IdentityFolder,
    shape: tuple[int, int],
    target: pathlib.Path,
    progress: Progress | None,
) -> None:
    root = target.parent
    files.sweep(root)
    need = folder.meta.frame_count * shape[0] * shape[1] * _CHANNELS
    free = shutil.disk_usage(root).free
    if need > free:
        raise OSError(
            f"resizing {folder.name} to {shape[1]}x{shape[0]} pixels needs "
            f"{need / 1e9:.1f} GB, {root} has {free / 1e9:.1f} GB free; free some, "
            "lower data.size or set data.cache to another disk"
        )
    building = files.scratch(root / "building")
    try:
        building.mkdir()
        _build(folder, shape, building, progress)
        try:
            os.rename(building, target)
        except OSError:
            if not target.is_dir():  # else another process was first
                raise
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _roots(folder: IdentityFolder, root) -> list[pathlib.Path]:
    """Folders for the caches of an identity, best first."""
    # Two identities of one name must not share a cache.
    unique = f"{folder.name}-{zlib.crc32(os.fsencode(folder.path.resolve())):08x}"
    if root is not None:
        return [pathlib.Path(root) / unique]
    users = user_cache.folder()
    return [folder.path / layout.CACHE, users / unique]


def _writable(root: pathlib.Path) -> bool:
    existing = next(path for path in (root, *root.parents) if path.exists())
    return os.access(existing, os.W_OK)


def _fingerprint(folder: IdentityFolder) -> str:
    """A hash of the names, sizes and times of the images."""
    meta = folder.meta
    state = f"{_VERSION} {meta.height} {meta.width} {meta.frame_count}\n"
    seen = hashlib.sha256(state.encode())
    images = list(folder.path.glob(layout.PLATE))
    for kind in layout.IMAGES:
        images += sorted((folder.path / kind).glob("[0-9]*"))
    for path in images:
        stat = path.stat()
        entry = f"{path.relative_to(folder.path)} {stat.st_size} {stat.st_mtime_ns}\n"
        seen.update(entry.encode())
    return seen.hexdigest()[:16]


def _build(folder: IdentityFolder, shape, target: pathlib.Path, progress) -> None:
    np.save(target / "plate.npy", _resize(folder.plate(), shape))

    count = folder.meta.frame_count
    stage = f"resizing {folder.name}"
    # Written, not mapped: a full disk is then an error rather than a crash.
    with open(target / "images.npy", "wb") as file:
        header = {"descr": "|u1", "fortran_order": False}
        header["shape"] = (count, *shape, _CHANNELS)
        np.lib.format.write_array_header_1_0(file, header)
        for image in track(_resized(folder, shape), progress, stage, count):
            file.write(image.data)


def _resized(folder: IdentityFolder, shape: tuple[int, int]) -> Iterator[np.ndarray]:
    """All channels of each frame at `shape`, in order; reads some frames ahead."""

    def read(index: int) -> np.ndarray:
        frame, mask = folder.frame(index), folder.mask(index)
        labels = folder.labels(index)
        for kind, image in (("frame", frame), ("mask", mask), ("labels", labels)):
            _check_size(kind, image, folder, index)
        # Share of each label in the new pixel; the largest is the label of the pixel.
        shares = np.stack(
            [
                _resize((labels == value).astype(np.float32), shape)
                for value in layout.LABEL_VALUES
            ],
            -1,
        )
        mask = _resize(mask, shape)
        image = np.empty((*shape, _CHANNELS), np.uint8)
        image[..., RGB] = _resize(frame, shape)
        image[..., MASK] = mask
        image[..., LABEL] = shares.argmax(-1)
        parts = shares[..., [layout.HEAD, layout.TORSO]]
        image[..., REGIONS] = regions.soften(parts, mask)
        return image

    count = folder.meta.frame_count
    with futures.ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        for start in range(0, count, 64):
            yield from pool.map(read, range(start, min(start + 64, count)))


def _check_size(
    kind: str, image: np.ndarray, folder: IdentityFolder, index: int
) -> None:
    meta = folder.meta
    if image.shape[:2] != (meta.height, meta.width):
        raise ValueError(
            f"{folder.path}: {kind} {index} has {image.shape[1]}x{image.shape[0]} "
            f"pixels, {layout.META} says {meta.width}x{meta.height}; prepare the "
            "video again"
        )


def _resize(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return cv2.resize(image, shape[::-1], interpolation=cv2.INTER_AREA)
