import cv2
import numpy as np
import pytest
from picture_folder import picture, write_folder

from lokitalk_jax.media import frame_source, frame_view, video_writer
from lokitalk_jax.media.frame_view import FrameView


def strip(path, count=3, margin=4):
    """A video of `count` panels of 48x64 pixels on white; panel k is k frames late."""
    height, width = 48 + 2 * margin, 64 + 2 * margin
    size = (count * width, height)
    with video_writer.VideoWriter(path, size=size) as writer:
        for index in range(20):
            frame = np.full((height, count * width, 3), 255, np.uint8)
            for panel in range(count):
                shown = cv2.resize(picture(index + panel), (64, 48))
                left = panel * width + margin
                frame[margin : margin + 48, left : left + 64] = shown
            writer.write(frame)
    return path


def test_panels_are_cut_out_without_their_margin(tmp_path):
    views = frame_view.panels(strip(tmp_path / "strip.mp4"), 3)
    frames = [list(view.frames()) for view in views]
    assert {one.shape for side in frames for one in side} == {(48, 64, 3)}
    # Panel 1 shows what panel 0 shows a frame later.
    apart = [
        np.abs(frames[1][5].astype(int) - frames[0][k]).mean() for k in range(3, 9)
    ]
    assert int(np.argmin(apart)) == 3
    assert views[0].fps == 25 and views[0].path.name == "strip.mp4"


def test_strips_that_cannot_be_cut_are_refused(tmp_path):
    path = strip(tmp_path / "strip.mp4")
    with pytest.raises(ValueError, match="panels=5 does not divide"):
        frame_view.panels(path, 5)
    with pytest.raises(ValueError, match="panels=3 cuts .* of several pictures"):
        frame_view.panels(strip(tmp_path / "six.mp4", 6), 3)
    blank = tmp_path / "blank.mp4"
    with video_writer.VideoWriter(blank, size=(60, 20)) as writer:
        writer.write(np.zeros((20, 60, 3), np.uint8))
    with pytest.raises(ValueError, match="one colour"):
        frame_view.panels(blank, 2)


def test_views_cut_scale_and_code(tmp_path):
    folder = write_folder(tmp_path / "frames", count=10)
    source = frame_source.open_source(folder)
    whole = list(FrameView(source).frames())
    part = list(FrameView(source, first=2, count=3).frames())
    np.testing.assert_array_equal(part, whole[2:5])
    small = next(FrameView(source, size=(16, 24)).frames())
    assert small.shape == (16, 24, 3)
    boxed = next(FrameView(source, box=(1, 9, 2, 12)).frames())
    np.testing.assert_array_equal(boxed, whole[0][1:9, 2:12])
    coded = list(FrameView(source, factor=23).frames())
    assert len(coded) == 10
    assert 0 < np.abs(coded[3].astype(int) - whole[3]).mean() < 20
