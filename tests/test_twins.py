"""Photos of the same thing are found in every disguise, and nothing else is."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from surface_crack.decode import decode
from surface_crack.grouping import components
from surface_crack.sample import draw
from surface_crack.twins import find_relatives, find_twins
from tests.makers import DISGUISES, LIMITS, SLIGHT, encoded

COUNT = 60


@cache
def drawn(number: int) -> Image.Image:
    return Image.fromarray(draw(7, number)[0])


def packed(files: list[bytes], size: int = 64) -> NDArray[np.uint8]:
    return np.stack([decode(file, size, LIMITS.max_pixels).pixels for file in files])


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
    assert found(packed(again + originals, size)) == hits  # whichever comes first


def framed(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    framed = np.zeros_like(photo)
    framed[3:-3, 3:-3] = photo[3:-3, 3:-3]
    return framed


def through_a_tube(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.where(RADIUS[..., None] <= 1, photo, 0).astype(np.uint8)


def darker_at_the_rim(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return (photo * (1 - RADIUS[..., None] / 3)).astype(np.uint8)


def lit_from_the_left(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return (photo + np.linspace(60, -60, 64)[:, None]).clip(0, 255).astype(np.uint8)


def with_joints(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    jointed = photo.copy()
    jointed[20:22] = jointed[44:46] = jointed[:, 20:22] = 30
    return jointed


def with_one_crack(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """As straight cracks are that happen to lie alike."""
    cracked = photo.copy()
    cracked[28:32] = 30
    return cracked


RADIUS = np.hypot(*np.meshgrid(np.linspace(-1, 1, 64), np.linspace(-1, 1, 64)))


@pytest.mark.parametrize(
    "shared",
    [framed, through_a_tube, darker_at_the_rim, lit_from_the_left, with_joints, with_one_crack],
)
def test_what_many_photos_share_makes_no_twins(
    shared: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
) -> None:
    """Nor does it hide those that are there."""
    surfaces = packed([encoded(drawn(number)) for number in range(COUNT)])
    again = packed([encoded(drawn(number), quality=60) for number in range(10)])
    photos = np.stack([shared(photo) for photo in np.concatenate([surfaces, again])])
    assert found(photos) == {(number, COUNT + number) for number in range(10)}


def test_photos_without_any_detail_are_no_evidence() -> None:
    grey = [Image.new("RGB", (96, 96), (level, level, level)) for level in range(100, 160, 3)]
    assert not found(packed([encoded(image) for image in grey]))


def test_many_versions_of_one_photo_hang_together() -> None:
    """More of each kind than a photo has candidates, so that each kind sees only itself."""
    bright, dark = (ImageEnhance.Brightness(drawn(0)).enhance(factor) for factor in (1.12, 0.88))
    versions = [
        encoded(image, quality=quality)
        for image in (drawn(0), ImageOps.mirror(bright), ImageOps.flip(dark))
        for quality in range(70, 95)
    ]
    one = packed(versions)
    images = np.concatenate([one, packed([encoded(drawn(number)) for number in range(1, 30)])])
    pairs = find_twins(images, np.arange(len(images))).pairs
    family = components(len(images), pairs)
    assert len(set(family[: len(one)].tolist())) == 1
    assert len(set(family.tolist())) == 30
    assert len(np.unique(pairs, axis=0)) == len(pairs)


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


def test_copies_are_told_from_twins() -> None:
    """Ten copies would be all the neighbours that a photo asks for: only the first is asked."""
    photo, other = encoded(drawn(0)), encoded(drawn(1))
    turned = encoded(ImageOps.mirror(drawn(0)))
    copies, twins = find_relatives(packed([other, *[photo] * 12, turned, other]))
    assert sorted(copies) == [(0, 14), *((1, row) for row in range(2, 13))]
    assert twins.pairs.tolist() == [[1, 13]]
