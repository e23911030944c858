"""Features of other programs: distinguished by shape, brought to one rate."""

import numpy as np
import pytest

from lokitalk_jax.data import audio_features

FRAMES = 12


def saved(path, array):
    np.save(path / "aud.npy", array)
    return path / "aud.npy"


def numbered(*shape):
    """Features whose first number is the place in time; the others are noise."""
    values = np.random.default_rng(0).normal(size=shape)
    return values.astype(np.float64)


def in_order(rows, times):
    """Whether the first number is that of these times, up to scale."""
    return np.corrcoef(rows[:, 0], times)[0, 1]


@pytest.mark.parametrize("size", audio_features.KINDS)
@pytest.mark.parametrize("rate", [1, 2])
def test_plain_rows_are_25_or_50_a_second(tmp_path, size, rate):
    values = numbered(FRAMES * rate, size)
    values[:, 0] = np.arange(FRAMES * rate)
    rows = audio_features.read(saved(tmp_path, values), FRAMES)
    assert rows.shape == (2 * FRAMES, size) and rows.dtype == np.float32
    times = np.arange(2 * FRAMES) // (2 // rate)
    assert in_order(rows, times) == pytest.approx(1)
    np.testing.assert_allclose(rows.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(rows.std(0), 1, atol=1e-5)


@pytest.mark.parametrize("shape", [(16, 29), (16, 44), (2, 1024)])
def test_a_window_gives_its_middle(tmp_path, shape):
    values = numbered(FRAMES, *shape)
    middle = shape[0] // 2
    # Row r of the window of frame i is 50ths of a second from the frame's own.
    values[..., 0] = 2 * np.arange(FRAMES)[:, None] + np.arange(shape[0]) - middle + 1
    rows = audio_features.read(saved(tmp_path, values), FRAMES)
    assert rows.shape == (2 * FRAMES, shape[1])
    assert in_order(rows, np.arange(2 * FRAMES)) == pytest.approx(1)


def test_ave_keeps_its_column_last(tmp_path):
    values = numbered(FRAMES, 512, 1)
    values[:, 0, 0] = np.arange(FRAMES)
    rows = audio_features.read(saved(tmp_path, values), FRAMES)
    assert rows.shape == (2 * FRAMES, 512)
    assert in_order(rows, np.arange(2 * FRAMES) // 2) == pytest.approx(1)


def test_rows_missing_at_the_end_are_repeated(tmp_path):
    values = numbered(FRAMES - 2, 29)
    rows = audio_features.read(saved(tmp_path, values), FRAMES)
    np.testing.assert_array_equal(rows[-6:], np.tile(rows[-5], (6, 1)))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((FRAMES, 30)), "is no known kind of audio features"),
        (np.zeros(29), "is no known kind"),
        (np.full((FRAMES, 29), np.nan), "not all finite numbers"),
        (np.zeros((FRAMES - 3, 29)), "9 rows or windows for 12 frames"),
        (np.zeros((FRAMES // 2, 2, 1024)), "6 rows or windows for 12 frames"),
        (np.zeros((4 * FRAMES, 29)), "48 rows or windows for 12 frames"),
        (np.zeros((2 * FRAMES, 16, 29)), "24 rows or windows for 12 frames"),
        (np.zeros((0, 29)), "0 rows or windows for 12 frames"),
        (np.full((FRAMES, 29), "x"), "not all finite numbers"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path, values, words):
    with pytest.raises(ValueError, match=words):
        audio_features.read(saved(tmp_path, values), FRAMES)


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(ValueError, match="gone.npy: there is no such file; make"):
        audio_features.read(tmp_path / "gone.npy", FRAMES)
    (tmp_path / "bad.npy").write_bytes(b"\x93NUMPY nothing")
    with pytest.raises(ValueError, match="bad.npy: cannot be read"):
        audio_features.read(tmp_path / "bad.npy", FRAMES)
