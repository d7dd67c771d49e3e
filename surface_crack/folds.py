"""Deal photos into folds, so that each is judged once by a network that never saw its group."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from surface_crack.errors import DataError

VAL_FOLDS = 8  # of the photos outside a fold, one part in so many chooses the best epoch


class Fold(NamedTuple):
    """Positions of the photos that train, choose the best epoch, and are judged; ascending."""

    train: NDArray[np.int64]
    val: NDArray[np.int64]
    held_out: NDArray[np.int64]


def deal_folds(
    kinds: Sequence[str], groups: Sequence[str], labels: NDArray[np.int64], folds: int, seed: int
) -> Iterator[Fold]:
    """Each photo is held out in one of the folds; a group stays whole.

    `kinds` (n,) are what each part should hold alike shares of, such as source and label. Raises
    DataError if some part would get no photo of a class.
    """
    every = np.arange(len(kinds))
    for rest, held_out in _parts(every, kinds, groups, folds, seed):
        train, val = next(_parts(rest, kinds, groups, VAL_FOLDS, seed))
        for part in (train, val, held_out):
            if len(np.unique(labels[part])) < 2:
                count = len(set(groups))
                raise DataError(
                    f"{folds} folds need photos of both classes in each: {count} groups of photos "
                    "that belong together are too few; ask for fewer folds or add photos"
                )
        yield Fold(train, val, held_out)


def _parts(
    among: NDArray[np.int64], kinds: Sequence[str], groups: Sequence[str], parts: int, seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """(all others, one part) of the positions `among`, for each part."""
    of_kind, of_group = np.array(kinds)[among], np.array(groups)[among]
    if len(np.unique(of_group)) < parts:
        raise DataError(
            f"{parts} folds need as many groups of photos that belong together, got "
            f"{len(np.unique(of_group))}: ask for fewer folds or add photos"
        )
    kind, place, count = np.unique(of_kind, return_inverse=True, return_counts=True)
    of_kind = np.where(count[place] < parts, kind[count.argmax()], of_kind)  # too rare to be dealt
    deal = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    for others, part in deal.split(among, of_kind, of_group):
        yield among[others], among[part]
