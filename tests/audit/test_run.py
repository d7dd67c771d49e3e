"""`surface-crack audit`: flipped labels rank first."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from surface_crack.audit.run import COLUMNS, audit, conflicting_labels, originals
from surface_crack.dataset import read_index
from surface_crack.project.errors import DataError, TrainingError
from surface_crack.project.manifest import write_manifest
from tests.support.makers import jpeg, write_folder
from tests.support.project import Project, new_project


@pytest.fixture
def here(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(project.root)
    return project


def flip(project: Project, photos: set[str]) -> None:
    """Flip the labels of these photos in all files that the audit reads."""
    index = read_index()
    wrong = index["path"].isin(photos)
    index.loc[wrong, "label"] = 1 - index.loc[wrong, "label"]
    files = ["data/prepared/index.csv", "data/split/train.csv", "data/split/val.csv"]
    for name in files:  # they may be links into DVC's cache
        project.dvc("unprotect", name)
    index.to_csv(files[0], index=False)
    for name in files[1:]:
        rows = pd.read_csv(name)
        rows["label"] = index["label"][rows["row"]].to_numpy()
        rows.to_csv(name, index=False)


@pytest.mark.usefixtures("here")
def test_labels_csv_has_every_training_and_validation_photo(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    audit(tmp_path / "out", 2)
    table = pd.read_csv(tmp_path / "out/labels.csv", keep_default_na=False)
    assert list(table.columns) == [*COLUMNS]
    index = read_index()
    tested = pd.read_csv("data/split/test.csv")["row"]
    assert sorted(table["path"]) == sorted(index["path"].drop(tested))
    assert set(table["fold"]) == {1, 2}
    assert table["label_error"].is_monotonic_decreasing
    assert np.allclose(
        table["label_error"], (table["probability"] - table["label"]).abs(), atol=2e-6
    )
    assert (tmp_path / "out/labels.png").stat().st_size > 10_000
    assert f"; the {len(tested)} labels of the test set are left out: correcting" in caplog.text
    assert caplog.text.count(" s to go") == 2
    errors = ((table["probability"] > 0.5) != (table["label"] == 1)).sum()
    assert f"check at least the first {errors}: their label_error is above 0.5" in caplog.text
    assert all(f"    {column} " in caplog.text for column in COLUMNS)


@pytest.mark.slow
def test_flipped_labels_rank_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """1 % of the labels are flipped; at least 80 % of the flips rank in the top 2 %."""
    project = new_project(tmp_path / "project")  # the default sample, the default settings
    project.dvc("repro", "split")
    monkeypatch.chdir(project.root)
    rows = pd.concat([pd.read_csv(f"data/split/{name}.csv") for name in ("train", "val")])
    photos = read_index()["path"][sorted(rows["row"])]
    flipped = set(photos.sample(round(len(photos) / 100), random_state=0))
    flip(project, flipped)
    for stage in ("prepare", "group", "split"):  # as if the archive had these labels
        write_manifest(stage)
    audit(tmp_path / "out", 5)
    table = pd.read_csv(tmp_path / "out/labels.csv")
    first = set(table["path"][: round(len(table) / 50)])
    assert len(flipped & first) >= 0.8 * len(flipped)


@pytest.mark.usefixtures("here")
def test_near_duplicates_with_conflicting_labels_are_reported() -> None:
    index = read_index()
    labels = index["label"].tolist()
    one, other, same = labels.index(0), labels.index(1), labels.index(0, labels.index(0) + 1)
    Path("data/near_duplicates.csv").unlink()
    Path("data/near_duplicates.csv").write_text(
        f"row,near_duplicate,similarity\n{one},{other},1\n{one},{same},1\n"
    )
    found = conflicting_labels(index)
    assert found.to_dict() == {one: index["path"][other], other: index["path"][one]}


def test_original_photos_are_found_by_source_and_path(
    here: Project, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    odd = "Positive/a\rb.jpg"
    raw = write_folder(tmp_path / "site", {"Negative/0.jpg": jpeg(0), odd: jpeg(1, crack=True)})
    here.set(raw=raw)
    names = ["Negative/0.jpg", r"Positive/a\rb.jpg", "Positive/gone.jpg"]
    digests = [hashlib.sha256(x).hexdigest() for x in (b"changed", jpeg(1, crack=True), b"gone")]
    table = pd.DataFrame({"source": "site", "path": names, "sha256": digests}, index=[7, 8, 9])
    assert list(originals(table)) == [8]
    shutil.rmtree(raw)
    assert originals(table) == {}
    assert "labels.png shows the packed photos, not the originals: raw" in caplog.text


@pytest.mark.usefixtures("here")
def test_missing_outputs_name_the_command_that_makes_them(tmp_path: Path) -> None:
    shutil.rmtree("data/split")
    with pytest.raises(DataError, match="train.csv is missing: run `dvc repro`"):
        audit(tmp_path / "out", 2)


def test_a_training_error_ends_the_audit(here: Project, tmp_path: Path) -> None:
    here.set(model="notebook", image_size=120)  # the packed photos have 48 pixels
    with pytest.raises(TrainingError, match="^model notebook needs photos of 120 pixels, got 48"):
        audit(tmp_path / "out", 2)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.usefixtures("here")
def test_an_unusable_output_folder_is_an_error_before_training() -> None:
    with pytest.raises(DataError, match="params.yaml is a file, or lies below one"):
        audit(Path("params.yaml"), 2)
