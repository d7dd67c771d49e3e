"""What makes a photo, or a part of it, unfit to be called anything: too dark, too bright, without
detail, too small, no surface of the kind that was learnt, or of a range that is not known.

A network answers whatever it is shown. These measures are simple and err towards silence:
docs/decisions.md has the shares of real photos that they flag.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DARK = 50  # grey levels: darker if 95 % of the pixels are below
BRIGHT = 250  # overexposed if half of them are above
DETAIL = 2.0  # grey levels: spread of the Laplacian below which nothing fine is to be seen
MIRRORED = 0.75  # of a patch: of a photo less wide or high, the rest of it would be made up
FAR = 3.0  # stds of the training pixels, from their mean to the photo's, in any channel
SPREAD = 2.5  # times the std of the training pixels
CAST = 40  # grey levels between red and green, or green and blue, more than those learnt from had
COLOURS = 12  # grey levels, spread of these differences: surfaces have one colour, lawns many
DRAWN = 0.5  # share of pixels that are exactly like what is around: photos have noise
ALIKE = 0.01  # grey levels: rounding
EVERY = 4  # pixel and row that is looked at: light and colour need no more

GREY = np.array([0.299, 0.587, 0.114], np.float32)
REASONS = {
    "faint": "more than 8 bits per pixel, of which less than an eighth of the range is used: scale "
    "the photo to the full range, or state the range in the file (MaxSampleValue of TIFF, sBIT of "
    "PNG)",
    "dark": "too dark: a crack would be as dark as its surroundings",
    "bright": "overexposed: a fine crack may be washed out",
    "blurred": "no fine detail: blurred, or a surface without texture; a fine crack may be lost",
    "small": "too small: smaller than three quarters of what the model looks at",
    "unlike": "colours or contrast unlike those of the photos that the model learnt from, or no "
    "photo of a surface",
    "scales": "a clear crack on one scale that others do not show: say by --patch-px how many of "
    "its pixels show as much as a training photo does",
}


@dataclass(frozen=True)
class PatchMeasures:
    """Measures of each part of a photo as large as a patch, (rows, columns)."""

    light: NDArray[np.float64]  # grey level below which 95 % of the pixels are
    middle: NDArray[np.float64]  # median grey level
    detail: NDArray[np.float64]  # spread of the `laplacian`, grey levels
    drawn: NDArray[np.float64]  # share of pixels exactly like what is around
    cast: NDArray[np.float64]  # (rows, columns, 2): mean of red - green, green - blue
    colours: NDArray[np.float64]  # the larger spread of these

    def fit(self, mean: Sequence[float]) -> NDArray[np.bool_]:
        """Where a network that learnt from pixels of this mean, RGB, can be asked."""
        strange = self.strange(mean)
        fit: NDArray[np.bool_] = np.logical_and.reduce(
            [self.light >= DARK, self.middle <= BRIGHT, self.detail >= DETAIL, ~strange]
        )
        return fit

    def strange(self, mean: Sequence[float]) -> NDArray[np.bool_]:
        """Where colours are not those of a surface like the ones of this mean, RGB."""
        learnt = differences(np.array(mean, np.float32))
        away = np.abs(self.cast - learnt).max(axis=-1)
        # A red surface has grey joints: its colours may differ more.
        strange: NDArray[np.bool_] = (away > CAST) | (
            self.colours > COLOURS + np.abs(learnt).max() / 2
        )
        return strange


def measure_patches(pixels: NDArray[np.uint8], patch: int) -> PatchMeasures:
    """Of uint8 (H, W, 3), in parts of `patch` pixels a side; the last ones may be smaller."""
    height, width = pixels.shape[:2]
    tops = [*range(0, max(1, height - patch // 2), patch)]
    lefts = [*range(0, max(1, width - patch // 2), patch)]
    found = [[_measured(pixels[y : y + patch, x : x + patch]) for x in lefts] for y in tops]
    measures = np.array(found)  # (rows, columns, 7)
    light, middle, detail, drawn = np.moveaxis(measures[..., :4], -1, 0)
    return PatchMeasures(light, middle, detail, drawn, measures[..., 4:6], measures[..., 6])


def _measured(part: NDArray[np.uint8]) -> tuple[float, ...]:
    """In the order of Survey."""
    few = part[::EVERY, ::EVERY].astype(np.float32)
    light = few @ GREY
    apart = differences(few)
    rough = laplacian(part)
    return (
        float(np.percentile(light, 95)),
        float(np.median(light)),
        float(rough.std()) if rough.size else 0.0,
        float((np.abs(rough) < ALIKE).mean()) if rough.size else 0.0,
        *apart.mean(axis=(0, 1)).tolist(),
        float(apart.std(axis=(0, 1)).max()),
    )


def differences(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """(..., 3) RGB -> (..., 2): red - green, green - blue."""
    return pixels[..., :2] - pixels[..., 1:]


def laplacian(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Of the grey levels of uint8 (H, W, 3), in every EVERY-th row; empty below 3 pixels a side.

    Its spread tells detail: after Pech-Pacheco et al. 2000,
    https://doi.org/10.1109/ICPR.2000.903548, who take the variance.
    """
    height, width = pixels.shape[:2]
    if min(height, width) < 3:
        return np.empty((0, 0), np.float32)
    rows = np.arange(1, height - 1, EVERY)
    above, at, below = (pixels[rows + step].astype(np.float32) @ GREY for step in (-1, 0, 1))
    around = above[:, 1:-1] + below[:, 1:-1] + at[:, :-2] + at[:, 2:]
    found: NDArray[np.float32] = 4 * at[:, 1:-1] - around
    return found


def flags(
    pixels: NDArray[np.uint8],
    patch: int,
    mean: Sequence[float],
    std: Sequence[float],
    faint: bool = False,
    known: PatchMeasures | None = None,
) -> list[str]:
    """Keys of REASONS for a photo of uint8 (H, W, 3) as small as the network sees it.

    `patch` is the side of what it looks at, `mean` and `std` those of its training pixels, RGB;
    `faint` is what decoding found, `known` the `survey` of these pixels if it has been made.
    """
    parts = known or measure_patches(pixels, patch)
    few = pixels[::EVERY, ::EVERY].reshape(-1, 3).astype(np.float32)
    light = few @ GREY
    dark, bright = np.percentile(light, 95) < DARK, np.median(light) > BRIGHT
    away = np.abs(few.mean(axis=0) - mean) / std
    other = away.max() > FAR or (few.std(axis=0) / std).mean() > SPREAD
    found = {
        "faint": faint,
        "dark": dark,
        "bright": bright,
        "blurred": np.median(parts.detail) < DETAIL,
        "small": min(pixels.shape[:2]) < MIRRORED * patch,
        "unlike": (other and not dark and not bright)  # which says why
        or parts.strange(mean).mean() > 0.5
        or np.median(parts.drawn) > DRAWN,
    }
    return [name for name, is_so in found.items() if is_so]
