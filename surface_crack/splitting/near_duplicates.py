"""Find near-duplicates: the same view, possibly mirrored, rotated, cropped, brightened, re-encoded.

Three filters, each more accurate and more expensive than the one before; only the first compares
all pairs:

1. Descriptors: each photo is described by 18 numbers that mirroring and rotation by 90 degrees do
   not change, the magnitudes of its lowest cosine frequencies. The nearest neighbours of a photo
   are its candidates. Each photo is queried twice, whole and without its border, because a cropped
   version lacks the border.
2. Spectra: a candidate is kept if the spectra of both photos correlate in one of the eight
   orientations. Spectra are taken after local normalisation, so that a dark crack does not
   dominate the surface around it.
3. Alignment: the pair is aligned by least squares (Lucas and Kanade 1981, IJCAI; here the four
   edges of a window), and the gradients are compared block by block. Near-duplicates agree in all
   blocks, photos of different cracks in one at most.

bench/near_duplicates.py measures the error rate of each filter; docs/results.md has the numbers.
Threading is done here: each matrix product is small enough that BLAS does not use threads of its
own, which would compete with ours (OpenBLAS does from 262,144 multiplications).
"""

import hashlib
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from surface_crack.splitting.ties import Pair, components, equal_pairs
from surface_crack.threads import cores, in_order

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]

GRID = 32  # side of the compared images, cells; photos are read at twice that
LOWEST = 5  # frequencies per axis in the descriptor
SPECTRUM = 8  # frequencies per axis in the spectrum
BORDER = 0.03  # share of each side that the second query leaves out
NEIGHBOURS = 10  # candidates per photo and query
MAX_DISTANCE = 0.42  # of descriptors of candidates; near-duplicates have 0.3 at most
MIN_CORRELATION = 0.5  # of spectra of candidates
REACH = 0.12  # maximum distance of a window edge from the photo's edge, share of the side
BLUR = 1.5  # cells
BLOCKS = 4  # blocks per side
NOISE = 0.35  # grey levels; weaker gradients are ignored
MIN_BLOCKS = 1.5  # blocks with gradients, at least; fewer give similarity 0
MIN_SIMILARITY = 0.6  # mean correlation of the blocks' gradients of near-duplicates
CHUNK = 256  # photos of 64 pixels, or pairs of them, at a time
PAIRS = 1024  # pairs of spectra at a time
PARTS = 8  # per side, in which a photo is downscaled; divides every image_size
QUERIES = 64  # photos per nearest-neighbour query
TILE = 192  # photos compared with them in one matrix product
SAMPLE = 8  # one in so many tiles is used to bound the distance of the nearest neighbours
ROUNDING = 1e-5  # error of half a squared distance, in single precision
WHOLE = (0.0, 1.0, 0.0, 1.0)  # a window: left, right, top, bottom
INNER = (BORDER, 1 - BORDER, BORDER, 1 - BORDER)


class NearDuplicates(NamedTuple):
    """Pairs of near-duplicates, each pair once, in no particular order."""

    pairs: Indices  # (P, 2) photo numbers, the smaller first
    similarity: Floats  # (P,) mean correlation of the gradients, MIN_SIMILARITY to 1


def find_duplicates(images: NDArray[np.uint8]) -> tuple[list[Pair], NearDuplicates]:
    """Copies (equal pixels), each paired with the first one, and near-duplicates of the others."""
    copies = equal_pairs([hashlib.sha256(image).hexdigest() for image in images])
    later = [copy for _, copy in copies]  # they would use up the candidates
    return copies, find_near_duplicates(images, np.setdiff1d(np.arange(len(images)), later))


def find_near_duplicates(images: NDArray[np.uint8], rows: Indices) -> NearDuplicates:
    """Near-duplicates among the photos `rows` (ascending) of uint8 (N, S, S, 3) `images`.

    A photo with more than NEIGHBOURS versions may get only these as candidates and miss others. So
    if there are such families, the search is repeated with one photo per family, until nothing new
    is found. Memory: 1 KB per row, and per core 0.5 KB per row and a chunk.
    """
    if len(rows) < 2:
        return NearDuplicates(np.empty((0, 2), np.int64), np.empty(0, np.float32))
    found, searched = [_search(images, rows)], rows
    while True:
        pairs = np.searchsorted(rows, np.concatenate([part.pairs for part in found]))
        family = components(len(rows), pairs)
        _, first, size = np.unique(family, return_index=True, return_counts=True)
        if size.max() <= NEIGHBOURS or len(first) == len(searched):
            return NearDuplicates(*map(np.concatenate, zip(*found, strict=True)))
        searched = rows[first]
        found.append(_search(images, searched))


def _search(images: NDArray[np.uint8], rows: Indices) -> NearDuplicates:
    """Near-duplicates among `rows`, by the three filters."""
    chunk = max(1, CHUNK * (2 * GRID) ** 2 // images.shape[1] ** 2)
    described = in_order(lambda part: _describe(_grey(images, part)), _chunks(rows, chunk), cores())
    whole, inner, spectra, inner_spectra = map(np.concatenate, zip(*described, strict=True))

    def correlated(pairs: Indices) -> tuple[Indices, Indices, Floats]:
        return _correlated(pairs, spectra, inner_spectra)

    filtered = in_order(correlated, _chunks(_candidates(whole, inner), PAIRS), cores())
    pairs, orientation, border = map(np.concatenate, zip(*filtered, strict=True))

    def compared(part: Indices) -> Floats:
        first, second = (_grey(images, rows[pairs[part, side]]) for side in (0, 1))
        return _compare(first, _oriented(second, orientation[part]), border[part])

    parts = in_order(compared, _chunks(np.arange(len(pairs)), chunk), cores())
    similarity = np.concatenate(list(parts))
    found = similarity >= MIN_SIMILARITY
    return NearDuplicates(np.sort(rows[pairs[found]], axis=1), similarity[found])


def _chunks(items: Indices, size: int) -> list[Indices]:
    return [items[start : start + size] for start in range(0, max(1, len(items)), size)]


def _grey(images: NDArray[np.uint8], rows: Indices) -> Floats:
    """Luma float32 (n, 2 GRID, 2 GRID) in [0, 255]; the photos' side is a multiple of PARTS."""
    grey: Floats = np.matmul(images[rows], np.array([0.299, 0.587, 0.114], np.float32))
    count, side, _ = grey.shape
    if side == 2 * GRID:
        return grey
    own, cells = side // PARTS, 2 * GRID // PARTS  # sides of a part
    parts = grey.reshape(count, PARTS, own, PARTS, own).swapaxes(2, 3).reshape(-1, own, own)
    small, _ = _window(parts, np.array([WHOLE]), cells)
    together = small.reshape(count, PARTS, PARTS, cells, cells).swapaxes(2, 3)
    return together.reshape(count, 2 * GRID, 2 * GRID)


def _window(grey: Floats, edges: NDArray[np.float64], cells: int) -> tuple[Floats, Floats]:
    """Means of `cells` x `cells` equal cells of a window, and 1 for each cell inside the photo.

    `grey` is (n, S, S); `edges` (n or 1, 4) are left, right, top, bottom as shares of the side.
    """

    def axis(low: NDArray[np.float64], high: NDArray[np.float64]) -> tuple[Floats, Floats]:
        size = grey.shape[1]
        places = (low + (high - low) * (np.arange(cells + 1) / cells)) * size
        bounds = places.astype(np.float32)[..., None]
        start, end = bounds[:, :-1], bounds[:, 1:]
        pixel = np.arange(size, dtype=np.float32)
        share = np.maximum(np.minimum(end, pixel + 1) - np.maximum(start, pixel), 0)
        covered = np.clip(end, 0, size) - np.clip(start, 0, size)
        share /= np.maximum(covered, 1e-6)
        inside = covered > 0.5 * (end - start)
        return share, inside[..., 0].astype(np.float32)

    columns, in_x = axis(edges[:, 0:1], edges[:, 1:2])
    lines, in_y = axis(edges[:, 2:3], edges[:, 3:4])
    means: Floats = np.matmul(np.matmul(lines, grey), columns.transpose(0, 2, 1))
    return means, in_y[:, :, None] * in_x[:, None, :]


def _describe(grey: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Descriptors and spectra of (n, S, S) photos, each first whole, then without the border."""
    whole, _ = _window(grey, np.array([WHOLE]), GRID)
    inner, _ = _window(grey, np.array([INNER]), GRID)
    return _descriptors(whole), _descriptors(inner), _spectra(whole), _spectra(inner)


def _descriptors(grey: Floats) -> Floats:
    """(n, GRID, GRID) -> (n, 18) of length 1, equal for all eight orientations of a photo.

    Mirroring changes the signs of some cosine coefficients, and transposing swaps (u, v) with
    (v, u): so the larger and the smaller magnitude of the two are kept.
    """
    sizes = np.abs(_on_both_axes(COSINES[:LOWEST], grey))
    u, v = (index[1:] for index in np.triu_indices(LOWEST))  # without the mean
    u, v = u[u + v <= LOWEST], v[u + v <= LOWEST]
    weight = (1 + np.hypot(u, v)) ** -0.5
    one, other = sizes[:, u, v] * weight, sizes[:, v, u] * weight
    numbers: Floats = np.hstack([np.maximum(one, other), np.minimum(one, other)[:, u != v]])
    return _unit(numbers, 1)


def _spectra(grey: Floats) -> Floats:
    """(n, GRID, GRID) -> (n, SPECTRUM, SPECTRUM) of length 1, after local normalisation."""
    detail = grey - _on_both_axes(AROUND, grey)
    contrast = np.sqrt(np.maximum(_on_both_axes(AROUND, detail * detail), 0))
    spectra = _on_both_axes(COSINES[:SPECTRUM], detail / (contrast + 1))
    spectra[:, 0, 0] = 0
    return _unit(spectra, (1, 2)).astype(np.float32)


def _on_both_axes(matrix: NDArray[np.float64], grey: NDArray[Any]) -> NDArray[np.float64]:
    """Apply (m, GRID) to rows and columns: (n, GRID, GRID) -> (n, m, m)."""
    result: NDArray[np.float64] = np.matmul(np.matmul(matrix, grey), matrix.T)
    return result


def _cosines(count: int) -> NDArray[np.float64]:
    """The orthonormal cosine transform (DCT-II) as a matrix, one frequency per row."""
    frequency, place = np.ogrid[:count, :count]
    basis = np.cos(np.pi * frequency * (place + 0.5) / count) * np.sqrt(2 / count)
    basis[0] /= np.sqrt(2)
    return np.asarray(basis)


def _blur(count: int, sigma: float) -> NDArray[np.float64]:
    """A Gaussian filter as a matrix, truncated at 4 sigma; rows are mirrored at the ends."""
    reach = int(4 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    rows = np.pad(np.eye(count), ((reach, reach), (0, 0)), mode="symmetric")
    shifted = np.stack([rows[k : k + count] for k in range(len(weights))])
    return np.tensordot(weights / weights.sum(), shifted, 1)


def _unit(values: NDArray[Any], axis: int | tuple[int, int]) -> NDArray[Any]:
    length = np.sqrt((values * values).sum(axis=axis, keepdims=True))
    return np.asarray(values / (length + 1e-3))


def _candidates(whole: Floats, inner: Floats) -> Indices:
    """Pairs (P, 2) of nearest neighbours, the smaller number first, each pair once."""
    tiles = _tiled(whole)

    def nearest(queries: Floats, part: Indices) -> Indices:
        return _nearest(queries[part], part, whole, tiles)

    parts = _chunks(np.arange(len(whole)), QUERIES)
    found = [
        pairs
        for queries in (whole, inner)
        for pairs in in_order(partial(nearest, queries), parts, cores())
    ]
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def _tiled(points: Floats) -> Floats:
    """Points (n, d) in tiles (t, d + 2, TILE), for distances by one matrix product.

    The product yields -|a - b|^2 / 2 = ab - |a|^2 / 2 - |b|^2 / 2. Padding is far away.
    """
    tiles = np.zeros((-(-len(points) // TILE) * TILE, points.shape[1] + 2), np.float32)
    tiles[:, -1] = -1e3
    tiles[: len(points)] = np.column_stack(
        [points, np.ones(len(points)), -(points**2).sum(axis=1) / 2]
    )
    return np.ascontiguousarray(tiles.reshape(-1, TILE, tiles.shape[1]).transpose(0, 2, 1))


def _nearest(queries: Floats, rows: Indices, points: Floats, tiles: Floats) -> Indices:
    """Pairs (P, 2) of each of `rows` with the points nearest to its query (QUERIES, d).

    A sample of the points bounds the distance of the nearest neighbours; only points within that
    bound are measured, in double precision. A row is not paired with itself.
    """
    extended = np.column_stack([queries, -(queries**2).sum(axis=1) / 2, np.ones(len(queries))])
    near = np.matmul(extended.astype(np.float32), tiles)  # (t, QUERIES, TILE)
    sample = near[::SAMPLE].transpose(1, 0, 2).reshape(len(queries), -1)
    place = sample.shape[1] - 1 - NEIGHBOURS
    bound = np.partition(sample, place, axis=1)[:, place] - ROUNDING
    bound = np.maximum(bound, -(MAX_DISTANCE**2) / 2 - ROUNDING)
    within = np.flatnonzero(near >= bound[:, None])  # `nonzero` takes ten times as long
    tile, query, place = np.unravel_index(within, near.shape)
    other = tile * TILE + place
    distance = ((queries[query] - points[other]) ** 2).sum(axis=1)
    order = np.lexsort((other, distance, query))
    query, other, distance = query[order], other[order], distance[order]
    rank = np.arange(len(query)) - np.searchsorted(query, query)
    row = rows[query]
    kept = (rank <= NEIGHBOURS) & (distance < MAX_DISTANCE**2) & (row != other)
    return np.stack([row[kept], other[kept]], axis=1)


def _correlated(pairs: Indices, spectra: Floats, inner: Floats) -> tuple[Indices, Indices, Floats]:
    """Pairs with correlated spectra: (pairs, orientation of the second photo, border of the first).

    A pair is swapped if its first photo is the crop, so that the second is always the crop.
    """
    a, b = pairs.T
    tries = [
        _best_orientation(first, second)
        for first, second in (
            (spectra[a], spectra[b]),
            (inner[a], spectra[b]),
            (inner[b], spectra[a]),
        )
    ]
    correlation = np.stack([value for value, _ in tries])
    best = correlation.argmax(axis=0)
    orientation = np.stack([value for _, value in tries])[best, np.arange(len(pairs))]
    border = np.array([0, BORDER, BORDER], np.float32)[best]
    pairs = np.where((best == 2)[:, None], pairs[:, ::-1], pairs)
    likely = correlation.max(axis=0) >= MIN_CORRELATION
    return pairs[likely], orientation[likely], border[likely]


def _best_orientation(first: Floats, second: Floats) -> tuple[Floats, Indices]:
    """Best correlation of (P, K, K) spectra, and the orientation of the second that gives it."""
    side = first.shape[1]
    signs = np.array([np.ones(side), (-1.0) ** np.arange(side)], np.float32)
    flips = np.stack([np.outer(signs[n // 2], signs[n % 2]).ravel() for n in range(4)], axis=1)
    products = first * second, first * second.transpose(0, 2, 1)
    tries = [product.reshape(-1, side**2) @ flips for product in products]
    correlation: Floats = np.hstack(tries)  # (P, 8), orientations as in `_oriented`
    return correlation.max(axis=1), correlation.argmax(axis=1)


def _oriented(grey: Floats, orientation: Indices) -> Floats:
    """Each photo in its orientation: bit 4 transposes, then 2 flips vertically, 1 horizontally."""
    oriented = np.where((orientation & 4 > 0)[:, None, None], grey.transpose(0, 2, 1), grey)
    oriented = np.where((orientation & 2 > 0)[:, None, None], oriented[:, ::-1], oriented)
    return np.where((orientation & 1 > 0)[:, None, None], oriented[:, :, ::-1], oriented)


def _compare(first: Floats, second: Floats, border: Floats) -> Floats:
    """Similarity (P,) of two (P, 2 GRID, 2 GRID) stacks of photos, after alignment.

    Coarse to fine: first on blurred photos, because fine texture has many local minima.
    """
    whole = np.array([WHOLE])
    edges = whole + border[:, None] * np.array([1, -1, 1, -1])
    target, _ = _window(second, whole, GRID)
    blurred = [
        _on_both_axes(BLURRED, grey).astype(np.float32)
        for grey in (_window(first, whole, GRID)[0], target)
    ]
    coarse, _ = _window(blurred[1], whole, GRID // 2)
    edges = _aligned(blurred[0], coarse, edges, rounds=4)
    edges = _aligned(first, target, edges, rounds=2)
    return _agreement(*_window(first, edges, GRID), target)


def _aligned(
    first: Floats, target: Floats, edges: NDArray[np.float64], rounds: int
) -> NDArray[np.float64]:
    """Move the edges (P, 4) of a window in `first` so that it matches `target` (P, m, m).

    Gauss-Newton steps on the squared difference; brightness and contrast are free parameters.
    """
    cells = target.shape[1]
    share = ((np.arange(cells) + 0.5) / cells).astype(np.float32)
    reach = np.array([WHOLE]) - REACH, np.array([WHOLE]) + REACH
    for _ in range(rounds):
        view, inside = _window(first, edges, cells)
        x, y = _centred(view, inside), _centred(target, inside)
        contrast = (x * y).sum(axis=(1, 2)) / ((y * y).sum(axis=(1, 2)) + 1)
        difference = np.clip(contrast, 0.3, 3)[:, None, None] * y - x
        down, right = np.gradient(view, axis=(1, 2))
        slopes = [right * (1 - share), right * share]
        slopes += [down * (1 - share)[:, None], down * share[:, None], np.ones_like(view)]
        jacobian = np.stack([(slope * inside).reshape(-1, cells**2) for slope in slopes], axis=1)
        normal = jacobian @ jacobian.transpose(0, 2, 1)
        damping = 2e-4 * np.trace(normal, axis1=1, axis2=2) + 1e-3
        normal += damping[:, None, None] * np.eye(5, dtype=np.float32)
        step = np.linalg.solve(normal, jacobian @ difference.reshape(-1, cells**2, 1))[:, :4, 0]
        edges = np.clip(edges + np.clip(step / cells, -0.06, 0.06), *reach)
    return edges


def _centred(grey: Floats, inside: Floats) -> Floats:
    """Subtract the mean inside, and set the outside to 0."""
    count = inside.sum(axis=(1, 2), keepdims=True)
    mean: Floats = (grey * inside).sum(axis=(1, 2), keepdims=True) / np.maximum(count, 1)
    return (grey - mean) * inside


def _agreement(first: Floats, inside: Floats, second: Floats) -> Floats:
    """Correlation (P,) of the gradients of two (P, GRID, GRID) stacks, averaged over blocks.

    Blocks that are flat in both photos are ignored. The result is 0 with less than MIN_BLOCKS left.
    """
    inside = inside[:, 1:, 1:] * inside[:, :-1, :-1]
    one, other = (_slopes(grey) * inside for grey in (first, second))
    count = np.maximum(_block_sums(inside[None]), 1)

    def covariance(a: Floats, b: Floats) -> Floats:
        """Per block (P, BLOCKS**2), about its mean: a brightness ramp is not similarity."""
        mean: Floats = np.divide(_block_sums(b), count)
        sums: Floats = (_block_sums(a * b) - _block_sums(a) * mean).sum(axis=0)
        return sums

    power, other_power = covariance(one, one), covariance(other, other)
    floor = NOISE**2 * 2 * (GRID / BLOCKS) ** 2
    strength = np.maximum(power, other_power)
    weight = strength / (strength + floor)
    weighted = weight * covariance(one, other) / np.sqrt(np.maximum(power * other_power, 1e-6))
    blocks = weight.sum(axis=1)
    return np.where(blocks >= MIN_BLOCKS, weighted.sum(axis=1) / np.maximum(blocks, 1), 0)


def _slopes(grey: Floats) -> Floats:
    """Differences down and to the right: (P, GRID, GRID) -> (2, P, GRID - 1, GRID - 1).

    Large differences saturate at twice the photo's median: otherwise a joint, frame or vignette
    that many photos share would outweigh the surface, which they do not share.
    """
    here = grey[:, :-1, :-1]
    slopes = np.stack([grey[:, 1:, :-1] - here, grey[:, :-1, 1:] - here])
    sizes = np.abs(slopes).transpose(1, 0, 2, 3).reshape(-1, 2 * (GRID - 1) ** 2)
    middle = sizes.shape[1] // 2
    usual = np.partition(sizes, middle, axis=1)[:, middle, None, None] + NOISE
    flattened: Floats = np.divide(slopes, np.sqrt(1 + np.square(slopes / (2 * usual))))
    return flattened


def _block_sums(values: Floats) -> Floats:
    """(K, P, GRID - 1, GRID - 1) -> (K, P, BLOCKS**2)."""
    block = np.arange(GRID - 1) // (GRID // BLOCKS)
    member = (block == np.arange(BLOCKS)[:, None]).astype(np.float32)
    sums: Floats = np.matmul(np.matmul(member, values), member.T)
    return sums.reshape(*values.shape[:2], BLOCKS**2)


COSINES = _cosines(GRID)
AROUND = _blur(GRID, 3)  # mean around a cell, for local normalisation
BLURRED = _blur(GRID, BLUR)
