import cv2
import numpy as np
import pytest

from lokitalk_jax.data import label_images, layout


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
