"""An identity folder while it is prepared: its source, and its finished stages.

The subfolder `layout.WORKSPACE` holds the source (video and options) and the results of
stages that have no file of their own. It is deleted when the folder is complete.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import pathlib
import shutil
from collections.abc import Callable, Sequence
from typing import Self, TypeVar

import numpy as np

from lokitalk_jax import files, folder_lock
from lokitalk_jax.data import layout, npz_file
from lokitalk_jax.data.folder import IdentityFolder
from lokitalk_jax.preparation.source_video import UnusableVideo

Result = TypeVar("Result")

_CONTENTS = (
    *layout.IMAGES,
    layout.PLATE,
    layout.TRACKS,
    layout.SOUND,
    layout.PREVIEW,
    layout.WORKSPACE,
)


class Workspace:
    """Claims a folder for one source; a refused video leaves nothing behind.

    Attributes:
      path: the folder.
      source: the source as identity.json describes it.
      finished: whether the identity is complete.
    """

    def __init__(self, path: pathlib.Path, source: dict):
        """Checks the folder, without changing it.

        Args:
          path: the folder.
          source: the video and the options.

        Raises:
          ValueError: the folder holds another identity, or other files.
        """
        self.path = path
        self.source = source
        self._cache = path / layout.WORKSPACE
        self._source_file = self._cache / "manifest.json"
        self.finished = layout.is_identity(path)
        self._is_new = not path.exists()
        if path.exists() and not path.is_dir():
            raise ValueError(f"out={path} is a file; give a folder")
        if self.finished:
            self._compare(IdentityFolder(path).meta.source)
        elif self._source_file.is_file():
            self._compare(self._begun())
        elif path.exists() and {p.name for p in path.iterdir()} - {layout.WORKSPACE}:
            raise ValueError(
                f"out={path} holds files that are not an identity's; give a new or "
                "empty folder"
            )

    def _begun(self) -> dict:
        """The source of a preparation that was interrupted."""
        try:
            held = json.loads(self._source_file.read_text("utf-8"))
        except ValueError:
            held = None
        if not isinstance(held, dict):
            raise ValueError(
                f"{self._source_file} is damaged; delete out={self.path} and prepare "
                "the video again"
            )
        return held

    def _compare(self, held: dict) -> None:
        differing = [
            f"{key}: {held.get(key)} there, {value} now"
            for key, value in self.source.items()
            if key != "name" and held.get(key) != value
        ]
        if differing:
            raise ValueError(
                f"out={self.path} holds another identity, of {held.get('name')} ("
                + "; ".join(differing)
                + "); give another folder or delete that one"
            )

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            if not self.finished:
                stack.enter_context(folder_lock.hold(self.path, layout.WORKSPACE))
                # Another process may have finished it in the meantime.
                self.finished = layout.is_identity(self.path)
            self._begin()
            self._stack = stack.pop_all()
        return self

    def _begin(self) -> None:
        if not self.finished:
            for stray in self.path.rglob(".*-*"):  # of a run that was killed
                if stray.is_file():
                    stray.unlink()
                else:
                    shutil.rmtree(stray)
            with files.replacing(self._source_file) as temporary:
                text = json.dumps(self.source, indent=2) + "\n"
                temporary.write_text(text, "utf-8")

    def __exit__(self, kind, error, traceback) -> None:
        with self._stack:
            self._end(kind)

    def _end(self, kind: type[BaseException] | None) -> None:
        if kind is None:
            shutil.rmtree(self._cache, ignore_errors=True)
        elif issubclass(kind, UnusableVideo):
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

    def cached(
        self,
        stage: str,
        compute: Callable[[], Sequence],
        make: Callable[[list[np.ndarray]], Result],
    ) -> Result:
        """The result of a stage, computed now or in an earlier run.

        Args:
          stage: its name.
          compute: computes a sequence of arrays [...].
          make: from the list of arrays to the result.
        """
        path = self._cache / f"{stage}.npz"
        if not path.exists():
            with files.replacing(path) as temporary:
                np.savez(temporary, *compute())
        return make(list(npz_file.read(path).values()))


def tool_versions(face_model: pathlib.Path | None) -> dict[str, str]:
    """Versions of the tools that an identity folder depends on."""
    names = ("lokitalk-jax", "av", "mediapipe", "opencv-python", "numpy")
    found = {name: importlib.metadata.version(name) for name in names}
    model = face_model.name if face_model else "face mesh of mediapipe"
    return found | {"face_model": model}


def file_identity(path: pathlib.Path) -> dict[str, str]:
    """Name and hash of a file, by which a source is recognised."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": path.name, "sha256": digest}
