"""Metrics of a run, as JSON lines, TensorBoard events and lines of the log."""

import contextlib
import json
import logging
import math
import os
import pathlib
import time
from collections.abc import Mapping, Sequence

import numpy as np
from tensorboardX import event_file_writer, summary
from tensorboardX.proto import event_pb2

from lokitalk_jax import files

_LOG = logging.getLogger(__name__)


class MetricLog:
    """Appends scalars and images to a run's `metrics.jsonl` and `events/`.

    All that is written raises OSError if it cannot be, with the name of the file.

    Attributes:
      workdir: the run.
    """

    def __init__(self, workdir: pathlib.Path, enabled: bool = True):
        """Opens the files; if not `enabled` (all processes but the first), none."""
        self.workdir = workdir
        self._path, events = workdir / "metrics.jsonl", workdir / "events"
        self._lines = self._events = None
        if enabled:
            events.mkdir(parents=True, exist_ok=True)
            _cut_torn_line(self._path)
            self._lines = open(self._path, "a", buffering=1, encoding="utf-8")
            # The usual writer is a thread, whose errors (a full disk) would be lost.
            self._events = event_file_writer.EventsWriter(str(events / "events"))

    def training_step(
        self,
        step: int,
        metrics: Mapping[str, np.ndarray],
        names: Sequence[str],
        steps_per_second: float,
    ) -> None:
        """Logs a training step: means over the identities, and the PSNR of each.

        Args:
          step: steps done.
          metrics: by name, values [n] of the identities of the step.
          names: of these identities.
          steps_per_second: speed of the run.
        """
        means = {k: float(np.mean(v)) for k, v in metrics.items()}
        psnr = zip(names, metrics["psnr"], strict=True)
        each = {f"psnr/{name}": float(value) for name, value in psnr}
        self.scalars(step, means | each | {"steps_per_second": steps_per_second})
        if self._lines is not None:
            _LOG.info(
                "step %d: loss %.4f, PSNR %.2f dB", step, means["loss"], means["psnr"]
            )

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Logs scalars of a step; values that are not finite become null."""
        if self._lines is None or self._events is None:
            return
        numbers = {k: float(v) if math.isfinite(v) else None for k, v in values.items()}
        line = {"step": step, "time": round(time.time(), 3), **numbers}
        with files.naming(self._path):
            self._lines.write(json.dumps(line) + "\n")
        shown = {k: v for k, v in numbers.items() if v is not None}
        self._add(step, [summary.scalar(k, v) for k, v in shown.items()])

    def image(self, step: int, name: str, rgb: np.ndarray) -> None:
        """Logs an image, uint8 [H, W, 3]."""
        if self._events is not None:
            self._add(step, [summary.image(name, rgb, dataformats="HWC")])

    def _add(self, step: int, summaries: Sequence) -> None:
        """Adds summaries to the events."""
        assert self._events is not None
        message = getattr(event_pb2, "Event")  # noqa: B009 (made when imported)
        with files.naming(self.workdir / "events"):
            for one in summaries:
                event = message(wall_time=time.time(), step=step, summary=one)
                self._events.write_event(event)
            self._events.flush()

    def close(self) -> None:
        """Closes the files."""
        if self._lines is not None and self._events is not None:
            with contextlib.ExitStack() as stack:
                stack.enter_context(files.naming(self.workdir / "events"))
                stack.callback(self._events.close)
                stack.enter_context(files.naming(self._path))
                stack.callback(self._lines.close)


def _cut_torn_line(path: pathlib.Path) -> None:
    """Removes a last line without an end, of a process that could not finish it."""
    if not path.is_file():
        return
    whole = path.read_bytes()
    end = whole.rfind(b"\n") + 1
    if end < len(whole):
        os.truncate(path, end)
