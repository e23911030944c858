import pathlib

import pytest

from lokitalk_jax import config

ROOT = pathlib.Path(__file__).parents[1]


@pytest.mark.parametrize(
    "name",
    ["multi_id", "multi_id.py", "configs/multi_id.py", ROOT / "configs/multi_id.py"],
)
def test_a_config_is_known_by_name_and_by_path(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    c = config.load(f"{name}:draft_cpu")
    assert c.preset == "draft_cpu" and c.model.encoder


def test_all_configs_load_with_every_preset():
    assert {"single_id", "multi_id", "adapt", "audio2motion"} <= set(config.names())
    for name in config.names():
        for device in ("cpu", "gpu"):
            sizes = [
                config.load(f"{name}:{size}_{device}").data.size
                for size in ("draft", "standard", "full")
            ]
            assert sizes == [64, 256, 512]


def test_without_a_device_a_preset_is_the_one_of_this_machine():
    assert config.load("single_id:full").preset == "full_cpu"
    assert config.load("single_id").preset == "standard_cpu"
    assert config.load("multi_id").preset == "draft_cpu"


def test_a_file_of_ones_own_is_a_config(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from lokitalk_jax import config\n"
        "def get_config(preset=''):\n"
        "    c = config.load(f'single_id:{preset}')\n"
        "    c.seed = 7\n"
        "    return c\n"
    )
    assert config.load(f"{tmp_path / 'mine.py'}:draft_cpu").seed == 7
    (tmp_path / "empty.py").write_text("")
    with pytest.raises(ValueError, match="has no function get_config"):
        config.load(tmp_path / "empty.py")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nobody", "config=nobody is neither a file nor one of .*multi_id"),
        ("configs/nowhere.py", "config=configs/nowhere.py is neither"),
        ("multi_id:tpu", "'tpu' is none of draft, standard and full"),
        ("", "neither"),
    ],
)
def test_what_is_no_config_is_refused(name, words):
    with pytest.raises(ValueError, match=words):
        config.load(name)


def test_fields_are_set_by_their_dotted_names():
    given = {
        "train.steps": 5,
        "lr.grid": 1,
        "data.root": pathlib.Path("data") / "me",
        "sampling.cells": [8, 8, 4],
        "model.encoder": True,
    }
    c = config.load("single_id:draft_cpu", given)
    assert c.train.steps == 5 and c.model.encoder is True
    assert c.lr.grid == 1.0 and isinstance(c.lr.grid, float)
    assert c.data.root == str(pathlib.Path("data", "me"))
    assert c.sampling.cells == (8, 8, 4)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("train.stepz", 5, "no field 'train.stepz'; did you mean train.steps"),
        ("trane.steps", 5, "no field 'trane.steps'; did you mean train.steps"),
        ("train", 5, "no field 'train'"),
        (
            "train.steps",
            5.5,
            "train.steps=5.5 is of type float; it must be of type int",
        ),
        ("train.steps", True, "is of type bool"),
        ("train.steps", "5", "is of type str"),
        ("model.encoder", 1, "is of type int; it must be of type bool"),
    ],
)
def test_fields_and_values_that_do_not_fit_are_refused(field, value, words):
    with pytest.raises(ValueError, match=words):
        config.load("single_id:draft_cpu", {field: value})
