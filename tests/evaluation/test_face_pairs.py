import json

import numpy as np
import pytest

from lokitalk_jax.evaluation.clip_scores import landmark_rows
from lokitalk_jax.evaluation.face_pairs import FacePairs
from lokitalk_jax.evaluation.metrics import aggregate, mouth
from lokitalk_jax.preparation import faces

NAMES = ("browDownLeft", "eyeBlinkLeft", "jawOpen")


class KnownFaces:
    """A detector that gives out prepared faces, one list a call."""

    def __init__(self, *answers):
        self._answers = iter(answers)

    def faces(self, rgb):
        return next(self._answers)


def face(seed=0, blendshapes=None):
    points = 100 * np.random.default_rng(seed).random((478, 3))
    return faces.Face(points.astype(np.float32), blendshapes)


def pairs_of(truth, prediction):
    """Face pairs of prepared faces, one list a frame."""
    pairs, rgb = FacePairs((KnownFaces(*truth), KnownFaces(*prediction))), np.zeros(0)
    for _ in truth:
        pairs.add(rgb, rgb)
    return pairs


def rows_of(truth, prediction):
    pairs = pairs_of(truth, prediction)
    of = pairs.truth, pairs.prediction, np.arange(len(truth))
    return landmark_rows(*of, pairs.blendshapes())


def test_missed_faces_are_left_out():
    smile = face()
    smile.landmarks[mouth.POINTS[0], 0] += 2
    far = faces.Face(face(1).landmarks + 500)
    rows = rows_of(
        [[face()], [face()], [], [face()]],
        [[far, smile], [], [face()], [face()]],
    )
    assert rows[0]["lmd_px"] == pytest.approx(0.19, abs=1e-4)  # of the nearer face
    width = mouth.face_widths(face().landmarks[None])[0]
    assert rows[0]["lmd_face"] == pytest.approx(0.19 / width, abs=1e-6)
    # A face alone is compared with nothing; how far its mouth is open is known.
    known = [{k for k, v in row.items() if v is not None} for row in rows[1:3]]
    assert known == [{"opening_truth"}, {"opening"}]
    assert rows[3]["lmd_px"] == 0
    scores = aggregate.clip_scores(rows, 1)
    assert scores["lmd_px"] == pytest.approx(0.095, abs=1e-4)


def test_no_face_at_all_is_null_in_json():
    rows = rows_of([[]], [[]])
    assert json.dumps(aggregate.clip_scores(rows, 1)["lmd_px"]) == "null"


def test_equal_faces_have_no_error():
    rows = rows_of([[face()]] * 4, [[face()]] * 4)
    for key in "lmd_px", "lmd_face", "eye_ratio_error", "jitter_px", "shape_error":
        values = [row[key] for row in rows if row[key] is not None]
        np.testing.assert_allclose(values, 0, atol=1e-6)
    assert rows[0]["jitter_px"] is None and rows[1]["jitter_px"] is not None
    assert rows[0]["blendshapes_upper"] is None


def test_expressions_of_missed_faces_are_unknown():
    expressive = face(blendshapes=dict.fromkeys(NAMES, 0.5))
    found = [[], [expressive]]
    shapes = pairs_of(found, found).blendshapes()
    assert shapes.names == NAMES
    assert shapes.truth.shape == shapes.prediction.shape == (2, 3)
    rows = rows_of(found, found)
    assert [row["blendshapes_upper"] for row in rows] == [None, 0]
