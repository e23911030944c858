"""Pages lead where they say, and their Python runs into no name that is gone."""

import ast
import importlib
import pathlib
import re

import pytest

from benchmarks.summary import ROOT
from lokitalk_jax import config

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "results/*.md")
    for path in ROOT.glob(pattern)
)
# Pages that speak of the present program only.
PRESENT = [page for page in PAGES if page.stem not in ("CHANGELOG", "archive")]
FILES = [
    path.relative_to(ROOT).as_posix()
    for folder in ("benchmarks", "configs", "lokitalk_jax", "tests")
    for path in (ROOT / folder).rglob("*.py")
]
FILES += [path.name for path in ROOT.glob("*.py")]
CONFIGS = [
    path for path in sorted((ROOT / "configs").rglob("*.py")) if path.stem[0] != "_"
]
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"^```python\n(.*?)^```", re.S | re.M)


def anchors(page: pathlib.Path) -> set[str]:
    """Anchors of a page's headings, as GitHub writes them."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    words = [re.sub(r"[^\w\- ]", "", head.lower()) for head in heads]
    return {word.replace(" ", "-") for word in words}


def codes() -> list:
    """The Python of all pages."""
    return [
        pytest.param(code, id=f"{page.stem}-{number}")
        for page in PAGES
        for number, code in enumerate(_CODE.findall(page.read_text()))
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_to_files_and_headings(page):
    for link in _LINK.findall(page.read_text()):
        if link.startswith(("http:", "https:")):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{page.name}: {link}"


@pytest.mark.parametrize("code", codes())
def test_python_on_the_pages_parses_and_imports(code):
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            for name in node.names:
                if not hasattr(module, name.name):
                    importlib.import_module(f"{node.module}.{name.name}")
        if isinstance(node, ast.Import):
            for name in node.names:
                importlib.import_module(name.name)


@pytest.mark.parametrize("page", PRESENT, ids=lambda page: page.stem)
def test_modules_that_pages_run_exist(page):
    for name in re.findall(
        r"python -m ((?:benchmarks|lokitalk_jax)[\w.]*)", page.read_text()
    ):
        path = ROOT / name.replace(".", "/").removesuffix("/NAME")
        assert path.is_dir() or path.with_suffix(".py").exists(), name


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().split()) <= 700


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_heads_of_configs_say_command_cost_and_score(path):
    head = ast.get_docstring(ast.parse(path.read_text())) or ""
    name = path.relative_to(ROOT / "configs").with_suffix("").as_posix()
    assert f"lokitalk train --config={name}" in head
    assert re.search(r"costs|minutes?|seconds", head, re.I)
    pages = [(ROOT / page).read_text() for page in re.findall(r"results/\w+\.md", head)]
    assert pages
    for change in re.findall(r"[+-]\d\.\d\d ± \d\.\d\d", head):
        assert any(change in page for page in pages)


def test_every_field_of_a_config_is_set_or_described_somewhere():
    paths = [*ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.py")]
    paths += ROOT.glob("configs/**/*.py")
    text = "\n".join(path.read_text() for path in paths)
    fields = config.fields(config.load("multi_id:draft_cpu"))
    sections = {
        field.rpartition(".")[0] if field.count(".") > 1 else field for field in fields
    }
    assert not [
        one for one in sections if not re.search(rf"\b{re.escape(one)}\b", text)
    ]


@pytest.mark.parametrize("page", PRESENT, ids=lambda page: page.stem)
def test_files_that_pages_name_exist(page):
    for name in re.findall(r"`((?:\w+/)*\w+\.py)`", page.read_text()):
        assert any(f"/{path}".endswith(f"/{name}") for path in FILES), name


def resolves(name: str) -> bool:
    """Whether a module of the package that is called so has such an attribute."""
    module, *names = name.split(".")
    for path in (ROOT / "lokitalk_jax").rglob(f"{module}.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found = importlib.import_module(".".join(parts))
        for one in names:
            found = getattr(found, one, None)
        if found is not None:
            return True
    return False


@pytest.mark.parametrize("page", PRESENT, ids=lambda page: page.stem)
def test_config_fields_that_pages_name_exist(page):
    known = set(config.fields(config.load("multi_id:draft_cpu")))
    sections = "|".join({name.partition(".")[0] for name in known if "." in name})
    text = page.read_text()
    named = re.findall(r"--config\.([a-z_.]*[a-z])\b", text)
    named += re.findall(rf"`((?:{sections})\.[a-z_]+)(?:=[^`]*)?`", text)
    files = (".py", ".npz", ".md")
    unknown = [n for n in named if n not in known and not n.endswith(files)]
    assert not [name for name in unknown if not resolves(name)]


def test_functions_that_the_method_names_exist():
    modules = {pathlib.Path(file).stem for file in FILES if file.startswith("lokitalk")}
    text = (ROOT / "docs/method.md").read_text()
    named = set(re.findall(r"`(\w+\.\w+(?:\.\w+)?)`", text))
    named = {
        n for n in named if n.partition(".")[0] in modules and not n.endswith(".py")
    }
    assert len(named) > 15
    fields = set(config.fields(config.load("multi_id:draft_cpu")))
    assert not [name for name in named - fields if not resolves(name)]
