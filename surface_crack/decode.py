"""The one place where a file's bytes become pixels, in training and in scoring alike.

Every Pillow mode ends as 8-bit RGB, upright by EXIF. The resize is antialiased; where a JPEG is
much larger than wanted, libjpeg scales it while decoding, by eighths, which averages pixels too and
is faster than decoding them all. Pillow reads every header and whatever is no sound, ordinary JPEG;
simplejpeg, which wraps the same libjpeg-turbo, has less to do around it and decodes the rest.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import NamedTuple

import numpy as np
import simplejpeg
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

Box = tuple[float, float, float, float]  # left, upper, right, lower edge


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
        orientation = _orientation(image)
        if orientation >= 5:  # turned by a quarter
            width, height = height, width
        scaled, whole = _scaled(image, content, size)
        small = _upright(_resized(to_rgb(scaled), size, whole), orientation)
        return Decoded(np.asarray(small), width, height)


def original(content: bytes) -> Image.Image:
    """Bytes of an image file -> all its pixels, RGB. Raises NotAPhoto as `decode` does."""
    with _opened(content) as image:
        image.load()
        return _upright(to_rgb(image), _orientation(image))


def resized(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """RGB of any shape -> uint8 (size, size, 3), antialiased."""
    return np.asarray(_resized(image, size, (0, 0, *image.size)))


def _resized(image: Image.Image, size: int, box: Box) -> Image.Image:
    return image.resize((size, size), Image.Resampling.BILINEAR, box)


@contextmanager
def _opened(content: bytes) -> Iterator[Image.Image]:
    """The file's header, checked. Whatever goes wrong with its pixels is NotAPhoto, too."""
    if not content:
        raise NotAPhoto("empty file")
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            _check(image)
            yield image
    except NotAPhoto:
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


def _scaled(image: Image.Image, content: bytes, size: int) -> tuple[Image.Image, Box]:
    """(the opened image, where in it the photo lies); a JPEG is scaled down towards `size`.

    The last row and column of a scaled JPEG may lie half outside the photo: three eighths of 227
    pixels are 85.1, in 86.
    """
    width, height = image.size
    if image.format in ("JPEG", "MPO") and image.mode in ("RGB", "L"):
        try:
            pixels = simplejpeg.decode_jpeg(content, "RGB", min_height=size, min_width=size)
        except ValueError:
            pass  # Pillow forgives more, and knows better what is wrong
        else:
            scale = 8 * pixels.shape[1] // width / 8
            return Image.fromarray(pixels), (0, 0, scale * width, scale * height)
    drafted = image.draft("RGB", (size, size))  # a hint that only JPEG follows
    return image, drafted[1] if drafted else (0, 0, width, height)


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    """Turned as EXIF says."""
    return image.transpose(TRANSPOSE[orientation]) if orientation in TRANSPOSE else image


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
