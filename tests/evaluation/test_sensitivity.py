"""Each score reacts most to the fault that it is meant to measure.

A piece of a real clip is spoiled in one way at a time; each score ranks the results.
"""

import itertools

import clips
import cv2
import numpy as np
import pytest

from lokitalk_jax import structs
from lokitalk_jax.data import face_geometry, regions
from lokitalk_jax.evaluation.clip_scores import ClipScores
from lokitalk_jax.media import video_reader
from lokitalk_jax.preparation import faces

SIZE = 192  # pixels
START, COUNT = 136, 20  # frames around a blink of speaker_a


class Remembered:
    """A detector that gives out faces found before."""

    def __init__(self, found):
        self._found = iter(found)

    def faces(self, rgb):
        return next(self._found)


def detect(model, frames):
    with faces.FaceDetector(model, blendshapes=True) as detector:
        return [detector.faces(frame) for frame in frames]


@pytest.fixture(scope="module")
def clip():
    """The face model, frames, their faces and region masks, and the blink's index."""
    path = clips.CLIPS / "dev" / "speaker_a.mp4"
    model = clips.SHARED / "models" / "face_landmarker.task"
    if not (path.is_file() and model.is_file()):
        pytest.skip("the development clips or the face model are not here")
    frames = [
        cv2.resize(rgb, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        for rgb in itertools.islice(
            video_reader.read_frames(path), START, START + COUNT
        )
    ]
    found = detect(model, frames)
    landmarks = np.stack([one[0].landmarks for one in found])
    blink = int(face_geometry.eye_ratios(landmarks).mean(-1).argmin())
    frames = np.stack(frames)
    shapes = regions.fit_shapes(landmarks, np.ones(COUNT, bool))
    row, column = np.mgrid[:SIZE, :SIZE]
    pixels = np.stack([column, row], -1).reshape(-1, 2).astype(np.float32) + 0.5
    every = np.tile(pixels, (COUNT, 1, 1))
    face = regions.ellipses(shapes, np.arange(COUNT), every)
    face = face.reshape(COUNT, SIZE, SIZE, 2).astype(np.float32)
    # Below the chin is the torso; above it the middle of the picture is the head.
    chin = int(landmarks[..., 1].max()) + 4
    body = np.zeros((COUNT, SIZE, SIZE, 2), np.float32)
    body[:, :chin, 40:150, 0] = 1
    body[:, chin:, :, 1] = 1
    return model, frames, found, np.concatenate([face, body], -1), blink


def pasted(frames, masks, source):
    """One frame's pixels in all frames, within masks."""
    inside = masks[..., None].astype(np.float32)
    return np.uint8(np.rint(frames * (1 - inside) + frames[source] * inside))


def spoiled(kind, frames, masks, blink):
    if kind == "mild":
        return np.stack([cv2.GaussianBlur(frame, None, 0.4) for frame in frames])
    if kind == "blur":
        return np.stack([cv2.GaussianBlur(frame, None, 1.0) for frame in frames])
    if kind == "cast":
        tinted = frames * np.array([1.15, 1.0, 0.8])
        return np.uint8(np.clip(tinted, 0, 255))
    if kind == "frozen lips":
        return pasted(frames, masks[..., 0].max(0)[None], 0)
    if kind == "held blink":
        return pasted(frames, masks[..., 1].max(0)[None], blink)
    if kind == "torso shift":
        moved = np.roll(frames, 2, axis=2)
        return np.where(masks[..., 3:] > 0, moved, frames)
    assert kind == "jitter"
    shifted = np.roll(frames, 1, axis=2)
    odd = (np.arange(len(frames)) % 2).astype(bool)[:, None, None, None]
    return np.where(odd, shifted, frames)


KINDS = (
    "mild", "blur", "cast", "frozen lips", "held blink", "torso shift", "jitter",
)  # fmt: skip


@pytest.fixture(scope="module")
def scores(clip):
    model, frames, found, masks, blink = clip
    results = {}
    for kind in KINDS:
        prediction = spoiled(kind, frames, masks, blink)
        known = Remembered(found), Remembered(detect(model, prediction))
        gathered = ClipScores(known)
        for index in range(COUNT):
            rendered = prediction[index] / np.float32(255)
            gathered.add(index, frames[index], rendered, lambda _, i=index: masks[i])
        results[kind] = gathered.result()
    return results


def ranked(scores, path, worst=max):
    """Kinds from the worst to the best by a score."""
    values = {}
    for kind, found in scores.items():
        for key in path.split("."):
            found = found[key]
        values[kind] = found
    return sorted(values, key=values.get, reverse=worst is max)


@pytest.mark.clips
@pytest.mark.parametrize(
    ("path", "worst", "kinds"),
    [
        ("frame.cpbd", min, {"blur"}),
        ("frame.lpips_alex", max, {"blur"}),
        ("frame.ssim", min, {"blur"}),
        ("frame.psnr", min, {"cast"}),
        ("torso.psnr", min, {"torso shift", "cast"}),
        ("torso.ssim", min, {"torso shift"}),
        ("eye_ratio_error", max, {"held blink"}),
        ("blendshapes_upper", max, {"held blink"}),
        ("lmd_px", max, {"frozen lips"}),
        ("lmd_face", max, {"frozen lips"}),
        ("blendshapes_lower", max, {"frozen lips"}),
        ("jitter_px", max, {"jitter"}),
    ],
)
def test_the_fault_it_is_for_comes_first(scores, path, worst, kinds):
    assert set(ranked(scores, path, worst)[: len(kinds)]) == kinds


@pytest.mark.clips
def test_what_stays_the_same_scores_the_same(scores):
    for kind, region in (
        ("frozen lips", "eye"), ("held blink", "lip"), ("torso shift", "lip"),
        ("torso shift", "eye"), ("held blink", "torso"),
    ):  # fmt: skip
        assert scores[kind][region]["psnr"] > 45, (kind, region)
    for kind in KINDS:
        assert scores[kind]["jitter_truth_px"] == scores["mild"]["jitter_truth_px"]
        assert scores[kind]["missed_faces"] == 0
        for region in ("frame", *structs.REGIONS):
            low, high = scores[kind]["intervals"][region]["psnr"] or (0, 100)
            assert low <= scores[kind][region]["psnr"] <= high
    jittered = scores["jitter"]
    assert jittered["jitter_px"] > jittered["jitter_truth_px"] + 1
    assert scores["mild"]["shape_error"] < 0.01 > scores["cast"]["shape_error"]
