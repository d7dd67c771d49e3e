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
HEIC = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1")  # brands of HEIF files, at byte 8
FILTER = Image.Resampling.BILINEAR  # Pillow's covers all pixels that it makes one of: antialiased
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


class Whole(NamedTuple):
    image: Image.Image  # RGB, upright
    width: int  # of the original, upright, pixels; `image` may be smaller
    height: int


def whole(content: bytes, scale: float = 1, least: int = 1) -> Whole:
    """Bytes of an image file -> a photo of any shape, to be scaled by `scale` afterwards.

    A JPEG of which no more is needed comes at a half, quarter or eighth of its size, as in
    `decode`; all other pixels are the file's. Raises NotAPhoto as `decode` does, and for photos
    with fewer than `least` pixels a side.
    """
    with _opened(content, least) as image:
        width, height = image.size
        turned = _orientation(image) >= 5  # by a quarter
        if scale < 1:
            image.draft("RGB", (max(1, int(width * scale)), max(1, int(height * scale))))
        if turned:
            width, height = height, width
        return Whole(_upright(image), width, height)


def original(content: bytes) -> Image.Image:
    """Bytes of an image file -> all its pixels, RGB. Raises NotAPhoto as `decode` does."""
    return whole(content, least=MIN_SIDE).image


def resized(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """RGB of any shape -> uint8 (size, size, 3), antialiased."""
    return np.asarray(image.resize((size, size), FILTER))


@contextmanager
def _opened(content: bytes, least: int = MIN_SIDE) -> Iterator[Image.Image]:
    """The file's header, checked. Whatever goes wrong with its pixels is NotAPhoto, too."""
    if not content:
        raise NotAPhoto("empty file")
    formats = _heic() if content[8:12] in HEIC else FORMATS
    try:
        with Image.open(BytesIO(content), formats=formats) as image:
            _check(image, least)
            yield image
    except NotAPhoto:
        raise
    except UnidentifiedImageError:
        raise NotAPhoto("not an image, or of a kind that is not read") from None
    except Exception as error:  # Pillow raises nearly anything on damaged files
        raise NotAPhoto(f"damaged: {_one_line(error)}") from None


def _heic() -> tuple[str, ...]:
    """Let Pillow read HEIC, the format of many telephones. Raises NotAPhoto without pi-heif."""
    try:
        from pi_heif import register_heif_opener
    except ModuleNotFoundError:
        raise NotAPhoto("HEIC, which takes pi-heif to read: run `pip install pi-heif`") from None
    register_heif_opener()  # turns photos upright itself and says so in EXIF
    return ("HEIF",)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _check(image: Image.Image, least: int) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise NotAPhoto(f"too large: {width} x {height} pixels")
    if min(width, height) < least:
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
