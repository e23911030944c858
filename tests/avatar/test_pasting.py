"""Rendered frames back in the picture that they were cut from."""

import hashlib
import json
import types

import numpy as np
import pytest
import tiny_folder
import video_files

from lokitalk_jax.avatar import pasting
from lokitalk_jax.data import layout

COUNT, HEIGHT, WIDTH = 60, 72, 96


def grey(index):
    return 40 + 3 * index


@pytest.fixture
def video(tmp_path):
    frames = [np.full((HEIGHT, WIDTH, 3), grey(k), np.uint8) for k in range(COUNT)]
    return video_files.encode(tmp_path / "v.mp4", frames, np.arange(COUNT) / 25)


def record(tmp_path, video, window, **source):
    identity = tiny_folder.write(tmp_path / "me", frames=11)
    file = identity.path / layout.META
    content = json.loads(file.read_bytes())
    digest = hashlib.sha256(video.read_bytes()).hexdigest()
    content["source"] = {"name": video.name, "sha256": digest} | source
    if window is not None:
        names = ("left", "top", "width", "height", "out_width", "out_height")
        content["source"]["window"] = dict(zip(names, (*window, 32, 32), strict=True))
    file.write_text(json.dumps(content))
    return types.SimpleNamespace(name="me", source=identity.path)


@pytest.mark.parametrize("side", [24, 32, 80])
def test_a_frame_of_any_size_covers_the_window_and_nothing_else(tmp_path, video, side):
    one = record(tmp_path, video, (30, 20, 40, 40), stretch=[0.4, 2.0])
    original = pasting.Original(video, one)
    rendered = np.full((side, side, 3), (250, 0, 0), np.uint8)
    for index in (0, 3, 49, 30, 2):  # in any order
        full = original.with_frame(rendered, index).astype(int)
        assert full.shape == (HEIGHT, WIDTH, 3)
        outside = full.copy()
        outside[20:60, 30:70] = grey(10 + index)
        assert np.abs(outside - grey(10 + index)).max() < 5
        inside = np.abs(full[25:55, 35:65] - [250, 0, 0])
        assert inside.max() < 3
        # The border is neither of the two.
        assert full[40, 30, 0] < 250 and full[40, 32, 0] > grey(10 + index)


def test_a_window_beyond_the_frame_is_not_blended_at_its_edges(tmp_path, video):
    one = record(tmp_path, video, (-10, -6, 116, 84), start=0.0)
    original = pasting.Original(video, one)
    full = original.with_frame(np.full((64, 64, 3), 200, np.uint8), 0)
    np.testing.assert_array_equal(full, np.full((HEIGHT, WIDTH, 3), 200))


def test_a_video_that_does_not_fit_is_refused(tmp_path, video):
    one = record(tmp_path, video, (30, 20, 40, 40))
    other = video_files.encode(
        tmp_path / "w.mp4", [np.zeros((32, 32, 3), np.uint8)] * 5, np.arange(5) / 25
    )
    with pytest.raises(
        ValueError, match="not the video .*'me' was prepared from; give v.mp4"
    ):
        pasting.Original(other, one)
    gone = types.SimpleNamespace(name="me", source=tmp_path / "gone")
    with pytest.raises(ValueError, match="gone, which is gone: put it back"):
        pasting.Original(video, gone)
    imported = record(tmp_path / "b", video, None)
    with pytest.raises(ValueError, match="that was prepared from a video"):
        pasting.Original(video, imported)
