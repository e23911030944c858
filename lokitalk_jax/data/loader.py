"""Batches as a pure function of (seed, step, identity), read ahead in threads.

No state is carried from batch to batch. So a resumed run gets the same batches as an
uninterrupted one, and an identity gets the same rays in every slot, on every host.
"""

import collections
import threading
import zlib
from collections.abc import Generator, Mapping, Sequence
from concurrent import futures
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.data import (
    face_points,
    frame_cache,
    frame_sampling,
    pixel_sampling,
    references,
    regions,
)
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.data.frame_sampling import Unusual
from lokitalk_jax.data.pixel_sampling import Importance
from lokitalk_jax.data.references import ReferenceSpec
from lokitalk_jax.data.turns import Turns

_THREADS = "loader"  # start of the names of the threads that draw batches


class Drawing(NamedTuple):
    """Sizes of a batch, and how its frames and pixels are drawn.

    Attributes:
      frames: B, frames of an identity.
      rays: R, rays of a frame.
      importance: of pixels, where no patches are drawn.
      patch: side of the patches, pixels, R is its square; None draws pixels one by one.
      landmarks: M of `Batch.face_points`; 0 leaves them out.
      references: of the identity encoder's images; None draws none.
      unusual: shares of the frames that are drawn by their lips and eyes, see
        `frame_sampling`.
    """

    frames: int
    rays: int
    importance: Importance = Importance()
    patch: int | None = None
    landmarks: int = 0
    references: ReferenceSpec | None = None
    unusual: Unusual = Unusual()

    def check(self, datasets: Sequence[Dataset | None]) -> None:
        """Raises ValueError where sizes contradict each other or do not fit a clip."""
        if min(self.frames, self.rays) < 1:
            raise ValueError(
                f"data.frames_per_step={self.frames} data.rays_per_frame={self.rays} "
                "must be at least 1"
            )
        face_points.check_count(self.landmarks)
        self.importance.check()
        self.unusual.check()
        if self.patch is None:
            return
        if self.patch**2 != self.rays:
            raise ValueError(
                f"patch={self.patch} rays={self.rays} do not fit: a patch has "
                f"{self.patch**2} pixels; give as many rays"
            )
        for data in filter(None, datasets):
            height, width = data.camera.shape
            if self.patch > min(height, width):
                raise ValueError(
                    f"train.patch={self.patch} does not fit {data.name}, which is "
                    f"{width}x{height}; lower it, or raise data.size"
                )


class Loader:
    """Draws training batches of N identities (see `structs.Batch`).

    Rays are drawn one by one with `Drawing.importance`, or, with `Drawing.patch`, as
    one square of pixels (row by row) of each frame: around the lips at even steps,
    anywhere on the person at odd ones.
    """

    def __init__(
        self,
        datasets: Sequence[Dataset | None],
        signals: Mapping[str, structs.Signals],
        drawing: Drawing,
        *,
        seed: int,
        audio_windows: Mapping[str, np.ndarray] = MappingProxyType({}),
        turns: Turns | None = None,
        threads: int = 2,
        prefetch: int = 4,
    ):
        """Prepares everything that is the same in every step.

        Args:
          datasets: one for each slot; None pads, its arrays are zero (its camera is a
            unit one, so that its rays stay finite) and its weight is zero.
          signals: by name, of all frames of at least these clips, leaves [F, ...].
          drawing: sizes of a batch, and how its frames and pixels are drawn.
          seed: of the run.
          audio_windows: by name, of all frames [F, W, inputs], for
            `Batch.audio_windows`; either all identities have them or none has.
          turns: which of the N identities a batch holds; None takes all.
          threads: that read ahead in `iterate`.
          prefetch: batches read ahead.

        Raises:
          ValueError: a count is not positive, an importance or a share of frames is
            negative, R is not the square of `patch`, a patch is larger than an image,
            there are not that many landmarks, or signals or windows are of another
            number of frames than a clip.
        """
        if min(threads, prefetch) < 1:
            raise ValueError(
                f"data.threads={threads} data.prefetch={prefetch} must be at least 1"
            )
        drawing.check(datasets)
        for data in filter(None, datasets):
            per_frame = {"signals": signals[data.name].lip}
            if audio_windows:
                per_frame["audio windows"] = audio_windows[data.name]
            for kind, values in per_frame.items():
                if len(values) != len(data.images):
                    raise ValueError(
                        f"{kind} of {data.name} are of {len(values)} frames; give "
                        f"those of its {len(data.images)} frames"
                    )
        self.datasets = tuple(datasets)
        self._signals, self._drawing, self._seed = signals, drawing, seed
        self._audio_windows = audio_windows
        # Lanes of this process alone.
        self._turns = turns and turns._replace(lanes=len(datasets) // turns.slots)
        self._threads, self._prefetch = threads, prefetch
        self._chances = {
            data.name: frame_sampling.chances(
                signals[data.name], data.train_frames, drawing.unusual
            )
            for data in filter(None, datasets)
        }
        self._points = {
            data.name: face_points.face_points(data)
            for data in filter(None, datasets)
            if drawing.landmarks
        }

    def batch(self, step: int) -> structs.Batch:
        """The batch of `step`; depends on seed, step and identity alone."""
        datasets = self.datasets
        if self._turns is not None:
            datasets = [datasets[row] for row in self._turns.rows(step)]
        batch = self._empty(len(datasets))
        for slot, data in enumerate(datasets):
            if data is None:
                continue
            key = zlib.crc32(data.name.encode())
            rng = np.random.default_rng([self._seed, step, key])
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
            signals = self._signals[data.name]
            for into, leaf in zip(batch.signals, signals, strict=True):
                into[slot] = leaf[frames]
            if batch.audio_windows is not None:
                batch.audio_windows[slot] = self._audio_windows[data.name][frames]
            batch.weight[slot] = 1
            spec = self._drawing.references
            if spec is not None and batch.references is not None:
                seen = self._draw_references(rng, data, spec)
                for into, leaf in zip(batch.references, seen, strict=True):
                    into[slot] = leaf
            if batch.face_points is not None:
                count = self._drawing.landmarks
                chosen = rng.choice(face_points.COUNT, count, replace=False)
                batch.face_points[slot] = self._points[data.name][frames][:, chosen]
        return batch

    def iterate(self, start_step: int) -> Generator[structs.Batch, None, None]:
        """Yields the batches from `start_step` on, without end.

        Raises:
          RuntimeError: a batch could not be drawn; says which step, and chains the
            cause.
        """
        pool = futures.ThreadPoolExecutor(self._threads, _THREADS)
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
            # The garbage collector may close this in a thread of the pool itself.
            own = threading.current_thread().name.startswith(_THREADS)
            pool.shutdown(wait=not own, cancel_futures=True)

    def _empty(self, n: int) -> structs.Batch:
        b, r = self._drawing.frames, self._drawing.rays
        m = self._drawing.landmarks
        lip_dim = next(iter(self._signals.values())).lip.shape[-1]

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
                lip=zeros(n, b, lip_dim),
                eye=zeros(n, b, len(structs.EYE_REST)),
                head=zeros(n, b, 6),
                torso=zeros(n, b, 6 * len(structs.TORSO_LAGS)),
            ),
            weight=zeros(n),
            references=self._empty_references(n),
            audio_windows=self._empty_audio_windows(n, b),
            face_points=zeros(n, b, m, 3) if m else None,
        )

    def _empty_audio_windows(self, n: int, b: int) -> np.ndarray | None:
        if not self._audio_windows:
            return None
        shape = next(iter(self._audio_windows.values())).shape[1:]
        return np.zeros((n, b, *shape), np.float32)

    def _empty_references(self, n: int) -> structs.References | None:
        spec = self._drawing.references
        if spec is None:
            return None
        k, e = spec.count, spec.size
        return structs.References(
            np.zeros((n, k, e, e, 4), np.float32), np.zeros((n, k, 8), np.float32)
        )

    def _draw_references(
        self, rng, data: Dataset, spec: ReferenceSpec
    ) -> structs.References:
        few = len(data.train_frames) < spec.count
        frames = rng.choice(data.train_frames, spec.count, replace=few)
        return references.make(data, frames, self._signals[data.name].head, spec)

    def _draw(self, rng, data: Dataset, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Frames [B] and pixel centres [B, R, 2] of one identity."""
        drawing = self._drawing
        few = len(data.train_frames) < drawing.frames
        frames = rng.choice(
            data.train_frames, drawing.frames, few, self._chances[data.name]
        )
        if drawing.patch is None:
            return frames, pixel_sampling.draw_pixels(
                rng, data, frames, drawing.rays, drawing.importance
            )
        return frames, pixel_sampling.draw_patches(
            rng, data, frames, drawing.patch, step
        )
