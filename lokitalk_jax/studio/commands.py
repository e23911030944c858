"""Commands of jobs, as a user of the command line would type them."""

import math
import pathlib
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from lokitalk_jax import presets
from lokitalk_jax.studio.folders import Folders, checked_name

# Fields of a config that a request may set, to numbers only: none names a file.
_FIELD = re.compile(r"(train|voice|grid|sampling|model|data|loss|lr)\.[a-z0-9_]+")
PRESETS = ("draft", "standard", "full")
_SPEECH = {"latest-frame": "jpg", "export-curves": "csv", "out": "mp4"}
_HEADS, _EYES = ("own", "still"), ("auto", "open")


def argv(command: Sequence[str]) -> list[str]:
    """The arguments of a process that runs a command of `lokitalk`."""
    return [sys.executable, "-m", "lokitalk_jax", *command]


def shown(command: Sequence[str]) -> str:
    """A command as one types it."""
    return shlex.join(["lokitalk", *command])


def prepare(folders: Folders, name: str, given: Mapping[str, Any]) -> list[str]:
    """Prepares the clip of a person.

    Args:
      folders: of the studio.
      name: of the person.
      given: size, start and end, where they are set.

    Raises:
      ValueError: there is no clip, or a value cannot be used.
    """
    clip = folders.found("clips", name)
    if clip is None:
        raise ValueError(f"there is no clip of {name}; add one first")
    command = ["prepare", f"--video={_inside(folders, clip)}", f"--out=data/{name}"]
    for flag in "size", "start", "end":
        if given.get(flag) is not None:
            command.append(f"--{flag}={_number(flag, given[flag]):g}")
    return command


def train(folders: Folders, name: str, given: Mapping[str, Any]) -> list[str]:
    """Trains the avatar of a person, or resumes its training.

    Args:
      folders: of the studio.
      name: of the person.
      given: preset, consent, and fields (numbers by their dotted names).

    Raises:
      ValueError: nobody agreed, the person is not prepared, or a value cannot be used.
    """
    if given.get("consent") is not True:
        raise ValueError("consent is missing: train only on people who agreed to it")
    if not folders.path("data", name).is_dir():
        raise ValueError(f"{name} is not prepared yet; prepare the clip first")
    preset = given.get("preset") or "draft"
    if preset not in PRESETS:
        raise ValueError(f"preset={preset} is none of {', '.join(PRESETS)}")
    command = ["train", f"--config=single_id:{preset}", f"--workdir=runs/{name}"]
    command.append(f"--config.data.root=data/{name}")
    # The page shows a picture and a curve, which otherwise come every few minutes.
    fields = {"train.log_every": 20, "train.preview_every": 100}
    for field, value in (fields | dict(given.get("fields") or {})).items():
        if not _FIELD.fullmatch(field):
            raise ValueError(
                f"fields may not hold {field!r}; give numbers of training, such as "
                "train.steps"
            )
        command.append(f"--config.{field}={_number(field, value):g}")
    return command


def preset(command: Sequence[str]) -> str:
    """The preset of a command of `train`."""
    flag = "--config=single_id:"
    (word,) = (one for one in command if one.startswith(flag))
    return word.removeprefix(flag)


def speak(folders: Folders, name: str, job: str, given: Mapping[str, Any]) -> list[str]:
    """Renders an avatar speaking a sound.

    Args:
      folders: of the studio.
      name: of the run.
      job: names the output.
      given: sound (a key) or clip (somebody who is prepared), identity, head, eye,
        gain (by region), size.

    Raises:
      ValueError: there is no such sound, or a value cannot be used.
    """
    run = folders.run(name)
    if run is None:
        raise ValueError(f"there is no avatar of {name} yet; train one first")
    command = ["speak", f"--workdir=runs/{name}", f"--audio={sound(folders, given)}"]
    identity = given.get("identity")
    if identity:
        command.append(f"--identity={checked_name(identity)}")
    for flag, words in ("head", _HEADS), ("eye", _EYES):
        word = given.get(flag) or words[0]
        if word not in (*words, *run["identities"]):
            raise ValueError(f"{flag}={word} is none of {', '.join(words)}")
        if word != words[0]:
            command.append(f"--{flag}={word}")
    gains = {k: _number(f"gain {k}", v) for k, v in (given.get("gain") or {}).items()}
    gains = {checked_name(k): v for k, v in gains.items() if v != 1}
    if gains:
        command.append("--gain=" + ",".join(f"{k}:{v:g}" for k, v in gains.items()))
    if given.get("size"):
        command.append(f"--size={_number('size', given['size']):g}")
    out = f"speech/{checked_name(job)}"
    files = [f"--{k}={out}.{v}" for k, v in _SPEECH.items()]
    return [*command, *files]


def sound(folders: Folders, given: Mapping[str, Any]) -> str:
    """The sound file that a request names, relative to the studio's folder.

    Raises:
      ValueError: there is none.
    """
    if given.get("clip"):
        path = folders.path("data", given["clip"]) / "audio.wav"
        if not path.is_file():
            raise ValueError(
                f"the clip of {given['clip']} has no sound; choose another"
            )
        return _inside(folders, path)
    path = folders.found("sounds", given.get("sound") or "none")
    if path is None:
        raise ValueError("there is no such sound; add one first")
    return _inside(folders, path)


def offers() -> list[dict[str, Any]]:
    """The presets with their cost on a CPU: name, size and steps."""
    return [
        {
            "name": name,
            "size": presets.PRESETS[f"{name}_cpu"].size,
            "steps": presets.PRESETS[f"{name}_cpu"].steps,
        }
        for name in PRESETS
    ]


def _inside(folders: Folders, path: pathlib.Path) -> str:
    return path.relative_to(folders.root).as_posix()


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name}={value!r} must be a number")
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name}={value} must be at least 0")
    return value
