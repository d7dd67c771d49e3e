"""What was found, drawn over the photo: heat, outlined regions, a legend and a scale bar.

Drawn with Pillow and NumPy alone. The photo is grey under the heat, so that colour always means
probability; sure and unsure regions differ in the line's pattern, too, not in colour alone.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from surface_crack.inspection.photo import Inspection, Settings
from surface_crack.inspection.regions import Region

SIDE = 1600  # longest side of a picture, pixels
LEAST = 480  # a smaller photo is enlarged to this, so that the legend fits
NUMBERED = 40  # regions whose number is drawn; more would hide the photo
HIDE = 0.62  # how much of the photo the hottest colour hides
MANY = 9  # patches of a photo: one of fewer is all of one colour, which must not hide the crack
QUALITY = 82  # of the JPEGs
COLOUR_STOPS = np.array(  # yellow to dark red, ever darker: also told apart in black and white
    [(255, 237, 130), (254, 190, 75), (252, 128, 40), (226, 45, 28), (150, 0, 38)], np.float64
)
SURE, UNSURE = (0, 30, 90), (0, 105, 200)  # of outlines: blues, which the heat never is
PAPER, INK, MIDDLE = (255, 255, 255), (25, 25, 25), (150, 150, 150)


class Pictures(NamedTuple):
    overlay: Image.Image
    original: Image.Image  # the same size, to flip between


def draw_pictures(found: Inspection, image: Image.Image, settings: Settings) -> Pictures:
    """`image` is the photo, upright RGB, at its own size or smaller."""
    longest = max(found.width, found.height)
    scale = min(SIDE, max(LEAST, *image.size)) / longest
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
    hot = apply_heat_map(photo, level, HIDE if patches >= MANY else HIDE / 3)
    draw_outlines(hot, labels, found.regions.found)
    draw_numbers(hot, found, scale)
    legend = _legend(max(size[0], LEAST), scale, settings)
    return Pictures(_framed(hot, legend), _framed(photo, legend))


def colours(probability: NDArray[np.float32]) -> NDArray[np.float64]:
    """(...) in [0, 1] -> RGB (..., 3), 0 to 255."""
    at = np.linspace(0, 1, len(COLOUR_STOPS))
    return np.stack([np.interp(probability, at, channel) for channel in COLOUR_STOPS.T], axis=-1)


def apply_heat_map(photo: Image.Image, level: NDArray[np.uint8], hide: float = HIDE) -> Image.Image:
    """A photo in grey under the colours of (H, W), 0 to 255: the likelier, the less of it, of which
    `hide` is hidden at most.
    """
    table = np.rint(colours(np.linspace(0, 1, 256, dtype=np.float32))).astype(np.uint8)
    heat = Image.fromarray(level)
    colour = heat.copy()
    colour.putpalette(table.tobytes())
    hidden = heat.point([round(hide * value) for value in range(256)])
    return Image.composite(colour.convert("RGB"), photo.convert("L").convert("RGB"), hidden)


def draw_outlines(
    picture: Image.Image, labels: NDArray[np.int32], regions: Sequence[Region]
) -> None:
    """Regions of (H, W) get a rim inside: a solid line if sure, dashes if not."""
    thick = max(2, max(labels.shape) // 500)
    padded = np.pad(labels, thick)
    rim = np.zeros(labels.shape, bool)
    height, width = labels.shape
    for dy, dx in ((0, thick), (2 * thick, thick), (thick, 0), (thick, 2 * thick)):
        rim |= padded[dy : dy + height, dx : dx + width] != labels
    y, x = np.nonzero(rim & (labels > 0))
    sure = np.array([False, *(region.sure for region in regions)])[labels[y, x]]
    dashed = (x // (3 * thick) + y // (3 * thick)) % 2 == 1
    for wanted, colour in ((sure, SURE), (~sure & dashed, UNSURE)):
        mask = np.zeros(labels.shape, np.uint8)
        mask[y[wanted], x[wanted]] = 255
        picture.paste(colour, mask=Image.fromarray(mask))


def draw_numbers(picture: Image.Image, found: Inspection, scale: float) -> None:
    """The first regions' numbers, as in regions.csv, each at its region's first cell."""
    pen, font = ImageDraw.Draw(picture), _font(picture.width)
    numbers, first = np.unique(found.regions.labels, return_index=True)
    for number, at in zip(numbers.tolist(), first.tolist(), strict=True):
        if 0 < number <= NUMBERED:
            _, _, right, bottom = pen.textbbox((0, 0), str(number), font=font)
            row, column = divmod(at, found.regions.labels.shape[1])
            x = max(0, min(found.cells.xs[column] * scale, picture.width - right - 5))
            y = max(0, min(found.cells.ys[row] * scale, picture.height - bottom - 5))
            box = (x, y, x + right + 4, y + bottom + 4)
            pen.rectangle(box, SURE if found.regions.found[number - 1].sure else UNSURE)
            pen.text((x + 2, y + 1), str(number), PAPER, font)


def scale_bar_length(longest: float) -> float:
    """The longest of 1, 2 or 5 times a power of ten that fits."""
    power = 10.0 ** math.floor(math.log10(longest))
    return max(step * power for step in (1, 2, 5) if step * power <= longest)


def _legend(width: int, scale: float, settings: Settings) -> Image.Image:
    """What colours and lines mean, and how long things are, in two lines of text."""
    font = _font(width)
    line = round(font.size * 1.6)
    strip = Image.new("RGB", (width, 2 * line + 8), PAPER)
    pen = ImageDraw.Draw(strip)
    bar = round(width * 0.3)
    level = np.tile(np.linspace(0, 255, bar).astype(np.uint8), (line - 6, 1))
    strip.paste(apply_heat_map(Image.new("RGB", (bar, line - 6), MIDDLE), level), (line, 7))
    at = line + round(bar * settings.threshold)
    pen.line((at, 4, at, line + 4), INK, 2)
    pen.text((4, 6), "0", INK, font)
    text = f"1  probability of a crack around; | threshold {settings.threshold:.3g}"
    pen.text((line + bar + 4, 6), text, INK, font)

    low = line + 4
    left = 4.0
    for text, colour, dashed in (("crack", SURE, False), ("unsure", UNSURE, True)):
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
    whole = Image.new("RGB", (legend.width, picture.height + legend.height), PAPER)
    whole.paste(picture, (0, 0))
    whole.paste(legend, (0, picture.height))
    return whole


def _font(width: int) -> ImageFont.FreeTypeFont:
    """Pillow's own: the same on every machine."""
    font = ImageFont.load_default(size=min(24, max(11, width / 65)))
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow without FreeType"
    return font
