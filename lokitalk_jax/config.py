"""Configs of runs: found by name, loaded, and changed field by field.

A config is a file with a function `get_config(preset)`. Those of `configs/` are known
by their names: they lie in this package where it is installed, and next to it in a
checkout.
"""

import difflib
import importlib.util
import numbers
import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

import ml_collections

_PACKAGE = pathlib.Path(__file__).resolve().parent
_FOLDERS = (_PACKAGE / "configs", _PACKAGE.parent / "configs")


def load(
    name: str | os.PathLike, fields: Mapping[str, Any] | None = None
) -> ml_collections.ConfigDict:
    """Loads a config and sets fields of it.

    Args:
      name: of a config, such as "multi_id", or the path of another file; a
        preset may follow a colon, as in "multi_id:draft_cpu".
      fields: values by their dotted names, such as {"train.steps": 500}.

    Raises:
      ValueError: there is no such config, preset or field, or a value has another type
        than the field.
    """
    path, preset = split_preset(name)
    path = find(path)
    spec = importlib.util.spec_from_file_location(f"lokitalk_config_{path.stem}", path)
    assert spec is not None and spec.loader is not None  # of a .py file there is one
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "get_config"):
        raise ValueError(f"{path} has no function get_config(preset)")
    config = module.get_config(preset)
    for field, value in (fields or {}).items():
        set_field(config, field, value)
    return config


def split_preset(name: str | os.PathLike) -> tuple[str, str]:
    """The name of a config without its preset, and the preset or ""."""
    match = re.fullmatch(r"(.+?)(?::(\w*))?", os.fspath(name))
    return (match[1], match[2] or "") if match else ("", "")


def find(name: str) -> pathlib.Path:
    """The file of a config.

    Args:
      name: without a preset. The path of a file; or the name of a config of this
        package, which may also be written as its path in a checkout.

    Raises:
      ValueError: there is no such config.
    """
    path = pathlib.Path(name)
    if path.suffix == ".py" and path.is_file():
        return path
    short = path.with_suffix("") if path.suffix == ".py" else path
    if short.parts[:1] == ("configs",):
        short = pathlib.Path(*short.parts[1:])
    for folder in _FOLDERS:
        found = folder / f"{short}.py"
        if found.is_file():
            return found
    raise ValueError(f"config={name} is neither a file nor one of {', '.join(names())}")


def names() -> list[str]:
    """Names of the configs of this package."""
    folder = next(folder for folder in _FOLDERS if folder.is_dir())
    return sorted(path.stem for path in folder.glob("[a-z]*.py"))


def fields(config: ml_collections.ConfigDict, prefix: str = "") -> Iterator[str]:
    """Dotted names of all fields."""
    for name, value in config.items():
        if isinstance(value, ml_collections.ConfigDict):
            yield from fields(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def get_field(config: ml_collections.ConfigDict, field: str) -> Any:
    """The value of one field, by its dotted name.

    Raises:
      ValueError: there is no such field.
    """
    section, name = _home(config, field)
    return section[name]


def set_field(config: ml_collections.ConfigDict, field: str, value: Any) -> None:
    """Sets one field.

    Args:
      config: is changed.
      field: its dotted name.
      value: of the field's type; a path does for text, a whole number for a number and
        a list for a tuple.

    Raises:
      ValueError: there is no such field, or the value has another type.
    """
    section, name = _home(config, field)
    before = section[name]
    kind = type(before)
    accepted = {
        str: str | os.PathLike,
        int: numbers.Integral,
        float: numbers.Real,
        tuple: list | tuple,
    }.get(kind, kind)
    is_bool = isinstance(value, bool)
    if not isinstance(value, accepted) or is_bool != (kind is bool):
        raise ValueError(
            f"{field}={value!r} is of type {type(value).__name__}; it must be of type "
            f"{kind.__name__}, as {before!r} is"
        )
    section[name] = os.fspath(cast(str, value)) if kind is str else kind(value)  # pyright: ignore[reportCallIssue]


def _home(
    config: ml_collections.ConfigDict, field: str
) -> tuple[ml_collections.ConfigDict, str]:
    """The section that holds a field, and the field's name in it."""
    known = list(fields(config))
    if field not in known:
        near = difflib.get_close_matches(field, known, 3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise ValueError(
            f"the config has no field {field!r}{hint or ' (see base_config.py)'}"
        )
    *sections, last = field.split(".")
    for section in sections:
        config = cast(ml_collections.ConfigDict, config[section])
    return config, last
