"""The commands of README, in order, in a fresh clone of the last commit, whose tests must pass."""

import sys
from pathlib import Path

import pytest

from tests.support.makers import metu_like, write_zip
from tests.support.project import ROOT, Project, has_shipped_params

TESTS = (
    "tests/project/test_params.py",
    "tests/pipeline/test_pipeline.py::test_the_lock_file_matches_the_code",
)
COMPARED = "Experiment|^lr$|^accuracy$|^mistakes$"
RETRAINED = ["train", "calibrate", "evaluate", "card"]


@pytest.fixture
def clone(tmp_path: Path) -> Project:
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout: there is nothing to clone")
    clone = Project(tmp_path / "surface-crack")
    Project(tmp_path).git("clone", "-q", str(ROOT), str(clone.root))
    if not has_shipped_params(clone):
        pytest.skip("params.yaml is committed with other values than README starts from")
    return clone


def own_tests(clone: Project) -> str:
    """The summary line of the clone's own tests of committed files."""
    return clone.run(sys.executable, "-m", "pytest", "-q", *TESTS).strip().splitlines()[-1]


@pytest.mark.slow
def test_the_commands_of_readme_leave_passing_tests(clone: Project) -> None:
    clone.run("surface-crack", "check")
    clone.dvc("repro")
    assert "accuracy" in (clone.root / "metrics/report.txt").read_text()
    clone.dvc("plots", "show")
    assert (clone.root / "dvc_plots/index.html").exists()
    assert "skipped" not in own_tests(clone)
    assert clone.ran(clone.dvc("repro")) == []

    # Instead of `surface-crack download metu`, with small photos.
    write_zip(clone.root / "data/raw/metu.zip", metu_like(60))
    clone.dvc("exp", "run", "--set-param", "raw=data/raw/metu.zip")
    assert "skipped" not in own_tests(clone)  # the last commit has not changed
    clone.git("commit", "-qam", "METU")
    assert "2 skipped" in own_tests(clone)  # the lock file of optional stages is of the sample

    assert clone.ran(clone.dvc("exp", "run", "--set-param", "lr=0.0005")) == RETRAINED
    own_tests(clone)
    assert "0.0005" in clone.dvc("params", "diff")
    assert "metrics/evaluate.json" in clone.dvc("metrics", "diff")
    page = clone.dvc("plots", "diff", "HEAD").strip().splitlines()[-1]
    assert Path(page.removeprefix("file://")).exists()
    assert "0.0005" in clone.dvc("exp", "show", "--drop", ".*", "--keep", COMPARED, "--csv")
    clone.run("surface-crack", "verify")


@pytest.mark.slow
def test_another_learning_rate_leaves_passing_tests(clone: Project) -> None:
    clone.dvc("repro")
    assert clone.ran(clone.dvc("exp", "run", "--set-param", "lr=0.0005")) == RETRAINED
    assert "skipped" not in own_tests(clone)
    for diff in (("params", "diff"), ("metrics", "diff"), ("plots", "diff")):
        clone.dvc(*diff)
    clone.git("commit", "-qam", "another rate")
    assert "2 skipped" in own_tests(clone)
