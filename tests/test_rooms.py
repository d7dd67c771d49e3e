"""The packages of surface_crack/: few, documented, and in layers without import cycles.

Imports are read from the syntax tree, so that those inside functions count as well.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.project import ROOT

LIBRARY = ROOT / "surface_crack"
LAYERS = (  # from bottom to top: each imports only from those before it
    *("project", "threads", "dataset", "sample", "photos", "splitting", "network", "evaluation"),
    *("robustness", "scoring", "validation", "inspection", "cutting", "audit", "download"),
    *("checks", "cli"),
)
DATA = "general"  # the model in the package: data files, no module


def layer_of(file: Path) -> str:
    return file.relative_to(LIBRARY).parts[0].removesuffix(".py")


def imports(file: Path) -> Iterator[tuple[str, str]]:
    """Yield (top-level package of this project, layer or '') of each import in a module."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, layer, *_ = *name.split("."), ""
            if package in ("surface_crack", "stages", "tests", "bench"):
                yield package, layer


def test_every_entry_is_a_known_layer() -> None:
    entries = {path.name for path in LIBRARY.iterdir() if path.name != "__pycache__"}
    assert len(entries) <= 20, "move some into a package"
    names = {name.removesuffix(".py") for name in entries}
    assert names - {"__init__", "py.typed", DATA} == set(LAYERS)
    assert len(LAYERS) == len(set(LAYERS))


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_only_from_those_below_it(layer: str) -> None:
    """So there are no cycles; nor does the library import stages, tests or benchmarks."""
    below = {("surface_crack", other) for other in LAYERS[: LAYERS.index(layer) + 1]}
    files = [file for file in LIBRARY.rglob("*.py") if layer_of(file) == layer]
    assert files
    wrong = {file.relative_to(ROOT): set(imports(file)) - below for file in files}
    assert {file: layers for file, layers in wrong.items() if layers} == {}


@pytest.mark.parametrize("file", sorted(LIBRARY.rglob("__init__.py")), ids=layer_of)
def test_a_package_is_documented_and_re_exports_nothing(file: Path) -> None:
    """Re-exports would slow down light stages. The exception is scoring/, the public API."""
    module = ast.parse(file.read_text("utf-8"))
    if file.parent != LIBRARY:
        assert 3 <= sum(map(bool, (ast.get_docstring(module) or "").splitlines())) <= 5
    if layer_of(file) != "scoring":
        assert len(module.body) == 1, "more than a docstring"
        return
    imported = [
        alias.name
        for node in module.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    public = next(node.value for node in module.body if isinstance(node, ast.Assign))
    assert ast.literal_eval(public) == sorted(imported)
