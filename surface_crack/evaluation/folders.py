"""Scores per source and folder, as rows of folders.csv and as lines of a text report."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from surface_crack.evaluation.intervals import accuracy_interval, roc_auc_of
from surface_crack.evaluation.terms import ALL, shortened

WIDTH = 80  # characters per line of a text report
SHOWN = 40  # folders in a text report


class Prediction(NamedTuple):
    """A photo with its label and prediction: one row of predictions.csv."""

    source: str
    path: str
    label: int  # 1 crack, 0 none
    group: str  # the same for photos that must be kept in one set
    probability: float  # calibrated P(crack)
    decided: int  # 1 if the probability is at or above the threshold


class FolderScores(NamedTuple):
    """One row of folders.csv. Undefined scores, such as recall without cracks, are None."""

    source: str
    folder: str  # without the class folder; empty at the root, `*` in a source's total
    photos: int
    cracks: int  # positives
    false_negatives: int  # missed cracks
    false_positives: int
    accuracy: float
    low: float  # 95 % confidence interval of the accuracy
    high: float
    recall: float | None
    precision: float | None
    roc_auc: float | None


def folder_table(photos: Iterable[Prediction]) -> list[FolderScores]:
    """One row per folder of each source, after a total (`*`) for sources with several folders."""
    sources: dict[str, dict[str, list[Prediction]]] = defaultdict(lambda: defaultdict(list))
    for photo in photos:
        parent = PurePosixPath(photo.path).parent.parent.as_posix()
        sources[photo.source]["" if parent == "." else parent].append(photo)
    table = []
    for source, folders in sorted(sources.items()):
        if len(folders) > 1:
            table.append(_folder(source, ALL, [photo for own in folders.values() for photo in own]))
        table += [_folder(source, name, own) for name, own in sorted(folders.items())]
    return table


def _folder(source: str, folder: str, photos: Sequence[Prediction]) -> FolderScores:
    labels = np.array([photo.label for photo in photos])
    decided = np.array([photo.decided for photo in photos])
    probability = np.array([photo.probability for photo in photos])
    positives, flagged = int(labels.sum()), int(decided.sum())
    found = int((labels & decided).sum())
    low, high = accuracy_interval(labels == decided, [photo.group for photo in photos])
    return FolderScores(
        source=source,
        folder=folder,
        photos=len(photos),
        cracks=positives,
        false_negatives=positives - found,
        false_positives=flagged - found,
        accuracy=_rounded((labels == decided).mean()),
        low=_rounded(low),
        high=_rounded(high),
        recall=_rounded(found / positives) if positives else None,
        precision=_rounded(found / flagged) if flagged else None,
        roc_auc=(
            _rounded(roc_auc_of(labels, probability)) if 0 < positives < len(photos) else None
        ),
    )


def _rounded(value: float) -> float:
    return float(np.round(value, 6))


def folder_lines(folders: Sequence[FolderScores], whole: str) -> list[str]:
    """Format the folders with the most mistakes, in table order; `whole` names the full table."""
    mistakes = [folder.false_negatives + folder.false_positives for folder in folders]
    worst = sorted(range(len(folders)), key=lambda place: -mistakes[place])[:SHOWN]
    lines = [
        f"{'per folder':26}{'photos':>7}{'positive':>9}{'FN':>6}{'FP':>6}"
        f"{'accuracy % (95 % CI)':>26}",
        *(_folder_line(folders[place]) for place in sorted(worst)),
    ]
    if len(folders) > SHOWN:
        lines.append(f"The {SHOWN} folders with the most mistakes; all {len(folders)}: {whole}")
    return lines


def _folder_line(row: FolderScores) -> str:
    name = shortened(f"{row.source}/{row.folder}".rstrip("/"), 25)
    low, high = f"{100 * row.low:.2f}", f"{100 * row.high:.2f}"
    counts = f"{row.photos:7}{row.cracks:9}{row.false_negatives:6}{row.false_positives:6}"
    return f"{name:26}{counts}{100 * row.accuracy:8.2f} {f'({low} to {high})':>17}"
