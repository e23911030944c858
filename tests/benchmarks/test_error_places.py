import cv2
import numpy as np

from benchmarks import error_places
from lokitalk_jax.data import layout


def test_places_share_the_image_out():
    labels = np.zeros((64, 96), np.uint8)
    labels[10:40, 30:60] = layout.HEAD
    labels[40:, 20:70] = layout.TORSO
    found = error_places.places(labels)
    assert (np.sum(list(found.values()), axis=0) == 1).all()
    assert found["head"][25, 45] and found["torso"][55, 45]
    # 96 / 64 is rounded to two pixels on either side of the edge.
    assert found["outline"][25, 28:32].all()
    assert found["background"][25, 27] and found["head"][25, 32]
    assert found["background"][5, 5]
    # Head and torso meet without an outline between them.
    assert not found["outline"][40, 45]


def test_a_misplaced_picture_is_moved_onto_the_truth():
    random = np.random.default_rng(0)
    truth = random.random((128, 128, 3)).astype(np.float32)
    truth = cv2.GaussianBlur(truth, (0, 0), 3)
    truth = (truth - truth.min()) / np.ptp(truth)
    picture = np.roll(truth, (1, 2), (0, 1))
    inside = np.s_[12:-12, 12:-12]
    before = np.mean((picture - truth)[inside] ** 2)
    after = np.mean((error_places.move_onto(picture, truth) - truth)[inside] ** 2)
    assert after < before / 20
