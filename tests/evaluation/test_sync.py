import itertools
import pathlib

import clips
import cv2
import numpy as np
import pocketsphinx
import pytest

from lokitalk_jax.evaluation.clip_scores import ClipScores
from lokitalk_jax.evaluation.metrics import mouth, sync, time_series
from lokitalk_jax.media import sound_file, video_reader
from lokitalk_jax.preparation import faces


def rough(count=120, seed=0):
    """A wavy curve, as openings of a mouth that speaks."""
    rng = np.random.default_rng(seed)
    return np.convolve(rng.normal(size=count + 4), np.ones(5) / 5, "valid")


@pytest.mark.parametrize("late", [-3, 0, 1, 2])
def test_a_known_lag_is_found(late):
    asked = sync._standardised(time_series.fast(rough(), sync._DRIFT))
    found = sync.agreement(5 + np.roll(rough(), late), asked)
    assert found.lag_ms == pytest.approx(40 * late, abs=12)
    assert found.best > 0.9 > found.elsewhere + 0.3
    assert found.correlation == pytest.approx(found.best) if late == 0 else True


def test_slow_changes_do_not_count():
    asked = sync._standardised(time_series.fast(rough(), sync._DRIFT))
    drift = 10 * np.linspace(-1, 1, 120) ** 2
    assert sync.agreement(rough() + drift, asked).best > 0.8
    assert sync.agreement(drift, asked).best < 0.4


def test_agreement_is_null_without_enough_motion_or_faces():
    asked = rough()
    assert sync.agreement(rough(40), asked[:40]) is None
    assert sync.agreement(np.zeros(120), asked) is None  # a mouth that stands still
    seen = rough()
    seen[:30] = np.nan
    assert sync.agreement(seen, asked) is None
    seen = rough()
    seen[40:50] = np.nan
    assert sync.agreement(seen, asked).best > 0.7


def test_sound_of_less_than_a_frame_has_no_score():
    scores = ClipScores((None, None), sound=np.zeros(sync.MIN_SAMPLES - 1, np.float32))
    scores.frames = list(range(60))
    assert scores._sync(np.zeros((60, 478, 3)), np.zeros((60, 478, 3))) is None


def test_openings_are_in_the_order_of_the_acoustic_model():
    model = pocketsphinx.get_model_path() + "/en-us/en-us/mdef"
    data = pathlib.Path(model).read_bytes()
    start = data.index(b"+NSN+\0")
    names = data[start:].split(b"\0")[: len(sync._OPENINGS)]
    assert [name.decode() for name in names] == list(sync._OPENINGS)


COUNT = 150  # frames


@pytest.mark.clips
def test_a_shift_of_real_sound_is_found():
    clip = clips.CLIPS / "dev" / "speaker_a.mp4"
    model = clips.SHARED / "models" / "face_landmarker.task"
    if not (clip.is_file() and model.is_file()):
        pytest.skip("the development clips or the face model are not here")
    with faces.FaceDetector(model) as detector:
        found = [
            detector.detect(cv2.resize(rgb, (192, 192)))[0]
            for rgb in itertools.islice(video_reader.read_frames(clip), COUNT)
        ]
    openings = mouth.openings(np.stack(found))
    sound = np.concatenate(list(sound_file.open_sound(clip).read()))[: 640 * COUNT]
    lags = []
    for late in (0, 2, -2):  # frames by which the lips come late
        shifted = np.roll(sound, -640 * late)
        asked = sync.expected_openings(shifted, len(openings))
        agreed = sync.agreement(openings, asked)
        assert agreed.best > agreed.elsewhere + 0.15
        lags.append(agreed.lag_ms)
    assert abs(lags[0]) < 60
    np.testing.assert_allclose(np.diff(lags), [80, -160], atol=15)
    assert sync.agreement(openings[:100], np.zeros(100)).best < 0.1
