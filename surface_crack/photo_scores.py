"""Every part of a whole photo, scored: where in it, and how likely, there is a crack.

The photo is made small once, by the same filter as the photos that the network learnt from, until
a patch has the size that the network sees. Where patches do not fill the photo evenly, it is
mirrored beyond its right and bottom edge, so that each pixel lies in a patch.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from surface_crack.decode import FILTER
from surface_crack.scorer import Scorer


@dataclass(frozen=True)
class ScoreMap:
    """P(crack) of the square patches of a photo; one patch begins at (tops[i], lefts[j])."""

    probability: NDArray[np.float32]  # (rows, columns), calibrated
    tops: NDArray[np.float64]  # (rows,) photo pixels
    lefts: NDArray[np.float64]  # (columns,)
    patch: float  # side of a patch, photo pixels; the last ones may reach past the edge

    def at(self, tops: NDArray[np.float64], lefts: NDArray[np.float64]) -> NDArray[np.float32]:
        """P(crack) (n, m) of the patches that begin nearest to tops (n,) x lefts (m,).

        With the corners of a grid of tiles, P(crack) of each tile.
        """
        rows, columns = _nearest(self.tops, tops), _nearest(self.lefts, lefts)
        return self.probability[np.ix_(rows, columns)]


def score_photo(
    scorer: Scorer,
    photo: NDArray[np.uint8] | Image.Image,
    patch_px: float | None = None,
    size: tuple[int, int] | None = None,
) -> ScoreMap:
    """Score all of an upright RGB photo, uint8 (H, W, 3) or a Pillow image.

    `patch_px` is the side of a patch in the photo's pixels; None: as large as the photos that the
    model learnt from. `size` (width, height) is that of the original where `photo` has been made
    smaller in decoding: all pixels given and returned are the original's.
    """
    image = photo if isinstance(photo, Image.Image) else Image.fromarray(photo)
    width, height = size or image.size
    seen = [max(1, round(side * scale_of(scorer, patch_px))) for side in (width, height)]
    pixels = np.asarray(image.resize(seen, FILTER))
    probability = scorer.score(mirrored(pixels, scorer.patch, scorer.step))
    rows, columns = probability.shape
    tops = np.arange(rows) * scorer.step * height / seen[1]
    lefts = np.arange(columns) * scorer.step * width / seen[0]
    return ScoreMap(probability, tops, lefts, patch=patch_px or scorer.photo_side)


def scale_of(scorer: Scorer, patch_px: float | None = None) -> float:
    """How much smaller than a photo the pixels are that the network sees of it: for `whole`."""
    return scorer.patch / (patch_px or scorer.photo_side)


def mirrored(pixels: NDArray[np.uint8], patch: int, step: int) -> NDArray[np.uint8]:
    """(H, W, 3), continued to the right and below until patches at each `step` fill it."""
    more = [(0, max(patch - side, (patch - side) % step)) for side in pixels.shape[:2]]
    return np.pad(pixels, (*more, (0, 0)), mode="symmetric")


def _nearest(places: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.int64]:
    nearest: NDArray[np.int64] = np.argmin(np.abs(wanted[:, None] - places), axis=1)
    return nearest
