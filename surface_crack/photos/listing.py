"""List the photos and their classes in a folder, a zip, or a folder of several of these.

The class of a photo is the name of its folder. The path below a source's root is kept, so
`Decks/Cracked/7018-5.jpg` still has the kind of surface. A file that is not a photo is never
dropped silently: it is listed with the reason.
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
SYSTEM_FILES = {"thumbs.db", "desktop.ini", "__macosx"}  # created by operating systems


class Photo(NamedTuple):
    """One candidate: not yet opened, so it may turn out not to be a photo."""

    source: str  # name of its folder, or of its archive without suffix
    path: str  # inside the source, with '/'
    label: int  # 1 = positive (cracked), 0 = negative
    container: Path  # the zip or folder to read it from
    entry: int = 0  # number of the entry in the zip: names may occur twice


class Rejected(NamedTuple):
    """A file that is not used, and the reason."""

    source: str
    path: str
    reason: str


@dataclass
class Listing:
    """Contents of a `raw` path, sorted independently of the file system."""

    photos: list[Photo] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    clutter: list[Rejected] = field(default_factory=list)  # listed, not counted as rejected
    excluded: int = 0


def class_labels(negative: Sequence[str], positive: Sequence[str]) -> dict[str, int]:
    """Normalised folder name (`folder_key`) -> label."""
    both = ((negative, NEGATIVE), (positive, POSITIVE))
    return {folder_key(name): label for names, label in both for name in names}


def list_photos(raw: Path, labels: Mapping[str, int], exclude: str = "") -> Listing:
    """Find the photos under `raw`, sorted by source and path.

    `labels` comes from `class_labels`; photos whose path matches the regular expression `exclude`
    are counted and left out. Raises DataError if `raw` is missing or not an archive, if a folder
    cannot be read, if a photo is in a folder of neither class, or if there is no photo.
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
            first = others[0]
            seen = f" ({len(others)} other files, for example {first.path!r}: {first.reason})"
        raise DataError(
            f"no photo found in {raw}{seen}: expected <class folder>/<photo>, see params.yaml"
        )
    listing.photos.sort()
    return listing


def photos_by_name(listing: Listing) -> dict[tuple[str, str], Photo]:
    """Photos by source and path, as written in index.csv."""
    return {(readable(photo.source), readable(photo.path)): photo for photo in listing.photos}


def check_classes(
    raw: Path, listing: Listing, negative: Sequence[str], positive: Sequence[str]
) -> None:
    """Check that both classes have photos, as training needs. Raises DataError otherwise.

    `negative` and `positive` are the names of the class folders. Photos directly in a source mean
    that `raw` is a class folder instead of the folder of the class folders.
    """
    for photo in listing.photos:
        if "/" not in photo.path:
            raise DataError(
                f"{photo.container} is itself a class folder: put the class folders into a folder "
                "of their own, and set raw to that"
            )
    found = {photo.label for photo in listing.photos}
    for label, (name, folders) in enumerate(zip(CLASSES, (negative, positive), strict=True)):
        if label not in found:
            wanted = ", ".join(folders)
            raise DataError(f"no {name} photo in {raw}: expected a folder named one of {wanted}")


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
        listing.clutter.append(Rejected(source, file.path, "a system file"))
    elif drop and (drop.search(file.path) or drop.search(f"{source}/{file.path}")):
        listing.excluded += 1
    elif file.problem and file.path.endswith("/"):  # it may contain any number of photos
        fix = "remove it" if "link" in file.problem else "make it readable"
        raise DataError(
            f"{container / file.path} {file.problem}: {fix}, or leave it out with exclude in "
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

    A folder is a collection of sources if a zip is directly in it, or if its photos are at
    different depths (`metu/Negative` and `sdnet/Decks/Cracked`); otherwise it is one source.
    """
    if raw.is_file():
        return [(raw.stem, raw, zip_files(raw))]
    if not raw.is_dir():
        home = " (~ is not expanded: write the full path)" if str(raw).startswith("~") else ""
        raise DataError(f"raw {str(raw)!r} does not exist{home}: set raw in params.yaml")
    name = raw.absolute().name  # not resolve(): DVC may have replaced it by a link
    children = sorted(raw.iterdir())
    zips = [child for child in children if child.suffix.lower() == ".zip" and child.is_file()]
    files = list(folder_files(raw))
    if not zips and not _built_differently(files):
        return [(name, raw, files)]
    folders = [child for child in children if child.is_dir() and not child.name.startswith(".")]
    names = [*(child.stem for child in zips), *(child.name for child in folders)]
    for twice in names:
        if names.count(twice) > 1:
            raise DataError(f"{raw} contains the source {twice!r} twice: rename or remove one")
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
    return any(
        part.casefold() in SYSTEM_FILES or part.startswith(".") for part in parts if part != ".."
    )


def looks_like_a_photo(path: str) -> bool:
    return PurePosixPath(path).suffix.lower() in SUFFIXES


def dvc_link_warning(raw: Path, listing: Listing) -> str:
    """A warning if photos are reached through links to folders in `raw`; '' if there are none.

    DVC does not follow links to folders, except for `raw` itself; it does follow links to files.
    """
    folders = {(photo.container, photo.path.rpartition("/")[0]) for photo in listing.photos}
    below = {path for container, inside in folders for path in _below(raw, container / inside)}
    links = sorted(str(path) for path in below if path.is_symlink() and path.is_dir())
    if not links:
        return ""
    others = f" (and {len(links) - 1} more)" if len(links) > 1 else ""
    return (
        f"{links[0]}{others} is a link to a folder, and DVC does not notice changes behind it: "
        "run `dvc repro --force prepare` after a change, or put the folder itself there"
    )


def git_tracking_warning(raw: Path) -> str:
    """A warning if files in `raw` are neither ignored by git nor tracked by DVC; '' if none are.

    `dvc exp run` would commit each of them to git. (Files tracked by DVC are ignored by git.) Also
    '' outside of a repository and without git.
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
    if raw == Path("data/raw"):  # it is itself in git: its contents are to be tracked
        folder = Path(*Path(files[0]).parts[: len(raw.parts) + 1])
    several = len(files) > 1
    count, them = (
        (f"{len(files)} files in {raw} are", "them") if several else (f"{files[0]} is", "it")
    )
    return (
        f"{count} neither tracked by DVC nor ignored by git, so `dvc exp run` would commit {them} "
        f"to git: run `dvc add {folder.as_posix()}` first"
    )


def _plain_git() -> dict[str, str]:
    """The environment without the variables that git sets for hooks (another repository)."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def _below(raw: Path, path: Path) -> Iterator[Path]:
    """`path` and its parents, up to but not including `raw`."""
    for folder in (path, *path.parents):
        if folder == raw:
            return
        yield folder
