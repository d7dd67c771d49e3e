"""One photo, inspected: the steps in order, and all that is known afterwards.

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

CAMERA_PIXELS = 20_000_000  # pixels: as many as a small photo is taken to have had
MAX_ENLARGEMENT = 3  # times as many pixels as a photo has, the network may see
VERDICTS = ("crack", "unsure", "cannot tell", "clean")  # as the report sorts them


@dataclass(frozen=True)
class Settings:
    """What a user chooses."""

    threshold: float  # probability from which a cell counts as cracked
    patch_px: float | None = None  # side of a patch, photo pixels; None: as in training
    mm_per_px: float | None = None  # of the photo, where it is known


@dataclass(frozen=True)
class Inspection:
    """What was found in a photo. Places are in pixels of the upright original."""

    width: int
    height: int
    cells: Cells
    regions: Regions
    flagged: float  # share of the surface in cells that reach the threshold
    peak: float  # highest probability of a cell
    flags: list[str]  # keys of quality.REASONS
    verdict: str  # one of VERDICTS
    position: tuple[float, float] | None  # longitude, latitude
    patch_sides: list[float]  # photo pixels, the model's own scale first


def inspect_photo(
    scorer: Scorer, content: bytes, settings: Settings
) -> tuple[Inspection, DecodedPhoto]:
    """Bytes of an image file -> what was found, and the photo. Raises NotAPhoto."""
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
    """The same for a photo that is decoded already. Raises NotAPhoto if --patch-px is too small."""
    _check_patch_px(photo, scorer, settings)
    size = photo.width, photo.height
    sides = patch_sides(scorer, settings, photo.width * photo.height)
    pixels = scaled(photo.image, scorer.patch / sides[0], size)  # on the model's own scale
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
    fit = _at(grid, parts.fit(scorer.mean), sides[0])
    return Inspection(
        width=photo.width,
        height=photo.height,
        cells=grid,
        regions=regions,
        flagged=float((grid.areas * over).sum() / (photo.width * photo.height)),
        peak=float(grid.probability.max()),
        flags=reasons,
        verdict=verdict(
            clear=any(region.sure for region in regions.found),
            clear_where_fit=bool((fit & (grid.probability >= high)).any()),
            hint=bool(regions.found) or float(scores.probability.max()) >= settings.threshold,
            flags=reasons,
        ),
        position=position,
        patch_sides=sides,
    )


def patch_sides(scorer: Scorer, settings: Settings, pixels: int) -> list[float]:
    """Sides of the patches that a photo of so many pixels is scored in, photo pixels.

    A photo may have been made smaller on its way here, by a messenger say, and shows no sign of it:
    on the model's own scale its cracks are then too thin to be seen. So a small photo is scored as
    it is, and as if it had 2, 4, ... times as many pixels a side: up to LARGEST, what a camera
    makes, and until the network sees ENLARGED times what there is. All of that together takes
    about as long as one photo of a camera. --patch-px is the scale itself.
    """
    sides = [settings.patch_px or scorer.photo_side]
    if settings.patch_px is None:
        while (
            pixels * 4 ** len(sides) <= CAMERA_PIXELS
            and scorer.patch <= MAX_ENLARGEMENT * sides[-1] / 2
        ):
            sides.append(sides[-1] / 2)
    return sides


def _at(grid: Cells, parts: NDArray[np.bool_], side: float) -> NDArray[np.bool_]:
    """What is known of parts of `side` photo pixels, at the cells' middles."""
    rows, columns = (
        np.minimum(((edges[1:] + edges[:-1]) / 2 / side).astype(int), count - 1)
        for edges, count in zip((grid.ys, grid.xs), parts.shape, strict=True)
    )
    return parts[np.ix_(rows, columns)]


def _check_patch_px(photo: DecodedPhoto, scorer: Scorer, settings: Settings) -> None:
    """Pixels are added where a patch has fewer than the network sees of it."""
    side = settings.patch_px or scorer.photo_side
    least = math.ceil(scorer.patch * math.sqrt(photo.width * photo.height / MAX_PIXELS))
    if side < least:
        raise NotAPhoto(
            f"{photo.width} x {photo.height} pixels take a --patch-px of {least} or more, got "
            f"{side:g}"
        )


def verdict(*, clear: bool, clear_where_fit: bool, hint: bool, flags: list[str]) -> str:
    """One of VERDICTS, for the photo as a whole.

    `clear` is a region that is surely above the threshold, `clear_where_fit` one in a part of the
    photo that is fit to be judged, `hint` anything that reaches half the threshold, or a single
    patch that reaches it: the mean of many may hide what a single one saw.

    Where light, blur or size make a photo unfit, what the network says of it counts only in a part
    that is fit. Of a photo that is no surface like those learnt from, or was read in a range that
    can hardly be its own, nothing counts: the grey parts of a lawn or a face are fit, too.
    """
    if flags:
        counts = clear_where_fit and not {"faint", "unlike"} & set(flags)
        return "crack" if counts else "cannot tell"
    if clear:
        return "crack"
    return "unsure" if hint else "clean"


def smallest_crack(patch: int, settings: Settings, photo_side: float) -> tuple[float, float]:
    """Widths in photo pixels: (below which no crack can be seen, from which one may be expected).

    The network sees `patch` pixels where the photo has `photo_side` (or `patch_px`). A crack as
    wide as one of its pixels darkens that pixel fully; one of half the width darkens it half as
    much, which is what grains of sand do. Nor is anything seen that is narrower than the photo's
    own pixels. So it is one model pixel, and half of one; the network's mistakes come on top.
    """
    pixel = max(1.0, (settings.patch_px or photo_side) / patch)
    return pixel / 2, pixel
