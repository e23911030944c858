import functools

import jax
import numpy as np
import pytest
import tiny_model

from benchmarks import exact_motion
from lokitalk_jax import demo, structs
from lokitalk_jax.data import folder, layout, pixel_sampling, signals
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.data.loader import Drawing, Loader
from lokitalk_jax.demo import shapes
from lokitalk_jax.model import architecture
from lokitalk_jax.training import train_step

STEPS = 200


def _config():
    """Small, but with gates that can draw an eye, and no anatomy to start from."""
    c = tiny_model.config()
    c.model.anatomical_gates = False
    c.model.gate_width, c.model.gate_octaves = 32, 4
    c.model.deform_width = c.model.deform_hidden = c.model.decoder_width = 16
    c.model.octaves = 3
    c.grid.coarsest, c.grid.finest, c.grid.log2_entries = 16, 40, 12
    c.sampling.samples = 12
    c.data.frames_per_step, c.data.rays_per_frame = 4, 160
    c.loss.smoothness = c.loss.landmarks = c.loss.outside = c.loss.skull = 0.0
    c.lr.network = 1e-2
    c.train.steps = STEPS
    return c


@pytest.fixture(scope="module")
def person(tmp_path_factory):
    motion = demo.MotionStyle(controlled=True, pose_error=0.1, hair_lag=0.2)
    (path,) = demo.make_cast(
        tmp_path_factory.mktemp("controlled"),
        identities=1,
        seconds=4,
        size=48,
        seed=5,
        motion=motion,
        workers=1,
    )
    return Dataset.open(folder.IdentityFolder(path), 48)


@pytest.fixture(scope="module")
def fitted(person):
    of = {person.name: person.tracks}, {person.name: person.train_mask}
    return signals.fit_apply(*of, lip_dim=3)[0]


@pytest.fixture(scope="module")
def train(person, fitted):
    """Trains from neutral gates with a weight of the cross-attention loss; scores."""
    c = _config()
    spec = tiny_model.spec(c, 1)
    # A narrow decoder leaves more to the deformation fields.
    model = spec.model._replace(
        decoder=spec.model.decoder.clone(embedding=4, geometry=3),
        sampling=spec.model.sampling._replace(bins=8),
    )
    spec = spec._replace(model=model)

    # Samples stay evenly spread: these gates are wide.
    @jax.jit
    def step(state, batch, attention):
        weights = spec.weights._replace(attention=attention)
        return train_step.train_step(spec._replace(weights=weights), state, batch)

    def run(attention: float):
        loader = Loader(
            [person],
            {person.name: signals.apply(fitted, person.name, person.tracks)},
            Drawing(
                c.data.frames_per_step,
                c.data.rays_per_frame,
                pixel_sampling.Importance(**c.data.importance),
            ),
            seed=0,
            threads=1,
            prefetch=2,
        )
        state = jax.jit(functools.partial(train_step.init_state, spec))(0, np.zeros(1))
        source = loader.iterate(0)
        for _ in range(STEPS):
            state, _ = step(state, next(source), attention)
        source.close()
        params = train_step.avatar_params(state, 0)
        subject = exact_motion.make_subject(spec.model, params, person, fitted)
        return exact_motion.score(
            [exact_motion.measure(subject, frame) for frame in person.test_frames[::3]]
        )

    return run


# Shares of a region's offset inside its mask, between the two arms. The
# masks of lips and eyes cover 3 and 2% of the person.
INSIDE = {"lip": 0.15, "eye": 0.06, "head": 0.72, "torso": 0.74}


@pytest.mark.heavy
def test_cross_attention_holds_fields_to_their_regions(train):
    """From neutral gates, only the loss ties a field to its region."""
    held, free = train(1.0), train(0.0)
    for region, bound in INSIDE.items():
        assert held[region].gated_inside > bound
        assert free[region].gated_inside < bound
    # The torso moves by centimetres, so that even a tiny model learns its motion.
    assert held["torso"].error < 0.25


@pytest.fixture(scope="module")
def motion(person, fitted):
    """A frame's motion, measured of a model that was not trained."""
    c = _config()
    state = tiny_model.state(c, 1)
    params = train_step.avatar_params(state, 0)
    subject = exact_motion.make_subject(
        architecture.from_config(c), params, person, fitted
    )
    return exact_motion.measure(subject, int(person.test_frames[0]))


def test_exact_motion_scores_perfectly_and_stillness_as_its_whole_size(motion):
    perfect = exact_motion.score([motion._replace(learned=motion.exact)])
    still = exact_motion.score([motion._replace(learned=0 * motion.exact + 1e-9)])
    for region in structs.REGIONS:
        assert perfect[region].error == 0
        assert perfect[region].inside == perfect[region].exact_inside
        assert still[region].error == pytest.approx(1, abs=1e-3)


def test_eyeballs_and_teeth_are_not_moved_by_lids_and_lips(motion, person):
    """Whatever surface is nearest to a sample that renders them."""
    surface = demo.visible_surface(
        demo.load_truth(person.folder), int(person.test_frames[0])
    )
    inside = surface.pixels[surface.material == shapes.INSIDE] @ [
        person.camera.width,
        1,
    ]
    seen = np.isin(motion.pixel, inside)
    assert seen.any()
    assert not motion.own[seen][:, [0, 1, 3]].any() and motion.own[seen, 2].all()


def test_errors_along_the_line_of_sight_do_not_count_across(motion):
    shifted = motion.exact + 0.001 * motion.sight[:, None]
    scores = exact_motion.score([motion._replace(learned=shifted)])
    for region in structs.REGIONS:
        assert scores[region].error == pytest.approx(
            1 / scores[region].exact_mm, rel=1e-3
        )
        assert scores[region].across < 1e-6


def test_speckle_paints_the_person_and_moves_nothing(tmp_path):
    plain, painted = (
        demo.make_cast(
            tmp_path / str(speckle),
            identities=1,
            seconds=1,
            size=64,
            speckle=speckle,
            workers=1,
        )[0]
        for speckle in (0.0, 1.0)
    )
    plain, painted = folder.IdentityFolder(plain), folder.IdentityFolder(painted)
    np.testing.assert_array_equal(plain.tracks().landmarks, painted.tracks().landmarks)
    head = plain.labels(5) == layout.HEAD
    change = np.abs(plain.frame(5).astype(int) - painted.frame(5)).mean(-1)
    assert change[head].mean() > 8 and change[~head].mean() < 2
    again = demo.Renderer(demo.load_truth(painted))(5).rgb
    assert np.abs(painted.frame(5) / 255 - again).mean() < 0.02
