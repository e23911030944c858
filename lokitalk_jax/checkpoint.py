"""Checkpoints: separate items, so that what another run needs restores alone.

    <run>/checkpoints/<step>/shared      parameters of all identities
                             identity    what is each identity's own, leading axis N
                             optimizer   its moments
                             state       density grids [N, ...] and the step
                             signals     what was fitted on training frames
                             config      the run's config, as resolved
                             meta        step, identity names, config hash, versions

N on disk is the number of identities: slots that only pad a mesh are left out, and
made anew when a run is restored onto another one.
"""

import hashlib
import importlib.metadata
import json
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from jax.sharding import Mesh, NamedSharding, SingleDeviceSharding
from jax.sharding import PartitionSpec as P
from orbax.checkpoint import checkpoint_managers as policies

from lokitalk_jax import sharding
from lokitalk_jax.structs import TrainState

_VERSIONS = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def config_hash(config: dict) -> str:
    """Twelve digits that tell configs apart, whatever the order of their fields."""
    text = json.dumps(config, sort_keys=True, default=list)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _items(state: TrainState) -> dict[str, Any]:
    return {
        "shared": state.params["shared"],
        "identity": state.params["identity"],
        "optimizer": state.moments,
        "state": {"density": state.density, "step": state.step},
    }


def _state(items: dict[str, Any], template: TrainState) -> TrainState:
    return template._replace(
        params={"shared": items["shared"], "identity": items["identity"]},
        moments=items["optimizer"],
        **items["state"],
    )


def _resize_slots(state: TrainState, filler: TrainState, count: int) -> TrainState:
    """`state` with `count` slots: cut, or filled up from `filler`."""

    def resize(path, leaf, fill):
        if not sharding.leads_with_identity(path) or leaf.ndim == 0:
            return leaf
        if leaf.shape[0] >= count:
            return leaf[:count]
        return jnp.concatenate([leaf, fill[leaf.shape[0] : count]])

    return jax.tree_util.tree_map_with_path(resize, state, filler)


def _shapes(tree) -> dict[str, tuple[int, ...]]:
    """Shapes of a tree's leaves by their names."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): tuple(leaf.shape)
        for path, leaf in leaves
    }


def _host_device() -> jax.Device:
    """The CPU, which holds more than an accelerator; that one where JAX has no CPU."""
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
          every: steps between saves that `save` decides on; None opens the run to
            read only, while another process may be training it.
          keep: the latest ones that are kept; None with `every`.
        """
        self.path = (workdir / "checkpoints").resolve()
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

    def due(self, step: int) -> bool:
        """Whether `save` would write at `step`."""
        return self._manager.should_save(step)

    def reached_preemption(self, step: int) -> bool:
        """Whether the cluster asked for this process to stop."""
        return self._manager.reached_preemption(step)

    def save(
        self,
        step: int,
        state: TrainState,
        identities: list[str],
        fitted: dict,
        config: dict,
        force: bool = False,
    ) -> None:
        """Saves a state; returns before the files are written.

        Args:
          step: steps done.
          state: its slots beyond `identities` are left out.
          identities: names, in the order of the axis N.
          fitted: arrays of `signals.Fitted`.
          config: as resolved.
          force: save whatever the policy says.
        """
        if self.latest_step() == step:
            return
        count = len(identities)
        if state.density.shape[0] != count:
            state = jax.jit(_resize_slots, static_argnums=2)(state, state, count)
        items = {k: ocp.args.StandardSave(v) for k, v in _items(state).items()}
        meta = {
            "step": step,
            "identities": identities,
            "config_hash": config_hash(config),
            "versions": {name: importlib.metadata.version(name) for name in _VERSIONS},
        }
        self._manager.save(
            step,
            args=ocp.args.Composite(
                **items,
                signals=ocp.args.StandardSave(fitted),
                config=ocp.args.JsonSave(config),
                meta=ocp.args.JsonSave(meta),
            ),
            force=force,
        )

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
        self._refuse_misfit(step, wanted.params, wanted.density)
        args = {k: ocp.args.StandardRestore(v) for k, v in _items(wanted).items()}
        restored = self._manager.restore(step, args=ocp.args.Composite(**args))
        state = _state({k: restored[k] for k in args}, template)
        if count == slots:
            return state
        return jax.jit(
            _resize_slots,
            static_argnums=2,
            out_shardings=sharding.state_shardings(template, mesh),
        )(state, template, slots)

    def restore_params(
        self, step: int, params: dict, density: jax.ShapeDtypeStruct
    ) -> tuple[dict, jax.Array]:
        """Restores what rendering needs, and nothing else, into host memory.

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
        self._refuse_misfit(step, params, density)
        host = SingleDeviceSharding(_host_device())
        wanted = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=host),
            {**params, "state": {"density": density}},
        )
        args = {
            k: ocp.args.PyTreeRestore(
                v,
                restore_args=ocp.checkpoint_utils.construct_restore_args(v),
                partial_restore=k == "state",
            )
            for k, v in wanted.items()
        }
        restored = self._manager.restore(step, args=ocp.args.Composite(**args))
        found = {k: restored[k] for k in params}
        return found, restored["state"]["density"]

    def _refuse_misfit(self, step: int, params: dict, density) -> None:
        """Raises ValueError where a checkpoint is not of the model that is asked for.

        Orbax would notice too, but name no leaf, and leave reads unfinished.
        """
        handler = ocp.PyTreeCheckpointHandler()
        for item, wanted in {**params, "state": {"density": density}}.items():
            path = self.path / str(step) / item
            if not path.is_dir():
                raise ValueError(f"{path} is missing; the checkpoint is not complete")
            asked, stored = _shapes(wanted), _shapes(handler.metadata(path).tree)
            names = asked.keys() if item == "state" else asked.keys() | stored.keys()
            for name in sorted(names):
                if asked.get(name) != stored.get(name):
                    raise ValueError(
                        f"the checkpoint {path} does not fit this config's model: "
                        f"{name} is {stored.get(name, 'absent')}, the config's "
                        f"{asked.get(name, 'absent')}; use the config of the run, or "
                        "another --workdir"
                    )

    def meta(self, step: int) -> dict:
        """The item `meta`."""
        return self._json(step, "meta")

    def config(self, step: int) -> dict:
        """The item `config`."""
        return self._json(step, "config")

    def _json(self, step: int, item: str) -> dict:
        args = ocp.args.Composite(**{item: ocp.args.JsonRestore()})
        return self._manager.restore(step, args=args)[item]

    def signals(self, step: int) -> dict:
        """The item `signals`, NumPy arrays."""
        args = ocp.args.Composite(signals=ocp.args.StandardRestore())
        return jax.tree.map(
            np.asarray, self._manager.restore(step, args=args)["signals"]
        )

    def wait(self) -> None:
        """Returns when what was saved is on disk."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Finishes writing."""
        self._manager.close()


def open_run(workdir: pathlib.Path, step: int | None = None) -> tuple[Checkpoints, int]:
    """The checkpoints of a finished or running run, to read, and a step of them.

    Args:
      workdir: the run.
      step: wanted; None takes the latest.

    Raises:
      ValueError: there is no run, it has no complete checkpoint, or none of `step`.
    """
    if not (workdir / "checkpoints").is_dir():
        raise ValueError(
            f"{workdir} is not a run: it has no folder checkpoints; train one with "
            f"train.py --config=... --workdir={workdir}"
        )
    checkpoints = Checkpoints(workdir, every=None, keep=None)
    steps = checkpoints.steps()
    if not steps:
        checkpoints.close()
        raise ValueError(
            f"{workdir} holds no complete checkpoint; train longer, or lower "
            "--config.train.checkpoint_every"
        )
    if step is not None and step not in steps:
        checkpoints.close()
        raise ValueError(
            f"{workdir} holds no checkpoint of step {step}, only of "
            f"{', '.join(map(str, steps))}; keep more with --config.train.keep"
        )
    return checkpoints, steps[-1] if step is None else step
