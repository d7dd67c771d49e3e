"""Split photos into train, validation and test set; the photos of a group stay together.

Groups are stratified by source and share of positives. Within a stratum they are sorted by a keyed
hash of their name (the key is the seed), and the order is cut: test, then val, then train. So a new
photo moves only the groups next to a cut; with a shuffle, nearly all would move.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from surface_crack.project.errors import DataError
from surface_crack.project.labels import CLASSES

SPLITS = ("train", "val", "test")
SMALL = 50  # rows; smaller strata of all sources are merged, or rounding would distort them
CRACKED = (0.0, 0.1, 0.3, 0.999)  # bin edges of a group's share of positives
TOLERANCE = 0.015  # difference between a class's share of rows in a set and the requested share
Size = tuple[int, int]  # negatives and positives of a group


def split_rows(
    groups: Sequence[str],
    labels: Sequence[int],
    sources: Sequence[str],
    shares: tuple[float, float],
    seed: int,
) -> dict[str, NDArray[np.int64]]:
    """Row numbers, ascending, of each set; `shares` are those of val and test.

    Rows with the same `groups` entry are assigned to the same set. Raises DataError if a set ends
    up without one of the classes.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for row, group in enumerate(groups):
        members[group].append(row)
    sizes: dict[str, Size] = {}
    for group, rows in members.items():
        positives = sum(labels[row] for row in rows)
        sizes[group] = len(rows) - positives, positives
    assigned: dict[str, str] = {}  # group -> set
    for stratum in _strata(sizes, {group: sources[rows[0]] for group, rows in members.items()}):
        total, done = sum(sum(sizes[group]) for group in stratum), 0
        for group in sorted(stratum, key=lambda group: _position(group, seed)):
            middle = (done + sum(sizes[group]) / 2) / total
            done += sum(sizes[group])
            val, test = shares
            assigned[group] = "test" if middle < test else "val" if middle < test + val else "train"
    _rebalance(assigned, sizes, shares)
    splits: dict[str, list[int]] = {split: [] for split in SPLITS}
    for group, split in assigned.items():
        splits[split] += members[group]
    _check_classes(splits, labels, len(members))
    return {split: np.array(sorted(rows), np.int64) for split, rows in splits.items()}


def _strata(sizes: Mapping[str, Size], source_of: Mapping[str, str]) -> list[list[str]]:
    """Groups by source and share of positives; small strata are merged across sources."""
    bins: dict[tuple[int, str], list[str]] = defaultdict(list)
    for group, (negatives, positives) in sizes.items():
        bin_ = sum(positives / (negatives + positives) > share for share in CRACKED)
        bins[bin_, source_of[group]].append(group)
    strata: dict[tuple[int, str], list[str]] = defaultdict(list)
    for (bin_, source), groups in bins.items():
        rows = sum(sum(sizes[group]) for group in groups)
        strata[bin_, source if rows >= SMALL else ""] += groups
    return list(strata.values())


def _rebalance(
    assigned: dict[str, str], sizes: Mapping[str, Size], shares: tuple[float, float]
) -> None:
    """Move groups, one at a time, while a class's share in a set is off by more than TOLERANCE.

    Cuts fall between groups, so each stratum is slightly off, and the errors may add up. Each step
    moves the group that reduces the squared error most.
    """
    names = sorted(assigned)
    place = np.array([SPLITS.index(assigned[name]) for name in names])
    size = np.zeros((len(names), 2))  # share of each class's rows
    for number, name in enumerate(names):
        size[number] = sizes[name]
    size /= np.maximum(size.sum(axis=0), 1)
    wanted = np.array([1 - sum(shares), *shares])[:, None]
    excess = np.stack([size[place == split].sum(axis=0) for split in range(3)]) - wanted
    while (np.abs(excess) > np.minimum(TOLERANCE, wanted / 2)).any():
        # Moving a group changes the sum of squares of `excess` by twice this.
        change = (size**2).sum(axis=1)[:, None] - (size * excess[place]).sum(axis=1)[:, None]
        change = change + size @ excess.T
        change[np.arange(len(names)), place] = 0  # not moving
        group, split = np.unravel_index(change.argmin(), change.shape)
        if change[group, split] > -1e-12:
            break
        excess[place[group]] -= size[group]
        excess[split] += size[group]
        place[group] = split
        assigned[names[group]] = SPLITS[split]


def _position(group: str, seed: int) -> bytes:
    return hashlib.blake2b(group.encode(), key=seed.to_bytes(8, "big"), digest_size=16).digest()


def _check_classes(splits: dict[str, list[int]], labels: Sequence[int], groups: int) -> None:
    for split, rows in splits.items():
        for label, name in enumerate(CLASSES):
            if all(labels[row] != label for row in rows):
                total = sum(value == label for value in labels)
                raise DataError(
                    f"the {split} set gets no {name} photo: there are {total}, and {groups} groups "
                    f"of {len(labels)} photos in total; add photos, or change val_share, "
                    "test_share, group_by or group_pattern"
                )


def count_leaked(family_of: NDArray[np.int64], splits: Mapping[str, NDArray[np.int64]]) -> int:
    """Number of photos whose family of near-duplicates (N,) is split across several sets."""
    splits_of: dict[int, set[str]] = defaultdict(set)
    for split, rows in splits.items():
        for family in family_of[rows].tolist():
            splits_of[family].add(split)
    return sum(len(splits_of[family]) > 1 for family in family_of.tolist())
