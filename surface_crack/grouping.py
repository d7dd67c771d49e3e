"""Which photos must stay together, and what their groups are called."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from surface_crack.errors import DataError

Pair = tuple[int, int]


class Grouped(NamedTuple):
    """One line of groups.csv: `row` is the photo's number."""

    row: int
    group: str  # 16 hexadecimal digits
    rule: str  # what ties the photo to its group: copy, twin, pattern or look; or alone


def pattern_keys(pattern: str, sources: Sequence[str], paths: Sequence[str]) -> list[str | None]:
    """What `pattern` finds in each path: its brackets, or all of the match; None for no match.

    The same find in two sources means nothing. Raises DataError if it matches no path at all.
    """
    if not pattern:
        return [None] * len(paths)
    found = [re.search(pattern, path) for path in paths]
    if not any(found):
        raise DataError(
            f"group_pattern {pattern!r} matches no path, such as {paths[0]!r}: mend it in "
            "params.yaml, or set it to ''"
        )
    return [
        "\n".join([source, *(part or "" for part in match.groups() or [match[0]])])
        if match
        else None
        for source, match in zip(sources, found, strict=True)
    ]


def equals(labels: Iterable[object]) -> list[Pair]:
    """Each row with the first one of the same label; None is no label."""
    first: dict[object, int] = {}
    return [
        (first[label], row)
        for row, label in enumerate(labels)
        if label is not None and first.setdefault(label, row) != row
    ]


def group_photos(
    contents: Sequence[str], keys: Sequence[str | None], ties: Mapping[str, Iterable[Pair]]
) -> list[Grouped]:
    """Tie photos with equal `keys` together, and those that `ties` pairs, rule by rule.

    A chain of ties is one group. It is called after what is in it (`contents`, or the key where
    there is one, hashed, and the smallest of them), so that a photo more elsewhere renames nothing.
    """
    parent = list(range(len(contents)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    rules = ["alone"] * len(contents)
    for rule, pairs in {**ties, "pattern": equals(keys)}.items():
        for pair in pairs:
            for row in pair:
                if rules[row] == "alone":
                    rules[row] = rule
            parent[root(pair[0])] = root(pair[1])
    called: dict[int, str] = {}
    for row, (content, key) in enumerate(zip(contents, keys, strict=True)):
        own = content if key is None else key
        digest = hashlib.sha256(own.encode(errors="backslashreplace")).hexdigest()[:16]
        called[root(row)] = min(digest, called.get(root(row), digest))
    return [Grouped(row, called[root(row)], rule) for row, rule in enumerate(rules)]
