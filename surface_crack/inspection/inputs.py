"""List the photos to inspect from files, folders and zips, each under a unique name."""

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

UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")  # characters not used in file names
MAX_STEM = 60  # characters of the photo's name used in its key
MAX_NAMED = 3  # skipped files listed by name in the log

log = logging.getLogger("surface-crack")


class Item(NamedTuple):
    """A photo to inspect."""

    name: str  # unique: its path relative to the common parent folder of all inputs
    photo: Photo
    problem: str  # why it cannot be read; '' if it can

    @property
    def key(self) -> str:
        """A readable and unique file name for its results."""
        stem = UNSAFE.sub("_", PurePosixPath(self.name).stem).strip("._-")[:MAX_STEM]
        return f"{stem or 'photo'}-{hashlib.sha256(self.name.encode()).hexdigest()[:10]}"


def list_inputs(inputs: Sequence[Path], out: Path) -> list[Item]:
    """List all photos in the inputs, each once, sorted by name.

    Pictures that belong to a report of `inspect` are excluded. A photo keeps the name under which
    it was given, even if that is a link, because DVC and git-annex replace files by links. Names
    depend neither on the order of the inputs nor on the current folder. Zips inside folders are
    read as well; a damaged one becomes an item with a problem. Folders whose names start with a
    dot are skipped. Files without the extension of a photo are skipped and logged. Raises DataError
    if an input does not exist or is not a photo, folder or zip, or if there are no photos.
    """
    places = [absolute_path(path) for path in inputs]
    try:
        root = Path(os.path.commonpath([path.parent for path in places]))
    except ValueError:  # Windows: paths on two drives have no common parent
        raise DataError("the photos are on several drives: run once per drive") from None
    real = cache(os.path.realpath)  # cached per folder; Path.resolve() fails on loops
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
        few = ", ".join(sorted(left_out)[:MAX_NAMED])
        log.warning("%d files skipped, not photos by their names: %s", len(left_out), few)
    # A killed run may have left pictures without a record.
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
    """Make a path absolute and remove '..'; links keep their names.

    Only links before a '..' are resolved: the parent of a link is the parent of its target.
    """
    parts = path.absolute().parts
    ups = [number for number, part in enumerate(parts, 1) if part == ".."]
    end = ups[-1] if ups else 0
    return Path(os.path.realpath(Path(*parts[:end])), *parts[end:]) if ups else path.absolute()


SECOND_ENTRY = "a second entry of the same name"


def _found(path: Path, given: Path) -> Iterable[tuple[Photo, str | None]]:
    """Yield (photo, problem) for each file of one input, except pictures drawn by `inspect`.

    The problem is '' for a readable photo and None for a file without the extension of a photo.
    """
    if path.suffix.lower() == ".zip" and path.is_file():
        yield from _photos(path, zip_files(path))
    elif path.is_dir():
        for file in folder_files(path, hidden=False):
            inside = path / file.path
            if is_report_picture(inside):
                continue
            if file.problem == READ_ALREADY:  # its photos are listed under the other name
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
            f"{given} is not a folder, and its name does not end like that of a photo (.jpg, .png, "
            "...) or a zip: rename it"
        )
    else:
        yield from _photos(path.parent, [File(path.name, 0, file_problem(path))])


def _zip_in_folder(folder: Path, file: File) -> Iterable[tuple[Photo, str | None]]:
    """List a zip inside a folder; a damaged one is reported like a damaged photo."""
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
        # Files in hidden folders are skipped, as they are outside zips.
        clutter |= any(part.startswith(".") and part != ".." for part in parts[:-1])
        unlisted = file.path.endswith("/")  # a folder that cannot be listed
        if unlisted or (looks_like_a_photo(file.path) and not clutter):
            yield photo, file.problem
        elif not clutter and not any(part.startswith(".") for part in parts):
            yield photo, None
