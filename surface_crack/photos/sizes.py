"""Compare the size of photos with that of the photos a model was trained on.

A network learns how wide a crack is, in pixels. It misses cracks in a large photo that is resized
as a whole, without any sign of that in its scores. So sizes are compared before scoring.
"""

from collections.abc import Sequence
from io import BytesIO
from statistics import median

from PIL import Image

from surface_crack.photos.containers import is_resource_exhaustion
from surface_crack.photos.listing import Photo
from surface_crack.photos.reader import UNREADABLE, Reader

RATIO = 2.0  # of the sides, from which photos differ in size from the training photos
COARSE = 8.0  # downscaling factor from which thin cracks are lost
SAMPLE = 40  # photos whose size is read by `check`


def typical_side(sizes: Sequence[tuple[int, int]]) -> float:
    """Median of sqrt(width * height), pixels; 0 without photos."""
    return median((width * height) ** 0.5 for width, height in sizes) if sizes else 0.0


def size_warning(side: float, trained: float) -> str:
    """Warning before photos of `side` pixels are scored as one patch each; '' if sizes are similar.

    `trained` is the side of the photos that the model was trained on, in pixels.
    """
    if not side or not trained or trained / RATIO < side < trained * RATIO:
        return ""
    sizes = f"These photos have {side:.0f} pixels per side, the training photos had {trained:.0f}."
    if side > trained:
        return (
            f"{sizes} When resized as a whole, they lose thin cracks: cut them into tiles of "
            f"{trained:.0f} (`surface-crack tiles`), or use --patch-px {trained:.0f}."
        )
    return (
        f"{sizes} If they show the same area, they have less detail; if they show a smaller area, "
        "cracks look wider than in training."
    )


def downscale_warning(side: float, image_size: int) -> str:
    """Warning before training if photos are downscaled a lot; '' otherwise."""
    if side < COARSE * image_size:
        return ""
    return (
        f"the photos have {side:.0f} pixels per side and are resized to {image_size}, so a crack "
        f"of {side / image_size:.0f} pixels becomes 1 pixel wide: cut them into tiles "
        "(`surface-crack tiles`), or raise image_size"
    )


def sizes_of(photos: Sequence[Photo], reader: Reader) -> list[tuple[int, int]]:
    """(width, height) from the files' headers, of about SAMPLE of the photos."""
    found = []
    for photo in photos[:: max(1, len(photos) // SAMPLE)]:
        try:
            with Image.open(BytesIO(reader.read(photo))) as image:
                found.append(image.size)
        except UNREADABLE as error:  # `prepare` will report it
            if is_resource_exhaustion(error):
                raise
    return found
