"""The folder of a studio: one subfolder for each kind of thing, one name per person.

ROOT/clips/NAME.*          uploaded or recorded videos
ROOT/data/NAME/            identity folders
ROOT/runs/NAME/            runs
ROOT/sounds/KEY.*          uploaded sounds
ROOT/speech/JOB.mp4, .csv  avatars speaking, and their signals; .jpg, the newest frame
ROOT/jobs/JOB.*            jobs, their progress and their logs

`data` and `runs` are those of the command line, so both work on the same people.
"""

import itertools
import json
import os
import pathlib
import re
import shutil
from typing import Any

from lokitalk_jax.data import layout

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_KINDS = ("clips", "data", "runs", "sounds", "speech", "jobs")
_MOST_POINTS = 200  # of a curve


def checked_name(name: str) -> str:
    """`name`, if it can be that of a person, a run, a sound or a job.

    Raises:
      ValueError: it cannot, so that no name leads out of the studio's folder.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"name={name!r} must be 1 to 64 letters, digits, hyphens and underscores"
        )
    return name


class Folders:
    """Paths in the folder of a studio, and what is there.

    Attributes:
      root: the folder.
    """

    def __init__(self, root: str | os.PathLike):
        """Makes the folder where it is missing."""
        self.root = pathlib.Path(root).resolve()
        for kind in _KINDS:
            (self.root / kind).mkdir(parents=True, exist_ok=True)

    def path(self, kind: str, name: str) -> pathlib.Path:
        """Path of something without its suffix."""
        return self.root / kind / checked_name(name)

    def found(self, kind: str, name: str) -> pathlib.Path | None:
        """The file of that name with any suffix, or None."""
        files = sorted((self.root / kind).glob(f"{checked_name(name)}.*"))
        return files[0] if files else None

    def people(self) -> list[dict[str, Any]]:
        """All people with a clip, an identity folder or a run.

        Returns:
          by name: name, clip, prepared and preview (bools), and run or None.
        """
        names = {path.stem for path in (self.root / "clips").glob("[!.]*.*")}
        names |= {path.parent.name for path in self.root.glob(f"data/*/{layout.META}")}
        names |= {path.parent.name for path in self.root.glob("runs/*/checkpoints")}
        return [self._person(name) for name in sorted(names) if _NAME.fullmatch(name)]

    def _person(self, name: str) -> dict[str, Any]:
        folder = self.path("data", name)
        return {
            "name": name,
            "clip": self.found("clips", name) is not None,
            "prepared": layout.is_identity(folder),
            "preview": (folder / layout.PREVIEW).is_file(),
            "run": self.run(name),
        }

    def forget_unfinished(self, name: str) -> None:
        """Removes an identity folder whose preparation has not ended.

        Frames of one clip or stretch are of no use to another.
        """
        folder = self.path("data", name)
        if folder.is_dir() and not layout.is_identity(folder):
            shutil.rmtree(folder)

    def rename_run(self, name: str, new: str) -> None:
        """Renames a run to `new`, or to the first of `new`-2, `new`-3 that is free."""
        numbered = (f"{new}-{number}" for number in itertools.count(2))
        names = itertools.chain([new], numbered)
        paths = (self.path("runs", one) for one in names)
        free = next(path for path in paths if not path.exists())
        self.path("runs", name).rename(free)

    def run(self, name: str) -> dict[str, Any] | None:
        """A run as it is on the disk: its step and its identities."""
        workdir = self.path("runs", name)
        steps = [
            int(path.name)
            for path in workdir.glob("checkpoints/*")
            if path.name.isdigit()
        ]
        if not steps:
            return None
        people = sorted(
            p.parent.name for p in workdir.glob("identities/*/portrait.npz")
        )
        return {"step": max(steps), "identities": people}

    def training_picture(self, name: str) -> pathlib.Path | None:
        """The newest preview of a run, or None."""
        pictures = self.path("runs", name).glob("previews/*.png")
        return max(pictures, key=lambda path: path.stat().st_mtime, default=None)

    def training_curve(self, name: str) -> list[tuple[int, float]]:
        """Steps and PSNR of a run, at most `_MOST_POINTS` of them."""
        path = self.path("runs", name) / "metrics.jsonl"
        points = {}
        for line in path.read_text("utf-8").splitlines() if path.is_file() else ():
            try:
                values = json.loads(line)
            except ValueError:  # the last line may be in the making
                continue
            if values.get("psnr") is not None:
                points[values["step"]] = round(values["psnr"], 2)
        known = sorted(points.items())
        return known[:: -(-len(known) // _MOST_POINTS) or 1]
