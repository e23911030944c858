"""An identity folder in the making: whose it is, and what is done of it.

`.prepare/` in the folder holds the manifest (video and options) and the results of
stages that have no file of their own. It goes when the folder is finished.
"""

import dataclasses
import hashlib
import importlib.metadata
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lokitalk_jax import files
from lokitalk_jax.data import folder, layout
from lokitalk_jax.prepare import video

_CONTENTS = (
    *layout.IMAGES,
    layout.PLATE,
    layout.TRACKS,
    layout.SOUND,
    layout.PREVIEW,
    layout.WORKSPACE,
)


@dataclasses.dataclass(frozen=True)
class Options:
    """What the contents of an identity folder depend on, besides the video.

    Attributes:
      size: longest side of the frames, pixels.
      crop: `auto`, a square around head and shoulders, or `none`, the whole frame.
      start: seconds from the video's first frame.
      end: the same, or None for the video's end.
      audio: whether sound is wanted.
      png: whether frames are stored without loss.
    """

    size: int = 512
    crop: str = "auto"
    start: float = 0.0
    end: float | None = None
    audio: bool = True
    png: bool = False

    def __post_init__(self):
        if self.size < 32 or self.size % 2:
            raise ValueError(
                f"--size is {self.size}; it must be even and at least 32 pixels"
            )
        if self.crop not in ("auto", "none"):
            raise ValueError(f"--crop is {self.crop!r}; it must be auto or none")
        if self.start < 0 or (self.end is not None and self.end <= self.start):
            raise ValueError(
                f"--start={self.start:g} --end={self.end}: the stretch is empty or "
                "begins before the video; 0 <= start < end is needed"
            )


class Workspace:
    """Claims a folder for one source; refusing the video takes back what was written.

    Attributes:
      path: the folder.
      source: what identity.json says about where the frames are from.
      finished: whether the identity is complete.
    """

    def __init__(self, path: Path, source: dict):
        """Looks at the folder, without touching it.

        Args:
          path: the folder.
          source: what it is made of and how; another folder's differs.

        Raises:
          ValueError: it holds another identity, or things that are none of ours.
        """
        self.path = path
        self.source = source
        self._cache = path / layout.WORKSPACE
        self._manifest = self._cache / "manifest.json"
        self.finished = layout.is_identity(path)
        self._is_new = not path.exists()
        if path.exists() and not path.is_dir():
            raise ValueError(f"--out={path} is a file; name a folder")
        if self.finished:
            self._compare(folder.IdentityFolder(path).meta.source)
        elif self._manifest.is_file():
            self._compare(json.loads(self._manifest.read_text()))
        elif path.exists() and any(path.iterdir()):
            raise ValueError(
                f"--out={path} holds files that are not an identity's; name a new or "
                "empty folder"
            )

    def _compare(self, held: dict) -> None:
        differing = [
            f"{key}: {held.get(key)} there, {value} now"
            for key, value in self.source.items()
            if key != "name" and held.get(key) != value
        ]
        if differing:
            raise ValueError(
                f"--out={self.path} holds another identity, of {held.get('name')} ("
                + "; ".join(differing)
                + "); name another folder or delete that one"
            )

    def __enter__(self) -> "Workspace":
        if not self.finished:
            self._cache.mkdir(parents=True, exist_ok=True)
            for stray in self.path.rglob(".*-*"):  # of a run that was killed
                if stray.is_file():
                    stray.unlink()
                else:
                    shutil.rmtree(stray)
            with files.replacing(self._manifest) as temporary:
                temporary.write_text(json.dumps(self.source, indent=2) + "\n")
        return self

    def __exit__(self, kind, error, traceback) -> None:
        if kind is None:
            shutil.rmtree(self._cache, ignore_errors=True)
        elif issubclass(kind, video.UnusableVideo):
            self._discard()

    def _discard(self) -> None:
        for name in _CONTENTS:
            item = self.path / name
            if item.is_dir():
                shutil.rmtree(item)
            else:
                item.unlink(missing_ok=True)
        if self._is_new:
            self.path.rmdir()

    def cached(self, name: str, compute: Callable, make: Callable):
        """What `compute` returned, a sequence of arrays, now or in an earlier run.

        Args:
          name: of the stage.
          compute: gives the arrays.
          make: from the list of arrays to what is returned.
        """
        path = self._cache / f"{name}.npz"
        if not path.exists():
            with files.replacing(path) as temporary:
                np.savez(temporary, *compute())
        with np.load(path) as stored:
            return make([stored[key] for key in stored])


def versions(face_model: Path | None) -> dict[str, str]:
    """Versions of the tools that shape the folder's contents."""
    names = ("lokitalk-jax", "av", "mediapipe", "opencv-python", "numpy")
    found = {name: importlib.metadata.version(name) for name in names}
    model = face_model.name if face_model else "face mesh of mediapipe"
    return found | {"face_model": model}


def described(path: Path) -> dict[str, str]:
    """A file by which a source is known again."""
    return {"name": path.name, "sha256": _sha256(path)}


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
