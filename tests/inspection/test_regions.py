"""Cells and regions, against slow references, planted cracks and invariants."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from surface_crack.inspection.photo import Settings, smallest_crack
from surface_crack.inspection.regions import (
    Cells,
    cells,
    find_regions,
    label_components,
    unsure_range,
)
from surface_crack.scoring.score_map import ScoreMap


def score_map(height: int, width: int, patch: float, step: float, seed: int = 0) -> ScoreMap:
    """Random scores of patches at each step, enough to cover the photo."""
    counts = (max(1, math.ceil((side - patch) / step) + 1) for side in (height, width))
    tops, lefts = (step * np.arange(count, dtype=np.float64) for count in counts)
    drawn = np.random.default_rng(seed).random((len(tops), len(lefts)))
    return ScoreMap(drawn.astype(np.float32), tops, lefts, patch)


def perfect(crack: NDArray[np.bool_], patch: int, step: int) -> ScoreMap:
    """Scores of a perfect network: 1 if any pixel of the patch is on the crack."""
    height, width = crack.shape
    empty = score_map(height, width, patch, step)
    scores = [
        [crack[int(y) : int(y) + patch, int(x) : int(x) + patch].any() for x in empty.lefts]
        for y in empty.tops
    ]
    return ScoreMap(np.array(scores, np.float32), empty.tops, empty.lefts, patch)


@given(
    *(st.integers(1, 90), st.integers(1, 90), st.sampled_from([16.0, 20.5, 33.3])),
    *(st.sampled_from([4, 5.125, 16]), st.integers(0, 99)),
)
def test_a_cell_is_the_mean_of_the_patches_that_cover_it(
    height: int, width: int, patch: float, step: float, seed: int
) -> None:
    scores = score_map(height, width, patch, step, seed)
    found = cells(scores, height, width)
    assert (found.ys[0], found.ys[-1], found.xs[0], found.xs[-1]) == (0, height, 0, width)
    assert found.areas.sum() == pytest.approx(height * width)
    assert (np.diff(found.ys) > 0).all()
    for i, y in enumerate((found.ys[1:] + found.ys[:-1]) / 2):
        for j, x in enumerate((found.xs[1:] + found.xs[:-1]) / 2):
            rows = (scores.tops <= y) & (y < scores.tops + patch)
            columns = (scores.lefts <= x) & (x < scores.lefts + patch)
            mean = scores.probability[np.ix_(rows, columns)].mean()
            assert found.probability[i, j] == pytest.approx(mean, abs=1e-5)


@pytest.mark.parametrize("corner", [(0, 0), (0, 199), (149, 0), (149, 199), (75, 100), (0, 90)])
def test_a_planted_spot_is_located(corner: tuple[int, int]) -> None:
    crack = np.zeros((150, 200), bool)
    crack[corner] = True
    found = cells(perfect(crack, 32, 4), *crack.shape)
    regions = find_regions(found, 0.5)
    (region,) = regions.found
    assert region.peak == 1
    assert region.left <= corner[1] < region.right
    assert region.top <= corner[0] < region.bottom
    assert max(region.right - region.left, region.bottom - region.top) <= 32 + 4
    y, x = np.unravel_index(found.probability.argmax(), found.probability.shape)
    assert found.ys[y] <= corner[0] < found.ys[y] + 32  # all cells at the edge share its patches
    assert found.xs[x] <= corner[1] < found.xs[x] + 32


def test_a_crack_gives_a_band_as_wide_as_a_patch() -> None:
    crack = np.zeros((320, 320), bool)
    crack[:, 161] = True
    (region,) = find_regions(cells(perfect(crack, 64, 8), 320, 320), 0.5).found
    assert (region.top, region.bottom) == (0, 320)
    assert 56 <= region.right - region.left <= 72
    assert region.left < 161 < region.right


@given(st.integers(1, 12), st.integers(1, 12), st.floats(0, 1), st.integers(0, 10_000))
def test_components_match_scipy(rows: int, columns: int, share: float, seed: int) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    mask = np.random.default_rng(seed).random((rows, columns)) < share
    labels, count = label_components(mask)
    expected, number = ndimage.label(mask, np.ones((3, 3)))
    assert count == number
    np.testing.assert_array_equal(labels, expected)


PICTURE = """
    .9 .9 .0 .0 .0 .0
    .0 .0 .6 .0 .0 .0
    .0 .0 .0 .0 .3 .0
    .6 .0 .0 .0 .0 .0
    .6 .3 .0 .0 .8 .4
"""


def drawn(text: str) -> Cells:
    """Cells of 10 x 10 pixels; the last column is 5 pixels wide."""
    values = np.array([line.split() for line in text.strip().splitlines()], np.float32)
    ys, xs = (10.0 * np.arange(side + 1) for side in values.shape)
    xs[-1] -= 5
    return Cells(values, ys, xs)


def test_regions_have_boxes_areas_and_peaks() -> None:
    regions = find_regions(drawn(PICTURE), 0.5)
    assert [region[:7] for region in regions.found] == [
        (1, True, 0, 0, 30, 20, 300),  # corners touch
        (2, True, 40, 40, 50, 50, 100),  # its neighbour below the threshold is not included
        (3, False, 0, 30, 10, 50, 200),  # above the threshold, but within the unsure range
        (4, False, 40, 20, 50, 30, 100),  # below the threshold, within the unsure range
    ]
    assert [round(region.peak, 4) for region in regions.found] == [0.9, 0.8, 0.6, 0.3]
    assert regions.found[0].mean == pytest.approx(0.8)
    expected = [
        [1, 1, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 0],
        [0, 0, 0, 0, 4, 0],
        [3, 0, 0, 0, 0, 0],
        [3, 0, 0, 0, 2, 0],
    ]
    np.testing.assert_array_equal(regions.labels, expected)


def test_half_cells_at_the_edge_have_half_the_area() -> None:
    regions = find_regions(drawn(PICTURE.replace(".8 .4", ".0 .9")), 0.5)
    assert regions.found[1][:7] == (2, True, 50, 40, 55, 50, 50)


def test_no_region_and_one_over_the_whole_photo() -> None:
    assert find_regions(drawn(".1 .2 .1"), 0.5).found == []
    (region,) = find_regions(drawn(".9 .9"), 0.5).found
    assert region.area == 150


def test_the_unsure_range_ends_half_way_to_0_and_1() -> None:
    assert unsure_range(0.5) == (0.25, 0.75)
    low, high = unsure_range(0.1)
    assert low == pytest.approx(0.05)
    assert high == pytest.approx(0.55)


def test_labels_and_regions_agree() -> None:
    scores = score_map(700, 900, 64, 8, seed=3)
    grid = cells(scores, 700, 900)
    regions = find_regions(grid, float(np.median(grid.probability)))
    assert len(regions.found) == regions.labels.max() > 3
    for region in regions.found:
        inside = regions.labels == region.number
        assert grid.areas[inside].sum() == pytest.approx(region.area)
        assert grid.probability[inside].max() == pytest.approx(region.peak)


@pytest.mark.parametrize(
    ("patch_px", "widths"),
    [(None, (1.773, 3.547)), (128, (1, 2)), (32, (0.5, 1))],
)
def test_the_smallest_crack_is_one_model_pixel_wide(
    patch_px: float | None, widths: tuple[float, float]
) -> None:
    found = smallest_crack(64, Settings(0.5, patch_px), photo_side=227)
    assert found == pytest.approx(widths, abs=1e-3)
