"""The rooms of surface_crack/: few, each with its story, and none imports from one above it.

Read from the syntax tree, so that an import inside a function counts as well.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.project import ROOT

LIBRARY = ROOT / "surface_crack"
ROOMS = (  # from the bottom to the top: a room imports from those before it alone
    *("project", "threads", "dataset", "sample", "photos", "splitting", "network", "evaluation"),
    *("robustness", "scoring", "validation", "inspection", "cutting", "audit", "download"),
    *("checks", "cli"),
)
DATA = "general"  # the model in the package: files, and no module


def room_of(file: Path) -> str:
    return file.relative_to(LIBRARY).parts[0].removesuffix(".py")


def imports(file: Path) -> Iterator[tuple[str, str]]:
    """(package of this project, room; '' if there is none) of all that a module imports."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, room, *_ = *name.split("."), ""
            if package in ("surface_crack", "stages", "tests", "bench"):
                yield package, room


def test_every_entry_has_its_place() -> None:
    entries = {path.name for path in LIBRARY.iterdir() if path.name != "__pycache__"}
    assert len(entries) <= 20, "make a room of some"
    places = {name.removesuffix(".py") for name in entries}
    assert places - {"__init__", "py.typed", DATA} == set(ROOMS)
    assert len(ROOMS) == len(set(ROOMS))


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_from_those_below_it(room: str) -> None:
    """So there is no circle, either; nor does the library import stages, tests or measurements."""
    below = {("surface_crack", other) for other in ROOMS[: ROOMS.index(room) + 1]}
    files = [file for file in LIBRARY.rglob("*.py") if room_of(file) == room]
    assert files
    wrong = {file.relative_to(ROOT): set(imports(file)) - below for file in files}
    assert {file: rooms for file, rooms in wrong.items() if rooms} == {}


@pytest.mark.parametrize("file", sorted(LIBRARY.rglob("__init__.py")), ids=room_of)
def test_a_room_tells_its_story_and_re_exports_nothing(file: Path) -> None:
    """Light stages stay light. scoring/ alone does: it is what others import."""
    module = ast.parse(file.read_text("utf-8"))
    if file.parent != LIBRARY:
        assert 3 <= sum(map(bool, (ast.get_docstring(module) or "").splitlines())) <= 5
    if room_of(file) != "scoring":
        assert len(module.body) == 1, "something beside the docstring"
        return
    imported = [
        alias.name
        for node in module.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    public = next(node.value for node in module.body if isinstance(node, ast.Assign))
    assert ast.literal_eval(public) == sorted(imported)
