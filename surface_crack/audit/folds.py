"""Deal photos into folds, so that each is judged once by a network that never saw its group."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from surface_crack.project.errors import DataError

GROUPS = 3  # in the part that chooses the best epoch, or as near as can be


class Photos(NamedTuple):
    """What dealing needs to know of n photos."""

    labels: NDArray[np.int64]  # (n,) 1 crack, 0 none
    kinds: Sequence[str]  # (n,) what each part should hold alike shares of, besides the labels
    groups: Sequence[str]  # (n,) photos of a group stay together


Rows = NDArray[np.int64]


def split_folds(photos: Photos, among: Rows, folds: int, seed: int) -> Iterator[tuple[Rows, Rows]]:
    """(all others, those held out) of the positions `among`, ascending, for each fold.

    Each photo is held out in one fold. Raises DataError if there are too few groups.
    """
    groups = np.array(photos.groups)[among]
    count = len(np.unique(groups))
    if count < folds:
        raise DataError(
            f"{folds} folds need as many groups of photos that belong together, got {count}: "
            "ask for fewer folds or add photos"
        )
    kinds = [f"{photos.kinds[row]} {photos.labels[row]}" for row in among.tolist()]
    place, members = np.unique(kinds, return_inverse=True, return_counts=True)[1:]
    place = np.where(members[place] < folds, members.argmax(), place)  # too rare to be dealt
    deal = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for others, part in deal.split(among, place, groups):
        yield among[others], among[part]


def split_train_val(photos: Photos, among: Rows, val_share: float, seed: int) -> tuple[Rows, Rows]:
    """The positions `among` in two: those that train, and those that choose the best epoch.

    The latter are about `val_share` of them. Raises DataError if a part would lack a class.
    """
    count = len({photos.groups[row] for row in among.tolist()})
    parts = max(2, min(round(1 / val_share), count // GROUPS))
    train, val = next(split_folds(photos, among, parts, seed))
    for rows in (train, val):
        if len(np.unique(photos.labels[rows])) < 2:
            raise DataError(
                f"{count} groups of photos that belong together are too few to leave photos of "
                "both classes to each part: ask for fewer folds or add photos"
            )
    return train, val
