"""Draw the result over the photo: heat map, outlined regions, legend and scale bar.

Drawn with Pillow and NumPy alone. The photo is shown in grey, so that colour always means
probability. Sure and unsure regions differ in line pattern as well as in colour.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from surface_crack.inspection.photo import Inspection, Settings
from surface_crack.inspection.regions import Region

MAX_SIDE = 1600  # longest side of a picture, pixels
MIN_SIDE = 480  # a smaller photo is enlarged to this, to make room for the legend
MAX_NUMBERED = 40  # regions with a number drawn; more would opacity the photo
MAX_OPACITY = 0.62  # opacity of the heat map at probability 1
MANY_PATCHES = 9  # a photo of fewer patches is nearly one colour: draw it with lower opacity
JPEG_QUALITY = 82  # of the JPEGs
COLOUR_STOPS = np.array(  # yellow to dark red, increasingly dark: readable in black and white
    [(255, 237, 130), (254, 190, 75), (252, 128, 40), (226, 45, 28), (150, 0, 38)], np.float64
)
SURE_COLOUR, UNSURE_COLOUR = (
    (0, 30, 90),
    (0, 105, 200),
)  # outlines: blues, which the heat map does not contain
PAPER, INK, GREY = (255, 255, 255), (25, 25, 25), (150, 150, 150)


class Pictures(NamedTuple):
    overlay: Image.Image
    original: Image.Image  # same size as the overlay


def draw_pictures(found: Inspection, image: Image.Image, settings: Settings) -> Pictures:
    """Draw overlay and original; `image` is the photo, upright RGB, at its own size or smaller."""
    longest = max(found.width, found.height)
    scale = min(MAX_SIDE, max(MIN_SIDE, *image.size)) / longest
    size = max(1, round(found.width * scale)), max(1, round(found.height * scale))
    kind = Image.Resampling.BILINEAR if size[0] < image.width else Image.Resampling.NEAREST
    photo = image.resize(size, kind)
    rows, columns = (
        np.searchsorted(edges, (np.arange(n) + 0.5) * side / n, "right") - 1
        for edges, n, side in (
            (found.cells.ys, size[1], found.height),
            (found.cells.xs, size[0], found.width),
        )
    )
    level = np.rint(255 * found.cells.probability).astype(np.uint8)[np.ix_(rows, columns)]
    labels = found.regions.labels[np.ix_(rows, columns)]
    patches = found.width * found.height / found.patch_sides[0] ** 2
    hot = apply_heat_map(photo, level, MAX_OPACITY if patches >= MANY_PATCHES else MAX_OPACITY / 3)
    draw_outlines(hot, labels, found.regions.found)
    draw_numbers(hot, found, scale)
    legend = _legend(max(size[0], MIN_SIDE), scale, settings)
    return Pictures(_framed(hot, legend), _framed(photo, legend))


def colours(probability: NDArray[np.float32]) -> NDArray[np.float64]:
    """Colours of the heat map: (...) in [0, 1] -> RGB (..., 3), 0 to 255."""
    at = np.linspace(0, 1, len(COLOUR_STOPS))
    return np.stack([np.interp(probability, at, channel) for channel in COLOUR_STOPS.T], axis=-1)


def apply_heat_map(
    photo: Image.Image, level: NDArray[np.uint8], opacity: float = MAX_OPACITY
) -> Image.Image:
    """Blend a photo in grey with the colours of `level` (H, W), probabilities scaled to 0..255.

    The opacity grows with the probability, up to `opacity`.
    """
    table = np.rint(colours(np.linspace(0, 1, 256, dtype=np.float32))).astype(np.uint8)
    heat = Image.fromarray(level)
    colour = heat.copy()
    colour.putpalette(table.tobytes())
    hidden = heat.point([round(opacity * value) for value in range(256)])
    return Image.composite(colour.convert("RGB"), photo.convert("L").convert("RGB"), hidden)


def draw_outlines(
    picture: Image.Image, labels: NDArray[np.int32], regions: Sequence[Region]
) -> None:
    """Outline the regions of `labels` (H, W) on their inner side: solid if sure, dashed if not."""
    thick = max(2, max(labels.shape) // 500)
    padded = np.pad(labels, thick)
    rim = np.zeros(labels.shape, bool)
    height, width = labels.shape
    for dy, dx in ((0, thick), (2 * thick, thick), (thick, 0), (thick, 2 * thick)):
        rim |= padded[dy : dy + height, dx : dx + width] != labels
    y, x = np.nonzero(rim & (labels > 0))
    sure = np.array([False, *(region.sure for region in regions)])[labels[y, x]]
    dashed = (x // (3 * thick) + y // (3 * thick)) % 2 == 1
    for wanted, colour in ((sure, SURE_COLOUR), (~sure & dashed, UNSURE_COLOUR)):
        mask = np.zeros(labels.shape, np.uint8)
        mask[y[wanted], x[wanted]] = 255
        picture.paste(colour, mask=Image.fromarray(mask))


def draw_numbers(picture: Image.Image, found: Inspection, scale: float) -> None:
    """Draw the numbers of the first regions, as in regions.csv, each at its first cell."""
    pen, font = ImageDraw.Draw(picture), _font(picture.width)
    numbers, first = np.unique(found.regions.labels, return_index=True)
    for number, at in zip(numbers.tolist(), first.tolist(), strict=True):
        if 0 < number <= MAX_NUMBERED:
            _, _, right, bottom = pen.textbbox((0, 0), str(number), font=font)
            row, column = divmod(at, found.regions.labels.shape[1])
            x = max(0, min(found.cells.xs[column] * scale, picture.width - right - 5))
            y = max(0, min(found.cells.ys[row] * scale, picture.height - bottom - 5))
            box = (x, y, x + right + 4, y + bottom + 4)
            pen.rectangle(
                box, SURE_COLOUR if found.regions.found[number - 1].sure else UNSURE_COLOUR
            )
            pen.text((x + 2, y + 1), str(number), PAPER, font)


def scale_bar_length(longest: float) -> float:
    """Largest 1, 2 or 5 times a power of ten that is not above `longest`."""
    power = 10.0 ** math.floor(math.log10(longest))
    return max(step * power for step in (1, 2, 5) if step * power <= longest)


def _legend(width: int, scale: float, settings: Settings) -> Image.Image:
    """Legend of two lines: colours and threshold, then outlines and scale bar."""
    font = _font(width)
    line = round(font.size * 1.6)
    strip = Image.new("RGB", (width, 2 * line + 8), PAPER)
    pen = ImageDraw.Draw(strip)
    bar = round(width * 0.3)
    level = np.tile(np.linspace(0, 255, bar).astype(np.uint8), (line - 6, 1))
    strip.paste(apply_heat_map(Image.new("RGB", (bar, line - 6), GREY), level), (line, 7))
    at = line + round(bar * settings.threshold)
    pen.line((at, 4, at, line + 4), INK, 2)
    pen.text((4, 6), "0", INK, font)
    text = f"1  crack probability; | threshold {settings.threshold:.3g}"
    pen.text((line + bar + 4, 6), text, INK, font)

    low = line + 4
    left = 4.0
    for text, colour, dashed in (("crack", SURE_COLOUR, False), ("unsure", UNSURE_COLOUR, True)):
        for start in range(0, line, 8 if dashed else line):
            end = min(line, start + (4 if dashed else line))
            pen.line((left + start, low + line / 2, left + end, low + line / 2), colour, 3)
        pen.text((left + line + 4, low + 3), text, INK, font)
        left += line + 14 + pen.textlength(text, font=font)
    unit, per_px = ("px", 1.0) if settings.mm_per_px is None else ("mm", settings.mm_per_px)
    length = scale_bar_length(width / 4 / scale * per_px)
    drawn = length / per_px * scale
    text = f"{length:g} {unit}"
    x = width - 8 - drawn
    pen.line((x, low + line / 2, width - 8, low + line / 2), INK, 3)
    for tip in (x, width - 8):
        pen.line((tip, low + line / 4, tip, low + 3 * line / 4), INK, 2)
    pen.text((x - 6 - pen.textlength(text, font=font), low + 3), text, INK, font)
    return strip


def _framed(picture: Image.Image, legend: Image.Image) -> Image.Image:
    """The picture with the legend below."""
    whole = Image.new("RGB", (legend.width, picture.height + legend.height), PAPER)
    whole.paste(picture, (0, 0))
    whole.paste(legend, (0, picture.height))
    return whole


def _font(width: int) -> ImageFont.FreeTypeFont:
    """Pillow's built-in font, the same on every machine."""
    font = ImageFont.load_default(size=min(24, max(11, width / 65)))
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow without FreeType"
    return font
