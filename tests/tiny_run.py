"""A real run of a tiny model on two people of the demo cast, trained in seconds."""

import pathlib
from typing import NamedTuple

import tiny_model

from lokitalk_jax import demo
from lokitalk_jax.training import trainer


class TinyRun(NamedTuple):
    """Where the run and the identity folders are; names of the latter."""

    workdir: pathlib.Path
    data: pathlib.Path
    names: list[str]


def make(root: pathlib.Path) -> None:
    """Trains it in a folder."""
    demo.make_cast(root / "data", identities=2, seconds=2, size=48, workers=1)
    # Left as it is, so that other tests may have compiled its programs before.
    c = tiny_model.config(encoder=True)
    c.data.root = str(root / "data")
    trainer.train(c, root / "run")


def at(root: pathlib.Path) -> TinyRun:
    """The run in a folder that `make` filled."""
    names = sorted(path.parent.name for path in root.glob("data/*/identity.json"))
    return TinyRun(root / "run", root / "data", names)
