"""metrics/report.txt, what a reader sees first, in 80 columns; and the scores of each folder."""

import textwrap
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from surface_crack.calibration import Decision
from surface_crack.intervals import REPLICATES, accuracy_interval
from surface_crack.metrics import report_text
from surface_crack.wording import ALL, CHANCE, FEW, SCORES, shortened

WIDTH = 80
SHOWN = 40  # folders; folders.csv has all
HEADLINES = ("accuracy", "recall", "precision", "f1")


def folder_table(table: pd.DataFrame) -> pd.DataFrame:
    """A row per source and folder, and one per source with several: counts and scores.

    `table` has the columns path, source, group, label, probability, decided of the photos.
    `folder` is a photo's path without its name and its class folder; blank at the root, `*` in a
    source's total. Scores that a folder's photos leave undefined are NaN, which CSV leaves blank.
    """
    parents = [PurePosixPath(path).parent.parent.as_posix() for path in table["path"]]
    photos_in = table.assign(folder=["" if parent == "." else parent for parent in parents])
    rows = []
    for source, of_source in photos_in.groupby("source"):
        if of_source["folder"].nunique() > 1:
            rows.append({"source": source, "folder": ALL, **_row(of_source)})
        for folder, photos in of_source.groupby("folder"):
            rows.append({"source": source, "folder": folder, **_row(photos)})
    return pd.DataFrame(rows).round(6)


def _row(photos: pd.DataFrame) -> dict[str, float]:
    labels, decided = photos["label"].to_numpy(), photos["decided"].to_numpy()
    probability = photos["probability"].to_numpy()
    cracks, alarms = int(labels.sum()), int(decided.sum())
    found = int((labels & decided).sum())
    low, high = accuracy_interval(labels == decided, photos["group"].tolist())
    both = 0 < cracks < len(labels)
    return {
        "photos": len(labels),
        "cracks": cracks,
        "missed": cracks - found,
        "false_alarms": alarms - found,
        "accuracy": (labels == decided).mean(),
        "low": low,
        "high": high,
        "recall": found / cracks if cracks else np.nan,
        "precision": found / alarms if alarms else np.nan,
        "roc_auc": roc_auc_score(labels, probability) if both else np.nan,
    }


def report(
    labels: NDArray[np.int64],
    decided: NDArray[np.int64],
    numbers: Mapping[str, Any],
    decision: Decision,
    folders: pd.DataFrame,
    groups: int,
) -> str:
    """The text of report.txt. `numbers` are those of evaluate.json, `groups` counts the test's."""
    sources = shortened(", ".join(folders["source"].unique()), 36)
    found = int((labels & decided).sum())
    cracks, alarms = int(labels.sum()), int(decided.sum())
    lines = [
        f"Test part of {sources}: {len(labels)} photos, {cracks} with a crack",
        "",
        *_scores(numbers, decision),
        "",
        *textwrap.wrap(
            f"In brackets: 95 % intervals, {REPLICATES} draws of {groups} groups of photos that "
            f"belong together{' (few: take them as rough)' if groups < FEW else ''}.",
            WIDTH,
        ),
        *_no_better_than_chance(numbers),
        *textwrap.wrap(f"Threshold: {decision.rule}.", WIDTH),
        *textwrap.wrap(
            f"Probabilities are calibrated: logits divided by {decision.temperature:.4g}.", WIDTH
        ),
        "",
        f"{'':33}{'says crack':>12}{'says none':>12}",
        f"{'photos with a crack':33}{found:12}{cracks - found:12}",
        f"{'photos without':33}{alarms - found:12}{len(labels) - cracks - alarms + found:12}",
        "",
    ]
    if len(folders) > 1:
        lines += [*folder_lines(folders, "metrics/folders.csv"), ""]
    return "\n".join([*lines, report_text(labels, decided)])


def _scores(numbers: Mapping[str, Any], decision: Decision) -> list[str]:
    """Scores with their intervals at the chosen threshold; beside them those at 0.5, if other."""
    half, interval = numbers["at_half"], numbers["interval"]
    same = decision.threshold == 0.5

    def line(name: str, value: str, brackets: str = "", at_half: str = "") -> str:
        beside = "" if same else at_half
        return f"{name:33}{value:>12}  {brackets:19}{beside:>12}".rstrip()

    def percent(name: str) -> tuple[str, str]:
        low, high = 100 * interval[name]["low"], 100 * interval[name]["high"]
        return f"{100 * numbers[name]:.2f} %", f"({low:.2f} to {high:.2f})"

    def plain(name: str) -> tuple[str, str]:
        low, high = interval[name]["low"], interval[name]["high"]
        return f"{numbers[name]:.4f}", f"({low:.4f} to {high:.4f})"

    return [
        line("crack from probability", f"{decision.threshold:.4g}", "", "0.5"),
        *(line(SCORES[name], *percent(name), f"{100 * half[name]:.2f} %") for name in HEADLINES),
        line("mistakes", str(numbers["mistakes"]), "", str(half["mistakes"])),
        "",
        *(line(SCORES[name], *plain(name)) for name in ("roc_auc", "average_precision")),
        line(SCORES["ece"], *percent("ece")),
        line(SCORES["brier"], *plain("brier")),
    ]


def _no_better_than_chance(numbers: Mapping[str, Any]) -> list[str]:
    if numbers["interval"]["roc_auc"]["low"] > CHANCE:
        return []
    return ["The area under ROC may be 0.5: no better than chance, or too few groups to tell."]


def folder_lines(folders: pd.DataFrame, whole: str) -> list[str]:
    """The folders with the most mistakes, in the order of the table; `whole` says where all are."""
    mistakes = folders["missed"] + folders["false_alarms"]
    worst = mistakes.sort_values(ascending=False, kind="stable").index[:SHOWN]
    lines = [
        f"{'':26}{'photos':>7}{'cracks':>7}{'missed':>7}{'false':>6}{'accuracy %':>27}",
        *(_folder_line(row) for row in folders.loc[worst.sort_values()].to_dict("records")),
    ]
    if len(folders) > SHOWN:
        lines.append(f"The {SHOWN} with the most mistakes; all {len(folders)}: {whole}")
    return lines


def _folder_line(row: Mapping[Any, Any]) -> str:
    name = shortened(f"{row['source']}/{row['folder']}".rstrip("/"), 25)
    low, high = f"{100 * row['low']:.2f}", f"{100 * row['high']:.2f}"
    counts = f"{row['photos']:7}{row['cracks']:7}{row['missed']:7}{row['false_alarms']:6}"
    return f"{name:26}{counts}{100 * row['accuracy']:9.2f} {f'({low} to {high})':>17}"
