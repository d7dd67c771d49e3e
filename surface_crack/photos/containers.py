"""List the files of a folder or a zip, each once, with the reason if one cannot be read."""

import errno
import os
import re
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from surface_crack.project.errors import DataError, one_line

END_OF_ZIP = 22 + 65535  # bytes at the end that contain a zip's last record and its comment


class File(NamedTuple):
    """A file in a folder or zip, or a folder that cannot be listed."""

    path: str
    entry: int  # number of the entry in a zip
    problem: str  # '' if it can be read


def folder_files(root: Path, *, hidden: bool = True) -> Iterator[File]:
    """All files in and below `root`.

    A folder that is not read is returned as a File with a problem; its path ends in '/'.
    """
    for folder in walk(root, hidden=hidden):
        inside = Path(folder.path).relative_to(root)
        if folder.problem:
            yield File(f"{inside.as_posix()}/", 0, folder.problem)
        for name in folder.names:
            yield File((inside / name).as_posix(), 0, file_problem(root / inside / name))


READ_ALREADY = "is a link to a folder that has already been read"


class Folder(NamedTuple):
    path: str
    names: list[str]  # of its files
    problem: str  # why it is not read; '' if it is read


def walk(root: Path, *, hidden: bool = True) -> Iterator[Folder]:
    """`root` and the folders below it, each once; links to folders are followed.

    Plain folders come first, then links, sorted by path, so that the order does not depend on the
    file system. A link is a problem if it points to a folder that has been read, or to a parent of
    one: it would be read twice, or endlessly. Folders whose names start with a dot are skipped
    unless `hidden`. Raises OSError if the system is out of open files or memory.
    """
    read: set[str] = set()  # real paths of the folders read
    above: set[str] = set()  # real paths of their parents
    starts = [str(root)]
    while starts:
        links = []
        for start in sorted(starts):
            target = os.path.realpath(start)
            if target in read or target in above:
                parent = "is a link to a parent of a folder that has already been read"
                yield Folder(start, [], READ_ALREADY if target in read else parent)
                continue
            unlisted: list[OSError] = []
            for path, folders, names in os.walk(start, onerror=unlisted.append):
                if not hidden:
                    folders[:] = [name for name in folders if not name.startswith(".")]
                real = os.path.realpath(path)
                if real in read:  # a Windows junction, which Python does not call a link
                    folders.clear()
                    yield Folder(path, [], READ_ALREADY)
                    continue
                read.add(real)
                while (real := os.path.dirname(real)) not in above:  # noqa: PTH120
                    above.add(real)
                paths = [os.path.join(path, name) for name in folders]  # noqa: PTH118
                links += [folder for folder in paths if os.path.islink(folder)]  # noqa: PTH114
                yield Folder(path, names, "")
            for error in unlisted:
                if is_resource_exhaustion(error):
                    raise error
                yield Folder(error.filename, [], f"cannot be read: {error.strerror}")
        starts = links


def file_problem(path: Path) -> str:
    try:
        status = path.stat()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return "" if stat.S_ISREG(status.st_mode) else "not a regular file"


def zip_files(archive: Path) -> Iterator[File]:
    """All files of a zip. Raises DataError if it is not a zip."""
    seen: set[str] = set()
    with open_zip(archive) as opened:
        for number, info in enumerate(opened.infolist()):
            name = info.filename.replace("\\", "/")
            if not name.endswith("/"):  # is_dir() of Python 3.11 fails on an empty name
                name = PurePosixPath(name).as_posix()
                yield File(name, number, _zip_problem(info, name, name in seen))
                seen.add(name)


def _zip_problem(info: zipfile.ZipInfo, name: str, again: bool) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        return "its path escapes the archive"
    if again:
        return "a second entry of the same name"
    if info.flag_bits & 0x1:
        return "encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "not compressed with deflate: zip it again"
    return ""


def is_resource_exhaustion(error: Exception) -> bool:
    """Whether the system is out of open files or memory, which is not the file's fault."""
    return isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def open_zip(archive: Path) -> zipfile.ZipFile:
    try:
        if is_part(archive):
            raise DataError(f"{archive} {SPLIT_ZIP}")
        return zipfile.ZipFile(archive)
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        if is_resource_exhaustion(error):
            raise
        raise DataError(f"{archive} is not a readable zip ({one_line(error)})") from None


SPLIT_ZIP = (
    "is one part of a split zip: join the parts (`zip -s 0 LAST.zip --out WHOLE.zip`), or unpack "
    "them all into a folder"
)


def is_part(archive: Path) -> bool:
    """Whether this is one part of a split zip.

    The first part has a signature at its start, the last part a number in its end record, which
    Python's zipfile ignores.
    """
    if re.fullmatch(r"\.z\d+", archive.suffix.lower()):  # parts in the middle have no signature
        return True
    with archive.open("rb") as file:
        if file.read(4) == b"PK\7\10":
            return True
        file.seek(-min(END_OF_ZIP, archive.stat().st_size), os.SEEK_END)
        tail = file.read()
    end = tail[tail.rfind(b"PK\5\6") :] if b"PK\5\6" in tail else b""
    parts_before = int.from_bytes(end[4:6], "little")  # 65535: see the ZIP64 directory
    return 0 < parts_before < 0xFFFF
