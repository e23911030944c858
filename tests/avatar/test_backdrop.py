"""Backgrounds with alpha."""

import types

import cv2
import numpy as np
import pytest
from PIL import Image

from lokitalk_jax.avatar import backdrop

GREEN, RED, GREY = (0, 255, 0), (255, 0, 0), 0.5


def record(size):
    plate = np.full((size, size, 3), 127.5, np.float32)
    return types.SimpleNamespace(
        camera=types.SimpleNamespace(shape=(size, size)), plate=plate
    )


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [32, 64, 96])
def test_the_plate_is_seen_through_what_is_transparent(tmp_path, depth, size):
    most = np.iinfo(depth).max
    image = np.zeros((64, 64, 4), depth)
    image[:, :32] = np.array([*GREEN, 255]) // 255 * most
    image[:, 32:] = np.array([*RED, 0]) // 255 * most  # hidden
    path = tmp_path / "50%: Bild ü.png"
    stored = cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA)
    path.write_bytes(cv2.imencode(".png", stored)[1].tobytes())
    shown = backdrop.find(path, record(size))
    np.testing.assert_allclose(shown[:, size // 2 + 2 :], GREY, atol=0.01)
    np.testing.assert_allclose(shown[:, : size // 2 - 2].mean((0, 1)), [0, 1, 0])
    assert (shown[..., 0] < GREY + 0.02).all()  # no red at the edge


@pytest.mark.parametrize("name", ["palette.png", "palette.gif", "grey.png", "a.webp"])
def test_other_kinds_of_transparency(tmp_path, name):
    path = tmp_path / name
    hidden = np.arange(32) >= 16
    rgba = np.zeros((32, 32, 4), np.uint8)
    rgba[:, ~hidden], rgba[:, hidden] = (*GREEN, 255), (*RED, 0)
    if name.startswith("palette"):
        image = Image.fromarray(np.tile(hidden, (32, 1)).astype(np.uint8), "P")
        image.putpalette([*GREEN, *RED])
        image.save(path, transparency=1)
    elif name.startswith("grey"):
        Image.fromarray(rgba[..., [1, 3]] | rgba[..., [0, 2]], "LA").save(path)
    else:
        Image.fromarray(rgba, "RGBA").save(path, lossless=True, exact=True)
    shown = backdrop.find(path, record(32))
    np.testing.assert_allclose(shown[:, 17:], GREY, atol=0.01)
    seen = [1, 1, 1] if name.startswith("grey") else [0, 1, 0]
    np.testing.assert_allclose(shown[:, :15], np.broadcast_to(seen, (32, 15, 3)))


def test_an_image_without_alpha_covers_the_plate(tmp_path):
    path = tmp_path / "grey.png"
    cv2.imwrite(str(path), np.full((20, 30), 51, np.uint8))
    np.testing.assert_allclose(backdrop.find(path, record(16)), 0.2, atol=1e-3)
