"""Which photos there are, and their bytes: a folder, a zip read in place, or a folder of several.

The class of a photo is the name of its folder. What is below a source's root stays in the photo's
`path`, so `Decks/Cracked/7018-5.jpg` still tells the kind of surface. A file that is no photo is
never dropped in silence: it is listed with its reason.
"""

import errno
import os
import re
import stat
import subprocess
import threading
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Self

from surface_crack.artifacts import readable
from surface_crack.errors import DataError, one_line
from surface_crack.params import folder_key

SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"),
    *(".heic", ".heif", ".hif"),
}
MAX_FILE = 500_000_000  # bytes of a photo's file to be inspected; a larger one is not read
END_OF_ZIP = 22 + 65535  # bytes in which a zip's last record lies: itself and a comment
CLUTTER = {"thumbs.db", "desktop.ini", "__macosx"}  # left behind by operating systems


class Limits(NamedTuple):
    """How large a photo may be; more is no photo but a bomb."""

    max_pixels: int
    max_bytes: int  # of the file, out of its zip


class Photo(NamedTuple):
    """One candidate: not yet opened, so it may still turn out to be no photo."""

    source: str  # stem of its archive's or folder's name
    path: str  # inside the source, with '/'
    label: int  # 1 crack, 0 none
    container: Path  # the zip or folder to read it from
    entry: int = 0  # number of the entry in the zip: names may occur twice


class Rejected(NamedTuple):
    """A file that is not used, and why."""

    source: str
    path: str
    reason: str


@dataclass
class Listing:
    """What a `raw` path holds, in an order that does not depend on the disk's."""

    photos: list[Photo] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    clutter: list[Rejected] = field(default_factory=list)  # system files: listed, not held against
    excluded: int = 0


class File(NamedTuple):
    """Anything in a folder or zip that is not itself a folder, or is one that cannot be listed."""

    path: str
    entry: int  # number of the entry in a zip
    problem: str  # '' if it can be read


def class_labels(negative: Sequence[str], positive: Sequence[str]) -> dict[str, int]:
    """Folder name, as `folder_key`, -> label."""
    return {folder_key(name): 0 for name in negative} | {folder_key(name): 1 for name in positive}


def list_photos(raw: Path, labels: Mapping[str, int], exclude: str = "") -> Listing:
    """Find the photos under `raw`, sorted by source and path.

    `labels` is what `class_labels` returns; photos whose path matches the regular expression
    `exclude` are counted and left out. Raises DataError if `raw` is missing or no archive, if a
    folder cannot be read, if a photo lies in a folder that is in neither class, or if there is no
    photo.
    """
    listing = Listing()
    drop = re.compile(exclude) if exclude else None
    for source, container, files in _sources(raw):
        for file in sorted(files):
            _sort_in(listing, source, container, file, labels, drop)
    if not listing.photos:
        others = listing.rejected + listing.clutter
        seen = ""
        if others:
            seen = f" ({len(others)} other files, such as {others[0].path!r}: {others[0].reason})"
        raise DataError(
            f"no photo found in {raw}{seen}: want <class folder>/<photo>, see params.yaml"
        )
    listing.photos.sort()
    return listing


def by_name(listing: Listing) -> dict[tuple[str, str], Photo]:
    """Photos by their source and path, as index.csv has these."""
    return {(readable(photo.source), readable(photo.path)): photo for photo in listing.photos}


def check_classes(
    raw: Path, listing: Listing, negative: Sequence[str], positive: Sequence[str]
) -> None:
    """What training needs: both classes. Raises DataError if one has no photo.

    `negative` and `positive` are the names of their folders.

    Photos right in a source have their class from its name. They stay together as one class, so
    it is a class folder that was taken for the folder of class folders.
    """
    for photo in listing.photos:
        if "/" not in photo.path:
            raise DataError(
                f"{photo.container} is itself a folder of one class: put the class folders into a "
                "folder of their own, and set raw to that"
            )
    found = {photo.label for photo in listing.photos}
    for label, (name, folders) in enumerate((("negative", negative), ("positive", positive))):
        if label not in found:
            wanted = ", ".join(folders)
            raise DataError(f"no {name} photo in {raw}: want a folder named one of {wanted}")


def _sort_in(
    listing: Listing,
    source: str,
    container: Path,
    file: File,
    labels: Mapping[str, int],
    drop: re.Pattern[str] | None,
) -> None:
    parts = PurePosixPath(file.path).parts
    folder = parts[-2] if len(parts) > 1 else container.name
    label = labels.get(folder_key(folder))
    in_class_folder = len(parts) > 1 or looks_like_a_photo(file.path)
    if _is_clutter(file.path):
        listing.clutter.append(Rejected(source, file.path, "a file of the operating system's"))
    elif drop and (drop.search(file.path) or drop.search(f"{source}/{file.path}")):
        listing.excluded += 1
    elif file.problem and file.path.endswith("/"):  # however many photos it may hold
        mend = "remove it" if "link" in file.problem else "make it readable"
        raise DataError(
            f"{container / file.path} {file.problem}: {mend}, or leave it out with exclude in "
            "params.yaml"
        )
    elif file.problem:
        listing.rejected.append(Rejected(source, file.path, file.problem))
    elif label is not None and in_class_folder:
        listing.photos.append(Photo(source, file.path, label, container, file.entry))
    elif looks_like_a_photo(file.path):
        raise DataError(
            f"folder {folder!r} of {file.path!r} in {container} is in neither class: add it to "
            "negative or positive in params.yaml, or leave it out with exclude"
        )
    else:
        listing.clutter.append(
            Rejected(source, file.path, "not a photo, outside the class folders")
        )


def _sources(raw: Path) -> list[tuple[str, Path, Iterable[File]]]:
    """(name, zip or folder, its files) of each source.

    A folder is a collection of sources if a zip lies directly in it, or if its sub-folders are
    built differently (`metu/Negative` beside `sdnet/Decks/Cracked`); else it is one source.
    """
    if raw.is_file():
        return [(raw.stem, raw, zip_files(raw))]
    if not raw.is_dir():
        home = " (~ is not looked up: write the whole path)" if str(raw).startswith("~") else ""
        raise DataError(f"raw {str(raw)!r} does not exist{home}: set raw in params.yaml")
    name = raw.absolute().name  # not resolve(): DVC may have made it a link
    children = sorted(raw.iterdir())
    zips = [child for child in children if child.suffix.lower() == ".zip" and child.is_file()]
    files = list(folder_files(raw))
    if not zips and not _built_differently(files):
        return [(name, raw, files)]
    folders = [child for child in children if child.is_dir() and not child.name.startswith(".")]
    names = [*(child.stem for child in zips), *(child.name for child in folders)]
    for twice in names:
        if names.count(twice) > 1:
            raise DataError(f"{raw} holds the source {twice!r} twice: rename or remove one")
    inside: dict[str, list[File]] = {child.name: [] for child in folders}
    loose = []
    for file in files:
        top, _, rest = file.path.partition("/")
        if rest and top in inside:
            inside[top].append(file._replace(path=rest))
        elif not rest and raw / top not in zips:
            loose.append(file)
    return [
        *((child.stem, child, zip_files(child)) for child in zips),
        *((child.name, child, inside[child.name]) for child in folders),
        (name, raw, loose),
    ]


def _built_differently(files: Iterable[File]) -> bool:
    depths = {
        file.path.count("/")
        for file in files
        if looks_like_a_photo(file.path) and not _is_clutter(file.path)
    }
    return len(depths) > 1 and min(depths) > 1


def _is_clutter(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return any(part.casefold() in CLUTTER or part.startswith(".") for part in parts if part != "..")


def looks_like_a_photo(path: str) -> bool:
    return PurePosixPath(path).suffix.lower() in SUFFIXES


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
                if is_want(error):
                    raise error
                yield Folder(error.filename, [], f"cannot be read: {error.strerror}")
        starts = links


def file_problem(path: Path) -> str:
    try:
        status = path.stat()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return "" if stat.S_ISREG(status.st_mode) else "not a regular file"


def unseen_by_dvc(raw: Path, listing: Listing) -> str:
    """A warning, if links to folders lead from `raw` to photos: DVC does not look behind them.

    '' if there are none. (It does look behind links to files, and behind `raw` itself.)
    """
    folders = {(photo.container, photo.path.rpartition("/")[0]) for photo in listing.photos}
    ways = {way for zip_or_folder, inside in folders for way in _below(raw, zip_or_folder / inside)}
    links = sorted(str(way) for way in ways if way.is_symlink() and way.is_dir())
    if not links:
        return ""
    others = f" (and {len(links) - 1} more)" if len(links) > 1 else ""
    return (
        f"{links[0]}{others} is a link to a folder, and DVC does not notice what changes behind "
        "it: run `dvc repro --force prepare` then, or put the folder itself there"
    )


def open_to_git(raw: Path) -> str:
    """A warning, if files in `raw` are in this repository, yet neither ignored by git nor tracked
    by DVC, which makes git ignore what it tracks: `dvc exp run` would put each of them into git.

    '' if there are none, outside of a repository, and where there is no git.
    """
    command = ["git", "ls-files", "--others", "--exclude-standard", "-z", "--", str(raw)]
    try:
        listed = subprocess.run(command, capture_output=True, check=True, env=_plain_git()).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""
    files = [os.fsdecode(name) for name in listed.split(b"\0") if name]
    files = [x for x in files if not x.endswith(".dvc") and not Path(x).is_symlink()]
    if not files:
        return ""
    folder = raw
    if raw == Path("data/raw"):  # which has a place in git: what lies in it is to be tracked
        folder = Path(*Path(files[0]).parts[: len(raw.parts) + 1])
    several = len(files) > 1
    count, them = (
        (f"{len(files)} files in {raw} are", "them") if several else (f"{files[0]} is", "it")
    )
    return (
        f"{count} neither tracked by DVC nor ignored by git, so that `dvc exp run` would put "
        f"{them} into git: run `dvc add {folder.as_posix()}` first"
    )


def _plain_git() -> dict[str, str]:
    """Without the variables that git sets for its hooks: they would name another repository."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def _below(raw: Path, path: Path) -> Iterator[Path]:
    """`path` and the folders that it lies in, up to but not including `raw`."""
    for way in (path, *path.parents):
        if way == raw:
            return
        yield way


def zip_files(archive: Path) -> Iterator[File]:
    """Every entry of a zip that is not a folder. Raises DataError if it is no zip."""
    seen: set[str] = set()
    with _open_zip(archive) as opened:
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


def is_want(error: Exception) -> bool:
    """Whether the system has no more open files or memory to give: no fault of the file's."""
    return isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def _open_zip(archive: Path) -> zipfile.ZipFile:
    try:
        if is_part(archive):
            raise DataError(f"{archive} {PART}")
        return zipfile.ZipFile(archive)
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        if is_want(error):
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


class Reader:
    """Reads photos from several threads.

    A ZipFile shared by threads waits for its own lock, so each thread opens one of its own. Photos
    come sorted by source, so each keeps only the last one open: a system allows few open files.
    """

    def __init__(self, max_bytes: int | None = None) -> None:
        """No file may have more than `max_bytes`, or MAX_FILE."""
        self._max_bytes = max_bytes
        self._archives: dict[int, zipfile.ZipFile] = {}  # by thread

    def read(self, photo: Photo) -> bytes:
        """The file's bytes, no more than folder or zip say that it has.

        Raises DataError if these are too many, OSError or what zipfile raises if there are none.
        """
        if photo.container.is_dir():
            with (photo.container / photo.path).open("rb") as file:
                return file.read(self._checked(os.fstat(file.fileno()).st_size))
        archive = self._opened(photo.container)
        try:
            info = archive.infolist()[photo.entry]
        except IndexError:
            raise DataError(f"{photo.container} changed while it was read") from None
        with archive.open(info) as entry:
            return entry.read(self._checked(info.file_size))

    def _opened(self, path: Path) -> zipfile.ZipFile:
        thread = threading.get_ident()
        archive = self._archives.pop(thread, None)
        if archive and archive.filename != str(path):
            archive.close()
            archive = None
        self._archives[thread] = archive = archive or _open_zip(path)
        return archive

    def _checked(self, size: int) -> int:
        if size > (self._max_bytes or MAX_FILE):
            limit = f"max_bytes ({self._max_bytes:,})" if self._max_bytes else f"{MAX_FILE:,}"
            raise DataError(f"{size:,} bytes, more than {limit}")
        return size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for archive in list(self._archives.values()):
            archive.close()
