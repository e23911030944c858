"""Folders of pictures in which a ball moves over a pattern."""

import cv2
import numpy as np


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
