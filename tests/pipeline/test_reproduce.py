"""The same bytes from a folder as from a zip, in another place and locale, on other cores."""

import hashlib
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from surface_crack.sample.photo import encode
from tests.support.makers import write_zip
from tests.support.project import Project, new_project
from tests.support.reproduce import ELSEWHERE, outputs

LIGHT = ("prepare", "group", "split")  # stages without torch: the same bytes on every Python
PHOTOS = 60

# From 60 synthetic photos, with Pillow 13.0.0, libjpeg-turbo 3.2.0. If a change to this project
# alters them, update dvc.lock as well; if a new release of a library does, find out which and why.
PINNED = {
    "data/prepared/images.npy": "b8456ae642438f9f",
    "data/prepared/index.csv": "604aa4f5eb3679b8",
    "data/groups.csv": "94781b5e976ee187",
    "data/near_duplicates.csv": "6448464b436e3df1",
    "data/split/train.csv": "6dbcdf1c1dbaffe9",
    "data/split/val.csv": "d3d5045834b7ad4d",
    "data/split/test.csv": "37d962fa67cb16d8",
    "data/split/statistics.json": "34fc7b26bfd0cea2",
    "plots/positive.png": "9b097f2a32d5fca6",
}


def synthetic_photos() -> dict[str, bytes]:
    """Synthetic photos, with an exact copy of the first under another name."""
    photos = dict(encode(7, number) for number in range(PHOTOS - 1))
    return photos | {"Negative/copy.jpg": next(iter(photos.values()))}


def digests(project: Project, *, cores: set[int]) -> dict[str, str]:
    """Digests of the outputs of the light stages, run on these cores."""
    first = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    try:
        if first:
            os.sched_setaffinity(0, cores & first)  # child processes inherit it
        for stage in LIGHT:
            project.run("python", "-m", f"stages.{stage}")
    finally:
        if first:
            os.sched_setaffinity(0, first)
    return {
        name: hashlib.sha256((project.root / name).read_bytes()).hexdigest()[:16] for name in PINNED
    }


def unpacked_backwards(archive: Path, folder: Path) -> Path:
    """Extract the zip, last file first, so that the file system may list them in another order."""
    with zipfile.ZipFile(archive) as opened:
        for name in reversed(opened.namelist()):
            opened.extract(name, folder)
    return folder


def test_prepare_group_and_split_are_pinned(tmp_path: Path) -> None:
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    archive = write_zip(tmp_path / "drawn.zip", synthetic_photos())
    project = new_project(tmp_path / "project", raw=archive)
    assert digests(project, cores=cores) == PINNED

    project.set(raw=unpacked_backwards(archive, tmp_path / "drawn"))
    project.environment = ELSEWHERE
    assert digests(project, cores={min(cores, default=0)}) == PINNED


@pytest.fixture
def locales(tmp_path: Path) -> dict[str, dict[str, str]]:
    """Environments by locale; Turkish (where I and i are different letters) if localedef exists."""
    found = {"C": ELSEWHERE}
    if shutil.which("localedef"):
        folder = tmp_path / "locales"
        folder.mkdir()
        command = ["localedef", "-i", "tr_TR", "-f", "UTF-8", str(folder / "tr_TR.UTF-8")]
        subprocess.run(command, check=False, capture_output=True)
        if (folder / "tr_TR.UTF-8").exists():
            found["tr_TR"] = {"LC_ALL": "tr_TR.UTF-8", "LOCPATH": str(folder)}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("locale", ["C", "tr_TR"])
def test_the_environment_changes_no_byte(
    finished: Project, locales: dict[str, dict[str, str]], locale: str, tmp_path: Path
) -> None:
    """Another folder, locale, time zone and hash seed; the same photos, unpacked."""
    if locale not in locales:
        pytest.skip("no localedef, or no Turkish locale to compile")
    project = new_project(tmp_path / ("another place" if locale == "C" else "başka yer"))
    shutil.copy(finished.root / "params.yaml", project.root / "params.yaml")
    sample = finished.root / "data/sample/synthetic.zip"
    project.set(raw=unpacked_backwards(sample, tmp_path / "synthetic"))
    project.environment = locales[locale]
    if locale != "C":
        output = project.run("python", "-c", "import locale as l; print(l.setlocale(l.LC_ALL, ''))")
        assert output.strip() == "tr_TR.UTF-8"
    project.dvc("repro")
    got, wanted = outputs(project), outputs(finished)
    for name in ("docs/model_card.md", "plots/run.csv"):  # both name the raw data
        here, there = str(tmp_path / "synthetic").encode(), b"data/sample/synthetic.zip"
        got[name] = got[name].replace(here, there)
    del got["dvc.lock"], wanted["dvc.lock"]
    assert got.keys() == wanted.keys()
    assert [name for name in wanted if got[name] != wanted[name]] == []


@pytest.mark.slow
def test_force_changes_nothing(project: Project) -> None:
    project.dvc("repro", "--force")
    assert project.git("status", "--porcelain") == ""
