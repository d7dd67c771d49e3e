"""The one place where a file's bytes become pixels, in training and in scoring alike.

Every Pillow mode ends as 8-bit RGB, upright by EXIF. What a file says of its pixels is believed or
refused: which of its pictures is the photo (tiff.py), their range (levels.py), their colours
(colour.py). The resize is antialiased; where a JPEG is
much larger than wanted, libjpeg scales it while decoding, by eighths, which averages pixels too and
is faster than decoding them all. Pillow reads every header and whatever is no sound, ordinary JPEG;
simplejpeg, which wraps the same libjpeg-turbo, has less to do around it and decodes the rest.
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
FILTER = Image.Resampling.BILINEAR  # Pillow's covers all pixels that it makes one of: antialiased
MIN_SIDE = 8  # pixels; less shows no surface
MAX_PIXELS = 200_000_000  # pixels of a photo to be inspected; more is no photo but a bomb
MAX_SCANS = 100  # of a progressive JPEG; usual are 10, and each passes over the whole picture
SEVERAL = "holds several pictures: save them one by one"
SPARE = 2  # pixels a side for each wanted one that decoding leaves to the resize
PIXEL_BUDGET = MemoryBudget(
    50_000_000
)  # pixels that all threads may open at once, 4 to 16 bytes of memory each
# Of a damaged photo: a line in the log that does not say which. Its fate is in rejected.csv.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
# Pillow takes memory in blocks of 16 MiB, and the C library keeps those that a thread gave back. Of
# 64 MiB it keeps none: two WebPs of 52 megapixels in two threads take 0.9 instead of 1.1 GB.
Image.core.set_block_size(1 << 26)  # type: ignore[attr-defined]
Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit; ours is `max_pixels`
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
    faint: bool = False  # of a range that the file does not state, the pixels use very little


class NotAPhoto(Exception):
    """The bytes cannot be used as a photo; the message says why."""


def decode(content: bytes, size: int, max_pixels: int) -> Decoded:
    """Bytes of an image file -> uint8 (size, size, 3) RGB.

    Raises NotAPhoto with the reason for whatever cannot be used: no image, damaged, a wrong
    size, camera raw, several pictures in one file, pixels of no known range.
    """
    content = _one_picture(content)
    with ExitStack() as reservations:  # left when `_decoded` has let go of all the pixels
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
        if convert:  # now that there are few pixels
            small = convert(small)
        orientation = _orientation(image)
        small = _upright(small, orientation)
        if orientation >= 5:  # turned by a quarter
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
    """Bytes of an image file -> a photo of any shape, to be scaled by `scale` afterwards, which may
    follow from how many pixels there are.

    A JPEG of which no more is needed comes scaled down by eighths, as in `decode`; all other pixels
    are the file's. It may have `max_pixels`, or MAX_PIXELS. Raises NotAPhoto as `decode` does, and
    for photos with fewer than `least` pixels a side.
    """
    content = _one_picture(content)
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
        if orientation >= 5:  # turned by a quarter
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


def _one_picture(content: bytes) -> bytes:
    """The file, so that Pillow opens the photo in it and no copy. Raises NotAPhoto if it has none.

    Of a JPEG there is nothing to find out.
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
        raise NotAPhoto("holds only a smaller copy or a mask: save the full picture")
    return content


@contextmanager
def _opened(
    content: bytes, max_pixels: int | None, least: int = MIN_SIDE
) -> Iterator[ImageFile.ImageFile]:
    """The file's header, checked. Whatever goes wrong with its pixels is NotAPhoto, too."""
    if not content:
        raise NotAPhoto("empty file")
    formats = formats_of(content)
    try:
        with Image.open(BytesIO(content), formats=formats) as image:
            _check(image, content, max_pixels, least)
            yield image
    except (NotAPhoto, MemoryError):  # want of memory is no fault of the photo's
        raise
    except UnidentifiedImageError:
        raise NotAPhoto("not an image, or of a kind that is not read") from None
    except OutOfRange as error:
        raise NotAPhoto(str(error)) from None
    except Exception as error:  # Pillow raises nearly anything on damaged files
        raise NotAPhoto(f"damaged: {one_line(error)}") from None


def formats_of(content: bytes) -> tuple[str, ...]:
    """What Pillow may take the file for. Raises NotAPhoto for HEIC, the format of many telephones,
    where there is no pi-heif.
    """
    if not is_heic(content):
        return FORMATS
    try:
        from pi_heif import register_heif_opener
    except ModuleNotFoundError:
        raise NotAPhoto("HEIC, which takes pi-heif to read: run `pip install pi-heif`") from None
    register_heif_opener()  # turns photos upright itself and says so in EXIF
    return ("HEIF",)


def is_heic(content: bytes) -> bool:
    """By its first bytes, whatever its name says."""
    return content[8:12] in HEIC


def _check(image: Image.Image, content: bytes, max_pixels: int | None, least: int) -> None:
    width, height = image.size
    if width * height > (max_pixels or MAX_PIXELS):
        limit = f"max_pixels ({max_pixels:,})" if max_pixels else f"{MAX_PIXELS:,}"
        raise NotAPhoto(f"too large: {width} x {height} pixels, more than {limit}")
    if min(width, height) < least:
        raise NotAPhoto(f"too small: {width} x {height} pixels")
    # Not `n_frames`: counting a million takes minutes. A camera's MPO has a preview beside it; what
    # a TIFF has beside the photo, `_one_picture` has seen.
    if getattr(image, "is_animated", False) and image.format not in ("MPO", "TIFF"):
        raise NotAPhoto(SEVERAL)
    if _is_progressive(image) and content.count(b"\xff\xda") > MAX_SCANS:
        raise NotAPhoto(f"more than {MAX_SCANS} scans: save it again")


def _is_progressive(image: Image.Image) -> bool:
    return bool(image.info.get("progressive"))


def _shrunk(
    image: Image.Image, content: bytes, least: tuple[int, int], reservations: ExitStack
) -> tuple[Image.Image, Box]:
    """(the opened image, where in it the photo lies); a JPEG is scaled down towards `least`.

    Not all the way: libjpeg's filter is another one, and a photo should look the same as a PNG.
    The last row and column of a scaled JPEG may lie half outside the photo: three eighths of 227
    pixels are 85.1, in 86. `reservations` is for as long as the pixels are in memory.
    """
    width, height = whole = image.size
    wide, high = (SPARE * side for side in least)
    drafted = image.draft("RGB", (wide, high))  # a hint to scale down that only JPEG follows
    coefficients = width * height if _is_progressive(image) else 0  # all are there at once
    reservations.enter_context(PIXEL_BUDGET.reserve(max(coefficients, math.prod(image.size))))
    if image.format in ("JPEG", "MPO") and image.mode in ("RGB", "L"):
        with suppress(ValueError):  # Pillow forgives more, and knows better what is wrong
            pixels = simplejpeg.decode_jpeg(content, "RGB", min_height=high, min_width=wide)
            scale = eighths(pixels.shape[:2], whole)
            return Image.fromarray(pixels), (0, 0, scale * width, scale * height)
    return image, drafted[1] if drafted else (0, 0, width, height)


def eighths(sides: tuple[int, ...], whole: tuple[int, int]) -> float:
    """The scale of a JPEG of these sides, instead of `whole`: libjpeg's are eighths, rounded up."""
    return 8 * max(sides) // max(whole) / 8  # of a side of less than 8 pixels it could not be told


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    """Turned as EXIF says."""
    return image.transpose(TRANSPOSE[orientation]) if orientation in TRANSPOSE else image


def _orientation(image: Image.Image) -> int:
    """The EXIF tag, 1 to 8; 1 (upright) where there is none or EXIF is broken: pixels are not.

    Of an image whose pixels are loaded. For the tag of a PNG Pillow would load them, and what is
    wrong with them would be lost here; a TIFF it turns upright when it loads, and the tag is gone.
    """
    try:
        tag = int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        return 1
    return tag if tag in TRANSPOSE else 1


def _in_range(image: Image.Image, depth: Depth | None, content: bytes) -> tuple[Image.Image, bool]:
    """(any Pillow mode -> RGB, whether its pixels are faint). Raises NotAPhoto as `to_rgb` does."""
    if depth is None:
        return to_rgb(image), False
    image, faint = eight_bits(image, depth, content)
    return to_rgb(image), faint


def to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow mode of at most eight bits -> RGB. Transparent pixels show white.

    Raises NotAPhoto on pixels whose range nobody knows.
    """
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    if image.mode == "F":
        raise NotAPhoto("float pixels, whose range is not known")
    if image.mode == "I":
        raise NotAPhoto("32-bit pixels, whose range is not known")
    if image.has_transparency_data:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        white = Image.new("RGB", rgba.size, "white")
        white.paste(rgba, mask=rgba)
        return white
    return image.convert("RGB")
