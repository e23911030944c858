"""Makes identity folders of many videos, several at a time.

Each video is prepared in its own process, so a video that crashes a decoder does not
stop the others. A run that was killed continues: finished folders are left alone, and
others resume at the stage that they had reached.
"""

import dataclasses
import json
import logging
import mimetypes
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from typing import NamedTuple

from lokitalk_jax.data import layout
from lokitalk_jax.preparation import pipeline
from lokitalk_jax.preparation.options import Options

_LOG = logging.getLogger(__name__)

# Containers that Python's table of types lacks on some systems.
_SUFFIXES = (".mkv", ".webm", ".m4v", ".ts", ".mts", ".m2ts", ".flv", ".wmv", ".3gp")


class Outcome(NamedTuple):
    """Result of preparing a video.

    Attributes:
      video: the file.
      out: its identity folder; complete unless there is a refusal.
      refusal: why there is no identity; "" if there is one.
      seconds: of work.
    """

    video: pathlib.Path
    out: pathlib.Path
    refusal: str
    seconds: float


def find_videos(place: pathlib.Path) -> list[pathlib.Path]:
    """The videos of a folder, or of a text file that names one on each line.

    Paths in a list are relative to it; empty lines and those that begin with # are
    skipped.

    Raises:
      ValueError: there is none.
    """
    if place.is_dir():
        found = sorted(path for path in place.iterdir() if _is_video(path))
    else:
        lines = map(str.strip, place.read_text("utf-8-sig").splitlines())
        found = [place.parent / one for one in lines if one and one[0] != "#"]
    if not found:
        raise ValueError(f"{place} holds no video; give a folder or a list of videos")
    return found


def _is_video(path: pathlib.Path) -> bool:
    kind = mimetypes.guess_type(path.name)[0] or ""
    return path.is_file() and (
        kind.startswith("video/") or path.suffix.lower() in _SUFFIXES
    )


def folders(
    videos: Sequence[pathlib.Path], out: pathlib.Path
) -> dict[pathlib.Path, pathlib.Path]:
    """The identity folder of each video, named after it, below `out`.

    Raises:
      ValueError: two videos have the same name.
    """
    stems = [path.stem for path in videos]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise ValueError(
            f"several videos are named {', '.join(twice)}, and each needs a folder of "
            "its own; rename one, or prepare them one by one"
        )
    return {path: out / path.stem for path in videos}


def prepare(
    outs: Mapping[pathlib.Path, pathlib.Path],
    options: Options,
    model: pathlib.Path | None,
    at_once: int,
    workers: int,
) -> Iterator[Outcome]:
    """Prepares videos; yields the outcome of each as soon as it is known.

    Args:
      outs: the identity folder of each video.
      options: of all.
      model: see `pipeline.prepare`.
      at_once: videos that are prepared at the same time.
      workers: threads of the segmentation, of each.
    """
    running: set[subprocess.Popen] = set()

    def one(video: pathlib.Path, out: pathlib.Path) -> Outcome:
        began = time.monotonic()
        try:
            if layout.is_identity(out):
                pipeline.prepare(video, out, options, model, workers)
                refusal = ""
            else:
                refusal = _in_process(running, video, out, options, model, workers)
        except (ValueError, OSError) as error:
            refusal = str(error)
        return Outcome(video, out, refusal, time.monotonic() - began)

    with futures.ThreadPoolExecutor(at_once) as pool:
        pending = [pool.submit(one, video, out) for video, out in outs.items()]
        try:
            for done in futures.as_completed(pending):
                yield done.result()
        finally:
            for future in pending:
                future.cancel()
            for process in tuple(running):
                process.terminate()


def _in_process(running, video, out, options, model, workers) -> str:
    """Prepares one video in a process of its own; returns why it was refused, or ""."""
    request = {
        "video": str(video),
        "out": str(out),
        "options": dataclasses.asdict(options),
        "model": model and str(model),
        "workers": workers,
    }
    path = os.pathsep.join(filter(None, sys.path))
    process = subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        env=os.environ | {"PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"},
    )
    running.add(process)
    answer, _ = process.communicate(json.dumps(request))
    running.discard(process)
    if process.returncode:
        return answer.strip() or f"its process ended with status {process.returncode}"
    for line in answer.splitlines():
        _LOG.warning("%s: %s", video.name, line)
    return ""


class _Warnings(logging.Handler):
    """Keeps warnings, for the process that asked."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith("lokitalk_jax"):
            self.lines.append(record.getMessage())


class _Orphaned(Exception):
    """The process that asked for a preparation has ended."""


def _main() -> int:
    """Prepares the video that standard input asks for."""
    request = json.load(sys.stdin)
    parent = os.getppid()
    warnings = _Warnings()
    logging.getLogger().addHandler(warnings)

    def progress(*_) -> None:
        if os.getppid() != parent:
            raise _Orphaned

    try:
        pipeline.prepare(
            request["video"],
            request["out"],
            Options(**request["options"]),
            request["model"],
            request["workers"],
            progress,
        )
    except Exception as error:
        expected = isinstance(error, (ValueError, OSError))
        print(error if expected else f"{type(error).__name__}: {error}")
        return 1
    print("\n".join(warnings.lines))
    return 0


if __name__ == "__main__":
    sys.exit(_main())
