import csv
import json

import cv2
import numpy as np
import pytest
from picture_folder import picture, write_folder

from lokitalk_jax.cli import compare
from lokitalk_jax.data import layout
from lokitalk_jax.evaluation import pair
from lokitalk_jax.media import video_reader, video_writer
from lokitalk_jax.preparation import face_model, faces


class OneFace:
    """A face in the picture's middle, 30 pixels wide."""

    def faces(self, rgb):
        points = np.random.default_rng(0).uniform(17, 47, (478, 3))
        return [faces.Face(points.astype(np.float32))]


def scored(tmp_path, truth, prediction, **more):
    out = tmp_path / "scores"
    options = pair.PairOptions(**more)
    detectors, reports = (OneFace(), OneFace()), []

    def progress(*report):
        reports.append(report)

    pair.evaluate_pair(
        str(truth),
        prediction,
        out,
        options=options,
        progress=progress,
        detectors=detectors,
    )
    stage, done, total, left = reports[-1]
    assert stage == f"scoring {prediction.name}" and done == total and left == 0
    return out, json.loads((out / "metrics.json").read_text())


def table_of(out):
    with open(out / "frames.csv", newline="") as file:
        return list(csv.DictReader(file))


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
    assert scores["intervals"]["frame"]["psnr"] is None  # 1.2 s are too few
    opening = [float(row["opening_truth"]) for row in table_of(out)]
    assert np.mean(opening) == pytest.approx(scores["opening_truth"], abs=1e-3)

    table = table_of(out)
    assert [int(row["frame"]) for row in table] == list(range(30))
    mean = np.mean([float(row["frame.psnr"]) for row in table])
    assert mean == pytest.approx(scores["frame"]["psnr"], abs=1e-3)
    assert table[0]["frame.ms_ssim"] == "" and table[0]["identity"] == "soft"
    assert table[0]["driven_by"] == table[0]["signals"] == "audio"
    assert (table[0]["protocol"], table[0]["size"]) == ("full", "64")

    assert "<html" in (out / "report.html").read_text()
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


def test_labels_for_some_frames_only_are_refused(tmp_path):
    truth = write_folder(tmp_path / "truth", count=3)
    few = write_folder(tmp_path / "few", count=2)
    assert "2 label images" in refusal(tmp_path, truth, truth, labels=few)


def test_the_command_ends_cleanly(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(face_model, "find", lambda _: None)
    flags = [f"--truth={tmp_path}/gone.mp4", f"--pred={tmp_path}/b.mp4"]
    assert compare.main(flags) == 1
    assert f"no such file or folder: {tmp_path}/gone.mp4" in capsys.readouterr().err
    truth = write_folder(tmp_path / "truth", count=3)
    late = write_folder(tmp_path / "late", shift=3)
    early = write_folder(tmp_path / "early")
    assert compare.main([f"--truth={early}", f"--pred={late}"]) == 1
    assert "with --any-lag" in capsys.readouterr().err
    assert compare.main([f"--truth={truth}", f"--pred={truth}"]) == 0
    printed = capsys.readouterr().out
    assert "truth_scores: open report.html" in printed
    assert "PSNR 100.00" in printed and "no face in 3 of 3 frames" in printed
    compare.main([f"--truth={truth}", f"--pred={truth}", "--protocol=peer"])
    for name, protocol in ("scores", "unstated"), ("scores_peer", "peer"):
        result = json.loads((tmp_path / f"truth_{name}" / "metrics.json").read_text())
        assert result["protocol"] == protocol
