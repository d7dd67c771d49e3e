"""One photo, inspected: the steps in order, and all that is known afterwards.

from surface_crack.scorer import load_scorer
from surface_crack.inspection.photo import Settings, inspect_photo

scorer = load_scorer(Path("models/crack.onnx"))
found, image = inspect_photo(scorer, Path("deck.jpg").read_bytes(), Settings(scorer.threshold))
print(found.verdict, found.regions.found)
"""

import math
from dataclasses import dataclass

from surface_crack.decode import MAX_WHOLE, NotAPhoto, Whole, whole
from surface_crack.inspection.gps import position
from surface_crack.inspection.quality import flags
from surface_crack.inspection.regions import Cells, Regions, cells, find_regions
from surface_crack.photo_scores import ScoreMap, scale_of, scaled, score_pixels
from surface_crack.scorer import Scorer

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


def inspect_photo(scorer: Scorer, content: bytes, settings: Settings) -> tuple[Inspection, Whole]:
    """Bytes of an image file -> what was found, and the photo. Raises NotAPhoto."""
    photo = whole(content, scale_of(scorer, settings.patch_px))
    found = inspect_whole(scorer, photo, settings, position(content))
    return found, photo


def inspect_whole(
    scorer: Scorer,
    photo: Whole,
    settings: Settings,
    position: tuple[float, float] | None = None,
) -> Inspection:
    """The same for a photo that is decoded already. Raises NotAPhoto if --patch-px is too small."""
    scale = scale_of(scorer, settings.patch_px)
    _check_area(photo, scorer, settings)
    pixels = scaled(photo.image, scale, (photo.width, photo.height))
    scores = score_pixels(scorer, pixels, scale)
    grid = cells(scores, photo.height, photo.width)
    regions = find_regions(grid, settings.threshold)
    over = grid.probability >= settings.threshold
    reasons = flags(pixels, scorer.patch, scorer.mean, scorer.std, photo.faint)
    return Inspection(
        width=photo.width,
        height=photo.height,
        cells=grid,
        regions=regions,
        flagged=float((grid.areas * over).sum() / (photo.width * photo.height)),
        peak=float(grid.probability.max()),
        flags=reasons,
        verdict=verdict(scores, regions, reasons, settings.threshold),
        position=position,
    )


def _check_area(photo: Whole, scorer: Scorer, settings: Settings) -> None:
    """Pixels are added where a patch has fewer than the network sees of it."""
    side = settings.patch_px or scorer.photo_side
    least = math.ceil(scorer.patch * math.sqrt(photo.width * photo.height / MAX_WHOLE))
    if side < least:
        raise NotAPhoto(
            f"{photo.width} x {photo.height} pixels take a --patch-px of {least} or more, got "
            f"{side:g}"
        )


def verdict(scores: ScoreMap, regions: Regions, flags: list[str], threshold: float) -> str:
    """One of VERDICTS, for the photo as a whole.

    A flag takes no alarm back: bad photos hide cracks and do not make them. It does turn "clean"
    and "unsure" into "cannot tell". Only of a faint photo no answer counts: its pixels were read
    in a range that can hardly be theirs. A photo is clean only if not even one patch reaches the
    threshold by itself: the mean of many may hide what a single one saw.
    """
    if "faint" not in flags and any(region.sure for region in regions.found):
        return "crack"
    if flags:
        return "cannot tell"
    alarm = float(scores.probability.max()) >= threshold
    return "unsure" if regions.found or alarm else "clean"


def smallest_crack(patch: int, settings: Settings, photo_side: float) -> tuple[float, float]:
    """Widths in photo pixels: (below which no crack can be seen, from which one may be expected).

    The network sees `patch` pixels where the photo has `photo_side` (or `patch_px`). A crack as
    wide as one of its pixels darkens that pixel fully; one of half the width darkens it half as
    much, which is what grains of sand do. Nor is anything seen that is narrower than the photo's
    own pixels. So it is one model pixel, and half of one; the network's mistakes come on top.
    """
    pixel = max(1.0, (settings.patch_px or photo_side) / patch)
    return pixel / 2, pixel
