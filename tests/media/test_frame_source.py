import cv2
import numpy as np
import pytest
from picture_folder import picture, write_folder

from lokitalk_jax.media import frame_match, frame_source


def test_a_blurred_or_still_prediction_is_not_late(tmp_path):
    truth = write_folder(tmp_path / "truth")
    still = write_folder(tmp_path / "still", change=lambda _: picture(0))
    soft = write_folder(
        tmp_path / "soft", change=lambda x: cv2.GaussianBlur(x, None, 4) // 2 + 50
    )
    seen = [
        frame_match.survey(frame_source.open_source(p)) for p in (truth, still, soft)
    ]
    assert frame_match.lag(seen[0], seen[1]) == 0
    assert frame_match.lag(seen[0], seen[2]) == 0


def test_files_that_are_no_frames_are_refused(tmp_path):
    truth = write_folder(tmp_path / "truth", count=12)
    names = [path.name for path in frame_source.open_source(truth).pictures]
    assert names == [f"{i}.png" for i in range(12)]  # 2 before 10
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no picture"):
        frame_source.open_source(tmp_path / "empty")
    with pytest.raises(ValueError, match="no such file"):
        frame_source.open_source(tmp_path / "gone")
    (tmp_path / "text.mp4").write_text("hello")
    with pytest.raises(ValueError, match="is not a video or sound file, or is cut off"):
        frame_source.open_source(tmp_path / "text.mp4")
    (truth / "5.png").write_bytes(b"cut off")
    with pytest.raises(ValueError, match=r"5\.png is not an image"):
        frame_match.survey(frame_source.open_source(truth))
    cv2.imwrite(str(truth / "5.png"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match="frame 5 is 8x8"):
        frame_match.survey(frame_source.open_source(truth))
