import numpy as np
import pytest
import tiny_folder

from lokitalk_jax.data import seconds
from lokitalk_jax.data.dataset import Dataset


def clip(still, frames=300):
    """Tracks that move everywhere but in the frames `still`."""
    tracks = tiny_folder.tracks(frames, 48, 64, seed=3)
    lips, poses = tracks.lips.copy(), tracks.head_to_camera.copy()
    eyes = tracks.eye_ratio.copy()
    for array in (lips, poses, eyes):
        array[still] = array[still.start or 0]
    return tracks._replace(lips=lips, head_to_camera=poses, eye_ratio=eyes)


def test_the_best_stretch_is_where_the_person_moves():
    tracks, usable = clip(slice(0, 150)), np.ones(300, bool)
    first = seconds.excerpt(tracks, usable, 2.0)
    assert np.flatnonzero(first).tolist() == list(range(50))
    best = np.flatnonzero(seconds.excerpt(tracks, usable, 2.0, "best"))
    assert len(best) == 50 and best[0] >= 140 and np.ptp(best) == 49
    distances = dict(seconds.ranked(tracks, usable, 50))
    assert distances[best[0]] == min(distances.values()) < 0.7 * distances[0]


def test_stretches_without_usable_frames_are_left_out():
    tracks, usable = clip(slice(0, 100)), np.ones(300, bool)
    usable[150:] = False
    best = np.flatnonzero(seconds.excerpt(tracks, usable, 2.0, "best"))
    assert usable[best].all() and len(best) >= 25
    none = seconds.excerpt(tracks, np.zeros(300, bool), 2.0, "best")
    assert not none.any()


def test_a_clip_that_is_not_longer_is_taken_whole():
    tracks = clip(slice(0, 1), frames=40)
    usable = np.arange(40) % 7 > 0
    assert seconds.ranked(tracks, usable, 40) == [(0, 0.0)]
    np.testing.assert_array_equal(seconds.excerpt(tracks, usable, 9.0, "best"), usable)


def test_a_dataset_trains_on_the_chosen_seconds(tmp_path):
    tracks = clip(slice(0, 60), frames=132)
    folder = tiny_folder.write(tmp_path / "x", 132, **tracks._asdict())
    data = Dataset.open(folder, 16, max_seconds=1.0, choose="best")
    assert len(data.train_frames) == 25 and data.train_frames[0] >= 40
    assert data.test_frames[0] == 120
    with pytest.raises(ValueError, match="data.choose=last is none"):
        Dataset.open(folder, 16, max_seconds=1.0, choose="last")
