"""Check that the photos did not change while they were read, which would invalidate the result."""

import os
from collections.abc import Mapping
from pathlib import Path

from surface_crack.photos.containers import walk
from surface_crack.project.errors import DataError

Stamps = Mapping[str, tuple[int, int]]  # path -> size, modification time (ns)


def stamps(raw: Path) -> Stamps:
    """Stamps of the file `raw`, or of all files below the folder; empty if it is missing."""
    files = [str(raw)]
    for folder, names, problem in walk(raw):
        files += [os.path.join(folder, name) for name in names]  # noqa: PTH118 (40,000 of them)
        files += [folder] if problem else []  # it may become readable
    found = {}
    for file in files:
        try:
            status = os.stat(file)  # noqa: PTH116
        except OSError:  # deleted, or a broken link
            continue
        found[file] = status.st_size, status.st_mtime_ns
    return found


def check_unchanged(raw: Path, before: Stamps) -> None:
    """Raises DataError if a file was added, removed or changed since `before`."""
    after = stamps(raw)
    if after == before:
        return
    file = min(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    raise DataError(f"{file} changed while it was read: run `dvc repro` again")
