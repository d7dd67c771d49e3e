"""Scale pixels of 9 to 16 bits to eight bits, by the range that the file states.

A 12-bit camera often writes its values unchanged into 16-bit samples, so that they use only a
sixteenth of the range. TIFF can state this by MaxSampleValue, PNG by sBIT.
"""

import struct
import sys
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, TiffImagePlugin

MAX_SAMPLE_VALUE = 281
FAINT = 8  # a photo that uses less than 1 / FAINT of the range probably has another range
MAX_CHUNKS = 1000  # of a PNG, before its pixels
BAND = 1 << 20  # pixels at a time, so that 32-bit values need little memory


class OutOfRange(ValueError):
    """Pixels exceed the range that the file states, or their range cannot be applied."""


class Depth(NamedTuple):
    """Bit depth and stated range of samples with more than eight bits."""

    bits: int  # per stored sample
    most: int | None  # largest value that the file states; None: not stated
    shifted: bool = False  # larger values are allowed and are left-aligned: PNG's rule for sBIT

    @property
    def range(self) -> int:
        """Number of levels."""
        return 1 << self.bits if self.most is None else self.most + 1

    def is_faint(self, largest: int) -> bool:
        """Whether no range is stated and values up to `largest` use little of the full range."""
        return self.most is None and largest < self.range // FAINT


def depth_of(image: ImageFile.ImageFile, content: bytes) -> Depth | None:
    """Depth of an image that is not loaded yet; None if there is nothing to scale.

    That is for samples of up to eight bits and for modes such as CMYK, where small values are not
    dark.
    """
    if image.mode not in ("RGB", "RGBA") and not image.mode.startswith("I;16"):
        return None
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,))[0]
        if not 8 < bits <= 16:
            return None
        if (
            image.tag_v2.get(TiffImagePlugin.PLANAR_CONFIGURATION) == 2
            and len(image.getbands()) > 1
        ):
            raise OutOfRange(
                f"colours of {bits} bits in separate planes are not supported: save them "
                "interleaved, pixel by pixel"
            )
        most = _largest(image.tag_v2.get(MAX_SAMPLE_VALUE))
        return Depth(bits, None if most is None else min(most, (1 << bits) - 1))
    if image.format == "PNG" and image.tile and ";16" in str(image.tile[0].args):
        significant = significant_bits(content)
        return Depth(16, (1 << significant) - 1 if significant else None, shifted=True)
    return None


def _largest(value: object) -> int | None:
    """Largest positive integer of a TIFF entry; None if there is none."""
    values = value if isinstance(value, tuple) else (value,)
    numbers = [number for number in values if isinstance(number, int) and number > 0]
    return max(numbers, default=None)


def significant_bits(content: bytes) -> int | None:
    """Significant bits by the sBIT chunk of a 16-bit PNG, which Pillow skips; None if missing."""
    place = 8
    for _ in range(MAX_CHUNKS):
        head = content[place : place + 8]
        if len(head) < 8 or head[4:] in (b"IDAT", b"IEND"):
            break
        (length,) = struct.unpack(">I", head[:4])
        if head[4:] == b"sBIT":
            bits = max(content[place + 8 : place + 8 + min(length, 4)], default=0)
            return bits if 0 < bits <= 16 else None
        place += 12 + length
    return None


def eight_bits(image: Image.Image, depth: Depth, content: bytes) -> tuple[Image.Image, bool]:
    """(image with eight bits per sample, whether it is faint). Raises OutOfRange.

    `content` are the bytes of its file.
    """
    if image.mode.startswith("I;16"):
        values = np.asarray(image)
        return Image.fromarray(_grey(image, values, depth)), depth.is_faint(int(values.max()))
    image.load()
    extrema: list[tuple[int, int]] = list(image.getextrema())  # type: ignore[arg-type]
    upper = max(high for _, high in extrema[:3])  # upper byte: Pillow drops the lower one
    if depth.most is None:
        return image, depth.is_faint(upper << 8 | 255)
    if depth.range == 1 << depth.bits or (depth.shifted and upper << 8 > depth.most):
        return image, False
    if image.mode == "RGBA" or image.has_transparency_data:  # alpha may have another range
        return image, depth._replace(most=None).is_faint(upper << 8 | 255)
    return _colours(image, lower_bytes(content), depth), False


def _colours(upper: Image.Image, lower: Image.Image, depth: Depth) -> Image.Image:
    """RGB scaled to eight bits, band by band to save memory."""

    def values(band: int) -> NDArray[np.uint16]:
        both = np.asarray(upper.getchannel(band)).astype(np.uint16)
        both <<= 8
        both |= np.asarray(lower.getchannel(band))
        return both

    levels = _levels(depth, max(int(values(band).max()) for band in range(3)))
    eight = [Image.fromarray(upper_bits(values(band), levels)) for band in range(3)]
    return Image.merge("RGB", eight)


def _grey(image: Image.Image, values: NDArray[np.uint16], depth: Depth) -> NDArray[np.uint8]:
    """Grey values scaled to eight bits, (H, W)."""
    upper = upper_bits(values, _levels(depth, int(values.max())))
    tags = getattr(image, "tag_v2", {})  # of a TIFF
    zero_is_white = tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0
    if zero_is_white:  # Pillow inverts this for 8 bits only
        np.subtract(255, upper, out=upper)
    if "transparency" in image.info:
        upper[values == image.info["transparency"]] = 255
    return upper


def _levels(depth: Depth, largest: int) -> int:
    """Number of levels of pixels whose largest value is `largest`. Raises OutOfRange."""
    if largest < depth.range:
        return depth.range
    if depth.shifted:
        return 1 << depth.bits
    raise OutOfRange(
        f"pixels up to {largest}, above the MaxSampleValue {depth.most} that the file states: "
        "correct or remove that tag"
    )


def upper_bits(values: NDArray[np.uint16], levels: int) -> NDArray[np.uint8]:
    """Values below `levels` -> 0 to 255. For a power of two, these are the upper eight bits."""
    upper = np.empty(values.shape, np.uint8)
    bits = levels.bit_length() - 1
    if levels == 1 << bits and bits >= 8:
        np.right_shift(values, bits - 8, out=upper, casting="unsafe")
        return upper
    rows = max(1, BAND // max(1, values.shape[1]))
    for top in range(0, len(values), rows):
        upper[top : top + rows] = values[top : top + rows].astype(np.uint32) * 256 // levels
    return upper


def lower_bytes(content: bytes) -> Image.Image:
    """The lower bytes of 16-bit RGB; Pillow normally returns the upper ones.

    Done by telling Pillow the wrong byte order.
    """
    with Image.open(BytesIO(content), formats=("PNG", "TIFF")) as image:
        image.tile = [tile._replace(args=_swapped(tile.args)) for tile in image.tile]
        image.load()
        return image


def _swapped(args: Any) -> Any:
    if isinstance(args, tuple):
        return (_swapped(args[0]), *args[1:])
    mode = str(args)
    native = "B" if sys.byteorder == "little" else "L"
    return mode[:-1] + {"B": "L", "L": "B", "N": native}[mode[-1]]
