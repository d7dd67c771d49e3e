"""metrics/report.txt: the scores of the test set as text, in 80 columns."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surface_crack.evaluation.calibration import Decision
from surface_crack.evaluation.folders import WIDTH, FolderScores, folder_lines
from surface_crack.evaluation.intervals import REPLICATES
from surface_crack.evaluation.scores import report_text
from surface_crack.evaluation.terms import CHANCE, FEW_GROUPS, SCORES, shortened

HEADLINES = ("accuracy", "recall", "precision", "f1")


def report(
    labels: NDArray[np.int64],
    decided: NDArray[np.int64],
    numbers: Mapping[str, Any],
    decision: Decision,
    folders: Sequence[FolderScores],
    groups: int,
) -> str:
    """Return the text of report.txt.

    `numbers` is the content of evaluate.json, `groups` the number of groups in the test set.
    """
    sources = shortened(", ".join(dict.fromkeys(folder.source for folder in folders)), 36)
    true_positives = int((labels & decided).sum())
    positives, flagged = int(labels.sum()), int(decided.sum())
    negatives, false_positives = len(labels) - positives, flagged - true_positives
    lines = [
        f"Test set of {sources}: {len(labels):,} photos, {positives:,} positive",
        "",
        *_scores(numbers, decision),
        "",
        *textwrap.wrap(
            f"95 % confidence intervals: cluster bootstrap, {REPLICATES:,} resamples "
            f"of {groups:,} groups."
            f"{' With so few groups they are rough.' if groups < FEW_GROUPS else ''}",
            WIDTH,
        ),
        *_no_better_than_chance(numbers),
        *textwrap.wrap(f"Threshold: {decision.rule}.", WIDTH),
        *textwrap.wrap(
            f"Temperature scaling: logits divided by {decision.temperature:.4g}.", WIDTH
        ),
        "",
        f"{'confusion matrix':33}{'predicted crack':>17}{'predicted none':>17}",
        f"{'positive (crack)':33}{true_positives:17,}{positives - true_positives:17,}",
        f"{'negative (no crack)':33}{false_positives:17,}{negatives - false_positives:17,}",
        "",
    ]
    if len(folders) > 1:
        lines += [*folder_lines(folders, "metrics/folders.csv"), ""]
    return "\n".join([*lines, report_text(labels, decided)])


def _scores(numbers: Mapping[str, Any], decision: Decision) -> list[str]:
    """Scores with 95 % CIs at the chosen threshold, and those at 0.5 if the threshold differs."""
    half, interval = numbers["at_half"], numbers["ci95"]
    same = decision.threshold == 0.5

    def line(name: str, value: str, brackets: str = "", at_half: str = "") -> str:
        last = "" if same else at_half
        return f"{name:33}{value:>12}  {brackets:19}{last:>12}".rstrip()

    def percent(name: str) -> tuple[str, str]:
        low, high = 100 * interval[name]["low"], 100 * interval[name]["high"]
        return f"{100 * numbers[name]:.2f} %", f"({low:.2f} to {high:.2f})"

    def plain(name: str) -> tuple[str, str]:
        low, high = interval[name]["low"], interval[name]["high"]
        return f"{numbers[name]:.4f}", f"({low:.4f} to {high:.4f})"

    return [
        line("threshold", f"{decision.threshold:.4g}", "", "0.5"),
        *(line(SCORES[name], *percent(name), f"{100 * half[name]:.2f} %") for name in HEADLINES),
        line("mistakes", str(numbers["mistakes"]), "", str(half["mistakes"])),
        "",
        *(line(SCORES[name], *plain(name)) for name in ("roc_auc", "average_precision")),
        line(SCORES["ece"], *percent("ece")),
        line(SCORES["brier"], *plain("brier")),
    ]


def _no_better_than_chance(numbers: Mapping[str, Any]) -> list[str]:
    if numbers["ci95"]["roc_auc"]["low"] > CHANCE:
        return []
    return ["The 95 % CI of ROC AUC includes 0.5: no better than chance, or too few groups."]
