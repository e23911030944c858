import json

import av
import cv2
import numpy as np
import pytest
from render_command import copied, frames_of

from lokitalk_jax import structs
from lokitalk_jax.avatar import motion
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.data import folder, npz_file
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.evaluation import score
from lokitalk_jax.evaluation.clip_scores import ClipScores
from lokitalk_jax.evaluation.metrics import psnr
from lokitalk_jax.media import video_reader
from lokitalk_jax.preparation import face_model, faces


@pytest.fixture(scope="module")
def evaluated(tiny_run, tmp_path_factory):
    """A folder with the scores of both identities, and the progress reports."""
    out, reports = tmp_path_factory.mktemp("scores"), []

    def progress(*report):
        reports.append(report)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(face_model, "find", lambda path=None: None)
        score.evaluate(OpenRun(tiny_run.workdir), str(out), progress=progress)
    return out, reports


def scores_in(out):
    return json.loads((out / "metrics.json").read_text())


def test_evaluation_writes_scores_and_pictures(tiny_run, evaluated):
    out, reports = evaluated
    result = scores_in(out)
    run = OpenRun(tiny_run.workdir)
    identities, reachable = result.pop("identities"), result.pop("reachable")
    assert result == {
        "config_hash": run.config_hash,
        "step": 12,
        "size": 32,
        "protocol": "full",
        "coding": "lossless",
        "tracking": "plain",
        "signals": "tracked",
    }
    assert list(identities) == tiny_run.names
    for name in tiny_run.names:
        scores = identities[name]["tracked"]
        assert scores["frame"].keys() >= {"psnr", "ssim", "ms_ssim", "lpips_alex"}
        for region in structs.REGIONS:
            assert scores[region].keys() - {"seam"} == {
                "psnr", "ssim", "lpips_alex", "sharpness", "sharpness_truth",
            }  # fmt: skip
        assert scores["frames"] == 5
        assert (scores["lmd_px"] is None) == (scores["missed_faces"] == 5)
        assert len(list(video_reader.read_frames(out / f"{name}.mp4"))) == 5
        sheet = cv2.imread(str(out / f"{name}.png"))
        assert sheet.shape[1] == 6 * 160 and sheet.shape[0] > 5 * 160
        rows = reachable[name]
        assert rows.keys() == {
            "retracked", "recoded", "one_frame_late", "nearest_training", "still_mouth",
            "shuffled_lips",
        }  # fmt: skip
        assert 25 < rows["recoded"]["frame"]["psnr"] < 60
        assert rows["nearest_training"]["picture_frames"] == 5
        assert rows["one_frame_late"]["picture_frames"] == 4
        assert "frame" not in rows["still_mouth"]
        done = [one[1] for one in reports if one[0] == f"scoring {name}, tracked"]
        assert done == list(range(6))


def test_scores_are_those_of_the_rendered_frames(tiny_run, avatar, evaluated):
    data = Dataset.open(folder.IdentityFolder(tiny_run.data / "demo_01"), 32)
    rendered = frames_of(avatar, motion.tracked(avatar.record, range(45, 50)))
    expected = [
        psnr.psnr(data.frame(45 + i)[0], np.clip(frame, 0, 1))
        for i, frame in enumerate(rendered)
    ]
    scores = scores_in(evaluated[0])["identities"]["demo_01"]["tracked"]
    assert scores["frame"]["psnr"] == pytest.approx(np.mean(expected), abs=1e-3)


@pytest.mark.usefixtures("in_process")
def test_evaluation_of_some_frames_of_one_identity(tiny_run, tmp_path):
    copy = copied(tiny_run, tmp_path)
    # A run that was trained on the first frames of the clip only.
    portrait = copy.workdir / "identities" / "demo_00" / "portrait.npz"
    arrays = npz_file.read(portrait)
    np.savez(portrait, **arrays | {"train_frames": arrays["train_frames"][:3]})
    options = score.EvaluateOptions(max_frames=2)
    score.evaluate(OpenRun(copy.workdir), None, ["demo_00"], str(copy.data), options)
    out = copy.workdir / "evaluation" / "full_tracked_2_frames" / "demo_00"
    result = scores_in(out)
    assert list(result["identities"]) == ["demo_00"]
    assert result["identities"]["demo_00"]["tracked"]["frames"] == 2
    data = Dataset.open(folder.IdentityFolder(tiny_run.data / "demo_00"), 32)
    seen, expected = data.tracks.landmarks[..., :2], []
    for frame in (45, 49):
        like = np.linalg.norm(seen[:3] - seen[frame], axis=-1).mean(-1).argmin()
        expected.append(psnr.psnr(data.frame(frame)[0], data.frame(like)[0]))
    nearest = result["reachable"]["demo_00"]["nearest_training"]
    assert nearest["frame"]["psnr"] == pytest.approx(np.mean(expected), abs=1e-3)
    with av.open(str(out / "demo_00.mp4")) as container:
        # The first and the last of five frames, in the time that five take.
        length = float(container.duration) / av.time_base
        assert length == pytest.approx(5 / structs.FPS, abs=0.05)


@pytest.mark.usefixtures("in_process")
def test_the_peer_protocol_keeps_the_true_torso(tiny_run, tmp_path, evaluated):
    options = score.EvaluateOptions(protocol="peer")
    run = OpenRun(tiny_run.workdir)
    result = score.evaluate(run, tmp_path, ["demo_00"], options=options).metrics
    assert result["protocol"] == "peer"
    full = scores_in(evaluated[0])["identities"]["demo_00"]["tracked"]
    peer = result["identities"]["demo_00"]["tracked"]
    assert peer["torso"]["psnr"] > full["torso"]["psnr"] + 3
    assert peer["frame"]["psnr"] > full["frame"]["psnr"]


@pytest.mark.usefixtures("in_process")
def test_recoding_spoils_truth_and_render_alike(tiny_run, tmp_path, evaluated):
    run = OpenRun(tiny_run.workdir)
    options = score.EvaluateOptions(recode="crf23")
    result = score.evaluate(run, tmp_path, ["demo_00"], options=options).metrics
    assert result["coding"] == "crf23"
    scores = result["identities"]["demo_00"]["tracked"]
    plain = scores_in(evaluated[0])["identities"]["demo_00"]["tracked"]
    assert scores["frames"] == plain["frames"]
    assert 0 < abs(scores["frame"]["psnr"] - plain["frame"]["psnr"]) < 3
    folder = score.default_folder(run, options)
    assert folder.name == "full_tracked_crf23"


@pytest.mark.usefixtures("in_process")
def test_refined_tracking_is_named_and_says_how_far_it_moved(
    tiny_run, tmp_path, evaluated
):
    run = OpenRun(tiny_run.workdir)
    options = score.EvaluateOptions(tracking="refined", max_frames=3)
    result = score.evaluate(run, tmp_path, ["demo_00"], options=options)
    assert result.metrics["tracking"] == "refined"
    assert "refined tracking" in result.summary()[0]
    scores = result.metrics["identities"]["demo_00"]["tracked"]
    assert scores["registration"]["head_px"] > 0
    plain = scores_in(evaluated[0])["identities"]["demo_00"]["tracked"]
    assert "registration" not in plain
    assert scores["frame"]["psnr"] > plain["frame"]["psnr"] - 0.5
    assert score.default_folder(run, options).name == "full_tracked_3_frames_refined"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tracking": "fitted"}, "tracking=fitted must be plain or refined"),
        ({"tracking": "refined", "signals": "audio"}, "goes with signals=tracked"),
        ({"recode": "h264"}, "recode=h264 must be crf0 to crf51"),
        ({"recode": "crf23", "max_frames": 2}, "max_frames=2 leaves some out"),
        ({"protocol": "both"}, "protocol=both must be full or peer"),
        ({"signals": "sound"}, "signals=sound must be tracked or audio"),
        ({"max_frames": 0}, "max_frames=0 must be"),
    ],
)
def test_unknown_options_are_refused(tiny_run, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        score.evaluate(
            OpenRun(tiny_run.workdir),
            tmp_path / "out",
            options=score.EvaluateOptions(**options),
        )
    assert not (tmp_path / "out").exists()


class OneFace:
    """Stands in for the detector: a face that shifts with the picture's brightness."""

    def faces(self, rgb):
        points = np.random.default_rng(0).uniform(0, 40, (478, 3))
        points[:, 0] *= 1 + rgb.mean() / 255
        return [faces.Face(points)]


def test_scores_of_predictions_whose_error_is_known(tiny_run):
    data = Dataset.open(folder.IdentityFolder(tiny_run.data / "demo_00"), 32)
    perfect, off = (ClipScores((OneFace(), OneFace())) for _ in range(2))
    for index in data.test_frames[:2]:
        truth = data.frame(index)[0]
        picture, masks = data.frames[index], data.region_masks(index)
        perfect.add(index, picture, truth, lambda _, found=masks: found)
        # 0.1 up or down, whichever stays in [0, 1].
        shifted = truth + np.float32(0.1) * np.where(truth < 0.5, 1, -1)
        off.add(index, picture, shifted, lambda _, found=masks: found)
    perfect, off = perfect.result(), off.result()
    assert perfect["frame"]["psnr"] == perfect["lip"]["psnr"] == psnr.CAP
    assert perfect["frame"]["ssim"] == pytest.approx(1)
    assert perfect["frame"]["lpips_alex"] == pytest.approx(0, abs=1e-6)
    assert perfect["lmd_px"] == 0 and perfect["missed_faces"] == 0
    for region in ("frame", *structs.REGIONS):
        assert off[region]["psnr"] == pytest.approx(20, abs=1e-3)
    assert off["frame"]["ssim"] < 0.99 and off["frame"]["lpips_alex"] > 1e-3
    assert off["lmd_px"] > 0 and off["frames"] == 2
