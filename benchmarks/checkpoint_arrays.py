"""Compares checkpoints, array by array: bit by bit, or by how far they are apart."""

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


def largest_share(
    one: pathlib.Path, other: pathlib.Path, step: int, since: int
) -> float:
    """How far apart two runs are, at the array where it is most.

    Args:
      one: a run with checkpoints at both steps.
      other: a run with a checkpoint at `step`.
      step: that is compared.
      since: an earlier one.

    Returns:
      the distance, as a share of that which the array of `one` moved since then.
    """
    ours, theirs, before = read(one, step), read(other, step), read(one, since)
    shares = [0.0]
    for name in ours:
        here = ours[name].astype(float)
        apart, moved = (float(np.linalg.norm(here - x[name])) for x in (theirs, before))
        if apart:
            shares.append(apart / moved if moved else np.inf)
    return max(shares)
