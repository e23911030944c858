"""Saving and restoring checkpoints.

    <run>/checkpoints/<step>/shared      parameters that all identities share
                             identity    residuals of the identities, leading axis N
                             optimizer   moments
                             state       density grids [N, ...] and the step
                             signals     fitted parameters of the signals
                             config      the run's config, resolved
                             meta        step, identity names, config hash, versions

N on disk is the number of identities: slots that only pad a mesh are not saved, and are
fresh when a run is restored.
"""

import contextlib
import importlib.metadata
import logging
import os
import pathlib
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import chex
import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.sharding import Mesh, NamedSharding, SingleDeviceSharding
from jax.sharding import PartitionSpec as P
from orbax.checkpoint import checkpoint_managers as policies

from lokitalk_jax import files, sharding
from lokitalk_jax.checkpoint import items
from lokitalk_jax.structs import TrainState

_OS_ERROR = re.compile(r"os_error_code='(\d+)'")
# Orbax warns of every run that is opened to be read only.
logging.getLogger("absl").addFilter(
    lambda record: "directory is read only" not in record.getMessage()
)
_VERSIONS = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def _host_device() -> Any:
    """The CPU, which has more memory than an accelerator; else the first device."""
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:
        return jax.local_devices()[0]


class Checkpoints:
    """The checkpoints of one run, written in the background."""

    def __init__(self, workdir: pathlib.Path, every: int | None, keep: int | None):
        """Opens or makes `<workdir>/checkpoints`.

        Args:
          workdir: the run.
          every: steps between the saves that are `due`; None opens the run to read
            only, while another process may train it.
          keep: number of the latest checkpoints that are kept; None with `every`.
        """
        self.path = (workdir / "checkpoints").resolve()
        self._keep = keep
        if every is None:
            options = ocp.CheckpointManagerOptions(
                read_only=True, create=False, save_interval_steps=0
            )
        else:
            options = ocp.CheckpointManagerOptions(
                save_decision_policy=policies.AnySavePolicy(
                    [
                        policies.FixedIntervalPolicy(every),
                        policies.PreemptionCheckpointingPolicy(),
                    ]
                ),
                preservation_policy=policies.LatestN(keep),
            )
        self._manager = ocp.CheckpointManager(self.path, options=options)

    def latest_step(self) -> int | None:
        """Step of the newest complete checkpoint."""
        return self._manager.latest_step()

    def steps(self) -> list[int]:
        """Steps of the complete checkpoints that are kept, in order."""
        return sorted(self._manager.all_steps())

    def prune(self) -> None:
        """Removes checkpoints above `keep`, which killed processes have left."""
        assert self._keep is not None  # opened for writing
        for step in self.steps()[: -self._keep]:
            self._manager.delete(step)

    def due(self, step: int) -> bool:
        """Whether a checkpoint is due at `step`."""
        return self._manager.should_save(step)

    def save(
        self,
        step: int,
        state: TrainState,
        identities: list[str],
        fitted: dict,
        config: dict,
        origin: dict,
    ) -> None:
        """Saves a state; returns before the files are written.

        Args:
          step: steps done.
          state: its slots beyond `identities` are not saved.
          identities: names, in the order of the axis N.
          fitted: arrays of `signals.Fitted`.
          config: resolved.
          origin: digests of data and prior, see `Session.origin`.

        Raises:
          OSError: this or an earlier checkpoint could not be written.
        """
        if self.latest_step() == step:
            return
        count = len(identities)
        if state.density.shape[0] != count:
            state = jax.jit(items.resize_slots, static_argnums=2)(state, state, count)
        parts = {k: ocp.args.StandardSave(v) for k, v in items.split(state).items()}
        meta = {
            "step": step,
            "identities": identities,
            "origin": origin,
            "config_hash": items.config_hash(config),
            "versions": {name: importlib.metadata.version(name) for name in _VERSIONS},
        }
        args = ocp.args.Composite(
            **parts,
            signals=ocp.args.StandardSave(fitted),
            config=ocp.args.JsonSave(config),
            meta=ocp.args.JsonSave(meta),
        )
        with self._writing():
            self._manager.save(step, args=args, force=True)

    def wait(self) -> None:
        """Waits until the last checkpoint is written.

        Raises:
          OSError: it could not be written.
        """
        with self._writing():
            self._manager.wait_until_finished()

    def restore(self, step: int, template: TrainState, mesh: Mesh) -> TrainState:
        """Restores a state onto a mesh, whatever mesh it was saved from.

        Args:
          step: of the checkpoint.
          template: a fresh state on `mesh`; its padding slots are used.
          mesh: where the state goes.

        Raises:
          ValueError: the checkpoint holds other parameters than `template`.
        """
        count = len(self.meta(step)["identities"])
        slots = template.density.shape[0]

        def target(path, leaf):
            shape, spec = leaf.shape, P()
            if sharding.leads_with_identity(path) and leaf.ndim:
                shape = (count, *shape[1:])
                spec = P("identity") if count == slots else P()
            return jax.ShapeDtypeStruct(
                shape, leaf.dtype, sharding=NamedSharding(mesh, spec)
            )

        wanted = jax.tree_util.tree_map_with_path(target, template)
        grids = {"state": {"density": wanted.density}}
        with self._reading(step):
            items.refuse_misfit(self._folder(step), {**wanted.params, **grids})
        parts = items.split(wanted)
        args = {k: ocp.args.StandardRestore(v) for k, v in parts.items()}
        with self._reading(step):
            restored = self._manager.restore(step, args=ocp.args.Composite(**args))
            state = items.join({k: restored[k] for k in args}, template)
        if count != slots:
            state = jax.jit(
                items.resize_slots,
                static_argnums=2,
                out_shardings=sharding.state_shardings(template, mesh),
            )(state, template, slots)
        chex.assert_trees_all_equal_shapes_and_dtypes(state, template)
        return state

    def restore_params(
        self, step: int, params: dict, density: jax.ShapeDtypeStruct
    ) -> tuple[dict, jax.Array]:
        """Restores parameters and density grids only, into host memory.

        Args:
          step: of the checkpoint.
          params: shapes of {'shared': ..., 'identity': ...}, the latter with a row for
            each identity of the run.
          density: shape of the density grids, [N, X, Y, Z].

        Returns:
          parameters and density grids.

        Raises:
          ValueError: the checkpoint holds other parameters than `params`.
        """
        wanted = {**params, "state": {"density": density}}
        with self._reading(step):
            items.refuse_misfit(self._folder(step), wanted)
        host = SingleDeviceSharding(_host_device())
        placed = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=host),
            wanted,
        )
        args = {
            k: ocp.args.PyTreeRestore(
                v,
                restore_args=ocp.checkpoint_utils.construct_restore_args(v),
                partial_restore=k == "state",
            )
            for k, v in placed.items()
        }
        with self._reading(step):
            restored = self._manager.restore(step, args=ocp.args.Composite(**args))
            restored = {k: restored[k] for k in args}
        chex.assert_trees_all_equal_shapes_and_dtypes(restored, wanted)
        return {k: restored[k] for k in params}, restored["state"]["density"]

    def meta(self, step: int) -> dict:
        """The item `meta`.

        Raises:
          ValueError: it is damaged. The methods below raise it too.
        """
        found = self._json(step, "meta")
        names, config_hash = found.get("identities"), found.get("config_hash")
        named = isinstance(names, list) and all(isinstance(n, str) for n in names)
        if not (names and named and isinstance(config_hash, str)):
            raise ValueError(self._damaged(step, f"identities {names!r} in its meta"))
        return found

    def config(self, step: int) -> dict:
        """The item `config`."""
        return self._json(step, "config")

    def _json(self, step: int, item: str) -> dict:
        args = ocp.args.Composite(**{item: ocp.args.JsonRestore()})
        with self._reading(step):
            found = self._manager.restore(step, args=args)[item]
        if not isinstance(found, dict):
            raise ValueError(self._damaged(step, f"its {item} is {found!r}"))
        return found

    def signals(self, step: int) -> dict:
        """The item `signals`, NumPy arrays."""
        args = ocp.args.Composite(signals=ocp.args.StandardRestore())
        with self._reading(step):
            found = self._manager.restore(step, args=args)["signals"]
        return jax.tree.map(np.asarray, found)

    @contextlib.contextmanager
    def _reading(self, step: int) -> Iterator[None]:
        """Turns errors of Orbax and TensorStore, of many types, into a ValueError."""
        try:
            yield
        except (items.Misfit, jax.errors.JaxRuntimeError):
            raise
        except Exception as error:
            found = textwrap.shorten(str(error) or type(error).__name__, 200)
            raise ValueError(self._damaged(step, found)) from error

    def _damaged(self, step: int, found: str) -> str:
        return (
            f"the checkpoint {self._folder(step)} is damaged ({found}); move that "
            "folder away, and the checkpoint before it is used"
        )

    def _folder(self, step: int) -> pathlib.Path:
        return self.path / str(step)

    def close(self) -> None:
        """Finishes writing.

        Raises:
          OSError: a checkpoint could not be written.
        """
        with self._writing():
            self._manager.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Turns TensorStore's errors of the operating system into an OSError."""
        try:
            with files.naming(self.path):
                yield
        except ValueError as error:
            code = _OS_ERROR.search(str(error))
            if code is None:
                raise
            number = int(code[1])
            raise OSError(number, os.strerror(number), str(self.path)) from error


def last_saved(workdir: pathlib.Path) -> int:
    """Step of the newest complete checkpoint of a run, or 0; does not open it."""
    names = [path.name for path in (workdir / "checkpoints").glob("[0-9]*")]
    return max((int(name) for name in names if name.isdigit()), default=0)


def open_run(workdir: pathlib.Path, step: int | None = None) -> tuple[Checkpoints, int]:
    """The checkpoints of a run, to read only, and the step of one of them.

    Args:
      workdir: the run, which may be in training.
      step: of the checkpoint; None takes the latest.

    Raises:
      ValueError: there is no run, it has no complete checkpoint, or none of `step`.
    """
    if not (workdir / "checkpoints").is_dir():
        raise ValueError(
            f"{workdir} is not a run: it has no folder checkpoints; train one with "
            f"workdir={workdir}"
        )
    checkpoints = Checkpoints(workdir, every=None, keep=None)
    steps = checkpoints.steps()
    if not steps:
        checkpoints.close()
        raise ValueError(
            f"{workdir} holds no complete checkpoint; train longer, or lower "
            "train.checkpoint_every"
        )
    if step is not None and step not in steps:
        checkpoints.close()
        raise ValueError(
            f"{workdir} holds no checkpoint of step {step}, only of "
            f"{', '.join(map(str, steps))}; keep more with train.keep=NUMBER"
        )
    return checkpoints, steps[-1] if step is None else step
