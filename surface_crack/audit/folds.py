"""Split photos into cross-validation folds, with each group in one fold."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from surface_crack.project.errors import DataError

MIN_VAL_GROUPS = 3  # in the validation set of a fold, if there are enough groups


class Photos(NamedTuple):
    """What the split needs to know of n photos."""

    labels: NDArray[np.int64]  # (n,) 1 crack, 0 none
    strata: Sequence[str]  # (n,) stratified by, besides the labels; such as the source
    groups: Sequence[str]  # (n,) photos of a group are kept in one fold


Rows = NDArray[np.int64]


def split_folds(photos: Photos, among: Rows, folds: int, seed: int) -> Iterator[tuple[Rows, Rows]]:
    """Yield (positions of the other folds, held-out positions) for each fold of `among`, ascending.

    Each photo is held out once. Raises DataError if there are fewer groups than folds.
    """
    groups = np.array(photos.groups)[among]
    count = len(np.unique(groups))
    if count < folds:
        raise DataError(
            f"{folds} folds need at least {folds} groups of photos, got {count}: use fewer folds "
            "or add photos"
        )
    names = [f"{photos.strata[row]} {photos.labels[row]}" for row in among.tolist()]
    stratum, members = np.unique(names, return_inverse=True, return_counts=True)[1:]
    stratum = np.where(members[stratum] < folds, members.argmax(), stratum)  # merge rare strata
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for others, held_out in splitter.split(among, stratum, groups):
        yield among[others], among[held_out]


def split_train_val(photos: Photos, among: Rows, val_share: float, seed: int) -> tuple[Rows, Rows]:
    """Split the positions `among` into (training, validation), the latter about `val_share`.

    The validation set chooses the best epoch. Raises DataError if a set would lack a class.
    """
    count = len({photos.groups[row] for row in among.tolist()})
    folds = max(2, min(round(1 / val_share), count // MIN_VAL_GROUPS))
    train, val = next(split_folds(photos, among, folds, seed))
    for rows in (train, val):
        if len(np.unique(photos.labels[rows])) < 2:
            raise DataError(
                f"{count} groups of photos are too few for a training and a validation set with "
                "photos of both classes: use fewer folds or add photos"
            )
    return train, val
