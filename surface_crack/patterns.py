"""What a regular expression over paths says about which photos belong together."""

import re
from collections.abc import Sequence

from surface_crack.errors import DataError


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
