"""Every part of a whole photo, scored: where in it, and how likely, there is a crack.

The photo is made small once, by the same filter as the photos that the network learnt from, until
a patch has the size that the network sees. Where patches do not fill the photo evenly, it is
mirrored beyond its right and bottom edge, so that each pixel lies in a patch.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from surface_crack.photos.decode import FILTER, eighths
from surface_crack.scoring.scorer import Scorer


@dataclass(frozen=True)
class ScoreMap:
    """P(crack) of the square patches of a photo; one patch begins at (tops[i], lefts[j])."""

    probability: NDArray[np.float32]  # (rows, columns), calibrated
    tops: NDArray[np.float64]  # (rows,) photo pixels
    lefts: NDArray[np.float64]  # (columns,)
    patch: float  # side of a patch, photo pixels; the last ones may reach past the edge


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
    scale = scale_of(scorer, patch_px)
    return score_pixels(scorer, scaled(image, scale, size or image.size), scale)


def score_pixels(scorer: Scorer, pixels: NDArray[np.uint8], scale: float) -> ScoreMap:
    """The same for a photo that has been `scaled` already."""
    probability = scorer.score(pad_mirrored(pixels, scorer.patch, scorer.step))
    tops, lefts = (np.arange(count) * scorer.step / scale for count in probability.shape)
    return ScoreMap(probability, tops, lefts, scorer.patch / scale)


def scale_of(scorer: Scorer, patch_px: float | None = None) -> float:
    """How much smaller than a photo the pixels are that the network sees of it: for `whole`."""
    return scorer.patch / (patch_px or scorer.photo_side)


def scaled(image: Image.Image, scale: float, size: tuple[int, int]) -> NDArray[np.uint8]:
    """An RGB image -> uint8 (H, W, 3), each side `scale` as long as in `size`, rounded up.

    The scale is kept exactly, so that a patch looks the same wherever it lies. What is left over
    at the far edges, less than a pixel, is widened to a whole one by what lies before it.
    """
    done = eighths(image.size, size)  # in decoding
    for axis in (0, 1):  # columns, then rows, as Pillow itself does
        image = _resize_axis(image, axis, scale / done, size[axis] * done)
    return np.asarray(image)


def _resize_axis(image: Image.Image, axis: int, scale: float, side: float) -> Image.Image:
    """One axis of an image, of which `side` pixels are the photo's."""
    count = int(side * scale + 1e-6)
    if not count:
        return _part(image, axis, 1, 0, side)
    body = _part(image, axis, count, 0, min(count / scale, side))
    if side * scale - count < 1e-6:
        return body
    return _side_by_side(body, _part(image, axis, 1, max(side - 1 / scale, 0), side), axis)


def _part(image: Image.Image, axis: int, count: int, start: float, end: float) -> Image.Image:
    """`count` columns (axis 0) or rows (axis 1) of what lies between `start` and `end`."""
    width, height = image.size
    if axis == 0:
        return image.resize((count, height), FILTER, (start, 0, end, height))
    return image.resize((width, count), FILTER, (0, start, width, end))


def _side_by_side(body: Image.Image, rest: Image.Image, axis: int) -> Image.Image:
    """Side by side (axis 0) or one above the other."""
    width, height = body.size
    place = (width, 0) if axis == 0 else (0, height)
    both = Image.new("RGB", (place[0] + rest.width, place[1] + rest.height))
    both.paste(body)
    both.paste(rest, place)
    return both


def pad_mirrored(pixels: NDArray[np.uint8], patch: int, step: int) -> NDArray[np.uint8]:
    """(H, W, 3), continued to the right and below until patches at each `step` fill it."""
    more = [(0, max(patch - side, (patch - side) % step)) for side in pixels.shape[:2]]
    return np.pad(pixels, (*more, (0, 0)), mode="symmetric")
