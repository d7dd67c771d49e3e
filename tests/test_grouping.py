"""What belongs together gets one name, and a name outlives other photos."""

import pytest

from surface_crack.errors import DataError
from surface_crack.grouping import equals, group_photos, pattern_keys

NO_KEYS = [None] * 6


def names(*args: object) -> list[str]:
    return [photo.group for photo in group_photos(*args)]  # type: ignore[arg-type]


def test_ties_chain_and_say_which_rule_tied_them() -> None:
    groups = group_photos("abcdef", NO_KEYS, {"copy": [(0, 1)], "twin": [(1, 3), (3, 4)]})
    assert [photo.row for photo in groups] == list(range(6))
    assert [photo.rule for photo in groups] == ["copy", "copy", "alone", "twin", "twin", "alone"]
    assert len({photo.group for photo in groups}) == 3
    assert len({groups[row].group for row in (0, 1, 3, 4)}) == 1


def test_a_name_depends_on_the_group_alone() -> None:
    before = names("abcdef", NO_KEYS, {"twin": [(1, 3)]})
    after = names("xabcdef", [None] * 7, {"twin": [(2, 4)]})
    assert after[1:] == before
    assert names("fedcba", NO_KEYS, {"twin": [(4, 2)]}) == before[::-1]
    assert len(set(before)) == 5


def test_a_photo_more_of_the_same_key_renames_nothing() -> None:
    keys = ["one", "one", None, "two"]
    before = names("abcd", keys, {})
    for content in "0z":
        assert names(content + "abcd", ["one", *keys], {})[1:] == before


def test_pattern_keys_are_what_is_in_brackets_or_all_of_the_match() -> None:
    paths = ["Decks/Cracked/7001-12.jpg", "Decks/Non-cracked/7001-3.jpg", "Walls/Cracked/x.jpg"]
    one, other, none = pattern_keys(r"(\w+)/[^/]*/(\d+)-", ["s", "s", "s"], paths)
    assert one == other == "s\nDecks\n7001"
    assert none is None
    assert pattern_keys(r"\d+-", ["s", "t", "s"], paths) == ["s\n7001-", "t\n7001-", None]
    assert pattern_keys("", ["s"] * 3, paths) == [None] * 3


def test_a_pattern_that_matches_nothing_is_a_mistake() -> None:
    with pytest.raises(DataError, match=r"group_pattern 'x\+' matches no path, such as 'a.jpg'"):
        pattern_keys("x+", ["s"], ["a.jpg"])


def test_equals_pair_each_row_with_the_first() -> None:
    assert equals(["a", "b", "a", None, None, "a"]) == [(0, 2), (0, 5)]
