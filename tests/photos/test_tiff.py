"""Finding the full image of a TIFF: camera raw, previews, overviews, masks, loops."""

import struct
import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surface_crack.photos import decode as module
from surface_crack.photos import tiff as tiff_module
from surface_crack.photos.decode import NotAPhoto, decode, decode_photo
from tests.support.makers import LIMITS, encoded, picture
from tests.support.odd_files import Page, Value, crowded, endless, tiff

PHOTO = np.asarray(picture(1, side=64))
SMALL = np.full((16, 16, 3), 9, np.uint8)  # darker than any photo here
GREY = PHOTO[..., 0].copy()
COPY: dict[int, Value] = {254: 1}
MASK: dict[int, Value] = {254: 4, 262: 4}
PAGE: dict[int, Value] = {254: 2}
SEVERAL = "contains several images: save them one by one"


def reason(content: bytes) -> str:
    with pytest.raises(NotAPhoto) as caught:
        decode(content, 32, LIMITS.max_pixels)
    with pytest.raises(NotAPhoto) as again:
        decode_photo(content)
    assert str(again.value) == str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def check_photo(content: bytes) -> None:
    photo = decode_photo(content)
    assert (photo.width, photo.height) == (64, 64)
    assert np.array_equal(np.asarray(photo.image), PHOTO)
    decoded = decode(content, 32, 64 * 64)
    assert decoded[1:3] == (64, 64)
    expected = decode(encoded(picture(1, side=64), "PNG"), 32, 64 * 64)
    assert np.array_equal(decoded.pixels, expected.pixels)


def bayer() -> Page:
    return Page(GREY, {262: 32803})


RAW = {
    "DNG, in its first directory": (tiff(Page(SMALL, {50706: b"\1\4\0\0"} | COPY)), "DNG"),
    "DNG, in a later one": (tiff(Page(PHOTO), Page(SMALL, {50706: b"\1\4\0\0"} | COPY)), "DNG"),
    "DNG, linear": (tiff(Page(SMALL, COPY, (Page(PHOTO, {262: 34892}),))), ""),
    "DNG, BigTIFF": (tiff(Page(SMALL, {50706: b"\1\6\0\0"} | COPY), big=True), "DNG"),
    "mosaic, in its first directory": (tiff(bayer()), ""),
    "mosaic, below the first": (tiff(Page(SMALL, COPY, (bayer(),))), ""),
    "mosaic, two levels below": (tiff(Page(SMALL, COPY, (Page(SMALL, COPY, (bayer(),)),))), ""),
    "mosaic, below a later one": (tiff(Page(PHOTO), Page(SMALL, COPY, (bayer(),))), ""),
    "NEF": (tiff(Page(SMALL, COPY | {271: b"NIKON CORPORATION\0"}, (bayer(),)), order=">"), "NEF"),
    "NEF, compressed": (tiff(Page(SMALL, COPY, (Page(GREY, {259: 34713}),))), "NEF"),
    "ARW": (tiff(Page(SMALL, COPY, (Page(GREY, {259: 32767}),))), "ARW"),
    "PEF": (tiff(Page(GREY, {259: 65535}), order=">"), "PEF"),
    "CR2": (tiff(Page(PHOTO), start=b"CR\2\0" + bytes(4)), "CR2"),
    "IIQ": (tiff(Page(PHOTO), start=b"IIII\1waR" + bytes(4)), "IIQ"),
    "RAF": (b"FUJIFILMCCD-RAW 0201" + bytes(100), "RAF"),
    "RW2": (b"IIU\0\x18\0\0\0" + bytes(100), "RW2"),
    "ORF": (b"IIRO\x08\0\0\0" + bytes(100), "ORF"),
    "ORF, older": (b"IIRS\x08\0\0\0" + bytes(100), "ORF"),
    "ORF, of the other byte order": (b"MMOR\0\0\0\x08" + bytes(100), "ORF"),
    "CR3": (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(100), "CR3"),
    "CRW": (b"II\x1a\0\0\0HEAPCCDR" + bytes(100), "CRW"),
}


@pytest.mark.parametrize("name", RAW)
def test_camera_raw_is_recognised(name: str) -> None:
    content, kind = RAW[name]
    suffix = f" ({kind})" if kind else ""
    assert reason(content) == f"camera raw{suffix}: develop it to JPEG or TIFF"


def test_pixels_that_match_a_camera_raw_signature_are_read() -> None:
    for start in (b"CR", b"IIII" * 8, b"MMMM" * 8):
        pixels = PHOTO.copy()
        flat = pixels.reshape(-1)
        flat[: len(start)] = np.frombuffer(start, np.uint8)
        image = decode_photo(tiff(Page(pixels))).image
        assert np.array_equal(np.asarray(image), pixels)


READ = {
    "one": tiff(Page(PHOTO)),
    "one, marked as full": tiff(Page(PHOTO, {254: 0})),
    "one, marked as a page of several": tiff(Page(PHOTO, PAGE)),
    "one, by the old tag": tiff(Page(PHOTO, {255: 1})),
    "overviews": tiff(Page(PHOTO), *[Page(SMALL, COPY)] * 5),
    "overviews below": tiff(Page(PHOTO, below=(Page(SMALL, COPY), Page(SMALL, COPY)))),
    "copies below that do not say so": tiff(Page(PHOTO, below=(Page(SMALL), Page(SMALL)))),
    "mask": tiff(Page(PHOTO), Page(GREY, MASK)),
    "mask by its subfile type alone": tiff(Page(PHOTO), Page(GREY, {254: 4})),
    "mask by its photometric alone": tiff(Page(PHOTO), Page(GREY, {262: 4})),
    "mask of an overview": tiff(Page(PHOTO), Page(SMALL, COPY), Page(GREY, {254: 5})),
    "preview by the old tag": tiff(Page(PHOTO), Page(SMALL, {255: 2})),
    "preview first": tiff(Page(SMALL, COPY), Page(PHOTO)),
    "preview first, the other byte order": tiff(Page(SMALL, COPY), Page(PHOTO), order=">"),
    "preview first, BigTIFF": tiff(Page(SMALL, COPY), Page(PHOTO), big=True),
    "preview first, the photo below": tiff(Page(SMALL, COPY, (Page(PHOTO),))),
    "two copies and a mask first": tiff(*[Page(SMALL, COPY)] * 2, Page(GREY, MASK), Page(PHOTO)),
    "unreadable preview first": tiff(Page(SMALL, COPY | {259: 7777}), Page(PHOTO)),
}


@pytest.mark.parametrize("name", READ)
def test_the_single_full_image_is_the_photo(name: str) -> None:
    check_photo(READ[name])


@pytest.mark.parametrize("first", [True, False])
def test_a_compressed_image_after_a_preview_is_read(first: bool) -> None:
    """libtiff looks up the directory itself."""
    pages = [picture(2, side=32), picture(1, side=64)]
    options = {"compression": "tiff_lzw", "save_all": True, "append_images": pages[1:]}
    content = encoded(pages[0], "TIFF", **options)
    assert reason(content) == SEVERAL
    marked = marked_as_copy(content, "first" if first else "second")
    if first:
        check_photo(marked)
    else:
        assert np.array_equal(np.asarray(decode_photo(marked).image), np.asarray(pages[0]))


def marked_as_copy(content: bytes, which: str) -> bytes:
    """Mark one directory as a smaller copy, by replacing an entry that has its default value."""
    place = struct.unpack_from("<I", content, 4)[0]
    if which == "second":
        count = struct.unpack_from("<H", content, place)[0]
        place = struct.unpack_from("<I", content, place + 2 + 12 * count)[0]
    count = struct.unpack_from("<H", content, place)[0]
    changed = bytearray(content)
    for at in range(place + 2, place + 2 + 12 * count, 12):
        if struct.unpack_from("<H", content, at)[0] == 284:  # planar configuration, 1 by default
            struct.pack_into("<2HII", changed, at, 254, 4, 1, 1)
            return bytes(changed)
    raise AssertionError("no tag 284")


def test_orientation_and_size_are_those_of_the_full_image() -> None:
    stored = np.ascontiguousarray(np.rot90(PHOTO[:32], 1))  # 64 high, 32 wide
    content = tiff(Page(SMALL, COPY), Page(stored, {274: 6}))
    photo = decode_photo(content)
    assert (photo.width, photo.height) == (64, 32)
    assert np.array_equal(np.asarray(photo.image), PHOTO[:32])
    assert decode(content, 16, 64 * 32)[1:3] == (64, 32)
    with pytest.raises(NotAPhoto, match="too large: 64 x 32 pixels, more than max_pixels"):
        decode(content, 16, 64 * 32 - 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tiff(Page(PHOTO), Page(PHOTO)), SEVERAL),
        (tiff(Page(PHOTO, PAGE), Page(PHOTO, PAGE)), SEVERAL),
        (tiff(Page(SMALL, COPY), Page(PHOTO), Page(SMALL, COPY), Page(PHOTO)), SEVERAL),
        (tiff(Page(SMALL, COPY, (Page(PHOTO), Page(PHOTO)))), SEVERAL),
        (tiff(Page(SMALL, COPY)), "contains only a preview or a mask: save the full image"),
        (tiff(Page(GREY, MASK)), "contains only a preview or a mask: save the full image"),
        (endless(100_000), "more than 1000 TIFF directories: save it again"),
        (crowded(), "more than 100,000 TIFF entries: save it again"),
    ],
    ids=["two", "two pages", "copies between", "two below", "copy", "mask", "endless", "crowded"],
)
def test_a_tiff_without_exactly_one_full_image_is_refused(content: bytes, message: str) -> None:
    assert reason(content) == message


def looped(content: bytes, target: int) -> bytes:
    """The TIFF with its last directory pointing to `target` as the next one."""
    return content[:-4] + struct.pack("<I", target)


def test_a_loop_ends_the_chain() -> None:
    content = tiff(Page(PHOTO), Page(SMALL, COPY))
    first = struct.unpack_from("<I", content, 4)[0]
    check_photo(looped(content, first))
    alone = tiff(Page(PHOTO))
    check_photo(looped(alone, struct.unpack_from("<I", alone, 4)[0]))


def test_a_directory_outside_the_file_is_refused() -> None:
    for target in (10**6, 2**32 - 1):
        message = reason(looped(tiff(Page(PHOTO)), target))
        assert message == "damaged: a directory is outside the file"


@pytest.mark.parametrize(
    "made",
    [
        lambda: endless(1_000_000),
        crowded,
        lambda: tiff(Page(PHOTO), *[Page(SMALL[:1, :1], COPY)] * 900),
        lambda: tiff(Page(PHOTO, {330: tuple(range(8, 60_000))})),
        lambda: tiff(Page(PHOTO, {330: (2**32 - 1,) * 5_000_000})),
    ],
    ids=["endless", "entries", "copies", "many below", "all below outside"],
)
def test_a_scan_takes_less_than_a_second(made: Callable[[], bytes]) -> None:
    content = made()
    start = time.process_time()
    tiff_module.scan(content)
    assert time.process_time() - start < 1


@settings(max_examples=300)
@given(
    content=st.sampled_from([*READ.values(), *(raw for raw, _ in RAW.values())]),
    edits=st.lists(st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=6)), max_size=4),
    cut=st.floats(0.5, 1),
)
def test_any_tiff_is_a_photo_or_a_one_line_reason(
    content: bytes, edits: list[tuple[int, bytes]], cut: float
) -> None:
    changed = bytearray(content)
    for place, new in edits:  # at the end, where the last directory is
        at = len(changed) - place if place % 2 else place
        changed[at : at + len(new)] = new
    changed = changed[: int(cut * len(changed))] if cut < 0.9 else changed
    tiff_module.scan(bytes(changed))  # it must not raise: it is called outside the error handling
    try:
        result = str(module.decode(bytes(changed), 16, 10_000).pixels.shape)
    except NotAPhoto as error:
        result = str(error)
    assert result.strip()
    assert "\n" not in result
