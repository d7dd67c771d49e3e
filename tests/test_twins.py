"""Photos of the same thing are found in every disguise, and nothing else is."""

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from surface_crack.decode import decode
from surface_crack.sample import draw
from surface_crack.twins import find_twins
from tests.makers import DISGUISES, SLIGHT, encoded

COUNT = 60


@cache
def drawn(number: int) -> Image.Image:
    return Image.fromarray(draw(7, number)[0])


def packed(files: list[bytes], size: int = 64) -> NDArray[np.uint8]:
    return np.stack([decode(file, size).pixels for file in files])


def found(images: NDArray[np.uint8]) -> set[tuple[int, ...]]:
    return {tuple(pair) for pair in find_twins(images, np.arange(len(images))).pairs.tolist()}


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("size", [48, 64, 128])
def test_a_disguised_photo_is_found(disguise: str, size: int) -> None:
    originals = [encoded(drawn(number), quality=90) for number in range(COUNT)]
    again = [DISGUISES[disguise](drawn(number)) for number in range(COUNT)]
    pairs = found(packed(originals + again, size))
    hits = {(number, number + COUNT) for number in range(COUNT)} & pairs
    assert len(hits) >= (0.99 if disguise in SLIGHT else 0.9) * COUNT
    assert pairs == hits  # and nothing else


def test_two_cracks_of_the_same_course_are_no_twins() -> None:
    """One course drawn over different surfaces, as straight cracks are that happen to lie alike."""
    surfaces = [np.asarray(drawn(number)).copy() for number in range(0, COUNT, 2)]
    for surface in surfaces:
        surface[100:112] = 30
    assert not found(packed([encoded(Image.fromarray(surface)) for surface in surfaces]))


def test_photos_without_any_detail_are_no_evidence() -> None:
    grey = [Image.new("RGB", (96, 96), (level, level, level)) for level in range(100, 160, 3)]
    assert not found(packed([encoded(image) for image in grey]))


def test_many_versions_of_one_photo_hang_together() -> None:
    """More of them than a photo has candidates."""
    one = packed([encoded(drawn(0), quality=quality) for quality in range(40, 95)])
    others = packed([encoded(drawn(number)) for number in range(1, 30)])
    pairs = found(np.concatenate([one, others]))
    assert all(pair[1] < len(one) for pair in pairs)
    reached = {0}
    for _ in range(len(one)):
        reached |= {row for pair in pairs if reached & set(pair) for row in pair}
    assert reached == set(range(len(one)))


def test_only_the_rows_asked_for_are_looked_at() -> None:
    images = packed([encoded(drawn(number % 4), quality=90 - number) for number in range(12)])
    rows = np.array([1, 3, 5, 8, 9])
    twins = find_twins(images, rows)
    assert sorted(map(tuple, twins.pairs.tolist())) == [(1, 5), (1, 9), (5, 9)]
    assert np.all((twins.similarity > 0.9) & (twins.similarity <= 1))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_hardly_any_photos(count: int) -> None:
    images = packed([encoded(drawn(number)) for number in range(3)])
    assert find_twins(images, np.arange(count)).pairs.shape == (0, 2)
