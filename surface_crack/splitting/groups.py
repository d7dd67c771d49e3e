"""Groups of photos that must stay together, and their names."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from surface_crack.project.errors import DataError
from surface_crack.splitting.ties import Pair, components

if TYPE_CHECKING:
    import pandas as pd


class Grouped(NamedTuple):
    """One line of groups.csv: `row` is the photo's number."""

    row: int
    group: str  # 16 hexadecimal digits
    rule: str  # what links it to its group: copy, near-duplicate, pattern, appearance; or alone


def group_photos(contents: Sequence[str], ties: Mapping[str, Sequence[Pair]]) -> list[Grouped]:
    """Group linked photos (`ties`: rule -> pairs); a photo's rule is the first that links it.

    Linked photos form one group, also transitively. A group is named after its contents (the
    smallest hash of `contents`), so that a new photo elsewhere does not rename it.
    """
    rules = ["alone"] * len(contents)
    for rule, pairs in ties.items():
        for row in {row for pair in pairs for row in pair}:
            if rules[row] == "alone":
                rules[row] = rule
    everything = [pair for pairs in ties.values() for pair in pairs]
    component_of = components(len(contents), everything).tolist()
    name_of: dict[int, str] = {}
    for component, content in zip(component_of, contents, strict=True):
        digest = hashlib.sha256(content.encode()).hexdigest()[:16]
        name_of[component] = min(digest, name_of.get(component, digest))
    return [Grouped(row, name_of[found], rules[row]) for row, found in enumerate(component_of)]


def singleton_groups(index: "pd.DataFrame") -> list[Grouped]:
    """Every photo as a group of its own, copies too: the groups of a random split."""
    return group_photos((index["sha256"] + index["source"] + "/" + index["path"]).tolist(), {})


def pattern_keys(pattern: str, sources: Sequence[str], paths: Sequence[str]) -> list[str | None]:
    """Key of each path: the groups of the regular expression, or the whole match; None: no match.

    Equal matches in different sources are different keys. Raises DataError if no path matches.
    """
    if not pattern:
        return [None] * len(paths)
    keys: list[str | None] = []
    for source, path in zip(sources, paths, strict=True):
        match = re.search(pattern, path)
        parts = [part or "" for part in match.groups() or [match[0]]] if match else []
        keys.append("\n".join([source, *parts]) if any(parts) else None)
    if not any(keys):
        raise DataError(
            f"group_pattern {pattern!r} matches no path, for example {paths[0]!r}: "
            "correct it in params.yaml, or set it to ''"
        )
    return keys
