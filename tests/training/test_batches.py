"""Batches are checked where they leave NumPy for the devices."""

import itertools
import threading

import numpy as np
import pytest
import tiny_train

from lokitalk_jax.data.loader import Loader
from lokitalk_jax.training import stages, training_set
from lokitalk_jax.training.batches import Batches


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    config = tiny_train.config(tiny_train.write_people(tmp_path_factory.mktemp("x")))
    return config, training_set.load_training_set(config)


def first(opened):
    config, people = opened
    batches = Batches(config, people, stages.from_config(config), people.signals)
    return next(itertools.islice(batches.iterate(0), 1))


def test_a_batch_has_the_identities_and_the_pixels_of_its_stage(opened):
    config, people = opened
    pixels = first(opened).pixels.shape
    assert pixels[0] == people.count
    assert pixels[1:3] == (config.data.frames_per_step, config.data.rays_per_frame)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda b: b._replace(rgb=b.rgb[:1]), "shape prefix"),
        (lambda b: b._replace(pixels=b.pixels[:, :, 1:]), "shape"),
        (lambda b: b._replace(alpha=np.float64(b.alpha)), "float64"),
    ],
)
def test_a_wrong_batch_does_not_reach_the_devices(opened, monkeypatch, spoil, words):
    whole = Loader.batch
    monkeypatch.setattr(Loader, "batch", lambda self, step: spoil(whole(self, step)))
    with pytest.raises(AssertionError, match=words):
        first(opened)


def test_a_loading_thread_may_close_the_batches(opened, monkeypatch):
    """As the garbage collector does that runs there."""
    config, people = opened
    whole, drawn, closed, errors = (
        Loader.batch,
        threading.Event(),
        threading.Event(),
        [],
    )

    def draw(self, step):
        if drawn.wait(0.2):
            try:
                batches.close()
            except BaseException as error:
                errors.append(error)
            closed.set()
        return whole(self, step)

    monkeypatch.setattr(Loader, "batch", draw)
    loader = Batches(config, people, stages.from_config(config), people.signals)
    batches = loader.iterate(0)
    next(batches)
    drawn.set()
    assert closed.wait(10) and not errors


def test_several_identities_in_one_canonical_grid_are_warned_of(opened, caplog):
    config, _ = opened
    for offset in (True, False):
        own = config.copy_and_resolve_references()
        own.model.identity_offset = offset
        caplog.clear()
        training_set.load_training_set(own)
        warned = "anna, bert, carl will share one canonical grid" in caplog.text
        assert warned != offset
