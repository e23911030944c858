"""Reads identity folders; `layout` describes them."""

import hashlib
import os
import pathlib
from collections.abc import Collection

import msgspec
import numpy as np

from lokitalk_jax.data import layout, npz_file
from lokitalk_jax.media import image_file

_AGAIN = "prepare the video again"


class FolderImages:
    """The images of an identity folder, complete or in the making.

    Attributes:
      path: the folder.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)

    def frame(self, index: int) -> np.ndarray:
        """Frame `index`, RGB uint8 [H, W, 3].

        Raises:
          ValueError: it is missing or damaged. The methods below raise it too.
        """
        return image_file.read_rgb(layout.frame(self.path, index))

    def mask(self, index: int) -> np.ndarray:
        """Person mask, uint8 [H, W]."""
        return image_file.read_grey(layout.image(self.path, layout.MASKS, index))

    def labels(self, index: int) -> np.ndarray:
        """Labels, uint8 [H, W]."""
        return image_file.read_grey(layout.image(self.path, layout.LABELS, index))

    def plate(self) -> np.ndarray:
        """Background plate, RGB uint8 [H, W, 3]."""
        return image_file.read_rgb(self.path / layout.PLATE)


class IdentityFolder(FolderImages):
    """A complete identity folder.

    Attributes:
      name: of the identity: the folder's name.
      meta: contents of identity.json.
    """

    def __init__(self, path: str | os.PathLike):
        """Opens `path`.

        Raises:
          ValueError: it is not an identity folder, or its identity.json is not as
            `layout` describes it.
        """
        super().__init__(path)
        self.name = self.path.resolve().name
        if not layout.is_identity(self.path):
            raise ValueError(
                f"{self.path} is not an identity folder: it holds no {layout.META}; "
                "prepare one from a video"
            )
        try:
            self.meta = layout.decode_meta((self.path / layout.META).read_bytes())
        except layout.Fault as fault:
            raise ValueError(f"{self.path / layout.META}: {fault}; {_AGAIN}") from fault

    def tracks(self) -> layout.Tracks:
        """Reads tracks.npz.

        Raises:
          ValueError: it is missing, damaged, or not as `layout` describes it.
        """
        try:
            arrays = read_arrays(self.path)
            for fault in layout.array_faults(arrays, self.meta.frame_count):
                raise fault
            known = layout.TRACK_ROWS.keys() & arrays.keys()
            tracks = layout.Tracks(**{name: arrays[name] for name in known})
            for fault in layout.value_faults(tracks):
                raise fault
        except layout.Fault as fault:
            where = self.path / layout.TRACKS
            raise ValueError(f"{where}: {fault}; {_AGAIN}") from fault
        return tracks

    def digest(self, without: Collection[str] = ()) -> str:
        """Twelve digits of identity.json and the tracks, wherever the folder is.

        Args:
          without: figures of `Meta.quality` to leave out.

        Raises:
          ValueError: tracks.npz cannot be read.
        """
        quality = {k: v for k, v in self.meta.quality.items() if k not in without}
        meta = msgspec.structs.replace(self.meta, quality=quality)
        digest = hashlib.sha256(layout.encode_meta(meta))
        try:
            digest.update((self.path / layout.TRACKS).read_bytes())
        except OSError as error:
            where = self.path / layout.TRACKS
            raise ValueError(f"{where} cannot be read ({error}); {_AGAIN}") from error
        return digest.hexdigest()[:12]

    @property
    def audio_path(self) -> pathlib.Path | None:
        """The sound file, or None for a silent clip."""
        path = self.path / layout.SOUND
        return path if path.exists() else None


def read_arrays(folder: pathlib.Path) -> dict[str, np.ndarray]:
    """The arrays [F, ...] of tracks.npz, unchecked.

    Raises:
      Fault: the file is missing or damaged.
    """
    try:
        return npz_file.read(folder / layout.TRACKS)
    except FileNotFoundError as error:
        raise layout.Fault("no_tracks", "there is no such file") from error
    except (ValueError, OSError) as error:
        seen = f"cannot be read ({error})"
        raise layout.Fault("tracks_unreadable", seen) from error


def find_identities(root: str | os.PathLike) -> list[IdentityFolder]:
    """The identity folders at `root`: itself, or its subfolders by name.

    Raises:
      ValueError: there is none.
    """
    root = pathlib.Path(root)
    if layout.is_identity(root):
        return [IdentityFolder(root)]
    found = sorted(root.glob(f"*/{layout.META}")) if root.is_dir() else []
    if not found:
        raise ValueError(
            f"no identity folder at {root}: neither it nor a subfolder holds "
            f"{layout.META}; prepare one from a video"
        )
    return [IdentityFolder(path.parent) for path in found]
