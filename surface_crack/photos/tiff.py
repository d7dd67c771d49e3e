"""Find the full image in a TIFF, and recognise camera raw, before anything is decoded.

A TIFF is a chain of directories (IFDs), each of which may have directories below it (SubIFDs). A
directory is an image, a smaller copy, a mask, or raw data of a camera's sensor. Pillow always opens
the first one. This module follows no pointer out of the file and none twice, and reads at most
MAX_DIRECTORIES and MAX_ENTRIES.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

MAX_DIRECTORIES = 1000  # a map with overviews and masks has about 20
MAX_ENTRIES = 100_000  # of all directories
MAX_VALUES = 1000  # of one entry

RAW_STARTS = (  # (offset, magic bytes, kind) of camera raw that Pillow does not open as TIFF
    (0, b"FUJIFILMCCD-RAW", "RAF"),
    (0, b"IIU\0", "RW2"),
    (0, b"IIRO", "ORF"),
    (0, b"IIRS", "ORF"),
    (0, b"MMOR", "ORF"),
    (0, b"II\x1a\0\0\0HEAPCCDR", "CRW"),
    (0, b"\0MRM", "MRW"),
    (0, b"FOVb", "X3F"),
    (4, b"ftypcrx ", "CR3"),
)
RAW_COMPRESSIONS = {
    **{262: "DCR", 65000: "DCR", 32867: "KDC", 34713: "NEF", 32767: "ARW", 65535: "PEF"},
    **{32769: "", 32770: "SRW", 32772: "SRW", 34316: "RW2", 34826: "RW2", 34828: "RW2"},
    **{34830: "RW2", 34892: "DNG"},
}
RAW_PHOTOMETRICS = (32803, 34892)  # colour filter array, LinearRaw
RAW_MAKES = {  # start of the Make tag -> suffix of the maker's raw files
    **{b"NIKON": "NEF", b"SONY": "ARW", b"CANON": "CR2", b"PENTAX": "PEF", b"RICOH": "PEF"},
    **{b"SAMSUNG": "SRW", b"HASSELBLAD": "3FR", b"OLYMPUS": "ORF", b"PANASONIC": "RW2"},
    **{b"EASTMAN KODAK": "DCR", b"KODAK": "DCR", b"SEIKO EPSON": "ERF", b"MAMIYA": "MEF"},
    **{b"PHASE ONE": "IIQ", b"LEAF": "MOS", b"FUJIFILM": "RAF", b"LEICA": "RWL"},
}

SUBFILE, OLD_SUBFILE, WIDTH, HEIGHT, COMPRESSION, PHOTOMETRIC = 254, 255, 256, 257, 259, 262
MAKE, SUBDIRECTORIES, DNG_VERSION = 271, 330, 50706
WANTED = {SUBFILE, OLD_SUBFILE, WIDTH, HEIGHT, COMPRESSION, PHOTOMETRIC, SUBDIRECTORIES}
COPY, MASK = 1, 4  # bits of SUBFILE
OLD_COPY = 2  # a value of OLD_SUBFILE
PHOTOMETRIC_MASK = 4
WHOLE_NUMBERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}  # types of an entry


class Found(NamedTuple):
    """Result of `scan`."""

    raw: str | None = None  # kind of camera raw, '' if unknown; None: not camera raw
    full: tuple[int, ...] = ()  # offsets of the directories of full images, at most two
    partial: bool = False  # there are previews or masks
    fault: str = ""  # why not all directories could be read


class _Directory(NamedTuple):
    place: int
    values: dict[int, tuple[int, ...]]  # of the tags in WANTED
    make: bytes
    is_dng: bool
    following: int  # offset of the next one; 0: none

    def value(self, tag: int) -> int:
        return self.values.get(tag, (0,))[0]


class _Format(NamedTuple):
    order: str  # "<" or ">"
    big: bool  # BigTIFF

    @property
    def pointer(self) -> str:
        return f"{self.order}{'Q' if self.big else 'I'}"


def scan(content: bytes) -> Found:
    """Scan any file; the result is empty for files that are neither camera raw nor TIFF."""
    for place, start, name in RAW_STARTS:
        if content.startswith(start, place):
            return Found(raw=name)
    if (form := _format(content)) is None:
        return Found()
    if (kind := _raw_header(content, form)) is not None:
        return Found(raw=kind)
    return _scan_directories(content, form)


def from_directory(content: bytes, place: int) -> bytes:
    """The TIFF with the directory at `place` as the first one, which Pillow opens."""
    form = _format(content)
    assert form is not None
    if _first(content, form) == place:
        return content
    at = 8 if form.big else 4
    pointer = struct.pack(form.pointer, place)
    return b"".join((content[:at], pointer, memoryview(content)[at + len(pointer) :]))


def _format(content: bytes) -> _Format | None:
    """Byte order and variant; None if Pillow would not open it as TIFF."""
    order = {b"II": "<", b"MM": ">"}.get(content[:2])
    known = (b"*\0", b"\0*", b"+\0" if order == "<" else b"\0+")
    if order is None or content[2:4] not in known or len(content) < 16:
        return None
    return _Format(order, content[2] == 43)  # like Pillow, which has no big-endian BigTIFF


def _first(content: bytes, form: _Format) -> int:
    place: int = struct.unpack_from(form.pointer, content, 8 if form.big else 4)[0]
    return place


def _raw_header(content: bytes, form: _Format) -> str | None:
    """Kind of camera raw, by the bytes between the TIFF's header and its first directory.

    Pixels may be stored there, too, so a signature of two bytes is not enough.
    """
    if content[8:12] == b"CR\2\0" or (content[8:10] == b"CR" and _first(content, form) == 16):
        return "CR2"
    if content[8:12] == b"IIII" and content[13:16] == b"waR":
        return "IIQ"
    if content[8:12] == b"MMMM" and content[12:15] == b"Raw":
        return "IIQ"
    return None


def _scan_directories(content: bytes, form: _Format) -> Found:
    chain: list[int] = []  # full images of the chain; `below`: those in SubIFDs
    below: list[int] = []
    make, partial, entries = b"", False, 0
    waiting, seen = [(_first(content, form), True)], set[int]()
    while waiting:
        place, in_chain = waiting.pop()
        if place in seen:  # a loop ends the chain, as in Pillow
            continue
        if len(seen) >= MAX_DIRECTORIES:
            return Found(fault=f"more than {MAX_DIRECTORIES} TIFF directories: save it again")
        count = _count(content, form, place)
        if not place or count is None:
            if seen and in_chain:  # if it is the first one, Pillow reports it
                return Found(fault="damaged: a directory is outside the file")
            continue
        seen.add(place)
        entries += count
        if entries > MAX_ENTRIES:
            return Found(fault=f"more than {MAX_ENTRIES:,} TIFF entries: save it again")
        directory = _read(content, form, place, count)
        make = make or directory.make
        if (kind := _raw(directory, make)) is not None:
            return Found(raw=kind)
        if _is_partial(directory):
            partial = True
        elif {WIDTH, HEIGHT} <= directory.values.keys():
            (chain if in_chain else below).append(place)
            if len(chain) == 2:
                break
        if directory.following:
            waiting.append((directory.following, in_chain))
        subdirectories = directory.values.get(SUBDIRECTORIES, ())
        waiting += [(sub, False) for sub in reversed(subdirectories) if sub]  # before the next one
    return Found(full=tuple(chain or below[:2]), partial=partial)


def _raw(directory: _Directory, make: bytes) -> str | None:
    """Kind of camera raw, '' if unknown; None: not camera raw."""
    if directory.is_dng:
        return "DNG"
    compression = directory.value(COMPRESSION)
    is_raw = compression in RAW_COMPRESSIONS or directory.value(PHOTOMETRIC) in RAW_PHOTOMETRICS
    if not is_raw:
        return None
    if kind := RAW_COMPRESSIONS.get(compression):
        return kind
    return next((kind for start, kind in RAW_MAKES.items() if make.startswith(start)), "")


def _is_partial(directory: _Directory) -> bool:
    """Whether it is a smaller copy of another image, or a mask."""
    if directory.value(PHOTOMETRIC) == PHOTOMETRIC_MASK:
        return True
    if SUBFILE in directory.values:
        return bool(directory.value(SUBFILE) & (COPY | MASK))
    return directory.value(OLD_SUBFILE) == OLD_COPY


def _count(content: bytes, form: _Format, place: int) -> int | None:
    """Number of the directory's entries inside the file; None if there is no directory."""
    head, entry = (8, 20) if form.big else (2, 12)
    if place + head > len(content):
        return None
    stated: int = struct.unpack_from(f"{form.order}{'Q' if form.big else 'H'}", content, place)[0]
    return min(stated, (len(content) - place - head) // entry)


def _read(content: bytes, form: _Format, place: int, count: int) -> _Directory:
    head, size, inline = (8, 20, 8) if form.big else (2, 12, 4)
    fields = struct.Struct(f"{form.order}2H{'Q' if form.big else 'I'}")
    values: dict[int, tuple[int, ...]] = {}
    make, is_dng = b"", False
    for at in range(place + head, place + head + count * size, size):
        tag, kind, length = fields.unpack_from(content, at)
        if tag in WANTED and tag not in values:  # the first of duplicates counts, as in Pillow
            found = tuple(_numbers(content, form, kind, length, at + size - inline))
            if found:
                values[tag] = found
        elif tag == MAKE:
            start = at + size - inline
            if length > inline:
                start = struct.unpack_from(form.pointer, content, start)[0]
            make = content[start : start + min(length, 32)].strip(b"\0 ").upper()
        elif tag == DNG_VERSION:
            is_dng = True
    end, following = place + head + count * size, 0
    if end + inline <= len(content):
        following = struct.unpack_from(form.pointer, content, end)[0]
    return _Directory(place, values, make, is_dng, following)


def _numbers(content: bytes, form: _Format, kind: int, count: int, at: int) -> Iterator[int]:
    """The first values of an entry, as far as they are inside the file."""
    if (letter := WHOLE_NUMBERS.get(kind)) is None:
        return
    size = struct.calcsize(f"={letter}")
    if count * size > (8 if form.big else 4):
        at = struct.unpack_from(form.pointer, content, at)[0]
    number = struct.Struct(f"{form.order}{letter}")
    for place in range(at, at + min(count, MAX_VALUES) * size, size):
        if place + size > len(content):
            return
        yield number.unpack_from(content, place)[0]
