"""The loss terms at their limits, and their gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_model

from lokitalk_jax import lpips
from lokitalk_jax.model import architecture, identity, nerf, rays
from lokitalk_jax.model.deformation import Deformed
from lokitalk_jax.model.nerf import Samples
from lokitalk_jax.structs import UNIT, AvatarParams
from lokitalk_jax.training import losses, train_step

CONFIG = tiny_model.config(encoder=True)
CONFIG.loss.distortion = 1e-3
CONFIG.model.residual_dropout = 0.0
MODEL = architecture.from_config(CONFIG)


def test_attention_is_zero_where_gates_match_their_masks():
    masks = np.random.default_rng(0).uniform(size=(2, 7, 4))
    assert losses.attention(masks, masks) == 0
    off = masks.copy()
    off[..., 1] += 0.5
    np.testing.assert_allclose(losses.attention(off, masks), 0.25 / 4, rtol=1e-6)


def test_entropy_is_least_at_opacities_of_0_and_1():
    sure = losses.entropy(jnp.array([0.0, 1.0, 0.0]))
    np.testing.assert_allclose(sure, 0, atol=2e-4)
    np.testing.assert_allclose(
        losses.entropy(jnp.array([0.5, 0.5])), np.log(2), rtol=1e-6
    )
    assert np.isfinite(jax.jit(jax.grad(losses.entropy))(jnp.array([0.0, 1.0]))).all()


def test_offsets_of_lips_and_eyes_cost_outside_their_masks():
    rng = np.random.default_rng(2)
    rays, taken = (2, 5), 3
    offsets = np.float32(rng.standard_normal((2, 5 * taken, 4, 3)))
    weights = np.float32(rng.uniform(size=(*rays, taken)))
    masks = np.zeros((*rays, 4), np.float32)

    def stray(offsets, masks):
        deformed = Deformed(None, None, jnp.array(offsets), None)
        return losses.outside(Samples(weights, weights, weights, deformed), masks)

    lengths = np.linalg.norm(offsets[..., :2, :], axis=-1).reshape(*rays, taken, 2)
    wanted = (weights[..., None] * lengths).sum((2, 3))
    np.testing.assert_allclose(stray(offsets, masks), wanted.mean(), rtol=1e-4)
    # A ray on the mouth leaves lips free, and counts what eyes do there.
    masks[0, 0, 0] = 1
    lips = (weights * lengths[..., 0])[0, 0].sum()
    fewer = stray(offsets, masks) - wanted.mean()
    np.testing.assert_allclose(fewer, -lips / 10, rtol=1e-3)
    # Heads and torsos move where they like; what stands still has a slope.
    offsets[..., :2, :] = 0
    assert stray(offsets, masks) < 1e-3
    assert np.isfinite(jax.grad(stray)(jnp.array(offsets), masks)).all()


@pytest.fixture(scope="module")
def case():
    state = tiny_model.random_state(CONFIG, 1)
    first = jax.tree.map(lambda x: x[0], tiny_model.batch(CONFIG, 1))
    residual = jax.tree.map(lambda x: x[0], state.params["identity"])
    return state.params["shared"], residual, state.density[0], first


@pytest.fixture(scope="module")
def samples(case):
    @jax.jit
    def run(shared, residual, density, batch):
        return nerf.render(
            MODEL,
            AvatarParams(shared, identity.combine(shared["base"], residual), density),
            rays.generate(batch.pixels, batch.intrinsics, batch.head_to_camera),
            batch.signals,
            batch.plate,
        )

    return run(*case)[1]


def test_half_precision_is_for_hidden_layers_only(case):
    shared, residual, density, batch = case
    found = {}
    for compute in "float32", "bfloat16":
        config = CONFIG.copy_and_resolve_references()
        config.model.compute = compute
        model = architecture.from_config(config)

        @jax.jit
        def gradients(params, model=model):
            def loss(params):
                key, weights = jax.random.key(0), tiny_model.weights(CONFIG)
                return losses.identity_loss(
                    model, weights, *params, density, batch, key
                )

            return jax.value_and_grad(loss, has_aux=True)(params)

        (value, terms), grads = gradients((shared, residual))
        assert all(x.dtype == jnp.float32 for x in jax.tree.leaves((terms, grads)))
        found[compute] = (
            value,
            np.concatenate([np.ravel(x) for x in jax.tree.leaves(grads)]),
        )
    (one, exact), (other, near) = found.values()
    assert one != other and abs(one - other) < 0.02 * one
    likeness = exact @ near / np.linalg.norm(exact) / np.linalg.norm(near)
    assert likeness > 0.97
    config.model.compute = "float8"
    with pytest.raises(ValueError, match="model.compute=float8 must be float32 or"):
        architecture.from_config(config)


def test_magnitude_is_the_mean_square_of_visible_offsets(samples):
    offsets = np.zeros(samples.deformed.offsets.shape, np.float32)
    weights = np.zeros(samples.weights.shape, np.float32)
    weights[0, 3, 1] = 0.5
    weights[1, 2, 0] = 0.25
    samples_per_ray = weights.shape[-1]
    offsets[0, 3 * samples_per_ray + 1, 0] = [0.3, 0, 0.4]  # squares to 0.25
    offsets[:, :, 3] = 100  # the torso's is not counted
    made = samples._replace(
        weights=weights, deformed=samples.deformed._replace(offsets=offsets)
    )
    np.testing.assert_allclose(losses.magnitude(made), 0.25 * 0.5 / 0.75, rtol=1e-4)


def test_heads_move_at_no_cost_where_they_are_not_skull(samples):
    per_ray = samples.weights.shape[-1]
    points = np.zeros(samples.deformed.points.shape, np.float32)
    offsets = np.zeros(samples.deformed.offsets.shape, np.float32)
    weights = np.zeros(samples.weights.shape, np.float32)
    # Forehead, the same far before its place, chin, and shoulder; metres.
    places = [(0, -0.05, -0.02), (0, -0.05, -0.13), (0, 0.09, -0.02), (0.2, 0.2, 0)]
    points[0, : 4 * per_ray : per_ray] = np.float32(places) / UNIT
    weights[0, :4, 0] = 1

    @jax.jit
    def cost(offsets):
        deformed = samples.deformed._replace(points=points, offsets=offsets)
        return losses.skull(samples._replace(weights=weights, deformed=deformed))

    offsets[..., [0, 1, 3], :] = 1  # of lips, eyes and the torso
    assert cost(offsets) == 0
    offsets[..., 2, :] = [0.3, 0, 0.4]
    np.testing.assert_allclose(cost(offsets), 0.25 * 2 / 4, rtol=0.01)
    slopes = jax.grad(cost)(offsets)[0, : 4 * per_ray : per_ray, 2]
    lengths = np.linalg.norm(slopes, axis=-1)
    np.testing.assert_allclose(lengths[:2], 0.25, rtol=0.01)
    assert (lengths[2:] < 1e-3).all()


def test_smoothness_is_zero_for_static_fields(case, samples):
    shared, residual, _, batch = case
    combined = identity.combine(shared["base"], residual)

    @jax.jit
    def smoothness(last_layers):
        return losses.smoothness(
            MODEL,
            AvatarParams(shared, combined | {"last_layers": last_layers}),
            samples,
            batch.signals,
            jax.random.key(0),
        )

    layers = combined["last_layers"]
    assert smoothness(layers) > 1e-6
    assert smoothness(jax.tree.map(jnp.zeros_like, layers)) == 0


def test_landmarks_cost_where_their_canonical_places_differ(case):
    shared, residual, _, batch = case
    combined = identity.combine(shared["base"], residual)
    rng = np.random.default_rng(0)
    face = rng.uniform(-0.2, 0.2, (30, 3))
    at_rest = jnp.asarray(np.stack([face] * 3), jnp.float32)
    # A chin in front of a neck: the torso's gate is half open there.
    at_rest = at_rest.at[:, :5, 1].set(0.5)
    same = jax.tree.map(lambda x: jnp.stack([x[0]] * 3), batch.signals)
    moving = jax.tree.map(lambda x: jnp.stack([x[0], x[1], -x[0]]), batch.signals)

    @jax.jit
    def value(shared, combined, points, signals):
        return losses.landmarks(MODEL, AvatarParams(shared, combined), points, signals)

    assert value(shared, combined, at_rest, same) < 1e-12
    assert value(shared, combined, at_rest, moving) > 1e-6
    # However far a track slips, it pulls no more than that of a few millimetres.
    slipped = at_rest.at[0, 7].add(1.0)
    limit = (losses._LANDMARK_SLIP / UNIT) ** 2
    assert 0.1 * limit < 30 * value(shared, combined, slipped, same) < 3.01 * limit

    towards, residual_towards = jax.jit(jax.grad(value, argnums=(0, 1)))(
        shared, combined, at_rest, moving
    )
    fields = towards["dynamic"]["params"]
    assert not any(
        np.any(leaf)
        for part in (
            fields["face_gates"],
            fields["torso_gate"],
            fields["head_gate"],
            residual_towards["pivot"],
            residual_towards["gains"],
        )
        for leaf in jax.tree.leaves(part)
    )
    for part in (fields["face"], fields["body"], residual_towards["last_layers"]):
        assert all(np.any(leaf) for leaf in jax.tree.leaves(part))


@pytest.fixture(scope="module")
def loss(case):
    shared, residual, density, _ = case
    weights = tiny_model.weights(CONFIG)
    compiled = jax.jit(
        lambda residual, batch: losses.identity_loss(
            MODEL, weights, shared, residual, density, batch, jax.random.key(0)
        )
    )
    return lambda batch, residual=residual: jax.device_get(compiled(residual, batch))


def test_the_loss_is_the_weighted_sum_of_its_terms(case, loss):
    value, metrics = loss(case[-1])
    weights = {"rgb": 1.0, **tiny_model.weights(CONFIG)._asdict()}
    terms = {k: v for k, v in metrics.items() if k not in ("loss", "psnr")}
    assert terms.keys() == weights.keys() - {"lpips"}
    total = sum(weights[k] * v for k, v in terms.items())
    np.testing.assert_allclose(value, total, rtol=1e-5)
    np.testing.assert_allclose(
        metrics["psnr"], -10 * np.log10(metrics["rgb"]), rtol=1e-5
    )


def test_motion_that_is_fixed_gets_no_gradient_from_any_term(case):
    """Adam would make whole steps of the smallest one, and take the motion back."""
    shared, residual, density, _ = case
    config = CONFIG.copy_and_resolve_references()
    config.data.rays_per_frame = 32**2  # a patch
    batch = jax.tree.map(lambda x: x[0], tiny_model.batch(config, 1))
    params = lpips.lpips_params("alex")

    @jax.jit
    def gradients(shared, residual):
        def loss(shared, residual):
            return losses.identity_loss(
                MODEL,
                tiny_model.weights(CONFIG),
                shared,
                residual,
                density,
                batch,
                jax.random.key(0),
                params,
            )[0]

        return jax.grad(loss, argnums=(0, 1))(shared, residual)

    of_shared, of_residual = gradients(shared, residual)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(of_shared["dynamic"]))
    for tree in of_shared["base"], of_residual:
        motion = [tree["codes"]["dynamic"], tree["last_layers"]]
        motion += [tree["pivot"], tree["gains"]]
        assert not any(np.any(leaf) for leaf in jax.tree.leaves(motion))
        for learned in tree["codes"]["geometry"], tree["grid"]:
            assert np.any(learned)
    assert any(np.any(leaf) for leaf in jax.tree.leaves(of_shared["static"]))


def test_exact_colours_cost_nothing(case, loss):
    """Where nothing is dense the plate shows; the truth may be the plate."""
    batch = case[-1]
    outside = batch.head_to_camera.copy()
    outside[:, 2, 3] = -5  # the head is behind the camera: rays miss the box
    empty = batch._replace(
        head_to_camera=outside,
        rgb=batch.plate,
        alpha=np.zeros_like(batch.alpha),
        regions=np.zeros_like(batch.regions),
    )
    _, metrics = loss(empty)
    for term in ("rgb", "alpha", "attention", "magnitude"):
        np.testing.assert_allclose(metrics[term], 0, atol=1e-9)


def test_random_numbers_belong_to_seed_step_and_identity():
    keys = jax.random.key_data(train_step.step_keys(0, 7, [11, 22]))
    other_slot = jax.random.key_data(train_step.step_keys(0, 7, [22, 11]))
    np.testing.assert_array_equal(keys, other_slot[::-1])
    several = [
        jax.random.key_data(train_step.step_keys(seed, step, [11])).tobytes()
        for seed in range(3)
        for step in range(4)
    ]
    assert len(set(several)) == len(several)


def test_no_random_key_of_a_loss_serves_twice(case):
    # JAX follows keys through the loss of one identity, but not through transposition,
    # by which `lanes` orders identities.
    shared, residual, density, batch = case
    weights = tiny_model.weights(CONFIG)
    with jax.debug_key_reuse(True):
        value, _ = jax.jit(functools.partial(losses.identity_loss, MODEL, weights))(
            shared, residual, density, batch, jax.random.key(0)
        )
    assert np.isfinite(value)


def test_a_step_that_drops_residuals_trains_the_encoder_alone(case):
    shared, residual, density, batch = case
    weights = tiny_model.weights(CONFIG)

    @jax.jit
    def gradients(key):
        def loss(shared, residual):
            model = MODEL._replace(residual_dropout=0.5)
            return losses.identity_loss(
                model,
                weights._replace(residual=0.0),
                shared,
                residual,
                density,
                batch,
                key,
            )

        return jax.grad(loss, argnums=(0, 1), has_aux=True)(shared, residual)[0]

    def largest(tree):
        return max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(tree))

    seen = set()
    for seed in range(8):
        shared_grads, residual_grads = gradients(jax.random.key(seed))
        dropped = largest(residual_grads) == 0
        seen.add(dropped)
        assert (largest(shared_grads["encoder"]) > 0) == dropped
        for part in ("base", "dynamic", "static"):
            assert (largest(shared_grads[part]) == 0) == dropped
    assert seen == {True, False}
