"""The pipeline on real photos, and on a folder with problematic files."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.support.makers import encoded, jpeg, metu_like, picture, write_folder, write_zip
from tests.support.project import Project, new_project


def index_of(project: Project) -> pd.DataFrame:
    return pd.read_csv(project.root / "data/prepared/index.csv", keep_default_na=False)


def files_of(project: Project) -> set[Path]:
    """All files but those of git and Python's caches."""
    caches = {".git", "__pycache__"}
    return {
        path for path in project.root.rglob("*") if path.is_file() and not caches & set(path.parts)
    }


@pytest.mark.slow
def test_metu_from_zip_folder_and_collection(real_data: Path, tmp_path: Path) -> None:
    """Same rows, same labels; accurate and calibrated on the test set; few files."""
    project = new_project(tmp_path / "project", raw=real_data / "metu.zip")
    code = files_of(project)
    project.dvc("repro")
    scores = json.loads((project.root / "metrics/evaluate.json").read_text())
    assert scores["photos"] > 2000
    assert scores["accuracy"] >= 0.995
    assert scores["ece"] <= 0.005
    assert scores["ci95"]["accuracy"]["low"] < scores["accuracy"]
    assert len(files_of(project) - code) < 120
    from_zip = index_of(project)

    project.run(
        "python", "-m", "zipfile", "-e", str(real_data / "metu.zip"), str(tmp_path / "metu")
    )
    project.set(raw=tmp_path / "metu")
    project.dvc("repro", "prepare")
    pd.testing.assert_frame_equal(index_of(project), from_zip)

    both = tmp_path / "both"
    both.mkdir()
    for name in ("metu.zip", "sdnet.zip"):
        (both / name).symlink_to(real_data / name)
    project.set(raw=both)
    project.dvc("repro", "prepare")
    pooled = index_of(project)
    metu = pooled[pooled["source"] == "metu"].reset_index(drop=True)
    pd.testing.assert_frame_equal(metu, from_zip)
    assert (pooled["source"] == "sdnet").sum() == 6642
    assert pooled["path"].str.startswith("Decks/Cracked/").sum() == 358


@pytest.mark.slow
def test_near_duplicates_in_metu_are_kept_in_the_same_set(real_data: Path, tmp_path: Path) -> None:
    """Checked by an independent method: 256-bit difference hashes that differ in <= 18 bits."""
    project = new_project(tmp_path / "project", raw=real_data / "metu.zip")
    project.dvc("repro", "split")
    set_of = np.empty(len(index_of(project)), int)
    for number, name in enumerate(("train", "val", "test")):
        set_of[pd.read_csv(project.root / f"data/split/{name}.csv")["row"]] = number
    images = np.load(project.root / "data/prepared/images.npy")
    photos = [Image.fromarray(photo).convert("L") for photo in images]
    first = hashes(photos)
    near = np.zeros(len(photos), bool)
    for flip in (None, *Image.Transpose):
        other = first if flip is None else hashes([photo.transpose(flip) for photo in photos])
        for start in range(0, len(photos), 1000):
            distance = (256 - first[start : start + 1000] @ other.T) / 2
            one, two = np.nonzero(distance <= 18)
            one += start
            near[one[one != two]] = True
            assert (set_of[one] == set_of[two]).all()
    assert near.sum() > 4000  # the hash finds near-duplicates
    numbers = json.loads((project.root / "metrics/split.json").read_text())
    assert numbers["near_duplicates_leaked"] == 0
    assert numbers["near_duplicates_leaked_by_random_split"] > 1500
    assert numbers["largest_group"] < 10


def hashes(photos: list[Image.Image]) -> NDArray[np.float32]:
    """Difference hash of grey photos: (n, 256) of -1 and 1."""
    small = [photo.resize((17, 16), Image.Resampling.LANCZOS) for photo in photos]
    grey = np.stack([np.asarray(photo, int) for photo in small])
    return np.where(np.diff(grey, axis=2) > 0, 1, -1).reshape(-1, 256).astype(np.float32)


@pytest.mark.slow
def test_metu_in_temporary_experiments(real_data: Path, tmp_path: Path) -> None:
    project = new_project(tmp_path / "project", raw="data/raw/metu.zip", epochs=1)
    (project.root / "data/raw").mkdir(parents=True)
    shutil.copy(real_data / "metu.zip", project.root / "data/raw/metu.zip")
    project.dvc("add", "data/raw/metu.zip")
    project.dvc("repro")
    project.commit("first run")
    output = project.dvc("exp", "run", "--temp", "-S", "lr=0.002", "--name", "elsewhere")
    assert project.ran(output) == ["train", "calibrate", "evaluate", "card"]


@pytest.mark.slow
def test_temporary_experiments_find_an_archive_that_dvc_tracks(tmp_path: Path) -> None:
    """`dvc exp run --temp` and `--queue` run in another folder."""
    project = new_project(tmp_path / "project", raw="data/raw/mine.zip", epochs=1, image_size=48)
    write_zip(project.root / "data/raw/mine.zip", metu_like(40))
    project.dvc("add", "data/raw/mine.zip")
    project.dvc("repro")
    project.commit("first run")
    assert "data/raw/mine.zip" not in project.git("ls-files").splitlines()
    project.dvc("exp", "run", "--temp", "-S", "lr=0.002", "--name", "elsewhere")
    assert "elsewhere" in project.dvc("exp", "list")


def test_a_folder_with_problematic_files_is_processed(tmp_path: Path) -> None:
    """Good files are used, bad ones listed with reasons, none is dropped silently."""
    orientation = Image.Exif()
    orientation[0x0112] = 6
    good = metu_like(40) | {
        "Positive/Ünïcödé 裂缝.jpg": jpeg(1001),
        "Positive/sixteen bits.png": encoded(
            Image.fromarray(np.random.default_rng(1).integers(0, 65536, (40, 40), np.uint16)), "PNG"
        ),
        "Negative/cmyk.jpg": encoded(picture(1002).convert("CMYK")),
        "Negative/transparent.png": encoded(picture(1003).convert("RGBA"), "PNG"),
        "Negative/turned.jpg": encoded(picture(1004), exif=orientation),
        "Negative/palette.gif": encoded(picture(1005).convert("P"), "GIF"),
        "Negative/wrong ending.txt": jpeg(1006),
    }
    bad = {
        "Positive/empty.jpg": (b"", "empty file"),
        "Positive/truncated.jpg": (jpeg(1007)[:900], "damaged: "),
        "Positive/page.jpg": (b"<html>404</html>", "not an image, or not a supported format"),
        "Positive/dot.png": (encoded(Image.new("L", (1, 1)), "PNG"), "too small: 1 x 1 pixels"),
        "Negative/notes.txt": (b"later", "not an image, or not a supported format"),
    }
    files = good | {name: content for name, (content, _) in bad.items()}
    write_folder(tmp_path / "mine", files | {"Negative/.DS_Store": b"x"})
    project = new_project(
        tmp_path / "project", raw=tmp_path / "mine", epochs=1, image_size=48, max_rejected=0.1
    )
    project.dvc("repro")
    index, rejected = index_of(project), project.root / "data/prepared/rejected.csv"
    assert set(index["path"]) == set(good)
    listed = pd.read_csv(rejected).set_index("path")["reason"].to_dict()
    assert listed.pop("Negative/.DS_Store") == "a system file"
    assert set(listed) == set(bad)
    for name, (_, reason) in bad.items():
        assert listed[name].startswith(reason)
    counts = json.loads((project.root / "metrics/data.json").read_text())
    assert (counts["photos"], counts["rejected"], counts["system_files"]) == (len(good), 5, 1)

    project.set(max_rejected=0.01)
    output = project.dvc("repro", check=False)
    assert "5 of 92 files cannot be used, more than max_rejected 0.01; the first is" in output
    assert "Traceback" not in output


def test_a_user_error_is_one_line(tmp_path: Path) -> None:
    write_zip(tmp_path / "one.zip", {"Positive/1.jpg": jpeg(1)})
    project = new_project(tmp_path / "project", raw=tmp_path / "one.zip")
    output = project.dvc("repro", check=False)
    assert "prepare: error: no negative photo in" in output
    assert "Traceback" not in output
