"""No leakage from the test set: no near-duplicate, pixel or label of it influences the model."""

import json
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from surface_crack.evaluation.calibration import read_decision
from surface_crack.evaluation.intervals import intervals
from surface_crack.sample.photo import encode
from surface_crack.splitting.statistics import pixel_statistics
from tests.support.makers import ALTERATIONS, write_zip
from tests.support.project import Project

PHOTOS = 96


@pytest.fixture(scope="module")
def sample() -> dict[str, bytes]:
    return dict(encode(5, number) for number in range(PHOTOS))


@pytest.fixture(scope="module")
def leaky(
    finished: Project, sample: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """Each photo of the sample twice: the second one is altered and has another name."""
    files = dict(sample)
    for number, (name, content) in enumerate(sample.items()):
        alteration = list(ALTERATIONS)[number % len(ALTERATIONS)]
        folder, _, file = name.rpartition("/")
        files[f"{folder}/again {file}"] = ALTERATIONS[alteration](Image.open(BytesIO(content)))
    files["Negative/copy.jpg"] = next(iter(sample.values()))  # an exact copy, any label
    root = tmp_path_factory.mktemp("leaky")
    project = finished.copy(root / "project")
    project.set(raw=str(write_zip(root / "leaky.zip", files)), image_size=64)
    project.dvc("repro", "split")
    return project


def split_of(project: Project) -> pd.Series:
    """The set (train, val or test) of each photo, by row."""
    frames = {
        name: pd.read_csv(project.root / f"data/split/{name}.csv").set_index("row")
        for name in ("train", "val", "test")
    }
    return pd.concat(frames, names=["set"]).reset_index("set")["set"].sort_index()


def index_of(project: Project) -> pd.DataFrame:
    return pd.read_csv(project.root / "data/prepared/index.csv")


def test_near_duplicates_are_found_and_kept_in_the_same_set(leaky: Project) -> None:
    index, split = index_of(leaky), split_of(leaky)
    index["set"], index["group"] = split, pd.read_csv(leaky.root / "data/groups.csv")["group"]
    index["original"] = index["path"].str.replace("again ", "")
    pairs = index.groupby("original").filter(lambda photos: len(photos) == 2).groupby("original")
    assert pairs.ngroups == PHOTOS
    assert (pairs["group"].nunique() == 1).mean() >= 0.99
    assert index.groupby("group")["set"].nunique().max() == 1
    assert index.groupby("sha256")["set"].nunique().max() == 1
    found = pd.read_csv(leaky.root / "data/near_duplicates.csv")
    assert (split[found["row"]].to_numpy() == split[found["near_duplicate"]].to_numpy()).all()
    assert (index.groupby("group").size() <= 3).all()  # no other photo joined them


def test_the_split_reports_how_much_a_random_split_would_leak(leaky: Project) -> None:
    numbers = json.loads((leaky.root / "metrics/split.json").read_text())
    assert numbers["photos_with_near_duplicate"] >= 0.99 * 2 * PHOTOS
    assert numbers["near_duplicates_leaked"] == 0
    # Two photos land in different sets with probability 1 - (0.7**2 + 0.15**2 + 0.15**2) = 46 %.
    assert (
        0.3
        < numbers["near_duplicates_leaked_by_random_split"] / numbers["photos_with_near_duplicate"]
        < 0.6
    )
    assert numbers["largest_group"] == 3
    assert numbers["groups"] == len(pd.read_csv(leaky.root / "data/groups.csv")["group"].unique())


def test_group_by_nothing_leaks_near_duplicates(leaky: Project, tmp_path: Path) -> None:
    project = leaky.copy(tmp_path / "project")
    project.set(group_by="nothing")
    project.dvc("repro", "split")
    numbers = json.loads((project.root / "metrics/split.json").read_text())
    assert numbers["largest_group"] == 1
    assert numbers["near_duplicates_leaked"] > 50


def test_photos_with_equal_pattern_matches_stay_in_the_same_set(
    finished: Project, tmp_path: Path
) -> None:
    """Tiles of 30 photos as in SDNET2018, with both classes in one photo."""
    files = {}
    for number in range(PHOTOS):
        folder = "Cracked" if number % 3 == 0 else "Non-cracked"
        files[f"Walls/{folder}/{7000 + number % 30}-{number}.jpg"] = encode(6, number)[1]
    project = finished.copy(tmp_path / "project")
    project.set(
        raw=str(write_zip(tmp_path / "walls.zip", files)),
        group_pattern=r"(\d+)-\d+",
        test_share=0.4,
        epochs=1,
    )
    project.dvc("repro")
    photo = index_of(project)["path"].str.extract(r"/(\d+)-")[0]
    assert split_of(project).groupby(photo).nunique().max() == 1
    assert pd.read_csv(project.root / "data/groups.csv")["group"].nunique() == 30
    predicted = pd.read_csv(project.root / "data/evaluated/predictions.csv")
    photo = predicted["path"].str.extract(r"/(\d+)-")[0]
    assert predicted.groupby(photo)["group"].nunique().max() == 1
    models = project.root / "models"
    decision = read_decision(models / "decision.json", models / "crack.safetensors")
    probability = predicted["probability"].to_numpy()
    bounds = intervals(
        predicted["label"].to_numpy(),
        probability,
        decision.decide(probability),
        predicted["group"].tolist(),
    )
    numbers = json.loads((project.root / "metrics/evaluate.json").read_text())["ci95"]
    assert numbers["accuracy"]["low"] == pytest.approx(bounds["accuracy"][0], abs=1e-6)
    assert numbers["brier"]["high"] == pytest.approx(bounds["brier"][1], abs=1e-4)
    project.set(group_pattern=r"(\d+)_x")
    output = project.dvc("repro", "split", check=False)
    assert r"group: error: group_pattern '(\\d+)_x' matches no path, for example 'Walls/" in output


def test_the_test_set_does_not_influence_model_and_decision(project: Project) -> None:
    """Scramble its pixels and flip its labels: statistics, model and decision do not change."""
    chosen = ("data/split/statistics.json", "models/crack.safetensors", "models/decision.json")
    before = {path: (project.root / path).read_bytes() for path in chosen}
    rows = split_of(project).pipe(lambda split: split.index[split == "test"]).to_numpy()

    packed, index_file = (project.root / f"data/prepared/{x}" for x in ("images.npy", "index.csv"))
    images, index = np.load(packed), index_of(project)
    images[rows] = np.random.default_rng(0).integers(0, 256, images[rows].shape, np.uint8)
    index.loc[rows, "label"] = 1 - index.loc[rows, "label"]
    for path in (packed, index_file, *(project.root / path for path in chosen[1:])):
        path.unlink()
    np.save(packed, images)
    index.to_csv(index_file, index=False)

    kept = split_of(project).pipe(lambda split: split.index[split == "train"]).to_numpy()
    (project.root / "data/split/test.csv").unlink()
    mean, std = pixel_statistics(images, kept)
    statistics = json.loads(before["data/split/statistics.json"])
    assert (mean, std) == (statistics["mean"], statistics["std"])
    for stage in ("train", "calibrate"):
        project.run(sys.executable, "-m", f"stages.{stage}")
    assert {path: (project.root / path).read_bytes() for path in chosen} == before


def test_shuffled_labels_give_chance_level_scores(
    finished: Project, sample: dict[str, bytes], tmp_path: Path
) -> None:
    names = np.random.default_rng(3).permutation(list(sample))
    files = dict(zip(names.tolist(), sample.values(), strict=True))
    project = finished.copy(tmp_path / "project")
    project.set(raw=str(write_zip(tmp_path / "shuffled.zip", files)), epochs=4, test_share=0.4)
    project.dvc("repro")
    numbers = json.loads((project.root / "metrics/evaluate.json").read_text())
    for name in ("roc_auc", "balanced_accuracy", "accuracy"):
        assert numbers["ci95"][name]["low"] < 0.5 < numbers["ci95"][name]["high"], name
    assert "no better than chance" in (project.root / "metrics/report.txt").read_text()
