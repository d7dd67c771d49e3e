"""Which photos to inspect: files, folders and zips, no classes, each under a name of its own."""

import hashlib
import logging
import os
import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from surface_crack.inspection.folder import is_report_picture, picture_paths
from surface_crack.photos.containers import (
    READ_ALREADY,
    SPLIT_ZIP,
    File,
    file_problem,
    folder_files,
    is_part,
    zip_files,
)
from surface_crack.photos.listing import SYSTEM_FILES, Photo, looks_like_a_photo
from surface_crack.project.errors import DataError
from surface_crack.project.names import readable

UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
MAX_STEM = 60  # letters that a file name keeps of the photo's
NAMED = 3  # of the files that are left out, this many are named

log = logging.getLogger("surface-crack")


class Item(NamedTuple):
    """A photo to inspect. Sorted by name."""

    name: str  # path below the folder that all inputs are in; unlike any other photo's
    photo: Photo
    problem: str  # why it cannot be read, '' if it may be

    @property
    def key(self) -> str:
        """A file name for its results: readable, and as unlike any other's as its name is."""
        stem = UNSAFE.sub("_", PurePosixPath(self.name).stem).strip("._-")[:MAX_STEM]
        return f"{stem or 'photo'}-{hashlib.sha256(self.name.encode()).hexdigest()[:10]}"


def list_inputs(inputs: Sequence[Path], out: Path) -> list[Item]:
    """All photos in the inputs, each once, sorted by name, but those in reports of `inspect`.

    A photo has the name under which it was given, or lies in a folder that was, wherever a link of
    that name leads: DVC and git-annex make links of files. Names do not depend on the order of the
    inputs, or on where a relative path is read from. Zips that lie in a folder are read, too; one
    that is damaged is an item itself. Folders whose names begin with a dot are passed over. What is
    left out because its name is no photo's is logged. Raises DataError for an input that does not
    exist or is no photo, folder or zip, and if there is no photo at all.
    """
    places = [absolute_path(path) for path in inputs]
    try:
        root = Path(os.path.commonpath([path.parent for path in places]))
    except ValueError:  # Windows: nothing holds two drives
        raise DataError("photos of several drives: give those of each by themselves") from None
    real = cache(os.path.realpath)  # of folders, which hold many files; resolve() fails on loops
    out = Path(real(out))
    items: dict[str, Item] = {}
    left_out = set()
    for path, given in zip(places, inputs, strict=True):
        for photo, problem in _found(path, given):
            file = photo.container / photo.path
            inside = f"{photo.container.relative_to(root).as_posix()}/{photo.path}"
            name = readable(inside.removeprefix("./"))
            if problem is None and not Path(real(file.parent)).is_relative_to(out):
                left_out.add(name)
            elif problem is not None:
                name += f" (entry {photo.entry})" if problem == SECOND_ENTRY else ""
                items[name] = Item(name, photo, problem)
    if left_out:
        few = ", ".join(sorted(left_out)[:NAMED])
        log.warning("%d files left out, no photos by name: %s", len(left_out), few)
    # A run that was killed may have drawn a photo and not recorded it.
    drawn = {path for item in items.values() for path in picture_paths(out, item.key)}
    files = {name: item.photo.container / item.photo.path for name, item in items.items()}
    photos = [
        items[name]
        for name, file in sorted(files.items())
        if Path(real(file.parent), file.name) not in drawn
    ]
    if not photos:
        raise DataError(f"no photo found in {', '.join(map(str, inputs))}")
    return photos


def absolute_path(path: Path) -> Path:
    """Absolute, without '..', and with the names that were given: links are not replaced.

    But for what lies before a '..': the folder above a link is that of its target.
    """
    parts = path.absolute().parts
    ups = [number for number, part in enumerate(parts, 1) if part == ".."]
    end = ups[-1] if ups else 0
    return Path(os.path.realpath(Path(*parts[:end])), *parts[end:]) if ups else path.absolute()


SECOND_ENTRY = "a second entry of the same name"


def _found(path: Path, given: Path) -> Iterable[tuple[Photo, str | None]]:
    """(photo, problem) of all in one input but what `inspect` drew; no problem, None, has what is
    no photo by its name.
    """
    if path.suffix.lower() == ".zip" and path.is_file():
        yield from _photos(path, zip_files(path))
    elif path.is_dir():
        for file in folder_files(path, hidden=False):
            inside = path / file.path
            if is_report_picture(inside):
                continue
            if file.problem == READ_ALREADY:  # `latest` beside what it leads to: nothing is lost
                log.info("%s %s", inside, file.problem)
                continue
            if inside.suffix.lower() == ".zip" and not file.problem:
                yield from _zip_in_folder(path, file)
            else:
                yield from _photos(path, [file])
    elif not path.exists():
        raise DataError(f"{given} does not exist: give photos, folders or zips")
    elif path.is_file() and is_part(path):
        raise DataError(f"{given} {SPLIT_ZIP}")
    elif not looks_like_a_photo(path.name):
        raise DataError(
            f"{given} is no folder, and its name does not end like that of a photo (.jpg, .png, "
            "...) or a zip: rename it"
        )
    else:
        yield from _photos(path.parent, [File(path.name, 0, file_problem(path))])


def _zip_in_folder(folder: Path, file: File) -> Iterable[tuple[Photo, str | None]]:
    """Nobody asked for this very zip, so one that is damaged is a problem like a damaged photo."""
    archive = folder / file.path
    try:
        files = list(zip_files(archive))
    except DataError as error:
        yield Photo(folder.stem, file.path, 0, folder), str(error).removeprefix(f"{archive} is ")
    else:
        yield from _photos(archive, files)


def _photos(container: Path, files: Iterable[File]) -> Iterable[tuple[Photo, str | None]]:
    for file in files:
        parts = PurePosixPath(file.path).parts
        photo = Photo(container.stem, file.path, 0, container, file.entry)
        clutter = any(part.casefold() in SYSTEM_FILES or part.startswith("._") for part in parts)
        # As in a folder, what lies in hidden ones is passed over.
        clutter |= any(part.startswith(".") and part != ".." for part in parts[:-1])
        unlisted = file.path.endswith("/")  # a folder: nobody knows what is in it
        if unlisted or (looks_like_a_photo(file.path) and not clutter):
            yield photo, file.problem
        elif not clutter and not any(part.startswith(".") for part in parts):
            yield photo, None
