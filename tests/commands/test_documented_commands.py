"""Commands in README, docs, results and Makefile are ones that the programs take."""

import re
import shlex

import pytest

from benchmarks.summary import ROOT
from lokitalk_jax import config as configs
from lokitalk_jax.cli import compare, main, prepare, render, studio, train

PAGES = [ROOT / "Makefile", ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
PAGES += [
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "results").glob("*.md")),
]
# `lokitalk speak ...`, and `python render.py speak ...` in a checkout.
_COMMAND = re.compile(
    r"\s*(?:srun .*?|\S*/)?(?:lokitalk (\w+)|(?:python|\$\(RUN\)) (\w+)\.py)(?: (.*)|$)"
)


def commands(*modules: str) -> list:
    """Arguments of each command line on the pages, of commands in those modules."""
    found = []
    for page in PAGES:
        for line in page.read_text().replace("\\\n", " ").splitlines():
            if not (match := _COMMAND.match(line)):
                continue
            name = match[1] or match[2]
            assert name in main._COMMANDS, f"{page.name}: {line}"
            if name == "evaluate" and "--truth" in line:
                name = "compare"  # as `main` does
            module, before = main._COMMANDS[name]
            words = [*before, *shlex.split(match[3] or "", comments=True)]
            if module in modules:
                label = f"{page.name}-{'-'.join(words)[:60]}"
                found.append(pytest.param(words, id=label))
    return found


@pytest.mark.parametrize("words", commands("render"))
def test_render_takes(words):
    assert render.parse(words, "render.py")[1].workdir


@pytest.mark.parametrize("words", commands("prepare"))
def test_prepare_takes(words):
    mode, _ = prepare.parse([word for word in words if word != "..."], "prepare.py")
    assert mode in prepare.MODES.values()


@pytest.mark.parametrize("words", commands("compare"))
def test_compare_takes(words):
    assert compare._parser("lokitalk compare").parse_args(words).truth


@pytest.mark.parametrize("words", commands("train"))
def test_train_takes(words):
    parser = train._parser("train.py")
    flags, rest = parser.parse_known_args(words)
    config = configs.load(flags.config)
    for field, text in train._texts(rest, parser).items():
        train._value(config, field, text)


@pytest.mark.parametrize("words", commands("studio"))
def test_the_studio_takes(words):
    assert studio._parser("lokitalk studio").parse_args(words).port


def test_pages_have_commands_of_all_programs():
    assert min(len(commands(name)) for name in ("prepare", "train", "render")) >= 8
    assert commands("compare")
