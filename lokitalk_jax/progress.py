"""Progress of long calls: one callback for programs and for the command line's bar.

Every long function takes `progress`, a `Progress` or None, and reports through it:

    for frame in progress.track(frames, callback, "rendering", len(frames)):
        ...
"""

import json
import os
import time
from collections.abc import Iterable, Iterator
from typing import Protocol, Self, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

_LINE_EVERY = 0.2  # seconds between lines of JSON


class Progress(Protocol):
    """Callback for the progress of a long call.

    It is called in the thread of the long call: once at the start of every stage with
    the number of items that are already done, then after each item. An exception that
    it raises ends the long call.
    """

    def __call__(
        self, stage: str, done: int, total: int | None, seconds_left: float | None, /
    ) -> None:
        """Receives the progress of a stage.

        Args:
          stage: its name, such as "training"; stages follow one another.
          done: items done.
          total: items of the stage; None where it is unknown.
          seconds_left: of this stage, by its mean speed so far; None before the first
            item and where the total is unknown.
        """
        ...


class Stage:
    """Counts the items of one stage and reports them."""

    def __init__(
        self,
        progress: Progress | None,
        name: str,
        total: int | None = None,
        done: int = 0,
    ):
        """Reports the start.

        Args:
          progress: the callback; None reports nothing.
          name: of the stage.
          total: items of the stage, if known.
          done: items done by an earlier call.
        """
        self._progress, self._name, self._total = progress, name, total
        self._done = self._first = done
        self._began = time.monotonic()
        self._report()

    def advance(self, count: int = 1) -> None:
        """Reports that `count` more items are done."""
        self._done += count
        self._report()

    def _report(self) -> None:
        if self._progress is None:
            return
        left = None
        if self._total is not None and self._done > self._first:
            pace = (time.monotonic() - self._began) / (self._done - self._first)
            left = pace * max(self._total - self._done, 0)
        self._progress(self._name, self._done, self._total, left)


def track(
    items: Iterable[Item],
    progress: Progress | None,
    stage: str,
    total: int | None = None,
) -> Iterator[Item]:
    """Yields `items`; reports each one as done when the next one is requested."""
    counter = Stage(progress, stage, total)
    for item in items:
        yield item
        counter.advance()


class JsonLines:
    """A callback for other processes: reports as lines of JSON at the end of a file.

    A line holds stage, done, total and seconds_left. A stage's first and last report
    are written, and those between them at most five times a second.
    """

    def __init__(self, path: str | os.PathLike):
        """Opens the file to append to."""
        self._file = open(path, "a", buffering=1, encoding="utf-8")
        self._stage, self._next = "", 0.0

    def __call__(
        self, stage: str, done: int, total: int | None, seconds_left: float | None, /
    ) -> None:
        """Writes a line; see `Progress`."""
        now = time.monotonic()
        if stage == self._stage and done != total and now < self._next:
            return
        self._stage, self._next = stage, now + _LINE_EVERY
        left = None if seconds_left is None else round(seconds_left, 1)
        line = {"stage": stage, "done": done, "total": total, "seconds_left": left}
        self._file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class Bar:
    """The command line's callback: a bar on standard error, one line for each stage.

    Where the environment variable LOKITALK_PROGRESS names a file, it gets `JsonLines`.
    """

    def __init__(self):
        self._bar: tqdm | None = None
        self._stage = ""
        path = os.environ.get("LOKITALK_PROGRESS")
        self._lines = JsonLines(path) if path else None

    def __call__(
        self, stage: str, done: int, total: int | None, seconds_left: float | None, /
    ) -> None:
        """Draws the bar; see `Progress`."""
        if self._lines:
            self._lines(stage, done, total, seconds_left)
        bar = self._bar
        if bar is None or stage != self._stage or done < bar.n or total != bar.total:
            self._end_line()
            bar = self._bar = tqdm(
                total=total, initial=done, desc=stage, unit="", mininterval=0.5
            )
            self._stage = stage
        bar.update(done - bar.n)
        if done == total:
            self._end_line()

    def close(self) -> None:
        """Ends the line of the bar."""
        self._end_line()
        if self._lines:
            self._lines.close()

    def _end_line(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
