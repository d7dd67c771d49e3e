"""Packing photos into one array: order, hashes, rejected files, no leftovers after a failure."""

import hashlib
import logging
import os
import resource
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surface_crack.photos.decode import decode
from surface_crack.photos.listing import Photo, Rejected, class_labels, list_photos
from surface_crack.photos.packing import Row, pack, pack_all
from surface_crack.photos.reader import Limits, Reader, read_file
from surface_crack.project.console import user_message
from surface_crack.project.errors import DataError
from surface_crack.project.files import write_csv
from tests.support.makers import LIMITS, jpeg, metu_like, write_folder, write_zip
from tests.support.odd_files import png
from tests.support.rubbish import Entry, zipped

LABELS = class_labels(["Negative"], ["Positive"])


def test_rows_and_pixels_match(tmp_path: Path) -> None:
    files = metu_like(5) | {"Positive/00001.jpg": b"rotten", "Positive/00002.jpg": b""}
    photos = list_photos(write_zip(tmp_path / "raw.zip", files), LABELS).photos
    results = list(pack(photos, 16, tmp_path / "images.npy", LIMITS))
    rows = [result for result in results if isinstance(result, Row)]
    images = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert images.dtype == np.uint8
    assert images.shape == (8, 16, 16, 3) == (len(rows), 16, 16, 3)
    for row, pixels in zip(rows, images, strict=True):
        assert np.array_equal(pixels, decode(files[row.path], 16, LIMITS.max_pixels).pixels)
        assert row.sha256 == hashlib.sha256(files[row.path]).hexdigest()
        assert row.label == int(row.path.startswith("Positive"))
    assert [result for result in results if isinstance(result, Rejected)] == [
        Rejected("raw", "Positive/00001.jpg", "not an image, or not a supported format"),
        Rejected("raw", "Positive/00002.jpg", "empty file"),
    ]


def test_the_bytes_do_not_depend_on_workers_or_container(tmp_path: Path) -> None:
    files = metu_like(20)
    stores = [write_zip(tmp_path / "raw.zip", files), write_folder(tmp_path / "raw", files)]
    packed = []
    for number, (store, workers) in enumerate([(stores[0], 1), (stores[0], 3), (stores[1], 2)]):
        target = tmp_path / f"{number}.npy"
        rows = list(pack(list_photos(store, LABELS).photos, 16, target, LIMITS, workers))
        packed.append((rows, target.read_bytes()))
    assert packed[0] == packed[1] == packed[2]


def test_a_file_that_disappears_is_rejected(tmp_path: Path) -> None:
    photos = list_photos(write_folder(tmp_path / "raw", metu_like(2)), LABELS).photos
    (tmp_path / "raw/Positive/00001.jpg").unlink()
    results = list(pack(photos, 16, tmp_path / "images.npy", LIMITS))
    assert [type(result).__name__ for result in results] == ["Row", "Row", "Row", "Rejected"]
    assert "No such file" in str(results[-1])


def test_too_many_open_files_is_an_error_and_not_a_rejected_photo(tmp_path: Path) -> None:
    files = metu_like(2)
    stores = [write_zip(tmp_path / "raw.zip", files), write_folder(tmp_path / "raw", files)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for store in stores:
        photo = list_photos(store, LABELS).photos[0]
        with Reader(LIMITS.max_bytes) as reader:
            resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
            try:
                with pytest.raises(OSError, match="Too many open files") as caught:
                    read_file(reader, photo)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert "ulimit -n" in user_message(caught.value)


def test_a_photo_removed_from_a_zip_meanwhile_is_rejected(tmp_path: Path) -> None:
    photos = list_photos(write_zip(tmp_path / "raw.zip", metu_like(2)), LABELS).photos
    write_zip(tmp_path / "raw.zip", metu_like(1))
    *_, result = pack(photos, 16, tmp_path / "images.npy", LIMITS)
    assert isinstance(result, Rejected)
    assert result.reason == f"cannot be read: {tmp_path / 'raw.zip'} changed while it was read"


def test_damaged_zip_entries_are_rejected(tmp_path: Path) -> None:
    """Deflated entries fail in other ways than stored ones."""
    whole = write_zip(tmp_path / "whole.zip", metu_like(3), zipfile.ZIP_DEFLATED).read_bytes()
    draw = np.random.default_rng(0)
    for number in range(60):
        content = bytearray(whole)
        place = int(draw.integers(40, len(whole) - 900))  # not the directory at the end
        content[place : place + 30] = draw.bytes(30)
        damaged = tmp_path / f"{number}.zip"
        damaged.write_bytes(content)
        results = list(
            pack(list_photos(damaged, LABELS).photos, 16, tmp_path / "images.npy", LIMITS)
        )
        assert len(results) == 6
        assert any(isinstance(result, Rejected) for result in results)


WHOLE = zipped([Entry(name, content) for name, content in sorted(metu_like(2).items())])


@settings(max_examples=200)
@given(
    edits=st.lists(st.tuples(st.integers(1, 600), st.binary(min_size=1, max_size=6)), max_size=3),
    missing=st.integers(0, 40),
)
def test_all_entries_of_a_damaged_zip_are_listed_or_it_is_refused(
    edits: list[tuple[int, bytes]], missing: int
) -> None:
    """Damage to the directory, which is at the end of a zip."""
    content = bytearray(WHOLE)
    for place, new in edits:
        content[-place : len(content) - place + len(new)] = new
    with TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.zip"
        raw.write_bytes(content[: len(content) - missing * (missing > 30)])
        try:
            listing = list_photos(raw, LABELS)
            results = list(pack(listing.photos, 16, Path(folder) / "images.npy", LIMITS, 1))
        except DataError as error:
            result = str(error)
        else:
            result = f"{len(results)}"
            assert len(results) == len(listing.photos)
    assert "\n" not in result


def test_an_entry_that_extends_beyond_the_end_is_rejected(tmp_path: Path) -> None:
    size = struct.pack("<2I", len(jpeg(7)), len(jpeg(7)))
    other = struct.pack("<2I", 10**6, 10**6)
    raw = tmp_path / "raw.zip"
    raw.write_bytes(zipped([Entry("Negative/1.jpg", jpeg(7))]).replace(size, other))
    (result,) = pack(list_photos(raw, LABELS).photos, 16, tmp_path / "images.npy", LIMITS)
    assert isinstance(result, Rejected)
    wanted = {"EOFError", "Overlapped entries: 'Negative/1.jpg' (possible zip bomb)"}  # Python 3.13
    assert result.reason.removeprefix("cannot be read: ") in wanted


def test_limits_are_enforced(tmp_path: Path) -> None:
    """These photos have 48 x 48 pixels."""
    files = metu_like(2)
    for raw in (write_zip(tmp_path / "raw.zip", files), write_folder(tmp_path / "raw", files)):
        photos = list_photos(raw, LABELS).photos
        longest = max(map(len, files.values()))

        def reasons(pixels: int, size: int, photos: Sequence[Photo] = photos) -> set[str]:
            results = pack(photos, 16, tmp_path / "images.npy", Limits(pixels, size))
            return {result.reason for result in results if isinstance(result, Rejected)}

        assert reasons(48 * 48, longest) == set()
        message = "too large: 48 x 48 pixels, more than max_pixels (2,303)"
        assert reasons(48 * 48 - 1, longest) == {message}
        message = f"cannot be read: {longest:,} bytes, more than max_bytes ({longest - 1:,})"
        assert reasons(48 * 48, longest - 1) == {message}


def test_a_name_that_is_not_utf8_is_escaped(tmp_path: Path) -> None:
    raw = write_folder(tmp_path / "raw", metu_like(1))
    (raw / "Negative/00000.jpg").rename(os.fsdecode(os.fsencode(raw) + b"/Negative/caf\xe9.jpg"))
    rows = list(pack(list_photos(raw, LABELS).photos, 16, tmp_path / "images.npy", LIMITS))
    write_csv(tmp_path / "index.csv", Row._fields, rows)
    assert "Negative/caf\\udce9.jpg,raw,0," in (tmp_path / "index.csv").read_text("utf-8")


def test_a_failure_leaves_no_file(tmp_path: Path) -> None:
    photos = list_photos(write_zip(tmp_path / "raw.zip", metu_like(40)), LABELS).photos
    packing = pack(photos, 16, tmp_path / "out/images.npy", LIMITS)
    next(packing)
    assert list((tmp_path / "out").iterdir()) != []
    packing.close()  # type: ignore[attr-defined]
    assert list((tmp_path / "out").iterdir()) == []


def deep(largest: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A 16-bit photo with values up to `largest`."""
    draw = np.random.default_rng(0)
    values = draw.integers(0, largest, (48, 48), np.uint16, endpoint=True)
    values[0, 0] = largest
    return png(values, *chunks)


def test_pack_all_agrees_with_pack(tmp_path: Path) -> None:
    files = metu_like(5) | {"Positive/00001.jpg": b"rotten", "Negative/9.png": deep(4000)}
    photos = list_photos(write_folder(tmp_path / "raw", files), LABELS).photos
    alone = list(pack(photos, 16, tmp_path / "alone.npy", LIMITS))
    rows, rejected = pack_all(photos, 16, tmp_path / "all.npy", LIMITS, "prepare")
    assert [row for row in alone if isinstance(row, Row)] == rows
    assert [file for file in alone if isinstance(file, Rejected)] == rejected
    assert (tmp_path / "alone.npy").read_bytes() == (tmp_path / "all.npy").read_bytes()


def test_all_faint_photos_give_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stated = deep(4000, (b"sBIT", b"\x0c"))
    files = metu_like(2) | {"Negative/7.png": deep(9000), "Positive/8.png": stated}
    raw = write_folder(tmp_path / "raw", files)
    with caplog.at_level(logging.WARNING):
        pack_all(list_photos(raw, LABELS).photos, 16, tmp_path / "images.npy", LIMITS, "prepare")
    assert caplog.messages == []
    for count, start in ((1, "1 photo uses"), (3, "3 photos use")):
        for number in range(count):
            (raw / f"Positive/faint{number}.png").write_bytes(deep(4000))
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            photos = list_photos(raw, LABELS).photos
            pack_all(photos, 16, tmp_path / "images.npy", LIMITS, "prepare")
        (message,) = caplog.messages
        assert message.startswith(start)
        assert "'raw/Positive/faint0.png': scale them to the full range, or state" in message
        assert caplog.records[0].name == "prepare"
