"""A small random Whisper encoder: as a dict of OpenAI's names, and as files."""

import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict

import numpy as np

WIDTH, LAYERS = 128, 3


def state(seed=0) -> dict:
    """Random weights, float16, by the names of OpenAI's release."""
    rng = np.random.default_rng(seed)

    def array(*shape):
        return (rng.normal(size=shape) / shape[-1] ** 0.5).astype(np.float16)

    found = {"encoder.positional_embedding": array(1500, WIDTH)}
    for conv, inputs in (("conv1", 80), ("conv2", WIDTH)):
        found[f"encoder.{conv}.weight"] = array(WIDTH, inputs, 3)
        found[f"encoder.{conv}.bias"] = array(WIDTH)
    for n in range(LAYERS):
        root = f"encoder.blocks.{n}"
        for part in ("query", "key", "value", "out"):
            found[f"{root}.attn.{part}.weight"] = array(WIDTH, WIDTH)
            if part != "key":
                found[f"{root}.attn.{part}.bias"] = array(WIDTH)
        for part, (rows, columns) in {"0": (4, 1), "2": (1, 4)}.items():
            found[f"{root}.mlp.{part}.weight"] = array(rows * WIDTH, columns * WIDTH)
            found[f"{root}.mlp.{part}.bias"] = array(rows * WIDTH)
        for norm in ("attn_ln", "mlp_ln"):
            found[f"{root}.{norm}.weight"] = 1 + array(WIDTH)
            found[f"{root}.{norm}.bias"] = array(WIDTH)
    return found


class _Storage:
    def __init__(self, key, array):
        self.key, self.array = key, array


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        if isinstance(obj, _Storage):
            kind = sys.modules["torch"].HalfStorage
            return ("storage", kind, obj.key, "cpu", obj.array.size)
        return None


class _Tensor:
    def __init__(self, key, array):
        self.key, self.array = key, array

    def __reduce__(self):
        strides = tuple(s // self.array.itemsize for s in self.array.strides)
        arguments = (_Storage(self.key, self.array), 0, self.array.shape, strides)
        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
        return rebuild, (*arguments, False, OrderedDict())


def write_pytorch(path, weights, monkeypatch) -> None:
    """The layout of PyTorch's files, without PyTorch."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def rebuild(*_):
        raise AssertionError("only its name is pickled")

    rebuild.__module__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = rebuild
    torch.HalfStorage = type("HalfStorage", (), {"__module__": "torch"})
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    tensors = {k: _Tensor(str(i), a) for i, (k, a) in enumerate(weights.items())}
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("tiny/data.pkl", "w") as file:
            _Pickler(file, 2).dump({"dims": {}, "model_state_dict": tensors})
        for tensor in tensors.values():
            archive.writestr(f"tiny/data/{tensor.key}", tensor.array.tobytes())


def write_ctranslate2(path, weights) -> None:
    """The layout of CTranslate2's model.bin."""
    found = {"encoder/position_encodings/encodings": "encoder.positional_embedding"}
    found = {ours: weights[theirs] for ours, theirs in found.items()}
    for conv in ("conv1", "conv2"):
        for leaf in ("weight", "bias"):
            found[f"encoder/{conv}/{leaf}"] = weights[f"encoder.{conv}.{leaf}"]
    for n in range(LAYERS):
        ours, theirs = f"encoder/layer_{n}", f"encoder.blocks.{n}"

        def at(name, theirs=theirs):
            return weights[f"{theirs}.{name}"]

        zero = np.zeros(WIDTH, np.float16)
        attention = f"{ours}/self_attention"
        biases = at("attn.query.bias"), zero, at("attn.value.bias")
        found[f"{attention}/linear_0/bias"] = np.concatenate(biases)
        found[f"{attention}/linear_0/weight"] = np.concatenate(
            [at(f"attn.{part}.weight") for part in ("query", "key", "value")]
        )
        linear = {
            f"{attention}/linear_1": "attn.out",
            f"{ours}/ffn/linear_0": "mlp.0",
            f"{ours}/ffn/linear_1": "mlp.2",
        }
        for name, its in linear.items():
            found[f"{name}/weight"] = at(f"{its}.weight")
            found[f"{name}/bias"] = at(f"{its}.bias")
        for name, its in ((attention, "attn_ln"), (f"{ours}/ffn", "mlp_ln")):
            found[f"{name}/layer_norm/gamma"] = at(f"{its}.weight")
            found[f"{name}/layer_norm/beta"] = at(f"{its}.bias")

    def text(value: str) -> bytes:
        data = value.encode() + b"\0"
        return struct.pack("<H", len(data)) + data

    parts = [struct.pack("<I", 6), text("WhisperSpec"), struct.pack("<I", 3)]
    parts.append(struct.pack("<I", len(found)))
    for name, array in found.items():
        parts += [text(name), struct.pack("<B", array.ndim)]
        parts += [struct.pack("<I", size) for size in array.shape]
        parts += [struct.pack("<BI", 4, array.nbytes), array.tobytes()]
    path.write_bytes(b"".join(parts))
