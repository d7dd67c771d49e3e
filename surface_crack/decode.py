"""The one place where a file's bytes become pixels, in training and in scoring alike.

Every Pillow mode ends as 8-bit RGB, upright by EXIF. The resize is antialiased; where a JPEG is
much larger than wanted, libjpeg halves it while decoding (Pillow's `draft`), which averages
pixels too and is faster than decoding them all.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF")
MIN_SIDE = 8  # pixels; less shows no surface
MAX_PIXELS = 200_000_000  # of one photo; more is no photo but a bomb
Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit: it would warn at half of ours
TRANSPOSE = {  # what makes a photo with this EXIF orientation upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Decoded(NamedTuple):
    pixels: NDArray[np.uint8]  # (size, size, 3) RGB
    width: int  # of the original, upright, pixels
    height: int


class NotAPhoto(Exception):
    """The bytes cannot be used as a photo; the message says why."""


def decode(content: bytes, size: int) -> Decoded:
    """Bytes of an image file -> uint8 (size, size, 3) RGB.

    Raises NotAPhoto with the reason for whatever cannot be used: no image, damaged, a wrong
    size, several pictures in one file, pixels of no known range.
    """
    with _opened(content) as image:
        width, height = image.size
        if _orientation(image) >= 5:  # turned by a quarter
            width, height = height, width
        image.draft("RGB", (size, size))  # a hint that only JPEG follows
        return Decoded(resized(_upright(image), size), width, height)


def original(content: bytes) -> Image.Image:
    """Bytes of an image file -> all its pixels, RGB. Raises NotAPhoto as `decode` does."""
    with _opened(content) as image:
        return _upright(image)


def resized(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """RGB of any shape -> uint8 (size, size, 3), antialiased."""
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))


@contextmanager
def _opened(content: bytes) -> Iterator[Image.Image]:
    """The file's header, checked. Whatever goes wrong with its pixels is NotAPhoto, too."""
    if not content:
        raise NotAPhoto("empty file")
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            _check(image)
            yield image
    except (NotAPhoto, MemoryError):  # want of memory is no fault of the photo's
        raise
    except UnidentifiedImageError:
        raise NotAPhoto("not an image, or of a kind that is not read") from None
    except Exception as error:  # Pillow raises nearly anything on damaged files
        raise NotAPhoto(f"damaged: {_one_line(error)}") from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _check(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise NotAPhoto(f"too large: {width} x {height} pixels")
    if min(width, height) < MIN_SIDE:
        raise NotAPhoto(f"too small: {width} x {height} pixels")
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if frames > 1:
        raise NotAPhoto(f"holds {frames} pictures: save them one by one")


def _upright(image: Image.Image) -> Image.Image:
    """Its pixels as RGB, turned as EXIF says."""
    orientation = _orientation(image)
    image.load()
    if orientation in TRANSPOSE:
        image = image.transpose(TRANSPOSE[orientation])
    return to_rgb(image)


def _orientation(image: Image.Image) -> int:
    """The EXIF tag, 1 to 8; 1 (upright) where there is none or EXIF is broken: pixels are not."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        return 1


def to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow mode -> RGB. Transparent pixels show white. Raises NotAPhoto on float pixels."""
    if image.mode == "RGB":
        return image
    if image.mode == "F":
        raise NotAPhoto("float pixels, whose range is not known")
    if image.mode == "I":
        raise NotAPhoto("32-bit pixels, whose range is not known")
    if image.mode.startswith("I;16"):
        levels = np.asarray(image).astype(np.uint16)
        return Image.fromarray((levels >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")
