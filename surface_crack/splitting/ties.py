"""Pairs of photos that belong together, and the families that chains of them make."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Pair = tuple[int, int]


def equal_pairs(labels: Iterable[object]) -> list[Pair]:
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
