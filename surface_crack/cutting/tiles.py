"""Photos and their labels in, a zip of tiles in class folders out, as `raw` wants them.

Tiles lie in rows and columns, centred; what is left over at the photo's rim is less than a tile.
They are named after their photo, `Cracked/deck_IMG_0001-17.jpg`, so that `group_pattern` keeps
those of one photo together.
"""

import logging
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from PIL import Image
from tqdm import tqdm

from surface_crack.cutting.outlines import Labels, read_labels
from surface_crack.cutting.rule import label_of
from surface_crack.evaluation.terms import counted
from surface_crack.inspection.inputs import Item, list_inputs
from surface_crack.photos.decode import NotAPhoto, original
from surface_crack.photos.reader import Reader, read_file
from surface_crack.project.errors import DataError
from surface_crack.project.files import atomic_write, make_folder

log = logging.getLogger("surface-crack")
FOLDERS = {1: "Cracked", 0: "Non-cracked"}
GROUP_PATTERN = r"([^/]+)-\d+\.jpg"  # finds the photo in the name of a tile
QUALITY = 95
MAX_PIXELS = 200_000_000  # of a photo
NAMED = 3  # photos that are left out, this many are named
ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # of every entry: the same tiles, the same bytes


class Tile(NamedTuple):
    label: int | None
    number: int  # row by row, from 1
    image: Image.Image


def cut(
    photos: Sequence[Path], labels: Path, out: Path, side: int, crack: Sequence[str] = ()
) -> None:
    """Write the tiles of `side` pixels of all photos that `labels` knows into the zip `out`.

    Raises DataError if there is none, or if `out` exists.
    """
    if out.suffix.lower() != ".zip":
        raise DataError(f"--out must end in .zip, got {out}")
    if out.exists():
        raise DataError(f"{out} exists: give another name, or remove it")
    items = list_inputs(photos, out)
    known = read_labels(labels, [stem_of(item) for item in items], crack)
    check_names(items)
    make_folder(out.parent)
    count: Counter[int | None] = Counter()
    left_out: list[str] = []
    with atomic_write(out) as temporary, Reader() as reader:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            for item in tqdm(items, "cut", unit="photo", disable=None):
                try:
                    for tile in tiles_of(item, reader, known, side):
                        count[tile.label] += 1
                        if tile.label is not None:
                            name = f"{FOLDERS[tile.label]}/{tile_prefix(item)}-{tile.number}.jpg"
                            archive.writestr(zipfile.ZipInfo(name, ZIP_DATE), jpeg(tile.image))
                except NotAPhoto as reason:
                    left_out.append(f"{item.name} ({reason})")
        if not count[0] + count[1]:
            first = f"; the first photo left out: {left_out[0]}" if left_out else ""
            raise DataError(f"no tile of {side} pixels comes out of these photos{first}")
    for name in left_out[:NAMED]:
        log.warning("left out: %s", name)
    if len(left_out) > NAMED:
        log.warning("... and %s more", counted(len(left_out) - NAMED, "photo"))
    log.info(
        "%s: %s of %s: %d with a crack, %d without; %d ambiguous ones left out",
        *(out, counted(count[0] + count[1], "tile")),
        *(counted(len(items) - len(left_out), "photo"), count[1], count[0], count[None]),
    )
    log.info("To use them, set in params.yaml:")
    log.info("    raw: %s", out.as_posix())
    log.info("    group_pattern: %s", GROUP_PATTERN)


def tiles_of(item: Item, reader: Reader, known: Labels, side: int) -> Iterator[Tile]:
    """Those of one photo. Raises NotAPhoto, also where nothing is known of it."""
    if item.problem:
        raise NotAPhoto(item.problem)
    image = original(read_file(reader, item.photo), MAX_PIXELS)
    marks = known.of(stem_of(item), image.width, image.height)
    if marks is None:
        raise NotAPhoto(f"no label among the {known.kind} of --labels is called {stem_of(item)!r}")
    columns, rows = image.width // side, image.height // side
    if not columns * rows:
        raise NotAPhoto(f"{image.width} x {image.height} pixels are less than a tile of {side}")
    left, top = (image.width - columns * side) // 2, (image.height - rows * side) // 2
    for place in range(rows * columns):
        x, y = left + place % columns * side, top + place // columns * side
        part = image.crop((x, y, x + side, y + side))
        yield Tile(label_of(marks, x, y, side), place + 1, part)


def stem_of(item: Item) -> str:
    return PurePosixPath(item.photo.path).stem


def tile_prefix(item: Item) -> str:
    """The photo's name in those of its tiles: unlike any other's, without folders."""
    return PurePosixPath(item.name).with_suffix("").as_posix().replace("/", "_")


def check_names(items: Sequence[Item]) -> None:
    """Raises DataError for two photos of one stem: which of them would a label be of?"""
    for kind in (stem_of, tile_prefix):
        count = Counter(map(kind, items))
        if twice := [name for name, times in count.items() if times > 1]:
            raise DataError(
                f"several photos are called {twice[0]!r}: labels go by that name, so rename them, "
                "or cut one folder after the other"
            )


def jpeg(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    return buffer.getvalue()
