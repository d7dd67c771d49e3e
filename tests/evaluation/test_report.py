"""report.txt and folders.csv."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from surface_crack.evaluation import report as module
from surface_crack.evaluation import scores
from surface_crack.evaluation.calibration import Decision
from surface_crack.evaluation.folders import SHOWN, WIDTH, FolderScores, Prediction, folder_table
from surface_crack.evaluation.intervals import intervals
from surface_crack.evaluation.report import report
from surface_crack.project.files import write_csv

RULE = "0.5, or the highest below it with a validation recall of 99 %"
DECISION = Decision(1.25, 0.3, RULE, "")


def made_up(
    folders: list[tuple[str, str]], each: int, skill: float, decision: Decision = DECISION
) -> pd.DataFrame:
    """`each` photos in every (source, folder), half of them positive."""
    draw = np.random.default_rng(0)
    rows = []
    for source, folder in folders:
        for number in range(each):
            label = number % 2
            path = f"{folder}/{('Negative', 'Positive')[label]}/{number}.jpg".lstrip("/")
            probability = float(np.clip(0.5 + skill * (label - 0.5) + draw.normal(0, 0.2), 0, 1))
            rows.append((source, path, f"{source}{folder}{number}", label, probability))
    table = pd.DataFrame(rows, columns=["source", "path", "group", "label", "probability"])
    return table.assign(decided=decision.decide(table["probability"].to_numpy()))


def folders_of(table: pd.DataFrame) -> list[FolderScores]:
    rows = table[list(Prediction._fields)].itertuples(index=False)
    return folder_table(map(Prediction._make, rows))


def text_of(table: pd.DataFrame, decision: Decision = DECISION) -> str:
    labels, decided = table["label"].to_numpy(), table["decided"].to_numpy()
    probability, groups = table["probability"].to_numpy(), table["group"].tolist()
    bounds = intervals(labels, probability, decided, groups)
    interval = {name: {"low": low, "high": high} for name, (low, high) in bounds.items()}
    numbers: dict[str, Any] = scores.summary(labels, probability, decided)
    numbers |= {"ci95": interval, "threshold": decision.threshold}
    return report(labels, decided, numbers, decision, folders_of(table), len(set(groups)))


def test_the_report_states_scores_rule_and_confusion_matrix() -> None:
    table = made_up([("metu", "")], 200, skill=0.9)
    text = text_of(table)
    lines = text.splitlines()
    right = table["label"] == table["decided"]
    at_half = table["label"] == (table["probability"] >= 0.5)
    assert lines[0] == "Test set of metu: 200 photos, 100 positive"
    assert lines[2].split() == ["threshold", "0.3", "0.5"]
    accuracy = lines[3].split()
    assert accuracy[:3] == ["accuracy", f"{100 * right.mean():.2f}", "%"]
    assert accuracy[-2:] == [f"{100 * at_half.mean():.2f}", "%"]
    assert accuracy[3].startswith("(")
    assert f"mistakes {(~right).sum()} {(~at_half).sum()}" in " ".join(text.split())
    assert "cluster bootstrap, 2,000 resamples of 200 groups." in text
    assert f"Threshold: {RULE}." in text
    missed = int(((table["label"] == 1) & (table["decided"] == 0)).sum())
    false_positives = int(((table["label"] == 0) & (table["decided"] == 1)).sum())
    assert false_positives
    assert f"positive (crack) {100 - missed} {missed}" in " ".join(text.split())
    assert f"negative (no crack) {false_positives} {100 - false_positives}" in " ".join(
        text.split()
    )
    assert "precision    recall  f1-score   support" in text
    assert "per folder" not in text, "one folder needs no table of folders"
    assert "chance" not in text


def test_a_threshold_of_0_5_needs_no_second_column() -> None:
    half = Decision(1.25, 0.5, "0.5", "")
    lines = text_of(made_up([("metu", "")], 200, skill=0.9, decision=half), half).splitlines()
    assert lines[2].split() == ["threshold", "0.5"]
    assert lines[3].endswith(")")


def test_the_report_fits_80_columns() -> None:
    folders = [(f"archive-with-a-long-name-{n}", f"deck/{n}" * 5) for n in range(60)]
    text = text_of(made_up(folders, 20, skill=0.4))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert f"The {SHOWN} folders with the most mistakes; all 60: metrics/folders.csv" in text
    assert sum("deck/" in line for line in text.splitlines()) == SHOWN


def test_chance_level_is_reported() -> None:
    assert "no better than chance" in text_of(made_up([("metu", "")], 200, skill=0.0))
    assert "no better than chance" in text_of(made_up([("metu", "")], 200, skill=-0.5))


def test_each_folder_and_source_has_a_row() -> None:
    table = made_up([("sdnet", "Decks"), ("sdnet", "Walls/north"), ("metu", "")], 40, skill=0.5)
    rows = pd.DataFrame(folders_of(table)).set_index(["source", "folder"])
    assert rows.index.tolist() == [
        ("metu", ""),
        ("sdnet", "*"),
        ("sdnet", "Decks"),
        ("sdnet", "Walls/north"),
    ]
    assert rows["photos"].tolist() == [40, 80, 40, 40]
    deck = table[table["path"].str.startswith("Decks/")]
    labels, decided = deck["label"], deck["decided"]
    row = dict(zip(rows.columns, rows.loc["sdnet"].loc["Decks"], strict=True))
    assert row["false_negatives"] == ((labels == 1) & (decided == 0)).sum()
    assert row["false_positives"] == ((labels == 0) & (decided == 1)).sum() > 0
    assert row["accuracy"] == (labels == decided).mean()
    assert row["low"] < row["accuracy"] < row["high"]
    assert row["recall"] == decided[labels == 1].mean()
    assert row["precision"] == pytest.approx(labels[decided == 1].mean(), abs=1e-6)
    assert row["roc_auc"] == pytest.approx(roc_auc_score(labels, deck["probability"]), abs=1e-6)
    assert "sdnet/Walls/north" in text_of(table)
    assert "\nmetu  " in text_of(table)


def test_two_sources_have_two_rows() -> None:
    text = text_of(made_up([("metu", ""), ("sdnet", "")], 40, skill=0.5))
    assert text.startswith("Test set of metu, sdnet: 80 photos, 40 positive\n")
    assert "\nmetu  " in text
    assert "\nsdnet  " in text


def test_undefined_scores_of_a_folder_are_empty(tmp_path: Path) -> None:
    table = made_up([("sdnet", "Decks"), ("sdnet", "Walls")], 10, skill=2.0)
    chosen = table[(table["label"] == 0) | table["path"].str.startswith("Decks")]
    write_csv(tmp_path / "folders.csv", FolderScores._fields, folders_of(chosen))
    csv = (tmp_path / "folders.csv").read_text().splitlines()
    assert csv[-1].startswith("sdnet,Walls,5,0,0,0,1.0,")
    assert csv[-1].endswith(",1.0,,,")  # no recall, precision or ROC AUC
    assert "nan" not in text_of(chosen).lower()


@pytest.mark.parametrize(("low", "reported"), [(0.4999, True), (0.5, True), (0.5001, False)])
def test_a_ci_that_includes_chance_is_reported(low: float, reported: bool) -> None:
    numbers = {"ci95": {"roc_auc": {"low": low, "high": 1}}}
    assert bool(module._no_better_than_chance(numbers)) == reported
