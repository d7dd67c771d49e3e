"""Which photos there are, and of which class: in a folder, a zip, or a folder of several.

The class of a photo is the name of its folder. What is below a source's root stays in the photo's
`path`, so `Decks/Cracked/7018-5.jpg` still tells the kind of surface. A file that is no photo is
never dropped in silence: it is listed with its reason.
"""

import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from surface_crack.photos.containers import File, folder_files, zip_files
from surface_crack.project.errors import DataError
from surface_crack.project.labels import CLASSES, NEGATIVE, POSITIVE
from surface_crack.project.names import folder_key, readable

SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"),
    *(".heic", ".heif", ".hif"),
}
CLUTTER = {"thumbs.db", "desktop.ini", "__macosx"}  # left behind by operating systems


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


def class_labels(negative: Sequence[str], positive: Sequence[str]) -> dict[str, int]:
    """Folder name, as `folder_key`, -> label."""
    both = ((negative, NEGATIVE), (positive, POSITIVE))
    return {folder_key(name): label for names, label in both for name in names}


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


def photos_by_name(listing: Listing) -> dict[tuple[str, str], Photo]:
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
    for label, (name, folders) in enumerate(zip(CLASSES, (negative, positive), strict=True)):
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


def dvc_link_warning(raw: Path, listing: Listing) -> str:
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


def git_tracking_warning(raw: Path) -> str:
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
