"""Whether a tile shows a crack, by what is known of the photo: yes, no, or better left out.

A tile whose crack only touches its rim teaches little, and is an argument in any test. So there
are two rims: a crack must reach into the inner one, and none may come near from outside.
"""

import numpy as np
from numpy.typing import NDArray

from surface_crack.cutting.outlines import Box, Marks

INNER_MARGIN = 0.1  # of a tile's side: a crack must be so far inside
OUTER_MARGIN = 0.05  # likewise outside of a tile without a crack
MIN_LENGTH = 0.5  # of a tile's side: so much of a crack it must show, lengthwise


def label_of(marks: Marks, left: int, top: int, side: int) -> int | None:
    """1: the tile shows a crack, 0: it shows none, None: it is ambiguous.

    A mask must have pixels of a crack in the inner part that stretch over LONG of the side. A box
    says less: somewhere in it is a crack, most likely from end to end of its longer side. So the
    tile must cover the box's shorter side, and LONG of a tile along the other, or all of the box.
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
