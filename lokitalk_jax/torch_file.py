"""Reads tensors from files that PyTorch wrote, without PyTorch.

A pickle may name any function of any module. Only the names that rebuild a tensor of
numbers are allowed here, so that a file of weights cannot run a program.
"""

import collections
import io
import pathlib
import pickle
import struct
import zipfile
from typing import Any

import numpy as np

_DTYPES = {
    "FloatStorage": np.float32,
    "DoubleStorage": np.float64,
    "HalfStorage": np.float16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
}
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C


def read(path: pathlib.Path, key: str | None = None) -> dict[str, np.ndarray]:
    """Reads a state dict, of the zip format or of the one before it.

    Args:
      path: the file.
      key: of the state dict, if it is one of several things in the file.

    Returns:
      arrays by name, of any shape [...].

    Raises:
      ValueError: the file has neither format, is truncated, or holds more than tensors.
    """
    try:
        data = pathlib.Path(path).read_bytes()
        tensors = _zipped(data) if zipfile.is_zipfile(path) else _legacy(data)
        tensors = tensors if key is None else tensors[key]
    except (
        *(AttributeError, EOFError, IndexError, KeyError, TypeError),
        *(pickle.UnpicklingError, struct.error, zipfile.BadZipFile),
    ) as error:
        raise ValueError(
            f"{path} is not a file of weights ({error}); copy it again"
        ) from error
    if not isinstance(tensors, dict) or not all(
        isinstance(value, _Tensor) for value in tensors.values()
    ):
        raise ValueError(
            f"{path} holds more than a state dict of tensors; give the published file"
        )
    return {name: tensor.array() for name, tensor in tensors.items()}


class _Storage:
    """A block of numbers, read after the tensors that are views of it."""

    def __init__(self, dtype: type):
        self.dtype = np.dtype(dtype).newbyteorder("<")
        self.values: np.ndarray | None = None


class _Tensor:
    """A view of a storage."""

    def __init__(self, storage, offset, size, stride, *_):
        self._view = storage, offset, tuple(size), tuple(stride)

    def array(self) -> np.ndarray:
        storage, offset, size, stride = self._view
        if storage.values is None:
            raise ValueError(
                "the file of weights ends before all tensors were read; copy it again"
            )
        last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
        if min(size, default=1) and last >= len(storage.values):
            raise ValueError(
                "the file of weights holds fewer numbers than its tensors need; copy "
                "it again"
            )
        width = storage.dtype.itemsize
        view = np.lib.stride_tricks.as_strided(
            storage.values[offset:], size, [width * s for s in stride]
        )
        return view.copy()


class _TensorsOnly(pickle.Unpickler):
    """Unpickles tensors; refuses every other name."""

    def __init__(self, file: io.BytesIO, storages: dict[str, _Storage]):
        super().__init__(file, encoding="latin1")
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) in (
            ("torch._utils", "_rebuild_tensor"),
            ("torch._utils", "_rebuild_tensor_v2"),
        ):
            return _Tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda tensor, *_: tensor
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise ValueError(
            f"the file of weights names {module}.{name}, which is not a tensor; it is "
            "refused, as it could run a program"
        )

    def persistent_load(self, saved: tuple) -> _Storage:
        kind, dtype, key, *_ = saved
        if kind != "storage":
            raise pickle.UnpicklingError(f"unknown reference {kind!r}")
        return self._storages.setdefault(str(key), _Storage(dtype))


def _zipped(data: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = {name.partition("/")[2]: name for name in archive.namelist()}
        storages: dict[str, _Storage] = {}
        pickled = io.BytesIO(archive.read(names["data.pkl"]))
        tensors = _TensorsOnly(pickled, storages).load()
        for key, storage in storages.items():
            raw = archive.read(names[f"data/{key}"])
            storage.values = np.frombuffer(raw, storage.dtype)
    return tensors


def _legacy(data: bytes) -> Any:
    file, storages = io.BytesIO(data), {}
    if _TensorsOnly(file, storages).load() != _LEGACY_MAGIC:
        raise pickle.UnpicklingError("it does not begin as PyTorch's files do")
    for _ in range(2):  # version of the format, facts about the machine
        _TensorsOnly(file, storages).load()
    tensors = _TensorsOnly(file, storages).load()
    for key in _TensorsOnly(file, storages).load():
        (count,) = struct.unpack("<q", file.read(8))
        storage = storages[str(key)]
        raw = file.read(count * storage.dtype.itemsize)
        if len(raw) < count * storage.dtype.itemsize:
            raise pickle.UnpicklingError("it ends too early; copy it again")
        storage.values = np.frombuffer(raw, storage.dtype)
    return tensors
