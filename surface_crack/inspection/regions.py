"""Where in a photo the cracks are: from scores of overlapping patches to cells and regions.

A patch's score says that somewhere in it there is a crack, not where. Patches overlap, so each
small square of the photo, a cell, is seen by many. Its probability is the mean of theirs: a cell on
a crack has the crack in all of its patches, a cell beside it in fewer the further away it is.
What is left is as wide as a patch, whatever the crack: nothing here measures a crack's width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from surface_crack.scoring.score_map import ScoreMap


@dataclass(frozen=True)
class Cells:
    """The photo as a grid. Cells at the right and lower edge may be smaller than the others."""

    probability: NDArray[np.float32]  # (rows, columns), of a crack in the patches around
    ys: NDArray[np.float64]  # (rows + 1,) where cells begin and end, photo pixels, 0 to height
    xs: NDArray[np.float64]  # (columns + 1,)

    @property
    def areas(self) -> NDArray[np.float64]:
        """(rows, columns), photo pixels."""
        return np.diff(self.ys)[:, None] * np.diff(self.xs)


class Region(NamedTuple):
    """Cells that touch, at an edge or a corner, and how likely their patches hold a crack."""

    number: int  # from 1, the surest first; as in the overlay
    sure: bool  # its peak is further from the threshold than `doubt` reaches
    left: int  # the smallest upright box around it, photo pixels
    top: int
    right: int
    bottom: int
    area: float  # of its cells, photo pixels
    peak: float  # highest and mean probability of its cells
    mean: float


class Regions(NamedTuple):
    found: list[Region]
    labels: NDArray[np.int32]  # (rows, columns): each cell's region, 0 for none


def unsure_range(threshold: float) -> tuple[float, float]:
    """The probabilities between which a call is unsure: half-way from the threshold to 0 and 1."""
    return threshold / 2, (1 + threshold) / 2


def cells(scores: ScoreMap, height: int, width: int) -> Cells:
    """The patches' scores, shared out to the cells of a photo of so many pixels."""
    ys, top, bottom = _cell_edges(scores.tops, scores.patch, height)
    xs, left, right = _cell_edges(scores.lefts, scores.patch, width)
    sums = np.zeros((len(scores.tops) + 1, len(scores.lefts) + 1))
    sums[1:, 1:] = scores.probability.cumsum(0, dtype=np.float64).cumsum(1)
    total = (
        sums[bottom][:, right] - sums[top][:, right] - sums[bottom][:, left] + sums[top][:, left]
    )
    mean = total / ((bottom - top)[:, None] * (right - left))
    return Cells(np.clip(mean, 0, 1).astype(np.float32), ys, xs)


def mean_over_scales(grids: Sequence[Cells]) -> Cells:
    """The mean probability of grids over one photo, in the cells of the last, the finest."""
    finest = grids[-1]
    middles = [(edges[1:] + edges[:-1]) / 2 for edges in (finest.ys, finest.xs)]
    total = finest.probability.astype(np.float64)
    for grid in grids[:-1]:
        rows, columns = (
            np.searchsorted(edges, at, "right") - 1
            for edges, at in zip((grid.ys, grid.xs), middles, strict=True)
        )
        total = total + grid.probability[np.ix_(rows, columns)]
    return Cells((total / len(grids)).astype(np.float32), finest.ys, finest.xs)


def _cell_edges(
    starts: NDArray[np.float64], patch: float, length: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """(edges of n cells (n + 1,), first patch over each (n,), the one after the last (n,))."""
    step = starts[1] - starts[0] if len(starts) > 1 else patch
    inner = np.arange(starts[0], length - 0.5, step)
    edges = np.concatenate([[0], inner[inner >= 0.5], [length]])
    middles = (edges[1:] + edges[:-1]) / 2
    first = np.searchsorted(starts + patch, middles, "right")
    end = np.searchsorted(starts, middles, "right")
    assert (first < end).all(), "a part of the photo that no patch covers"
    return edges, first, end


def find_regions(cells: Cells, threshold: float) -> Regions:
    """What reaches the threshold, and what nearly does and touches nothing that does.

    The first kind is sure if its peak is clear of `doubt`, the second never is. Sorted by sure,
    peak and area.
    """
    low, high = unsure_range(threshold)
    flagged, count = label_components(cells.probability >= threshold)
    faint, more = label_components(cells.probability >= low)
    alone = np.ones(more + 1, bool)
    alone[faint[flagged > 0]] = False
    labels = np.where(alone[faint] & (faint > 0), faint + count, flagged)
    _, labels = np.unique(np.append(labels, 0), return_inverse=True)  # without gaps; 0 stays
    labels = labels[:-1].reshape(flagged.shape)
    found = _measured(cells, labels, high)
    order = sorted(found, key=lambda r: (not r.sure, -r.peak, -r.area, r.top, r.left))
    renamed = np.zeros(len(found) + 1, np.int32)
    renamed[[region.number for region in order]] = np.arange(1, len(found) + 1)
    sorted_ = [region._replace(number=place) for place, region in enumerate(order, 1)]
    return Regions(sorted_, renamed[labels])


def _measured(cells: Cells, labels: NDArray[np.int64], high: float) -> list[Region]:
    """The regions 1, 2, ... of labels (rows, columns), in that order."""
    rows, columns = np.nonzero(labels)
    label = labels[rows, columns]
    count = int(label.max(initial=0)) + 1
    probability = cells.probability[rows, columns].astype(np.float64)
    area = np.bincount(label, cells.areas[rows, columns], count)
    mean = np.bincount(label, probability, count) / np.maximum(np.bincount(label, None, count), 1)
    peak = np.zeros(count)
    np.maximum.at(peak, label, probability)
    first = np.full((2, count), max(labels.shape))
    last = np.zeros((2, count), np.int64)
    for axis, place in enumerate((rows, columns)):
        np.minimum.at(first[axis], label, place)
        np.maximum.at(last[axis], label, place)
    return [
        Region(
            *(number, bool(peak[number] >= high)),
            *(int(cells.xs[first[1, number]]), int(cells.ys[first[0, number]])),
            *(int(np.ceil(edges[at + 1])) for edges, at in _ends(cells, last[:, number])),
            *(float(x[number]) for x in (area, peak, mean)),
        )
        for number in range(1, count)
    ]


def _ends(
    cells: Cells, last: NDArray[np.int64]
) -> tuple[tuple[NDArray[np.float64], int], tuple[NDArray[np.float64], int]]:
    return (cells.xs, int(last[1])), (cells.ys, int(last[0]))


def label_components(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Connected parts of a mask (rows, columns), corners count: (labels from 1, how many).

    Runs of a row are joined with those that they touch in the row below: Rosenfeld & Pfaltz 1966,
    https://doi.org/10.1145/321356.321357. Numbered in the order of their first cells.
    """
    rows, columns = mask.shape
    wide = columns + 2  # a gap at each end, so that no run reaches into the next row
    padded = np.zeros((rows, wide), np.int8)
    padded[:, 1:-1] = mask
    steps = np.diff(padded.ravel())
    starts, ends = np.flatnonzero(steps == 1) + 1, np.flatnonzero(steps == -1) + 1
    first = np.searchsorted(ends, starts + wide)  # runs below that end behind the start ...
    beyond = np.searchsorted(starts, ends + wide, "right")  # ... and start before the end
    parent = list(range(len(starts)))

    def root(run: int) -> int:
        while parent[run] != run:
            parent[run] = run = parent[parent[run]]
        return run

    for run, (lower, upper) in enumerate(zip(first.tolist(), beyond.tolist(), strict=True)):
        for below in range(lower, upper):
            one, other = sorted((root(run), root(below)))
            parent[other] = one
    roots = np.array([root(run) for run in range(len(starts))], np.int64)
    names, number = np.unique(roots, return_inverse=True)
    changes = np.zeros(rows * wide + 1, np.int32)
    changes[starts] = number + 1
    changes[ends] -= number.astype(np.int32) + 1
    labels = changes[:-1].cumsum(dtype=np.int32).reshape(rows, wide)[:, 1:-1]
    return labels, len(names)
