"""Deal photos into train, validation and test so that the photos of a group stay together.

Groups of one source and like shares of cracks are put in an order that only the seed and their
names decide (a keyed hash), and the order is cut: test, then val, then train. So one photo more
moves only the groups next to a cut, whatever its name; a shuffle would move nearly all.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from surface_crack.project.errors import DataError
from surface_crack.project.labels import CLASSES

SPLITS = ("train", "val", "test")
SMALL = 50  # rows; kinds of groups with fewer are dealt together, or rounding would eat them
CRACKED = (0.0, 0.1, 0.3, 0.999)  # shares of cracks in a group, between which groups are alike
FAR_OFF = 0.015  # of a class, between its share of rows in a part and what was asked for
Size = tuple[int, int]  # rows of a group without and with a crack


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
    members: dict[str, list[int]] = defaultdict(list)
    for row, group in enumerate(groups):
        members[group].append(row)
    sizes: dict[str, Size] = {}
    for group, rows in members.items():
        cracks = sum(labels[row] for row in rows)
        sizes[group] = len(rows) - cracks, cracks
    home: dict[str, str] = {}  # of each group: its part
    for alike in _strata(sizes, {group: sources[rows[0]] for group, rows in members.items()}):
        total, done = sum(sum(sizes[group]) for group in alike), 0
        for group in sorted(alike, key=lambda group: _position(group, seed)):
            middle = (done + sum(sizes[group]) / 2) / total
            done += sum(sizes[group])
            val, test = shares
            home[group] = "test" if middle < test else "val" if middle < test + val else "train"
    _even_out(home, sizes, shares)
    parts: dict[str, list[int]] = {part: [] for part in SPLITS}
    for group, part in home.items():
        parts[part] += members[group]
    _check_classes(parts, labels, len(members))
    return {part: np.array(sorted(rows), np.int64) for part, rows in parts.items()}


def _strata(sizes: Mapping[str, Size], source_of: Mapping[str, str]) -> list[list[str]]:
    """Groups of one source and like shares of cracks; rare kinds of all sources together."""
    kinds: dict[tuple[int, str], list[str]] = defaultdict(list)
    for group, (sound, cracks) in sizes.items():
        kind = sum(cracks / (sound + cracks) > share for share in CRACKED)
        kinds[kind, source_of[group]].append(group)
    strata: dict[tuple[int, str], list[str]] = defaultdict(list)
    for (kind, source), alike in kinds.items():
        rows = sum(sum(sizes[group]) for group in alike)
        strata[kind, source if rows >= SMALL else ""] += alike
    return list(strata.values())


def _even_out(home: dict[str, str], sizes: Mapping[str, Size], shares: tuple[float, float]) -> None:
    """Move groups, one at a time, while a class's share in some part is further off than FAR_OFF.

    Cuts fall between groups, so each is a little off, and that may add up. Each time the group
    moves that mends most.
    """
    names = sorted(home)
    place = np.array([SPLITS.index(home[name]) for name in names])
    size = np.zeros((len(names), 2))  # share of each class's rows
    for number, name in enumerate(names):
        size[number] = sizes[name]
    size /= np.maximum(size.sum(axis=0), 1)
    wanted = np.array([1 - sum(shares), *shares])[:, None]
    too_much = np.stack([size[place == part].sum(axis=0) for part in range(3)]) - wanted
    while (np.abs(too_much) > np.minimum(FAR_OFF, wanted / 2)).any():
        # Moving a group changes the sum of squares of `too_much` by twice this.
        change = (size**2).sum(axis=1)[:, None] - (size * too_much[place]).sum(axis=1)[:, None]
        change = change + size @ too_much.T
        change[np.arange(len(names)), place] = 0  # staying where it is
        group, part = np.unravel_index(change.argmin(), change.shape)
        if change[group, part] > -1e-12:
            break
        too_much[place[group]] -= size[group]
        too_much[part] += size[group]
        place[group] = part
        home[names[group]] = SPLITS[part]


def _position(group: str, seed: int) -> bytes:
    return hashlib.blake2b(group.encode(), key=seed.to_bytes(8, "big"), digest_size=16).digest()


def _check_classes(parts: dict[str, list[int]], labels: Sequence[int], groups: int) -> None:
    for part, rows in parts.items():
        for label, name in enumerate(CLASSES):
            if all(labels[row] != label for row in rows):
                total = sum(value == label for value in labels)
                raise DataError(
                    f"the {part} part gets no {name} photo: there are {total}, and {groups} groups "
                    f"of all {len(labels)} photos; add photos, or change val_share and test_share, "
                    "group_by or group_pattern"
                )


def count_leaked(families: NDArray[np.int64], parts: Mapping[str, NDArray[np.int64]]) -> int:
    """How many photos belong to a family (N,) that has members in several parts."""
    homes: dict[int, set[str]] = defaultdict(set)
    for part, rows in parts.items():
        for family in families[rows].tolist():
            homes[family].add(part)
    return sum(len(homes[family]) > 1 for family in families.tolist())
