"""Files of two runs in one folder: every command refuses to combine them."""

import json
import shutil
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from stages.optional import export
from surface_crack.audit.run import audit
from surface_crack.checks.verify import verify
from surface_crack.inspection.run import Request, inspect
from surface_crack.project import paths
from surface_crack.project.errors import DataError
from surface_crack.project.manifest import (
    MADE,
    READ,
    TEST,
    TRAIN,
    VAL,
    check_same_run,
    manifest_path,
)
from surface_crack.validation.run import validate_photos
from tests.support.makers import jpeg, write_folder
from tests.support.project import Project

SAMPLE = paths.SAMPLE
FILES = sorted({path for files in MADE.values() for path in files} | {paths.DECISION})
FILES.remove(paths.NEAR_DUPLICATES)  # empty in both runs, as for all synthetic photos
READ_BY = {  # files that determine the output of a command
    "validate": {paths.INDEX, TRAIN, VAL, paths.MODEL, paths.DECISION},
    "audit": {paths.IMAGES, paths.INDEX, paths.GROUPS, paths.NEAR_DUPLICATES, TRAIN, VAL},
    "export": {paths.IMAGES, VAL, paths.MODEL, paths.DECISION},
}
MIXTURES = [set(files) for size in (1, 2) for files in combinations(FILES, size)]


@pytest.fixture(scope="module")
def runs(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs with different photos, of the same number."""
    other = finished.copy(tmp_path_factory.mktemp("other") / "project")
    other.set(sample_seed=1)
    other.dvc("repro")
    return finished.root, other.root


@pytest.fixture
def here(runs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the first run, and the current folder."""
    root = Path(shutil.copytree(runs[0], tmp_path / "project", symlinks=True))
    monkeypatch.chdir(root)
    return root


def take(files: Iterable[Path], of: Path) -> None:
    """Replace files in the current folder by those of another run."""
    for path in files:
        path.unlink(missing_ok=True)  # may be a link into DVC's cache
        shutil.copy(of / path, path)


def fails(command: Any, *arguments: Any) -> bool:
    """Whether the command fails with a one-line error that says what to run."""
    try:
        command(*arguments)
    except DataError as error:
        return "\n" not in str(error) and "run `dvc repro`" in str(error)
    return False


def validated() -> tuple[dict[str, Any], str]:
    return validate_photos(SAMPLE, model=paths.MODEL)


def test_two_runs_differ_in_every_file(runs: tuple[Path, Path]) -> None:
    one, other = runs
    assert not [path for path in FILES if (one / path).read_bytes() == (other / path).read_bytes()]


def test_validate_and_audit_refuse_every_mixture_of_their_inputs(
    here: Path, runs: tuple[Path, Path]
) -> None:
    right = validated()
    assert right[0]["trained_on"] > 0
    for files in MIXTURES:
        take(files, runs[1])
        if {paths.MODEL, paths.DECISION} & files or READ_BY["validate"] & files:
            assert fails(validated), files
        elif len(files) == 1:
            assert validated() == right
        if READ_BY["audit"] & files:
            assert fails(audit, here / "audit", 2), files
        take(files, runs[0])
    assert not (here / "audit").exists()
    assert validated() == right


@pytest.mark.slow
def test_audit_depends_only_on_its_inputs(here: Path, runs: tuple[Path, Path]) -> None:
    audit(here / "one", 2)
    take(set(FILES) - READ_BY["audit"], runs[1])
    audit(here / "other", 2)
    assert (here / "one/labels.csv").read_bytes() == (here / "other/labels.csv").read_bytes()


@pytest.mark.usefixtures("here")
def test_export_refuses_every_mixture_of_its_inputs(runs: tuple[Path, Path]) -> None:
    pytest.importorskip("onnxscript")
    for files in MIXTURES:
        if READ_BY["export"] & files:
            take(files, runs[1])
            assert fails(export.main), files
            take(files, runs[0])
    assert not paths.ONNX.exists()
    take(set(FILES) - READ_BY["export"], runs[1])
    export.main()
    assert paths.ONNX.exists()


def test_inspect_refuses_a_decision_for_other_weights(here: Path, runs: tuple[Path, Path]) -> None:
    write_folder(here / "site", {"1.jpg": jpeg(1, crack=True)})

    def verdict(out: str) -> str:
        inspect(Request([Path("site")], here / out))
        return (here / out / "photos.csv").read_text()

    right = verdict("right")
    for path in (paths.MODEL, paths.DECISION):
        take([path], runs[1])
        assert fails(verdict, "no")
        request = Request([Path("site")], here / "no", model=paths.MODEL.absolute())
        assert fails(inspect, request)
        take([path], runs[0])
    assert not (here / "no").exists()
    take(set(FILES) - {paths.MODEL, paths.DECISION}, runs[1])
    assert verdict("same") == right


@pytest.mark.usefixtures("here")
def test_verify_reports_every_file_of_another_run(runs: tuple[Path, Path]) -> None:
    assert not verify().damaged
    for path in FILES:
        take([path], runs[1])
        assert [finding.problem for finding in verify().damaged] == [
            f"{path}: not what dvc.lock records"
        ]
        take([path], runs[0])


@pytest.mark.slow
def test_verify_and_inspect_detect_every_mixture(here: Path, runs: tuple[Path, Path]) -> None:
    write_folder(here / "site", {"1.jpg": jpeg(1, crack=True)})

    def verdict() -> str:
        inspect(Request([Path("site")], here / "report"))
        return (here / "report/photos.csv").read_text()

    right = verdict()
    for files in MIXTURES:
        take(files, runs[1])
        assert {finding.problem for finding in verify().damaged} == {
            f"{path}: not what dvc.lock records" for path in files
        }
        own = {paths.MODEL, paths.DECISION} & files
        if len(own) == 1:
            assert fails(verdict), files
        elif not own:
            assert verdict() == right
        take(files, runs[0])


STOPPED = {  # stage after which `dvc repro` stopped -> commands that must refuse the files
    "prepare": {"validate", "audit", "export", "verify"},
    "group": {"validate", "audit", "export", "verify"},
    "split": {"validate", "export", "verify"},
    "train": {"validate", "export", "verify", "inspect"},
}


@pytest.mark.parametrize(
    "stage",
    [
        pytest.param("prepare", marks=pytest.mark.slow),
        "group",
        pytest.param("split", marks=pytest.mark.slow),
        "train",
    ],
)
def test_a_pipeline_that_stopped_half_way_is_detected(
    project: Project, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """Even though each single file matches dvc.lock."""
    write_folder(project.root, {"wall.jpg": jpeg(1)})
    project.set(sample_seed=1)
    project.dvc("repro", stage)
    monkeypatch.chdir(project.root)
    commands: dict[str, Any] = {
        "validate": validated,
        "audit": lambda: check_same_run(("prepare", "group", "split"), READ_BY["audit"]),
        "export": export.main,
        "inspect": lambda: inspect(Request([Path("wall.jpg")], Path("report"), paths.MODEL)),
    }
    refused = {name for name, command in commands.items() if fails(command)}
    findings = verify().damaged
    assert {finding.fix for finding in findings} == {"dvc repro"}
    assert refused | {"verify"} == STOPPED[stage]
    project.dvc("repro")
    assert not [name for name, command in commands.items() if fails(command)]
    assert not verify().damaged


def test_a_missing_or_invalid_manifest_is_a_one_line_error(here: Path) -> None:
    path = here / manifest_path("split")
    content = json.loads(path.read_text())
    assert set(content["read"]) == {file.as_posix() for file in READ["split"]}
    assert set(content["made"]) == {
        file.as_posix() for file in (TRAIN, VAL, TEST, paths.VAL_SOURCES, paths.STATISTICS)
    }
    path.unlink()
    with pytest.raises(DataError, match="data/manifests/split.json is missing: run `dvc repro`"):
        validated()
    for invalid in ({}, {**content, "read": None}, {**content, "made": list(content["made"])}):
        path.write_text(json.dumps(invalid))
        with pytest.raises(DataError, match="does not list its stage's files: run"):
            validated()
