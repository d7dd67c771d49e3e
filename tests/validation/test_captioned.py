"""The gallery of photos with captions, drawn with Pillow."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from surface_crack.validation.captioned import (
    COLUMNS,
    GAP,
    HEAD,
    INK,
    PAPER,
    SIDE,
    _fitting,
    _font,
    write_gallery,
)


def drawn(path: Path, count: int, caption: str = "a\nb", size: int = 64) -> Image.Image:
    photos = [np.full((size, size, 3), 10 * number, np.uint8) for number in range(count)]
    write_gallery(photos, [caption] * count, "a title", path)
    with Image.open(path) as picture:
        return picture.copy()


@pytest.mark.parametrize("size", [48, 64, 192, 512])
def test_each_photo_is_below_its_caption(tmp_path: Path, size: int) -> None:
    picture = drawn(tmp_path / "x.png", COLUMNS + 2, size=size)
    rows = (picture.height - HEAD) // 2
    for number in range(COLUMNS + 2):
        row, column = divmod(number, COLUMNS)
        left, bottom = GAP + column * (SIDE + GAP), HEAD + (row + 1) * rows - GAP
        photo = np.asarray(picture.crop((left, bottom - SIDE, left + SIDE, bottom)))
        assert (photo == 10 * number).all()
        above = np.asarray(picture.crop((left, HEAD + row * rows, left + SIDE, bottom - SIDE)))
        assert above.min() < 100, "a caption"
        assert (np.asarray(picture.crop((left, bottom, left + SIDE, bottom + 1))) == PAPER).all()


def test_a_long_caption_is_cut_at_the_start(tmp_path: Path) -> None:
    name = "a-folder-of-folders/" * 9 + "0001.jpg"
    shown = _fitting(name, _font(12))
    assert shown.startswith("...")
    assert shown.endswith("/0001.jpg")
    assert 0.8 * SIDE < _font(12).getlength(shown) <= SIDE
    assert _fitting("0001.jpg", _font(12)) == "0001.jpg"
    picture = np.asarray(drawn(tmp_path / "x.png", 2, f"{name}\n{name}"))
    between = picture[HEAD:, GAP + SIDE : GAP + SIDE + GAP]
    assert (between == PAPER).all()


def test_a_gallery_without_photos_shows_its_title(tmp_path: Path) -> None:
    picture = drawn(tmp_path / "x.png", 0)
    assert picture.height == HEAD
    assert np.asarray(picture).min() <= max(INK)


def test_the_same_photos_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        drawn(tmp_path / name, 3, "\u4e2d \u0142 \U0001f600")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
