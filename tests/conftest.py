"""Fixtures that several test modules share."""

import os
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.project import ROOT, Project, new_project
from tests.support.server import Site

# The same examples in every run, without a time limit; `make fuzz` looks for new ones.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")

if find_spec("torch") is None:  # `make pythons` runs all other tests on other versions of Python
    collect_ignore = [
        "network",
        "scoring",
        *("audit/test_refit.py", "audit/test_run.py", "checks/test_verify.py"),
        *("evaluation/test_heatmap.py", "inspection/test_run.py", "project/test_signals.py"),
        *("pipeline/test_disk.py", "pipeline/test_kills.py", "pipeline/test_leaks.py"),
        *("pipeline/test_pipeline.py", "pipeline/test_real_photos.py"),
        *("pipeline/test_two_runs.py", "validation/test_run.py"),
    ]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A small committed run of the whole pipeline. Copy it before changing it."""
    root = tmp_path_factory.mktemp("finished") / "project"
    project = new_project(root, sample_photos=120, epochs=2, image_size=48, lr=0.01)
    project.dvc("repro")
    project.commit("first run")
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished run, free to change."""
    return finished.copy(tmp_path / "project")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real photos; the test is skipped where there is none."""
    folder = Path(os.environ.get("SURFACE_CRACK_DATA", ROOT.parent / "shared/data"))
    if not (folder / "metu.zip").exists():
        pytest.skip("no real photos: set SURFACE_CRACK_DATA to a folder with metu.zip")
    return folder.resolve()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server on 127.0.0.1 whose responses, also faulty ones, are set by the test."""
    monkeypatch.setenv("no_proxy", "*")
    with closing(Site()) as site:
        yield site
