"""What does a training step spend its time on?

    python -m benchmarks.train_step --data=data/demo --rays=4096

A whole step of one person, and its parts by themselves, forwards and backwards, at the
same sizes and in the same rounds. Parts do not add up to the whole: fused they read and
write less. One JSON line with rays a second, and the floating point operations that XLA
counts against what the machine reaches in a matrix product.
"""

import jax
import jax.numpy as jnp
from absl import app, flags

from benchmarks import measure
from configs import base
from lokitalk_jax import identity, model, process, rays, sampling, session
from lokitalk_jax.losses import LossWeights, identity_loss


def main(_) -> None:
    """Measures."""
    config = base.get_config("cpu")
    config.data.root = _DATA.value
    config.data.size = _SIZE.value
    config.data.rays_per_frame = _RAYS.value // config.data.frames_per_step
    config.sampling.samples = _SAMPLES.value
    begun = session.begin(config)
    spec, state = begun.spec, begun.state
    source = begun.batches.iterate(0)
    batch = next(source)
    source.close()
    one = jax.tree.map(lambda x: x[0], batch)
    shared = state.params["shared"]
    own = jax.tree.map(lambda x: x[0], state.params["identity"])
    grid, key = state.density[0] + 1.0, jax.random.key(0)
    weights = LossWeights(**config.loss)
    limits = jnp.array(spec.sampling.low), jnp.array(spec.sampling.high)

    def sampled(grid, one):
        cast = rays.generate(one.pixels, one.intrinsics, one.head_to_camera)
        near, far = rays.box_interval(cast, *limits)
        places, _ = sampling.guided_samples(grid, cast, near, far, spec.sampling, key)
        return (
            cast.origins[..., None, :]
            + cast.directions[..., None, :] * (places[..., None])
        )

    points = jax.jit(sampled)(grid, one).reshape(one.pixels.shape[0], -1, 3)
    person = identity.combine(shared["common"], own)
    deformed = model._deform(spec, shared, person, points, one.signals)
    features = model._grid_features(spec, person, deformed.points)
    directions = jnp.broadcast_to(
        jnp.array([0.0, 0.0, 1.0]), one.pixels.shape[:2] + (3,)
    )

    def pulled(function):
        """Forwards and backwards: the gradient of the sum of squares."""

        def loss(*arguments):
            leaves = jax.tree.leaves(function(*arguments))
            return sum(jnp.mean(jnp.square(leaf)) for leaf in leaves)

        return jax.grad(loss, argnums=(0, 1))

    def encode(person, points):
        return model._grid_features(spec, person, points)

    def deform(parameters, points):
        return model._deform(spec, parameters, person, points, one.signals).points

    def decode(parameters, features):
        return spec.decoder.apply(
            parameters["static"],
            features,
            directions,
            deformed,
            person["codes"],
            _SAMPLES.value,
        )

    def whole(shared, own):
        return identity_loss(spec, weights, shared, own, grid, one, key)[0]

    def forward(shared, own):
        return identity_loss(spec, weights, shared, own, grid, one, key)

    programs = {
        "loss and gradients": (jax.grad(whole, argnums=(0, 1)), (shared, own)),
        "loss, forward": (forward, (shared, own)),
        "sampling": (sampled, (grid, one)),
        "deformation fields": (pulled(deform), (shared, points)),
        "hash grid": (pulled(encode), (person, deformed.points)),
        "decoder": (pulled(decode), (shared, features)),
    }
    found = measure.in_turns(programs, _ROUNDS.value)
    gradient = jax.jit(jax.grad(whole, argnums=(0, 1))).lower(shared, own).compile()
    operations = (gradient.cost_analysis() or {}).get("flops", 0.0)
    total = found["loss and gradients"].median_ms
    peaks = measure.peaks()
    count = one.pixels.shape[0] * one.pixels.shape[1]
    measure.report(
        "train_step",
        rays=count,
        samples=_SAMPLES.value,
        timings=measure.rounded(found),
        share={
            name: float(f"{part.median_ms / total:.2g}") for name, part in found.items()
        },
        rays_per_second=1000 * count / total,
        gflop=operations / 1e9,
        share_of_matmul_rate=operations / 1e6 / total / peaks["matmul_gflops"],
        **peaks,
    )


if __name__ == "__main__":
    process._keep_memory()
    _DATA = flags.DEFINE_string("data", "data/demo/demo_00", "An identity folder.")
    _SIZE = flags.DEFINE_integer("size", 64, "Longest side, pixels.")
    _RAYS = flags.DEFINE_integer("rays", 4096, "Rays of a step.")
    _SAMPLES = flags.DEFINE_integer("samples", 16, "Samples of a ray.")
    _ROUNDS = flags.DEFINE_integer("rounds", 10, "Runs of each part.")
    app.run(main)
