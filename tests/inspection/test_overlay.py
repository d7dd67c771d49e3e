"""Overlays: positions, colours, outlines, scale bar, and photos of any size."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from surface_crack.inspection.overlay import (
    MAX_SIDE,
    SURE_COLOUR,
    UNSURE_COLOUR,
    apply_heat_map,
    colours,
    draw_pictures,
    scale_bar_length,
)
from surface_crack.inspection.photo import Inspection, Settings
from surface_crack.inspection.regions import Cells, find_regions

SETTINGS = Settings(0.5)


def found(probability: NDArray[np.float32], width: int, height: int) -> Inspection:
    rows, columns = probability.shape
    grid = Cells(probability, np.linspace(0, height, rows + 1), np.linspace(0, width, columns + 1))
    regions = find_regions(grid, 0.5)
    flagged = float((probability >= 0.5).mean())
    peak = float(probability.max())
    return Inspection(width, height, grid, regions, flagged, peak, [], "crack", None, [64.0])


def example() -> NDArray[np.float32]:
    probability = np.zeros((20, 30), np.float32)
    probability[5:10, 5:15] = 0.95
    probability[14:17, 20:26] = 0.6
    return probability


def test_heat_and_outlines_are_where_the_regions_are() -> None:
    photo = Image.new("RGB", (600, 400), (120, 160, 200))
    overlay, original = (
        np.asarray(x) for x in draw_pictures(found(example(), 600, 400), photo, SETTINGS)
    )
    assert overlay.shape == original.shape
    assert (original[:400] == (120, 160, 200)).all()
    grey = overlay[50, 500]
    assert grey.min() == grey.max()  # no heat, no colour
    hot = overlay[150, 240].astype(int)
    assert hot[0] > hot[1] + 40  # red
    sure = (overlay[:400] == SURE_COLOUR).all(axis=2)
    y, x = np.nonzero(sure)
    assert (y.min(), y.max(), x.min(), x.max()) == (100, 199, 100, 299)
    assert sure[100:102, 130:300].all()
    unsure = (overlay[:400] == UNSURE_COLOUR).all(axis=2)[280:340, 440:520]
    assert 0.2 < unsure[:2].mean() < 0.9  # dashes
    assert not unsure[25:50, 30:60].any()


def test_higher_probabilities_are_drawn_darker() -> None:
    light = colours(np.linspace(0, 1, 50, dtype=np.float32)) @ [0.299, 0.587, 0.114]
    assert (np.diff(light) < 0).all()
    level = np.arange(256, dtype=np.uint8)[None]
    drawn = np.asarray(apply_heat_map(Image.new("RGB", (256, 1), (150, 150, 150)), level))
    assert (drawn[0, 0] == 150).all()
    shown = drawn[0].astype(int)
    assert shown[255, 0] - shown[255, 1] > 60


@pytest.mark.parametrize(
    ("width", "height"), [(1, 1), (1, 900), (900, 1), (48, 48), (7000, 5000), (9000, 40)]
)
def test_pictures_of_any_photo_fit_the_page(width: int, height: int) -> None:
    image = Image.new("RGB", (min(width, 2500), min(height, 2500)), (130, 130, 130))
    probability = np.array([[0.9, 0.1], [0.3, 0.6]], np.float32)
    overlay, original = draw_pictures(
        found(probability, width, height), image, Settings(0.5, None, 0.3)
    )
    assert overlay.size == original.size
    assert 480 <= overlay.width <= MAX_SIDE
    assert overlay.height <= MAX_SIDE + 100


def test_every_region_of_many_is_outlined() -> None:
    probability = np.zeros((60, 80), np.float32)
    probability[::6, ::6] = 0.9
    image = Image.new("RGB", (1600, 1200), (130, 130, 130))
    inspection = found(probability, 1600, 1200)
    overlay = np.asarray(draw_pictures(inspection, image, SETTINGS).overlay)
    for region in inspection.regions.found:
        inside = overlay[region.top : region.bottom, region.left : region.right]
        assert (inside == SURE_COLOUR).all(axis=2).any()


@pytest.mark.parametrize(
    ("longest", "length"), [(1, 1), (1.99, 1), (2, 2), (4.9, 2), (5, 5), (9.9, 5), (0.03, 0.02)]
)
def test_scale_bars_have_round_lengths(longest: float, length: float) -> None:
    assert scale_bar_length(longest) == pytest.approx(length)


def test_the_scale_bar_is_as_long_as_it_says() -> None:
    photo = Image.new("RGB", (1000, 500), (130, 130, 130))
    for mm_per_px, length in ((None, 200), (0.5, 200), (0.3, 50 / 0.3)):
        settings = Settings(0.5, None, mm_per_px)
        nothing = found(np.zeros((5, 5), np.float32), 1000, 500)
        legend = np.asarray(draw_pictures(nothing, photo, settings).original)[500:]
        dark = (legend.max(axis=2) < 60)[:, 992::-1]  # from the right end of the bar to the left
        assert dark.argmin(axis=1).max() == pytest.approx(length, abs=3)
