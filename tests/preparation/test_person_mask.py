"""Masks, labels, the background plate and the preview."""

import clips
import cv2
import numpy as np
import pytest

from lokitalk_jax import face_mesh
from lokitalk_jax.data import layout
from lokitalk_jax.preparation import faces, head_labels, preview
from lokitalk_jax.preparation.person_mask import PersonSegmenter
from lokitalk_jax.preparation.plate import FRAMES, BackgroundPlate

CLIPS = clips.CLIPS / "dev"


def record(size: int = 256, tilt: float = 0.0, centre: int | None = None):
    """A drawn portrait on stripes: image, mask, landmarks, the true head."""
    scale = size / 256
    centre = (128 if centre is None else centre) * scale
    rng = np.random.default_rng(0)
    image = np.repeat(rng.integers(0, 255, (1, size, 3), np.uint8), size, axis=0)
    head, torso = np.zeros((2, size, size), np.uint8)

    def at(x, y):
        return round(centre + x * scale), round(y * scale)

    def axes(a, b):
        return round(a * scale), round(b * scale)

    cv2.ellipse(torso, at(0, 250), axes(95, 65), 0, 0, 360, 1, -1)
    cv2.rectangle(torso, at(-20, 140), at(20, 220), 2, -1)
    cv2.ellipse(head, at(0, 95), axes(54, 66), tilt, 0, 360, 1, -1)  # hair
    cv2.ellipse(head, at(0, 105), axes(42, 55), tilt, 0, 360, 2, -1)
    for drawn, colours in (
        (torso, ((40, 60, 160), (200, 150, 130))),
        (head, ((60, 40, 20), (225, 175, 150))),
    ):
        for value, colour in enumerate(colours, 1):
            image[drawn == value] = colour
    mask = 255 * ((head > 0) | (torso > 0)).astype(np.uint8)

    landmarks = np.zeros((478, 3), np.float32)
    angle = np.linspace(0, 2 * np.pi, len(face_mesh.FACE_OVAL), endpoint=False)
    oval = np.stack([42 * np.sin(angle), -55 * np.cos(angle)], 1)
    turn = np.radians(tilt)
    matrix = [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]
    oval = (oval @ matrix + [0, 105]) * scale + [centre, 0]
    landmarks[list(face_mesh.FACE_OVAL), :2] = oval
    landmarks[127, :2] = oval[27]
    return image, mask, landmarks, head > 0


@pytest.mark.parametrize("size, tilt", [(256, 0), (512, 15), (96, -15)])
def test_labels_separate_head_from_neck_and_torso(size, tilt):
    image, mask, landmarks, head = record(size, tilt)
    before = image.copy()
    labels = head_labels.label_regions(image, mask, landmarks)
    assert labels.dtype == np.uint8 and labels.shape == mask.shape
    found = labels == layout.HEAD
    assert (found & head).sum() / (found | head).sum() > 0.93
    np.testing.assert_array_equal(labels == layout.BACKGROUND, mask == 0)
    # The outline of the hair, too.
    above = np.arange(size)[:, None] < round(90 * size / 256)
    assert not (above & (labels == layout.TORSO)).any()
    neck = round(185 * size / 256), size // 2
    assert labels[neck] == layout.TORSO
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(
        labels, head_labels.label_regions(image, mask, landmarks)
    )


def test_labels_where_only_the_head_is_seen():
    image, mask, landmarks, head = record()
    mask = np.where(head, 255, 0).astype(np.uint8)
    labels = head_labels.label_regions(image, mask, landmarks)
    # The rim of hair under the jaw is where the neck would be.
    assert (labels[head] == layout.HEAD).mean() > 0.85


def test_labels_without_a_person():
    image, mask, landmarks, _ = record()
    assert not head_labels.label_regions(image, np.zeros_like(mask), landmarks).any()


def test_plate_is_the_background_behind_a_moving_person():
    plate = BackgroundPlate()
    rng = np.random.default_rng(0)
    covered = np.ones((128, 128), bool)
    for centre in np.linspace(100, 156, 20):
        image, mask, _, _ = record(128, centre=centre)
        background = image[0].astype(float)  # the stripes are the same in every row
        noisy = np.clip(image + rng.normal(0, 3, image.shape), 0, 255)
        plate.add(noisy.astype(np.uint8), mask)
        covered &= mask > 0
    found, seen = plate.finish()
    assert found.dtype == np.uint8 and seen.dtype == bool
    error = np.abs(found - background[None])
    assert error[seen].max() < 12 and error[seen].mean() < 1.5
    assert not seen[covered].any()
    assert 0.3 < seen.mean() < 1 - covered.mean()


def test_plate_fills_what_was_never_seen_smoothly():
    ramp = np.linspace(50, 200, 96)[None, :, None] * np.ones((96, 1, 3))
    mask = np.zeros((96, 96), np.uint8)
    mask[30:, 35:60] = 255
    plate = BackgroundPlate()
    plate.add(ramp.astype(np.uint8), mask)
    found, seen = plate.finish()
    assert not seen[60, 45]
    assert np.abs(found[~seen].astype(float) - ramp[~seen]).max() < 40
    assert np.abs(np.diff(found.astype(int), axis=1)).max() < 25  # no seam


def test_plate_is_true_beside_a_person_who_stands_still():
    rng = np.random.default_rng(0)
    background = rng.integers(0, 256, (256, 256, 3)).astype(np.uint8)
    mask = np.zeros((256, 256), np.uint8)
    mask[60:, 80:180] = 255
    blurred = cv2.dilate(mask, np.ones((3, 3), np.uint8)) > 0  # a pixel of its edge
    plate = BackgroundPlate()
    for _ in range(5):
        plate.add(np.where(blurred[..., None], 0, background).astype(np.uint8), mask)
    found, seen = plate.finish()
    assert (found[seen] == background[seen]).all()
    assert seen[200, 78] and not seen[200, 79]


def test_plate_prefers_colours_far_from_the_person():
    plate = BackgroundPlate()
    for centre in 40, 40, 40, 40, 40, 100, 100, 100:
        mask = np.zeros((256, 256), np.uint8)
        mask[:, :centre] = 255
        near = np.clip(np.arange(256) - centre, 0, 255)[None, :, None] < 4
        rgb = np.where(near, 30, 200) * np.ones((256, 256, 3))
        plate.add(rgb.astype(np.uint8), mask)
    found, seen = plate.finish()
    # The dark rim at 40 is covered in the other frames; that at 100 was seen far away.
    assert seen[0, 102] and (found[0, 102] == 200).all()


def test_plate_where_the_person_covers_everything():
    plate = BackgroundPlate()
    plate.add(np.full((32, 48, 3), 90, np.uint8), np.full((32, 48), 255, np.uint8))
    found, seen = plate.finish()
    assert found.shape == (32, 48, 3) and not seen.any()


def test_plate_spans_a_long_clip_in_bounded_memory():
    plate = BackgroundPlate()
    empty = np.zeros((4, 4), np.uint8)
    for index in range(1000):
        plate.add(np.full((4, 4, 3), index // 4, np.uint8), empty)
        assert len(plate._kept) <= FRAMES
    found, seen = plate.finish()
    assert seen.all()
    assert 115 < found.min() <= found.max() < 135  # the median of the whole clip


def test_plate_refuses_what_does_not_fit():
    plate = BackgroundPlate()
    with pytest.raises(ValueError, match="no frame was added"):
        plate.finish()
    plate.add(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8))
    with pytest.raises(ValueError, match="frame 1 is .*9, 8, 3"):
        plate.add(np.zeros((9, 8, 3), np.uint8), np.zeros((9, 8), np.uint8))


def test_preview_shows_the_tracks():
    image, mask, landmarks, head = record()
    labels = np.where(head, layout.HEAD, layout.TORSO * (mask > 0)).astype(np.uint8)
    landmarks[:, :2] = np.maximum(landmarks[:, :2], 5)
    pose = np.eye(4)
    pose[2, 3] = 1.0
    camera = 700.0, (128.0, 128.0)
    marks = np.array([[-0.1, 0.15, 1.0]])
    drawn = preview.draw(image, labels, landmarks, pose, *camera, True, marks)
    # A cross where the torso's mark is seen, at (58, 233).
    assert (drawn[232:235, 56:61] == 255).all()
    assert drawn.shape == image.shape and drawn.dtype == np.uint8
    # 8 cm at 1 m are 56 px: x to the right in red, y downwards in green.
    assert drawn[128, 170, 0] > 200 > drawn[128, 170, 1]
    assert drawn[170, 128, 1] > 180 > drawn[170, 128, 0]
    far = labels == layout.BACKGROUND
    far[:20, :20] = False  # the landmarks
    far[124:133] = False  # the x axis
    far[220:246, 45:71] = False  # the torso's mark
    np.testing.assert_array_equal(drawn[far], image[far])
    assert (drawn[mask > 0] != image[mask > 0]).any(axis=1).mean() > 0.95

    nowhere = np.full((478, 3), np.nan)
    crossed = preview.draw(image, 0 * labels, nowhere, pose, *camera, False, marks)
    assert crossed[64, 64].tolist() == [255, 40, 40]


@pytest.mark.clips
def test_a_real_frame():
    path = CLIPS / "speaker_c.mp4"
    if not path.exists():
        pytest.skip("the development clips are not here")
    video = cv2.VideoCapture(str(path))
    frame = np.ascontiguousarray(video.read()[1][..., ::-1])
    video.release()
    with faces.FaceDetector() as detector, PersonSegmenter() as segmenter:
        landmarks = detector.detect(frame)[0]
        mask = segmenter.segment(frame)
    assert mask.shape == frame.shape[:2] and mask.dtype == np.uint8
    assert 0.3 < (mask > 127).mean() < 0.7
    assert ((mask > 10) & (mask < 245)).any()  # soft
    count, _ = cv2.connectedComponents((mask > 25).astype(np.uint8))
    assert count == 2  # background and one person
    labels = head_labels.label_regions(frame, mask, landmarks)
    nose, chin = landmarks[[1, 152], :2].astype(int)
    assert labels[nose[1], nose[0]] == layout.HEAD
    assert labels[chin[1] + 60, chin[0]] == layout.TORSO
    assert labels[-10, 256] == layout.TORSO
