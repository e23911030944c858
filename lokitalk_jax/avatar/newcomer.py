"""A person that a prior has not seen: how they start, and how they look at once."""

import logging
import pathlib
from collections.abc import Iterable

import jax
import jax.numpy as jnp
import ml_collections

from lokitalk_jax import structs
from lokitalk_jax.avatar import frames
from lokitalk_jax.avatar.run import Avatar, Run, assemble
from lokitalk_jax.data import clip_records, folder, references, signals
from lokitalk_jax.data.dataset import Dataset, read_tracks
from lokitalk_jax.model import canonical, identity

_LOG = logging.getLogger(__name__)

STARTS = ("encoder", "mean")

_REFERENCES = 8  # frames that the encoder sees of a newcomer
_SURVEYED = 8  # frames in which a newcomer is looked for

# What the density of a prior that goes on learning is divided by, in powers of e, for
# surfaces to find their place again: another person's shoulders stand elsewhere, and
# what starts opaque stays. At 2 torsos gain 1 dB and heads lose 0.2; at 1 torsos gain
# as much with the network rate of configs/adapt.py, and nothing for sure without it.
_THINNER = 1.0

# Sections of a config that belong to a prior's parameters, and what in them does not.
_INHERITED = ("model", "grid", "scene", "sampling")
_ONES_OWN = ("model.identity_offset",)


def refuse_inherited(fields: Iterable[str]) -> None:
    """Refuses fields of a config, "section.name", that a prior would replace.

    Raises:
      ValueError: one of them is the prior's to say.
    """
    for field in fields:
        if field.split(".")[0] in _INHERITED and field not in _ONES_OWN:
            raise ValueError(
                f"--config.{field} has no effect where a prior is adapted, whose "
                "sizes are its own; leave it out, or pretrain a prior with it"
            )


def inherit(config: ml_collections.ConfigDict, prior: Run) -> ml_collections.ConfigDict:
    """A config with the sizes of a prior, for people who adapt it.

    Raises:
      ValueError: `config.start` is unknown, or asks for an encoder that the prior does
        not have.
    """
    if config.start not in STARTS:
        raise ValueError(f"start is {config.start!r}; it must be one of {STARTS}")
    if config.start == "encoder" and not prior.config.model.encoder:
        raise ValueError(
            f"the prior {prior.workdir} has no identity encoder; give "
            "--config.start=mean, or pretrain with --config.model.encoder=True"
        )
    config = config.copy_and_resolve_references()
    offset = config.model.identity_offset
    for section in _INHERITED:
        config[section] = prior.config[section].copy_and_resolve_references()
    # What the encoder says is written down once, and is one's own from then on.
    config.model.encoder = False
    config.model.own_dropout = 0.0
    config.model.identity_offset = offset
    return config


def warn_of_known(prior: Run, names: Iterable[str]) -> None:
    """Says so where people who are adapted bear the names of a prior's own."""
    for name in sorted(set(names) & set(prior.identities)):
        _LOG.warning(
            "the prior %s knows a %s already: render them with --workdir=%s "
            "--identity=%s, or go on if this is a new clip or somebody else",
            prior.workdir,
            name,
            prior.workdir,
            name,
        )


def shared_parts(prior: Run, frozen: bool) -> dict:
    """A prior's shared parameters as newcomers start from them.

    Without the encoders, which adapting does not need, and, where they are not frozen,
    with thinner surfaces, which can still move.
    """
    shared = prior.shared
    encoders = ("encoder", "voice")
    shared = {name: part for name, part in shared.items() if name not in encoders}
    if frozen:
        return shared
    return shared | {"static": canonical.thinned(shared["static"], _THINNER)}


def density(
    prior: Run, shared: dict, record: clip_records.ClipRecord, added: dict
) -> jax.Array:
    """Density grid [X, Y, Z] of a newcomer, looked for in some frames of their clip.

    Args:
      prior: the prior.
      shared: its shared parameters, as they are or as `shared_parts` gives them.
      portrait: of the newcomer.
      added: what they add to the common face, see `initial_identity`.
    """
    some = references.spread(record.train_frames, _SURVEYED)
    signals_then = jax.tree.map(lambda leaf: leaf[some], record.signals)
    params = structs.AvatarParams(shared, identity.combine(shared["base"], added))
    return frames.build_density_grid(prior.model, params, signals_then)


def initial_identity(
    prior: Run, start: str, seen: structs.References | None, offset: bool = True
) -> dict:
    """What a newcomer adds to a prior's common face, leaves without N.

    Args:
      prior: the prior.
      start: 'encoder', what the encoder tells from references; or 'mean', the mean of
        the people of the prior.
      seen: references of the newcomer, leaves [K, ...]; not needed for the mean.
      offset: whether they get a canonical offset.

    Returns:
      a tree as in `identity.init_own`.
    """
    mean = jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), prior.residuals)
    mean["grid"] = jnp.zeros_like(prior.shared["base"]["grid"])
    if not offset:
        del mean["grid"]
    if start == "encoder":
        told = {k: v for k, v in _encode(prior, seen).items() if k != "grid" or offset}
        return {k: v for k, v in mean.items() if k not in told} | told
    return mean


def reference_batch(prior: Run, data: Dataset, record: clip_records.ClipRecord):
    """References [K, ...] of a newcomer for a prior's encoder; None if it has none."""
    spec = references.from_config(prior.config)
    if spec is None:
        return None
    some = references.spread(record.train_frames, _REFERENCES)
    return references.make(data, some, record.signals.head, spec)


def _encode(prior: Run, seen: structs.References) -> dict:
    encode = jax.jit(prior.model.encoder.apply)
    return encode(prior.shared["encoder"], seen)


def load_driver(run: Run, name: str) -> clip_records.ClipRecord:
    """Someone who drives a run's people.

    Args:
      run: whose lip basis their signals are in.
      name: an identity of the run, or the path of an identity folder.

    Raises:
      ValueError: it is neither.
    """
    if name in run.identities:
        return run.record(name)
    if not pathlib.Path(name).is_dir():
        raise ValueError(
            f"{name!r} is neither an identity of {run.workdir} "
            f"({', '.join(run.identities)}) nor an identity folder, which "
            "prepare.py --video=... --out=... makes"
        )
    return _record(run, pathlib.Path(name))[0]


def _record(run: Run, source: pathlib.Path) -> tuple[clip_records.ClipRecord, Dataset]:
    """Portrait and clip, at a run's size, of someone it need not have seen."""
    config = run.config
    opened = folder.IdentityFolder(source)
    cache = pathlib.Path(config.data.cache) if config.data.cache else None
    data = Dataset.open(opened, config.data.size, cache)
    tracks, train = read_tracks(opened)
    fitted, tracked = signals.fit_apply(
        {data.name: tracks}, {data.name: train}, lip_basis=run.lip_basis
    )
    return clip_records.make(data, fitted, tracked[data.name]), data


def zero_shot(
    prior: Run, source: pathlib.Path, start: str = "encoder"
) -> tuple[Avatar, Dataset]:
    """An unseen person, ready to render from a prior alone.

    Args:
      prior: with an identity encoder.
      source: the person's identity folder. References are frames before the held-out
        ones.
      start: see `initial_identity`.

    Returns:
      the avatar, and the clip at the prior's size.

    Raises:
      ValueError: the folder is not an identity folder, or the prior has no encoder.
    """
    if start == "encoder" and not prior.model.encoder:
        raise ValueError(
            f"the prior {prior.workdir} has no identity encoder; give a run of "
            "configs/multi_id.py, as runs that were adapted keep none"
        )
    record, data = _record(prior, source)
    added = initial_identity(prior, start, reference_batch(prior, data, record))
    params = structs.AvatarParams(
        prior.shared,
        identity.combine(prior.shared["base"], added),
        density(prior, prior.shared, record, added),
    )
    return assemble(prior.model, prior.config, record, params), data
