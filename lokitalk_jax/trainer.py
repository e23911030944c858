"""The training loop: data, steps, logs, previews, checkpoints, and how it ends."""

import functools
import logging
import pathlib
import signal
import time
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jax.experimental import multihost_utils
from tqdm import tqdm

from lokitalk_jax import (
    frames,
    losses,
    model,
    newcomer,
    optimizer,
    perceptual,
    portraits,
    previews,
    sharding,
    signals,
    train_step,
)
from lokitalk_jax.checkpoint import Checkpoints
from lokitalk_jax.data import demo, drawing, references
from lokitalk_jax.data.dataset import Dataset, read_tracks
from lokitalk_jax.data.folder import IdentityFolder, find_identities
from lokitalk_jax.data.loader import Loader
from lokitalk_jax.metric_log import MetricLog
from lokitalk_jax.run import Run
from lokitalk_jax.structs import Batch

_LOG = logging.getLogger(__name__)

DEMO_ROOT = pathlib.Path("data/demo")

# Drawing the first parameters runs once and compiles slowly: random numbers are long
# programs.
_COMPILE_FAST = {"xla_backend_optimization_level": 0}

# Fields that may differ between the parts of one run.
_FREE_FIELDS = ("train.", "data.threads", "data.prefetch", "data.cache", "mesh.")


class Cast(NamedTuple):
    """The identities of a run and where they live on the mesh.

    Attributes:
      names: of all identities.
      slots: of the axis N that this process loads.
      datasets: of those slots; None where a slot is padding.
      fitted: signals of all identities.
      mesh: the devices.
      count: N, padding included.
    """

    names: list[str]
    slots: list[int]
    datasets: list[Dataset | None]
    fitted: signals.Fitted
    mesh: jax.sharding.Mesh
    count: int

    @property
    def ids(self) -> list[int]:
        """[N], a number for each slot that depends on its identity alone."""
        padding = range(self.count - len(self.names))
        return [zlib.crc32(name.encode()) for name in self.names] + list(padding)


def find_cast(root: str) -> list[IdentityFolder]:
    """Identity folders below `root`; for "" the demo cast, made where missing."""
    if root:
        return find_identities(root)
    _LOG.info("data.root is empty: training on the demo cast in %s", DEMO_ROOT)
    if jax.process_index() == 0:
        demo.make_cast(DEMO_ROOT)
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices("demo cast")
    return find_identities(DEMO_ROOT)


def load_cast(config: ml_collections.ConfigDict, lip_basis=None) -> Cast:
    """Opens the identities of this process and fits the signals of all.

    Args:
      config: of the run.
      lip_basis: [D_lip, 120], a prior's; None fits one.

    Raises:
      ValueError: the folders are missing, broken or too small for `data.size`.
    """
    folders = find_cast(config.data.root)
    mesh = sharding.make_mesh(len(folders), config.mesh.identity)
    count = sharding.padded(len(folders), mesh)
    slots = sharding.owned_slots(count, mesh)

    max_seconds = config.data.max_seconds or None

    def open_dataset(folder: IdentityFolder) -> Dataset:
        cache = pathlib.Path(config.data.cache) if config.data.cache else None
        return Dataset.open(folder, config.data.size, cache, max_seconds)

    # The lip basis is shared, so every process reads the tracks of every identity;
    # images are opened for its own slots only.
    tracks = {folder.name: read_tracks(folder, max_seconds) for folder in folders}
    fitted = signals.fit(
        {name: everything for name, (everything, _) in tracks.items()},
        {name: train_mask for name, (_, train_mask) in tracks.items()},
        lip_dim=config.model.lip_dim,
        lip_basis=lip_basis,
    )
    return Cast(
        names=list(tracks),
        slots=slots,
        datasets=[
            open_dataset(folders[i]) if i < len(folders) else None for i in slots
        ],
        fitted=fitted,
        mesh=mesh,
        count=count,
    )


class Batches:
    """Batches on the devices, rays first and patches from the perceptual phase on."""

    def __init__(self, config: ml_collections.ConfigDict, cast: Cast):
        """Opens the loaders of both phases."""
        data, train = config.data, config.train
        self._cast = cast
        self.patches_from = round(train.steps * (1 - train.perceptual))

        def loader(frames_per_step: int, rays: int, patch: int | None) -> Loader:
            return Loader(
                cast.datasets,
                cast.fitted,
                seed=config.seed,
                frames_per_step=frames_per_step,
                rays_per_frame=rays,
                importance=drawing.Importance(**data.importance),
                patch=patch,
                references=references.from_config(config),
                threads=data.threads,
                prefetch=data.prefetch,
            )

        self._rays = loader(data.frames_per_step, data.rays_per_frame, None)
        self._patches = None
        if train.perceptual:
            # About as many rays a step as before.
            area = train.patch**2
            count = max(1, data.frames_per_step * data.rays_per_frame // area)
            self._patches = loader(count, area, train.patch)

    def iterate(self, start: int) -> Iterator[Batch]:
        """Yields the batches of steps `start`, `start` + 1, ..."""
        if start < self.patches_from or self._patches is None:
            source = self._rays.iterate(start)
            for step, batch in zip(range(start, self.patches_from), source):  # noqa: B905
                yield self._put(batch)
                start = step + 1
            source.close()
        for batch in self._patches.iterate(start):
            yield self._put(batch)

    def _put(self, batch: Batch) -> Batch:
        cast = self._cast
        if jax.process_count() == 1:
            return jax.device_put(batch, sharding.batch_shardings(batch, cast.mesh))
        return sharding.put_batch(batch, cast.slots, cast.count, cast.mesh)


def _check_same_run(
    config: dict, names: list[str], checkpoints: Checkpoints, workdir: pathlib.Path
) -> None:
    """Raises ValueError where a run would go on with other people or fields."""

    def flat(tree: dict, prefix: str = "") -> dict:
        out = {}
        for key, value in tree.items():
            if isinstance(value, dict):
                out |= flat(value, f"{prefix}{key}.")
            else:
                out[prefix + key] = list(value) if isinstance(value, tuple) else value
        return out

    step = checkpoints.latest_step()
    stored = checkpoints.meta(step)["identities"]
    if stored != names:
        raise ValueError(
            f"the run in {workdir} was trained on {', '.join(stored)}, data.root "
            f"holds {', '.join(names)}; give the same identities, or another --workdir"
        )
    now, before = flat(config), flat(checkpoints.config(step))
    changed = [
        f"{key} was {before.get(key)!r} and is {now.get(key)!r}"
        for key in sorted(now.keys() | before.keys())
        if now.get(key) != before.get(key) and not key.startswith(_FREE_FIELDS)
    ]
    if changed:
        raise ValueError(
            f"the run in {workdir} has another config: {'; '.join(changed)}; resume "
            "it with the same fields, or give another --workdir"
        )


class _Stop:
    """Whether to stop: the time is up, or SIGTERM arrived.

    In a cluster SIGTERM belongs to JAX, whose handler makes all processes agree on the
    step at which `Checkpoints.reached_preemption`.
    """

    def __init__(self, max_minutes: float):
        self._end = time.monotonic() + 60 * max_minutes if max_minutes else None
        self.reason = ""
        self._before = None
        if jax.process_count() == 1:
            self._before = signal.signal(signal.SIGTERM, self._on_term)

    def _on_term(self, *_):
        self.reason = "SIGTERM"

    def __call__(self) -> bool:
        if self._end and time.monotonic() > self._end:
            self.reason = self.reason or "train.max_minutes"
        return bool(self.reason)

    def restore_handler(self) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)


def _agreed(stop: bool, step: int, log_every: int) -> bool:
    """Several processes stop at the same step, as the first one decides."""
    if jax.process_count() == 1:
        return stop
    if step % log_every:
        return False
    return bool(multihost_utils.broadcast_one_to_all(np.array(stop)))


def _fetch(by_identity):
    """A tree of values [N] on the host, whichever processes hold them."""
    if jax.process_count() == 1:
        return jax.device_get(by_identity)
    return multihost_utils.process_allgather(by_identity, tiled=True)


def train(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> int:
    """Trains, or goes on training, the run in `workdir`.

    Args:
      config: see `configs/base.py`; complete, is stored with the run.
      workdir: made where missing; a run found there is resumed.

    Returns:
      steps done.

    Raises:
      ValueError: config, data and the run found do not fit together.
      FloatingPointError: a loss was not finite; names the step. The checkpoints
        before it are kept.
    """
    prior = None
    if config.prior:
        prior = Run(pathlib.Path(config.prior))
        config = newcomer.inherit(config, prior)
    resolved = config.to_dict()
    cast = load_cast(config, prior and prior.lip_basis)
    checkpoints = Checkpoints(workdir, config.train.checkpoint_every, config.train.keep)
    start = checkpoints.latest_step() or 0
    if start:
        _check_same_run(resolved, cast.names, checkpoints, workdir)
    spec = model.from_config(config)
    rule = optimizer.make(
        optimizer.LearningRates(
            config.lr.grid, config.lr.network, config.lr.code, config.lr.torso
        ),
        config.train.steps,
        config.lr.warmup,
        config.lr.final,
        config.common,
    )
    init = functools.partial(train_step.init_state, spec, rule, identities=cast.count)
    key = jax.random.key(config.seed)
    shardings = sharding.state_shardings(jax.eval_shape(init, key), cast.mesh)
    state = jax.jit(init, out_shardings=shardings, compiler_options=_COMPILE_FAST)(key)

    if start:
        state = checkpoints.restore(start, state, cast.mesh)
        _LOG.info("resuming %s at step %d", workdir, start)
    elif prior:
        state = _adapted(prior, config.start, state, cast, shardings)
    seen = references.from_config(config)
    for data in filter(None, cast.datasets):
        portraits.save(workdir, portraits.make(data, cast.fitted, seen))

    weights = losses.LossWeights(**config.loss)
    run_train, run_density = train_step.compile_steps(
        spec,
        weights,
        rule,
        config.seed,
        cast.ids,
        cast.mesh.shape["identity"],
        config.train.density_points,
        shardings,
        sharding.by_identity(cast.mesh),
    )
    lpips_params = perceptual.lpips_params("alex") if config.train.perceptual else None
    batches = Batches(config, cast)
    log = MetricLog(workdir, enabled=jax.process_index() == 0)
    stop = _Stop(config.train.max_minutes)
    save = functools.partial(
        checkpoints.save,
        identities=cast.names,
        fitted=cast.fitted.to_arrays(),
        config=resolved,
    )
    source = batches.iterate(start)
    progress = tqdm(
        total=config.train.steps,
        initial=start,
        desc="training",
        unit="step",
        disable=jax.process_index() > 0,
        mininterval=1.0,
    )
    step, began = start, time.monotonic()
    try:
        while step < config.train.steps:
            batch = next(source)
            if step % config.train.density_every == 0:
                state = run_density(state, batch)
            in_patches = step >= batches.patches_from
            state, metrics = run_train(
                state, batch, lpips_params if in_patches else None
            )
            step += 1
            progress.update()
            last = step == config.train.steps
            ending = _agreed(stop(), step, config.train.log_every)
            ending |= checkpoints.reached_preemption(step)
            if step % config.train.log_every == 0 or last or ending:
                rate = (step - start) / (time.monotonic() - began)
                _log(log, progress, step, _fetch(metrics), cast.names, rate)
                _refuse_bad(state, step, cast.names)
            if checkpoints.due(step) or last or ending:
                _refuse_bad(state, step, cast.names)
                save(step, state, force=True)
            if step % config.train.preview_every == 0 or last or ending:
                _preview(spec, state, cast, workdir, log, step)
            if ending:
                _LOG.info("stopping at step %d: %s", step, stop.reason or "preempted")
                break
    finally:
        progress.close()
        source.close()
        log.close()
        stop.restore_handler()
        checkpoints.close()
    return step


def _adapted(prior: Run, start: str, state, cast: Cast, shardings):
    """A fresh state with a prior's common parts, and people as it first sees them."""
    seen = references.from_config(prior.config)

    def person(slot: int, data: Dataset | None) -> dict:
        if data is None:
            return jax.tree.map(lambda x: x[0] * 0, newcomer.own(prior, "mean", None))
        portrait = portraits.make(data, cast.fitted, seen)
        return newcomer.own(prior, start, portrait.references)

    rows = [person(*pair) for pair in zip(cast.slots, cast.datasets, strict=True)]
    own = jax.tree.map(lambda *leaves: np.stack(leaves), *rows)
    grid = np.broadcast_to(
        newcomer.density(prior), (len(rows), *state.density.shape[1:])
    )
    own, density = sharding.put_by_identity(
        (own, grid), cast.slots, cast.count, cast.mesh
    )
    shared = jax.device_put(newcomer.common_parts(prior), shardings.params["shared"])
    _LOG.info("starting from %s, step %d", prior.workdir, prior.step)
    return state._replace(params={"shared": shared, "identity": own}, density=density)


def _log(log, progress, step: int, metrics: dict, names: list[str], rate: float):
    real = len(names)
    means = {k: float(np.mean(v[:real])) for k, v in metrics.items()}
    each = {f"psnr/{n}": float(v) for n, v in zip(names, metrics["psnr"], strict=False)}
    log.scalars(step, means | each | {"steps_per_second": rate})
    progress.set_postfix(psnr=f"{means['psnr']:.2f}", loss=f"{means['loss']:.4f}")


@jax.jit
def _finite(params: dict) -> jax.Array:
    """Whether all parameters are finite; replicated."""
    return jnp.all(
        jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(params)])
    )


def _refuse_bad(state: train_step.TrainState, step: int, names: list[str]) -> None:
    """Raises FloatingPointError where a state of `step` steps must not be saved."""
    first = _fetch(state.first_bad)[: len(names)]
    if (first >= 0).any():
        bad = first[first >= 0].min()
        who = ", ".join(
            name for name, at in zip(names, first, strict=True) if at == bad
        )
        what = f"the loss of {who} was not finite at step {bad}"
    elif not _finite(state.params):
        # A finite loss can have a gradient that is not.
        what = f"the parameters were not finite after step {step - 1}"
    else:
        return
    raise FloatingPointError(
        f"{what}; the checkpoints before it are kept: lower the rates (config.lr) or "
        "change the seed and start in another --workdir, or run the same command again "
        "to go on from the last checkpoint"
    )


def _preview(spec, state, cast: Cast, workdir: pathlib.Path, log, step: int) -> None:
    """Writes a strip of truth and renders for each identity of the first process."""
    if jax.process_index():
        return
    for slot, data in zip(cast.slots, cast.datasets, strict=True):
        if data is None:
            continue
        own, density = sharding.local_slice(
            (state.params["identity"], state.density), slot
        )
        shared = sharding.local(state.params["shared"])
        portrait = portraits.load(workdir, data.name)
        renderer = frames.FrameRenderer(
            spec,
            shared,
            frames.settle(spec, shared, own, portrait.references),
            density,
            data.height,
            data.width,
            data.intrinsics,
        )
        strip = previews.strip(renderer, portrait, data)
        previews.save(workdir / "previews" / f"{data.name}-{step:07d}.png", strip)
        log.image(step, data.name, strip)
