"""Compares checkpoints, array by array and bit by bit."""

import pathlib

import numpy as np

ITEMS = ("shared", "identity", "optimizer", "state", "signals")


def read(workdir: pathlib.Path, step: int) -> dict[str, np.ndarray]:
    """All arrays of a checkpoint, by their names."""
    import jax
    import orbax.checkpoint as ocp

    found = {}
    for item in ITEMS:
        path = workdir / "checkpoints" / str(step) / item
        with ocp.PyTreeCheckpointer() as reader:
            tree = reader.metadata(path).item_metadata.tree
            as_numpy = jax.tree.map(
                lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree
            )
            restored = reader.restore(path, restore_args=as_numpy)
        for name, leaf in jax.tree_util.tree_leaves_with_path(restored):
            found[item + jax.tree_util.keystr(name)] = np.asarray(leaf)
    return found


def differing(
    one: pathlib.Path, other: pathlib.Path, step: int
) -> tuple[int, dict[str, float]]:
    """The number of arrays, and the largest difference of each that is not equal.

    Raises:
      ValueError: the two checkpoints hold other arrays.
    """
    ours, theirs = read(one, step), read(other, step)
    if ours.keys() != theirs.keys():
        raise ValueError(f"{one} and {other} hold other arrays at step {step}")
    return len(ours), {
        name: float(np.abs(ours[name].astype(float) - theirs[name]).max())
        for name in ours
        if ours[name].tobytes() != theirs[name].tobytes()
    }
