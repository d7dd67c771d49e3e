"""`surface-crack verify`: corrupt files are found, and the commands that it names fix them."""

import hashlib
import os
from pathlib import Path

import pytest

from surface_crack.checks.verify import verify
from surface_crack.project.errors import DataError
from tests.support.project import Project

MODEL = Path("models/crack.safetensors")


@pytest.fixture
def here(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(project.root)
    return project


def flip(path: Path) -> None:
    """Flip one bit in place; mode, size and time stay, so DVC does not notice."""
    before, mode = path.stat(), path.stat().st_mode
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    path.chmod(mode)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def cached(project: Project, name: str) -> Path:
    """The cached object of an output."""
    lock = (project.root / "dvc.lock").read_text()
    digest = lock.split(f"path: {name}\n      hash: md5\n      md5: ")[1].split("\n")[0]
    return project.root / ".dvc/cache/files/md5" / digest[:2] / digest[2:]


@pytest.mark.usefixtures("here")
def test_a_fresh_run_matches_its_records() -> None:
    found = verify()
    assert not found.damaged
    assert not found.missing
    assert found.outputs > 30
    assert found.objects > 15


def test_a_corrupt_object_is_found_and_fixed(here: Project) -> None:
    corrupt = cached(here, str(MODEL))
    flip(corrupt)
    assert "Data and pipelines are up to date" in here.dvc("repro")  # DVC does not notice
    (damage,) = verify().damaged
    assert str(corrupt) in damage.problem
    assert "(models/crack.safetensors)" in damage.problem
    here.run("sh", "-c", damage.fix)
    assert corrupt.exists()
    assert verify().damaged == []


def test_a_command_affects_only_its_file_in_a_folder_with_a_space(
    finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = finished.copy(tmp_path / "my site")
    monkeypatch.chdir(project.root)
    (tmp_path / "my").write_text("unrelated")
    flip(cached(project, str(MODEL)))
    (damage,) = verify().damaged
    project.run("sh", "-c", damage.fix)
    assert (tmp_path / "my").exists()
    assert verify().damaged == []


def test_a_changed_output_is_found_and_fixed(here: Project) -> None:
    flip(MODEL)
    (damage,) = verify().damaged
    assert damage.problem.startswith("models/crack.safetensors: not what dvc.lock records")
    here.run("sh", "-c", damage.fix)
    assert verify().damaged == []


@pytest.mark.parametrize("name", [str(MODEL), "data/raw/site.zip", "data/raw/site/a b/1.txt"])
@pytest.mark.parametrize("workspace_too", [False, True])
def test_a_file_that_is_corrupt_in_cache_and_workspace_is_fixed(
    here: Project, name: str, workspace_too: bool
) -> None:
    content = {"data/raw/site.zip": b"an archive", "data/raw/site/a b/1.txt": b"a photo"}
    for path in map(Path, content):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content[str(path)])
    here.dvc("add", "data/raw/site.zip", "data/raw/site")
    digest = hashlib.md5(Path(name).read_bytes()).hexdigest()
    (corrupt,) = Path(".dvc/cache/files/md5").glob(f"{digest[:2]}/{digest[2:]}")
    flip(corrupt)
    if workspace_too:
        flip(Path(name))
    first, *rest = verify().damaged
    assert f"({name}): its content does not match" in first.problem
    here.run("sh", "-c", first.fix)
    assert len(rest) == workspace_too
    for damage in rest:
        by_hand, _, command = damage.fix.rpartition("put the original in its place, then ")
        if by_hand or damage.fix != command:
            Path(name).write_bytes(content[name])
        here.run("sh", "-c", command)
    assert verify().damaged == []
    assert corrupt.exists()


@pytest.mark.usefixtures("here")
def test_a_corrupt_listing_of_an_added_folder_is_one_finding(here: Project) -> None:
    Path("data/raw/site").mkdir(parents=True)
    Path("data/raw/site/1.txt").write_text("a photo")
    here.dvc("add", "data/raw/site")
    (corrupt,) = [
        path for path in Path(".dvc/cache/files/md5").glob("*/*.dir") if "1.txt" in path.read_text()
    ]
    flip(corrupt)
    (damage,) = verify().damaged
    assert "(data/raw/site)" in damage.problem
    here.run("sh", "-c", damage.fix)
    assert verify().damaged == []


@pytest.mark.usefixtures("here")
def test_an_invalid_dvc_file_is_a_one_line_error() -> None:
    Path("data/mine.dvc").write_text("outs: 7\n")
    with pytest.raises(DataError, match=r"data/mine.dvc is not a file that DVC wrote"):
        verify()


@pytest.mark.usefixtures("here")
def test_the_fix_for_an_optional_stage_names_its_dvc_yaml() -> None:
    Path("metrics/robustness.txt").write_text("other")
    out = f"- path: metrics/robustness.txt\n      md5: {'ab' * 16}\n"
    text = f"stages:\n  robustness:\n    outs:\n    {out}"
    Path("stages/optional/dvc.lock").write_text(text)
    (damage,) = verify().damaged
    assert damage.problem.endswith("not what stages/optional/dvc.lock records")
    assert damage.fix == "rm -f metrics/robustness.txt && dvc repro stages/optional/dvc.yaml"


@pytest.mark.usefixtures("here")
def test_a_dvc_that_fails_without_a_message_is_a_one_line_error() -> None:
    Path("dvc.py").write_text("raise SystemExit(3)\n")
    with pytest.raises(DataError, match="`dvc cache dir` failed: exit code 3"):
        verify()


def test_a_missing_output_is_not_damage(here: Project) -> None:
    MODEL.unlink()
    found = verify()
    assert found.missing == [str(MODEL)]
    assert found.damaged == []
    assert (
        "not here (`dvc pull` or `dvc repro`, `make robustness export`): models/crack"
        in here.run("surface-crack", "verify")
    )


def test_damage_gives_exit_code_1(here: Project) -> None:
    flip(MODEL)
    output = here.run("surface-crack", "verify", check=False)
    assert "to fix it: dvc checkout --force models/crack.safetensors" in output
    assert output.splitlines()[-1] == "surface-crack: error: 1 damaged file, see above"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("content", ["stages: 7\n", "a: [", "\x00"])
def test_an_invalid_lock_file_is_a_one_line_error(content: str) -> None:
    Path("dvc.lock").write_text(content)
    with pytest.raises(DataError, match="dvc.lock is not a file that DVC wrote"):
        verify()


def test_outside_a_project_the_error_says_where_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="dvc.lock is missing here"):
        verify()


def test_invalid_json_does_not_hide_other_findings(here: Project) -> None:
    for path in ("models/decision.json", "data/manifests/train.json", "data/split/test.csv"):
        (here.root / path).unlink()
        (here.root / path).write_bytes(b"\xff")
    assert {finding.problem.split(":")[0] for finding in verify().damaged} == {
        "data/manifests/train.json",
        "data/split/test.csv",
        "models/decision.json",
    }
