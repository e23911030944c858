"""The four deformation fields: which signals move which points."""

import functools

import jax
import numpy as np
import pytest
import tiny_model
from scipy.spatial.transform import Rotation

from lokitalk_jax import structs
from lokitalk_jax.model import architecture, deformation, identity
from lokitalk_jax.structs import REGIONS, UNIT, Signals

CONFIG = tiny_model.config()
MODEL = architecture.from_config(CONFIG)
FRAMES, POINTS = 2, 40


@functools.partial(jax.jit, static_argnames="steps")
def deform(params, points, signals, steps=MODEL.deformation.face_steps):
    person = identity.combine(
        params["shared"]["base"], jax.tree.map(lambda x: x[0], params["identity"])
    )
    module = MODEL.deformation.clone(face_steps=steps)
    return module.apply(params["shared"]["dynamic"], points, signals, person)


@pytest.fixture(scope="module")
def params():
    return tiny_model.random_state(CONFIG, 1).params


@pytest.fixture(scope="module")
def points():
    """Half of them in the face, the others anywhere in the box."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (FRAMES, POINTS, 3)).astype(np.float32)
    points[:, ::2] = 0.25 * points[:, ::2] + [0, 0, -0.2]
    return points


@pytest.fixture(scope="module")
def signals():
    batch = tiny_model.batch(CONFIG, 1)
    return jax.tree.map(lambda x: x[0], batch.signals)


def without_last_layers(params, regions):
    """The same parameters with zero last layers of `regions`."""
    params = jax.tree.map(lambda leaf: leaf, params)  # a copy of the tree
    for tree in (params["shared"]["base"], params["identity"]):
        for region in regions:
            tree["last_layers"][region] = np.zeros_like(tree["last_layers"][region])
    return params


def test_offsets_add_up_and_gates_are_shares(params, points, signals):
    out = deform(params, points, signals)
    moved = np.array(out.points) - points
    assert np.abs(moved).max() > 0.01
    np.testing.assert_allclose(np.sum(out.offsets, axis=-2), moved, atol=1e-5)
    gates = np.array(out.gates)
    assert (gates >= 0).all() and (gates <= 1).all()
    np.testing.assert_allclose(gates[..., 2] + gates[..., 3], 1, atol=1e-6)


@pytest.mark.parametrize("name", ["lip", "eye"])
def test_fields_of_two_signals_add_up(params, points, signals, name):
    """Cross-driving has combinations of coefficients that training frames lack."""
    one, other = getattr(signals, name)[:1], getattr(signals, name)[1:]
    assert np.abs(one).max() > 0.1 and np.abs(other).max() > 0.1

    def moved(signal):
        given = signals._replace(**{name: np.repeat(signal, FRAMES, axis=0)})
        out = deform(params, points, given, steps=1)  # the fields at one place
        return np.array(out.offsets)[..., REGIONS.index(name), :]

    both = moved(one) + moved(other) - moved(0 * one)
    np.testing.assert_allclose(moved(one + other), both, atol=1e-5)
    assert np.abs(both - moved(one)).max() > 1e-3


def test_before_training_signals_at_rest_move_nothing(points, signals):
    fresh = tiny_model.state(CONFIG, 1).params
    rest = jax.tree.map(np.zeros_like, signals)._replace(
        eye=np.broadcast_to(structs.EYE_REST, signals.eye.shape)
    )
    still, moved = (deform(fresh, points, s).offsets for s in (rest, signals))
    np.testing.assert_array_equal(still[..., :3, :], 0)
    assert (np.abs(moved[..., :3, :]).max((0, 1, 3)) > 1e-4).all()


def test_zero_last_layers_leave_the_torso_motion_alone(params, points, signals):
    still = without_last_layers(params, REGIONS)
    out = deform(still, points, signals)
    for region in range(3):
        np.testing.assert_array_equal(out.offsets[..., region, :], 0)
    common, own = still["shared"]["base"], still["identity"]
    resting, rotation = deformation.torso_motion(
        points,
        signals.torso[:, :6],
        common["pivot"] + own["pivot"][0],
        common["gains"] + own["gains"][0],
    )
    wanted = out.gates[..., 3:] * (resting - points)
    np.testing.assert_allclose(out.offsets[..., 3, :], wanted, atol=1e-6)
    np.testing.assert_allclose(out.torso_rotation, rotation, atol=1e-6)


def test_the_field_of_the_torso_adds_to_its_rigid_motion(params, points, signals):
    rigid = deform(without_last_layers(params, ("torso",)), points, signals)
    bent = deform(params, points, signals)
    added = np.array(bent.offsets - rigid.offsets)[..., 3, :]
    gate = np.array(bent.gates)[..., 3]
    np.testing.assert_array_equal(bent.gates[..., 3], rigid.gates[..., 3])
    assert np.abs(added[gate > 0.5]).max() > 1e-3
    assert np.abs(added[gate < 1e-3]).max() < 1e-4
    # Poses before that of the frame move nothing.
    before = signals._replace(torso=signals.torso + np.repeat([0, 0.2, 0.3], 6))
    np.testing.assert_array_equal(deform(params, points, before).points, bent.points)


def test_at_the_mean_pose_the_torso_is_static(params, points, signals):
    rest = signals._replace(torso=np.zeros_like(signals.torso))
    out = deform(without_last_layers(params, ("torso",)), points, rest)
    np.testing.assert_allclose(out.offsets[..., 3, :], 0, atol=1e-6)
    np.testing.assert_allclose(out.torso_rotation, [np.eye(3)] * FRAMES, atol=1e-7)


@pytest.mark.parametrize("region", REGIONS)
def test_a_signal_moves_its_own_region_and_a_head_its_torso(
    params, points, signals, region
):
    index = REGIONS.index(region)
    louder = signals._replace(**{region: getattr(signals, region) + 0.2})

    def change(params):
        before, after = (deform(params, points, s) for s in (signals, louder))
        difference = np.abs(np.array(after.offsets) - before.offsets)
        return before, after, difference.max((0, 1, 3))

    before, after, moved = change(params)
    assert moved[index] > 1e-4
    if region == "head":
        # The torso's signal is relative to the head, so the torso comes along.
        assert moved[3] > 1e-4
        np.testing.assert_array_equal(after.gates[..., 3], before.gates[..., 3])
    if region in deformation.FACE:
        np.testing.assert_array_equal(moved[2:], 0)
    if region in ("lip", "eye", "head"):
        # Lips and lids act on the point that this one moved, and only so.
        fields = ("head", "torso") if region == "head" else (region,)
        _, _, moved = change(without_last_layers(params, fields))
        np.testing.assert_array_equal(moved, 0)
    if region == "torso":
        # The two share one partition: only the gate between them moves.
        field = before.offsets[..., 2, :] / before.gates[..., 2:3]
        np.testing.assert_allclose(
            after.offsets[..., 2, :], after.gates[..., 2:3] * field, atol=1e-5
        )


def test_lip_and_eye_fields_see_points_that_the_body_stage_has_moved(
    params, points, signals
):
    still = without_last_layers(params, ("head", "torso"))
    signals = signals._replace(lip=10 * signals.lip)
    carried = deform(still, points, signals).offsets
    assert np.abs(carried[..., 3, :]).max() > 0.01
    at_rest = signals._replace(torso=np.zeros_like(signals.torso))
    there = deform(still, points + carried[..., 3, :], at_rest).offsets
    np.testing.assert_allclose(carried[..., :2, :], there[..., :2, :], atol=1e-6)
    here = deform(still, points, at_rest).offsets
    assert np.abs(carried[..., :2, :] - here[..., :2, :]).max() > 1e-4


def test_steps_lead_to_the_place_where_the_fields_of_the_face_are_read(
    params, points, signals
):
    """Points that a small motion of the canonical face carries are carried back."""
    still = without_last_layers(params, ("head", "torso"))
    signals = jax.tree.map(lambda x: 0.3 * x, signals)
    signals = signals._replace(torso=0 * signals.torso)
    canonical = 0.25 * points + np.float32([0, 0.2, -0.3])
    there = np.array(deform(still, canonical, signals, steps=1).offsets).sum(-2)
    seen = canonical - there
    assert np.linalg.norm(there, axis=-1).max() > 0.01

    def error(steps):
        found = deform(still, seen, signals, steps=steps).points
        return np.linalg.norm(found - canonical, axis=-1).mean()

    assert error(2) < 0.5 * error(1)
    assert error(3) < 0.5 * error(2)


def first_gates(config, points, signals):
    """Gates before training."""
    model = architecture.from_config(config)

    @jax.jit
    def gates():
        shared = architecture.init(model, jax.random.key(0), 1)["shared"]
        return model.deformation.apply(
            shared["dynamic"], points, signals, shared["base"]
        ).gates

    return np.array(gates())


def test_gates_start_on_the_anatomy(signals):
    rest = jax.tree.map(np.zeros_like, signals)
    places = {
        "lip": [0, 0.046, -0.05],
        "eye": [0.032, -0.027, -0.03],
        "head": [0, -0.1, 0],
        "torso": [0.1, 0.3, 0],
    }
    at = np.array(list(places.values()), np.float32) / UNIT
    gates = first_gates(CONFIG, np.tile(at, (FRAMES, 1, 1)), rest)[0]
    # The face is part of the head: its gates are shares of another kind.
    assert (np.diag(gates) > 0.95).all()
    assert (gates[[0, 1], [1, 0]] < 0.05).all() and (gates[2:, :2] < 0.05).all()


def test_a_bowed_head_keeps_its_mouth_and_a_collar_its_torso(signals):
    rest = jax.tree.map(np.zeros_like, signals)
    bowed = np.float32([0.23, 0, 0, 0, 0.14, -0.15])  # 13 degrees, 3.4 cm down
    bent = rest._replace(head=rest.head + bowed, torso=rest.torso + np.tile(bowed, 3))
    at = np.float32([[0, 0.046, -0.05], [0, 0.22, 0.02]]) / UNIT
    points = np.tile(at, (FRAMES, 1, 1))
    for at_pose in (rest, bent):
        gates = first_gates(CONFIG, points, at_pose)[0]
        mouth, collar = gates[:, REGIONS.index("torso")]
        assert mouth < 0.03 and collar > 0.97


def test_neutral_gates_start_at_one_half(points, signals):
    config = tiny_model.config()
    config.model.anatomical_gates = False
    np.testing.assert_array_equal(first_gates(config, points, signals), 0.5)


def torso_case(gains):
    rng = np.random.default_rng(1)
    pose = rng.normal(0, 0.3, (FRAMES, 6)).astype(np.float32)
    points = rng.normal(size=(FRAMES, POINTS, 3)).astype(np.float32)
    pivot = np.float32([0.1, 0.5, 0.2])
    return points, pose, pivot, np.full(3, gains, np.float32)


def test_with_gains_of_0_the_torso_is_static_in_the_room():
    """Resting points are where the moved head's points are in the room."""
    points, pose, pivot, gains = torso_case(0)
    resting, rotation = deformation.torso_motion(points, pose, pivot, gains)
    matrices = Rotation.from_rotvec(pose[:, :3]).as_matrix()
    np.testing.assert_allclose(rotation, matrices, atol=1e-6)
    turned = np.einsum("bij,bqj->bqi", matrices, points - pivot) + pivot
    np.testing.assert_allclose(resting, turned, atol=1e-5)


def test_with_gains_of_1_the_neck_moves_with_the_head():
    """In the room a point moves as the head frame does."""
    points, pose, pivot, gains = torso_case(1)
    resting, _ = deformation.torso_motion(points, pose, pivot, gains)
    matrices = Rotation.from_rotvec(pose[:, :3]).as_matrix()
    room = np.einsum("bij,bqj->bqi", matrices, points) + pose[:, None, 3:]
    np.testing.assert_allclose(resting, room, atol=1e-5)


def test_a_shifted_head_shifts_the_torso_by_its_gains():
    points, pose, pivot, _ = torso_case(0)
    pose[:, :3] = 0
    gains = np.float32([0.25, 0.5, 1.0])
    resting, rotation = deformation.torso_motion(points, pose, pivot, gains)
    np.testing.assert_allclose(
        resting - points,
        np.broadcast_to(gains * pose[:, None, 3:], points.shape),
        atol=1e-6,
    )
    np.testing.assert_allclose(rotation, [np.eye(3)] * FRAMES, atol=1e-7)


def test_signals_have_the_order_of_the_regions():
    assert Signals._fields == REGIONS == (*deformation.FACE, *deformation.BODY, "torso")
