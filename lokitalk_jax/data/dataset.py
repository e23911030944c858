"""One identity at the training size: memory-mapped frames, and their tracks.

Everything is in pixels of that size. Images are in a cache on disk (see `frame_cache`),
so memory does not grow with the length of the clip.
"""

import dataclasses
import pathlib

import numpy as np

from lokitalk_jax.data import frame_cache, regions, seconds
from lokitalk_jax.data.folder import IdentityFolder
from lokitalk_jax.data.layout import Tracks
from lokitalk_jax.progress import Progress
from lokitalk_jax.structs import Camera

LEAST_SIZE = 16  # pixels along the longest side of a picture


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Frames and tracks of one identity at one size, F frames of H x W pixels.

    Attributes:
      name: of the identity.
      folder: the identity folder.
      camera: of the frames at this size.
      tracks: of the folder, with the landmarks in pixels of this size.
      shapes: ellipses of the lips and eyes, pixels of this size.
      images: uint8 [F, H, W, 7], memory-mapped, see `frame_cache.Images`.
      plate: uint8 [H, W, 3], the background plate.
      train_frames: numbers of the training frames: before the split, within
        `max_seconds`, with a face, not a repeat.
      test_frames: numbers of the held-out frames that show a face.
    """

    name: str
    folder: IdentityFolder
    camera: Camera
    tracks: Tracks
    shapes: regions.RegionShapes
    images: np.ndarray
    plate: np.ndarray
    train_frames: np.ndarray
    test_frames: np.ndarray

    @classmethod
    def open(
        cls,
        folder: IdentityFolder,
        size: int,
        cache_root: pathlib.Path | None = None,
        max_seconds: float | None = None,
        progress: Progress | None = None,
        choose: str = "first",
    ) -> "Dataset":
        """Opens an identity at `size` pixels of its longest side.

        Args:
          folder: the prepared identity.
          size: longest side, at most the folder's own.
          cache_root: folder for the caches of all identities; by default the identity
            folder's own `cache`, or the user's cache folder where that is read-only.
          max_seconds: trains on this much of the clip. Held-out frames stay the same.
          progress: called for every frame that is resized into the cache.
          choose: which of its seconds, see `seconds`.

        Raises:
          ValueError: the size is too small or larger than the prepared frames, tracks
            and frames disagree, or no frame is left to train on.
          OSError: the disk has no room for the cache.
        """
        meta = folder.meta
        longest = max(meta.height, meta.width)
        if size < LEAST_SIZE:
            raise ValueError(
                f"data.size={size} pixels is too small; give at least {LEAST_SIZE}"
            )
        if size > longest:
            raise ValueError(
                f"{folder.path} was prepared at {meta.width}x{meta.height} pixels and "
                f"cannot be trained at {size}; set data.size to at most {longest}, or "
                "prepare it larger"
            )
        height, width = (
            max(round(side * size / longest), 1) for side in (meta.height, meta.width)
        )
        scale = np.array([width / meta.width, height / meta.height], np.float32)
        intrinsics = np.array(
            [meta.focal * size / longest, *(np.array(meta.principal) * scale)],
            np.float32,
        )
        tracks, train_mask = read_tracks(folder, max_seconds, choose)
        landmarks = tracks.landmarks * np.append(scale, size / longest)
        tracks = tracks._replace(landmarks=landmarks.astype(np.float32))
        held_out = np.arange(meta.frame_count) >= meta.train_frames
        images = frame_cache.load(folder, (height, width), cache_root, progress)
        return cls(
            name=folder.name,
            folder=folder,
            camera=Camera(height, width, intrinsics),
            tracks=tracks,
            shapes=regions.fit_shapes(tracks.landmarks, tracks.valid),
            train_frames=np.flatnonzero(train_mask),
            test_frames=np.flatnonzero(tracks.valid & held_out),
            **images._asdict(),
        )

    @property
    def frames(self) -> np.ndarray:
        """RGB of all frames, uint8 [F, H, W, 3], memory-mapped."""
        return self.images[..., frame_cache.RGB]

    @property
    def masks(self) -> np.ndarray:
        """Soft person masks, uint8 [F, H, W], memory-mapped."""
        return self.images[..., frame_cache.MASK]

    @property
    def labels(self) -> np.ndarray:
        """Labels, uint8 [F, H, W], memory-mapped, see `layout`."""
        return self.images[..., frame_cache.LABEL]

    @property
    def train_mask(self) -> np.ndarray:
        """Bool [F], True at `train_frames`, on which signals are fitted."""
        mask = np.zeros(len(self.images), bool)
        mask[self.train_frames] = True
        return mask

    def frame(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Reads one frame.

        Returns:
          RGB float32 [H, W, 3] in [0, 1], person mask float32 [H, W] in [0, 1] and
          labels uint8 [H, W].
        """
        rgb = self.frames[index].astype(np.float32) / 255
        return rgb, self.masks[index].astype(np.float32) / 255, self.labels[index]

    def region_masks(self, index: int) -> np.ndarray:
        """Masks of one frame, float32 [H, W, 4] in the order of `structs.REGIONS`."""
        row, column = np.indices(self.camera.shape)
        pixels = np.stack([column, row], -1).reshape(-1, 2).astype(np.float32) + 0.5
        face = regions.ellipses(self.shapes, np.array(index), pixels)
        body = self.images[index, ..., frame_cache.REGIONS].astype(np.float32) / 255
        return np.concatenate([face.reshape(*body.shape), body], -1)


def read_tracks(
    folder: IdentityFolder, max_seconds: float | None = None, choose: str = "first"
) -> tuple[Tracks, np.ndarray]:
    """Reads the tracks that signals are fitted on, and no image.

    Returns:
      The tracks at the size of the folder, and bool [F], True at training frames.

    Raises:
      ValueError: tracks and frames disagree, no frame is left to train on, or `choose`
        is unknown.
    """
    meta = folder.meta
    tracks = folder.tracks()
    frames = np.arange(meta.frame_count)
    usable = tracks.valid & ~tracks.duplicate & (frames < meta.train_frames)
    if max_seconds is not None:
        usable = seconds.excerpt(tracks, usable, max_seconds, choose)
    if not usable.any():
        raise ValueError(
            f"{folder.path}: none of its first {meta.train_frames} frames has a "
            f"face and lies within data.max_seconds={max_seconds}; raise it, or "
            "prepare a longer clip"
        )
    return tracks, usable
