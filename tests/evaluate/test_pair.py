import csv
import html.parser
import json

import cv2
import numpy as np
import pytest

from lokitalk_jax.data import label_images, layout, torso_inpainting
from lokitalk_jax.evaluate import __main__, pair
from lokitalk_jax.evaluate.report.extremes import Extremes
from lokitalk_jax.media import frame_source, video_reader, video_writer
from lokitalk_jax.prepare import face_model, faces


class OneFace:
    """A face in the picture's middle, 30 pixels wide."""

    def faces(self, rgb):
        points = np.random.default_rng(0).uniform(17, 47, (478, 3))
        return [faces.Face(points.astype(np.float32))]


def picture(index, shift=0):
    """A ball that swings over a pattern."""
    rng = np.random.default_rng(0)
    image = rng.integers(60, 120, (8, 8, 3), dtype=np.uint8)
    image = cv2.resize(image, (64, 64), interpolation=cv2.INTER_CUBIC)
    x = 32 + 18 * np.sin(0.35 * (index - shift))
    y = 32 + 12 * np.cos(0.22 * (index - shift))
    return cv2.circle(image, (round(x), round(y)), 9, (240, 200, 40), -1)


def write_folder(path, count=30, shift=0, change=lambda image: image, name="{}.png"):
    path.mkdir()
    for index in range(count):
        image = change(picture(index, shift))
        cv2.imwrite(str(path / name.format(index)), image[..., ::-1])
    return path


def scored(tmp_path, truth, prediction, **more):
    out = tmp_path / "scores"
    options = pair.PairOptions(**more)
    detectors = OneFace(), OneFace()
    pair.evaluate_pair(truth, prediction, out, options, detectors=detectors)
    return out, json.loads((out / "metrics.json").read_text())


class Page(html.parser.HTMLParser):
    """Collects where a page's parts come from, and checks that tags close."""

    def __init__(self):
        super().__init__()
        self.sources, self.open, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.sources += [v for k, v in attrs if k in ("src", "href")]
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_two_folders_are_scored_frame_by_frame(tmp_path):
    truth = write_folder(tmp_path / "truth")
    soft = write_folder(
        tmp_path / "soft", change=lambda x: cv2.GaussianBlur(x, None, 1.0)
    )
    labels = tmp_path / "labels"
    labels.mkdir()
    for index in range(30):
        image = np.zeros((64, 64), np.uint8)
        image[10:40, 10:50], image[40:] = layout.HEAD, layout.TORSO
        cv2.imwrite(str(labels / f"{index:06d}.png"), image)
    stated = {"protocol": "full", "signals": "audio"}
    out, result = scored(tmp_path, truth, soft, labels=labels, **stated)
    assert (result["protocol"], result["signals"], result["size"]) == (
        "full", "audio", 64,
    )  # fmt: skip
    scores = result["identities"]["soft"]["audio"]
    assert scores["frames"] == 30 and scores["missed_faces"] == 0
    assert 20 < scores["frame"]["psnr"] < 45
    for region in "lip", "eye", "head", "torso":
        assert scores[region]["psnr"] is not None
    assert scores["sync"] is None
    low, high = scores["intervals"]["frame"]["psnr"]
    assert low < scores["frame"]["psnr"] < high

    with open(out / "frames.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [int(row["frame"]) for row in table] == list(range(30))
    mean = np.mean([float(row["frame.psnr"]) for row in table])
    assert mean == pytest.approx(scores["frame"]["psnr"], abs=1e-3)
    assert table[0]["frame.ms_ssim"] == "" and table[0]["identity"] == "soft"
    assert table[0]["driven_by"] == table[0]["signals"] == "audio"
    assert (table[0]["protocol"], table[0]["size"]) == ("full", "64")

    page = Page()
    page.feed((out / "report.html").read_text())
    assert page.open == [] and len(page.sources) >= 7
    assert all(source.startswith("data:") for source in page.sources)
    assert f"{scores['frame']['psnr']:.2f}" in page.text and "full" in page.text
    assert len(list(video_reader.read_frames(out / "soft.mp4"))) == 30


def test_equal_videos_have_no_error(tmp_path):
    truth = write_folder(tmp_path / "truth", count=4)
    _, result = scored(tmp_path, truth, truth)
    scores = result["identities"]["truth"]["unstated"]
    assert scores["frame"]["psnr"] == 100 and scores["frame"]["ssim"] == 1
    assert scores["frame"]["lpips_alex"] == pytest.approx(0, abs=1e-6)
    assert scores["lmd_px"] == 0 and scores["shape_error"] < 1e-9
    assert scores["head"]["psnr"] is None  # no labels


def refusal(tmp_path, truth, prediction, **more):
    with pytest.raises(ValueError) as raised:
        scored(tmp_path, truth, prediction, **more)
    return str(raised.value)


def test_frames_that_do_not_belong_together_are_refused(tmp_path):
    truth = write_folder(tmp_path / "truth")
    short = write_folder(tmp_path / "short", count=28)
    assert "30 frames" in refusal(tmp_path, truth, short)
    small = write_folder(
        tmp_path / "small", change=lambda x: np.ascontiguousarray(x[::2, ::2])
    )
    assert "scale=32:32" in refusal(tmp_path, small, truth)
    late = write_folder(tmp_path / "late", shift=3)
    message = refusal(tmp_path, truth, late)
    assert "3 frames later" in message and message.startswith(str(late))
    assert refusal(tmp_path, late, truth).startswith(str(late))
    for count, remedy in ((36, "ffmpeg -i IN -r 25"), (30, "ffmpeg -r 25 -i IN")):
        path = tmp_path / f"{count}.mp4"
        with video_writer.VideoWriter(path, 30, size=(64, 64)) as writer:
            for index in range(count):
                writer.write(picture(index))
        message = refusal(tmp_path, truth, path)
        assert "30 frames a second" in message and remedy in message
    assert not (tmp_path / "scores").exists()
    out, result = scored(tmp_path, truth, late, any_lag=True)
    assert result["late_frames"] == 3
    assert "3 frames" in (out / "report.html").read_text()


def test_a_blurred_or_still_prediction_is_not_late(tmp_path):
    truth = write_folder(tmp_path / "truth")
    still = write_folder(tmp_path / "still", change=lambda _: picture(0))
    soft = write_folder(
        tmp_path / "soft", change=lambda x: cv2.GaussianBlur(x, None, 4) // 2 + 50
    )
    seen = [
        frame_source.survey(frame_source.open_source(p)) for p in (truth, still, soft)
    ]
    assert frame_source.lag(seen[0], seen[1]) == 0
    assert frame_source.lag(seen[0], seen[2]) == 0


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
    with pytest.raises(ValueError, match="is no video, or is cut off"):
        frame_source.open_source(tmp_path / "text.mp4")
    (truth / "5.png").write_bytes(b"cut off")
    with pytest.raises(ValueError, match=r"5\.png is not an image"):
        frame_source.survey(frame_source.open_source(truth))
    cv2.imwrite(str(truth / "5.png"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match="frame 5 is 8x8"):
        frame_source.survey(frame_source.open_source(truth))


def test_labels_of_others_are_understood(tmp_path):
    colours = np.full((8, 8, 3), 255, np.uint8)
    colours[4:] = 255, 0, 0
    colours[3, 3] = 0, 255, 0
    colours[:3, 2:6] = 0, 0, 255
    colours[2, 3] = 100, 100, 100
    cv2.imwrite(str(tmp_path / "0.png"), colours[..., ::-1])
    labels = label_images.read(tmp_path / "0.png")
    assert (labels[4:] == layout.TORSO).all() and labels[3, 3] == layout.TORSO
    assert (labels[:3, 2:6] == layout.HEAD).all() and labels[0, 0] == 0
    colours[0, 0] = 250, 3, 3
    cv2.imwrite(str(tmp_path / "0.png"), colours[..., ::-1])
    with pytest.raises(ValueError, match=r"colour \(250, 3, 3\)"):
        label_images.read(tmp_path / "0.png")
    cv2.imwrite(str(tmp_path / "0.png"), np.full((8, 8), 7, np.uint8))
    with pytest.raises(ValueError, match="holds the value 7"):
        label_images.read(tmp_path / "0.png")
    truth = write_folder(tmp_path / "truth", count=3)
    (tmp_path / "0.png").rename(truth / "labels.bmp")
    few = write_folder(tmp_path / "few", count=2)
    (truth / "labels.bmp").unlink()
    assert "2 label images" in refusal(tmp_path, truth, truth, labels=few)


def test_the_torso_goes_on_behind_the_head():
    labels = np.zeros((40, 20), np.uint8)
    labels[5:25, 5:15], labels[25:, 2:18] = layout.HEAD, layout.TORSO
    rgb = np.zeros((40, 20, 3), np.uint8)
    rgb[labels == layout.HEAD], rgb[labels == layout.TORSO] = (200, 0, 0), (0, 0, 150)
    torso = torso_inpainting.torso_image(rgb, labels)
    alpha = torso[..., 3] > 0
    assert alpha[25:, 2:18].all() and alpha[21:25, 5:15].all()
    assert not alpha[:21].any() and not alpha[:25, :5].any()
    # Nothing of the head itself shines through.
    assert torso[alpha][:, 0].max() == 0 and torso[22, 10, 2] > 100
    plate = np.full((40, 20, 3), 51, np.uint8)
    behind = torso_inpainting.backdrop(rgb, labels, plate)
    np.testing.assert_allclose(behind[10, 10], 0.2, atol=1e-6)
    np.testing.assert_allclose(behind[30, 10], [0, 0, 150 / 255], atol=1e-6)


def test_the_gallery_keeps_worst_and_best():
    kept = Extremes()
    scores = [5.0, 1.0, 9.0, 7.0, 3.0, 8.0, 1.0]
    for frame, score in enumerate(scores):
        kept.add(score, frame, np.zeros((4, 4, 3), np.uint8))
    assert [p.score for p in kept.worst()] == [1, 1, 3]
    assert [(p.score, p.frame) for p in kept.best()] == [(9, 2), (8, 5), (7, 3)]


def test_the_command_ends_cleanly(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(face_model, "find", lambda _: None)
    flags = [f"--truth={tmp_path}/gone.mp4", f"--pred={tmp_path}/b.mp4"]
    with pytest.raises(SystemExit) as stopped:
        __main__.main(flags)
    assert (
        stopped.value.code == f"evaluate: no such file or folder: {tmp_path}/gone.mp4"
    )
    truth = write_folder(tmp_path / "truth", count=3)
    __main__.main([f"--truth={truth}", f"--pred={truth}", "--any-lag"])
    told = capsys.readouterr().out
    assert "truth_scores: open report.html" in told
    assert "PSNR 100.00" in told and "no face in 3 of 3 frames" in told
    __main__.main([f"--truth={truth}", f"--pred={truth}", "--protocol=peer"])
    for name, protocol in ("scores", "unstated"), ("scores_peer", "peer"):
        result = json.loads((tmp_path / f"truth_{name}" / "metrics.json").read_text())
        assert result["protocol"] == protocol
