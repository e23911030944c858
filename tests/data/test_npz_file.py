"""Every kind of damage of an .npz file is one error."""

import numpy as np
import pytest

from lokitalk_jax.data import npz_file


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, a=np.arange(500.0), b=np.eye(3))
    return path


def test_what_was_written_is_read(path):
    found = npz_file.read(path)
    assert found.keys() == {"a", "b"}
    np.testing.assert_array_equal(found["a"], np.arange(500))


def test_damage_is_named(path):
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    damaged = [b"", b"<html>", whole[:100], whole[:-30], rng.bytes(2000)]
    for place in range(0, len(whole), 37):
        flipped = bytearray(whole)
        flipped[place] ^= 255
        damaged.append(bytes(flipped))
    refused = 0
    for data in damaged:
        path.write_bytes(data)
        try:
            npz_file.read(path)
        except ValueError as error:
            refused += 1
            assert f"{path} is damaged" in str(error)
    assert refused > len(damaged) / 2  # some bytes of a zip file mean nothing


def test_a_missing_file_is_another_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        npz_file.read(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("array", "fault"),
    [
        (None, "it holds no x"),
        (np.zeros((3, 4)), "shape"),
        (np.zeros(5), "shape"),
        (np.full((3, 5), np.nan), "finite"),
        (np.full((3, 5), "x"), "finite"),
    ],
)
def test_other_arrays_are_refused(array, fault):
    arrays = {} if array is None else {"x": array}
    with pytest.raises(ValueError, match=fault):
        npz_file.refuse_other(arrays, {"x": (None, 5)})
    npz_file.refuse_other({"x": np.zeros((3, 5))}, {"x": (None, 5)})
