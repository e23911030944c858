"""Baked fields: the same motion as the networks'."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_model

from lokitalk_jax.model import architecture, baked, identity, lattice, nerf
from lokitalk_jax.model.deformation import Deformed
from lokitalk_jax.structs import REGIONS, UNIT, AvatarParams

CONFIG = tiny_model.config()
MODEL = architecture.from_config(CONFIG)
SPACING = 0.03  # metres; coarse, so that a test has few nodes


@pytest.fixture(scope="module")
def params():
    state = tiny_model.random_state(CONFIG, 1)
    shared = state.params["shared"]
    residual = jax.tree.map(lambda x: x[0], state.params["identity"])
    person = identity.combine(shared["base"], residual)
    # A tenth of the random offsets: steep fields need finer lattices than a test's.
    layers = jax.tree.map(lambda x: 0.1 * x, person["last_layers"])
    return AvatarParams(shared, person | {"last_layers": layers}, state.density[0])


@pytest.fixture(scope="module")
def signals():
    return jax.tree.map(lambda x: x[0], tiny_model.batch(CONFIG, 1).signals)


@pytest.fixture(scope="module")
def fields(params):
    return baked.bake(MODEL, params, SPACING)


def interpolated(model, of_frames, points, signals, person):
    axes = [points[..., i] for i in range(3)]
    moved = baked.move(model, of_frames, axes, signals, person)
    offsets = [jnp.stack(one, axis=-1) for one in moved.offsets]
    return Deformed(
        points=jnp.stack(moved.axes, axis=-1),
        gates=jnp.stack(moved.gates, axis=-1),
        offsets=jnp.stack(offsets, axis=-2),
        torso_rotation=moved.torso_rotation,
    )


def deformed(params, fields, points, signals, model=MODEL):
    exact = nerf.deform(model, params, points, signals)
    of_frames = baked.at_frames(fields, signals)
    return exact, interpolated(model, of_frames, points, signals, params.identity)


@pytest.mark.parametrize("name", ["lip", "eye", "head", "torso"])
def test_fields_are_linear_in_the_signal(fields, signals, name):
    """Of three signals in a line, the middle one's fields are the others' mean."""
    at = name if name in ("head", "torso") else "face"

    def of(signal):
        return np.asarray(
            getattr(baked.at_frames(fields, signals._replace(**{name: signal})), at)
        )

    one = getattr(signals, name)
    other = one + 1.5
    middle = of((one + other) / 2)
    np.testing.assert_allclose(middle, (of(one) + of(other)) / 2, atol=1e-5)
    assert np.abs(middle - of(one)).max() > 1e-4


def test_networks_and_baked_fields_agree_at_the_nodes(params, fields, signals):
    """With a still torso, every position that is looked up is a node."""
    still = signals._replace(torso=0 * signals.torso)
    # Motion of the body would carry points off the nodes before the face is read.
    layers = dict(params.identity["last_layers"])
    layers |= {region: 0 * layers[region] for region in ("head", "torso")}
    unmoved = params._replace(identity=params.identity | {"last_layers": layers})
    unmoved_fields = fields.replace(head=0 * fields.head, torso=0 * fields.torso)
    # So would a second step on the face.
    model = MODEL._replace(deformation=MODEL.deformation.clone(face_steps=1))
    parts = (
        (fields.lattice, slice(2, None), params, fields),
        (fields.face_lattice, slice(2), unmoved, unmoved_fields),
    )
    for of_regions, regions, person, baked_person in parts:
        nodes = lattice.positions(of_regions)
        points = jnp.broadcast_to(nodes, (len(still.lip), *nodes.shape))
        exact, found = deformed(person, baked_person, points, still, model)
        for name in "gates", "offsets":
            one, other = (getattr(x, name)[:, :, regions] for x in (found, exact))
            np.testing.assert_allclose(one, other, atol=2e-5, err_msg=name)
    assert np.abs(exact.offsets[..., REGIONS.index("lip"), :]).max() > 1e-3


@pytest.mark.parametrize("cascade", [True, False])
@pytest.mark.parametrize("anatomical", [True, False])
def test_between_nodes_the_error_falls_with_the_spacing(
    params, signals, cascade, anatomical
):
    module = MODEL.deformation.clone(cascade=cascade, anatomical_gates=anatomical)
    model = MODEL._replace(deformation=module)
    rng = np.random.default_rng(0)
    # Not at the borders: beyond them, where the torso may rest, there are no nodes.
    low, high = np.array([MODEL.sampling.low, MODEL.sampling.high])
    points = rng.uniform(0.8 * low, 0.8 * high, (2, 500, 3)).astype(np.float32)
    exact = nerf.deform(model, params, points, signals)
    errors = []
    for spacing in (0.04, 0.01):
        of_frames = baked.at_frames(baked.bake(model, params, spacing), signals)
        found = interpolated(model, of_frames, points, signals, params.identity)
        errors.append(
            [
                np.quantile(np.abs(getattr(found, name) - getattr(exact, name)), 0.99)
                for name in ("points", "gates", "offsets")
            ]
        )
    coarse, fine = np.array(errors)
    assert (fine < coarse / 2).all()
    assert fine[0] * UNIT < 5e-4 and fine[1] < 0.01


def test_gradients_reach_points_signals_and_fields(params, fields, signals):
    points = jnp.full((2, 5, 3), 0.1)

    def moved(fields, points, signals):
        of_frames = baked.at_frames(fields, signals)
        found = interpolated(MODEL, of_frames, points, signals, params.identity)
        return jnp.sum(found.points**2)

    for gradient in jax.grad(moved, argnums=(0, 1, 2))(fields, points, signals):
        leaves = jax.tree.leaves(gradient)
        assert all(np.isfinite(leaf).all() for leaf in leaves)
        assert max(np.abs(leaf).max() for leaf in leaves) > 0


def test_only_a_deformation_by_regions_can_be_baked():
    assert baked.can_bake(MODEL)
    config = tiny_model.config()
    config.model.fields = "holistic"
    assert not baked.can_bake(architecture.from_config(config))
