"""Rendering an identity that a prior was not trained on, without any training.

The prior's identity encoder predicts the identity's residual from reference frames;
where there is no encoder, the mean residual of the prior's identities takes its place.
"""

import os

import jax
import jax.numpy as jnp

from lokitalk_jax.avatar import drivers, frames
from lokitalk_jax.avatar.run import OpenAvatar, OpenRun, assemble
from lokitalk_jax.data import references
from lokitalk_jax.data.clip_records import ClipRecord
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.model import identity
from lokitalk_jax.structs import AvatarParams, References

# Where the residual of a new identity comes from.
STARTS = ("encoder", "mean")

_REFERENCES = 8  # frames that the encoder sees of a new identity
_GRID_FRAMES = 8  # frames whose largest density makes the density grid


def build_avatar(
    prior: OpenRun, folder: str | os.PathLike, start: str = "encoder"
) -> tuple[OpenAvatar, Dataset]:
    """An identity that a prior was not trained on, ready to render.

    Args:
      prior: the run; with an identity encoder, if `start` is "encoder".
      folder: the identity folder. References are training frames.
      start: see `initial_residual`.

    Returns:
      the avatar, and the clip at the prior's size.

    Raises:
      ValueError: this is not an identity folder, or the prior has no encoder.
    """
    if start == "encoder" and not prior.model.encoder:
        raise ValueError(
            f"{prior.workdir} has no identity encoder; give a run of config=multi_id, "
            "as adapted runs keep none"
        )
    (record, _), data = drivers.open_clip(prior, folder)
    residual = initial_residual(prior, start, reference_batch(prior, data, record))
    params = with_density_grid(prior, prior.shared, residual, record)
    return assemble(prior.model, prior.config, record, params), data


def initial_residual(
    prior: OpenRun, start: str, seen: References | None, offset: bool = True
) -> dict:
    """The first residual of a new identity on a prior's base, leaves without N.

    Args:
      prior: the run.
      start: "encoder", as the encoder predicts it from references; or "mean", the mean
        of the prior's identities. Parameters that the encoder does not predict are the
        mean in both; the torso's gains are 1, so that it moves as its track.
      seen: references of the identity, leaves [K, ...]; not read for the mean.
      offset: whether the identity has a canonical offset.

    Returns:
      a tree as of `identity.init_residuals`, without N.
    """
    mean = jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), prior.residuals)
    base = prior.shared["base"]
    mean["grid"] = jnp.zeros_like(base["grid"])
    mean["gains"] = jnp.array(identity.GAINS) - base["gains"]
    predicted = {}
    if start == "encoder":
        assert prior.model.encoder  # checked by callers
        predicted = jax.jit(prior.model.encoder.apply)(prior.shared["encoder"], seen)
    residual = mean | predicted
    return {k: v for k, v in residual.items() if k != "grid" or offset}


def reference_batch(
    prior: OpenRun, data: Dataset, record: ClipRecord
) -> References | None:
    """References [K, ...] of a clip for a prior's encoder; None if it has none."""
    spec = references.from_config(prior.config)
    if spec is None:
        return None
    chosen = references.spread(record.train_frames, _REFERENCES)
    return references.make(data, chosen, record.signals.head, spec)


def with_density_grid(
    prior: OpenRun, shared: dict, residual: dict, record: ClipRecord
) -> AvatarParams:
    """Parameters of a new identity, with a density grid over some of its frames.

    Args:
      prior: the run.
      shared: shared parameters, the prior's or others of the same shapes.
      residual: of the identity, see `initial_residual`.
      record: of the identity's clip.
    """
    chosen = references.spread(record.train_frames, _GRID_FRAMES)
    signals = jax.tree.map(lambda leaf: leaf[chosen], record.signals)
    params = AvatarParams(shared, identity.combine(shared["base"], residual))
    grid = frames.build_density_grid(prior.model, params, signals)
    return params._replace(density_grid=grid)
