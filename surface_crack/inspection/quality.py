"""What keeps a photo from being called clean: too dark, too bright, no detail, too small, unlike,
or of a range of values that is not known.

A network answers whatever it is shown. These measures are simple and err towards silence: of 600
METU photos at most 1 % are flagged, of 600 from SDNET2018 3 % (docs/decisions.md has the numbers).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

DARK = 50  # grey levels: darker if 95 % of the pixels are below
BRIGHT = 250  # overexposed if half of them are above
DETAIL = 2.0  # grey levels: spread of the Laplacian below which nothing fine is to be seen
MIRRORED = 0.75  # of a patch: of a photo less wide or high, the rest of it would be made up
FAR = 3.0  # stds of the training pixels, from their mean to the photo's, in any channel
SPREAD = 2.5  # times the std of the training pixels

REASONS = {
    "faint": "more than 8 bits per pixel, of which less than an eighth of the range is used: scale "
    "the photo to the full range, or state the range in the file (MaxSampleValue of TIFF, sBIT of "
    "PNG)",
    "dark": "too dark: a crack would be as dark as its surroundings",
    "bright": "overexposed: a fine crack may be washed out",
    "blurred": "no fine detail: blurred, or a surface without texture; a fine crack may be lost",
    "small": "too small: smaller than three quarters of what the model looks at",
    "unlike": "colours or contrast unlike those of the photos that the model learnt from",
}


def flags(
    pixels: NDArray[np.uint8],
    patch: int,
    mean: Sequence[float],
    std: Sequence[float],
    faint: bool = False,
) -> list[str]:
    """Keys of REASONS for a photo of uint8 (H, W, 3) as small as the network sees it.

    `patch` is the side of what it looks at, `mean` and `std` those of its training pixels, RGB;
    `faint` is what decoding found.
    """
    grey = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    channels = pixels.reshape(-1, 3).astype(np.float32)
    away = np.abs(channels.mean(axis=0) - mean) / std
    found = {
        "faint": faint,
        "dark": np.percentile(grey, 95) < DARK,
        "bright": np.median(grey) > BRIGHT,
        "blurred": detail(grey, patch) < DETAIL,
        "small": min(grey.shape) < MIRRORED * patch,
        "unlike": away.max() > FAR or (channels.std(axis=0) / std).mean() > SPREAD,
    }
    return [name for name, is_so in found.items() if is_so]


def detail(grey: NDArray[np.float32], patch: int) -> float:
    """Spread of the Laplacian, grey levels: its median over the patch-sized tiles of (H, W).

    Of tiles and not of the photo, since a single sharp edge says nothing of the rest of it. After
    Pech-Pacheco et al. 2000, https://doi.org/10.1109/ICPR.2000.903548, who take the variance.
    """
    if min(grey.shape) < 3:
        return 0.0
    middle = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    laplacian = 4 * middle - around
    tiles = [
        laplacian[top : top + patch, left : left + patch].std()
        for top in range(0, laplacian.shape[0], patch)
        for left in range(0, laplacian.shape[1], patch)
    ]
    return float(np.median(tiles))
