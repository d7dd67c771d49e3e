"""Locate cracks in a photo: from scores of overlapping patches to cells and regions.

A patch's score says whether it contains a crack, not where. Patches overlap, so each small square
of the photo, a cell, lies in many of them, and its probability is the mean of theirs. For a cell on
a crack, all these patches contain the crack; the further away a cell is, the fewer do. A region is
therefore about as wide as a patch, whatever the width of the crack.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from surface_crack.scoring.score_map import ScoreMap


@dataclass(frozen=True)
class Cells:
    """Grid of cells over a photo; those at its right and lower edge may be smaller."""

    probability: NDArray[np.float32]  # (rows, columns), mean over the patches around
    ys: NDArray[np.float64]  # (rows + 1,) edges of the cells, photo pixels, 0 to height
    xs: NDArray[np.float64]  # (columns + 1,)

    @property
    def areas(self) -> NDArray[np.float64]:
        """(rows, columns), photo pixels."""
        return np.diff(self.ys)[:, None] * np.diff(self.xs)


class Region(NamedTuple):
    """Flagged cells that touch at an edge or a corner."""

    number: int  # from 1, most certain first; as drawn in the overlay
    sure: bool  # its peak is not below the upper end of `unsure_range`
    left: int  # bounding box, photo pixels
    top: int
    right: int
    bottom: int
    area: float  # total area of its cells, photo pixels
    peak: float  # highest probability of its cells
    mean: float  # mean probability of its cells


class Regions(NamedTuple):
    found: list[Region]
    labels: NDArray[np.int32]  # (rows, columns): number of each cell's region, 0 for none


def unsure_range(threshold: float) -> tuple[float, float]:
    """Limits of the unsure range: half-way from the threshold to 0 and to 1."""
    return threshold / 2, (1 + threshold) / 2


def cells(scores: ScoreMap, height: int, width: int) -> Cells:
    """Average the patches' scores over the cells of a photo of this height and width."""
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
    """Mean probability of several grids over one photo, in the cells of the last, finest one."""
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
    """(edges of n cells (n + 1,), first patch over each (n,), index after the last (n,))."""
    step = starts[1] - starts[0] if len(starts) > 1 else patch
    inner = np.arange(starts[0], length - 0.5, step)
    edges = np.concatenate([[0], inner[inner >= 0.5], [length]])
    middles = (edges[1:] + edges[:-1]) / 2
    first = np.searchsorted(starts + patch, middles, "right")
    end = np.searchsorted(starts, middles, "right")
    assert (first < end).all(), "part of the photo is covered by no patch"
    return edges, first, end


def find_regions(cells: Cells, threshold: float) -> Regions:
    """Find the connected regions of a photo.

    Regions at or above the threshold are sure if their peak reaches the upper end of
    `unsure_range`. Regions between its lower end and the threshold that touch none of these are
    added as unsure ones. Sorted by sure, peak and area.
    """
    low, high = unsure_range(threshold)
    flagged, count = label_components(cells.probability >= threshold)
    faint, more = label_components(cells.probability >= low)
    alone = np.ones(more + 1, bool)
    alone[faint[flagged > 0]] = False
    labels = np.where(alone[faint] & (faint > 0), faint + count, flagged)
    _, labels = np.unique(
        np.append(labels, 0), return_inverse=True
    )  # renumber without gaps; 0 stays 0
    labels = labels[:-1].reshape(flagged.shape)
    found = _measure(cells, labels, high)
    order = sorted(found, key=lambda r: (not r.sure, -r.peak, -r.area, r.top, r.left))
    new_number = np.zeros(len(found) + 1, np.int32)
    new_number[[region.number for region in order]] = np.arange(1, len(found) + 1)
    renumbered = [region._replace(number=place) for place, region in enumerate(order, 1)]
    return Regions(renumbered, new_number[labels])


def _measure(cells: Cells, labels: NDArray[np.int64], high: float) -> list[Region]:
    """Measure the regions 1, 2, ... of labels (rows, columns), in that order."""
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
            *(int(np.ceil(edges[at + 1])) for edges, at in _last_edges(cells, last[:, number])),
            *(float(x[number]) for x in (area, peak, mean)),
        )
        for number in range(1, count)
    ]


def _last_edges(
    cells: Cells, last: NDArray[np.int64]
) -> tuple[tuple[NDArray[np.float64], int], tuple[NDArray[np.float64], int]]:
    return (cells.xs, int(last[1])), (cells.ys, int(last[0]))


def label_components(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Label the 8-connected components of a mask (rows, columns): (labels from 1, their number).

    Each run of a row is merged with the runs that it touches in the row below: Rosenfeld & Pfaltz
    1966, https://doi.org/10.1145/321356.321357. Numbered in the order of their first cells. Written
    here because SciPy, which has the same function, would nearly double the size of the small
    install.
    """
    rows, columns = mask.shape
    wide = columns + 2  # a gap at each end keeps runs out of the next row
    padded = np.zeros((rows, wide), np.int8)
    padded[:, 1:-1] = mask
    steps = np.diff(padded.ravel())
    starts, ends = np.flatnonzero(steps == 1) + 1, np.flatnonzero(steps == -1) + 1
    first = np.searchsorted(ends, starts + wide)  # runs below that end after the start ...
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
