import csv
import json

import cv2
import numpy as np
import pytest
from picture_folder import picture, write_folder

from lokitalk_jax.cli import compare
from lokitalk_jax.cli import main as command
from lokitalk_jax.data import layout
from lokitalk_jax.evaluation import framing, pair, pair_inputs, systems
from lokitalk_jax.evaluation.report import averages
from lokitalk_jax.evaluation.report.clip import Clip
from lokitalk_jax.media import video_writer
from lokitalk_jax.preparation import face_model, faces


class OneFace:
    """A face in the picture's middle, 30 pixels wide."""

    def faces(self, rgb):
        points = np.random.default_rng(0).uniform(17, 47, (478, 3))
        return [faces.Face(points.astype(np.float32))]


def soft(frame):
    return cv2.GaussianBlur(frame, None, 1.5)


@pytest.fixture
def folders(tmp_path):
    """Folders of two true clips, of two systems' predictions, and of one clip."""
    for name, change in ("true", None), ("good", None), ("soft", soft):
        (tmp_path / name).mkdir()
        for clip in "one", "two":
            more = {"change": change} if change else {}
            write_folder(tmp_path / name / clip, count=6, **more)
    write_folder(tmp_path / "true" / "three", count=6)
    return tmp_path


def test_systems_are_paired_by_name_and_stand_side_by_side(folders):
    both = {name: folders / name for name in ("good", "soft")}
    out, faces_of = folders / "out", (OneFace(), OneFace())
    result = systems.evaluate_systems(
        folders / "true", both, out, detectors=faces_of
    ).metrics
    assert result == json.loads((out / "metrics.json").read_text())
    assert result["identities"].keys() == {"one", "two"}
    assert result["not_predicted"] == ["three"] and result["coding"] == "lossless"
    for clip in result["identities"].values():
        assert clip["good"]["frame"]["psnr"] == 100 > clip["soft"]["frame"]["psnr"]
    mean = result["means"]["soft"]["frame"]["psnr"]
    each = [x["soft"]["frame"]["psnr"] for x in result["identities"].values()]
    assert mean == pytest.approx(np.mean(each))
    # What is reachable depends on the truth alone.
    assert result["reachable"]["one"]["recoded"]["frame"]["psnr"] > 20
    page = (out / "report.html").read_text()
    for text in "mean of 2 clips, soft", "one, good", "not predicted":
        assert text in page
    assert (out / "two_soft.mp4").is_file()


def test_systems_that_predict_other_clips_are_refused(folders):
    both = {name: folders / name for name in ("good", "soft")}
    (folders / "soft" / "two").rename(folders / "soft" / "three")
    with pytest.raises(ValueError, match="three, two: predicted by good or soft alone"):
        systems.evaluate_systems(folders / "true", both, folders / "out")
    (folders / "soft" / "three").rename(folders / "soft" / "four")
    with pytest.raises(ValueError, match="soft predicts four, and .* holds no clip"):
        systems.evaluate_systems(folders / "true", both, folders / "out")
    (folders / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no video, pictures or identity"):
        systems.clips_in(folders / "empty")


def test_alignment_cuts_scales_and_says_so(tmp_path):
    truth = write_folder(tmp_path / "truth", count=30)
    larger = write_folder(
        tmp_path / "late",
        count=28,
        shift=3,
        change=lambda x: cv2.resize(x, (128, 128), interpolation=cv2.INTER_CUBIC),
    )
    sides = [pair_inputs.open_side(path) for path in (truth, larger)]
    with pytest.raises(ValueError, match="scale"):
        pair_inputs.match(*sides, any_lag=True, align=False)
    matched = pair_inputs.match(*sides, any_lag=False, align=True)
    assert "5 from the end" in matched.aligned and matched.late == 0
    assert "3 from the start" in matched.aligned.partition("prediction")[2]
    assert "scaled from 128x128 to 64x64" in matched.aligned
    frames = zip(
        matched.truth.frames.frames(), matched.prediction.frames.frames(), strict=True
    )
    apart = [np.abs(a.astype(int) - b).mean() for a, b in frames]
    assert len(apart) == 25 and max(apart) < 6
    same = [pair_inputs.open_side(truth)] * 2
    assert pair_inputs.match(*same, any_lag=False, align=True).aligned == ""


def test_alignment_stands_in_the_report(tmp_path):
    truth = write_folder(tmp_path / "truth", count=30)
    late = write_folder(tmp_path / "late", count=30, shift=3)
    options = pair.PairOptions(align=True, recode="crf23")
    faces_of = (OneFace(), OneFace())
    result = pair.evaluate_pair(
        truth, late, tmp_path / "out", options=options, detectors=faces_of
    ).metrics
    scores = result["identities"]["late"]["unstated"]
    assert "3 from the start" in scores["aligned"] and scores["frames"] == 27
    assert result["coding"] == "crf23" and scores["frame"]["psnr"] > 30
    page = (tmp_path / "out" / "report.html").read_text()
    assert "3 from the start" in page and "unstated, crf23" in page


def test_labels_are_cut_with_the_truth(tmp_path):
    truth = write_folder(tmp_path / "truth", count=30)
    early = write_folder(tmp_path / "early", count=20, shift=-4)
    labels = tmp_path / "labels"
    labels.mkdir()
    for index in range(30):
        image = np.full((64, 64), layout.TORSO if index < 4 else layout.HEAD, "u1")
        cv2.imwrite(str(labels / f"{index}.png"), image)
    options = pair.PairOptions(align=True, labels=labels)
    faces_of = (OneFace(), OneFace())
    result = pair.evaluate_pair(
        truth, early, tmp_path / "out", options=options, detectors=faces_of
    ).metrics
    scores = result["identities"]["early"]["unstated"]
    assert "4 from the start and 6 from the end" in scores["aligned"]
    # The first labels are those of frames that were cut.
    assert scores["torso"]["psnr"] is None and scores["head"]["psnr"] is not None


def test_pixels_are_not_compared_where_the_face_is_elsewhere():
    truth = np.random.default_rng(0).uniform(0, 100, (8, 478, 3))
    assert framing.same(truth, truth + [0.2, 0.4, 0])
    assert not framing.same(truth, truth + [8, 0, 0])
    assert not framing.same(truth, 50 + 1.05 * (truth - 50))
    assert framing.same(truth, truth * np.nan)
    scores = {
        "frame": {"psnr": 20.0, "cpbd": 0.4}, "lip": {"psnr": 18.0, "seam": 1.0},
        "lmd_px": 2.0, "shape_error": 0.02, "motion": {"lip_amplitude": 0.9},
        "intervals": {"frame": {"psnr": [19.0, 21.0], "cpbd": [0.3, 0.5]}},
    }  # fmt: skip
    row = {"frame.psnr": 20.0, "frame.cpbd": 0.4, "shape_error": 0.02}
    found = framing.without_pixels(Clip("a", "b", scores, [0], [row]))
    assert found.scores["frame"] == {"psnr": None, "cpbd": 0.4}
    assert found.scores["lip"] == {"psnr": None, "seam": None}
    assert found.scores["lmd_px"] is None and found.scores["shape_error"] == 0.02
    assert found.scores["motion"] == {"lip_amplitude": 0.9}
    assert found.scores["intervals"]["frame"]["psnr"] is None
    assert found.rows == [{"frame.psnr": None, "frame.cpbd": 0.4, "shape_error": 0.02}]


def test_means_leave_out_scores_that_a_clip_lacks():
    def clip(name, value, leak):
        scores = {"frame": {"psnr": value}, "motion": {"leak": leak}, "sync": None}
        return Clip(name, "ours", scores | {"intervals": {}}, [0], [{}])

    (mean,) = averages.by_driver([clip("a", 20.0, None), clip("b", 30.0, 0.5)])
    assert mean.scores["frame"]["psnr"] == 25 and mean.scores["motion"]["leak"] == 0.5
    assert mean.identity == "mean of 2 clips"
    assert averages.by_driver([clip("a", 20.0, 1.0)]) == []


def strips(path):
    """A video of three panels, truth first; the last one is blurred."""
    with video_writer.VideoWriter(path, size=(192, 64)) as writer:
        for index in range(6):
            true = picture(index)
            writer.write(np.concatenate([true, true, soft(true)], 1))
    return path


def test_the_command_scores_folders_and_panels(folders, monkeypatch, capsys):
    monkeypatch.setattr(face_model, "find", lambda _: None)
    out = folders / "page"
    flags = [f"--pred={folders}/{name}" for name in ("good", "soft")]
    flags += [f"--truth={folders}/true", f"--out={out}"]
    assert command.main(["evaluate", *flags]) == 0
    result = json.loads((out / "metrics.json").read_text())
    assert result["identities"]["one"].keys() == {"good", "soft"}
    assert "open report.html" in capsys.readouterr().out
    strip = strips(folders / "strip.mp4")
    flags = [f"--truth={strip}", "--panels=3", "--systems=sharp, soft"]
    assert compare.main(flags) == 0
    result = json.loads((folders / "strip_scores" / "metrics.json").read_text())
    found = result["identities"]["strip"]
    assert found["sharp"]["frame"]["psnr"] > found["soft"]["frame"]["psnr"] + 3
    assert result["coding"] == "coded as stored"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "give --pred=PATH for each program, or --panels"),
        (["--pred=a", "--panels=3"], "give --pred=PATH for each program"),
        (["--pred=a", "--systems=x,y"], "names 2 programs; name each of the 1"),
        (["--panels=3", "--systems=x,x"], "names a program twice"),
        (["--panels=3", "--systems=x"], "names 1 programs; name each of the 2"),
        (["--panels=1"], "--panels=1 must be at least 2"),
        (["--pred=a", "--pred=./a"], "--pred=a is given twice"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(tmp_path, capsys, flags, message):
    assert compare.main([f"--truth={tmp_path}", *flags]) == 1
    assert message in capsys.readouterr().err


def test_single_clips_in_folders_are_paired_by_name_too(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(face_model, "find", lambda _: None)
    for name, clip in ("true", "me"), ("theirs", "you"):
        (tmp_path / name).mkdir()
        write_folder(tmp_path / name / clip, count=3)
    truth, theirs = tmp_path / "true", tmp_path / "theirs"
    for flags in (
        [f"--truth={truth}", f"--pred={theirs}"],
        [f"--truth={truth}", f"--pred={theirs}/you"],
        [f"--truth={truth}/me", f"--pred={theirs}"],
    ):
        assert compare.main([*flags, f"--out={tmp_path}/out"]) == 1
        assert "predicts you, and" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    # Given by their own paths, they need not have one name.
    matched = systems.evaluate_systems(
        truth / "me",
        {"a": theirs / "you"},
        tmp_path / "out",
        detectors=(OneFace(), OneFace()),
    ).metrics
    assert matched["identities"]["me"]["a"]["frame"]["psnr"] == 100


def test_alignment_finds_a_piece_and_admits_when_it_does_not(tmp_path):
    truth = write_folder(tmp_path / "truth", count=60)
    piece = write_folder(tmp_path / "piece", count=20, shift=-30)
    still = write_folder(
        tmp_path / "still", count=20, change=lambda _: np.full((64, 64, 3), 90, "u1")
    )
    tall = write_folder(tmp_path / "tall", change=lambda x: cv2.resize(x, (48, 64)))
    sides = {p.name: pair_inputs.open_side(p) for p in (truth, piece, still, tall)}

    def aligned(*names):
        return pair_inputs.match(*(sides[n] for n in names), any_lag=False, align=True)

    matched = aligned("truth", "piece")
    assert "30 from the start and 10 from the end" in matched.aligned
    first = next(iter(matched.truth.frames.frames()))
    np.testing.assert_array_equal(first, picture(30))
    assert "prediction: 30 from the start" in aligned("piece", "truth").aligned
    assert "agrees at no shift" in aligned("truth", "still").aligned
    with pytest.raises(ValueError, match="48x64; align=True scales both ways alike"):
        aligned("truth", "tall")
    quick = tmp_path / "quick.mp4"
    with video_writer.VideoWriter(quick, 30, size=(64, 64)) as writer:
        for index in range(72):
            writer.write(picture(index))
    sides["quick"] = pair_inputs.open_side(quick)
    with pytest.raises(ValueError, match="convert it first"):
        aligned("truth", "quick")


def test_rows_say_how_each_clip_is_coded_and_how_large_it_is(tmp_path):
    large = {"change": lambda x: cv2.resize(x, (128, 128))}
    for name in "true", "files", "videos":
        (tmp_path / name).mkdir()
    for name, more in ("one", {}), ("two", large):
        for folder in "true", "files":
            write_folder(tmp_path / folder / name, count=4, **more)
        video = tmp_path / "videos" / f"{name}.mp4"
        size = 128 if more else 64
        with video_writer.VideoWriter(video, size=(size, size)) as writer:
            for index in range(4):
                writer.write(cv2.resize(picture(index), (size, size)))
    both = {name: tmp_path / name for name in ("files", "videos")}
    out, faces_of = tmp_path / "out", (OneFace(), OneFace())
    found = systems.evaluate_systems(tmp_path / "true", both, out, detectors=faces_of)
    result = found.metrics
    assert result["coding"] == "coded as stored or lossless" and result["size"] is None
    for name, size in ("one", 64), ("two", 128):
        clip = result["identities"][name]
        assert clip["files"]["coding"] == "lossless"
        assert clip["videos"]["coding"] == "coded as stored"
        assert clip["videos"]["size"] == clip["files"]["size"] == size
    assert "two (unstated, coded as stored, videos, 128 px)" in found.summary()[3]
    page = (out / "report.html").read_text()
    for text in "<td>unstated, lossless</td><td>128</td>", "a prediction decoded from":
        assert text in page
    assert "None" not in page.partition("<h2>What is reachable")[0]
    with (out / "frames.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(r["driven_by"], r["coding"]) for r in rows} == {
        ("files", "lossless"),
        ("videos", "coded as stored"),
    }


def test_programs_may_be_called_like_their_paths(folders, monkeypatch):
    monkeypatch.setattr(face_model, "find", lambda _: None)
    flags = [f"--truth={folders}/true"]
    for name in "good", "soft":
        (folders / name / "mine" / "out").mkdir(parents=True)
        (folders / name / "one").rename(folders / name / "mine" / "out" / "one")
        flags.append(f"--pred={folders}/{name}/mine/out")
    assert compare.main([*flags, f"--out={folders}/page"]) == 0
    result = json.loads((folders / "page" / "metrics.json").read_text())
    names = [f"{folders}/{name}/mine/out" for name in ("good", "soft")]
    assert list(result["systems"]) == names
    assert len(list((folders / "page").glob("*.mp4"))) == 2


def test_options_that_cannot_be_used_are_named_as_flags(folders, capsys):
    for truth, flag, message in (
        ("true", f"--labels={folders}/true/one", "are of one clip, and one, two are"),
        ("true/one", "--face-model=gone.task", "--face-model=gone.task does not exist"),
        ("true/one", "--labels=gone", "--labels=gone is no folder"),
    ):
        pred = "good" if truth == "true" else "good/one"
        flags = [f"--truth={folders}/{truth}", f"--pred={folders}/{pred}", flag]
        assert compare.main([*flags, f"--out={folders}/out"]) == 1
        assert message in capsys.readouterr().err
    assert not (folders / "out").exists()
