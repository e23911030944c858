"""Benchmarks of lips from speech: splits by speaker, limits, closures."""

import pathlib

import numpy as np

from benchmarks import lip_distances, lips_by_speaker, lips_from_speech
from benchmarks.speech_clips import Clip, summary
from lokitalk_jax.speech.spoken_clip import SpokenClip


def clip(name, speaker, corpus, frames=100, source=""):
    spoken = SpokenClip(
        name, None, pathlib.Path(), np.zeros((frames, 1)), np.arange(0), np.arange(0)
    )
    row = {"speaker": speaker, "corpus": corpus, "shares_source_with": source}
    return Clip(spoken, None, np.ones(frames, bool), row)


def test_folds_leave_out_speakers_and_corpora_that_another_folder_holds():
    one = [clip(f"a{n}", f"s{n // 2}", "grid" if n < 12 else "web") for n in range(24)]
    other = [clip(f"b{n}", f"s{n}", "grid" if n < 4 else "vox") for n in range(8)]
    found = lips_by_speaker.split([one, other])
    for place, folder in enumerate((one, other)):
        tested = [c.name for n, test, _ in found for c in test if n == place]
        assert sorted(tested) == sorted(c.name for c in folder)
    for place, test, train in found:
        own, more = ({c.name for c in x} for x in ((one, other), (other, one))[place])
        speakers = {c.speaker for c in test}
        kinds = {c.row["corpus"] for c in (one, other)[place]}
        assert train
        for c in train:
            assert c.name in own | more
            assert c.name not in own or c.speaker not in speakers
            assert c.name in own or c.row["corpus"] not in kinds


def test_some_speakers_and_seconds():
    clips = [clip(f"c{n}", f"s{n // 3}", "web") for n in range(12)]
    found = lips_from_speech.some(clips, 2, 6.0)
    assert len({c.speaker for c in found}) == 2
    for speaker in {c.speaker for c in found}:
        own = [c.usable.sum() for c in found if c.speaker == speaker]
        assert own == [100, 50]
    fewer = {c.speaker for c in lips_from_speech.some(clips, 1, 0)}
    assert fewer < {c.speaker for c in found}  # a larger number adds speakers
    shared = [*clips, clip("d", "s9", "web", source="x y")]
    assert lips_from_speech.apart(shared, ["y", "c0"]) == clips[1:]


def test_closures():
    opening = np.tile([5.0, 5, 5, 0, 5, 5, 5, 5, 0, 5, 5, 5], 4)
    true = np.stack([opening] * 3, 1)
    assert lip_distances.closures(true, true) == {"closed": 1.0, "opened": 1.0}
    late = np.roll(true, 1, axis=0)
    assert lip_distances.closures(late, true)["closed"] == 1.0
    half = true.copy()
    half[24:, 0] = 5
    assert lip_distances.closures(half, true) == {"closed": 0.5, "opened": 1.0}
    shut = lip_distances.closures(0 * true, true)
    assert shut == {"closed": 1.0, "opened": 0.0}
    still = lip_distances.closures(true, np.ones_like(true))
    assert still["closed"] is None


def test_a_summary_has_means_and_intervals():
    rows = [{"correlation": x, "concordance": None} for x in (0.4, 0.6)]
    found = summary(rows)
    assert found["correlation"] == 0.5 and found["clips"] == 2
    assert abs(found["correlation_ci95"] - 0.196) < 0.001
    assert "concordance" not in found
