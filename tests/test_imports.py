"""Imports point one way: a table of layers, each above what it may import."""

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
# A module imports from its own layer and from those above it. Layers of one line
# are folders or modules that do not import each other.
LAYERS = (
    ("structs", "presets", "broadcasting"),
    ("base_config", "config", "process", "progress"),
    ("files", "folder_lock", "user_cache", "face_mesh"),
    ("sharding", "lpips", "torch_file"),
    ("checkpoint", "media"),
    ("data",),
    ("preparation", "speech"),
    ("doctor", "demo", "model"),
    ("interop", "avatar"),
    ("training",),
    ("evaluation.metrics", "evaluation.report"),
    ("evaluation.contrib",),
    ("evaluation",),
    ("api",),
    ("studio",),
    ("cli",),
    ("__main__",),
)
# Trees and devices, not the model; data and preparation run without JAX.
WITHOUT_JAX = (
    "files",
    "folder_lock",
    "user_cache",
    "face_mesh",
    "media",
    "data",
    "preparation",
    "doctor",
)
WITHOUT_JAX += ("interop", "demo")


def layer(module: str) -> tuple[int, str]:
    """Row and name of the layer that a module belongs to."""
    inside = module.removeprefix(f"{PACKAGE}.")
    found = [
        (len(name), row, name)
        for row, names in enumerate(LAYERS)
        for name in names
        if inside == name or inside.startswith(f"{name}.")
    ]
    assert found, f"{module} is in no layer"
    return max(found)[1:]


@functools.cache
def imports(module: str) -> frozenset[str]:
    """Modules of the package, and top names of others, that a module imports."""
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    found = set()
    # Imports inside functions too: a lazy one would hide an arrow back.
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


@pytest.mark.parametrize("module", sorted(MODULES - {PACKAGE}))
def test_imports_point_one_way(module):
    row, name = layer(module)
    for imported in sorted(imports(module) & MODULES - {PACKAGE}):
        other_row, other = layer(imported)
        assert other == name or other_row < row, f"{module} imports {imported}"


def test_modules_form_no_cycle():
    graph = {module: imports(module) & MODULES - {PACKAGE} for module in MODULES}
    graphlib.TopologicalSorter(graph).prepare()  # raises and names a cycle


@pytest.mark.parametrize("folder", WITHOUT_JAX)
def test_data_and_preparation_run_without_jax(folder):
    for module in sorted(MODULES):
        inside = module.removeprefix(f"{PACKAGE}.")
        if inside == folder or inside.startswith(f"{folder}."):
            assert not reaches(module) & {"jax", "flax", "optax", "orbax"}, module


def test_nothing_in_the_package_imports_what_uses_it():
    outside = {"configs", "tests", "benchmarks", "train", "prepare", "render", "studio"}
    for module in MODULES:
        assert not imports(module) & outside, module
