"""Speech corpora that were made elsewhere, edited by hand, or damaged."""

import numpy as np
import pytest

from lokitalk_jax.training import speech_corpus


def test_the_nearest_time_is_found_in_long_recordings_too():
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(1, 20, 60))
    grid = np.arange(550) / 25  # begins before the times, and ends after them
    wanted = np.abs(grid[:, None] - times).min(1)
    np.testing.assert_array_equal(speech_corpus._apart(grid, times), wanted)
    hours = np.arange(500_000) / 25
    np.testing.assert_allclose(speech_corpus._apart(hours, hours + 0.01), 0.01)


@pytest.fixture
def corpus(tmp_path):
    """Two recordings without faces; `sub/a` and `b`."""
    for name in ("sub/a", "b"):
        path = tmp_path / f"{name}.npz"
        path.parent.mkdir(exist_ok=True)
        landmarks = np.full((30, 478, 3), np.nan, np.float32)
        times = np.arange(30) / 25
        np.savez(path, landmarks=landmarks, timestamps=times, width=64, height=48)
        path.with_suffix(".wav").touch()
    return tmp_path


@pytest.mark.parametrize(
    "text",
    [
        "file,advance_audio_ms,language\nsub/a,-12.5,da\nb,,da\n",
        "\ufefffile;advance_audio_ms;language\r\nsub/a;-12,5;da\r\n\r\nb;;da\r\n;;\r\n",
        "\ufefffile\tadvance_audio_ms\tlanguage\nsub/a\t-12,5\tda\nb\n",
    ],
)
def test_manifests_of_spreadsheets_are_read(corpus, text):
    (corpus / "manifest.csv").write_text(text, "utf-8", newline="")
    [one] = speech_corpus.find(corpus)
    assert (one.name, one.advance, one.row["language"]) == ("sub/a", -0.0125, "da")
    rows = speech_corpus._manifest(corpus)
    speech_corpus._write_manifest(corpus, rows)
    assert speech_corpus._manifest(corpus) == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "name,advance_audio_ms\nb,0\n",
            "manifest.csv has no column file; its columns",
        ),
        ("file\nb\n", "no column advance_audio_ms"),
        (
            "file,advance_audio_ms\nsub/a,0\nb,late\n",
            "manifest.csv, line 3: .*=late is",
        ),
        ("file,advance_audio_ms\nb,nan\n", "line 2: advance_audio_ms=nan is no number"),
    ],
)
def test_manifests_that_cannot_be_read(corpus, text, message):
    (corpus / "manifest.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        speech_corpus.find(corpus)


def test_damaged_recordings_are_named(corpus):
    path = corpus / "b.npz"
    np.savez(path, landmarks=np.zeros((30, 478, 3)), timestamps=np.zeros(29))
    with pytest.raises(ValueError, match="b.npz: timestamps has the shape .*anew"):
        speech_corpus.read(corpus)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match="b.npz is damaged"):
        speech_corpus.find(corpus)
