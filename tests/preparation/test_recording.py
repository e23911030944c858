"""Speech corpora: made of videos, read as training data, left out where unsure."""

import csv

import clips
import numpy as np
import pytest
import test_pipeline
import video_files
from scipy.signal import resample_poly

from lokitalk_jax.cli import prepare as command
from lokitalk_jax.media import clip_sound
from lokitalk_jax.preparation import recording
from lokitalk_jax.speech import lip_sync
from lokitalk_jax.speech.lip_sync import Offset
from lokitalk_jax.training import speech_corpus

needs_clips = [
    pytest.mark.clips,
    pytest.mark.skipif(not clips.CLIPS.is_dir(), reason="no development clips"),
]
COUNT = 80


@pytest.fixture(autouse=True)
def _model(monkeypatch):
    monkeypatch.setattr(recording.face_model, "find", lambda path=None: None)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """A talking person, and a film without sound."""
    place = tmp_path_factory.mktemp("videos")
    times = np.arange(COUNT) / 25
    frames = test_pipeline.read_clip("speaker_b", 100, 100 + COUNT, 128)
    sound = test_pipeline.read_sound("speaker_b", 100, 100 + COUNT)
    video_files.encode(place / "b.mp4", frames, times, sound)
    video_files.encode(place / "mute.mp4", frames, times)
    return place


@pytest.fixture(scope="module")
def corpus(videos, tmp_path_factory):
    out = tmp_path_factory.mktemp("corpus")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording.face_model, "find", lambda path=None: None)
        flags = [f"--video={videos}", f"--out={out}", "--speech-only"]
        assert command.main([*flags, "--audio-offset=40"]) == 1  # one is refused
    return out


def manifest(folder):
    with (folder / "manifest.csv").open(newline="") as file:
        return {row["file"]: row["advance_audio_ms"] for row in csv.DictReader(file)}


class TestVideos:
    pytestmark = needs_clips

    def test_a_video_becomes_landmarks_sound_and_a_row(self, videos, corpus):
        assert {p.name for p in corpus.iterdir()} == {
            "b.npz",
            "b.wav",
            "manifest.csv",
        }
        assert manifest(corpus) == {"b": "40"}
        with np.load(corpus / "b.npz") as stored:
            assert stored["landmarks"].shape == (COUNT, 478, 3)
            assert np.isfinite(stored["landmarks"]).all()
            np.testing.assert_allclose(stored["timestamps"], np.arange(COUNT) / 25)
            assert (stored["width"], stored["height"]) == (128, 128)
        sound = clip_sound.samples(corpus / "b.wav")
        true = test_pipeline.read_sound("speaker_b", 100, 100 + COUNT)[0]
        true = resample_poly(true, 160, 441)[: len(sound)]
        assert len(sound) == COUNT * 640
        assert np.corrcoef(sound[: len(true)], true)[0, 1] > 0.9

    def test_it_is_training_data(self, corpus):
        [clip], fitted = speech_corpus.read(corpus)
        assert clip.advance == 0.04 and len(clip.train_frames) == COUNT
        assert clip.lip.shape == (COUNT, 8) and np.isfinite(clip.lip).all()
        assert fitted.names == ("b",)

    def test_an_unsure_offset_leaves_it_out_until_somebody_gives_one(
        self, videos, corpus, tmp_path, monkeypatch
    ):
        for path in corpus.glob("b.*"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
        asked = []

        def estimate(clip, tracks):
            asked.append(clip.name)
            return Offset(0.1, 0.1, 0.0, COUNT)

        monkeypatch.setattr(lip_sync, "estimate", estimate)
        options = recording.Options()
        for _ in range(2):  # the second time nothing is left to do
            assert speech_corpus.add(videos / "b.mp4", tmp_path, options) is None
        assert asked == ["b"] and manifest(tmp_path) == {"b": ""}
        with pytest.raises(ValueError, match="no .npz file with landmarks"):
            speech_corpus.find(tmp_path)
        (tmp_path / "manifest.csv").write_text("file,advance_audio_ms\nb,0\n")
        assert [one.name for one in speech_corpus.find(tmp_path)] == ["b"]

    def test_a_video_without_sound_is_refused(self, videos, tmp_path):
        with pytest.raises(ValueError, match="mute.mp4 has no audio stream"):
            recording.record(videos / "mute.mp4", tmp_path / "mute.npz")
        assert not list(tmp_path.iterdir())
