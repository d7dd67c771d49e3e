"""Contact sheet: thumbnails of a class."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from surface_crack.photos.decode import NotAPhoto
from surface_crack.photos.listing import Photo
from surface_crack.photos.reader import Limits, Reader, open_photo
from surface_crack.project.files import atomic_write

COLUMNS, ROWS = 8, 4
SIDE, GAP = 128, 4  # of a thumbnail and between them, pixels


def contact_sheet(photos: Sequence[Photo], target: Path, limits: Limits) -> None:
    """Write COLUMNS x ROWS photos, evenly spaced in `photos`, as a PNG."""
    wanted = min(len(photos), COLUMNS * ROWS)
    step = SIDE + GAP
    rows = -(-wanted // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * step - GAP, rows * step - GAP), "white")
    with Reader(limits.max_bytes) as reader:
        for place in range(wanted):
            photo = photos[place * len(photos) // wanted]
            try:
                decoded, _ = open_photo(reader, photo, SIDE, limits.max_pixels)
            except NotAPhoto:  # it was readable before; leave a gap
                continue
            corner = place % COLUMNS * step, place // COLUMNS * step
            sheet.paste(Image.fromarray(decoded.pixels), corner)
    with atomic_write(target) as temporary:
        sheet.save(temporary, format="PNG")
