"""Inspect one photo: decode, score, check the quality, find regions, give a verdict.

from surface_crack.scoring import load_scorer
from surface_crack.inspection.photo import Settings, inspect_photo

scorer = load_scorer(Path("models/crack.onnx"))
found, image = inspect_photo(scorer, Path("deck.jpg").read_bytes(), Settings(scorer.threshold))
print(found.verdict, found.regions.found)
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from surface_crack.inspection.gps import position
from surface_crack.inspection.quality import flags, measure_patches
from surface_crack.inspection.regions import (
    Cells,
    Regions,
    cells,
    find_regions,
    mean_over_scales,
    unsure_range,
)
from surface_crack.photos.decode import MAX_PIXELS, DecodedPhoto, NotAPhoto, decode_photo
from surface_crack.scoring.score_map import scaled, score_pixels
from surface_crack.scoring.scorer import Scorer

CAMERA_PIXELS = 20_000_000  # size that a small photo is assumed to have had before it was shrunk
MAX_ENLARGEMENT = 3  # of the photo, at most, at the finest scale
VERDICTS = ("crack", "unsure", "cannot tell", "clean")  # as the report sorts them


@dataclass(frozen=True)
class Settings:
    """Settings of an inspection."""

    threshold: float  # a cell with at least this probability is flagged
    patch_px: float | None = None  # side of a patch, photo pixels; None: as in training
    mm_per_px: float | None = None  # scale of the photo, if known


@dataclass(frozen=True)
class Inspection:
    """Result for one photo, in pixel coordinates of the upright original."""

    width: int
    height: int
    cells: Cells
    regions: Regions
    flagged: float  # share of the photo's area in cells that reach the threshold
    peak: float  # highest probability of a cell
    flags: list[str]  # keys of quality.REASONS
    verdict: str  # one of VERDICTS
    position: tuple[float, float] | None  # longitude, latitude
    patch_sides: list[float]  # photo pixels, the model's own scale first


def inspect_photo(
    scorer: Scorer, content: bytes, settings: Settings
) -> tuple[Inspection, DecodedPhoto]:
    """Inspect the bytes of an image file; return the result and the photo. Raises NotAPhoto."""
    photo = decode_photo(
        content, lambda pixels: scorer.patch / patch_sides(scorer, settings, pixels)[-1]
    )
    found = inspect_decoded(scorer, photo, settings, position(content))
    return found, photo


def inspect_decoded(
    scorer: Scorer,
    photo: DecodedPhoto,
    settings: Settings,
    position: tuple[float, float] | None = None,
) -> Inspection:
    """Inspect a decoded photo. Raises NotAPhoto if --patch-px is too small."""
    _check_patch_px(photo, scorer, settings)
    size = photo.width, photo.height
    sides = patch_sides(scorer, settings, photo.width * photo.height)
    pixels = scaled(
        photo.image, scorer.patch / sides[0], size
    )  # at the scale of the training photos
    scores = score_pixels(scorer, pixels, scorer.patch / sides[0])
    grids = [cells(scores, photo.height, photo.width)]
    for side in sides[1:]:
        scale = scorer.patch / side
        finer = score_pixels(scorer, scaled(photo.image, scale, size), scale)
        grids.append(cells(finer, photo.height, photo.width))
    grid = mean_over_scales(grids)
    regions = find_regions(grid, settings.threshold)
    over = grid.probability >= settings.threshold
    parts = measure_patches(pixels, scorer.patch)
    reasons = flags(pixels, scorer.patch, scorer.mean, scorer.std, photo.faint, parts)
    high = unsure_range(settings.threshold)[1]
    if not over.any() and max(float(one.probability.max()) for one in grids) >= high:
        reasons.append("scales")
    usable = _at_cell_centres(grid, parts.usable(scorer.mean), sides[0])
    return Inspection(
        width=photo.width,
        height=photo.height,
        cells=grid,
        regions=regions,
        flagged=float((grid.areas * over).sum() / (photo.width * photo.height)),
        peak=float(grid.probability.max()),
        flags=reasons,
        verdict=verdict_of(
            sure=any(region.sure for region in regions.found),
            sure_where_usable=bool((usable & (grid.probability >= high)).any()),
            weak_sign=bool(regions.found) or float(scores.probability.max()) >= settings.threshold,
            flags=reasons,
        ),
        position=position,
        patch_sides=sides,
    )


def patch_sides(scorer: Scorer, settings: Settings, pixels: int) -> list[float]:
    """Patch sides, in photo pixels, at which a photo of `pixels` pixels is scored.

    A photo may have been downscaled before it got here, for example by a messenger. At the scale of
    the training photos, its cracks are then too thin to be seen. So a small photo is scored as it
    is and as if each side were 2, 4, ... times as long, as long as that gives at most CAMERA_PIXELS
    pixels and enlarges the photo at most MAX_ENLARGEMENT times. All scales together take about as
    long as one full-size photo. --patch-px sets the scale, and no other is used.
    """
    sides = [settings.patch_px or scorer.photo_side]
    if settings.patch_px is None:
        while (
            pixels * 4 ** len(sides) <= CAMERA_PIXELS
            and scorer.patch <= MAX_ENLARGEMENT * sides[-1] / 2
        ):
            sides.append(sides[-1] / 2)
    return sides


def _at_cell_centres(grid: Cells, parts: NDArray[np.bool_], side: float) -> NDArray[np.bool_]:
    """Look up values of parts of `side` photo pixels at the centres of the cells."""
    rows, columns = (
        np.minimum(((edges[1:] + edges[:-1]) / 2 / side).astype(int), count - 1)
        for edges, count in zip((grid.ys, grid.xs), parts.shape, strict=True)
    )
    return parts[np.ix_(rows, columns)]


def _check_patch_px(photo: DecodedPhoto, scorer: Scorer, settings: Settings) -> None:
    """Raise NotAPhoto if the patches are so small that enlarging would exceed MAX_PIXELS."""
    side = settings.patch_px or scorer.photo_side
    least = math.ceil(scorer.patch * math.sqrt(photo.width * photo.height / MAX_PIXELS))
    if side < least:
        raise NotAPhoto(
            f"a photo of {photo.width} x {photo.height} pixels needs a --patch-px of at least "
            f"{least}, got {side:g}"
        )


def verdict_of(*, sure: bool, sure_where_usable: bool, weak_sign: bool, flags: list[str]) -> str:
    """Verdict on the whole photo, one of VERDICTS.

    `sure`: there is a sure region. `sure_where_usable`: a cell reaches the sure level in a part of
    the photo that passes the quality check. `weak_sign`: there is any region, or a single patch
    reaches the threshold, which the mean over many patches may hide.

    In a flagged photo, only parts that pass the quality check can give the verdict "crack". A photo
    flagged "unlike" or "faint" never gets it, because parts of a lawn or a face may pass that
    check.
    """
    if flags:
        counts = sure_where_usable and not {"faint", "unlike"} & set(flags)
        return "crack" if counts else "cannot tell"
    if sure:
        return "crack"
    return "unsure" if weak_sign else "clean"


def smallest_crack(patch: int, settings: Settings, photo_side: float) -> tuple[float, float]:
    """Crack widths in photo pixels: (below which none is visible, from which one can be expected).

    The network sees `patch` pixels where the photo has `photo_side` (or `patch_px`). A crack as
    wide as one of these model pixels darkens it fully; a crack of half that width darkens it by
    half, no more than grains of sand do. Anything narrower than a pixel of the photo is lost, too.
    So the limits are half a model pixel and one model pixel; the network's errors come on top.
    """
    pixel = max(1.0, (settings.patch_px or photo_side) / patch)
    return pixel / 2, pixel
