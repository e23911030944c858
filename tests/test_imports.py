"""Imports point one way."""

import ast
import functools
import graphlib
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = "lokitalk_jax"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / PACKAGE).rglob("*.py")
}
# Each may import what stands to its left.
ORDER = ("structs", "deformation", "model", "losses", "train_step", "trainer")
FIELDS = (
    "canonical",
    "deformation",
    "encodings",
    "hashgrid",
    "identity",
    "rays",
    "rendering",
    "sampling",
)


@functools.cache
def imports(module: str) -> frozenset[str]:
    """Modules of the package, and top names of others, that a module imports."""
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            # `from package import name`: the name is a module, or in one.
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in MODULES else node.module)
    return frozenset(name if name in MODULES else name.split(".")[0] for name in found)


@functools.cache
def reaches(module: str) -> frozenset[str]:
    """What importing a module brings in, itself left out."""
    seen, ahead = set(), [module]
    while ahead:
        for name in imports(ahead.pop()):
            if name not in seen:
                seen.add(name)
                if name in MODULES:
                    ahead.append(name)
    return frozenset(seen)


def below(folder: str) -> list[str]:
    return sorted(m for m in MODULES if m.startswith(f"{PACKAGE}.{folder}"))


def full(names) -> set[str]:
    return {f"{PACKAGE}.{name}" for name in names}


def test_no_module_imports_itself_by_way_of_others():
    graph = {m: imports(m) & MODULES for m in MODULES}
    order = tuple(graphlib.TopologicalSorter(graph).static_order())
    assert set(order) == MODULES


def test_the_core_points_one_way():
    for i, name in enumerate(ORDER):
        later = full(ORDER[i + 1 :])
        assert not reaches(f"{PACKAGE}.{name}") & later, name
    for name, next_name in zip(ORDER, ORDER[1:], strict=False):
        assert f"{PACKAGE}.{name}" in reaches(f"{PACKAGE}.{next_name}")


@pytest.mark.parametrize("field", FIELDS)
def test_fields_know_no_model(field):
    later = full(ORDER[ORDER.index("model") :])
    assert not reaches(f"{PACKAGE}.{field}") & later


@pytest.mark.parametrize("module", below("prepare") + below("data"))
def test_preparation_and_data_need_neither_jax_nor_the_model(module):
    found = reaches(module)
    assert not found & {"jax", "flax", "optax", "orbax"}
    assert not found & full(ORDER[1:])


@pytest.mark.parametrize("module", below("evaluate"))
def test_evaluation_never_trains(module):
    assert f"{PACKAGE}.trainer" not in reaches(module)


def test_placement_knows_trees_not_the_model():
    assert not reaches(f"{PACKAGE}.sharding") & full(ORDER[1:])


def test_nothing_in_the_package_imports_what_uses_it():
    outside = {"configs", "tests", "benchmarks", "train", "prepare", "render"}
    for module in MODULES:
        assert not imports(module) & outside, module
