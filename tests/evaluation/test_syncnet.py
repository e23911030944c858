import collections
import io
import pickle
import struct
import sys
import types
import zipfile

import numpy as np
import pytest

from lokitalk_jax import torch_file
from lokitalk_jax.evaluation.contrib import syncnet, syncnet_network

WIDTHS = {
    "aud": ([1, 4, 5, 4, 3, 4, 6], [(3, 3)] * 5 + [(5, 4)]),
    "lip": (
        [3, 3, 4, 3, 4, 3, 5],
        [(5, 7, 7), (1, 5, 5), *[(1, 3, 3)] * 3, (1, 6, 6)],
    ),
}


def random_weights(seed=0):
    """SyncNet with few channels; every kernel has its true size."""
    rng = np.random.default_rng(seed)
    weights = {}

    def normalisation(name, width):
        for key in ("weight", "bias", "running_mean"):
            weights[f"{name}.{key}"] = rng.normal(size=width)
        weights[f"{name}.running_var"] = rng.uniform(0.5, 2, width)
        weights[f"{name}.weight"] += 1.5

    for part, (widths, kernels) in WIDTHS.items():
        layers = (0, 4, 8, 11, 14, 18)
        for layer, kernel, before, after in zip(
            layers, kernels, widths, widths[1:], strict=False
        ):
            fan = before * np.prod(kernel)
            shape = (after, before, *kernel)
            name = f"netcnn{part}.{layer}"
            weights[f"{name}.weight"] = rng.normal(size=shape) / np.sqrt(fan)
            weights[f"{name}.bias"] = 0.1 * rng.normal(size=after)
            normalisation(f"netcnn{part}.{layer + 1}", after)
        last = widths[-1]
        weights[f"netfc{part}.0.weight"] = rng.normal(size=(last + 2, last))
        weights[f"netfc{part}.0.bias"] = rng.normal(size=last + 2)
        normalisation(f"netfc{part}.1", last + 2)
        weights[f"netfc{part}.3.weight"] = rng.normal(size=(8, last + 2))
        weights[f"netfc{part}.3.bias"] = rng.normal(size=8)
    return {name: np.float32(value) for name, value in weights.items()}


def windows(x, kernel, stride, padding, fill):
    """Windows of [C, ...]: [C, places..., kernel...]."""
    x = np.pad(x, [(0, 0), *((p, p) for p in padding)], constant_values=fill)
    axes = tuple(range(1, x.ndim))
    every = np.lib.stride_tricks.sliding_window_view(x, kernel, axes)
    return every[(slice(None), *(slice(None, None, s) for s in stride))]


def forward(weights, x, part):
    """One input [C, ...] through the layers as SyncNetModel.py lists them."""
    flat = part == "aud"
    steps = {
        "aud": [
            ("c", 0, (1, 1), (1, 1)), ("c", 4, (1, 1), (1, 1)),
            ("p", (3, 3), (1, 2), (0, 0)), ("c", 8, (1, 1), (1, 1)),
            ("c", 11, (1, 1), (1, 1)), ("c", 14, (1, 1), (1, 1)),
            ("p", (3, 3), (2, 2), (0, 0)), ("c", 18, (1, 1), (0, 0)),
        ],
        "lip": [
            ("c", 0, (1, 2, 2), (0, 0, 0)), ("p", (1, 3, 3), (1, 2, 2), (0, 0, 0)),
            ("c", 4, (1, 2, 2), (0, 1, 1)), ("p", (1, 3, 3), (1, 2, 2), (0, 1, 1)),
            ("c", 8, (1, 1, 1), (0, 1, 1)), ("c", 11, (1, 1, 1), (0, 1, 1)),
            ("c", 14, (1, 1, 1), (0, 1, 1)), ("p", (1, 3, 3), (1, 2, 2), (0, 0, 0)),
            ("c", 18, (1, 1, 1), (0, 0, 0)),
        ],
    }[part]  # fmt: skip

    def normalised(x, name):
        w = {k: weights[f"{name}.{k}"] for k in ("weight", "bias")}
        mean, variance = (weights[f"{name}.running_{k}"] for k in ("mean", "var"))
        x = np.moveaxis(x, 0, -1)
        x = (x - mean) / np.sqrt(variance + 1e-5) * w["weight"] + w["bias"]
        return np.maximum(np.moveaxis(x, -1, 0), 0)

    for kind, which, stride, padding in steps:
        if kind == "p":
            seen = windows(x, which, stride, padding, -np.inf)
            x = seen.max(axis=(-2, -1) if flat else (-3, -2, -1))
            continue
        kernel = weights[f"netcnn{part}.{which}.weight"]
        seen = windows(x, kernel.shape[2:], stride, padding, 0)
        terms = "chwij,ocij->ohw" if flat else "cdhwijk,ocijk->odhw"
        x = np.einsum(terms, seen, kernel, optimize=True)
        bias = weights[f"netcnn{part}.{which}.bias"]
        x = x + bias.reshape(-1, *[1] * (x.ndim - 1))
        x = normalised(x, f"netcnn{part}.{which + 1}")
    x = x.ravel()
    x = weights[f"netfc{part}.0.weight"] @ x + weights[f"netfc{part}.0.bias"]
    x = normalised(x, f"netfc{part}.1")
    return weights[f"netfc{part}.3.weight"] @ x + weights[f"netfc{part}.3.bias"]


def test_forward_equals_an_independent_one():
    weights, rng = random_weights(), np.random.default_rng(1)
    sound = rng.normal(size=(3, 13, 20)).astype(np.float32)
    wanted = np.stack([forward(weights, one[None], "aud") for one in sound])
    assert np.ptp(wanted, axis=0).min() > 1e-3  # it depends on its input
    found = syncnet_network.embed_sound(weights, sound)
    np.testing.assert_allclose(found, wanted, atol=2e-4 * np.abs(wanted).max())
    frames = rng.uniform(0, 255, (2, 5, 224, 224, 3)).astype(np.float32)
    frames[1, :, :112] = 0
    wanted = [forward(weights, np.moveaxis(one, -1, 0), "lip") for one in frames]
    assert np.ptp(wanted, axis=0).max() > 1e-3
    found = syncnet_network.embed_lips(weights, frames)
    np.testing.assert_allclose(found, wanted, atol=2e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("late", [-4, 0, 3])
def test_distances_of_shifted_embeddings(late):
    rng = np.random.default_rng(0)
    sound = rng.normal(size=(60, 16))
    lips = np.roll(sound, late, axis=0) + 0.01 * rng.normal(size=(60, 16))
    lips = lips[5:55]
    confidence, distance, found = syncnet.distances(lips, sound[5:55])
    assert found == late and distance < 1.5 and confidence > 2
    noise = rng.normal(size=lips.shape)
    assert syncnet.distances(noise, sound[5:55])[0] < 0.7


def fake_torch(monkeypatch):
    """Modules of PyTorch's names, for a pickle to refer to."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2(*_):
        raise AssertionError("never called")

    storage = type("FloatStorage", (), {"__module__": "torch"})
    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2, torch.FloatStorage = _rebuild_tensor_v2, storage
    torch._utils = utils
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    return torch


def pickled(torch, tensors):
    """The pickle that torch.save writes of a state dict, and its storages."""
    storages = {}

    class Tensor:
        def __init__(self, key, array):
            self.key, self.array = key, array

        def __reduce__(self):
            strides = tuple(s // 4 for s in self.array.strides)
            storages[self.key] = np.ascontiguousarray(self.array).tobytes()
            reference = Storage(self.key, self.array.size)
            parts = (reference, 0, self.array.shape, strides, False, {})
            return torch._utils._rebuild_tensor_v2, parts

    class Storage:
        def __init__(self, key, count):
            self.key, self.count = key, count

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            if isinstance(value, Storage):
                return ("storage", torch.FloatStorage, value.key, "cpu", value.count)
            return None

    file = io.BytesIO()
    Pickler(file, protocol=2).dump(
        collections.OrderedDict(
            (name, Tensor(str(i), array))
            for i, (name, array) in enumerate(tensors.items())
        )
    )
    return file.getvalue(), storages


def write(path, kind, data, storages):
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("weights/data.pkl", data)
            for key, raw in storages.items():
                archive.writestr(f"weights/data/{key}", raw)
        return
    head = [pickle.dumps(x, 2) for x in (0x1950A86A20F9469CFC6C, 1001, {})]
    tail = [pickle.dumps(list(storages), 2)]
    for raw in storages.values():
        tail.append(struct.pack("<q", len(raw) // 4) + raw)
    path.write_bytes(b"".join([*head, data, *tail]))


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_weights_are_read_without_pytorch(monkeypatch, tmp_path, kind):
    weights = random_weights()
    data, storages = pickled(fake_torch(monkeypatch), weights)
    monkeypatch.undo()
    path = tmp_path / "syncnet_v2.model"
    write(path, kind, data, storages)
    found = syncnet_network.load(path)
    assert found.keys() == weights.keys()
    for name, value in weights.items():
        np.testing.assert_array_equal(found[name], value)
    if kind == "legacy":
        path.write_bytes(path.read_bytes()[:-50])
        with pytest.raises(ValueError, match="ends too early"):
            syncnet_network.load(path)


def test_files_that_are_no_weights_are_refused(monkeypatch, tmp_path):
    path = tmp_path / "x"
    for content in (b"", b"hello", pickle.dumps([1, 2])):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="not a file of weights"):
            torch_file.read(path)
    path.write_bytes(pickle.dumps(print, 2))
    with pytest.raises(ValueError, match="print, which is not a tensor"):
        torch_file.read(path)
    some = {"a": np.ones(3, np.float32)}
    data, storages = pickled(fake_torch(monkeypatch), some)
    write(path, "zip", data, storages)
    with pytest.raises(ValueError, match="holds no SyncNet"):
        syncnet_network.load(path)


def test_a_clip_is_scored(tmp_path):
    """All of it but the published weights: the crop, the sound, the shifts."""
    rng = np.random.default_rng(0)
    faces = np.float32(rng.uniform(60, 140, (12, 478, 3)))
    faces[3] = np.nan
    frames = rng.integers(0, 255, (12, 200, 200, 3), dtype=np.uint8)
    sound = 0.1 * rng.normal(size=12 * 640)
    found = syncnet.score(random_weights(), iter(frames), faces, sound)
    assert found.keys() == {"sync_c", "sync_d", "sync_offset_frames"}
    assert found["sync_c"] >= 0 and np.isfinite(found["sync_d"])
    box = syncnet.boxes(faces)[0]
    assert box[:2] == pytest.approx([100, 100], abs=2) and 38 < box[2] < 41
    face = syncnet.crop(frames[0], box)
    assert face.shape == (224, 224, 3)
    with pytest.raises(ValueError, match="too short for SyncNet"):
        syncnet.score(random_weights(), iter(frames[:3]), faces[:3], sound[:1920])
    with pytest.raises(ValueError, match="no frame shows one"):
        syncnet.boxes(faces * np.nan)
