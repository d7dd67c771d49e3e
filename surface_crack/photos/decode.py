"""Decode image files to pixels, with the same code for training and scoring.

Every Pillow mode becomes 8-bit RGB, upright according to EXIF. What the file states about its
pixels is respected, or the file is refused: which of its images is the photo (tiff.py), the range
of values (levels.py), the colours (colour.py). The resize is antialiased. If a JPEG is much larger
than needed, libjpeg downscales it during decoding, by eighths, which averages pixels, too, and is
faster than full decoding. Pillow reads every header and decodes all but intact, ordinary JPEGs;
these are decoded by simplejpeg, which wraps the same libjpeg-turbo with less overhead.
"""

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from io import BytesIO
from typing import NamedTuple

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from surface_crack.photos import tiff
from surface_crack.photos.colour import to_srgb
from surface_crack.photos.levels import Depth, OutOfRange, depth_of, eight_bits
from surface_crack.project.errors import one_line
from surface_crack.threads import MemoryBudget

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF")
HEIC = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1")  # brands of HEIF files, at byte 8
FILTER = Image.Resampling.BILINEAR  # antialiased: Pillow's averages all source pixels
MIN_SIDE = 8  # pixels
MAX_PIXELS = 200_000_000  # of a photo to be inspected; more is treated as a decompression bomb
MAX_SCANS = 100  # of a progressive JPEG; usual are 10, and each covers the whole image
SEVERAL = "contains several images: save them one by one"
SPARE = 2  # decoding keeps at least so many pixels per wanted pixel and side, for the resize
# Pixels that all threads may have open at once; each takes 4 to 16 bytes of memory.
PIXEL_BUDGET = MemoryBudget(50_000_000)
# Warnings about damaged photos do not name the file. rejected.csv has the file and the reason.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
# Pillow allocates memory in blocks of 16 MiB, and the C library keeps freed ones per thread. With
# 64 MiB it keeps none: two WebPs of 52 megapixels in two threads take 0.9 instead of 1.1 GB.
Image.core.set_block_size(1 << 26)  # type: ignore[attr-defined]
Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit; ours is `max_pixels`
TRANSPOSE = {  # EXIF orientation -> operation that makes the photo upright
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
    faint: bool = False  # no range is stated and the pixels use only a small part of it


class NotAPhoto(Exception):
    """The bytes are not a usable photo; the message is the reason."""


def decode(content: bytes, size: int, max_pixels: int) -> Decoded:
    """Bytes of an image file -> uint8 (size, size, 3) RGB.

    Raises NotAPhoto with the reason if the file is unusable: not an image, damaged, a wrong size,
    camera raw, several images in one file, pixels of unknown range.
    """
    content = _single_image(content)
    with ExitStack() as reservations:  # released after `_decoded` has freed all pixels
        return _decoded(content, size, max_pixels, reservations)


def _decoded(content: bytes, size: int, max_pixels: int, reservations: ExitStack) -> Decoded:
    with _opened(content, max_pixels) as image:
        width, height = image.size
        depth, convert = depth_of(image, content), to_srgb(image)
        picture, box = _shrunk(image, content, (size, size), reservations)
        if convert and picture.mode == "CMYK":
            picture, convert = convert(picture), None
        rgb, faint = _in_range(picture, depth, content)
        faint = faint and not convert  # a linear profile makes dark values bright
        small = _resized(rgb, size, box)
        if convert:  # after the resize: fewer pixels
            small = convert(small)
        orientation = _orientation(image)
        small = _upright(small, orientation)
        if orientation >= 5:  # rotated by 90 degrees
            width, height = height, width
        return Decoded(np.asarray(small), width, height, faint)


class DecodedPhoto(NamedTuple):
    image: Image.Image  # RGB, upright
    width: int  # of the original, upright, pixels; `image` may be smaller
    height: int
    faint: bool = False  # as in Decoded


def decode_photo(
    content: bytes,
    scale: float | Callable[[int], float] = 1,
    least: int = 1,
    max_pixels: int | None = None,
) -> DecodedPhoto:
    """Bytes of an image file -> a photo in its own shape, RGB and upright.

    `scale` is the factor by which the caller will resize the photo afterwards, or a function of its
    number of pixels. If less than full size is needed, a JPEG is downscaled by eighths, as in
    `decode`; other formats keep their size. Raises NotAPhoto as `decode` does, for photos with more
    than `max_pixels` (default: MAX_PIXELS), and for sides of fewer than `least` pixels.
    """
    content = _single_image(content)
    with _opened(content, max_pixels, least) as image, ExitStack() as reservations:
        width, height = image.size
        if callable(scale):
            scale = scale(width * height)
        depth, convert = depth_of(image, content), to_srgb(image)
        needed = [max(1, min(side, math.ceil(side * scale - 1e-6))) for side in image.size]
        picture, _ = _shrunk(image, content, (needed[0], needed[1]), reservations)
        picture.load()
        orientation = _orientation(image)
        if convert and picture.mode == "CMYK":
            picture, convert = convert(picture), None
        rgb, faint = _in_range(picture, depth, content)
        faint = faint and not convert  # a linear profile makes dark values bright
        upright = _upright(convert(rgb) if convert else rgb, orientation)
        if orientation >= 5:  # rotated by 90 degrees
            width, height = height, width
        return DecodedPhoto(upright, width, height, faint)


def original(content: bytes, max_pixels: int) -> Image.Image:
    """Bytes of an image file -> all its pixels, RGB. Raises NotAPhoto as `decode` does."""
    return decode_photo(content, least=MIN_SIDE, max_pixels=max_pixels).image


def resized(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """RGB of any shape -> uint8 (size, size, 3), antialiased."""
    return np.asarray(_resized(image, size, (0, 0, *image.size)))


def _resized(image: Image.Image, size: int, box: Box) -> Image.Image:
    return image.resize((size, size), FILTER, box)


def _single_image(content: bytes) -> bytes:
    """The file, changed so that Pillow opens the full image in it and not a preview.

    JPEGs are returned as they are. Raises NotAPhoto unless there is exactly one full image.
    """
    if content.startswith(b"\xff\xd8"):
        return content
    found = tiff.scan(content)
    if found.raw is not None:
        kind = f" ({found.raw})" if found.raw else ""
        raise NotAPhoto(f"camera raw{kind}: develop it to JPEG or TIFF")
    if found.fault:
        raise NotAPhoto(found.fault)
    if len(found.full) > 1:
        raise NotAPhoto(SEVERAL)
    if found.full:
        return tiff.from_directory(content, found.full[0])
    if found.partial:
        raise NotAPhoto("contains only a preview or a mask: save the full image")
    return content


@contextmanager
def _opened(
    content: bytes, max_pixels: int | None, least: int = MIN_SIDE
) -> Iterator[ImageFile.ImageFile]:
    """Open the file and check its header. Errors of its pixels become NotAPhoto, too."""
    if not content:
        raise NotAPhoto("empty file")
    formats = formats_of(content)
    try:
        with Image.open(BytesIO(content), formats=formats) as image:
            _check(image, content, max_pixels, least)
            yield image
    except (NotAPhoto, MemoryError):  # lack of memory is not the photo's fault
        raise
    except UnidentifiedImageError:
        raise NotAPhoto("not an image, or not a supported format") from None
    except OutOfRange as error:
        raise NotAPhoto(str(error)) from None
    except Exception as error:  # Pillow raises many kinds of errors on damaged files
        raise NotAPhoto(f"damaged: {one_line(error)}") from None


def formats_of(content: bytes) -> tuple[str, ...]:
    """The formats that Pillow may try. Raises NotAPhoto for HEIC if pi-heif is not installed."""
    if not is_heic(content):
        return FORMATS
    try:
        from pi_heif import register_heif_opener
    except ModuleNotFoundError:
        raise NotAPhoto("HEIC needs pi-heif: run `pip install pi-heif`") from None
    register_heif_opener()  # it rotates photos upright itself and resets the EXIF orientation
    return ("HEIF",)


def is_heic(content: bytes) -> bool:
    """Whether it is HEIC, by its first bytes."""
    return content[8:12] in HEIC


def _check(image: Image.Image, content: bytes, max_pixels: int | None, least: int) -> None:
    width, height = image.size
    if width * height > (max_pixels or MAX_PIXELS):
        limit = f"max_pixels ({max_pixels:,})" if max_pixels else f"{MAX_PIXELS:,}"
        raise NotAPhoto(f"too large: {width} x {height} pixels, more than {limit}")
    if min(width, height) < least:
        raise NotAPhoto(f"too small: {width} x {height} pixels")
    # Not `n_frames`: counting a million frames takes minutes. A camera's MPO has a preview as its
    # second frame; TIFFs have been checked by `_single_image`.
    if getattr(image, "is_animated", False) and image.format not in ("MPO", "TIFF"):
        raise NotAPhoto(SEVERAL)
    if _is_progressive(image) and content.count(b"\xff\xda") > MAX_SCANS:
        raise NotAPhoto(f"more than {MAX_SCANS} scans: save it again")


def _is_progressive(image: Image.Image) -> bool:
    return bool(image.info.get("progressive"))


def _shrunk(
    image: Image.Image, content: bytes, least: tuple[int, int], reservations: ExitStack
) -> tuple[Image.Image, Box]:
    """(the opened image, the box of the photo in it); a JPEG is downscaled towards `least`.

    It keeps SPARE times that size: libjpeg's filter differs, and a photo should look the same as
    JPEG and as PNG. The last row and column of a downscaled JPEG may be partly outside the photo:
    three eighths of 227 pixels are 85.1, stored in 86. `reservations` holds the memory budget until
    the pixels are freed.
    """
    width, height = whole = image.size
    wide, high = (SPARE * side for side in least)
    drafted = image.draft("RGB", (wide, high))  # downscaling hint, which only JPEG follows
    coefficients = width * height if _is_progressive(image) else 0  # all are in memory at once
    reservations.enter_context(PIXEL_BUDGET.reserve(max(coefficients, math.prod(image.size))))
    if image.format in ("JPEG", "MPO") and image.mode in ("RGB", "L"):
        with suppress(ValueError):  # Pillow tolerates more, with better messages
            pixels = simplejpeg.decode_jpeg(content, "RGB", min_height=high, min_width=wide)
            scale = eighths(pixels.shape[:2], whole)
            return Image.fromarray(pixels), (0, 0, scale * width, scale * height)
    return image, drafted[1] if drafted else (0, 0, width, height)


def eighths(sides: tuple[int, ...], whole: tuple[int, int]) -> float:
    """The scale, in eighths, at which libjpeg decoded a JPEG of size `whole` to `sides`."""
    return 8 * max(sides) // max(whole) / 8  # ambiguous for sides below 8 pixels


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    """Rotate and flip according to the EXIF orientation."""
    return image.transpose(TRANSPOSE[orientation]) if orientation in TRANSPOSE else image


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 (upright) if there is none or EXIF is broken.

    Call it after the pixels are loaded. For the tag of a PNG, Pillow would load them here, and
    their errors would be lost; a TIFF is rotated by Pillow when it loads, which removes the tag.
    """
    try:
        tag = int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        return 1
    return tag if tag in TRANSPOSE else 1


def _in_range(image: Image.Image, depth: Depth | None, content: bytes) -> tuple[Image.Image, bool]:
    """(image as RGB, whether its pixels are faint). Raises NotAPhoto as `to_rgb` does."""
    if depth is None:
        return to_rgb(image), False
    image, faint = eight_bits(image, depth, content)
    return to_rgb(image), faint


def to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow mode of at most eight bits -> RGB. Transparent pixels become white.

    Raises NotAPhoto for pixels of unknown range.
    """
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    if image.mode == "F":
        raise NotAPhoto("float pixels, whose range is unknown")
    if image.mode == "I":
        raise NotAPhoto("32-bit pixels, whose range is unknown")
    if image.has_transparency_data:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        white = Image.new("RGB", rgba.size, "white")
        white.paste(rgba, mask=rgba)
        return white
    return image.convert("RGB")
