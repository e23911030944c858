"""Metrics of a run, as JSON lines, TensorBoard events and lines of the log."""

import json
import logging
import math
import os
import pathlib
import time
from collections.abc import Mapping, Sequence

import numpy as np
import tensorboardX

from lokitalk_jax import files

_LOG = logging.getLogger(__name__)


class MetricLog:
    """Appends scalars and images to a run's `metrics.jsonl` and `events/`.

    Attributes:
      workdir: the run.
    """

    def __init__(self, workdir: pathlib.Path, enabled: bool = True):
        """Opens the files; if not `enabled` (all processes but the first), none."""
        self.workdir = workdir
        self._lines = self._events = None
        if enabled:
            workdir.mkdir(parents=True, exist_ok=True)
            self._path = workdir / "metrics.jsonl"
            _cut_torn_line(self._path)
            self._lines = open(self._path, "a", buffering=1, encoding="utf-8")
            self._events = tensorboardX.SummaryWriter(str(workdir / "events"))

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
          metrics: by name, values of the identities of the step.
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
        """Logs scalars of a step; values that are not finite become null.

        Raises:
          OSError: the line could not be written; names the file.
        """
        if self._lines is None or self._events is None:
            return
        numbers = {k: float(v) if math.isfinite(v) else None for k, v in values.items()}
        line = {"step": step, "time": round(time.time(), 3), **numbers}
        with files.naming(self._path):
            self._lines.write(json.dumps(line) + "\n")
        for name, value in numbers.items():
            if value is not None:
                self._events.add_scalar(name, value, step)

    def image(self, step: int, name: str, rgb: np.ndarray) -> None:
        """Logs an image, uint8 [H, W, 3]."""
        if self._events is not None:
            self._events.add_image(name, rgb, step, dataformats="HWC")

    def close(self) -> None:
        """Flushes and closes the files."""
        if self._lines is not None and self._events is not None:
            with files.naming(self._path):
                self._lines.close()
            self._events.close()


def _cut_torn_line(path: pathlib.Path) -> None:
    """Removes a last line without an end, of a process that could not finish it."""
    if not path.is_file():
        return
    whole = path.read_bytes()
    end = whole.rfind(b"\n") + 1
    if end < len(whole):
        os.truncate(path, end)
