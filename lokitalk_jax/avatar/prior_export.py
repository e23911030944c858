"""Exports a prior without its identities, for other runs to start from.

Kept are the shared parameters with the encoder, the basis of the lip signal and the
config. The residuals become their mean, without canonical grid; clips, sounds and
moments of the optimiser are left out. The result is a run like any other, of one
identity that cannot be rendered: it can only be adapted.
"""

import os
import pathlib

import jax
import numpy as np

from lokitalk_jax.avatar import zero_shot
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.checkpoint.store import Checkpoints
from lokitalk_jax.model import sampling
from lokitalk_jax.structs import TrainState

NAME = "mean"


def export(run: OpenRun, out: str | os.PathLike) -> pathlib.Path:
    """Writes the prior of a run into a new folder.

    Args:
      run: of several identities.
      out: the folder, new or empty.

    Returns:
      the folder.

    Raises:
      ValueError: the folder holds something, or the run has a single identity, and the
        mean would be a copy of it.
    """
    out = pathlib.Path(out)
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"out={out} holds files; give a new or empty folder")
    if len(run.identities) < 2:
        raise ValueError(
            f"{run.workdir} was trained on one identity, {run.identities[0]}, so its "
            "prior would show that person; train a run of several identities"
        )
    residual = zero_shot.initial_residual(
        run, "mean", None, run.config.model.identity_offset
    )
    identity = jax.tree.map(lambda leaf: np.asarray(leaf)[None], residual)
    state = TrainState(
        seed=np.uint32(0),
        step=np.int32(run.step),
        ids=np.zeros(1, np.uint32),
        first_bad=np.full(1, -1, np.int32),
        params={"shared": run.shared, "identity": identity},
        moments={"none": np.zeros(1, np.float32)},
        density=np.asarray(sampling.init_density(run.model.sampling))[None],
    )
    config = run.config.copy_and_resolve_references()
    config.data.root = config.data.cache = config.prior = ""
    checkpoints = Checkpoints(out, every=1, keep=1)
    checkpoints.save(run.step, state, [NAME], _mean_signals(run), config.to_dict(), {})
    checkpoints.close()
    # On a disk nothing reads these files, which name the folder they were written to.
    for path in out.rglob("commit_success.txt"):
        path.unlink()
    return out


def _mean_signals(run: OpenRun) -> dict:
    """Arrays of the fitted signals, the mean over identities; the basis as it is."""
    arrays = run.fitted.to_arrays()
    basis = arrays.pop("lip_basis")

    def mean(leaf: np.ndarray) -> np.ndarray:
        return leaf.mean(0, keepdims=True).astype(leaf.dtype)

    return jax.tree.map(mean, arrays) | {"lip_basis": basis}
