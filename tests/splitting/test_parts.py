"""Splitting: each photo in one set, groups kept together, shares of classes kept; statistics."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surface_crack.project.errors import DataError
from surface_crack.splitting.parts import SPLITS, count_leaked, split_rows
from surface_crack.splitting.statistics import photo_side, pixel_statistics

SHARES = (0.15, 0.15)


def many(count: int) -> tuple[list[str], list[int], list[str]]:
    """Groups, labels and sources of `count` photos without duplicates."""
    return (
        [f"hash {number}" for number in range(count)],
        [number % 2 for number in range(count)],
        [("metu", "sdnet")[number % 3 == 0] for number in range(count)],
    )


@given(
    copies=st.lists(st.integers(0, 40), min_size=60, max_size=120),
    seed=st.integers(0, 2**31 - 1),
)
def test_each_row_is_assigned_once_and_groups_are_kept_together(
    copies: list[int], seed: int
) -> None:
    groups = [f"hash {number}" for number in copies] + [f"single {n}" for n in range(60)]
    labels = [n % 2 for n in range(len(groups))]  # some copies have both labels
    sources = ["metu" if n % 3 else "sdnet" for n in range(len(groups))]  # or two sources
    splits = split_rows(groups, labels, sources, SHARES, seed)
    rows = np.concatenate([splits[split] for split in SPLITS])
    assert sorted(rows) == list(range(len(groups)))
    for split in SPLITS:
        inside = {groups[row] for row in splits[split]}
        outside = {groups[row] for row in set(range(len(groups))) - set(splits[split])}
        assert not inside & outside


def test_shares_are_kept_in_each_class_and_source() -> None:
    groups, labels, sources = many(3000)
    splits = split_rows(groups, labels, sources, (0.2, 0.1), 0)
    for split, share in (("val", 0.2), ("test", 0.1), ("train", 0.7)):
        for label in (0, 1):
            for source in ("metu", "sdnet"):
                of_split = sum(labels[r] == label and sources[r] == source for r in splits[split])
                of_all = sum(
                    x == label and y == source for x, y in zip(labels, sources, strict=True)
                )
                assert of_split == pytest.approx(share * of_all, abs=1)


def test_the_split_depends_on_the_seed_and_not_on_the_row_order() -> None:
    groups, labels, sources = many(600)
    one = split_rows(groups, labels, sources, SHARES, 1)
    assert any(
        set(one["test"]) != set(split_rows(groups, labels, sources, SHARES, s)["test"])
        for s in (2,)
    )
    reversed_ = split_rows(groups[::-1], labels[::-1], sources[::-1], SHARES, 1)
    for split in SPLITS:
        assert {groups[row] for row in one[split]} == {
            groups[::-1][row] for row in reversed_[split]
        }


def test_adding_a_photo_moves_few_others() -> None:
    groups, labels, sources = many(2000)
    before = split_rows(groups, labels, sources, SHARES, 0)
    after = split_rows([*groups, "new"], [*labels, 1], [*sources, "metu"], SHARES, 0)
    place = {int(row): split for split in SPLITS for row in before[split]}
    moved = sum(place.get(int(row), split) != split for split in SPLITS for row in after[split])
    assert moved <= 2  # one at each cut


def mixed(rng: np.random.Generator, count: int, largest: int) -> tuple[list[str], list[int]]:
    """Groups of 1 to `largest` rows, most of one class, some of both, like tiles of a photo."""
    groups: list[str] = []
    labels: list[int] = []
    while len(groups) < count:
        size = min(int(rng.integers(1, largest + 1)), count - len(groups))
        cracked = rng.choice([0.0, 1.0, 0.1, 0.5])
        groups += [f"group {len(groups)}"] * size
        labels += (rng.random(size) < cracked).astype(int).tolist()
    return groups, labels


@pytest.mark.parametrize("sources_", [1, 2, 30])
@pytest.mark.parametrize("rare", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_classes_keep_their_shares_if_no_group_is_large(
    seed: int, rare: bool, sources_: int
) -> None:
    groups, labels = mixed(np.random.default_rng(seed), 2000, largest=20)
    if rare:  # a tenth are positive
        labels = [label if number % 5 == 0 else 0 for number, label in enumerate(labels)]
    sources = [f"source {int(group[6:]) % sources_}" for group in groups]
    splits = split_rows(groups, labels, sources, SHARES, seed)
    for split, share in (("train", 0.7), ("val", 0.15), ("test", 0.15)):
        for label in (0, 1):
            reached = sum(labels[row] == label for row in splits[split]) / labels.count(label)
            assert reached == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("seed", range(10))
def test_adding_a_photo_moves_at_most_one_per_cent(seed: int) -> None:
    groups, labels = mixed(np.random.default_rng(seed), 2000, largest=8)
    before = split_rows(groups, labels, ["x"] * 2000, SHARES, seed)
    place = {int(row): split for split in SPLITS for row in before[split]}
    for new in (f"new {seed}", groups[seed]):
        after = split_rows([*groups, new], [*labels, seed % 2], ["x"] * 2001, SHARES, seed)
        moved = sum(place.get(int(row), split) != split for split in SPLITS for row in after[split])
        assert moved <= 20


def test_large_mixed_groups_are_split_as_evenly_as_possible() -> None:
    """27 photos of 240 tiles; a sixth of the tiles are positive, most of them in a few photos."""
    rng = np.random.default_rng(0)
    cracked = rng.permutation([0.7, 0.6, 0.5, *[0.3] * 4, *[0.1] * 10, *[0.0] * 10])
    groups = [f"photo {number // 240}" for number in range(27 * 240)]
    labels = [int(rng.random() < cracked[number // 240]) for number in range(27 * 240)]
    for seed in range(5):
        splits = split_rows(groups, labels, ["sdnet"] * len(groups), SHARES, seed)
        for split in ("val", "test"):
            assert 2 <= len({groups[row] for row in splits[split]}) <= 6
            assert 0.05 < np.mean([labels[row] for row in splits[split]]) < 0.35


def test_leaked_near_duplicates_are_counted() -> None:
    splits = {"train": np.array([0, 1, 2]), "val": np.array([3]), "test": np.array([4, 5])}
    assert count_leaked(np.array([7, 7, 8, 9, 7, 7]), splits) == 4  # a family in train and test
    assert count_leaked(np.array([7, 7, 8, 9, 5, 5]), splits) == 0


@pytest.mark.parametrize("seed", range(6))
def test_a_large_group_of_duplicates_does_not_distort_the_shares(seed: int) -> None:
    groups = ["copy"] * 50 + [f"negative {n}" for n in range(50)] + [f"pos {n}" for n in range(100)]
    splits = split_rows(groups, [0] * 100 + [1] * 100, ["a"] * 200, SHARES, seed)
    assert [len(splits[split]) for split in SPLITS] == pytest.approx([140, 30, 30], abs=3)


@pytest.mark.parametrize(("sources", "photos"), [(20, 3), (20, 4), (100, 1), (7, 10)])
def test_many_small_sources_add_up_to_the_shares(sources: int, photos: int) -> None:
    count = 2 * sources * photos
    names = [f"source {n // (2 * photos)}" for n in range(count)]
    splits = split_rows(
        [str(n) for n in range(count)], [n % 2 for n in range(count)], names, SHARES, 0
    )
    for split in ("val", "test"):
        assert len(splits[split]) == pytest.approx(0.15 * count, abs=2)


def test_a_set_without_one_class_is_refused() -> None:
    with pytest.raises(DataError, match="the val set gets no positive photo: there are 2"):
        split_rows(list("abcdefghij"), [0] * 8 + [1] * 2, ["x"] * 10, SHARES, 0)


def test_pixel_statistics_agree_with_numpy_and_use_only_their_rows() -> None:
    images = np.random.default_rng(0).integers(0, 256, (600, 4, 4, 3), np.uint8)
    images[500:] = 255  # not among the rows
    rows = np.arange(0, 500)
    mean, std = pixel_statistics(images, rows)
    assert mean == pytest.approx(images[:500].mean(axis=(0, 1, 2)), abs=1e-4)
    assert std == pytest.approx(images[:500].std(axis=(0, 1, 2)), abs=1e-4)


def test_a_flat_channel_has_a_std_of_one() -> None:
    assert pixel_statistics(np.zeros((2, 4, 4, 3), np.uint8), np.arange(2))[1] == [1.0, 1.0, 1.0]


def test_photo_side_uses_only_its_rows() -> None:
    sizes = np.array([(200, 200), (400, 100), (300, 300), (9000, 9000)])  # sides 200, 200, 300
    assert photo_side(sizes, np.array([0, 1, 2])) == 200
    assert photo_side(sizes, np.array([1, 2])) == 250
