"""Flag photos that are unfit for inspection.

A network gives an answer for any picture. These simple measures detect photos, or parts of them,
that are too dark, overexposed, blurred, too small, unlike the training photos, or of unknown pixel
range. docs/decisions.md lists the share of real photos that each of them flags.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DARK_BELOW = 50  # grey level: dark if 95 % of the pixels are below
BRIGHT_ABOVE = 250  # grey level: overexposed if the median is above
MIN_DETAIL = 2.0  # grey levels: least std of the Laplacian in a photo with fine detail
MIN_SIDE = 0.75  # of a patch: in a smaller photo, too much of it would be mirrored
MAX_MEAN_SHIFT = 3.0  # between mean colours, in stds of the training pixels, in any channel
MAX_STD_RATIO = 2.5  # ratio of the photo's std to that of the training pixels
MAX_CAST = 40  # grey levels: shift of red - green or green - blue from the training pixels
MAX_COLOUR_SPREAD = 12  # grey levels: std of these differences; higher in grass than on surfaces
MAX_FLAT_SHARE = (
    0.5  # share of pixels equal to their surroundings; lower in photos, which have noise
)
FLAT_BELOW = 0.01  # grey levels: tolerance for equal pixels
SUBSAMPLE = 4  # every n-th pixel and row is used to measure light and colour

GREY = np.array([0.299, 0.587, 0.114], np.float32)
REASONS = {
    "faint": "its values use less than an eighth of their range of more than 8 bits: scale the "
    "photo to the full range, or state the range in the file (MaxSampleValue in TIFF, sBIT in PNG)",
    "dark": "too dark: a crack would not stand out from its surroundings",
    "bright": "overexposed: fine cracks may be washed out",
    "blurred": "no fine detail: blurred, or a surface without texture; fine cracks may be lost",
    "small": "too small: its shorter side is less than three quarters of a patch",
    "unlike": "colours or contrast differ from those of the training photos, or it does not show a "
    "surface",
    "scales": "a clear crack at one scale that the other scales do not confirm: set --patch-px to "
    "the number of pixels in this photo that show as much as one training photo",
}


@dataclass(frozen=True)
class PatchMeasures:
    """Measures of each patch-sized part of a photo, (rows, columns)."""

    light: NDArray[np.float64]  # 95th percentile of the grey levels
    middle: NDArray[np.float64]  # median grey level
    detail: NDArray[np.float64]  # std of the `laplacian`, grey levels
    drawn: NDArray[np.float64]  # share of pixels equal to their surroundings
    cast: NDArray[np.float64]  # (rows, columns, 2): mean of red - green, green - blue
    colours: NDArray[np.float64]  # the larger std of these two

    def usable(self, mean: Sequence[float]) -> NDArray[np.bool_]:
        """Mask of the parts that a network can judge, given its training pixels' mean, RGB."""
        off_colour = self.off_colour(mean)
        usable: NDArray[np.bool_] = np.logical_and.reduce(
            [
                self.light >= DARK_BELOW,
                self.middle <= BRIGHT_ABOVE,
                self.detail >= MIN_DETAIL,
                ~off_colour,
            ]
        )
        return usable

    def off_colour(self, mean: Sequence[float]) -> NDArray[np.bool_]:
        """Mask of the parts with unusual colours, given the training pixels' mean, RGB."""
        training_cast = differences(np.array(mean, np.float32))
        away = np.abs(self.cast - training_cast).max(axis=-1)
        # A coloured surface, such as brick, has grey joints: allow a larger spread.
        off_colour: NDArray[np.bool_] = (away > MAX_CAST) | (
            self.colours > MAX_COLOUR_SPREAD + np.abs(training_cast).max() / 2
        )
        return off_colour


def measure_patches(pixels: NDArray[np.uint8], patch: int) -> PatchMeasures:
    """Measure uint8 (H, W, 3) in parts of `patch` pixels a side; the last may be smaller."""
    height, width = pixels.shape[:2]
    tops = [*range(0, max(1, height - patch // 2), patch)]
    lefts = [*range(0, max(1, width - patch // 2), patch)]
    found = [[_measure(pixels[y : y + patch, x : x + patch]) for x in lefts] for y in tops]
    measures = np.array(found)  # (rows, columns, 7)
    light, middle, detail, drawn = np.moveaxis(measures[..., :4], -1, 0)
    return PatchMeasures(light, middle, detail, drawn, measures[..., 4:6], measures[..., 6])


def _measure(part: NDArray[np.uint8]) -> tuple[float, ...]:
    """Measures of one part, in the order of PatchMeasures."""
    sampled = part[::SUBSAMPLE, ::SUBSAMPLE].astype(np.float32)
    light = sampled @ GREY
    apart = differences(sampled)
    rough = laplacian(part)
    return (
        float(np.percentile(light, 95)),
        float(np.median(light)),
        float(rough.std()) if rough.size else 0.0,
        float((np.abs(rough) < FLAT_BELOW).mean()) if rough.size else 0.0,
        *apart.mean(axis=(0, 1)).tolist(),
        float(apart.std(axis=(0, 1)).max()),
    )


def differences(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """(..., 3) RGB -> (..., 2): red - green, green - blue."""
    return pixels[..., :2] - pixels[..., 1:]


def laplacian(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Laplacian of the grey levels of uint8 (H, W, 3), in every SUBSAMPLE-th row.

    Empty below 3 pixels a side. Its std measures sharpness, after Pech-Pacheco et al. 2000,
    https://doi.org/10.1109/ICPR.2000.903548, who use the variance.
    """
    height, width = pixels.shape[:2]
    if min(height, width) < 3:
        return np.empty((0, 0), np.float32)
    rows = np.arange(1, height - 1, SUBSAMPLE)
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
    """Return the keys of REASONS that apply to uint8 (H, W, 3), at the network's scale.

    `patch` is the side of the network's input in pixels; `mean` and `std` are those of its training
    pixels, RGB. `faint` comes from decoding. `known` are the measures of these pixels, if they have
    been computed before.
    """
    parts = known or measure_patches(pixels, patch)
    sampled = pixels[::SUBSAMPLE, ::SUBSAMPLE].reshape(-1, 3).astype(np.float32)
    light = sampled @ GREY
    dark, bright = np.percentile(light, 95) < DARK_BELOW, np.median(light) > BRIGHT_ABOVE
    away = np.abs(sampled.mean(axis=0) - mean) / std
    other = away.max() > MAX_MEAN_SHIFT or (sampled.std(axis=0) / std).mean() > MAX_STD_RATIO
    found = {
        "faint": faint,
        "dark": dark,
        "bright": bright,
        "blurred": np.median(parts.detail) < MIN_DETAIL,
        "small": min(pixels.shape[:2]) < MIN_SIDE * patch,
        "unlike": (other and not dark and not bright)  # those flags explain it
        or parts.off_colour(mean).mean() > 0.5
        or np.median(parts.drawn) > MAX_FLAT_SHARE,
    }
    return [name for name, is_so in found.items() if is_so]
