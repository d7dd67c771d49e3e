"""A gallery of photos with captions, drawn with Pillow: the small install has no matplotlib."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from surface_crack.project.files import atomic_write

COLUMNS = 6
SIDE = 192  # of a photo, pixels: a multiple of most networks' input size
GAP, LINE, HEAD = 16, 16, 48  # pixels between photos, per line of text, for the title
PAPER, INK = (255, 255, 255), (25, 25, 25)


def write_gallery(
    photos: Sequence[NDArray[np.uint8]], captions: Sequence[str], title: str, path: Path
) -> None:
    """Write a PNG of uint8 (S, S, 3) photos, each under its caption, under one title."""
    lines = max((caption.count("\n") + 1 for caption in captions), default=0)
    above = lines * LINE + 3
    cell = above + SIDE + GAP
    rows = -(-len(photos) // COLUMNS)
    size = COLUMNS * (SIDE + GAP) + GAP, HEAD + rows * cell
    picture = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(picture)
    large, small = _font(18), _font(12)
    pen.text((size[0] / 2, HEAD / 2), title, INK, large, anchor="mm")
    for place, (photo, caption) in enumerate(zip(photos, captions, strict=True)):
        row, column = divmod(place, COLUMNS)
        left, top = GAP + column * (SIDE + GAP), HEAD + row * cell
        for number, text in enumerate(caption.split("\n")):
            at = left + SIDE / 2, top + number * LINE
            pen.text(at, _fitting(text, small), INK, small, anchor="ma")
        picture.paste(_resized(photo), (left, top + above))
    with atomic_write(path) as temporary:
        picture.save(temporary, format="PNG")


def _resized(photo: NDArray[np.uint8]) -> Image.Image:
    kind = Image.Resampling.NEAREST if len(photo) <= SIDE else Image.Resampling.BILINEAR
    return Image.fromarray(photo).resize((SIDE, SIDE), kind)


def _fitting(text: str, font: ImageFont.FreeTypeFont) -> str:
    """The text, cut at the start if it is wider than a photo: the end of a path is its name."""
    if font.getlength(text) <= SIDE:
        return text
    for start in range(1, len(text)):
        if font.getlength(shown := f"...{text[start:]}") <= SIDE:
            return shown
    return "..."


def _font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's built-in font, which is the same on every machine."""
    font = ImageFont.load_default(size=size)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow without FreeType"
    return font
