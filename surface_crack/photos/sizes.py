"""Whether photos are as large as those that a model learnt from, and what to do where they are not.

A network has learnt how wide a crack is. It does not see one in a large photo that is made small as
a whole, and says so of no photo: its sizes have to be compared before it is asked.
"""

from collections.abc import Sequence
from io import BytesIO
from statistics import median

from PIL import Image

from surface_crack.photos.containers import is_resource_exhaustion
from surface_crack.photos.listing import Photo
from surface_crack.photos.reader import UNREADABLE, Reader

RATIO = 2.0  # of two sides, from which photos are of another size than those learnt from
COARSE = 8.0  # photo pixels that become one in training, from which thin cracks are lost
SAMPLE = 40  # photos whose sizes `check` looks up


def typical_side(sizes: Sequence[tuple[int, int]]) -> float:
    """Median of sqrt(width * height), pixels; 0 of none."""
    return median((width * height) ** 0.5 for width, height in sizes) if sizes else 0.0


def size_warning(side: float, learnt: float) -> str:
    """What to know before photos are judged as one patch each by a model that learnt from photos of
    `learnt` pixels a side; '' if `side` is much the same.
    """
    if not side or not learnt or learnt / RATIO < side < learnt * RATIO:
        return ""
    sizes = f"These photos have {side:.0f} pixels a side, those that the model learnt from had "
    if side > learnt:
        return (
            f"{sizes}{learnt:.0f}. Made small as a whole, they lose their cracks: cut them into "
            f"tiles of {learnt:.0f} (`surface-crack tiles`), or give --patch-px {learnt:.0f}."
        )
    return (
        f"{sizes}{learnt:.0f}. If they show as much of the surface, they show less detail; if they "
        "show less of it, cracks look wider than those it has learnt."
    )


def downscale_warning(side: float, image_size: int) -> str:
    """What to know before a training; '' where photos are not made much smaller for it."""
    if side < COARSE * image_size:
        return ""
    return (
        f"the photos have {side:.0f} pixels a side and are made {image_size}, so that a crack of "
        f"{side / image_size:.0f} pixels is one: cut them into tiles (`surface-crack tiles`), or "
        "raise image_size"
    )


def sizes_of(photos: Sequence[Photo], reader: Reader) -> list[tuple[int, int]]:
    """(width, height) as the files' headers have them, of up to SAMPLE of the photos."""
    found = []
    for photo in photos[:: max(1, len(photos) // SAMPLE)]:
        try:
            with Image.open(BytesIO(reader.read(photo))) as image:
                found.append(image.size)
        except UNREADABLE as error:  # `prepare` will say what is wrong with it
            if is_resource_exhaustion(error):
                raise
    return found
