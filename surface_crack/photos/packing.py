"""Decode many photos on all cores into one packed array on disk.

A single file is hashed by DVC in a second, and training memory-maps it.
"""

import logging
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from tqdm import tqdm

from surface_crack.photos.decode import NotAPhoto
from surface_crack.photos.listing import Photo, Rejected
from surface_crack.photos.reader import Limits, Reader, open_photo
from surface_crack.project.files import atomic_write
from surface_crack.project.names import readable
from surface_crack.threads import cores, in_order

CHUNK = 16  # photos per task of a thread: the overhead of a task is a tenth of a photo's time


class Row(NamedTuple):
    """One line of index.csv: photo number n is images.npy[n]."""

    path: str
    source: str
    label: int
    width: int  # of the original, upright, pixels
    height: int
    sha256: str  # of the file's bytes: equal for exact copies


def pack_all(
    photos: Sequence[Photo], size: int, target: Path, limits: Limits, name: str
) -> tuple[list[Row], list[Rejected]]:
    """Run `pack` to the end with a progress bar: (photos, rejected files).

    Logs one warning for all faint photos; `name` is the name of the bar and of the logger.
    """
    rows: list[Row] = []
    rejected: list[Rejected] = []
    faint: list[Row] = []
    with closing(_packing(photos, size, target, limits)) as results:
        for result, is_faint in tqdm(results, name, len(photos), unit="photo", disable=None):
            if isinstance(result, Rejected):
                rejected.append(result)
                continue
            rows.append(result)
            if is_faint:
                faint.append(result)
    if faint:
        first = readable(f"{faint[0].source}/{faint[0].path}")
        logging.getLogger(name).warning("%s", faint_warning(len(faint), first))
    return rows, rejected


def faint_warning(count: int, first: str) -> str:
    """Warning about `count` faint photos (see `Decoded`); `first` is the first one's name."""
    photos = "1 photo uses" if count == 1 else f"{count} photos use"
    return (
        f"{photos} less than an eighth of a range of more than 8 bits per pixel, and so look "
        f"nearly black; the first is {first!r}: scale them to the full range, or state the range "
        "in the file (MaxSampleValue of TIFF, sBIT of PNG)"
    )


def pack(
    photos: Sequence[Photo], size: int, target: Path, limits: Limits, workers: int | None = None
) -> Iterator[Row | Rejected]:
    """Write the photos to `target`, uint8 (N, size, size, 3), and yield the result for each.

    The file appears when the iterator is exhausted. Memory does not grow with the number of photos:
    pixels are written as they come, in the order of `photos`.
    """
    with closing(_packing(photos, size, target, limits, workers)) as results:
        for result, _ in results:
            yield result


def _packing(
    photos: Sequence[Photo], size: int, target: Path, limits: Limits, workers: int | None = None
) -> Generator[tuple[Row | Rejected, bool], None, None]:
    """Like `pack`; also yields whether the photo is faint."""
    reading = Reader(limits.max_bytes)
    with reading as reader, atomic_write(target) as temporary, temporary.open("wb") as file:

        def work(chunk: Sequence[Photo]) -> list[_Packed | Rejected]:
            return [_packed(reader, photo, size, limits.max_pixels) for photo in chunk]

        _write_header(file, 0, size)
        start, count = file.tell(), 0
        chunks = (photos[first : first + CHUNK] for first in range(0, len(photos), CHUNK))
        for results in in_order(work, chunks, workers or cores()):
            for result in results:
                if isinstance(result, Rejected):
                    yield result, False
                    continue
                file.write(result.pixels)
                count += 1
                yield result.row, result.faint
        file.seek(0)
        _write_header(file, count, size)
        assert file.tell() == start, "NumPy pads the header so that the row count can grow"


class _Packed(NamedTuple):
    row: Row
    pixels: bytes
    faint: bool


def _packed(reader: Reader, photo: Photo, size: int, max_pixels: int) -> _Packed | Rejected:
    try:
        decoded, digest = open_photo(reader, photo, size, max_pixels)
    except NotAPhoto as reason:
        return Rejected(photo.source, photo.path, str(reason))
    row = Row(photo.path, photo.source, photo.label, decoded.width, decoded.height, digest)
    return _Packed(row, decoded.pixels.tobytes(), decoded.faint)


def _write_header(file: IO[bytes], count: int, size: int) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, size, size, 3)}
    np.lib.format.write_array_header_1_0(file, header)
