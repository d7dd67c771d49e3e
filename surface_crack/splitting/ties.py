"""Linked pairs of photos, and their connected components."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Pair = tuple[int, int]


def equal_pairs(labels: Iterable[object]) -> list[Pair]:
    """Pairs (first row with this label, row) of equal labels; rows labelled None are skipped."""
    first: dict[object, int] = {}
    return [
        (first[label], row)
        for row, label in enumerate(labels)
        if label is not None and first.setdefault(label, row) != row
    ]


def components(count: int, pairs: Iterable[Sequence[int]] | NDArray[np.int64]) -> NDArray[np.int64]:
    """Connected component of each of `count` rows, linked by `pairs` (union-find).

    Components are numbered from 0 in the order of their first rows.
    """
    first = list(range(count))  # parent: a row of the same component, not after this one

    def earliest(row: int) -> int:
        while first[row] != row:
            first[row] = first[first[row]]  # path halving
            row = first[row]
        return row

    for pair in pairs.tolist() if isinstance(pairs, np.ndarray) else pairs:
        one, other = sorted(map(earliest, pair))
        first[other] = one
    return np.unique([earliest(row) for row in range(count)], return_inverse=True)[1]
