"""Groups of linked photos: rules, stable names, patterns, connected components."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from surface_crack.project.errors import DataError
from surface_crack.splitting.groups import group_photos, pattern_keys, singleton_groups
from surface_crack.splitting.ties import components, equal_pairs


def names(contents: str, ties: Mapping[str, Sequence[tuple[int, int]]]) -> list[str]:
    return [photo.group for photo in group_photos(contents, ties)]


def test_linked_photos_form_a_group_and_get_the_first_rule() -> None:
    ties = {"copy": [(0, 1)], "near-duplicate": [(1, 3), (3, 4)], "pattern": [(0, 4), (2, 0)]}
    groups = group_photos("abcdef", ties)
    assert [photo.row for photo in groups] == list(range(6))
    rules = ["copy", "copy", "pattern", "near-duplicate", "near-duplicate", "alone"]
    assert [photo.rule for photo in groups] == rules
    assert len({photo.group for photo in groups}) == 2
    assert groups[5].group not in {photo.group for photo in groups[:5]}


def test_a_group_name_depends_only_on_its_contents() -> None:
    before = names("abcdef", {"near-duplicate": [(1, 3)]})
    assert names("xabcdef", {"near-duplicate": [(2, 4)]})[1:] == before
    assert names("fedcba", {"near-duplicate": [(4, 2)]}) == before[::-1]
    assert len(set(before)) == 5


def test_components_of_linked_rows() -> None:
    family = components(6, [(0, 3), (3, 5), (1, 2)])
    assert [list(family).index(number) for number in family] == [0, 1, 1, 0, 4, 0]
    assert len(set(components(3, []))) == 3
    assert list(components(5, np.array([[4, 3], [3, 1], [2, 2]]))) == [0, 1, 2, 1, 1]


def test_components_agree_with_scipy() -> None:
    draw = np.random.default_rng(0)
    for count, ties in ((50, 20), (50, 60), (1000, 800)):
        pairs = draw.integers(0, count, (ties, 2))
        graph = coo_array((np.ones(ties), tuple(pairs.T)), (count, count))
        assert components(count, pairs).tolist() == connected_components(graph, False)[1].tolist()


def test_singleton_groups_separate_copies() -> None:
    index = pd.DataFrame({"sha256": ["a", "a"], "source": ["s", "s"], "path": ["1", "2"]})
    one, other = singleton_groups(index)
    assert one.group != other.group
    assert one.rule == other.rule == "alone"


def test_pattern_keys_are_the_regex_groups_or_the_whole_match() -> None:
    paths = ["Decks/Cracked/7001-12.jpg", "Decks/Non-cracked/7001-3.jpg", "Walls/Cracked/x.jpg"]
    one, other, none = pattern_keys(r"(\w+)/[^/]*/(\d+)-", ["s", "s", "s"], paths)
    assert one == other == "s\nDecks\n7001"
    assert none is None
    assert pattern_keys(r"\d+-", ["s", "t", "s"], paths) == ["s\n7001-", "t\n7001-", None]
    assert pattern_keys("", ["s"] * 3, paths) == [None] * 3
    with pytest.raises(DataError, match="matches no path"):
        pattern_keys("x*", ["s"] * 3, paths)
    assert pattern_keys(r"(Decks)?/(x)?", ["s"] * 3, paths) == ["s\nDecks\n", "s\nDecks\n", None]


def test_a_pattern_that_matches_nothing_is_an_error() -> None:
    with pytest.raises(DataError, match=r"'x\+' matches no path, for example 'a.jpg'"):
        pattern_keys("x+", ["s"], ["a.jpg"])


def test_equal_pairs_link_each_row_to_the_first() -> None:
    assert equal_pairs(["a", "b", "a", None, None, "a"]) == [(0, 2), (0, 5)]
