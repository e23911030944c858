"""Batches as a pure function of (seed, step, identity), read ahead in threads.

No state is carried from batch to batch, so a resumed run sees the batches it would
have seen, and an identity gets the same rays in whichever slot, on whichever host.
"""

import collections
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from types import MappingProxyType

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.data import (
    face_points,
    frame_cache,
    pixel_sampling,
    references,
    regions,
    signals,
)
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.data.pixel_sampling import Importance


class Loader:
    """Draws training batches of N identities (see `structs.Batch`).

    Rays are drawn one by one with `importance`, or, with `patch`, as one square of
    pixels (row by row) of each frame: around the lips at even steps, anywhere at odd
    ones.
    """

    def __init__(
        self,
        datasets: Sequence[Dataset | None],
        fitted: signals.Fitted,
        *,
        seed: int,
        frames_per_step: int,
        rays_per_frame: int,
        importance: Importance = Importance(),  # noqa: B008 (immutable)
        patch: int | None = None,
        landmarks: int = 0,
        references: references.ReferenceSpec | None = None,
        lips: Mapping[str, np.ndarray] = MappingProxyType({}),
        heard: Mapping[str, np.ndarray] = MappingProxyType({}),
        threads: int = 2,
        prefetch: int = 4,
    ):
        """Prepares the signals of all identities.

        Args:
          datasets: one a slot; None pads, its arrays are zero (its camera is a unit
            one, so that its rays stay finite) and its weight is zero.
          fitted: signals of at least these identities.
          seed: of the run.
          frames_per_step: B, frames of an identity in a batch.
          rays_per_frame: R, rays of a frame.
          importance: of pixels, where no patches are drawn.
          patch: side of the patches, pixels; R is its square.
          landmarks: M of `Batch.face_points`; 0 leaves them out.
          references: of the identity encoder's pictures; None draws none.
          lips: by name, lip signals [F, D_lip] that take the place of the tracked ones.
          heard: by name, windows of all frames [F, W, inputs] for `Batch.heard`; all
            identities have some, or none has.
          threads: that read ahead in `iterate`.
          prefetch: batches read ahead.

        Raises:
          ValueError: a count is not positive, an importance is negative, R is not the
            square of `patch`, a patch is larger than an image, or there are not that
            many landmarks.
        """
        counts = (frames_per_step, rays_per_frame, threads, prefetch)
        if min(counts) < 1:
            raise ValueError(
                "frames_per_step, rays_per_frame, threads and prefetch must be at "
                f"least 1, got {counts}"
            )
        face_points.check_count(landmarks)
        importance.check()
        if patch is not None:
            if patch**2 != rays_per_frame:
                raise ValueError(
                    f"patches of {patch}x{patch} pixels are {patch**2} rays of a "
                    f"frame, rays_per_frame is {rays_per_frame}; make them equal"
                )
            for data in filter(None, datasets):
                height, width = data.camera.shape
                if patch > min(height, width):
                    raise ValueError(
                        f"a patch of {patch} pixels does not fit {data.name}, which "
                        f"is {width}x{height}; lower the patch or raise "
                        "data.size"
                    )
        self.datasets = tuple(datasets)
        self._seed = seed
        self._shape = (len(datasets), frames_per_step, rays_per_frame)
        self._importance = importance
        self._patch = patch
        self._references = references
        self._threads = threads
        self._prefetch = prefetch
        self._lip_dim = fitted.lip_basis.shape[0]
        self._signals = [data and _signals(data, fitted, lips) for data in datasets]
        self._heard = heard
        self._landmarks = landmarks
        self._points = [
            face_points.face_points(data) if data and landmarks else None
            for data in datasets
        ]
        self._keys = [data and zlib.crc32(data.name.encode()) for data in datasets]

    def batch(self, step: int) -> structs.Batch:
        """The batch of `step`: the same whenever and wherever it is asked for."""
        batch = self._empty()
        for slot, data in enumerate(self.datasets):
            if data is None:
                continue
            rng = np.random.default_rng([self._seed, step, self._keys[slot]])
            frames, pixels = self._draw(rng, data, step)
            column, row = (pixels[..., k].astype(np.intp) for k in (0, 1))
            image = data.images[frames[:, None], row, column] / np.float32(255)
            batch.pixels[slot] = pixels
            batch.rgb[slot] = image[..., frame_cache.RGB]
            batch.plate[slot] = data.plate[row, column] / np.float32(255)
            batch.alpha[slot] = image[..., frame_cache.MASK]
            batch.regions[slot, ..., :2] = regions.ellipses(data.shapes, frames, pixels)
            batch.regions[slot, ..., 2:] = image[..., frame_cache.REGIONS]
            batch.intrinsics[slot] = data.camera.intrinsics
            batch.head_to_camera[slot] = data.tracks.head_to_camera[frames]
            for into, leaf in zip(batch.signals, self._signals[slot], strict=True):
                into[slot] = leaf[frames]
            if self._heard:
                batch.heard[slot] = self._heard[data.name][frames]
            batch.weight[slot] = 1
            if self._references:
                seen = self._draw_references(rng, slot)
                for into, leaf in zip(batch.references, seen, strict=True):
                    into[slot] = leaf
            if self._landmarks:
                chosen = rng.choice(face_points.COUNT, self._landmarks, replace=False)
                batch.face_points[slot] = self._points[slot][frames][:, chosen]
        return batch

    def iterate(self, start_step: int) -> Iterator[structs.Batch]:
        """Yields the batches from `start_step` on, without end.

        Raises:
          RuntimeError: a batch could not be drawn; says which step, and chains the
            cause.
        """
        pool = futures.ThreadPoolExecutor(self._threads, "loader")
        ahead = collections.deque()
        step = start_step
        try:
            while True:
                while len(ahead) < self._prefetch:
                    ahead.append(pool.submit(self.batch, step + len(ahead)))
                try:
                    batch = ahead.popleft().result()
                except Exception as error:
                    raise RuntimeError(
                        f"loading the batch of step {step} failed: {error}"
                    ) from error
                step += 1
                yield batch
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _empty(self) -> structs.Batch:
        n, b, r = self._shape

        def zeros(*shape):
            return np.zeros(shape, np.float32)

        intrinsics, pose = zeros(n, 3), zeros(n, b, 4, 4)
        intrinsics[:, 0] = 1
        pose[:] = np.eye(4)
        return structs.Batch(
            pixels=zeros(n, b, r, 2),
            rgb=zeros(n, b, r, 3),
            plate=zeros(n, b, r, 3),
            alpha=zeros(n, b, r),
            regions=zeros(n, b, r, len(structs.REGIONS)),
            intrinsics=intrinsics,
            head_to_camera=pose,
            signals=structs.Signals(
                lip=zeros(n, b, self._lip_dim),
                eye=zeros(n, b, 2),
                head=zeros(n, b, 6),
                torso=zeros(n, b, 6 * len(structs.TORSO_LAGS)),
            ),
            weight=zeros(n),
            references=self._empty_references(),
            heard=self._empty_heard(),
            face_points=zeros(n, b, self._landmarks, 3) if self._landmarks else None,
        )

    def _empty_heard(self) -> np.ndarray | None:
        if not self._heard:
            return None
        shape = next(iter(self._heard.values())).shape[1:]
        return np.zeros((*self._shape[:2], *shape), np.float32)

    def _empty_references(self) -> structs.References | None:
        if self._references is None:
            return None
        n, k, e = self._shape[0], self._references.count, self._references.size
        return structs.References(
            np.zeros((n, k, e, e, 4), np.float32), np.zeros((n, k, 8), np.float32)
        )

    def _draw_references(self, rng, slot: int) -> structs.References:
        data, count = self.datasets[slot], self._references.count
        few = len(data.train_frames) < count
        frames = rng.choice(data.train_frames, count, replace=few)
        return references.make(data, frames, self._signals[slot].head, self._references)

    def _draw(self, rng, data: Dataset, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Frames [B] and pixel centres [B, R, 2] of one identity."""
        _, b, r = self._shape
        few = len(data.train_frames) < b
        frames = rng.choice(data.train_frames, b, replace=few)
        if self._patch is None:
            return frames, pixel_sampling.draw_pixels(
                rng, data, frames, r, self._importance
            )
        return frames, pixel_sampling.draw_patches(
            rng, data, frames, self._patch, step % 2 == 0
        )


def _signals(data: Dataset, fitted: signals.Fitted, lips) -> structs.Signals:
    found = signals.apply(fitted, data.name, data.tracks)
    return found._replace(lip=lips[data.name]) if data.name in lips else found
