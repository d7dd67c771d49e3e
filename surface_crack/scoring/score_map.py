"""Score all patches of a whole photo.

The photo is resized once, by the same filter as the training photos, so that a patch has the size
of the network's input. It is mirrored beyond its right and bottom edge as far as needed, so that
every pixel lies in a patch.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from surface_crack.photos.decode import FILTER, eighths
from surface_crack.scoring.scorer import Scorer


@dataclass(frozen=True)
class ScoreMap:
    """P(crack) of the square patches of a photo; patch (i, j) starts at (tops[i], lefts[j])."""

    probability: NDArray[np.float32]  # (rows, columns), calibrated
    tops: NDArray[np.float64]  # (rows,) photo pixels
    lefts: NDArray[np.float64]  # (columns,)
    patch: float  # side of a patch, photo pixels; the last patches may extend past the edge


def score_photo(
    scorer: Scorer,
    photo: NDArray[np.uint8] | Image.Image,
    patch_px: float | None = None,
    size: tuple[int, int] | None = None,
) -> ScoreMap:
    """Score an upright RGB photo, uint8 (H, W, 3) or a Pillow image.

    `patch_px` is the side of a patch in pixels of the photo; None means the size of the training
    photos. `size` is the (width, height) of the original if `photo` was downscaled in decoding;
    `patch_px` and the result are in pixels of the original.
    """
    image = photo if isinstance(photo, Image.Image) else Image.fromarray(photo)
    scale = scale_of(scorer, patch_px)
    return score_pixels(scorer, scaled(image, scale, size or image.size), scale)


def score_pixels(scorer: Scorer, pixels: NDArray[np.uint8], scale: float) -> ScoreMap:
    """Score a photo that has been resized by `scaled`."""
    probability = scorer.score(pad_mirrored(pixels, scorer.patch, scorer.step))
    tops, lefts = (np.arange(count) * scorer.step / scale for count in probability.shape)
    return ScoreMap(probability, tops, lefts, scorer.patch / scale)


def scale_of(scorer: Scorer, patch_px: float | None = None) -> float:
    """Factor from photo pixels to model pixels, as `decode_photo` needs it."""
    return scorer.patch / (patch_px or scorer.photo_side)


def scaled(image: Image.Image, scale: float, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize an RGB image to uint8 (H, W, 3), each side `scale` times that in `size`, rounded up.

    The scale is exact, so that a patch looks the same at any position. A remainder of less than a
    pixel at the right or bottom edge is extended to a whole pixel by its neighbours.
    """
    done = eighths(image.size, size)  # scale already applied in decoding
    for axis in (0, 1):  # columns, then rows, as Pillow itself does
        image = _resize_axis(image, axis, scale / done, size[axis] * done)
    return np.asarray(image)


def _resize_axis(image: Image.Image, axis: int, scale: float, side: float) -> Image.Image:
    """Resize one axis (0: columns, 1: rows) of an image, of which `side` pixels are the photo's."""
    count = int(side * scale + 1e-6)
    if not count:
        return _resize_span(image, axis, 1, 0, side)
    body = _resize_span(image, axis, count, 0, min(count / scale, side))
    if side * scale - count < 1e-6:
        return body
    return _side_by_side(body, _resize_span(image, axis, 1, max(side - 1 / scale, 0), side), axis)


def _resize_span(
    image: Image.Image, axis: int, count: int, start: float, end: float
) -> Image.Image:
    """Resize the span from `start` to `end` to `count` columns (axis 0) or rows (axis 1)."""
    width, height = image.size
    if axis == 0:
        return image.resize((count, height), FILTER, (start, 0, end, height))
    return image.resize((width, count), FILTER, (0, start, width, end))


def _side_by_side(body: Image.Image, rest: Image.Image, axis: int) -> Image.Image:
    """Join two images side by side (axis 0) or one above the other (axis 1)."""
    width, height = body.size
    place = (width, 0) if axis == 0 else (0, height)
    both = Image.new("RGB", (place[0] + rest.width, place[1] + rest.height))
    both.paste(body)
    both.paste(rest, place)
    return both


def pad_mirrored(pixels: NDArray[np.uint8], patch: int, step: int) -> NDArray[np.uint8]:
    """Mirror (H, W, 3) to the right and below until patches at each `step` cover all pixels."""
    more = [(0, max(patch - side, (patch - side) % step)) for side in pixels.shape[:2]]
    return np.pad(pixels, (*more, (0, 0)), mode="symmetric")
