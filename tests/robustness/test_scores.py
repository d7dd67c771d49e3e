"""Robustness: the choice of photos, the scores and the text report."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from surface_crack.photos.listing import class_labels, list_photos
from surface_crack.project.errors import DataError
from surface_crack.robustness.disturbances import DISTURBANCES
from surface_crack.robustness.scores import (
    LEVELS,
    UNDISTURBED,
    choose_photos,
    find_photos,
    level_scores,
    robustness_text,
    scores,
)
from tests.support.makers import jpeg, write_folder


def made_up_test_set(negatives: int, positives: int) -> pd.DataFrame:
    labels = np.random.default_rng(0).permutation([0] * negatives + [1] * positives)
    digests = [f"{x:04}" for x in np.random.default_rng(1).permutation(negatives + positives)]
    return pd.DataFrame({"label": labels, "sha256": digests}, index=range(100, 100 + len(labels)))


def test_photos_are_chosen_by_hash_and_stratified_by_class() -> None:
    test = made_up_test_set(60, 20)
    chosen = choose_photos(test, 20)
    assert chosen["label"].value_counts().to_dict() == {0: 15, 1: 5}
    assert chosen.index.is_monotonic_increasing
    for label, count in ((0, 15), (1, 5)):
        lowest = sorted(test.loc[test["label"] == label, "sha256"])[:count]
        assert sorted(chosen.loc[chosen["label"] == label, "sha256"]) == lowest
    assert set(chosen.index) < set(choose_photos(test, 40).index)
    assert choose_photos(test, 80).equals(test)
    assert len(choose_photos(test, 79)) == 79


@pytest.mark.parametrize(("negatives", "positives"), [(98, 2), (2, 98)])
def test_both_classes_are_chosen(negatives: int, positives: int) -> None:
    chosen = choose_photos(made_up_test_set(negatives, positives), 10)
    assert len(chosen) == 10
    assert set(chosen["label"]) == {0, 1}


def test_photos_are_found_by_source_and_path(tmp_path: Path) -> None:
    odd = "Positive/a\rb.jpg"
    raw = write_folder(tmp_path / "site", {"Negative/0.jpg": jpeg(0), odd: jpeg(1, crack=True)})
    listing = list_photos(raw, class_labels(["Negative"], ["Positive"]))
    rows = [("site", r"Positive/a\rb.jpg"), ("site", "Negative/0.jpg")]
    table = pd.DataFrame(rows, columns=["source", "path"])
    assert [photo.path for photo in find_photos(listing, table)] == [odd, "Negative/0.jpg"]
    table["source"] = "elsewhere"
    with pytest.raises(DataError, match=r"elsewhere/Positive/a\\rb.jpg is no longer in raw: run"):
        find_photos(listing, table)


LABELS = np.array([1, 1, 1, 1, 0, 0])


def test_scores_of_known_predictions() -> None:
    decided = np.array([1, 1, 1, 0, 1, 0])
    assert level_scores(LABELS, decided) == {
        "accuracy": 0.666667,
        "recall": 0.75,
        "specificity": 0.5,
    }


def test_scores_and_text_are_of_the_right_level() -> None:
    decided = dict.fromkeys([UNDISTURBED, *LEVELS], LABELS)
    decided["jpeg", 20] = 1 - LABELS
    decided["scale", 200] = np.ones(6, int)
    found = scores(LABELS, decided)
    assert found["undisturbed"]["photos"] == 6
    assert found["undisturbed"]["cracks"] == 4
    assert found["undisturbed"]["precision"] == 1
    assert found["jpeg"]["20"] == {"accuracy": 0, "recall": 0, "specificity": 0}
    assert found["jpeg"]["40"] == {"accuracy": 1, "recall": 1, "specificity": 1}
    assert found["scale"]["200"] == {"accuracy": 0.666667, "recall": 1, "specificity": 0}
    assert set(found) == {"undisturbed", *DISTURBANCES}

    text = robustness_text(found, ["walls"], 0.5)
    lines = [line.split() for line in text.splitlines()]
    assert text.startswith("6 test photos (walls), 4 positive, disturbed at full size.")
    assert "16.67 percentage points of accuracy" in text
    assert ["20", "0.00", "%", "0.00", "%", "0.00", "%"] in lines
    assert ["200", "66.67", "%", "100.00", "%", "0.00", "%"] in lines
    assert sum(line.count("%") >= 3 for line in lines) == 25
