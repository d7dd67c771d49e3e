"""Cross-validation folds: each photo is held out once, with its whole group."""

import numpy as np
import pytest

from surface_crack.audit.folds import Photos, split_folds, split_train_val
from surface_crack.project.errors import DataError

EVERY = np.arange(1000)


@pytest.fixture
def photos() -> Photos:
    """1,000 photos in 200 groups, a third of them cracked."""
    rng = np.random.default_rng(0)
    labels = (rng.random(1000) < 0.33).astype(np.int64)
    return Photos(labels, ["site"] * 1000, [str(n) for n in rng.integers(0, 200, 1000)])


def test_each_photo_is_held_out_once(photos: Photos) -> None:
    held_out = np.concatenate([part for _, part in split_folds(photos, EVERY, 5, 0)])
    assert sorted(held_out) == list(range(1000))


def test_sets_share_no_photo_and_no_group(photos: Photos) -> None:
    for rest, held_out in split_folds(photos, EVERY, 5, 0):
        parts = [*split_train_val(photos, rest, 0.15, 0), held_out]
        assert sorted(np.concatenate(parts)) == list(range(1000))
        train, val, out = ({photos.groups[row] for row in part} for part in parts)
        assert not train & val
        assert not train & out
        assert not val & out


def test_each_set_has_the_same_share_of_positives(photos: Photos) -> None:
    for rest, held_out in split_folds(photos, EVERY, 5, 0):
        for part in (*split_train_val(photos, rest, 0.15, 0), held_out):
            assert photos.labels[part].mean() == pytest.approx(photos.labels.mean(), abs=0.03)


@pytest.mark.parametrize("share", [0.05, 0.15, 0.5])
def test_the_validation_set_has_val_share_of_the_photos(photos: Photos, share: float) -> None:
    _, val = split_train_val(photos, EVERY, share, 0)
    assert len(val) == pytest.approx(1000 * share, rel=0.15)


def test_only_the_given_positions_are_split(photos: Photos) -> None:
    among = EVERY[::3]
    for rest, held_out in split_folds(photos, among, 5, 0):
        assert sorted([*rest, *held_out]) == among.tolist()


def test_rare_strata_give_no_warning(photos: Photos) -> None:
    photos = photos._replace(strata=["one of its kind", *["site"] * 999])
    assert len(list(split_folds(photos, EVERY, 5, 0))) == 5


def test_too_few_groups_are_an_error(photos: Photos) -> None:
    photos = photos._replace(groups=[str(n % 3) for n in range(1000)])
    with pytest.raises(DataError, match="5 folds need at least 5 groups of photos, got 3"):
        next(split_folds(photos, EVERY, 5, 0))


def test_a_set_without_one_class_is_an_error(photos: Photos) -> None:
    photos = photos._replace(labels=(EVERY == 7).astype(np.int64))
    with pytest.raises(DataError, match="photos of both classes"):
        split_train_val(photos, EVERY, 0.15, 0)
