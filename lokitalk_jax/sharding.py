"""Placement of arrays: a mesh of identities by rays, and two rules.

Leaves below the exact key `identity` (residuals, their moments), density grids, `ids`
and `first_bad` lead with N and are split over the mesh axis `identity`; everything else
is on every device. Rays of a batch are also split over the axis `data`. One device is a
mesh of (1, 1): a laptop and a cluster run the same program.
"""

import math

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from lokitalk_jax.structs import Batch

_RAYS = {"pixels", "rgb", "plate", "alpha", "regions"}
_LEADS_WITH_N = {"identity", "density", "first_bad", "ids"}


def make_mesh(identities: int, identity_axis: int = 0, devices=None) -> Mesh:
    """A mesh ('identity', 'data') over all devices.

    Args:
      identities: number of identities in training.
      identity_axis: devices along the first axis; 0 chooses the largest divisor of
        the device count that is not above the number of identities.
      devices: of the mesh; None takes all.

    Raises:
      ValueError: the device count is no multiple of `identity_axis`.
    """
    devices = jax.devices() if devices is None else devices
    count = len(devices)
    if not identity_axis:
        identity_axis = max(
            n for n in range(1, min(identities, count) + 1) if count % n == 0
        )
    if count % identity_axis:
        raise ValueError(
            f"mesh.identity={identity_axis} does not divide the {count} devices; give "
            "a divisor, or 0 to choose one"
        )
    return jax.make_mesh(
        (identity_axis, count // identity_axis),
        ("identity", "data"),
        axis_types=(AxisType.Auto,) * 2,
        devices=devices,
    )


def padded(identities: int, mesh: Mesh) -> int:
    """N: identities, padded with empty slots to a multiple of the mesh axis."""
    lanes = mesh.shape["identity"]
    return math.ceil(identities / lanes) * lanes


def leads_with_identity(path: tuple) -> bool:
    """Whether the leaf at a tree path has the leading axis N."""
    names = {getattr(entry, "key", getattr(entry, "name", None)) for entry in path}
    return bool(names & _LEADS_WITH_N)


def splits(path: tuple, leaf) -> bool:
    """Whether a leaf of a train state has the leading axis N.

    Scalars of the optimiser below `identity` (step counts) have no axis.
    """
    return leads_with_identity(path) and leaf.ndim > 0


def state_shardings(state, mesh: Mesh):
    """Shardings of a train state, by the two rules."""

    def place(path, leaf):
        return NamedSharding(mesh, P("identity") if splits(path, leaf) else P())

    return jax.tree_util.tree_map_with_path(place, state)


def batch_shardings(batch: Batch, mesh: Mesh) -> Batch:
    """Shardings of a batch: rays over both axes, other leaves over `identity`."""

    def place(path, _):
        axes = ("identity", None, "data") if path[0].name in _RAYS else ("identity",)
        return NamedSharding(mesh, P(*axes))

    return jax.tree_util.tree_map_with_path(place, batch)


def owned_slots(count: int, mesh: Mesh) -> list[int]:
    """Slots of the axis N whose data this process must load."""
    sharding = NamedSharding(mesh, P("identity"))
    slots = set()
    for index in sharding.addressable_devices_indices_map((count,)).values():
        assert index is not None  # a process has devices
        slots.update(range(*index[0].indices(count)))
    return sorted(slots)


def put_batch(local: Batch, slots: list[int], count: int, mesh: Mesh) -> Batch:
    """A global batch from the slots that this process loaded.

    Args:
      local: leaves lead with those slots, in the order of `slots`.
      slots: see `owned_slots`.
      count: N.
      mesh: the mesh.
    """
    return _put(local, slots, count, batch_shardings(local, mesh))


def put_by_identity(local, slots: list[int], count: int, mesh: Mesh):
    """Global arrays [N, ...] from the slots of this process.

    Args:
      local, slots, count, mesh: see `put_batch`.
    """
    return _put(local, slots, count, jax.tree.map(lambda _: by_identity(mesh), local))


def _put(local, slots: list[int], count: int, shardings):
    row = {slot: i for i, slot in enumerate(slots)}

    def put(leaf: np.ndarray, sharding: NamedSharding) -> jax.Array:
        def block(index):
            rows = [row[slot] for slot in range(*index[0].indices(count))]
            return leaf[rows][(slice(None), *index[1:])]

        return jax.make_array_from_callback((count, *leaf.shape[1:]), sharding, block)

    return jax.tree.map(put, local, shardings)


def by_identity(mesh: Mesh) -> NamedSharding:
    """Sharding of values that lead with N."""
    return NamedSharding(mesh, P("identity"))


def fetch(by_identity):
    """A tree of values [N] on the host of every process, whichever holds them."""
    if jax.process_count() == 1:
        return jax.device_get(by_identity)
    return multihost_utils.process_allgather(by_identity, tiled=True)


def local(tree):
    """Values of replicated leaves, on this process's first device."""
    return jax.tree.map(lambda leaf: leaf.addressable_shards[0].data, tree)


def local_slice(tree, slot: int):
    """Row `slot` of leaves that lead with N.

    Raises:
      ValueError: another process owns the slot.
    """

    def take(leaf: jax.Array):
        for shard in leaf.addressable_shards:
            rows = range(*shard.index[0].indices(leaf.shape[0]))
            if slot in rows:
                return shard.data[slot - rows.start]
        raise ValueError(f"slot={slot} is on another process; see `owned_slots`")

    return jax.tree.map(take, tree)
