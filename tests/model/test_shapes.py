"""Arrays of wrong shapes are refused while tracing, and named."""

import jax
import jax.numpy as jnp
import pytest
import tiny_model

from lokitalk_jax.model import architecture, identity, nerf, rays
from lokitalk_jax.structs import AvatarParams
from lokitalk_jax.training import losses

CONFIG = tiny_model.config(encoder=True)
MODEL = architecture.from_config(CONFIG)


@pytest.fixture(scope="module")
def case():
    state = tiny_model.random_state(CONFIG, 1)
    first = jax.tree.map(
        lambda x: x[0], (state.params["identity"], tiny_model.batch(CONFIG, 1))
    )
    return state.params["shared"], *first, state.density[0]


def longer(array):
    return jnp.concatenate([array, array[:1]])


@pytest.mark.parametrize("name", ["lip", "plate", "density_grid", "pivot"])
def test_render_names_the_array(case, name):
    shared, residual, batch, grid = case
    combined = identity.combine(shared["base"], residual)
    signals, plate = batch.signals, batch.plate
    if name == "lip":
        signals = signals._replace(lip=signals.lip[:, :-1])
    elif name == "plate":
        plate = longer(plate)
    elif name == "density_grid":
        grid = None
    else:
        combined = combined | {"pivot": longer(combined["pivot"])}

    def render():
        cast = rays.generate(batch.pixels, batch.intrinsics, batch.head_to_camera)
        params = AvatarParams(shared, combined, grid)
        return nerf.render(MODEL, params, cast, signals, plate)

    with pytest.raises(AssertionError, match=name):
        jax.eval_shape(render)


@pytest.mark.parametrize(
    "name", ["rgb", "alpha", "regions", "face_points", "references", "head_to_camera"]
)
def test_the_loss_names_the_part_of_the_batch(case, name):
    shared, residual, batch, grid = case
    part = getattr(batch, name)
    changed = None if name in ("face_points", "references") else longer(part)

    def loss(batch):
        weights, key = tiny_model.weights(CONFIG), jax.random.key(0)
        return losses.identity_loss(MODEL, weights, shared, residual, grid, batch, key)[
            0
        ]

    assert jax.eval_shape(loss, batch).shape == ()
    with pytest.raises(AssertionError, match=rf"batch\.{name}"):
        jax.eval_shape(loss, batch._replace(**{name: changed}))
