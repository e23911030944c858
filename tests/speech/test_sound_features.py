"""Feature rows: equal for streams and files, and normalised for level."""

import tracemalloc

import numpy as np
import pytest

from lokitalk_jax.speech import phones, sound_features


def babble(seconds=3.0, seed=0):
    """A buzz with a moving resonance and pauses: speech-like sound."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * 16_000)) / 16_000
    buzz = np.sign(np.sin(2 * np.pi * 120 * time)) * 0.1
    first = np.sin(2 * np.pi * (500 + 200 * np.sin(6 * time)) * time)
    talking = (np.sin(2 * np.pi * 1.3 * time) > -0.5).astype(float)
    return (talking * buzz * first + 1e-4 * rng.normal(size=len(time))).astype("f4")


def in_pieces(samples, sizes, kind):
    state, rows, at = sound_features.begin(), [], 0
    for size in sizes:
        state, new = sound_features.push(state, samples[at : at + size], kind)
        rows.append(new)
        at += size
    return np.concatenate([*rows, sound_features.finish(state, kind)])


@pytest.mark.parametrize("kind", sound_features.WIDTHS)
@pytest.mark.parametrize("seed", range(2))
def test_pieces_give_the_rows_of_the_whole(seed, kind):
    samples = babble(seed=seed)
    sizes = np.random.default_rng(seed).integers(0, 3000, 200)
    whole = sound_features.features(samples, kind)
    assert whole.shape == (len(samples) // 160, sound_features.WIDTHS[kind])
    np.testing.assert_allclose(in_pieces(samples, sizes, kind), whole, atol=1e-4)


@pytest.mark.parametrize("kind", sound_features.WIDTHS)
def test_long_sound_needs_little_memory(monkeypatch, kind):
    whole = sound_features.features(babble(8), kind)
    monkeypatch.setattr(sound_features, "_ROWS", 100)
    monkeypatch.setattr(phones, "_ROWS", 100)
    in_parts = sound_features.features(babble(8), kind)
    np.testing.assert_allclose(in_parts, whole, atol=1e-4)

    def peak(seconds):
        samples = babble(seconds)
        tracemalloc.start()
        try:
            sound_features.features(samples, kind)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # Spectra alone would be 4.7 kB a row.
    assert (peak(12) - peak(4)) / 800 < 3000


@pytest.mark.parametrize("count", [0, 1, 159, 160, 161, 500])
def test_short_sound_gives_its_rows(count):
    rows = sound_features.features(babble()[:count])
    assert rows.shape == (count // 160, sound_features.WIDTHS["phones"])
    assert np.isfinite(rows).all()


def test_rows_wait_for_the_stated_look_ahead_only():
    _, rows = sound_features.push(sound_features.begin(), babble()[:16_000])
    # Rows near the end of the second wait for later sound.
    assert len(rows) == 100 - int(sound_features.LOOK_AHEAD * sound_features.RATE)
    later = babble()
    later[16_000:] = 0
    np.testing.assert_allclose(
        sound_features.features(later)[: len(rows)], rows, atol=1e-4
    )


def test_rows_are_normalised_for_level():
    samples = babble(8.0)
    loud, quiet = sound_features.features(samples), sound_features.features(samples / 8)
    late = np.arange(len(loud)) > 600  # the running mean has settled
    late &= loud[:, -1] > 0
    agree = (loud[late, :-1].argmax(1) == quiet[late, :-1].argmax(1)).mean()
    assert agree > 0.8
    # The sound is 18 dB softer, which would be 1.7 of this scale.
    assert abs(np.median(loud[late, -1] - quiet[late, -1])) < 0.6


def test_silence_is_less_loud_than_speech():
    samples = np.concatenate([babble(4.0), np.zeros(16_000, "f4"), babble(1.0)])
    loudness = sound_features.features(samples)[:, -1]
    assert loudness[420:480].max() < -2.5 < 0 < loudness[:380].max()


def test_posteriors_are_probabilities_of_the_model_s_phones():
    cepstra = np.random.default_rng(0).normal(0, 12, (30, phones.CEPSTRA))
    found = phones.posteriors(cepstra)
    assert found.shape == (30 - 2 * phones.REACH, 42)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)


def test_posteriors_match_a_slow_reading_of_the_mixtures():
    cepstra = np.random.default_rng(1).normal(0, 12, (7, phones.CEPSTRA))
    folder = phones._model_folder()
    means = phones._read(folder / "means").astype(float)
    variances = np.maximum(phones._read(folder / "variances"), 1e-4).astype(float)
    c = cepstra
    streams = [c[3], c[5] - c[1], (c[6] - c[2]) - (c[4] - c[0])]
    total = np.zeros(42)
    for s, x in enumerate(streams):
        exponent = -0.5 * (
            (x - means[:, s]) ** 2 / variances[:, s]
            + np.log(2 * np.pi * variances[:, s])
        ).sum(-1)
        total += np.logaddexp.reduce(exponent, axis=1)
    weights = np.exp(phones._TEMPERATURE * (total - total.max()))
    np.testing.assert_allclose(
        phones.posteriors(cepstra)[0], weights / weights.sum(), rtol=2e-3, atol=1e-6
    )


def test_a_broken_model_is_named(tmp_path):
    (tmp_path / "means").write_bytes(b"s3\nendhdr\n" + bytes(64))
    with pytest.raises(ValueError, match="means is not a Sphinx acoustic model"):
        phones._read(tmp_path / "means")


def test_both_kinds_are_phones_and_bands():
    samples = babble()
    phones_, mel, both = (
        sound_features.features(samples, kind) for kind in ("phones", "mel", "both")
    )
    np.testing.assert_array_equal(both[:, :42], phones_[:, :-1])
    np.testing.assert_array_equal(both[:, 42:], mel)
    np.testing.assert_array_equal(mel[:, -1], phones_[:, -1])


def test_a_tone_is_loudest_in_its_band():
    time = np.arange(32_000) / 16_000
    noise = 1e-3 * np.random.default_rng(0).normal(size=len(time))
    low, high = (
        sound_features.features((0.1 * np.sin(2 * np.pi * hertz * time) + noise), "mel")
        for hertz in (400, 3000)
    )
    loudest = [rows[150, :-1].argmax() for rows in (low, high)]
    assert loudest[0] < 6 and 14 < loudest[1] < 22
