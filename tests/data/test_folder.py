"""Reading and writing identity folders."""

import json

import numpy as np
import pytest
import tiny_folder

from lokitalk_jax.data import folder, layout
from lokitalk_jax.data.folder_writer import FolderWriter


@pytest.fixture
def identity(tmp_path):
    return tiny_folder.write(tmp_path / "Zoë", frames=11)


def edit(identity, **fields):
    file = identity.path / layout.META
    content = json.loads(file.read_bytes()) | fields
    file.write_text(json.dumps({k: v for k, v in content.items() if v is not ...}))


def test_everything_written_is_read_back(identity):
    again = folder.IdentityFolder(identity.path)
    assert again.name == "Zoë" and again.meta == identity.meta
    assert again.meta.principal == (32, 24) and again.meta.train_frames == 10
    tracks, wanted = again.tracks(), tiny_folder.tracks(11, 48, 64)
    for name, array in wanted._asdict().items():
        np.testing.assert_array_equal(getattr(tracks, name), array)
    assert again.frame(7)[10, 20].tolist() == [60, 40, 7]
    assert again.plate()[10, 20].tolist() == [10, 20, 255]
    assert again.labels(0)[10, 20] == layout.HEAD and again.mask(0)[10, 20] == 255
    assert again.audio_path is None
    FolderWriter(again.path).write_sound(np.zeros(640))
    assert again.audio_path.stat().st_size == 44 + 2 * 640


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"schema": 9}, "schema 9, this program reads 1"),
        ({"focal": ...}, "missing required field `focal`"),
        ({"foo": 1}, "unknown field `foo`"),
        ({"height": "64"}, r"Expected `int`, got `str` - at `\$.height`"),
        ({"focal": 0}, r">= 0.0 - at `\$.focal`|> 0.0 - at `\$.focal`"),
        ({"principal": [1]}, r"at `\$.principal`"),
        ({"train_frames": 11}, "train_frames is 11 of 11"),
        ({"fps": 30}, "30 frames a second instead of 25"),
        ({"audio_rate": 8000}, "8000 instead of 16000"),
    ],
)
def test_another_description_is_refused(identity, fields, message):
    edit(identity, **fields)
    with pytest.raises(ValueError, match=f"{layout.META}: .*{message}.*prepare the"):
        folder.IdentityFolder(identity.path)


def test_numbers_may_be_whole_and_fields_may_keep_their_defaults(identity):
    edit(identity, focal=90, fps=..., audio_rate=None, quality=...)
    meta = folder.IdentityFolder(identity.path).meta
    assert meta.focal == 90.0 and meta.fps == 25 and meta.audio_rate is None


def test_damaged_tracks_and_images_are_refused(identity):
    layout.frame(identity.path, 3).write_bytes(b"not an image")
    with pytest.raises(ValueError, match="000003.png is not an image"):
        identity.frame(3)
    file = identity.path / layout.TRACKS
    data = file.read_bytes()
    file.write_bytes(data[:-200])
    with pytest.raises(ValueError, match="tracks.npz: cannot be read"):
        identity.tracks()
    file.unlink()
    with pytest.raises(ValueError, match="tracks.npz: there is no such file"):
        identity.tracks()


def test_identities_are_found_at_a_folder_or_in_it(tmp_path):
    for name in ("b", "a"):
        tiny_folder.write(tmp_path / name, frames=11)
    (tmp_path / "other").mkdir()
    assert [one.name for one in folder.find_identities(tmp_path)] == ["a", "b"]
    assert [one.name for one in folder.find_identities(tmp_path / "b")] == ["b"]
    for empty in (tmp_path / "other", tmp_path / "gone"):
        with pytest.raises(ValueError, match="no identity folder at"):
            folder.find_identities(empty)


@pytest.mark.parametrize(
    ("faceless", "expected"),
    [
        ((0, 0), 100),
        ((105, 110), 100),
        ((90, 110), 81),
        ((0, 60), 100),
        ((50, 110), 45),
    ],
)
def test_frames_with_a_face_are_held_out(faceless, expected):
    valid = np.ones(110, bool)
    valid[slice(*faceless)] = False
    split = layout.split(valid)
    assert split == expected
    assert valid[:split].any() and valid[split:].any()
