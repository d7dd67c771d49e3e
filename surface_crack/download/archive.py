"""Download a public data set as one zip, and check it before it is kept.

writes  <folder>/<name>.zip                  <anything>/<class folder>/<image>
        <folder>/<name>-<8 hex digits>.part  a partial download; the next run resumes it

Addresses: data_sets.py. Download of one URL: http.py.
"""

import hashlib
import logging
import shutil
import subprocess
import zipfile
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from tqdm import tqdm

from surface_crack.download.data_sets import ALLOWED_HOSTS, DATA_SETS, DataSet, RemoteFile
from surface_crack.download.http import Rules, StatusError, discard, fetch_url, leftovers, short_url
from surface_crack.photos.listing import Photo, class_labels, list_photos
from surface_crack.photos.reader import Reader
from surface_crack.project.errors import DataError, DownloadError
from surface_crack.project.files import atomic_write

MAX_BYTES = 100 * 2**20  # of one image; typical: 20 KB
RAR, ZIP = b"Rar!\x1a\x07", b"PK\x03\x04"  # magic bytes
UNPACKERS = {  # in this order: Debian's free 7zz cannot open RAR
    "bsdtar": "-x -f {archive} -C {folder}",
    "unar": "-quiet -no-directory -force-overwrite -output-directory {folder} {archive}",
    "7zz": "x -y -bd -o{folder} {archive}",
    "7z": "x -y -bd -o{folder} {archive}",
}
# What zipfile raises for a damaged archive; RuntimeError if it needs a password.
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)

log = logging.getLogger("download")


class _ContentError(DownloadError):
    """The download is complete but is not the data set, so it must not be kept."""


def download(name: str, folder: Path, url: str | None = None) -> Path:
    """Download data set `name` ("metu" or "sdnet") and return its archive, `<folder>/<name>.zip`.

    An existing archive is checked and returned; a RAR is converted to a zip. `url` replaces the
    known addresses and may use any host; the archive must still have the right number of images
    per class. Raises DownloadError with the reason for each address. After that error, or a
    KeyboardInterrupt, no archive and no unpacked folder is left, only `.part` files that the next
    call resumes.
    """
    if name not in DATA_SETS:
        raise DownloadError(f"the data set must be one of {', '.join(DATA_SETS)}, got {name!r}")
    if url is None:
        return fetch(DATA_SETS[name], folder, Rules(ALLOWED_HOSTS))
    dataset = replace(DATA_SETS[name], mirrors=((RemoteFile((url,)),),))
    schemes = ("https", "http") if url.lower().startswith("http:") else ("https",)
    return fetch(dataset, folder, Rules(hosts=None, schemes=schemes))


def fetch(dataset: DataSet, folder: Path, rules: Rules) -> Path:
    """`download` for any data set and any rules. Raises DownloadError as `download` does."""
    archive = folder / f"{dataset.name}.zip"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if archive.is_file() and _is_rar(archive):  # saved by hand; the original is a RAR
            _as_zip([archive], dataset, archive)
        elif archive.exists():
            _check_contents(archive, dataset)
            log.info("%s already exists, with the right number of images", archive)
        else:
            _fetch_from_any(dataset, archive, rules)
            for leftover in leftovers(archive):
                leftover.unlink()
    except _ContentError as error:
        raise DownloadError(f"{archive} exists but {error}: delete it and run again") from None
    except (FileExistsError, NotADirectoryError):
        raise DownloadError(f"{folder} is a file, or is below one: give another folder") from None
    except OSError as error:  # network errors are DownloadErrors by now
        reason = f"cannot write to {folder} ({error.strerror or error})"
        fix = f"{dataset.name} needs about {dataset.disk_mb} MB of free disk during the download"
        raise DownloadError(f"{reason}: {fix}") from None
    return archive


def _fetch_from_any(dataset: DataSet, archive: Path, rules: Rules) -> None:
    reasons = []
    for mirror in dataset.mirrors:
        try:
            return _fetch_from(mirror, dataset, archive, rules)
        except DownloadError as error:
            reasons.append(str(error))
            if mirror is not dataset.mirrors[-1]:
                log.warning("%s: trying the next address", error)
    kept = ", ".join(path.name for path in leftovers(archive) if path.suffix == ".part")
    raise DownloadError(
        f"{dataset.name} could not be downloaded: {'; '.join(reasons)}. "
        + (f"Run again to resume {kept} in {archive.parent}. " if kept else "")
        + f"By hand: save the zip from {dataset.by_hand} as {archive} and run again to check it"
    )


def _fetch_from(
    mirror: tuple[RemoteFile, ...], dataset: DataSet, archive: Path, rules: Rules
) -> None:
    parts = [_fetch_file(remote, archive, rules) for remote in mirror]
    try:
        if len(parts) == 1 and not _is_rar(parts[0]):
            _check_contents(parts[0], dataset)
            if mirror[0].sha256 is None:
                _check_checksums(parts[0])
            parts[0].replace(archive)
            return
        _as_zip(parts, dataset, archive)
    except _ContentError as error:
        for part in parts:
            discard(part)
        raise DownloadError(f"{short_url(mirror[0].urls[0])} {error}") from None


def _as_zip(parts: list[Path], dataset: DataSet, archive: Path) -> None:
    temporary = TemporaryDirectory(prefix=f".{dataset.name}-", dir=archive.parent)
    with temporary as folder, atomic_write(archive) as merged:
        _merge(parts, dataset, Path(folder), merged)
        _check_contents(merged, dataset)


def _fetch_file(remote: RemoteFile, archive: Path, rules: Rules) -> Path:
    """Download one file completely, as a `.part` next to `archive`; check its size and hash."""
    for url in remote.urls:
        try:
            part = fetch_url(url, remote.size, archive, rules, _check_head)
        except StatusError as error:
            if error.code == 404 and url != remote.urls[-1]:
                continue
            raise
        with part.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        for what, got, expected in (
            ("size in bytes", part.stat().st_size, remote.size),
            ("SHA-256", digest, remote.sha256),
        ):
            if expected is not None and got != expected:
                discard(part)
                raise DownloadError(f"{short_url(url)} has the {what} {got} instead of {expected}")
        return part
    raise AssertionError("a remote file without a URL")


def _check_head(head: bytes, source: str) -> None:
    """Raises DownloadError unless `head` starts an archive that can be unpacked here."""
    if head.startswith(RAR):
        _unpackers(source)  # fail now, not after the download
    elif not head.startswith(ZIP):
        page = head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<")
        got = "an HTML page (login or bot check?)" if page else f"a file starting with {head!r}"
        raise DownloadError(f"{source} sent {got} instead of a zip or RAR archive")


def _check_contents(archive: Path, dataset: DataSet) -> None:
    """Raises _ContentError unless `archive` is a zip with the right number of images per class."""
    found = Counter(photo.label for photo in _photos(archive, dataset))
    for label, folders in enumerate((dataset.negative, dataset.positive)):
        if found[label] != dataset.counts[label]:
            expected = f"{dataset.counts[label]:,}"
            raise _ContentError(
                f"has {found[label]:,} image(s) in {'/'.join(folders)}, not {expected}"
            )


def _check_checksums(archive: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as file:
            damaged = file.testzip()
    except UNREADABLE as error:
        damaged = str(error)
    if damaged:
        raise _ContentError(f"is damaged ({damaged})")


def _photos(source: Path, dataset: DataSet) -> list[Photo]:
    try:
        return list_photos(source, class_labels(dataset.negative, dataset.positive)).photos
    except DataError as error:
        raise _ContentError(f"does not contain the data set ({error})") from None


def _merge(parts: list[Path], dataset: DataSet, folder: Path, target: Path) -> None:
    """Write all images of `parts` into one zip; RARs are unpacked in `folder`.

    Entries are stored, sorted, dated 1 January 1980 and named <class folder>/<image>, so that
    every mirror with the same images gives the same bytes. If names clash, full paths are kept.
    """
    named: list[tuple[str, str, Photo]] = []  # short name, long name, photo
    for number, part in enumerate(parts, start=1):
        source = _unpack(part, folder) if _is_rar(part) else part
        for photo in _photos(source, dataset):
            short = "/".join(PurePosixPath(photo.path).parts[-2:])
            named.append((short, f"{number}/{photo.path}", photo))
    unique = len({short for short, _, _ in named}) == len(named)
    members = sorted((short if unique else long, photo) for short, long, photo in named)
    with zipfile.ZipFile(target, "w") as merged, Reader(MAX_BYTES) as reader:
        for name, photo in tqdm(members, desc=dataset.name, unit=" images", disable=None):
            try:
                content = reader.read(photo)
            except (DataError, *UNREADABLE) as error:
                raise _ContentError(f"is damaged ({photo.path}: {error})") from None
            merged.writestr(zipfile.ZipInfo(name), content)


def _unpack(archive: Path, folder: Path) -> Path:
    """Unpack a RAR into a new folder in `folder`. Links are removed: they may point outside."""
    reasons = []
    for tool in _unpackers(str(archive)):
        target = folder / tool
        target.mkdir()
        filled = {"archive": archive.resolve(), "folder": target.resolve()}
        command = [word.format(**filled) for word in f"{tool} {UNPACKERS[tool]}".split()]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
        )
        if done.returncode == 0:
            for path in target.rglob("*"):
                if path.is_symlink():
                    path.unlink()
            return target
        output = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        reasons.append(f"{tool}: {output[-1].strip()}")
    raise DownloadError(f"{archive} could not be unpacked ({'; '.join(reasons)})")


def _unpackers(archive: str) -> list[str]:
    found = [tool for tool in UNPACKERS if shutil.which(tool)]
    if not found:
        raise DownloadError(
            f"{archive} is a RAR archive and none of {', '.join(UNPACKERS)} is installed: "
            "install one (e.g. `apt install libarchive-tools`) and run again"
        )
    return found


def _is_rar(part: Path) -> bool:
    with part.open("rb") as file:
        return file.read(len(RAR)) == RAR
