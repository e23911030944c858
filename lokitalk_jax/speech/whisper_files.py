"""Readers of the two files that hold Whisper's weights; neither needs PyTorch.

Both give the same flat dict, which `whisper` describes as a tree:

    conv1, conv2       kernel [3, in, out], bias
    positions          [1500, D]
    layers_N           attention_norm, mlp_norm: scale, bias [D]
                       query, key, value, out, up, down: kernel [in, out], bias
"""

import pathlib
import struct
from collections.abc import Mapping

import numpy as np

from lokitalk_jax import torch_file

# Element types of CTranslate2.
_TYPES = dict(enumerate((np.float32, np.int8, np.int16, np.int32, np.float16)))

# Names of a layer's parts: ours, then OpenAI's.
_PARTS = {
    "attention_norm": "attn_ln",
    "query": "attn.query",
    "key": "attn.key",
    "value": "attn.value",
    "out": "attn.out",
    "mlp_norm": "mlp_ln",
    "up": "mlp.0",
    "down": "mlp.2",
}


def of_pytorch(path: pathlib.Path, layers: int) -> dict[str, np.ndarray]:
    """Stem and first layers of a file of OpenAI's release, arrays [...] by name.

    Raises:
      ValueError: the file is of another kind.
    """
    try:
        return _from_openai(torch_file.read(path, "model_state_dict"), layers)
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"{path} is not a Whisper model of OpenAI's release ({error})"
        ) from error


def _from_openai(state: Mapping[str, np.ndarray], layers: int) -> dict:
    params = {"positions": state["encoder.positional_embedding"]}
    for conv in ("conv1", "conv2"):
        params[f"{conv}/kernel"] = state[f"encoder.{conv}.weight"].transpose(2, 1, 0)
        params[f"{conv}/bias"] = state[f"encoder.{conv}.bias"]
    for n in range(layers):
        for part, theirs in _PARTS.items():
            weight = state[f"encoder.blocks.{n}.{theirs}.weight"]
            leaf = "kernel" if weight.ndim == 2 else "scale"
            params[f"layers_{n}/{part}/{leaf}"] = weight.T
            zero = np.zeros(len(weight), weight.dtype)  # keys have no bias
            bias = state.get(f"encoder.blocks.{n}.{theirs}.bias", zero)
            params[f"layers_{n}/{part}/bias"] = bias
    return params


def of_ctranslate2(path: pathlib.Path, layers: int) -> dict[str, np.ndarray]:
    """Stem and first layers of a model of CTranslate2, arrays [...] by name.

    Raises:
      ValueError: the file is of another kind.
    """
    try:
        found = _variables(path.read_bytes())
        return _from_ctranslate2(found, layers)
    except (KeyError, ValueError, UnicodeDecodeError, struct.error) as error:
        raise ValueError(
            f"{path} is not a Whisper model of CTranslate2 ({error})"
        ) from error


def _from_ctranslate2(found: Mapping[str, np.ndarray], layers: int) -> dict:
    params = {"positions": found["encoder/position_encodings/encodings"]}
    for conv in ("conv1", "conv2"):
        weight = found[f"encoder/{conv}/weight"]
        params[f"{conv}/kernel"] = weight.transpose(2, 1, 0)
        params[f"{conv}/bias"] = found[f"encoder/{conv}/bias"]

    def affine(ours: str, weight: np.ndarray, bias: np.ndarray) -> None:
        params[f"{ours}/kernel"], params[f"{ours}/bias"] = weight.T, bias

    for n in range(layers):
        ours, theirs = f"layers_{n}", f"encoder/layer_{n}"
        attention, mlp = f"{theirs}/self_attention", f"{theirs}/ffn"
        for norm, its in (("attention_norm", attention), ("mlp_norm", mlp)):
            params[f"{ours}/{norm}/scale"] = found[f"{its}/layer_norm/gamma"]
            params[f"{ours}/{norm}/bias"] = found[f"{its}/layer_norm/beta"]
        weights = np.split(found[f"{attention}/linear_0/weight"], 3)
        biases = np.split(found[f"{attention}/linear_0/bias"], 3)
        for part, *both in zip(("query", "key", "value"), weights, biases, strict=True):
            affine(f"{ours}/{part}", *both)
        for part, its in (
            ("out", f"{attention}/linear_1"),
            ("up", f"{mlp}/linear_0"),
            ("down", f"{mlp}/linear_1"),
        ):
            affine(f"{ours}/{part}", found[f"{its}/weight"], found[f"{its}/bias"])
    return params


def _variables(data: bytes) -> dict[str, np.ndarray]:
    """The named arrays of a CTranslate2 model file."""
    at = 0

    def number(kind: str) -> int:
        nonlocal at
        [value] = struct.unpack_from(f"<{kind}", data, at)
        at += struct.calcsize(kind)
        return value

    def text() -> str:
        nonlocal at
        size = number("H")
        at += size
        return data[at - size : at].rstrip(b"\0").decode()

    number("I")  # version of the format
    if text() != "WhisperSpec":
        raise ValueError("it holds another model than WhisperSpec")
    number("I")  # revision
    found = {}
    for _ in range(number("I")):
        name = text()
        shape = [number("I") for _ in range(number("B"))]
        kind, size = number("B"), number("I")
        if kind in _TYPES:
            count = size // np.dtype(_TYPES[kind]).itemsize
            values = np.frombuffer(data, _TYPES[kind], count, at)
            found[name] = values.reshape(shape)
        at += size
    return found
