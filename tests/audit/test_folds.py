"""Folds: everybody is judged once, by a network that never saw the group."""

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


def test_parts_share_no_photo_and_no_group(photos: Photos) -> None:
    for rest, held_out in split_folds(photos, EVERY, 5, 0):
        parts = [*split_train_val(photos, rest, 0.15, 0), held_out]
        assert sorted(np.concatenate(parts)) == list(range(1000))
        train, val, out = ({photos.groups[row] for row in part} for part in parts)
        assert not train & val
        assert not train & out
        assert not val & out


def test_each_part_has_its_share_of_cracks(photos: Photos) -> None:
    for rest, held_out in split_folds(photos, EVERY, 5, 0):
        for part in (*split_train_val(photos, rest, 0.15, 0), held_out):
            assert photos.labels[part].mean() == pytest.approx(photos.labels.mean(), abs=0.03)


@pytest.mark.parametrize("share", [0.05, 0.15, 0.5])
def test_val_has_its_share(photos: Photos, share: float) -> None:
    _, val = split_train_val(photos, EVERY, share, 0)
    assert len(val) == pytest.approx(1000 * share, rel=0.15)


def test_only_the_photos_asked_for_are_dealt(photos: Photos) -> None:
    among = EVERY[::3]
    for rest, held_out in split_folds(photos, among, 5, 0):
        assert sorted([*rest, *held_out]) == among.tolist()


def test_rare_kinds_are_dealt_without_a_warning(photos: Photos) -> None:
    photos = photos._replace(kinds=["one of its kind", *["site"] * 999])
    assert len(list(split_folds(photos, EVERY, 5, 0))) == 5


def test_too_few_groups_are_refused(photos: Photos) -> None:
    photos = photos._replace(groups=[str(n % 3) for n in range(1000)])
    with pytest.raises(DataError, match="5 folds need as many groups .* got 3"):
        next(split_folds(photos, EVERY, 5, 0))


def test_a_part_without_a_class_is_refused(photos: Photos) -> None:
    photos = photos._replace(labels=(EVERY == 7).astype(np.int64))
    with pytest.raises(DataError, match="photos of both classes"):
        split_train_val(photos, EVERY, 0.15, 0)
