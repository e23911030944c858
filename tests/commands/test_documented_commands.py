"""Commands in README, docs and Makefile are ones that the programs take."""

import importlib
import pathlib
import re
import shlex

import pytest

from lokitalk_jax.cli import prepare, render

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "Makefile", *sorted((ROOT / "docs").glob("*.md"))]


def _commands(program: str) -> list:
    """Arguments of each command line on the pages that names the program."""
    found = []
    for page in PAGES:
        for line in page.read_text().replace("\\\n", " ").splitlines():
            start = rf"\s*(?:srun )?(?:python|\$\(RUN\)) {program}\.py\s"
            if match := re.match(start, line):
                words = shlex.split(line[match.end() :], comments=True)
                name = f"{page.name}-{'-'.join(words)[:60]}"
                found.append(pytest.param(words, id=name))
    return found


@pytest.mark.parametrize("words", _commands("render"))
def test_render_takes(words):
    assert render.parse(words, "render.py")[1].workdir


@pytest.mark.parametrize("words", _commands("prepare"))
def test_prepare_takes(words):
    mode, _ = prepare.parse(words, "prepare.py")
    assert mode in prepare.MODES.values()


@pytest.mark.parametrize("words", _commands("train"))
def test_train_takes(words):
    flags = dict(word.removeprefix("--").split("=", 1) for word in words)
    path, _, preset = flags.pop("config").partition(":")
    name = path.removesuffix(".py").replace("/", ".")
    config = importlib.import_module(name).get_config(preset)
    flags.pop("workdir", None)
    for flag in flags:
        field = config
        for part in flag.removeprefix("config.").split("."):
            field = field[part]


def test_pages_have_commands_of_all_programs():
    assert min(len(_commands(name)) for name in ("prepare", "train", "render")) >= 3
