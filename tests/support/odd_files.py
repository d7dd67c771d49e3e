"""Files that Pillow cannot write: TIFFs with any directories, 16-bit PNGs, ICC profiles."""

import struct
import zlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Value = int | bytes | tuple[int, ...]


class Page(NamedTuple):
    """A directory of a TIFF, with its pixels: uint8 or uint16, (H, W) or (H, W, 3)."""

    pixels: NDArray[np.generic]
    tags: Mapping[int, Value] = {}  # additional tags, or replacements of the default ones
    below: tuple["Page", ...] = ()  # SubIFDs


def tiff(*pages: Page, order: str = "<", big: bool = False, start: bytes = b"") -> bytes:
    """An uncompressed TIFF with a chain of pages; `start` is put between header and pixels."""
    head = {"<": b"II", ">": b"MM"}[order]
    content = bytearray(head + struct.pack(f"{order}H", 43 if big else 42))
    pointer = f"{order}{'Q' if big else 'I'}"
    content += struct.pack(f"{order}2H", 8, 0) if big else b""
    place = len(content)  # of the pointer to the next directory
    content += bytes(struct.calcsize(pointer)) + start
    for page in pages:
        directory, following = _add(content, page, order, big)
        struct.pack_into(pointer, content, place, directory)
        place = following
    return bytes(content)


def _add(content: bytearray, page: Page, order: str, big: bool) -> tuple[int, int]:
    """Append a page: (offset of its directory, offset of the pointer to the next one)."""
    below = tuple(_add(content, one, order, big)[0] for one in page.below)
    strip = len(content)
    pixels = page.pixels.astype(f"{order}u{page.pixels.dtype.itemsize}").tobytes()
    content += pixels
    height, width, *rest = page.pixels.shape
    samples = rest[0] if rest else 1
    bits = (8 * page.pixels.dtype.itemsize,) * samples
    tags: dict[int, Value] = {
        **{256: width, 257: height, 258: bits, 259: 1, 262: 2 if samples == 3 else 1},
        **{273: strip, 277: samples, 278: height, 279: len(pixels)},
    }
    tags |= {330: below} if below else {}
    tags |= page.tags
    inline, letter = (8, "Q") if big else (4, "I")
    fields = b""
    for tag, value in sorted(tags.items()):
        if isinstance(value, bytes):
            kind, count, data = 2 if tag == 271 else 1, len(value), value
        else:
            numbers = value if isinstance(value, tuple) else (value,)
            kind, count = (3, len(numbers)) if tag not in (273, 279, 330) else (4, len(numbers))
            data = struct.pack(f"{order}{count}{'H' if kind == 3 else 'I'}", *numbers)
        if len(data) > inline:
            data, place = struct.pack(f"{order}{letter}", len(content)), data
            content += place
        fields += struct.pack(f"{order}2H{letter}", tag, kind, count) + data.ljust(inline, b"\0")
    directory = len(content)
    content += struct.pack(f"{order}{'Q' if big else 'H'}", len(tags)) + fields
    content += bytes(inline)
    return directory, len(content) - inline


def endless(count: int) -> bytes:
    """A TIFF with a chain of `count` empty directories."""
    place, content = 8, bytearray(b"II*\0\x08\0\0\0")
    for _ in range(count):
        place += 6
        content += struct.pack("<HI", 0, place)
    return bytes(content) + bytes(6)


def crowded() -> bytes:
    """A TIFF of three directories with nearly the maximum number of entries."""
    tags = dict.fromkeys(range(1000, 50_000), 0)
    return tiff(*3 * [Page(np.zeros((8, 8), np.uint8), {254: 1, **tags})])


def png(pixels: NDArray[np.generic], *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of 8 or 16 bits: grey (H, W), grey and alpha (H, W, 2), RGB or RGBA (H, W, 3 or 4)."""
    height, width, *rest = pixels.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[rest[0] if rest else 1]
    header = struct.pack(">2I5B", width, height, 8 * pixels.dtype.itemsize, kind, 0, 0, 0)
    rows = pixels.astype(pixels.dtype.newbyteorder(">"))
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    content = b"\x89PNG\r\n\x1a\n"
    for name, chunk in ((b"IHDR", header), *chunks, (b"IDAT", data), (b"IEND", b"")):
        content += struct.pack(">I", len(chunk)) + name + chunk
        content += struct.pack(">I", zlib.crc32(name + chunk))
    return content


# Red, green and blue of colour spaces as XYZ, relative to D50.
SRGB = ((0.4360, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
ADOBE = ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446))
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
WHITE = (0.9642, 1.0, 0.8249)


def profile(
    primaries: tuple[tuple[float, float, float], ...] = SRGB, curve: tuple[float, ...] = SRGB_CURVE
) -> bytes:
    """ICC profile of RGB; `curve`: gamma, or gamma and a, b, c, d of a parametric curve."""
    tags = {b"wtpt": _xyz(WHITE)}
    for letter, primary in zip((b"r", b"g", b"b"), primaries, strict=True):
        tags[letter + b"XYZ"] = _xyz(primary)
        tags[letter + b"TRC"] = _curve(curve)
    return _icc(b"mntr", b"RGB ", b"XYZ ", tags)


def grey_profile(gamma: float) -> bytes:
    return _icc(b"mntr", b"GRAY", b"XYZ ", {b"wtpt": _xyz(WHITE), b"kTRC": _curve((gamma,))})


def cmyk_profile(paper: int = 255, darkest: int = 0, kind: bytes = b"prtr") -> bytes:
    """ICC profile of CMYK: each of the four inks removes a quarter of the lightness; no hue.

    `paper` and `darkest`: lightness, of 255, without ink and with all four inks.
    """
    table = bytes(range(256))
    colours = b"".join(
        bytes((round(paper - (paper - darkest) * inks.bit_count() / 4), 128, 128))
        for inks in range(16)
    )
    matrix = struct.pack(">9i", *(65536 * (n % 4 == 0) for n in range(9)))
    lut = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + matrix + 4 * table + colours + 3 * table
    return _icc(kind, b"CMYK", b"Lab ", {b"wtpt": _xyz(WHITE), b"A2B0": lut, b"A2B1": lut})


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(65536 * value) for value in values))


def _curve(values: tuple[float, ...]) -> bytes:
    kind = {1: 0, 5: 3}[len(values)]
    fixed = (round(65536 * value) for value in values)
    return b"para\0\0\0\0" + struct.pack(f">2H{len(values)}i", kind, 0, *fixed)


def _icc(kind: bytes, space: bytes, connection: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    place, table, data = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        padded = value + bytes(-len(value) % 4)
        table += struct.pack(">4s2I", name, place + len(data), len(value))
        data += padded
    head = struct.pack(">I4sI", place + len(data), b"lcms", 0x04200000) + kind + space + connection
    head += struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp"
    head = head.ljust(68, b"\0") + struct.pack(">3i", *(round(65536 * value) for value in WHITE))
    return head.ljust(128, b"\0") + table + data
