"""Learning rates: by kind, on one schedule."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_model

from lokitalk_jax.model import architecture
from lokitalk_jax.training import optimizer

RATES = optimizer.LearningRates(grid=1e-2, network=1e-3, code=2e-3, torso=5e-2)


def test_every_parameter_learns_at_the_rate_of_its_kind():
    """Adam's first step under a gradient of one is the learning rate."""
    model = architecture.from_config(tiny_model.config(encoder=True))
    params = architecture.init(model, jax.random.key(0), 2)
    rule = optimizer.make(RATES, 10, 0, 0.1)
    ones = jax.tree.map(jnp.ones_like, params)
    updates, _ = jax.jit(rule.update)(ones, rule.init(params), params)

    def rates(tree):
        return {f"{-np.ravel(leaf)[0]:.0e}" for leaf in jax.tree.leaves(tree)}

    shared = updates["shared"]
    for part in (shared["base"], updates["identity"]):
        assert rates(part["grid"]) == {"1e-02"}
        assert rates((part["pivot"], part["gains"])) == {"5e-02"}
        assert rates(part["codes"]) == {"2e-03"}
        assert rates(part["last_layers"]) == {"1e-03"}
    networks = (shared["dynamic"], shared["static"], shared["encoder"])
    assert rates(networks) == {"1e-03"}


def test_steps_have_the_size_of_the_schedule():
    """Adam's first steps under a steady gradient are its learning rate."""
    steps, warmup, final = 40, 10, 0.1
    rule = optimizer.make(RATES, steps, warmup, final)
    params = {"grid": jnp.zeros(2), "codes": jnp.zeros(1), "other": jnp.zeros(3)}

    def step(moments, _):
        updates, moments = rule.update(
            jax.tree.map(jnp.ones_like, params), moments, params
        )
        return moments, updates

    _, updates = jax.jit(
        lambda: jax.lax.scan(step, rule.init(params), length=steps + 20)
    )()
    for name, kind in {"grid": "grid", "codes": "code", "other": "network"}.items():
        rate = getattr(RATES, kind)
        sizes = -np.array(updates[name][:, 0])
        assert sizes[0] == 0
        np.testing.assert_allclose(sizes[warmup // 2], rate / 2, rtol=1e-3)
        np.testing.assert_allclose(sizes[warmup], rate, rtol=1e-3)
        np.testing.assert_allclose(sizes[steps:], rate * final, rtol=1e-3)
        assert (np.diff(sizes[warmup:]) <= 1e-9).all()


@pytest.mark.parametrize("final", [0.0, -0.1, 1.5, float("nan")])
def test_a_share_of_the_rates_that_cannot_be_left_is_refused(final):
    with pytest.raises(ValueError, match=f"lr.final={final:g} must be above 0"):
        optimizer.make(RATES, 10, 0, final)


def test_a_parameter_without_gradient_stays():
    """Padding has no gradient, and must not drift."""
    rule = optimizer.make(RATES, 10, 0, 0.1)
    params = {"grid": jnp.ones(4)}
    moments = rule.init(params)
    for _ in range(3):
        updates, moments = rule.update({"grid": jnp.zeros(4)}, moments, params)
        np.testing.assert_array_equal(updates["grid"], 0)


def test_an_audio_encoder_learns_while_a_prior_is_frozen():
    rule = optimizer.make(RATES, 10, 0, 0.1, shared="frozen")
    params = {
        "shared": {"voice": {"kernel": jnp.ones(2)}, "static": {"kernel": jnp.ones(2)}},
        "identity": {"pivot": jnp.ones(3)},
    }
    grads = jax.tree.map(jnp.ones_like, params)
    updates, _ = rule.update(grads, rule.init(params), params)
    sizes = jax.tree.map(lambda x: float(jnp.abs(x).max()), updates)
    assert sizes["shared"]["static"]["kernel"] == 0
    assert sizes["shared"]["voice"]["kernel"] > 0 and sizes["identity"]["pivot"] > 0
