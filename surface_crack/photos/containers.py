"""What lies in a folder or a zip: each file once, and why it cannot be read where that shows."""

import errno
import os
import re
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from surface_crack.project.errors import DataError, one_line

END_OF_ZIP = 22 + 65535  # bytes in which a zip's last record lies: itself and a comment


class File(NamedTuple):
    """Anything in a folder or zip that is not itself a folder, or is one that cannot be listed."""

    path: str
    entry: int  # number of the entry in a zip
    problem: str  # '' if it can be read


def folder_files(root: Path, *, hidden: bool = True) -> Iterator[File]:
    """Everything in and below `root` that is not a folder.

    A folder that is not read is a File with a problem, and its path ends in '/'.
    """
    for folder in walk(root, hidden=hidden):
        inside = Path(folder.path).relative_to(root)
        if folder.problem:
            yield File(f"{inside.as_posix()}/", 0, folder.problem)
        for name in folder.names:
            yield File((inside / name).as_posix(), 0, file_problem(root / inside / name))


READ_ALREADY = "is a link to a folder that is read already"


class Folder(NamedTuple):
    path: str
    names: list[str]  # of all in it that is not a folder
    problem: str  # why it is not read, '' if it is


def walk(root: Path, *, hidden: bool = True) -> Iterator[Folder]:
    """`root` and the folders below it, each once; links to folders are followed.

    Plain folders come first, then links in the order of their paths, so that the way does not
    depend on the disk. A link is a problem if it leads to a folder that was read before or that
    holds one: it would be read twice, or without end. Folders whose names begin with a dot are
    passed over unless `hidden`. Raises OSError where the system has no more files or memory.
    """
    read: set[str] = set()  # their real paths
    above: set[str] = set()  # and those of the folders that these lie in
    starts = [str(root)]
    while starts:
        links = []
        for start in sorted(starts):
            target = os.path.realpath(start)
            if target in read or target in above:
                holds = "is a link to a folder that holds one that is read already"
                yield Folder(start, [], READ_ALREADY if target in read else holds)
                continue
            unlisted: list[OSError] = []
            for path, folders, names in os.walk(start, onerror=unlisted.append):
                if not hidden:
                    folders[:] = [name for name in folders if not name.startswith(".")]
                real = os.path.realpath(path)
                if real in read:  # what Windows calls a junction is no link to Python
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
    """Every entry of a zip that is not a folder. Raises DataError if it is no zip."""
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
        return "a name that leads out of the archive"
    if again:
        return "a second entry of the same name"
    if info.flag_bits & 0x1:
        return "encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "compressed by another method than deflate: zip it again"
    return ""


def is_resource_exhaustion(error: Exception) -> bool:
    """Whether the system has no more open files or memory to give: no fault of the file's."""
    return isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def open_zip(archive: Path) -> zipfile.ZipFile:
    try:
        if is_part(archive):
            raise DataError(f"{archive} {PART}")
        return zipfile.ZipFile(archive)
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        if is_resource_exhaustion(error):
            raise
        raise DataError(f"{archive} is not a zip that can be read ({one_line(error)})") from None


PART = (
    "is one part of a split zip: join the parts (`zip -s 0 LAST.zip --out WHOLE.zip`), or unpack "
    "them all into a folder"
)


def is_part(archive: Path) -> bool:
    """Whether a split zip has more parts: its first one says so at once, its last one at its end,
    which Python's zipfile reads as if it were whole.
    """
    if re.fullmatch(r"\.z\d+", archive.suffix.lower()):  # in the middle nothing tells
        return True
    with archive.open("rb") as file:
        if file.read(4) == b"PK\7\10":
            return True
        file.seek(-min(END_OF_ZIP, archive.stat().st_size), os.SEEK_END)
        tail = file.read()
    end = tail[tail.rfind(b"PK\5\6") :] if b"PK\5\6" in tail else b""
    parts_before = int.from_bytes(end[4:6], "little")  # 65535: a ZIP64 directory says
    return 0 < parts_before < 0xFFFF
