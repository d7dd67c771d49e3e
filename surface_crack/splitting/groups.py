"""Which photos must stay together, and what their groups are called."""

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
    rule: str  # what ties the photo to its group: copy, twin, pattern or look; or alone


def group_photos(contents: Sequence[str], ties: Mapping[str, Sequence[Pair]]) -> list[Grouped]:
    """Tie photos together, rule by rule; the first rule that ties a photo is the one it gets.

    A chain of ties is one group. It is called after what is in it (the smallest hash of
    `contents`), so that a photo more elsewhere renames nothing.
    """
    rules = ["alone"] * len(contents)
    for rule, pairs in ties.items():
        for row in {row for pair in pairs for row in pair}:
            if rules[row] == "alone":
                rules[row] = rule
    everything = [pair for pairs in ties.values() for pair in pairs]
    families = components(len(contents), everything).tolist()
    called: dict[int, str] = {}
    for family, content in zip(families, contents, strict=True):
        digest = hashlib.sha256(content.encode()).hexdigest()[:16]
        called[family] = min(digest, called.get(family, digest))
    return [Grouped(row, called[family], rules[row]) for row, family in enumerate(families)]


def singleton_groups(index: "pd.DataFrame") -> list[Grouped]:
    """Every photo a group of its own, copies too: what a random split deals."""
    return group_photos((index["sha256"] + index["source"] + "/" + index["path"]).tolist(), {})


def pattern_keys(pattern: str, sources: Sequence[str], paths: Sequence[str]) -> list[str | None]:
    """What `pattern` finds in each path: its brackets, or all of the match; None for nothing.

    The same find in two sources means nothing. Raises DataError if it finds nothing at all.
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
            f"group_pattern {pattern!r} finds nothing in any path, such as {paths[0]!r}: "
            "mend it in params.yaml, or set it to ''"
        )
    return keys
