"""Can the fields hold the exact motion, and does training on pictures keep it?

    python -m benchmarks.motion_floor --workdir=runs/motion_floor

The person of `controlled_motion`, with less error of pose and more lag of hair. The
fields are fitted to the exact offsets of visible surfaces, held there while the
canonical space learns (half of the steps), then set free. What they score while held
is what the representation, the sampling and the measure allow; what they lose
afterwards is what pictures ask of them instead.
"""

import json
import pathlib

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
from absl import app, flags
from absl import logging as absl_logging
from ml_collections import config_flags
from tqdm import trange

from benchmarks import controlled_motion, motion_oracle
from lokitalk_jax import identity, process, session, structs
from lokitalk_jax.data import demo
from lokitalk_jax.data.demo import render

MOTION = demo.Motion(
    controlled=True, mouth=0.02, spread=0.1, pose_error=0.08, hair_lag=0.6
)
_SIZE = 256
_FRAMES, _POINTS = 16, 128  # of a step of the fit
_POOL = 1500  # surface points of a frame that the fit draws from
_DEPTH = 2e-3  # metres, standard deviation of the points' distance from the surface
# How much likelier a point on lips, eyes and head is drawn, added up.
_IMPORTANCE = np.array([4.0, 6.0, 1.0, 0.0])
# The torso moves ten times as far as all others.
_WEIGHTS = (1.0, 1.0, 1.0, 0.3)
_FIT_RATE, _FIT_STEPS = 3e-3, 3_000
# Parameters that are no part of lip, eye and head fields, or set the torso's motion.
_NEVER_HELD = {"grid", "static", "pivot", "gains", "torso_gate"}


def get_config() -> ml_collections.ConfigDict:
    """The config of `controlled_motion`, with finer pictures, grid and samples."""
    config = controlled_motion.get_config()
    config.data.size = _SIZE
    config.grid.finest, config.grid.log2_entries = 512, 16
    config.sampling.samples = 20
    config.loss.magnitude = 0.2
    config.loss.landmarks, config.model.lip_dim = 0.0, 8
    config.train.steps = 2_000
    return config


def surface_points(data, truth: demo.Truth, frames: np.ndarray, seed: int):
    """Points near what frames show, and their exact offsets.

    Returns:
      points [F, P, 3] and offsets [F, P, 4, 3], metres.
    """
    rng = np.random.default_rng(seed)
    truth = truth._replace(camera=render.Camera.of_size(data.height))
    points, offsets = [], []
    for frame in frames:
        seen = demo.visible_surface(truth, frame)
        masks = data.region_masks(frame)[tuple(seen.pixels.T)]
        chance = 0.2 + (masks >= 0.5) @ _IMPORTANCE
        drawn = rng.choice(len(chance), _POOL, p=chance / chance.sum())
        pose = data.tracks.head_to_camera[frame]
        sight = seen.points[drawn] + pose[:3, :3].T @ pose[:3, 3]
        sight /= np.linalg.norm(sight, axis=-1, keepdims=True)
        near = seen.points[drawn] + sight * rng.normal(0, _DEPTH, (_POOL, 1))
        material = seen.material[drawn]
        exact = [
            demo.exact_offset(truth, frame, near, region, material)
            for region in structs.REGIONS
        ]
        points.append(near)
        offsets.append(np.stack(exact, axis=1))
    return np.stack(points), np.stack(offsets)


def fit(spec, params: dict, points, offsets, signals, seed: int, steps: int) -> dict:
    """Parameters whose gated offsets are the exact ones as nearly as they can.

    Args:
      spec: the model.
      params: of one identity; its canonical space is left alone.
      points, offsets: see `surface_points`.
      signals: leaves [F, ...], of the same frames.
      seed: of the draws.
      steps: of Adam.
    """
    points, offsets = (
        jnp.asarray(x / structs.UNIT, jnp.float32) for x in (points, offsets)
    )
    signals = jax.tree.map(jnp.asarray, signals)
    optimizer = optax.adam(optax.exponential_decay(_FIT_RATE, steps, 0.03), b2=0.99)
    own = {k: v for k, v in params["identity"].items() if k != "grid"}

    def loss(learned, frames, drawn):
        person = identity.combine(
            params["shared"]["common"], params["identity"] | learned["own"]
        )
        found = spec.deformation.apply(
            learned["dynamic"],
            points[frames[:, None], drawn],
            jax.tree.map(lambda x: x[frames], signals),
            person,
        ).offsets
        squares = jnp.sum((found - offsets[frames[:, None], drawn]) ** 2, axis=-1)
        return jnp.mean(squares * jnp.array(_WEIGHTS))

    @jax.jit
    def step(learned, moments, key):
        frame_key, point_key = jax.random.split(key)
        frames = jax.random.randint(frame_key, (_FRAMES,), 0, points.shape[0])
        shape = (_FRAMES, _POINTS)
        drawn = jax.random.randint(point_key, shape, 0, points.shape[1])
        updates, moments = optimizer.update(
            jax.grad(loss)(learned, frames, drawn), moments
        )
        return optax.apply_updates(learned, updates), moments

    learned = {"dynamic": params["shared"]["dynamic"], "own": own}
    moments, key = optimizer.init(learned), jax.random.key(seed)
    for n in trange(steps, desc="fitting"):
        learned, moments = step(learned, moments, jax.random.fold_in(key, n))
    return {
        "shared": params["shared"] | {"dynamic": learned["dynamic"]},
        "identity": params["identity"] | learned["own"],
    }


def held(path: tuple) -> bool:
    """Whether a parameter at a tree path belongs to the fields that are held."""
    return not _NEVER_HELD & {getattr(entry, "key", None) for entry in path}


def main(_) -> None:
    """Fits, trains, prints a line of JSON while the fields are held and one after."""
    absl_logging.set_verbosity(absl_logging.WARNING)
    workdir = pathlib.Path(_WORKDIR.value)
    config = _CONFIG.value
    config.data.root = str(workdir / "cast")
    controlled_motion.make_person(config.data.root, MOTION, _SIZE)
    run = session.begin(config, workdir / "run")
    (data,), fitted, state = run.cast.datasets, run.cast.fitted, run.state

    def subject():
        own, density = jax.device_get((state.params["identity"], state.density))
        params = {
            "shared": jax.device_get(state.params["shared"]),
            "identity": jax.tree.map(lambda leaf: leaf[0], own),
        }
        return motion_oracle.make_subject(run.spec, params, density[0], data, fitted)

    start = subject()
    frames = data.train_frames[::4]
    driven = jax.tree.map(lambda x: x[frames], start.driven)
    points, offsets = surface_points(data, start.truth, frames, config.seed)
    params = fit(
        run.spec, start.params, points, offsets, driven, config.seed, _FIT_STEPS
    )
    params["identity"] = jax.tree.map(lambda leaf: leaf[None], params["identity"])
    # A copy of the host's: the train step takes over the memory of what it is given.
    params = jax.tree.map(lambda leaf: np.array(leaf, copy=True), params)

    def place(values):
        return jax.tree.map(
            lambda x, like: jax.device_put(x, like.sharding), values, state.params
        )

    state = state._replace(params=place(params))
    source = run.batches.iterate(0)
    until = config.train.steps // 2
    for n in trange(config.train.steps, desc="training"):
        state, _ = run.advance(state, n, next(source))
        if n < until:
            kept = jax.tree_util.tree_map_with_path(
                lambda path, x, fixed: fixed if held(path) else x, state.params, params
            )
            state = state._replace(params=place(kept))
        if n + 1 in (until, config.train.steps):
            trained = subject()
            shown = data.test_frames[:: _STRIDE.value]
            motions = [motion_oracle.measure(trained, frame) for frame in shown]
            scores = controlled_motion.figures(motions)
            line = {"benchmark": "motion_floor", "step": n + 1, "held": n < until}
            print(json.dumps(line | scores), flush=True)
    source.close()


if __name__ == "__main__":
    _WORKDIR = flags.DEFINE_string(
        "workdir", "runs/motion_floor", "Folder of the cast and the run."
    )
    _STRIDE = flags.DEFINE_integer("stride", 24, "Every n-th held-out frame counts.")
    _CONFIG = config_flags.DEFINE_config_dict("config", get_config())
    process.start()
    app.run(main)
