"""Read and write the small files that stages pass on; writes are atomic.

Text is UTF-8 with LF line endings on every system, and JSON has sorted keys and no NaN, so equal
content gives equal bytes.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from surface_crack.project.errors import DataError, one_line
from surface_crack.project.names import readable


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; rename it to `path` if the block succeeds.

    An OSError without a file name, as writing raises, gets that of `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.errno and error.filename in (None, str(temporary)):
            error.filename = str(path)
        raise
    finally:
        with suppress(OSError):  # the disk may have become read-only
            temporary.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Create an output folder before long work starts. Raises DataError if it is not writable."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=path).close()  # an existing folder may be read-only
    except (FileExistsError, NotADirectoryError):
        raise DataError(f"{path} is a file, or lies below one: choose another folder") from None
    except OSError as error:
        raise DataError(f"cannot write to {path}: {error.strerror}") from None


def check_no_overwrite(folder: Path, names: Iterable[str], *, ours: bool) -> None:
    """Raises DataError if one of the files exists, unless `ours`: an earlier report wrote them."""
    existing = [name for name in names if (folder / name).exists()]
    if existing and not ours:
        raise DataError(
            f"{folder / existing[0]} already exists and was not written by surface-crack: choose "
            "another --out, or move it"
        )


def write_bytes(path: Path, content: bytes) -> None:
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    write_bytes(path, content.encode())


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write an object. Raises ValueError on NaN and infinity, which JSON lacks."""
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def write_csv(
    path: Path,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    encoding: str = "utf-8",
) -> None:
    """Write a table; strings pass through `readable`."""
    with (
        atomic_write(path) as temporary,
        temporary.open("w", encoding=encoding, newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([readable(x) if isinstance(x, str) else x for x in row] for row in rows)


def read_json(path: Path) -> dict[str, Any]:
    """Raises DataError if the file is missing or is not a JSON object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path} is missing: run `dvc repro`") from None
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path} is not JSON ({one_line(error)}): run `dvc repro --force`"
        ) from None
    if not isinstance(content, dict):
        raise DataError(f"{path} must hold a JSON object, got {type(content).__name__}")
    return content
