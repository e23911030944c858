"""Metrics of a run, as JSON lines and as TensorBoard event files."""

import json
import math
import pathlib
import time

import numpy as np
import tensorboardX


class MetricLog:
    """Appends scalars and pictures to a run's `metrics.jsonl` and `events/`."""

    def __init__(self, workdir: pathlib.Path, enabled: bool = True):
        """Opens the files; not `enabled` (on all processes but one), does nothing."""
        self._lines = self._events = None
        if enabled:
            workdir.mkdir(parents=True, exist_ok=True)
            self._lines = open(workdir / "metrics.jsonl", "a", buffering=1)
            self._events = tensorboardX.SummaryWriter(str(workdir / "events"))

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Logs scalars of a step; values that are not finite become null."""
        if self._lines is None:
            return
        numbers = {k: float(v) if math.isfinite(v) else None for k, v in values.items()}
        line = {"step": step, "time": round(time.time(), 3), **numbers}
        self._lines.write(json.dumps(line) + "\n")
        for name, value in numbers.items():
            if value is not None:
                self._events.add_scalar(name, value, step)

    def image(self, step: int, name: str, rgb: np.ndarray) -> None:
        """Logs a picture, uint8 [H, W, 3]."""
        if self._events is not None:
            self._events.add_image(name, rgb, step, dataformats="HWC")

    def close(self) -> None:
        """Flushes and closes the files."""
        if self._lines is not None:
            self._lines.close()
            self._events.close()
