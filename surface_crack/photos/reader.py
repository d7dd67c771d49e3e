"""Read photos from a folder, or from a zip without unpacking it."""

import hashlib
import os
import threading
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple, Self

from surface_crack.photos.containers import is_resource_exhaustion, open_zip
from surface_crack.photos.decode import Decoded, NotAPhoto, decode
from surface_crack.photos.listing import Photo
from surface_crack.project.errors import DataError, one_line

MAX_FILE = 500_000_000  # bytes of a file to be inspected; larger ones are not read
# Errors of zipfile for damaged, encrypted or unusual entries, and of the disk for files.
UNREADABLE = (
    *(OSError, DataError, RuntimeError, EOFError, ValueError),
    *(zipfile.BadZipFile, zlib.error),
)


class Limits(NamedTuple):
    """Maximum size of a photo, against decompression bombs."""

    max_pixels: int
    max_bytes: int  # of the uncompressed file


class Reader:
    """Reads photos, from several threads.

    A ZipFile that threads share is serialised by its lock, so each thread opens its own. As photos
    are sorted by source, each thread keeps only its last one open, to save open files.
    """

    def __init__(self, max_bytes: int | None = None) -> None:
        """Files may have up to `max_bytes` (default: MAX_FILE)."""
        self._max_bytes = max_bytes
        self._archives: dict[int, zipfile.ZipFile] = {}  # by thread

    def read(self, photo: Photo) -> bytes:
        """The file's bytes, no more than its stated size.

        Raises DataError if the file is too large, OSError or errors of zipfile if it is unreadable.
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
        self._archives[thread] = archive = archive or open_zip(path)
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


def open_photo(reader: Reader, photo: Photo, size: int, max_pixels: int) -> tuple[Decoded, str]:
    """Read and decode: (pixels, SHA-256 of the file). Raises NotAPhoto with the reason."""
    content = read_file(reader, photo)
    return decode(content, size, max_pixels), hashlib.sha256(content).hexdigest()


def read_file(reader: Reader, photo: Photo) -> bytes:
    """The file's bytes. Raises NotAPhoto with the reason if the file is unreadable.

    Errors that are not the file's fault (out of open files or memory) are raised as they are.
    """
    try:
        return reader.read(photo)
    except UNREADABLE as error:
        if is_resource_exhaustion(error):
            raise
        raise NotAPhoto(f"cannot be read: {one_line(error)}") from None
