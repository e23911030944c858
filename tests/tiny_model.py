"""A model of a few thousand parameters, and made-up batches for it."""

import functools

import jax
import numpy as np
from scipy.spatial.transform import Rotation

from configs import multi_id
from lokitalk_jax import structs
from lokitalk_jax.structs import TORSO_LAGS, Batch, References, Signals
from lokitalk_jax.training import losses, train_step

# Programs that run for a second need no optimisation.
COMPILE_FAST = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_use_fusion_emitters": False,
}


def config(encoder: bool = False):
    """`multi_id:draft_cpu` as small as possible: every part, or all but the encoder.

    Most tests leave the encoder out, as it compiles slowly.
    """
    c = multi_id.get_config("draft_cpu")
    c.model.encoder = encoder
    c.model.residual_dropout = 0.5 if encoder else 0.0
    c.data.size = 32
    c.data.frames_per_step = 2
    c.data.rays_per_frame = 16
    c.data.prefetch = 2
    c.data.landmarks = 8
    c.grid.levels = 2
    c.grid.coarsest = 4
    c.grid.finest = 12
    c.grid.log2_entries = 8
    c.sampling.samples = 4
    c.sampling.cells = (8, 8, 4)
    c.model.lip_dim = 3
    c.model.code = 4
    c.model.reference_size = 16
    c.model.octaves = 2
    c.model.deform_width = 8
    c.model.deform_hidden = 8
    c.model.gate_width = 4
    c.model.gate_octaves = 2
    c.model.decoder_width = 8
    c.loss.landmarks = 1.0
    c.loss.outside = 0.5
    c.lr.warmup = 2
    c.train.steps = 12
    c.voice.fit = False
    c.train.density_every = 2
    c.train.density_points = 32
    c.train.perceptual = 0.0
    c.train.log_every = 4
    c.train.preview_every = 1000
    c.train.checkpoint_every = 4
    return c


def weights(c) -> losses.LossWeights:
    return losses.LossWeights(**c.loss)


def spec(c, identities: int, lanes: int = 1) -> train_step.StepSpec:
    return train_step.from_config(c, identities, lanes)


def _init(c, identities: int):
    ids = np.arange(identities)
    return functools.partial(train_step.init_state, spec(c, identities), 0, ids)


def state(c, identities: int) -> structs.TrainState:
    """A state before its first step."""
    return jax.jit(_init(c, identities))()


def random_state(c, identities: int, seed: int = 2) -> structs.TrainState:
    """The same with random parameters; compiles nothing."""
    shapes = jax.eval_shape(_init(c, identities))
    rng = np.random.default_rng(seed)

    def random(leaf):
        return rng.normal(0, 0.3, leaf.shape).astype(leaf.dtype)

    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    return jax.device_put(
        zeros._replace(
            ids=np.arange(identities, dtype=np.uint32),
            first_bad=zeros.first_bad - 1,
            params=jax.tree.map(random, shapes.params),
            density=zeros.density + np.float32(0.1),
        )
    )


def batch(c, identities: int, padding: int = 0, seed: int = 0) -> Batch:
    """Random colours seen by cameras before the head; `padding` slots of zeros last."""
    rng = np.random.default_rng(seed)
    n, b, r = identities, c.data.frames_per_step, c.data.rays_per_frame
    k, e, size = c.data.references, c.model.reference_size, c.data.size

    def uniform(*shape):
        return rng.uniform(size=shape).astype(np.float32)

    pose = np.tile(np.eye(4, dtype=np.float32), (n, b, 1, 1))
    pose[..., :3, :3] = (
        Rotation.from_rotvec(rng.normal(0, 0.1, (n * b, 3)))
        .as_matrix()
        .reshape(n, b, 3, 3)
    )
    pose[..., :3, 3] = rng.normal(0, 0.01, (n, b, 3)) + [0, 0, 0.8]
    real = Batch(
        pixels=(np.floor(uniform(n, b, r, 2) * size) + 0.5).astype(np.float32),
        rgb=uniform(n, b, r, 3),
        plate=uniform(n, b, r, 3),
        alpha=uniform(n, b, r),
        regions=uniform(n, b, r, 4),
        intrinsics=np.tile(np.float32([1.4 * size, size / 2, size / 2]), (n, 1)),
        head_to_camera=pose,
        signals=Signals(
            lip=uniform(n, b, c.model.lip_dim) - 0.5,
            eye=uniform(n, b, len(structs.EYE_REST)),
            head=0.2 * (uniform(n, b, 6) - 0.5),
            torso=0.2 * (uniform(n, b, 6 * len(TORSO_LAGS)) - 0.5),
        ),
        weight=np.ones(n, np.float32),
        references=References(
            images=uniform(n, k, e, e, 4), cameras=uniform(n, k, 8) - 0.5
        )
        if c.model.encoder
        else None,
        face_points=uniform(n, b, c.data.landmarks, 3) - 0.5
        if c.loss.landmarks
        else None,
    )

    def pad(leaf):
        return np.concatenate([leaf, np.zeros((padding, *leaf.shape[1:]), leaf.dtype)])

    padded = jax.tree.map(pad, real)
    padded.intrinsics[n:, 0] = 1
    padded.head_to_camera[n:] = np.eye(4)
    return padded
