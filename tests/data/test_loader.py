import dataclasses
import threading

import numpy as np
import pytest
import tiny_folder

from lokitalk_jax import structs
from lokitalk_jax.data import pixel_sampling, regions, signals
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.data.loader import Drawing, Loader
from lokitalk_jax.data.pixel_sampling import Importance


@pytest.fixture(scope="module")
def cast(tmp_path_factory):
    """Two identities of different sizes, and their signals."""
    root = tmp_path_factory.mktemp("cast")
    folders = [
        tiny_folder.write(root / "ann", frames=33, seed=1),
        tiny_folder.write(root / "bob", frames=22, height=64, width=48, seed=2),
    ]
    datasets = [Dataset.open(folder, 64) for folder in folders]
    _, tracked = signals.fit_apply(
        {data.name: data.tracks for data in datasets},
        {data.name: data.train_mask for data in datasets},
    )
    return datasets, tracked


def _loader(datasets, tracked, seed=3, threads=2, prefetch=4, **drawing):
    drawing = Drawing(**{"frames": 4, "rays": 50} | drawing)
    ahead = {"threads": threads, "prefetch": prefetch}
    return Loader(datasets, tracked, drawing, seed=seed, **ahead)


def _leaves(batch):
    return [*batch[:7], *batch.signals, batch.weight, *(batch.references or ())]


def _equal(a, b):
    for left, right in zip(_leaves(a), _leaves(b), strict=True):
        np.testing.assert_array_equal(left, right)


def _slot(batch, n):
    return [leaf[n] for leaf in _leaves(batch)]


def test_shapes_are_those_of_a_batch(cast):
    batch = _loader(*cast).batch(0)
    assert batch.pixels.shape == (2, 4, 50, 2)
    assert batch.rgb.shape == batch.plate.shape == (2, 4, 50, 3)
    assert batch.alpha.shape == (2, 4, 50)
    assert batch.regions.shape == (2, 4, 50, len(structs.REGIONS))
    assert batch.intrinsics.shape == (2, 3)
    assert batch.head_to_camera.shape == (2, 4, 4, 4)
    assert batch.signals.lip.shape == (2, 4, 8)
    assert batch.signals.eye.shape == (2, 4, 3)
    assert batch.signals.head.shape == (2, 4, 6)
    assert batch.signals.torso.shape == (2, 4, 6 * len(structs.TORSO_LAGS))
    assert batch.weight.tolist() == [1, 1]
    for leaf in _leaves(batch):
        assert leaf.dtype == np.float32


def test_colours_belong_to_their_pixels_and_frames(cast):
    datasets, tracked = cast
    loader = _loader(datasets, tracked)
    frames_seen = set()
    for step in range(4):
        batch = loader.batch(step)
        for n, data in enumerate(datasets):
            column, row = batch.pixels[n, ..., 0] - 0.5, batch.pixels[n, ..., 1] - 0.5
            assert (column == np.round(column)).all() and column.min() >= 0
            assert column.max() < data.camera.width and row.max() < data.camera.height
            np.testing.assert_allclose(
                batch.rgb[n, ..., 0] * 255, 3 * column, atol=1e-3
            )
            np.testing.assert_allclose(
                batch.rgb[n, ..., 1] * 255, 4 * row % 256, atol=1e-3
            )
            np.testing.assert_allclose(batch.plate[n, ..., 0] * 255, row, atol=1e-3)
            np.testing.assert_allclose(batch.plate[n, ..., 1] * 255, column, atol=1e-3)
            frames = np.round(batch.rgb[n, :, :, 2] * 255).astype(int)
            assert (frames == frames[:, :1]).all()
            frames = frames[:, 0]
            assert len(set(frames)) == 4 and set(frames) <= set(data.train_frames)
            frames_seen |= set(frames)
            np.testing.assert_array_equal(
                batch.signals.lip[n], tracked[data.name].lip[frames]
            )
            np.testing.assert_array_equal(
                batch.head_to_camera[n], data.tracks.head_to_camera[frames]
            )
            r, c = row.astype(int), column.astype(int)
            for b, frame in enumerate(frames):
                masks = data.region_masks(frame)[r[b], c[b]]
                np.testing.assert_allclose(batch.regions[n, b], masks, atol=1e-6)
                alpha = data.frame(frame)[1][r[b], c[b]]
                np.testing.assert_array_equal(batch.alpha[n, b], alpha)
    assert len(frames_seen) > 8


def test_batches_depend_on_seed_step_and_identity_alone(cast):
    (ann, bob), tracked = cast
    both = _loader([ann, bob], tracked)
    order = [both.batch(step) for step in (5, 2, 9)]
    fresh = _loader([bob, None, ann], tracked, threads=3)
    for step, batch in zip((5, 2, 9), order, strict=True):
        again = fresh.batch(step)
        for n, m in ((0, 2), (1, 0)):
            for left, right in zip(_slot(batch, n), _slot(again, m), strict=True):
                np.testing.assert_array_equal(left, right)
    assert (order[0].pixels != order[1].pixels).any()
    assert (
        order[0].pixels != _loader([ann, bob], tracked, seed=4).batch(5).pixels
    ).any()
    # Two identities of one size do not look at the same places.
    assert (both.batch(0).pixels[0] != both.batch(0).pixels[1]).any()


@pytest.mark.parametrize("threads", [1, 4])
def test_iteration_yields_the_batches_in_order(cast, threads):
    loader = _loader(*cast, threads=threads, prefetch=3)
    batches = loader.iterate(7)
    for step in range(7, 14):
        _equal(next(batches), loader.batch(step))
    batches.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("loader")]


def test_no_more_is_read_ahead_than_asked_for(cast):
    loader = _loader(*cast, threads=2, prefetch=3)
    asked = []
    draw = loader.batch
    loader.batch = lambda step: asked.append(step) or draw(step)
    batches = loader.iterate(0)
    next(batches)
    batches.close()
    assert max(asked) < 3


def test_worker_errors_reach_the_consumer(cast):
    loader = _loader(*cast)
    draw = loader.batch

    def broken(step):
        if step == 2:
            raise OSError("the disk is gone")
        return draw(step)

    loader.batch = broken
    batches = loader.iterate(0)
    next(batches), next(batches)
    with pytest.raises(RuntimeError, match="step 2 failed: the disk is gone"):
        next(batches)
    assert not [t for t in threading.enumerate() if t.name.startswith("loader")]


def test_padding_slots_are_empty_and_keep_rays_finite(cast):
    (ann, _), tracked = cast
    batch = _loader([ann, None], tracked).batch(0)
    assert batch.weight.tolist() == [1, 0]
    for leaf in (*batch[:5], *batch.signals):
        assert not leaf[1].any()
    assert batch.intrinsics[1].tolist() == [1, 0, 0]
    np.testing.assert_array_equal(
        batch.head_to_camera[1], np.tile(np.eye(4), (4, 1, 1))
    )


@pytest.mark.parametrize(
    "importance", [Importance(), Importance(1, 0, 0, 0), Importance(0.05, 0, 0, 9)]
)
def test_pixels_are_drawn_by_importance(cast, importance):
    data = cast[0][0]
    draws = 60_000
    rng = np.random.default_rng(0)
    pixels = pixel_sampling.draw_pixels(rng, data, np.array([4]), draws, importance)[0]
    column, row = (pixels - 0.5).astype(int).T
    height, width = data.camera.shape
    counts = np.zeros((height, width))
    np.add.at(counts, (row, column), 1)

    # A pixel's share is the mean over its area.
    fine = (np.mgrid[: height * 8, : width * 8] + 0.5) / 8
    fine = fine[::-1].reshape(2, -1).T.astype(np.float32)
    masks = regions.ellipses(data.shapes, np.array(4), fine)
    masks = masks.reshape(height, 8, width, 8, 2).mean((1, 3))
    share = importance.background + importance.person * data.frame(4)[1]
    share = share + importance.lip * masks[..., 0] + importance.eye * masks[..., 1]
    share /= share.sum()
    # Six standard deviations, 3072 pixels; the sum is nearly Gaussian where it counts.
    bound = 6 * np.sqrt(share / draws) + 10 / draws
    assert (np.abs(counts / draws - share) < bound).all()


def test_pixels_stay_inside_when_the_lips_leave_the_image(cast):
    data = cast[0][0]
    centres = data.shapes.centres.copy()
    centres[:, 0] = [data.camera.width + 2, data.camera.height / 2]
    at_edge = dataclasses.replace(data, shapes=data.shapes._replace(centres=centres))
    rng = np.random.default_rng(0)
    pixels = pixel_sampling.draw_pixels(
        rng, at_edge, np.array([0, 1]), 500, Importance(lip=50.0)
    )
    assert pixels.min() > 0
    assert (pixels < data.camera.shape[::-1]).all()
    patches = pixel_sampling.draw_patches(rng, at_edge, np.array([0, 1]), 16, 0)
    assert patches[..., 0].max() == data.camera.width - 0.5


def test_patches_are_squares_on_lips_and_eyes_and_anywhere(cast):
    datasets, tracked = cast
    loader = _loader(datasets, tracked, patch=12, rays=144)
    corners = []
    for step in range(12):
        batch = loader.batch(step)
        for n, data in enumerate(datasets):
            square = batch.pixels[n].reshape(4, 12, 12, 2)
            apart = square - square[:, :1, :1]
            row, column = np.mgrid[:12, :12]
            np.testing.assert_array_equal(apart[..., 0], [column] * 4)
            np.testing.assert_array_equal(apart[..., 1], [row] * 4)
            middle = square.mean((1, 2))
            lips = tiny_folder.LIP_CENTRE * data.camera.shape[::-1]
            if step % 3 == 0:
                assert np.abs(middle - lips).max() <= 1
            elif step % 6 == 2:
                eyes = data.shapes.centres[:, 1 + step // 6 % 2]
                nearest = np.abs(middle[:, None] - eyes).max(-1).min(-1)
                assert nearest.max() <= 1
            elif n == 0:
                corners.append(square[:, 0, 0])
            assert square.min() > 0
            assert (square < data.camera.shape[::-1]).all()
    assert len(np.unique(np.concatenate(corners), axis=0)) > 8


def test_few_frames_are_drawn_again(tmp_path):
    data = Dataset.open(tiny_folder.write(tmp_path / "x"), 32, max_seconds=0.08)
    _, tracked = signals.fit_apply({"x": data.tracks}, {"x": data.train_mask})
    batch = _loader([data], tracked, frames=5).batch(0)
    assert set(np.round(batch.rgb[0, :, 0, 2] * 255).astype(int)) <= {0, 1}


def test_errors_say_what_to_do(cast):
    with pytest.raises(ValueError, match="patch=12 rays=.* give as many rays"):
        _loader(*cast, patch=12)
    with pytest.raises(ValueError, match="does not fit ann, which is 64x48"):
        _loader(*cast, patch=50, rays=2500)
    with pytest.raises(ValueError, match="importance.background=0 must be positive"):
        _loader(*cast, importance=Importance(background=0))
    with pytest.raises(ValueError, match="at least 1"):
        _loader(*cast, threads=0)
