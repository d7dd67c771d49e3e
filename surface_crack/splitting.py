"""Deal photos into train, validation and test so that the photos of a group stay together.

Groups are put in an order that only the seed and their names decide (a keyed hash), and the order
is cut at the quotas of each class and source: test, then val, then train. So one photo more moves
only the few groups next to a cut, whatever its name; a shuffle would move nearly all. Groups too
large for a quota wait, and go where they bring a part closer to what was asked for.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from surface_crack.errors import DataError

PARTS = ("train", "val", "test")
SMALL = 50  # photos of a class in a source; smaller sources share quotas, or rounding eats them
NEARLY = 0.05  # of a quota; with less left, the first group that does not fit closes it
Cell = tuple[int, str]  # (label, source)
Size = Mapping[Cell, int]  # rows of each cell


class _Quota:
    """The rows that a part still wants of each cell."""

    def __init__(self, share: float, total: Size) -> None:
        self.total = total
        self.wanted = {cell: share * count for cell, count in total.items()}
        self.left = dict(self.wanted)
        self.closed: set[Cell] = set()

    def fits(self, size: Size) -> bool:
        """A group that does not fit ends the dealing of a cell that is nearly full.

        Going on with smaller groups would fill the last places, but let one photo more at the
        front change the place of many at the end.
        """
        if self.closed & size.keys():
            return False
        short = [cell for cell, count in size.items() if count > self.left[cell]]
        self.closed |= {cell for cell in short if self.left[cell] <= NEARLY * self.wanted[cell]}
        return not short

    def comes_closer(self, size: Size) -> bool:
        """Whether a group brings the part closer to its quotas, as shares of each class."""
        gain = sum(
            (self.left[cell] ** 2 - (self.left[cell] - count) ** 2) / self.total[cell] ** 2
            for cell, count in size.items()
        )
        return gain > 0 and not self.closed & size.keys()

    def take(self, size: Size) -> None:
        for cell, count in size.items():
            self.left[cell] -= count


def split_rows(
    groups: Sequence[str],
    labels: Sequence[int],
    sources: Sequence[str],
    shares: tuple[float, float],
    seed: int,
) -> dict[str, NDArray[np.int64]]:
    """Row numbers, ascending, of each part; `shares` are those of val and test.

    Rows with the same `groups` entry land in the same part. Raises DataError if a part ends up
    without a class.
    """
    cells = _cells(labels, sources)
    members: dict[str, list[int]] = defaultdict(list)
    for row, group in enumerate(groups):
        members[group].append(row)
    sizes = {group: Counter(cells[row] for row in rows) for group, rows in members.items()}
    total = Counter(cells)
    quotas = {"test": _Quota(shares[1], total), "val": _Quota(shares[0], total)}
    parts: dict[str, list[int]] = {part: [] for part in PARTS}
    waiting = sorted(members, key=lambda group: _position(group, seed))
    for suits in (_Quota.fits, _Quota.comes_closer):
        left_over = []
        for group in waiting:
            part = next((part for part in quotas if suits(quotas[part], sizes[group])), None)
            if part is None:
                left_over.append(group)
            else:
                quotas[part].take(sizes[group])
                parts[part] += members[group]
        waiting = left_over
    parts["train"] = [row for group in waiting for row in members[group]]
    _check_classes(parts, labels)
    return {part: np.array(sorted(rows), np.int64) for part, rows in parts.items()}


def _cells(labels: Sequence[int], sources: Sequence[str]) -> list[Cell]:
    """Of each row, where its quota is counted: its class and source, small sources together."""
    count = Counter(zip(labels, sources, strict=True))
    return [
        (label, source if count[label, source] >= SMALL else "")
        for label, source in zip(labels, sources, strict=True)
    ]


def _position(group: str, seed: int) -> bytes:
    return hashlib.blake2b(group.encode(), key=seed.to_bytes(8, "big"), digest_size=16).digest()


def _check_classes(parts: dict[str, list[int]], labels: Sequence[int]) -> None:
    for part, rows in parts.items():
        for label, name in ((0, "negative"), (1, "positive")):
            if all(labels[row] != label for row in rows):
                total = sum(value == label for value in labels)
                raise DataError(
                    f"the {part} part gets no {name} photo: there are {total} {name} photos; "
                    "add more or change val_share and test_share"
                )


def count_parted(twins: NDArray[np.int64], parts: Mapping[str, NDArray[np.int64]]) -> int:
    """How many photos have a twin in another part; `twins` are pairs of rows (P, 2)."""
    part_of = {int(row): part for part, rows in parts.items() for row in rows}
    pairs = [(one, other) for one, other in twins.tolist() if part_of[one] != part_of[other]]
    return len({row for pair in pairs for row in pair})


def pixel_statistics(
    images: NDArray[np.uint8], rows: NDArray[np.int64]
) -> tuple[list[float], list[float]]:
    """Mean and standard deviation per RGB channel, in [0, 255], of uint8 (N, S, S, 3) `images`.

    Counted as histograms of whole numbers, so that the order of rows and the width of the
    processor's registers cannot change the last digit.
    """
    counts = np.zeros((3, 256), np.int64)
    for start in range(0, len(rows), 256):
        chunk = images[rows[start : start + 256]]
        for channel in range(3):
            counts[channel] += np.bincount(chunk[..., channel].ravel(), minlength=256)
    levels = np.arange(256)
    pixels = counts.sum(axis=1)
    sums, squares = counts @ levels, counts @ (levels * levels)
    means, deviations = [], []
    for n, total, square in zip(pixels.tolist(), sums.tolist(), squares.tolist(), strict=True):
        variance = (n * square - total * total) / (n * n)  # exact integers until the division
        means.append(round(total / n, 4))
        deviations.append(max(round(variance**0.5, 4), 1.0))  # a flat channel is not blown up
    return means, deviations
