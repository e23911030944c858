import jax
import numpy as np
import pytest
import tiny_model

from benchmarks import motion_floor
from lokitalk_jax import identity, model, sharding, signals, structs
from lokitalk_jax.data import demo, folder
from lokitalk_jax.data.dataset import Dataset


@pytest.fixture(scope="module")
def person(tmp_path_factory):
    motion = demo.Motion(controlled=True, mouth=0.02, pose_error=0.1, hair_lag=0.2)
    (path,) = demo.make_cast(
        tmp_path_factory.mktemp("floor"),
        identities=1,
        seconds=3,
        size=48,
        seed=5,
        motion=motion,
        workers=1,
    )
    return Dataset.open(folder.IdentityFolder(path), 48)


def test_fields_come_to_the_exact_offsets_and_leave_the_canonical_space(person):
    config = tiny_model.config()
    config.model.deform_width = config.model.deform_hidden = 32
    config.model.octaves = 4
    spec, state = model.from_config(config), tiny_model.state(config, 1)
    own = sharding.local_slice(state.params["identity"], 0)
    params = {"shared": state.params["shared"], "identity": own}
    fitted = signals.fit(
        {person.name: person.tracks}, {person.name: person.train_mask}, lip_dim=3
    )
    driven = signals.apply(fitted, person.name, person.tracks)
    truth = demo.load_truth(person.folder)
    frames = person.train_frames[::3]
    driven = jax.tree.map(lambda x: np.asarray(x)[frames], driven)
    points, offsets = motion_floor.surface_points(person, truth, frames, seed=0)

    def errors(params):
        one = identity.combine(params["shared"]["common"], params["identity"])
        found = spec.deformation.apply(
            params["shared"]["dynamic"],
            np.float32(points / structs.UNIT),
            driven,
            one,
        ).offsets
        # Root mean squares by region, as shares of the motion's.
        squares = np.sum((found * structs.UNIT - offsets) ** 2, axis=-1)
        return np.sqrt(squares.mean((0, 1)) / (offsets**2).sum(-1).mean((0, 1)))

    learned = motion_floor.fit(spec, params, points, offsets, driven, 0, steps=400)
    # Shares of the motion that are left; a fit of nothing leaves all of it.
    before, after = errors(params)[:3], errors(learned)[:3]
    assert (before > 0.95).all()
    np.testing.assert_array_less(after, [0.6, 0.75, 0.3])
    for mine, other in (("shared", "static"), ("identity", "grid")):
        jax.tree.map(
            np.testing.assert_array_equal, learned[mine][other], params[mine][other]
        )


def test_what_is_held_are_fields_and_not_the_canonical_space():
    state = tiny_model.state(tiny_model.config(), 1)
    kept = jax.tree_util.tree_map_with_path(
        lambda path, _: motion_floor.held(path), state.params
    )
    assert all(jax.tree.leaves(kept["shared"]["dynamic"]["params"]["face"]))
    assert all(jax.tree.leaves(kept["shared"]["dynamic"]["params"]["body"]))
    assert all(jax.tree.leaves(kept["identity"]["last_layers"]))
    assert not any(jax.tree.leaves(kept["shared"]["static"]))
    assert not any(jax.tree.leaves(kept["shared"]["common"]["grid"]))
