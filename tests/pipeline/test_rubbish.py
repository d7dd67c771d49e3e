"""Malformed input: `prepare` uses every file or lists it with a reason, whatever it contains.

Runs the real `python -m stages.prepare` and checks its memory, its exit code and the files that it
wrote. `tests/support/rubbish.py` has the corpus.
"""

import csv
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from surface_crack.project.names import readable
from tests.support import rubbish
from tests.support.makers import jpeg
from tests.support.project import ROOT, Project, new_project

MEMORY = 1000  # MB
TIMEOUT = 300  # seconds for the whole corpus: a hang is a failure
# A small process between the test and the stage, because on Linux a child's peak memory starts
# with that of its parent, and pytest's is large.
WATCH = f"""
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], timeout={TIMEOUT}).returncode
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1000)
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return new_project(tmp_path / "project", raw="../raw", max_rejected=1, image_size=48)


def prepare(project: Project, raw: Path) -> tuple[int, list[str]]:
    """(exit code, output lines) of the stage; checks that it wrote only to its own folders."""
    project.set(raw=f"'{raw}'")
    before = all_files(project.root.parent)
    command = [sys.executable, "-B", "-m", "stages.prepare"]
    *lines, last = project.run(sys.executable, "-c", WATCH, *command).splitlines()
    code, memory = map(int, last.split())
    assert memory < MEMORY
    assert not any("Traceback" in line or "Warning" in line for line in lines), lines
    after = all_files(project.root.parent)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    made = [path.relative_to(project.root).parts[0] for path in changed]
    assert set(made) <= {"data", "metrics", "plots"}, changed
    return code, lines


def all_files(root: Path) -> Mapping[Path, tuple[int, int]]:
    """Size and time of all files below `root`, which path traversal from the project would hit."""
    found = {path: path.lstat() for path in root.rglob("*") if path.is_symlink() or path.is_file()}
    return {path: (status.st_size, status.st_mtime_ns) for path, status in found.items()}


def rows(path: Path) -> list[tuple[str, str]]:
    """(path, reason or '') of index.csv or rejected.csv."""
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["path"], row.get("reason", "")) for row in csv.DictReader(file)]


def check_outcomes(project: Project, outcomes: Iterable[tuple[str, str]]) -> None:
    """Check that the two tables list exactly the files of `outcomes`, each with its reason."""
    found = rows(project.root / "data/prepared/index.csv")
    found += rows(project.root / "data/prepared/rejected.csv")
    missed = []
    for name, outcome in outcomes:
        allowed = {
            rubbish.ACCEPTED: "",
            rubbish.DEPENDS: f"({rubbish.DAMAGED}|{rubbish.NO_IMAGE})?",
        }
        for entry in found:
            if entry[0] == readable(name) and re.fullmatch(allowed.get(outcome, outcome), entry[1]):
                found.remove(entry)
                break
        else:
            missed.append((name, outcome))
    assert (missed, found) == ([], [])


def test_every_file_in_a_folder_is_used_or_listed(project: Project, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    good = {"Negative/sound.jpg": jpeg(0), "Positive/crack.jpg": jpeg(1, crack=True)}
    wanted = [(name, rubbish.ACCEPTED) for name in good]
    for name, content in good.items():
        (raw / name).parent.mkdir(parents=True)
        (raw / name).write_bytes(content)
    for kind in rubbish.files():
        for name, made in kind.files.items():
            path = raw / "Negative" / name
            assert not path.exists(), f"{name} is there twice"
            path.parent.mkdir(exist_ok=True)
            if isinstance(made, bytes):
                path.write_bytes(made)
            else:
                made(path)
            wanted.append((f"Negative/{name}".replace("Negative/../", ""), kind.outcome))
    code, lines = prepare(project, raw)
    assert code == 0, lines
    check_outcomes(project, wanted)


def test_every_file_in_a_zip_is_used_or_listed(project: Project, tmp_path: Path) -> None:
    kinds = rubbish.entries()
    entries = [entry for kind in kinds for entry in kind.entries]
    raw = tmp_path / "raw.zip"
    raw.write_bytes(rubbish.zipped([*entries, rubbish.Entry("Positive/1.jpg", jpeg(1))]))
    code, lines = prepare(project, raw)
    assert code == 0, lines
    wanted = [(as_listed(entry), kind.outcome) for kind in kinds for entry in kind.entries]
    check_outcomes(project, [*wanted, ("Positive/1.jpg", rubbish.ACCEPTED)])


def as_listed(entry: rubbish.Entry) -> str:
    """An entry's name as zipfile reads it: up to a NUL, in code page 437 if not flagged UTF-8."""
    name = entry.name if entry.flags & 1 << 11 else entry.name.encode().decode("cp437")
    return re.sub(r"^\./", "", name.replace("\\", "/")).split("\0")[0] or "."


@pytest.mark.parametrize("kind", rubbish.archives(), ids=lambda kind: kind.what)
def test_an_invalid_archive_is_a_one_line_error(
    project: Project, tmp_path: Path, kind: rubbish.ArchiveKind
) -> None:
    for number, content in enumerate(kind.archives):
        raw = tmp_path / f"{number}.zip"
        raw.write_bytes(content)
        code, lines = prepare(project, raw)
        assert (code, len(lines)) == (1, 1), lines
        assert re.fullmatch(kind.outcome, lines[0])


def test_the_documentation_has_the_table_of_this_corpus() -> None:
    page = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    assert rubbish.table() in page, (
        "run `python -m tests.support.rubbish` and paste its output there"
    )
    counts = [len(kind.files) for kind in rubbish.files()]
    counts += [len(kind.entries) for kind in rubbish.entries()]
    counts += [len(kind.archives) for kind in rubbish.archives()]
    assert f"{sum(counts)} files, entries and archives" in page
