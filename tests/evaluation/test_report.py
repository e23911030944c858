import html.parser

import cv2
import numpy as np
import pytest

from lokitalk_jax.evaluation.report import curves, page
from lokitalk_jax.evaluation.report.clip import Clip
from lokitalk_jax.evaluation.report.extremes import Extremes

HEADER = {
    "config_hash": None,
    "step": None,
    "size": 64,
    "protocol": "full",
    "coding": "lossless",
    "tracking": "plain",
    "signals": "audio",
}


class Page(html.parser.HTMLParser):
    """Collects addresses, text and alternative texts; checks that tags close."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.open, self.text, self.styles = [], [], "", 0
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.addresses += [v for k, v in attrs if k in ("src", "href", "poster")]
        assert tag not in ("script", "link", "iframe")
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.addresses += [v for k, v in attrs if k in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def clip(tmp_path, identity="me", driven_by="audio"):
    scores = {
        "frame": {"psnr": 31.234, "lpips_alex": None},
        "lip": {"psnr": 28.5},
        "head": {"psnr": None},
        "sync": None,
        "intervals": {"frame": {"psnr": [30.5, 32.125]}},
    }
    extremes = Extremes()
    extremes.add(31.0, 7, np.zeros((8, 24, 3), np.uint8))
    maps, video = tmp_path / "maps.png", tmp_path / "video.mp4"
    cv2.imwrite(str(maps), np.zeros((8, 8, 3), np.uint8))
    video.write_bytes(b"video")
    rows = [{"frame.psnr": 31.0}, {"frame.psnr": None}, {"frame.psnr": 32.0}]
    return Clip(identity, driven_by, scores, [7, 8, 9], rows, extremes, video, maps)


def test_the_page_is_whole_and_opens_offline(tmp_path):
    shown = Page(page.render(HEADER, [clip(tmp_path)]))
    assert len(shown.addresses) >= 5  # video, poster, worst, best, maps
    assert all(one.startswith(("data:", "#")) for one in shown.addresses)
    for text in ("31.23", "30.50, 32.12", "28.50", "lip", "frame 7, 31.00 dB", "33.74"):
        assert text in shown.text
    # Scores that no clip has take no room.
    for title in "LPIPS, AlexNet", "Lips and sound", "Face":
        assert title not in shown.text


def test_clips_of_an_identity_share_one_drawing(tmp_path):
    clips = [clip(tmp_path), clip(tmp_path, driven_by="still_mouth")]
    text = page.render(HEADER, [*clips, clip(tmp_path, "you")])
    assert text.count("<svg") == 2
    assert "me, audio" in text and "me, still mouth" in text
    # Rows of a region stand together, so that clips can be compared.
    regions = Page(text).text.partition("By region")[2]
    assert "lip: me, audio" in regions and "eye" not in regions.split("frame by")[0]


def test_the_true_opening_is_drawn_once():
    one = [{"opening": 0.1, "opening_truth": 0.2}] * 3
    drawn = curves.draw([7, 8, 9], {"ours": one, "theirs": one}, {"opening": "Mouth"})
    assert drawn.count(">truth<") == drawn.count(">ours<") == 1
    bare = curves.draw([7, 8], {"ours": [{"opening": 0.1}] * 2}, {"opening": "Mouth"})
    assert "truth" not in bare and ">Mouth<" in bare


def test_rows_of_the_truth_stand_next_to_those_of_the_clips(tmp_path):
    late = {"frame": {"psnr": 27.5}, "motion": {"lip_lag_ms": 40.0}, "intervals": {}}
    rows = [Clip("me", "one_frame_late", late, [], [])]
    text = page.render(HEADER, [clip(tmp_path)], rows)
    shown = Page(text).text
    reachable = shown[shown.index("What is reachable") : shown.index("By region")]
    for one in (
        "me, audio",
        "31.23",
        "me, truth one frame late",
        "27.50",
        "(40 ms) late",
    ):
        assert one in reachable
    assert "Retracked" not in shown and "full, lossless" in shown
    assert text.count("<svg") == 1  # not drawn frame by frame
    assert "What is reachable" not in page.render(HEADER, [clip(tmp_path)])


def test_names_are_no_markup(tmp_path):
    text = page.render(HEADER, [clip(tmp_path, "<script>alert(1)</script>")])
    Page(text)
    assert "&lt;script&gt;" in text


def test_a_clip_without_pictures_or_scores_has_a_page():
    bare = Clip("me", "unstated", {"intervals": {}}, [0], [{}])
    assert "<svg" not in page.render(HEADER, [bare])


@pytest.mark.parametrize("count", [2, 7])
def test_the_worst_and_best_frames_are_kept(count):
    kept = Extremes()
    scores = [5.0, 1.0, 9.0, 7.0, 3.0, 8.0, 1.0][:count]
    for frame, score in enumerate(scores):
        kept.add(score, frame, np.zeros((4, 4, 3), np.uint8))
    assert [one.score for one in kept.worst()] == sorted(scores)[:3]
    assert [one.score for one in kept.best()] == sorted(scores, reverse=True)[:3]
    assert all(scores[one.frame] == one.score for one in kept.worst() + kept.best())
