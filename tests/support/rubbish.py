"""Unusual and unusable files found among photos: a table of kinds with the expected outcome.

`files` go into a folder, `entries` into one zip, `archives` replace a zip. The table in
docs/reliability.md is made from these: `python -m tests.support.rubbish` prints it.
"""

import base64
import os
import random
import re
import socket
import struct
import sys
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from tests.support import odd_files
from tests.support.makers import LIMITS, encoded, picture
from tests.support.odd_files import Page, Value

ACCEPTED = "counted as a photo"
DEPENDS = "counted if its pixels can be decoded, else rejected as damaged"
CLUTTER = "a system file"
NO_IMAGE = "not an image, or not a supported format"
DAMAGED = "damaged: .+"
UNUSABLE = f"{DAMAGED}|{NO_IMAGE}"
TOO_LARGE = r"too large: .+, more than max_pixels \(52,000,000\)"
ABOVE_BYTES = r"cannot be read: .+ bytes, more than max_bytes \(200,000,000\)"
SEVERAL = "contains several images: save them one by one"
RAW = r"camera raw \(.+\): develop it to JPEG or TIFF|camera raw: develop it to JPEG or TIFF"
OUTSIDE = "not a photo, outside the class folders"
DEFLATE = "not compressed with deflate: zip it again"

Content = bytes | Callable[[Path], None]  # or a function that creates the file at a path


class Kind(NamedTuple):
    what: str
    outcome: str  # ACCEPTED, DEPENDS, or the reason in rejected.csv as a regular expression
    files: Mapping[str, Content]


class Entry(NamedTuple):
    """One entry of a zip; size and checksum may be wrong."""

    name: str
    packed: bytes
    method: int = zipfile.ZIP_STORED
    size: int | None = None  # stated size when unpacked
    checksum: int | None = None
    flags: int = 1 << 11  # the name is UTF-8
    mode: int = 0  # Unix file mode


class ZipKind(NamedTuple):
    what: str
    outcome: str
    entries: tuple[Entry, ...]


class ArchiveKind(NamedTuple):
    what: str
    outcome: str  # the one-line error, as a regular expression
    archives: tuple[bytes, ...]


def zipped(entries: Iterable[Entry]) -> bytes:
    """A zip with the sizes and checksums that its entries state."""
    body, directory, count = bytearray(), bytearray(), 0
    for entry in entries:
        name = entry.name.encode()
        sums = zlib.crc32(entry.packed) if entry.checksum is None else entry.checksum
        size = len(entry.packed) if entry.size is None else entry.size
        first_of_1980 = 33
        head = struct.pack(
            "<5H3I2H",
            *(20, entry.flags, entry.method, 0, first_of_1980),
            *(sums, len(entry.packed), size, len(name), 0),
        )
        by_unix = 3 << 8 | 20
        directory += b"PK\1\2" + struct.pack("<H", by_unix) + head
        directory += struct.pack("<3H2I", 0, 0, 0, entry.mode << 16, len(body)) + name
        body += b"PK\3\4" + head + name + entry.packed
        count += 1
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(directory), len(body), 0)
    return bytes(body + directory) + end


# --- files ---


def plain(kind: str = "JPEG", **options: object) -> bytes:
    return encoded(picture(1), kind, **options)


def cut_at_markers(jpeg: bytes, name: str) -> dict[str, bytes]:
    """The file truncated before each of its markers except the first and the last."""
    places = [found.start() for found in re.finditer(rb"\xff[\xc0-\xfe]", jpeg)]
    return {f"cut-{place}-{name}": jpeg[:place] for place in places[1:-1]}


def flipped(content: bytes, count: int, name: str) -> dict[str, bytes]:
    """`count` copies of the file, each with one bit flipped."""
    draw = random.Random(name)
    copies = {}
    for number in range(count):
        copy = bytearray(content)
        copy[draw.randrange(len(copy))] ^= 1 << draw.randrange(8)
        copies[f"{number}-{name}"] = bytes(copy)
    return copies


def png(width: int, height: int, kind: bytes, *before: tuple[bytes, bytes], data: bytes) -> bytes:
    """A PNG; `kind`: bits per sample and colour type; `before`: chunks before the pixels."""
    header = struct.pack(">2I", width, height) + kind + b"\0\0\0"
    content = b"\x89PNG\r\n\x1a\n"
    for name, chunk in ((b"IHDR", header), *before, (b"IDAT", zlib.compress(data)), (b"IEND", b"")):
        content += struct.pack(">I", len(chunk)) + name + chunk
        content += struct.pack(">I", zlib.crc32(name + chunk))
    return content


def text_bomb() -> tuple[bytes, bytes]:
    return b"zTXt", b"Comment\0\0" + zlib.compress(bytes(50_000_000))


def tiff(width: int, height: int, *more: tuple[int, int, int, int]) -> bytes:
    """A grey TIFF without pixels; `more`: further tags (tag, type, count, value)."""
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1)]
    tags += [(262, 3, 1, 1), (273, 4, 1, 8), (278, 4, 1, height), (279, 4, 1, 64), *more]
    fields = b"".join(struct.pack("<2H2I", *tag) for tag in sorted(tags))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + fields + bytes(4) + bytes(64)


def sized(content: bytes, width: int, height: int) -> bytes:
    """A JPEG, BMP or GIF with a wrong size in its header."""
    if content.startswith(b"BM"):
        return content[:18] + struct.pack("<2i", width, height) + content[26:]
    if content.startswith(b"GIF"):
        place = content.index(b",") + 5  # of the first frame, too
        size = struct.pack("<2H", width, height)
        return content[:6] + size + content[10:place] + size + content[place + 4 :]
    place = next(re.finditer(rb"\xff[\xc0\xc2]\0\x11\x08", content)).end()
    return content[:place] + struct.pack(">2H", height, width) + content[place + 4 :]


def of_size(width: int, height: int) -> dict[str, bytes]:
    name = f"{width}x{height}"
    return {
        f"{name}.jpg": sized(plain(), width, height),
        f"{name}-progressive.jpg": sized(plain(progressive=True), width, height),
        f"{name}.png": png(width, height, b"\x08\0", data=b""),
        f"{name}.bmp": sized(plain("BMP"), width, height),
        f"{name}.gif": sized(plain("GIF"), width, height),
        f"{name}.tif": tiff(width, height),
    }


def largest_webp() -> bytes:
    """34 bytes, one colour, and as many pixels as `max_pixels` allows: 16 bytes of memory each."""
    side = int(LIMITS.max_pixels**0.5)
    return encoded(Image.new("RGB", (side, side)), "WEBP", lossless=True, quality=0, method=0)


def scans(count: int) -> bytes:
    """A progressive JPEG whose last scan is repeated `count` times."""
    jpeg = plain(progressive=True)
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:-2] + jpeg[last:-2] * count + jpeg[-2:]


def frames(count: int) -> bytes:
    """A GIF with `count` equal frames."""
    gif = encoded(Image.new("L", (8, 8)), "GIF")
    start = gif.index(b",\0")
    return gif[:start] + gif[start:-1] * count + gif[-1:]


def exif(orientation: bytes, tag: int = 0x0112, kind: int = 3, count: int = 1) -> bytes:
    """An EXIF block with one field; `orientation` are the four bytes of its value."""
    entry = struct.pack("<2HI", tag, kind, count) + orientation
    return (
        b"Exif\0\0II*\0\x08\0\0\0\x01\0" + entry + b"\x08\0\0\0"
    )  # the next directory is itself again


def with_orientation(orientation: int) -> bytes:
    block = Image.Exif()
    block[0x0112] = orientation
    return plain(exif=block)


def pages(kind: str) -> bytes:
    return plain(kind, save_all=True, append_images=[picture(2), picture(3)])


def mode(name: str, kind: str) -> bytes:
    return encoded(picture(1).convert(name), kind)


def deep(kind: str, dtype: str) -> bytes:
    levels = np.arange(48 * 48).reshape(48, 48) * 20
    return encoded(Image.fromarray(levels.astype(dtype)), kind)


PHOTO = np.asarray(picture(1))
GREY = PHOTO[..., 0].copy()
SMALL = PHOTO[:16, :16].copy()
TWELVE = GREY.astype(np.uint16) * 16
COPY: dict[int, Value] = {254: 1}
MASK: dict[int, Value] = {254: 4, 262: 4}


def raws() -> dict[str, bytes]:
    """Camera raw: TIFFs with a preview that Pillow would open instead, and others."""
    mosaic = Page(GREY, {262: 32803})
    dng: dict[int, Value] = {50706: b"\1\4\0\0"}
    nikon: dict[int, Value] = {271: b"NIKON CORPORATION\0"}
    return {
        "raw.dng": odd_files.tiff(Page(SMALL, COPY | dng, (mosaic,))),
        "raw-linear.dng": odd_files.tiff(Page(PHOTO, dng | {262: 34892})),
        "raw-big.dng": odd_files.tiff(Page(SMALL, COPY | dng, (mosaic,)), big=True),
        "raw-dng.jpg": odd_files.tiff(Page(PHOTO, dng)),
        "raw.nef": odd_files.tiff(Page(SMALL, COPY | nikon, (mosaic,)), order=">"),
        "raw-compressed.nef": odd_files.tiff(Page(SMALL, COPY, (Page(GREY, {259: 34713}),))),
        "raw.arw": odd_files.tiff(Page(SMALL, COPY, (Page(GREY, {259: 32767}),))),
        "raw.pef": odd_files.tiff(Page(GREY, {259: 65535}), Page(PHOTO), order=">"),
        "raw.cr2": odd_files.tiff(Page(PHOTO), Page(SMALL), start=b"CR\2\0\0\0\0\0"),
        "raw.iiq": odd_files.tiff(Page(PHOTO), start=b"IIII\1waR"),
        "raw-mosaic.tif": odd_files.tiff(mosaic),
        "raw-behind.tif": odd_files.tiff(Page(PHOTO), Page(SMALL, COPY, (mosaic,))),
        "raw.raf": b"FUJIFILMCCD-RAW 0201" + plain(),
        "raw.rw2": b"IIU\0\x18\0\0\0" + plain(),
        "raw.orf": b"IIRO\x08\0\0\0" + plain(),
        "raw-mm.orf": b"MMOR\0\0\0\x08" + plain(),
        "raw-older.orf": b"IIRS\x08\0\0\0" + plain(),
        "raw.cr3": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + plain(),
        "raw.crw": b"II\x1a\0\0\0HEAPCCDR" + plain(),
    }


def loop() -> bytes:
    """A TIFF whose second directory points back to the first."""
    content = odd_files.tiff(Page(PHOTO), Page(SMALL, COPY))
    return content[:-4] + content[4:8]


def profiled(kind: str, icc: bytes, mode: str = "RGB") -> bytes:
    return encoded(picture(1).convert(mode), kind, icc_profile=icc)


def link(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def link_to_a_photo_outside(path: Path) -> None:
    outside = path.parents[2] / "outside.jpg"
    outside.write_bytes(plain())
    path.symlink_to(outside)


def behind_a_link(path: Path) -> None:
    outside = path.parents[3] / "outside"
    outside.mkdir()
    path.parent.rmdir()
    path.parent.symlink_to(outside)
    path.write_bytes(plain())


def in_a_folder_there(path: Path) -> None:
    path.write_bytes(plain())


def unix_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path may have 107 characters
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 4_000_000_000)  # takes no disk space


# 16 x 16 grey pixels, from `jpegtran -arithmetic` of libjpeg-turbo 2.1.5: Pillow cannot write it.
ARITHMETIC = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDACgcHiMeGSgjISMtKygwPGRBPDc3PHtYXUlkkYCZlo+AjIqgtObDoKrarYqM"
    "yP/L2u71////m8H////6/+b9//j/yQALCAAQABABAREA/8wABgAQEAX/2gAIAQEAAD8AyJZcw0hgf0aMkSUm1OHIMpgP"
    "XS/4+4bT7LDc/9k="
)
UMLAUT = "\u00fc.jpg"  # composed; decomposed it has two code points
NAMES = (
    *(unicodedata.normalize(form, UMLAUT) for form in ("NFC", "NFD")),
    *("\u88c2\u7f1d.jpg", "\u0634\u0642.jpg", "\U0001f9f1.jpg", "\u202egpj.exe", "a\u200bb.jpg"),
    *("n" * 251 + ".jpg", "line\nbreak.jpg", "carriage\rreturn.jpg", "tab\t.jpg", "\x1b[31m.jpg"),
    *("Case.jpg", "case.JPG", "CASE.jpg", "CON.jpg", "a b .jpg", " .jpg", "%s%n.jpg", "$(id).jpg"),
    *("=1+1.jpg", 'quote".jpg', "comma,.jpg", "back\\slash.jpg", "-rf.jpg", "~.jpg", "no suffix"),
    *("caf\udce9.jpg", "two.jpg.png", "a.jpg "),
)
BASELINE = plain(exif=exif(b"\1\0\0\0"), restart_marker_blocks=4, optimize=True)
PROGRESSIVE = plain(progressive=True)


def files() -> tuple[Kind, ...]:
    """Files in a folder. Built on each call: together they have about 30 MB."""
    page = b"<!DOCTYPE html><title>Please log in</title>"
    small = png(8, 8, b"\x08\0", data=bytes(72))
    return (
        Kind(
            "JPEG, baseline, truncated at each marker",
            UNUSABLE,
            cut_at_markers(BASELINE, "baseline.jpg"),
        ),
        Kind(
            "JPEG, progressive, truncated at each marker",
            UNUSABLE,
            cut_at_markers(PROGRESSIVE, "progressive.jpg"),
        ),
        Kind(
            "JPEG with only its first marker",
            NO_IMAGE,
            {"soi.jpg": b"\xff\xd8", "3": b"\xff\xd8\xff"},
        ),
        Kind(
            "PNG, BMP, TIFF, WebP and GIF, truncated in the middle",
            UNUSABLE,
            {
                f"half.{kind}": (x := plain(kind))[: len(x) // 2]
                for kind in ("PNG", "BMP", "TIFF", "WEBP", "GIF")
            },
        ),
        Kind(
            "one bit flipped, in JPEG, PNG, BMP, TIFF, WebP and GIF",
            DEPENDS,
            flipped(BASELINE, 15, "baseline.jpg")
            | flipped(PROGRESSIVE, 15, "progressive.jpg")
            | flipped(plain("PNG"), 10, "a.png")
            | flipped(plain("BMP"), 10, "a.bmp")
            | flipped(plain("TIFF", compression="tiff_lzw"), 10, "a.tif")
            | flipped(plain("WEBP"), 10, "a.webp")
            | flipped(plain("GIF"), 10, "a.gif"),
        ),
        Kind("empty file", "empty file", {"empty.jpg": b"", "empty.png": b"", "empty": b""}),
        Kind(
            "not an image: HTML saved as .jpg, text, zeros, noise, PDF, video, zip, SVG",
            NO_IMAGE,
            {
                "page.jpg": page,
                "page.png": b"\xef\xbb\xbf\n" + page,
                "error.jpg": b'{"error": "not found"}',
                "notes.txt": b"east wall, third floor",
                "zeros.jpg": bytes(4096),
                "noise.jpg": random.Random(0).randbytes(4096),
                "newline.jpg": b"\n" + plain(),
                "report.pdf": b"%PDF-1.7\n1 0 obj<<>>endobj",
                "film.jpg": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
                "inner.zip": zipped([Entry("Negative/1.jpg", plain())]),
                "drawing.jpg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
                "weights.jpg": b"\x80\x04\x95cposix\nsystem\n",
            },
        ),
        Kind(
            "unsupported image format: PPM, TGA, ICO, PCX, SGI, EPS",
            NO_IMAGE,
            {f"other.{kind}": plain(kind) for kind in ("PPM", "TGA", "ICO", "PCX", "SGI", "EPS")},
        ),
        Kind(
            "image with a wrong suffix, or none",
            ACCEPTED,
            {
                "a.jpg": plain("PNG"),
                "a.png": plain(),
                "a.bmp": plain("WEBP"),
                "a.txt": plain(),
                "a": plain("GIF"),
                "jpg.tif": plain("BMP"),
                "a.heic": plain(),
            },
        ),
        Kind(
            "animation or several pages: GIF, PNG, WebP, TIFF; 300,000 frames",
            SEVERAL,
            {f"pages.{kind}": pages(kind) for kind in ("GIF", "PNG", "WEBP", "TIFF")}
            | {"frames.gif": frames(300_000)},
        ),
        Kind(
            "camera raw, recognised by content: DNG, NEF, ARW, PEF, CR2, CR3, IIQ, RAF, RW2, ORF, "
            "CRW",
            RAW,
            raws(),
        ),
        Kind(
            "TIFF with overviews, a preview (before, after or above the photo), masks; a loop",
            ACCEPTED,
            {
                "overviews.tif": odd_files.tiff(Page(PHOTO), *3 * [Page(SMALL, COPY)]),
                "overviews-below.tif": odd_files.tiff(Page(PHOTO, {}, (Page(SMALL, COPY),))),
                "preview-first.tif": odd_files.tiff(Page(SMALL, COPY), Page(PHOTO)),
                "preview-first-big.tif": odd_files.tiff(Page(SMALL, COPY), Page(PHOTO), big=True),
                "preview-above.tif": odd_files.tiff(Page(SMALL, COPY, (Page(PHOTO),))),
                "preview-old.tif": odd_files.tiff(Page(SMALL, {255: 2}), Page(PHOTO)),
                "mask.tif": odd_files.tiff(Page(PHOTO), Page(GREY, MASK)),
                "mask-first.tif": odd_files.tiff(Page(GREY, MASK), Page(PHOTO)),
                "loop.tif": loop(),
            },
        ),
        Kind(
            "TIFF with two full images, also with a preview between them",
            SEVERAL,
            {
                "two.tif": odd_files.tiff(Page(PHOTO), Page(SMALL, COPY), Page(PHOTO)),
                "two-pages.tif": odd_files.tiff(Page(PHOTO, {254: 2}), Page(PHOTO, {254: 2})),
            },
        ),
        Kind(
            "TIFF with only a preview, or only a mask",
            "contains only a preview or a mask: save the full image",
            {
                "copy.tif": odd_files.tiff(Page(SMALL, COPY)),
                "mask-only.tif": odd_files.tiff(Page(GREY, MASK)),
            },
        ),
        Kind(
            "TIFF with a million directories, or with 49,000 entries in each directory",
            "more than 1000 TIFF directories: save it again"
            "|more than 100,000 TIFF entries: save it again",
            {
                "endless.tif": odd_files.endless(1_000_000),
                "entries.tif": odd_files.crowded(),
            },
        ),
        Kind(
            "TIFF with a pointer to a directory outside the file",
            "damaged: a directory is outside the file",
            {"outside.tif": tiff(48, 48)[:-68] + b"\xff\xff\xff\x7f" + bytes(64)},
        ),
        Kind("camera JPEG with an embedded preview (MPO)", ACCEPTED, {"mpo.jpg": pages("MPO")}),
        Kind(
            "header with 60,000 x 60,000 and with 65,535 x 1,000 pixels",
            TOO_LARGE,
            of_size(60_000, 60_000) | of_size(65_535, 1_000),
        ),
        Kind(
            "header with 0 pixels",
            f"too small: .+|{UNUSABLE}",
            of_size(0, 0) | of_size(0, 48) | of_size(48, 0),
        ),
        Kind(
            "image of 7 x 48, 48 x 1 and 1 x 1 pixels",
            "too small: .+",
            {
                f"{x}x{y}.png": encoded(Image.new("L", (x, y)), "PNG")
                for x, y in ((7, 48), (48, 1), (1, 1))
            },
        ),
        Kind(
            "as many pixels as `max_pixels` allows, in 40 bytes",
            ACCEPTED,
            dict.fromkeys(("most-1.webp", "most-2.webp"), largest_webp()),
        ),
        Kind(
            "progressive JPEG with 100 additional scans",
            "more than 100 scans: save it again",
            {"scans.jpg": scans(100)},
        ),
        Kind(
            "PNG with 50 MB of text, compressed to 50 KB",
            DAMAGED,
            {"text.png": png(8, 8, b"\x08\0", text_bomb(), data=bytes(72))},
        ),
        Kind(
            "PNG with missing pixels, or with a wrong checksum of its header",
            UNUSABLE,
            {
                "few.png": png(48, 48, b"\x08\0", data=bytes(400)),
                "header.png": small[:29] + b"oops" + small[33:],
            },
        ),
        Kind(
            "PNG with a wrong checksum of its pixels, all of which can be decoded",
            ACCEPTED,
            {"pixels.png": small[:-16] + b"oops" + small[-12:]},
        ),
        Kind("file of 4 GB", ABOVE_BYTES, {"huge.jpg": huge}),
        Kind(
            "16 bits per pixel: PNG, TIFF of either byte order, RGB PNG",
            ACCEPTED,
            {
                "16.png": deep("PNG", "uint16"),
                "16.tif": deep("TIFF", "uint16"),
                "16-big.tif": deep("TIFF", ">u2"),
                "48.png": png(8, 8, b"\x10\2", data=bytes(8 * 49)),
            },
        ),
        Kind(
            "12 bits in 16: with a stated range, and without (a warning)",
            ACCEPTED,
            {
                "12.tif": odd_files.tiff(Page(TWELVE, {281: 4095})),
                "12.png": odd_files.png(TWELVE, (b"sBIT", b"\x0c")),
                "12-RGB.png": odd_files.png(np.stack(3 * [TWELVE], 2), (b"sBIT", b"\x0c\x0c\x0c")),
                "12-upper.png": odd_files.png(TWELVE << 4, (b"sBIT", b"\x0c")),
                "12-faint.tif": odd_files.tiff(Page(TWELVE)),
                "12-faint.png": odd_files.png(TWELVE),
                "12-faint-RGB.png": odd_files.png(np.stack(3 * [TWELVE], 2)),
            },
        ),
        Kind(
            "16 bits, with values above the stated maximum",
            r"pixels up to .+, above the MaxSampleValue .+ that the file states: "
            "correct or remove that tag",
            {
                "above.tif": odd_files.tiff(Page(TWELVE, {281: 255})),
                "above-RGB.tif": odd_files.tiff(Page(np.stack(3 * [TWELVE], 2), {281: 255})),
            },
        ),
        Kind(
            "32 bits per pixel",
            "32-bit pixels, whose range is unknown",
            {"32.tif": deep("TIFF", "int32")},
        ),
        Kind(
            "float pixels",
            "float pixels, whose range is unknown",
            {"float.tif": deep("TIFF", "float32")},
        ),
        Kind(
            "grey, palette, black and white, transparent, CMYK without profile, YCbCr, Lab",
            ACCEPTED,
            {
                f"{name}.{kind}": mode(name, kind)
                for name, kind in (
                    ("L", "JPEG"),
                    ("1", "PNG"),
                    ("P", "PNG"),
                    ("LA", "PNG"),
                    ("RGBA", "PNG"),
                    ("RGBA", "WEBP"),
                    ("CMYK", "JPEG"),
                    ("CMYK", "TIFF"),
                    ("YCbCr", "TIFF"),
                    ("LAB", "TIFF"),
                )
            },
        ),
        Kind(
            "colour profile: linear, wide gamut, grey, CMYK; truncated, 20 MB, for another mode",
            ACCEPTED,
            {
                "icc-linear.jpg": profiled("JPEG", odd_files.profile(curve=(1.0,))),
                "icc-wide.png": profiled("PNG", odd_files.profile(odd_files.ADOBE, (2.2,))),
                "icc-wide.webp": profiled("WEBP", odd_files.profile(odd_files.ADOBE, (2.2,))),
                "icc-grey.jpg": profiled("JPEG", odd_files.grey_profile(1.0), "L"),
                "icc-inks.jpg": profiled("JPEG", odd_files.cmyk_profile(), "CMYK"),
                "icc-inks.tif": profiled("TIFF", odd_files.cmyk_profile(), "CMYK"),
                "icc-cut.jpg": profiled("JPEG", odd_files.profile()[:300]),
                "icc-no-text.png": profiled("PNG", b"no profile"),
                "icc-large.tif": profiled("TIFF", odd_files.profile().ljust(20_000_000, b"x")),
                "icc-grey-on-RGB.jpg": profiled("JPEG", odd_files.grey_profile(1.0)),
                "icc-inks-on-RGB.png": profiled("PNG", odd_files.cmyk_profile()),
                "icc-RGB-on-inks.jpg": profiled("JPEG", odd_files.profile(), "CMYK"),
            },
        ),
        Kind(
            "EXIF orientation 1 to 8",
            ACCEPTED,
            {f"turned-{n}.jpg": with_orientation(n) for n in range(1, 9)},
        ),
        Kind(
            "broken EXIF: garbage, endless loop, orientation 0, 9, text, offset outside the file",
            ACCEPTED,
            {
                "exif-garbage.jpg": plain(exif=b"Exif\0\0garbage"),
                "exif-cut.jpg": plain(exif=exif(b"")[:-4]),
                "exif-0.jpg": plain(exif=exif(b"\0\0\0\0")),
                "exif-9.jpg": plain(exif=exif(b"\x09\0\0\0")),
                "exif-text.jpg": plain(exif=exif(b"up\0\0", kind=2, count=3)),
                "exif-outside.jpg": plain(exif=exif(b"\xff\xff\xff\xff", count=60_000)),
                "exif-resolution.jpg": plain(exif=exif(b"\xff\xff\xff\xff", 0x011A, kind=5)),
            },
        ),
        Kind(
            "JPEG: progressive, arithmetic coding, 4:4:4, restart markers, data after the end",
            ACCEPTED,
            {
                "progressive.jpg": PROGRESSIVE,
                "arithmetic.jpg": ARITHMETIC,
                "444.jpg": plain(subsampling=0),
                "restart.jpg": BASELINE,
                "behind.jpg": plain() + bytes(1000),
                "twice.jpg": plain() + plain(),
                "icc.jpg": plain(icc_profile=b"no profile"),
            },
        ),
        Kind(
            "JPEG: 12 bits, lossless, without end marker",
            UNUSABLE,
            {
                "no-end.jpg": plain()[:-2],
                "12-bit.jpg": plain().replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"),
                "lossless.jpg": plain().replace(b"\xff\xc0", b"\xff\xc3"),
            },
        ),
        Kind(
            "name: Unicode, very long, not UTF-8, with line breaks, quotes; differing only in case",
            ACCEPTED,
            dict.fromkeys(NAMES, plain()),
        ),
        Kind(
            "system files: Thumbs.db, .DS_Store, __MACOSX, hidden files",
            CLUTTER,
            {
                "Thumbs.db": b"x",
                "thumbs.DB": b"x",
                ".DS_Store": b"x",
                "desktop.ini": b"x",
                "._a.jpg": plain(),
                ".hidden.jpg": plain(),
                ".jpg": plain(),
                "__MACOSX/._1.jpg": b"x",
                "__MACOSX/Negative/1.jpg": plain(),
            },
        ),
        Kind(
            "text file in a folder named like a photo, or next to the class folders",
            OUTSIDE,
            {
                "folder.jpg/inner.txt": b"x",
                "../readme.md": b"x",
            },
        ),
        Kind(
            "link to a photo outside: read, as by DVC",
            ACCEPTED,
            {"link.jpg": link_to_a_photo_outside},
        ),
        Kind(
            "photo behind a link to a folder, and in a subfolder there: each folder is read once",
            ACCEPTED,
            {"Negative/a.jpg": behind_a_link, "Negative/Negative/b.jpg": in_a_folder_there},
        ),
        Kind(
            "broken link, link to itself",
            "cannot be read: .+",
            {"gone.jpg": link("nowhere"), "self.jpg": link("self.jpg")},
        ),
        Kind(
            "FIFO, socket, link to a device",
            "not a regular file",
            {"fifo.jpg": os.mkfifo, "socket.jpg": unix_socket, "zero.jpg": link("/dev/zero")},
        ),
    )


# --- zips ---

BOMB = 4_000_000_000  # bytes unpacked
DEFLATED = zipfile.ZIP_DEFLATED


def zeros_deflated(count: int) -> bytes:
    """`count` MiB of zeros. Each MiB is a block of its own, so that it is compressed only once."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * count + packer.flush()


def deflated(content: bytes) -> bytes:
    return zlib.compress(content, wbits=-15)


def entries() -> tuple[ZipKind, ...]:
    """Entries that a zip can have and a folder often cannot."""
    photo = plain()
    sums = zlib.crc32(photo)
    bomb = zeros_deflated(-(-BOMB >> 20))
    return (
        ZipKind(
            "stored and deflated photos, older name encoding, no entries for folders",
            ACCEPTED,
            (
                Entry("Negative/stored.jpg", photo),
                Entry("Negative/deflated.jpg", deflated(photo), DEFLATED, len(photo), sums),
                Entry("Negative/\u00e9.jpg", photo, flags=0),
                Entry(".\\Negative\\dos.jpg", photo),
            ),
        ),
        ZipKind(
            "names impossible in some file systems: very long, with NUL, differing only in case",
            ACCEPTED,
            (
                Entry(f"Negative/{'n' * 5000}.jpg", photo),
                Entry(f"{'deep/' * 200}Negative/1.jpg", photo),
                Entry("Negative/nul.jpg\0.exe", photo),
                Entry("Negative/Case.jpg", photo),
                Entry("Negative/CASE.jpg", photo),
            ),
        ),
        ZipKind(
            "path that escapes the archive: with .., absolute, Windows style",
            "its path escapes the archive",
            (
                Entry("../Negative/out.jpg", photo),
                Entry("Negative/../../out.jpg", photo),
                Entry("..\\..\\Negative\\out.jpg", photo),
                Entry("/Negative/out.jpg", photo),
                Entry("Negative/..", photo),
            ),
        ),
        ZipKind(
            "second entry of the same name",
            "a second entry of the same name",
            (Entry("Negative/stored.jpg", plain("PNG")), Entry("./Negative/stored.jpg", photo)),
        ),
        ZipKind("encrypted", "encrypted", (Entry("Negative/secret.jpg", photo, flags=1),)),
        ZipKind(
            "compressed with bzip2, LZMA, Zstandard, or an unknown method",
            DEFLATE,
            tuple(Entry(f"Negative/{method}.jpg", photo, method) for method in (12, 14, 93, 99)),
        ),
        ZipKind(
            "4 GB of zeros, compressed to 4 MB",
            ABOVE_BYTES,
            (Entry("Negative/bomb.jpg", bomb, DEFLATED, BOMB),),
        ),
        ZipKind(
            "the same with a stated size of 1 MB, and a photo with a stated size that is too small",
            "cannot be read: Bad CRC-32 .+",
            (
                Entry("Negative/liar.jpg", bomb, DEFLATED, 1 << 20),
                Entry("Negative/small.jpg", deflated(photo), DEFLATED, 100, sums),
            ),
        ),
        ZipKind(
            "wrong checksum, damaged or truncated stream",
            "cannot be read: .+",
            (
                Entry("Negative/checksum.jpg", photo, checksum=sums ^ 1),
                Entry("Negative/stream.jpg", b"\xff" * 100, DEFLATED, 100),
                Entry("Negative/cut.jpg", deflated(photo)[:-50], DEFLATED, len(photo), sums),
            ),
        ),
        ZipKind(
            "entry that is empty, a zip, a symbolic link, or half a photo",
            f"empty file|{UNUSABLE}",
            (
                Entry("Negative/empty.jpg", b""),
                Entry("Negative/inner.zip", zipped([Entry("Negative/1.jpg", photo)])),
                Entry("Negative/link.jpg", b"/etc/passwd", mode=0o120777),
                Entry("Negative/half.jpg", photo[: len(photo) // 2]),
            ),
        ),
        ZipKind(
            "system files",
            CLUTTER,
            (
                Entry("__MACOSX/Negative/._1.jpg", b"x"),
                Entry("Negative/.DS_Store", b"x"),
                Entry("Negative/Thumbs.db", b"x"),
            ),
        ),
        ZipKind(
            "zip next to the class folders, photo without a name",
            OUTSIDE,
            (Entry("inner.zip", zipped([Entry("Negative/1.jpg", photo)])), Entry("", photo)),
        ),
    )


def archives() -> tuple[ArchiveKind, ...]:
    """Files that are not valid zips, or zips without photos."""
    whole = zipped([Entry(f"{name}/1.jpg", plain()) for name in ("Negative", "Positive")])
    start = whole.index(b"PK\1\2")
    no_zip = r"prepare: error: .+ is not a readable zip \(.+\)"
    return (
        ArchiveKind(
            "empty file, HTML, photo or tar, named .zip",
            no_zip,
            (b"", b"<!DOCTYPE html>", plain(), b"Negative/1.jpg".ljust(1024, b"\0")),
        ),
        ArchiveKind(
            "zip truncated in its first photo, before and in its directory, at its last byte",
            no_zip,
            tuple(whole[:place] for place in (100, start, start + 60, len(whole) - 1)),
        ),
        ArchiveKind(
            "name marked as UTF-8 that is not UTF-8",
            no_zip,
            (whole.replace(b"Positive/1.jpg", b"Positive/\xff.jpg"),),
        ),
        ArchiveKind(
            "directory with entries outside the file",
            "prepare: error: no negative photo can be read, see data/prepared/rejected.csv",
            (whole[:-6] + b"\xff\xff\xff\x7f\0\0",),
        ),
        ArchiveKind(
            "no entry, or only a zip in the zip",
            "prepare: error: no photo found in .+: expected <class folder>/<photo>, "
            "see params.yaml",
            (zipped([]), zipped([Entry("inner.zip", whole)])),
        ),
    )


# --- docs/reliability.md ---


def table() -> str:
    """Markdown table of all kinds, with the number of files and the outcome."""
    lines = ["| in a folder | how many | what happens |", "|---|--:|---|"]
    lines += [_row(kind.what, len(kind.files), _described(kind.outcome)) for kind in files()]
    lines.append("| **in a zip** | | |")
    lines += [_row(kind.what, len(kind.entries), _described(kind.outcome)) for kind in entries()]
    lines.append("| **instead of a zip** | | |")
    lines += [_row(kind.what, len(kind.archives), _quoted(kind.outcome)) for kind in archives()]
    return "\n".join(lines) + "\n"


def _row(what: str, count: int, outcome: str) -> str:
    return f"| {what} | {count} | {outcome} |"


def _described(outcome: str) -> str:
    if outcome in (ACCEPTED, DEPENDS):
        return outcome
    kept = "listed, not counted in `max_rejected`" if outcome in (CLUTTER, OUTSIDE) else "rejected"
    return f"{kept}: {_quoted(outcome)}"


def _quoted(pattern: str) -> str:
    reasons = [reason.replace(".+", "...").replace("\\", "") for reason in pattern.split("|")]
    return " or ".join(f"`{reason}`" for reason in reasons)


if __name__ == "__main__":
    sys.stdout.write(table())
