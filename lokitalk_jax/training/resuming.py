"""Resuming a run from its last checkpoint, with the same identities and fields."""

import logging
import pathlib

from lokitalk_jax.checkpoint.store import Checkpoints
from lokitalk_jax.structs import TrainState
from lokitalk_jax.training import same_clips
from lokitalk_jax.training.session import Session

_LOG = logging.getLogger(__name__)

# Beginnings of the fields that may change between the parts of a run.
_FREE_FIELDS = (
    "voice.",
    "train.",
    "data.threads",
    "data.prefetch",
    "data.cache",
    "mesh.",
)


def restore(
    session: Session, checkpoints: Checkpoints, workdir: pathlib.Path
) -> tuple[int, TrainState]:
    """Steps done and the state, from the latest checkpoint if there is one.

    Raises:
      ValueError: the checkpoint is of other identities, clips or fields.
    """
    step = checkpoints.latest_step()
    if not step:
        return 0, session.state
    meta = checkpoints.meta(step)
    _refuse_other_identities(workdir, meta["identities"], session.training_set.names)
    origin = meta.get("origin", {})
    _refuse_other_clips(workdir, origin.get("data", {}), session)
    moved = _movable(origin, session.origin)
    before, now = checkpoints.config(step), session.config.to_dict()
    _refuse_other_fields(workdir, before, now, moved)
    state = checkpoints.restore(step, session.state, session.training_set.mesh)
    _LOG.info("resuming %s at step %d", workdir, step)
    return step, state


def _refuse_other_identities(
    workdir: pathlib.Path, before: list[str], now: list[str]
) -> None:
    if before != now:
        raise ValueError(
            f"the run in {workdir} was trained on {', '.join(before)}, data.root "
            f"holds {', '.join(now)}; give the same identities, or another workdir"
        )


def _refuse_other_clips(
    workdir: pathlib.Path, before: dict[str, str], session: Session
) -> None:
    hears = session.config.lips != "tracked"
    changed = same_clips.changed(session.training_set.folders, before, hears)
    if changed:
        raise ValueError(
            f"the run in {workdir} was trained on other clips of {', '.join(changed)} "
            f"than data.root={session.config.data.root} holds: their identity.json or "
            "tracks.npz differ; restore these folders, or give another workdir"
        )


def _movable(before: dict, now: dict) -> tuple[str, ...]:
    """Fields of paths that may change, since the same files are there."""
    same = {
        "data.root": bool(before.get("data")),  # compared by then
        "prior": now["prior"] and now["prior"] == before.get("prior"),
    }
    return tuple(field for field in same if same[field])


def _refuse_other_fields(
    workdir: pathlib.Path, before: dict, now: dict, moved: tuple[str, ...]
) -> None:
    before, now = _flat(before), _flat(now)
    free = _FREE_FIELDS + moved
    if now.get("lips") != "tracked":
        # The lip signal of training then depends on the section `voice`.
        free = tuple(field for field in free if field != "voice.")
    changed = [
        f"{key} was {before.get(key)!r} and is {now.get(key)!r}"
        for key in sorted(now.keys() | before.keys())
        if now.get(key) != before.get(key) and not key.startswith(free)
    ]
    if changed:
        raise ValueError(
            f"the run in {workdir} has another config: {'; '.join(changed)}; resume "
            "it with the same fields (folders may move, with the same identity.json "
            "and tracks in them), or give another workdir"
        )


def _flat(config: dict, prefix: str = "") -> dict:
    """Fields by their dotted names; tuples as lists, as JSON has them."""
    flat = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = list(value) if isinstance(value, tuple) else value
    return flat
