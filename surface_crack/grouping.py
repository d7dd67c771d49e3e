"""Which photos must stay together, and what their groups are called."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

Pair = tuple[int, int]


class Grouped(NamedTuple):
    """One line of groups.csv: `row` is the photo's number."""

    row: int
    group: str  # 16 hexadecimal digits
    rule: str  # what ties the photo to its group: copy, twin, pattern or look; or alone


def equals(labels: Iterable[object]) -> list[Pair]:
    """Each row with the first one of the same label; None is no label."""
    first: dict[object, int] = {}
    return [
        (first[label], row)
        for row, label in enumerate(labels)
        if label is not None and first.setdefault(label, row) != row
    ]


def components(count: int, pairs: Iterable[Sequence[int]] | NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of the family that each of `count` rows belongs to; `pairs` tie rows together.

    Families are numbered from 0 in the order of their first rows.
    """
    first = list(range(count))  # a row of the same family, none later than itself

    def earliest(row: int) -> int:
        while first[row] != row:
            first[row] = first[first[row]]  # halves the way for those who come after
            row = first[row]
        return row

    for pair in pairs.tolist() if isinstance(pairs, np.ndarray) else pairs:
        one, other = sorted(map(earliest, pair))
        first[other] = one
    return np.unique([earliest(row) for row in range(count)], return_inverse=True)[1]


def group_photos(contents: Sequence[str], ties: Mapping[str, Sequence[Pair]]) -> list[Grouped]:
    """Tie photos together, rule by rule; the first rule that ties a photo is the one it gets.

    A chain of ties is one group. It is called after what is in it (the smallest hash of
    `contents`), so that a photo more elsewhere renames nothing.
    """
    rules = ["alone"] * len(contents)
    for rule, pairs in ties.items():
        for row in {row for pair in pairs for row in pair}:
            if rules[row] == "alone":
                rules[row] = rule
    everything = [pair for pairs in ties.values() for pair in pairs]
    families = components(len(contents), everything).tolist()
    called: dict[int, str] = {}
    for family, content in zip(families, contents, strict=True):
        digest = hashlib.sha256(content.encode()).hexdigest()[:16]
        called[family] = min(digest, called.get(family, digest))
    return [Grouped(row, called[family], rules[row]) for row, family in enumerate(families)]


def lone_groups(index: "pd.DataFrame") -> list[Grouped]:
    """Every photo a group of its own, copies too: what a random split deals."""
    return group_photos((index["sha256"] + index["source"] + "/" + index["path"]).tolist(), {})
