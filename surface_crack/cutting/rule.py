"""Label a tile from the annotations of its photo: positive, negative or ambiguous.

A tile whose crack only touches its border is of little use for training and disputable in a test.
So a positive needs a crack in its inner part, and a negative none in the tile or close to it; all
other tiles are ambiguous.
"""

import numpy as np
from numpy.typing import NDArray

from surface_crack.cutting.outlines import Box, Marks

INNER_MARGIN = 0.1  # of a tile's side: border in which a crack does not count
OUTER_MARGIN = 0.05  # of a tile's side: distance of a negative tile to the nearest crack
MIN_LENGTH = 0.5  # of a tile's side: length of crack that a positive tile must show


def label_of(marks: Marks, left: int, top: int, side: int) -> int | None:
    """Label a tile: 1 if it shows a crack, 0 if not, None if that is ambiguous.

    In a mask, the crack pixels in the inner part must span MIN_LENGTH of the side. A box only says
    that it contains a crack, most likely along its longer side. So the inner part must cover the
    box's shorter side completely, and along the longer one MIN_LENGTH of the tile's side, or all of
    the box.
    """
    tile = left, top, left + side, top + side
    near = _grown(tile, OUTER_MARGIN * side)
    inner = _grown(tile, -INNER_MARGIN * side)
    touched = False
    if marks.mask is not None:
        touched |= bool(_crop(marks.mask, near).any())
        rows, columns = np.nonzero(_crop(marks.mask, inner))
        if len(rows) and max(np.ptp(rows), np.ptp(columns)) + 1 >= MIN_LENGTH * side:
            return 1
    for box in marks.boxes:
        touched |= _area(_overlap(box, near)) > 0
        if _covers(inner, box, side):
            return 1
    return None if touched else 0


def _covers(inner: Box, box: Box, side: int) -> bool:
    shared = _overlap(box, inner)
    (wide, tall), (own_wide, own_tall) = _size(shared), _size(box)
    if min(wide, tall) <= 0:
        return False
    along, across = (wide, tall) if own_wide >= own_tall else (tall, wide)
    length, width = max(own_wide, own_tall), min(own_wide, own_tall)
    return across >= 0.999 * width and along >= min(MIN_LENGTH * side, 0.999 * length)


def _crop(mask: NDArray[np.bool_], box: Box) -> NDArray[np.bool_]:
    left, top, right, bottom = (max(0, round(x)) for x in box)
    return mask[top:bottom, left:right]


def _grown(box: Box, by: float) -> Box:
    return box[0] - by, box[1] - by, box[2] + by, box[3] + by


def _overlap(one: Box, other: Box) -> Box:
    left, top = max(one[0], other[0]), max(one[1], other[1])
    return left, top, min(one[2], other[2]), min(one[3], other[3])


def _size(box: Box) -> tuple[float, float]:
    return box[2] - box[0], box[3] - box[1]


def _area(box: Box) -> float:
    wide, tall = _size(box)
    return max(wide, 0) * max(tall, 0)
