import numpy as np
import pytest

from lokitalk_jax.media import colour_maps, image_grid


def frame(seed, height=24, width=30):
    return np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)


def test_side_by_side_keeps_the_pictures():
    panels = {name: image_grid.to_uint8(frame(seed)) for seed, name in enumerate("ab")}
    image = image_grid.side_by_side(panels)
    assert image.shape == (24 + 18, 60, 3)
    np.testing.assert_array_equal(image[18:, :30], panels["a"])
    np.testing.assert_array_equal(image[18:, 30:], panels["b"])
    bar = image[:18]
    assert np.ptp(bar[:, :30]) > 100 and np.ptp(bar[:, 30:]) > 100  # a letter each
    with pytest.raises(ValueError, match="'b' is uint8"):
        image_grid.side_by_side({"a": panels["a"], "b": panels["b"][1:]})


def test_contact_sheet_fills_short_rows():
    picture = image_grid.to_uint8(frame(0))
    sheet = image_grid.contact_sheet(
        [[picture, picture], [picture]], [["", ""], ["a label far too long"]]
    )
    assert sheet.shape == (24 + 18 + 24, 60, 3)
    np.testing.assert_array_equal(sheet[-24:, :30], picture)
    assert np.ptp(sheet[24:, 30:], axis=(0, 1)).max() == 0
    with pytest.raises(ValueError, match="rows has 0 entries"):
        image_grid.contact_sheet([], [])
    with pytest.raises(ValueError, match="labels"):
        image_grid.contact_sheet([[picture]], [["a", "b"]])


def test_map_colours():
    maps = np.zeros((4, 5, 4), np.float32)
    maps[0, :, 2] = 1
    maps[1, :, 3] = 0.5
    maps[2] = 1
    image = colour_maps.colour_regions(maps)
    assert tuple(image[0, 0]) == colour_maps.REGION_COLOURS["head"]
    assert (
        np.abs(image[1, 0] - np.array(colour_maps.REGION_COLOURS["torso"]) / 2).max()
        <= 1
    )
    assert tuple(image[2, 0]) == colour_maps.REGION_COLOURS["lip"]
    assert not image[3].any()

    depth = np.array([[0.5, 1.0, 1.5, np.nan]])
    opacity = np.array([[1.0, 1.0, 1.0, 0.0]])
    coloured = colour_maps.colour_depth(depth, opacity, nearest=0.5, farthest=1.5)
    brightness = coloured.sum(axis=-1, dtype=int)[0]
    assert brightness[0] > brightness[1] > brightness[2] > brightness[3] == 0
    with pytest.raises(ValueError, match="must be below farthest"):
        colour_maps.colour_depth(depth, opacity, nearest=1, farthest=1)

    ramp = colour_maps.colour_magnitude(np.array([[0, 1.0, 2.0, 9.0]]), largest=2)
    steps = ramp.sum(axis=-1, dtype=int)[0]
    assert steps[0] < steps[1] < steps[2] == steps[3]
    with pytest.raises(ValueError, match="must be positive"):
        colour_maps.colour_magnitude(depth, 0)
