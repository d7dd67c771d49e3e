"""Cut photos into a zip of tiles in class folders, as `raw` in params.yaml expects it.

Tiles form a centred grid; a border narrower than a tile is dropped. They are named after their
photo, `Cracked/deck_IMG_0001-17.jpg`, so that `group_pattern` keeps the tiles of one photo
together.
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
GROUP_PATTERN = r"([^/]+)-\d+\.jpg"  # matches the photo in the name of a tile
JPEG_QUALITY = 95
MAX_PIXELS = 200_000_000  # of a photo
MAX_NAMED = 3  # skipped photos listed by name in the log
ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # of every entry, for reproducible bytes


class Tile(NamedTuple):
    label: int | None  # see `label_of`
    number: int  # row by row, from 1
    image: Image.Image


def cut(
    photos: Sequence[Path], labels: Path, out: Path, side: int, crack: Sequence[str] = ()
) -> None:
    """Write the tiles of `side` pixels of all annotated photos into the zip `out`.

    `crack`: see `read_labels`. Raises DataError if there are no tiles, or if `out` exists.
    """
    if out.suffix.lower() != ".zip":
        raise DataError(f"--out must end in .zip, got {out}")
    if out.exists():
        raise DataError(f"{out} already exists: give another name, or remove it")
    items = list_inputs(photos, out)
    known = read_labels(labels, [stem_of(item) for item in items], crack)
    check_names(items)
    make_folder(out.parent)
    count: Counter[int | None] = Counter()
    skipped: list[str] = []
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
                    skipped.append(f"{item.name} ({reason})")
        if not count[0] + count[1]:
            first = f"; the first photo skipped: {skipped[0]}" if skipped else ""
            raise DataError(f"these photos give no tile of {side} pixels{first}")
    for name in skipped[:MAX_NAMED]:
        log.warning("skipped: %s", name)
    if len(skipped) > MAX_NAMED:
        log.warning("... and %s more", counted(len(skipped) - MAX_NAMED, "photo"))
    log.info(
        "%s: %s from %s, %d positive and %d negative; %d ambiguous tiles skipped",
        *(out, counted(count[0] + count[1], "tile")),
        *(counted(len(items) - len(skipped), "photo"), count[1], count[0], count[None]),
    )
    log.info("to use them, set in params.yaml:")
    log.info("    raw: %s", out.as_posix())
    log.info("    group_pattern: %s", GROUP_PATTERN)


def tiles_of(item: Item, reader: Reader, known: Labels, side: int) -> Iterator[Tile]:
    """Cut one photo into tiles. Raises NotAPhoto, also if it has no annotation."""
    if item.problem:
        raise NotAPhoto(item.problem)
    image = original(read_file(reader, item.photo), MAX_PIXELS)
    marks = known.of(stem_of(item), image.width, image.height)
    if marks is None:
        raise NotAPhoto(f"the {known.kind} of --labels have no label named {stem_of(item)!r}")
    columns, rows = image.width // side, image.height // side
    if not columns * rows:
        raise NotAPhoto(f"its {image.width} x {image.height} pixels are less than a tile of {side}")
    left, top = (image.width - columns * side) // 2, (image.height - rows * side) // 2
    for place in range(rows * columns):
        x, y = left + place % columns * side, top + place // columns * side
        part = image.crop((x, y, x + side, y + side))
        yield Tile(label_of(marks, x, y, side), place + 1, part)


def stem_of(item: Item) -> str:
    return PurePosixPath(item.photo.path).stem


def tile_prefix(item: Item) -> str:
    """The photo's path as a flat name, the first part of its tiles' names."""
    return PurePosixPath(item.name).with_suffix("").as_posix().replace("/", "_")


def check_names(items: Sequence[Item]) -> None:
    """Raise DataError if two photos have the same stem, because labels are matched by it."""
    for kind in (stem_of, tile_prefix):
        count = Counter(map(kind, items))
        if twice := [name for name, times in count.items() if times > 1]:
            raise DataError(
                f"several photos are called {twice[0]!r}, and labels are matched by that name: "
                "rename them, or cut one folder after the other"
            )


def jpeg(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()
