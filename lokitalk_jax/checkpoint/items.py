"""The items of a checkpoint: how a state is split into them, and their shapes."""

import hashlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from lokitalk_jax import sharding
from lokitalk_jax.structs import TrainState


class Misfit(ValueError):
    """A checkpoint of another model."""


def split(state: TrainState) -> dict[str, Any]:
    """The items of a state, by name."""
    return {
        "shared": state.params["shared"],
        "identity": state.params["identity"],
        "optimizer": state.moments,
        "state": {"density": state.density, "step": state.step},
    }


def join(items: Mapping[str, Any], template: TrainState) -> TrainState:
    """The state of items; fields that are in none of them are those of `template`."""
    return template._replace(
        params={"shared": items["shared"], "identity": items["identity"]},
        moments=items["optimizer"],
        **items["state"],
    )


def resize_slots(state: TrainState, filler: TrainState, count: int) -> TrainState:
    """`state` with `count` slots: cut, or padded with slots of `filler`."""

    def resize(path, leaf, fill):
        if not sharding.leads_with_identity(path) or leaf.ndim == 0:
            return leaf
        if leaf.shape[0] >= count:
            return leaf[:count]
        return jnp.concatenate([leaf, fill[leaf.shape[0] : count]])

    return jax.tree_util.tree_map_with_path(resize, state, filler)


def refuse_misfit(folder: pathlib.Path, wanted: Mapping[str, Any]) -> None:
    """Refuses a checkpoint of another model.

    Orbax would refuse it too, but without naming a leaf, and with reads unfinished.

    Args:
      folder: of the checkpoint.
      wanted: trees of arrays or their shapes, by item. Of `state`, the stored item may
        hold more.

    Raises:
      Misfit: an item is missing, or a leaf is missing or has another shape.
    """
    handler = ocp.PyTreeCheckpointHandler()
    for item, tree in wanted.items():
        path: Any = folder / item
        if not path.is_dir():
            raise Misfit(
                f"{path} is missing; move {folder} away, and the checkpoint before it "
                "is used"
            )
        asked, stored = _shapes(tree), _shapes(handler.metadata(path).tree)
        names = asked.keys() if item == "state" else asked.keys() | stored.keys()
        for name in sorted(names):
            if asked.get(name) != stored.get(name):
                raise Misfit(
                    f"the checkpoint {path} does not fit this config's model: {name} "
                    f"is {stored.get(name, 'absent')}, the config's "
                    f"{asked.get(name, 'absent')}; use the config of the run, or "
                    "another workdir"
                )


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    """Shapes of a tree's leaves, by their names."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): tuple(leaf.shape)
        for path, leaf in leaves
    }


def config_hash(config: dict) -> str:
    """Twelve digits that distinguish configs, whatever the order of their fields."""
    text = json.dumps(config, sort_keys=True, default=list)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
