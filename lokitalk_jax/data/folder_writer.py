"""Writes identity folders; `layout` describes them."""

import os
import pathlib

import numpy as np

from lokitalk_jax import files
from lokitalk_jax.data import layout
from lokitalk_jax.data.folder import FolderImages
from lokitalk_jax.media import clip_sound, image_file


class FolderWriter(FolderImages):
    """Writes the files of an identity folder, each whole or not at all."""

    def __init__(self, path: str | os.PathLike, png: bool = False):
        """Makes the folder and its subfolders.

        Args:
          path: the folder.
          png: stores frames without loss.
        """
        super().__init__(path)
        self._frame_suffix = ".png" if png else ".jpg"
        for kind in layout.IMAGES:
            (self.path / kind).mkdir(parents=True, exist_ok=True)

    def frame_path(self, index: int) -> pathlib.Path:
        """Where frame `index` is written."""
        return layout.image(self.path, layout.FRAMES, index, self._frame_suffix)

    def has_labels(self, index: int) -> bool:
        """Whether the labels of frame `index` are there."""
        return layout.image(self.path, layout.LABELS, index).exists()

    def write_frame(self, index: int, rgb: np.ndarray) -> None:
        """Writes a frame, uint8 [H, W, 3]."""
        image_file.write(self.frame_path(index), rgb)

    def write_mask(self, index: int, mask: np.ndarray) -> None:
        """Writes a person mask, uint8 [H, W]."""
        image_file.write(layout.image(self.path, layout.MASKS, index), mask)

    def write_labels(self, index: int, labels: np.ndarray) -> None:
        """Writes labels, uint8 [H, W]."""
        image_file.write(layout.image(self.path, layout.LABELS, index), labels)

    def write_plate(self, rgb: np.ndarray, seen: np.ndarray) -> None:
        """Writes the plate, uint8 [H, W, 3], and where it was seen, bool [H, W]."""
        alpha = np.where(seen, 255, 0).astype(np.uint8)
        image_file.write(self.path / layout.PLATE, np.dstack([rgb, alpha]))

    def write_sound(self, samples: np.ndarray) -> None:
        """Writes samples, float [S], 16 kHz mono in [-1, 1]."""
        clip_sound.write(self.path / layout.SOUND, samples)

    def write_tracks(self, tracks: layout.Tracks) -> None:
        """Writes tracks.npz."""
        arrays = {k: v for k, v in tracks._asdict().items() if v is not None}
        with files.replacing(self.path / layout.TRACKS) as temporary:
            np.savez_compressed(temporary, **arrays)

    def write_meta(self, meta: layout.Meta) -> None:
        """Writes identity.json: the folder is then complete."""
        with files.replacing(self.path / layout.META) as temporary:
            temporary.write_bytes(layout.encode_meta(meta))
