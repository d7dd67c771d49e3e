"""Deal photos into train, validation and test so that exact copies stay together.

Within each source and class, groups of copies are put in an order that only the seed and their
own content decide (a keyed hash), and the order is cut at the quotas. So one photo more moves
only the few groups next to a cut, whatever its name; a shuffle would move nearly all.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from surface_crack.errors import DataError

PARTS = ("train", "val", "test")


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
    strata: dict[tuple[int, str], dict[str, list[int]]] = {}
    first: dict[str, tuple[int, str]] = {}
    for row, (group, label, source) in enumerate(zip(groups, labels, sources, strict=True)):
        stratum = first.setdefault(group, (label, source))  # a mixed group counts as its first row
        strata.setdefault(stratum, {}).setdefault(group, []).append(row)
    parts: dict[str, list[int]] = {part: [] for part in PARTS}
    totals: dict[int, Counter[str]] = defaultdict(Counter)  # rows of a class in each part so far
    for (label, _), members in sorted(strata.items()):
        # Quotas count the sources before, so that many small ones still add up to the shares.
        so_far = totals[label].total() + sum(map(len, members.values()))
        val, test = (
            round(share * so_far) - totals[label][part]
            for share, part in zip(shares, ("val", "test"), strict=True)
        )
        for part, rows in _deal(members, val, test, seed):
            parts[part] += rows
            totals[label][part] += len(rows)
    _check_classes(parts, labels)
    return {part: np.array(sorted(rows), np.int64) for part, rows in parts.items()}


def _deal(
    members: dict[str, list[int]], val: int, test: int, seed: int
) -> Iterator[tuple[str, list[int]]]:
    """Cut one stratum: its first groups to test, the next to val, the rest to train.

    `val` and `test` are numbers of rows. A group too large for what is left of them goes on.
    """
    for group in sorted(members, key=lambda group: _position(group, seed)):
        size = len(members[group])
        if size <= test:
            part, test = "test", test - size
        elif size <= val:
            part, val = "val", val - size
        else:
            part = "train"
        yield part, members[group]


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
