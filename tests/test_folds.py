"""Folds: everybody is judged once, by a network that never saw the group."""

import numpy as np
import pytest
from numpy.typing import NDArray

from surface_crack.errors import DataError
from surface_crack.folds import Fold, deal_folds


Photos = tuple[NDArray[np.int64], NDArray[np.int64]]  # (groups, labels)


def dealt(groups: NDArray[np.int64], labels: NDArray[np.int64]) -> list[Fold]:
    kinds = [f"site/{label}" for label in labels]
    return list(deal_folds(kinds, [f"g{group}" for group in groups], labels, 5, 0))


@pytest.fixture
def photos() -> Photos:
    """1,000 photos in 200 groups, a third of them cracked."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 200, 1000), (rng.random(1000) < 0.33).astype(np.int64)


def test_each_photo_is_held_out_once(photos: Photos) -> None:
    held_out = np.concatenate([fold.held_out for fold in dealt(*photos)])
    assert sorted(held_out) == list(range(1000))


def test_parts_of_a_fold_share_no_photo_and_no_group(
    photos: Photos,
) -> None:
    groups = photos[0]
    for fold in dealt(*photos):
        assert sorted(np.concatenate(fold)) == list(range(1000))
        train, val, held_out = ({*groups[part].tolist()} for part in fold)
        assert not train & val
        assert not train & held_out
        assert not val & held_out


def test_each_part_has_its_share_of_cracks(photos: Photos) -> None:
    labels = photos[1]
    for fold in dealt(*photos):
        for part in fold:
            assert labels[part].mean() == pytest.approx(labels.mean(), abs=0.03)


def test_rare_kinds_are_dealt_without_a_warning() -> None:
    labels = np.arange(100) % 2
    kinds = ["one of its kind", *["site"] * 99]
    folds = list(deal_folds(kinds, [str(n) for n in range(100)], labels, 5, 0))
    assert sorted(np.concatenate([fold.held_out for fold in folds])) == list(range(100))


def test_too_few_groups_are_refused() -> None:
    labels = np.arange(100) % 2
    with pytest.raises(DataError, match="5 folds need as many groups .* got 3"):
        dealt(np.arange(100) % 3, labels)


def test_a_part_without_a_class_is_refused() -> None:
    labels = (np.arange(100) == 7).astype(np.int64)
    with pytest.raises(DataError, match="photos of both classes"):
        dealt(np.arange(100), labels)
