"""How a run ends before its last step, and whether it may go on."""

import pathlib
import signal
import time

import jax
import numpy as np
from jax.experimental import multihost_utils

from lokitalk_jax.checkpoint.store import Checkpoints

TIME_IS_UP = "train.max_minutes"

# Fields that may differ between the parts of one run.
_FREE_FIELDS = (
    "voice.",
    "train.",
    "data.threads",
    "data.prefetch",
    "data.cache",
    "mesh.",
)


def check_compatible(
    config: dict, names: list[str], checkpoints: Checkpoints, workdir: pathlib.Path
) -> None:
    """Raises ValueError where a run would go on with other people or fields."""

    def flat(tree: dict, prefix: str = "") -> dict:
        out = {}
        for key, value in tree.items():
            if isinstance(value, dict):
                out |= flat(value, f"{prefix}{key}.")
            else:
                out[prefix + key] = list(value) if isinstance(value, tuple) else value
        return out

    step = checkpoints.latest_step()
    stored = checkpoints.meta(step)["identities"]
    if stored != names:
        raise ValueError(
            f"the run in {workdir} was trained on {', '.join(stored)}, data.root "
            f"holds {', '.join(names)}; give the same identities, or another --workdir"
        )
    now, before = flat(config), flat(checkpoints.config(step))
    free = _FREE_FIELDS
    if now.get("lips") != "tracked":
        # What sound makes of the lips is then part of what is learned from.
        free = tuple(field for field in free if field != "voice.")
    changed = [
        f"{key} was {before.get(key)!r} and is {now.get(key)!r}"
        for key in sorted(now.keys() | before.keys())
        if now.get(key) != before.get(key) and not key.startswith(free)
    ]
    if changed:
        raise ValueError(
            f"the run in {workdir} has another config: {'; '.join(changed)}; resume "
            "it with the same fields, or give another --workdir"
        )


class Stop:
    """Whether to stop: the time is up, or SIGTERM arrived.

    In a cluster SIGTERM belongs to JAX, whose handler makes all processes agree on the
    step at which `Checkpoints.reached_preemption`.
    """

    def __init__(self, max_minutes: float):
        self._end = time.monotonic() + 60 * max_minutes if max_minutes else None
        self.reason = ""
        self._before = None
        if jax.process_count() == 1:
            self._before = signal.signal(signal.SIGTERM, self._on_term)

    def _on_term(self, *_):
        self.reason = "SIGTERM"

    def __call__(self) -> bool:
        """Whether it is time; `reason` then says why."""
        if self._end and time.monotonic() > self._end:
            self.reason = self.reason or TIME_IS_UP
        return bool(self.reason)

    def restore_handler(self) -> None:
        """Gives SIGTERM back to whom it belonged to before."""
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)


def agreed(stop: bool, step: int, log_every: int) -> bool:
    """Several processes stop at the same step, as the first one decides."""
    if jax.process_count() == 1:
        return stop
    if step % log_every:
        return False
    return bool(multihost_utils.broadcast_one_to_all(np.array(stop)))
