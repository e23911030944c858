"""The decoder: density, colour, and the inputs that each depends on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_model

from lokitalk_jax.model import architecture
from lokitalk_jax.model.canonical import Decoder
from lokitalk_jax.model.deformation import Deformed
from lokitalk_jax.structs import Signals

DECODER = Decoder(
    width=16,
    conditioned=True,
    compute="float32",
    embedding=16,
    geometry=3,
)
FRAMES, RAYS, SAMPLES, FEATURES, CODE = 2, 3, 2, 4, 5
POINTS = RAYS * SAMPLES


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.normal(size=shape).astype(np.float32)

    turn = np.linalg.qr(normal(FRAMES, 3, 3))[0]
    deformed = Deformed(
        points=normal(FRAMES, POINTS, 3),
        gates=rng.uniform(size=(FRAMES, POINTS, 4)).astype(np.float32),
        offsets=normal(FRAMES, POINTS, 4, 3),
        torso_rotation=turn,
    )
    directions = normal(FRAMES, RAYS, 3)
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    codes = {"geometry": normal(CODE), "appearance": normal(CODE)}
    signals = Signals(normal(FRAMES, 8), normal(FRAMES, 2), head=None, torso=None)
    return normal(FRAMES, POINTS, FEATURES), directions, deformed, signals, codes


@pytest.fixture(scope="module")
def params(case):
    return jax.jit(DECODER.init, static_argnums=6)(jax.random.key(0), *case, SAMPLES)


@pytest.fixture(scope="module")
def decode(case, params):
    apply = jax.jit(DECODER.apply, static_argnums=6)

    def decode(*inputs):
        return jax.device_get(apply(params, *inputs, SAMPLES))

    return decode


def test_ranges(case, decode):
    features, *others = case
    density, colour = decode(*case)
    assert density.shape == (FRAMES, POINTS) and (density > 0).all()
    assert colour.shape == (FRAMES, POINTS, 3)
    assert (colour > 0).all() and (colour < 1).all()
    wild, _ = decode(1e4 * features, *others)
    assert np.isfinite(wild).all()


def test_the_lip_signal_changes_density_where_its_gate_is_open(case, decode):
    features, directions, deformed, signals, codes = case
    closed = deformed.gates.copy()
    closed[:, ::2, 0] = 0
    deformed = deformed._replace(gates=closed)
    loud = signals._replace(lip=signals.lip + 1)
    before, _ = decode(features, directions, deformed, signals, codes)
    after, _ = decode(features, directions, deformed, loud, codes)
    np.testing.assert_allclose(after[:, ::2], before[:, ::2], rtol=1e-6)
    assert (np.abs(after[:, 1::2] / before[:, 1::2] - 1) > 1e-3).all()


def test_without_conditioning_the_density_ignores_signals(case):
    features, directions, deformed, signals, codes = case
    c = tiny_model.config()
    c.model.condition_decoder = False
    decoder = architecture.from_config(c).decoder
    loud = signals._replace(lip=signals.lip + 1, eye=signals.eye + 1)
    elsewhere = deformed._replace(gates=1 - deformed.gates)

    @jax.jit
    def densities():
        drawn = decoder.init(jax.random.key(0), *case, SAMPLES)
        return [
            decoder.apply(drawn, features, d, s, codes, method=Decoder.density)[0]
            for d, s in ((deformed, signals), (elsewhere, loud))
        ]

    np.testing.assert_array_equal(*densities())


def test_view_and_appearance_change_colour_but_not_density(case, decode):
    features, directions, deformed, signals, codes = case
    density, colour = decode(*case)
    other, shaded = decode(
        features,
        directions[:, ::-1],
        deformed,
        signals,
        codes | {"appearance": np.ones(CODE)},
    )
    np.testing.assert_array_equal(other, density)
    assert np.abs(shaded - colour).max() > 1e-3


def test_the_torso_keeps_its_colours_when_the_head_turns(case, decode):
    """Turning the head frame turns rays the other way; the torso's colours stay."""
    features, directions, deformed, signals, codes = case
    gates = deformed.gates.copy()
    gates[..., 3] = [1, 0] * (POINTS // 2)
    turned = np.einsum("bij,brj->bri", deformed.torso_rotation, directions)
    moved = deformed._replace(gates=gates)
    still = moved._replace(torso_rotation=np.tile(np.eye(3), (FRAMES, 1, 1)))
    _, a = decode(features, directions, moved, signals, codes)
    _, b = decode(features, turned, still, signals, codes)
    np.testing.assert_allclose(a[:, ::2], b[:, ::2], atol=1e-6)
    assert np.abs(a[:, 1::2] - b[:, 1::2]).max() > 1e-3


def test_colours_have_no_gradient_to_the_torso_gate(case, params):
    features, directions, deformed, signals, codes = case

    @jax.jit
    @jax.grad
    def slope(gates):
        moved = deformed._replace(gates=gates)
        inputs = features, directions, moved, signals, codes
        _, colours = DECODER.apply(params, *inputs, SAMPLES)
        return jnp.sum(colours)

    got = slope(deformed.gates)
    np.testing.assert_array_equal(got[..., 2:], 0)
    assert np.abs(got[..., :2]).max() > 0
