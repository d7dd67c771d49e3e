"""Near-duplicates are found after each alteration, and other pairs are not."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps
from scipy.fft import dctn
from scipy.ndimage import gaussian_filter
from scipy.spatial import KDTree

from surface_crack.photos.decode import decode
from surface_crack.sample.photo import draw
from surface_crack.splitting import near_duplicates
from surface_crack.splitting.near_duplicates import find_duplicates, find_near_duplicates
from surface_crack.splitting.ties import components
from tests.support.makers import ALTERATIONS, LIMITS, SLIGHT, encoded

COUNT = 60


@cache
def drawn(number: int) -> Image.Image:
    return Image.fromarray(draw(7, number)[0])


def packed(files: list[bytes], size: int = 64) -> NDArray[np.uint8]:
    return np.stack([decode(file, size, LIMITS.max_pixels).pixels for file in files])


def found(images: NDArray[np.uint8]) -> set[tuple[int, ...]]:
    return {
        tuple(pair) for pair in find_near_duplicates(images, np.arange(len(images))).pairs.tolist()
    }


@pytest.mark.parametrize("disguise", ALTERATIONS)
@pytest.mark.parametrize("size", [48, 64, 128])
def test_an_altered_photo_is_found(disguise: str, size: int) -> None:
    originals = [encoded(drawn(number), quality=90) for number in range(COUNT)]
    again = [ALTERATIONS[disguise](drawn(number)) for number in range(COUNT)]
    pairs = found(packed(originals + again, size))
    hits = {(number, number + COUNT) for number in range(COUNT)} & pairs
    assert len(hits) >= (0.99 if disguise in SLIGHT else 0.9) * COUNT
    assert pairs == hits  # no false positives
    assert found(packed(again + originals, size)) == hits  # in either order


def framed(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    framed = np.zeros_like(photo)
    framed[3:-3, 3:-3] = photo[3:-3, 3:-3]
    return framed


def with_round_frame(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.where(RADIUS[..., None] <= 1, photo, 0).astype(np.uint8)


def with_vignette(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return (photo * (1 - RADIUS[..., None] / 3)).astype(np.uint8)


def lit_from_the_left(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return (photo + np.linspace(60, -60, 64)[:, None]).clip(0, 255).astype(np.uint8)


def with_joints(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    jointed = photo.copy()
    jointed[20:22] = jointed[44:46] = jointed[:, 20:22] = 30
    return jointed


def with_one_crack(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A straight crack that all photos have in the same place."""
    cracked = photo.copy()
    cracked[28:32] = 30
    return cracked


RADIUS = np.hypot(*np.meshgrid(np.linspace(-1, 1, 64), np.linspace(-1, 1, 64)))


@pytest.mark.parametrize(
    "shared",
    [framed, with_round_frame, with_vignette, lit_from_the_left, with_joints, with_one_crack],
)
def test_shared_features_do_not_make_near_duplicates(
    shared: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
) -> None:
    """Nor do they hide real near-duplicates."""
    surfaces = packed([encoded(drawn(number)) for number in range(COUNT)])
    again = packed([encoded(drawn(number), quality=60) for number in range(10)])
    photos = np.stack([shared(photo) for photo in np.concatenate([surfaces, again])])
    assert found(photos) == {(number, COUNT + number) for number in range(10)}


def test_uniform_photos_are_not_near_duplicates() -> None:
    grey = [Image.new("RGB", (96, 96), (level, level, level)) for level in range(100, 160, 3)]
    assert not found(packed([encoded(image) for image in grey]))


def test_many_versions_of_one_photo_form_one_family() -> None:
    """More versions of each kind than candidates per photo, so each kind finds only itself."""
    bright, dark = (ImageEnhance.Brightness(drawn(0)).enhance(factor) for factor in (1.12, 0.88))
    versions = [
        encoded(image, quality=quality)
        for image in (drawn(0), ImageOps.mirror(bright), ImageOps.flip(dark))
        for quality in range(70, 95)
    ]
    one = packed(versions)
    images = np.concatenate([one, packed([encoded(drawn(number)) for number in range(1, 30)])])
    pairs = find_near_duplicates(images, np.arange(len(images))).pairs
    family = components(len(images), pairs)
    assert len(set(family[: len(one)].tolist())) == 1
    assert len(set(family.tolist())) == 30
    assert len(np.unique(pairs, axis=0)) == len(pairs)


def test_only_the_given_rows_are_searched() -> None:
    images = packed([encoded(drawn(number % 4), quality=90 - number) for number in range(12)])
    rows = np.array([1, 3, 5, 8, 9])
    few = find_near_duplicates(images, rows)
    assert sorted(map(tuple, few.pairs.tolist())) == [(1, 5), (1, 9), (5, 9)]
    assert np.all((few.similarity > 0.9) & (few.similarity <= 1))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_very_few_photos(count: int) -> None:
    images = packed([encoded(drawn(number)) for number in range(3)])
    assert find_near_duplicates(images, np.arange(count)).pairs.shape == (0, 2)


def test_copies_are_separated_from_near_duplicates() -> None:
    """Ten copies would use up all candidates of a photo, so only the first copy is searched."""
    photo, other = encoded(drawn(0)), encoded(drawn(1))
    turned = encoded(ImageOps.mirror(drawn(0)))
    copies, found = find_duplicates(packed([other, *[photo] * 12, turned, other]))
    assert sorted(copies) == [(0, 14), *((1, row) for row in range(2, 13))]
    assert found.pairs.tolist() == [[1, 13]]


def test_cosines_and_blur_agree_with_scipy() -> None:
    grey = np.random.default_rng(0).normal(size=(3, near_duplicates.GRID, near_duplicates.GRID))
    found = near_duplicates._on_both_axes(near_duplicates.COSINES[:5], grey)
    wanted = dctn(grey, axes=(1, 2), norm="ortho")[:, :5, :5]
    assert found == pytest.approx(wanted, abs=1e-12)
    for matrix, sigma in (
        (near_duplicates.AROUND, 3),
        (near_duplicates.BLURRED, near_duplicates.BLUR),
    ):
        wanted = gaussian_filter(grey, (0, sigma, sigma))
        assert near_duplicates._on_both_axes(matrix, grey) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("count", [1, 5, 64, 193, 2500])
def test_candidates_are_the_nearest_neighbours(count: int) -> None:
    """At most NEIGHBOURS each, with full and partly filled tiles; distant ones are excluded."""
    draw = np.random.default_rng(0)
    points = draw.normal(size=(count, 4))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    points[: count // 2] = np.round(points[: count // 2], 1)  # with equal points
    asked = points + draw.normal(0, 0.01, points.shape)
    tree, wanted = KDTree(points), set()
    for question in (points, asked):
        distance, found = tree.query(
            question,
            k=near_duplicates.NEIGHBOURS + 1,
            distance_upper_bound=near_duplicates.MAX_DISTANCE,
        )
        for row, (near, others) in enumerate(zip(distance, found, strict=True)):
            last = near[-1]  # of equal distances, any may be the last
            wanted |= {
                (*sorted((row, int(other))),)
                for other, far in zip(others, near, strict=True)
                if other != row and far < min(last, near_duplicates.MAX_DISTANCE) - 1e-5
            }
    pairs = near_duplicates._candidates(points.astype(np.float32), asked.astype(np.float32))
    assert wanted <= {tuple(pair) for pair in pairs.tolist()}
    assert len(pairs) <= 2 * count * (near_duplicates.NEIGHBOURS + 1)
    assert len(np.unique(pairs, axis=0)) == len(pairs)
    gap = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    assert (gap < near_duplicates.MAX_DISTANCE + 0.1).all()
    assert (pairs[:, 0] < pairs[:, 1]).all()


def test_no_matrix_product_is_large_enough_for_blas_threads() -> None:
    """OpenBLAS uses threads from 64**3 multiplications; they would compete with ours."""
    cells = 2 * near_duplicates.GRID // near_duplicates.PARTS
    largest = [
        near_duplicates.QUERIES * near_duplicates.TILE * (18 + 2),
        near_duplicates.PAIRS * near_duplicates.SPECTRUM**2 * 4,
        near_duplicates.GRID * (2 * near_duplicates.GRID) ** 2,
        *(cells * (side // near_duplicates.PARTS) ** 2 for side in (48, 192, 512)),
    ]
    assert max(largest) <= 64**3


@pytest.mark.parametrize("side", [48, 64, 128, 192, 512])
def test_downscaling_in_parts_equals_downscaling_at_once(side: int) -> None:
    photos = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), np.uint8)
    luma = photos @ np.array([0.299, 0.587, 0.114])
    wanted, _ = near_duplicates._window(
        luma.astype(np.float32), np.array([near_duplicates.WHOLE]), 64
    )
    assert near_duplicates._grey(photos, np.arange(2)) == pytest.approx(wanted, abs=1e-3)
