"""The scores of each source and folder, and their lines in a report of 80 columns."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from surface_crack.evaluation.intervals import accuracy_interval, roc_auc_of
from surface_crack.evaluation.terms import ALL, shortened

WIDTH = 80  # columns
SHOWN = 40  # folders


class Prediction(NamedTuple):
    """A photo and what the model said of it: one line of predictions.csv."""

    source: str
    path: str
    label: int  # 1 crack, 0 none
    group: str  # photos that belong together have the same
    probability: float  # of a crack, calibrated
    decided: int  # 1 where that reaches the threshold


class FolderScores(NamedTuple):
    """One line of folders.csv. Scores that a folder's photos leave undefined are None."""

    source: str
    folder: str  # without the class folder; blank at the root, `*` in a source's total
    photos: int
    cracks: int
    missed: int
    false_alarms: int
    accuracy: float
    low: float  # its 95 % interval
    high: float
    recall: float | None
    precision: float | None
    roc_auc: float | None


def folder_table(photos: Iterable[Prediction]) -> list[FolderScores]:
    """A line per source and folder, and before these one per source with several."""
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
    cracks, alarms = int(labels.sum()), int(decided.sum())
    found = int((labels & decided).sum())
    low, high = accuracy_interval(labels == decided, [photo.group for photo in photos])
    return FolderScores(
        source=source,
        folder=folder,
        photos=len(photos),
        cracks=cracks,
        missed=cracks - found,
        false_alarms=alarms - found,
        accuracy=_rounded((labels == decided).mean()),
        low=_rounded(low),
        high=_rounded(high),
        recall=_rounded(found / cracks) if cracks else None,
        precision=_rounded(found / alarms) if alarms else None,
        roc_auc=(
            _rounded(roc_auc_of(labels, probability)) if 0 < cracks < len(photos) else None
        ),
    )


def _rounded(value: float) -> float:
    return float(np.round(value, 6))


def folder_lines(folders: Sequence[FolderScores], whole: str) -> list[str]:
    """The folders with the most mistakes, in the order of the table; `whole` says where all are."""
    mistakes = [folder.missed + folder.false_alarms for folder in folders]
    worst = sorted(range(len(folders)), key=lambda place: -mistakes[place])[:SHOWN]
    lines = [
        f"{'':26}{'photos':>7}{'cracks':>7}{'missed':>7}{'false':>6}{'accuracy %':>27}",
        *(_folder_line(folders[place]) for place in sorted(worst)),
    ]
    if len(folders) > SHOWN:
        lines.append(f"The {SHOWN} with the most mistakes; all {len(folders)}: {whole}")
    return lines


def _folder_line(row: FolderScores) -> str:
    name = shortened(f"{row.source}/{row.folder}".rstrip("/"), 25)
    low, high = f"{100 * row.low:.2f}", f"{100 * row.high:.2f}"
    counts = f"{row.photos:7}{row.cracks:7}{row.missed:7}{row.false_alarms:6}"
    return f"{name:26}{counts}{100 * row.accuracy:9.2f} {f'({low} to {high})':>17}"
