"""Find photos that show the same thing: near-copies, also mirrored, turned, cropped, brightened.

Three sieves, each finer and dearer than the one before; only the first looks at all pairs:

1. Each photo becomes 18 numbers that mirroring and turning by quarter turns do not change: sizes of
   its lowest cosine frequencies. Those with the nearest numbers are candidates.
   It asks twice, as it is and with its rim cut off, because a crop has lost its rim.
2. A candidate stays if the spectra correlate in one of the eight turns. They are taken after local
   normalisation, so that a dark crack does not outshine the surface around it.
3. The pair is aligned by least squares (Lucas and Kanade 1981, IJCAI; here four edges of a window),
   and the gradients of both are compared block by block. Twins agree all over, two photos of
   different cracks in one place at most.

How often each sieve errs is measured in bench/near_duplicates.py; docs/results.md has the
numbers. The threads are ours: each product of matrices is too small for BLAS to share it out
among its own, which would wait for each other (OpenBLAS does from 262,144 multiplications).
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

GRID = 32  # side of what is compared, cells; the photo itself is taken at twice that
LOWEST = 5  # frequencies per axis that describe a photo
SPECTRUM = 8  # frequencies per axis that are correlated
RIM = 0.03  # share of each side that the second question leaves out
NEIGHBOURS = 10  # candidates per photo and question
FAR = 0.42  # distance of descriptors above which nothing is a candidate; twins have 0.3 at most
CORRELATED = 0.5  # correlation of spectra that a candidate needs
REACH = 0.12  # how far an edge of the window may lie from the photo's edge, share of the side
BLUR = 1.5  # cells
BLOCKS = 4  # blocks per side
NOISE = 0.35  # grey levels; gradients weaker than this are no evidence
EVIDENCE = 1.5  # blocks with gradients that a verdict needs
SAME = 0.6  # mean correlation of the blocks' gradients from which two photos are twins
CHUNK = 256  # photos of 64 pixels, or pairs of them, at a time
PAIRS = 1024  # pairs of spectra at a time
PARTS = 8  # per side, in which a photo is made smaller; divides each image_size
ASKING = 64  # photos that look for their neighbours at a time
TILE = 192  # photos that one of its matrix products compares them with
SAMPLE = 8  # every so many tiles tell how near the nearest are at least
ROUNDING = 1e-5  # of half a squared distance, in single precision
WHOLE = (0.0, 1.0, 0.0, 1.0)  # a window: left, right, top, bottom
INNER = (RIM, 1 - RIM, RIM, 1 - RIM)


class NearDuplicates(NamedTuple):
    """Pairs of photos that show the same thing, each once, in no order."""

    pairs: Indices  # (P, 2) photo numbers, the smaller first
    similarity: Floats  # (P,) mean correlation of the gradients, SAME to 1


def find_duplicates(images: NDArray[np.uint8]) -> tuple[list[Pair], NearDuplicates]:
    """Copies (equal pixels), each with the first one, and twins among all but later copies."""
    copies = equal_pairs([hashlib.sha256(image).hexdigest() for image in images])
    later = [copy for _, copy in copies]  # they would crowd out other twins
    return copies, find_near_duplicates(images, np.setdiff1d(np.arange(len(images)), later))


def find_near_duplicates(images: NDArray[np.uint8], rows: Indices) -> NearDuplicates:
    """Twins among the photos `rows` (ascending) of uint8 (N, S, S, 3) `images`, mapped from disk.

    It searches, and searches again with one photo of each large family, until nothing new is found:
    a photo with more than NEIGHBOURS versions has eyes for them alone, and may overlook others.
    Memory: 1 KB per row, and per core 0.5 KB per row and a chunk.
    """
    if len(rows) < 2:
        return NearDuplicates(np.empty((0, 2), np.int64), np.empty(0, np.float32))
    found, asked = [_search(images, rows)], rows
    while True:
        pairs = np.searchsorted(rows, np.concatenate([part.pairs for part in found]))
        family = components(len(rows), pairs)
        _, first, size = np.unique(family, return_index=True, return_counts=True)
        if size.max() <= NEIGHBOURS or len(first) == len(asked):
            return NearDuplicates(*map(np.concatenate, zip(*found, strict=True)))
        asked = rows[first]
        found.append(_search(images, asked))


def _search(images: NDArray[np.uint8], rows: Indices) -> NearDuplicates:
    chunk = max(1, CHUNK * (2 * GRID) ** 2 // images.shape[1] ** 2)
    described = in_order(lambda part: _describe(_grey(images, part)), _chunks(rows, chunk), cores())
    whole, inner, spectra, inner_spectra = map(np.concatenate, zip(*described, strict=True))

    def correlated(pairs: Indices) -> tuple[Indices, Indices, Floats]:
        return _correlated(pairs, spectra, inner_spectra)

    sifted = in_order(correlated, _chunks(_candidates(whole, inner), PAIRS), cores())
    pairs, turn, rim = map(np.concatenate, zip(*sifted, strict=True))

    def compared(part: Indices) -> Floats:
        first, second = (_grey(images, rows[pairs[part, side]]) for side in (0, 1))
        return _compare(first, _turned(second, turn[part]), rim[part])

    parts = in_order(compared, _chunks(np.arange(len(pairs)), chunk), cores())
    similarity = np.concatenate(list(parts))
    found = similarity >= SAME
    return NearDuplicates(np.sort(rows[pairs[found]], axis=1), similarity[found])


def _chunks(items: Indices, size: int) -> list[Indices]:
    return [items[start : start + size] for start in range(0, max(1, len(items)), size)]


def _grey(images: NDArray[np.uint8], rows: Indices) -> Floats:
    """Luma float32 (n, 2 GRID, 2 GRID) in [0, 255] of photos whose side is a multiple of PARTS."""
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
    """Means of `cells` x `cells` equal parts of a window, and 1 where a part lies in the photo.

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
    """(descriptors, those without the rim, spectra, those without the rim) of (n, S, S) photos."""
    whole, _ = _window(grey, np.array([WHOLE]), GRID)
    inner, _ = _window(grey, np.array([INNER]), GRID)
    return _descriptors(whole), _descriptors(inner), _spectra(whole), _spectra(inner)


def _descriptors(grey: Floats) -> Floats:
    """(n, GRID, GRID) -> (n, 18) of length 1, the same for all eight turns of a photo.

    Mirroring changes the signs of some cosine frequencies, and transposing swaps (u, v) with
    (v, u): so the larger and the smaller size of the two are kept.
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
    """(m, GRID) applied to rows and columns: (n, GRID, GRID) -> (n, m, m)."""
    result: NDArray[np.float64] = np.matmul(np.matmul(matrix, grey), matrix.T)
    return result


def _cosines(count: int) -> NDArray[np.float64]:
    """The orthonormal cosine transform (DCT-II) as a matrix, a frequency per row."""
    frequency, place = np.ogrid[:count, :count]
    basis = np.cos(np.pi * frequency * (place + 0.5) / count) * np.sqrt(2 / count)
    basis[0] /= np.sqrt(2)
    return np.asarray(basis)


def _blur(count: int, sigma: float) -> NDArray[np.float64]:
    """A Gaussian as a matrix; beyond its ends, at 4 sigma at most, a row is mirrored."""
    reach = int(4 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    rows = np.pad(np.eye(count), ((reach, reach), (0, 0)), mode="symmetric")
    shifted = np.stack([rows[k : k + count] for k in range(len(weights))])
    return np.tensordot(weights / weights.sum(), shifted, 1)


def _unit(values: NDArray[Any], axis: int | tuple[int, int]) -> NDArray[Any]:
    length = np.sqrt((values * values).sum(axis=axis, keepdims=True))
    return np.asarray(values / (length + 1e-3))


def _candidates(whole: Floats, inner: Floats) -> Indices:
    """Pairs (P, 2) of near neighbours, the smaller number first, each pair once."""
    tiles = _tiled(whole)

    def asked(question: Floats, part: Indices) -> Indices:
        return _nearest(question[part], part, whole, tiles)

    parts = _chunks(np.arange(len(whole)), ASKING)
    found = [
        pairs
        for question in (whole, inner)
        for pairs in in_order(partial(asked, question), parts, cores())
    ]
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def _tiled(points: Floats) -> Floats:
    """Points (n, d) in tiles (t, d + 2, TILE), so that a product yields minus half the distances.

    That is, squared, of -|a - b|^2 / 2 = ab - |a|^2 / 2 - |b|^2 / 2. Empty places are far away.
    """
    tiles = np.zeros((-(-len(points) // TILE) * TILE, points.shape[1] + 2), np.float32)
    tiles[:, -1] = -1e3
    tiles[: len(points)] = np.column_stack(
        [points, np.ones(len(points)), -(points**2).sum(axis=1) / 2]
    )
    return np.ascontiguousarray(tiles.reshape(-1, TILE, tiles.shape[1]).transpose(0, 2, 1))


def _nearest(question: Floats, rows: Indices, points: Floats, tiles: Floats) -> Indices:
    """Pairs (P, 2) of each of `rows` with the points nearest to its question (ASKING, d), itself
    left out. A sample of the points bounds how far the nearest can be; only what lies within that
    is measured, in double precision.
    """
    asking = np.column_stack([question, -(question**2).sum(axis=1) / 2, np.ones(len(question))])
    near = np.matmul(asking.astype(np.float32), tiles)  # (t, ASKING, TILE)
    sample = near[::SAMPLE].transpose(1, 0, 2).reshape(len(question), -1)
    place = sample.shape[1] - 1 - NEIGHBOURS
    bound = np.partition(sample, place, axis=1)[:, place] - ROUNDING
    bound = np.maximum(bound, -(FAR**2) / 2 - ROUNDING)
    within = np.flatnonzero(near >= bound[:, None])  # `nonzero` takes ten times as long
    tile, asker, place = np.unravel_index(within, near.shape)
    other = tile * TILE + place
    distance = ((question[asker] - points[other]) ** 2).sum(axis=1)
    order = np.lexsort((other, distance, asker))
    asker, other, distance = asker[order], other[order], distance[order]
    rank = np.arange(len(asker)) - np.searchsorted(asker, asker)
    asker = rows[asker]
    kept = (rank <= NEIGHBOURS) & (distance < FAR**2) & (asker != other)
    return np.stack([asker[kept], other[kept]], axis=1)


def _correlated(pairs: Indices, spectra: Floats, inner: Floats) -> tuple[Indices, Indices, Floats]:
    """The pairs whose spectra correlate: (pairs, turn of the second photo, rim of the first).

    A pair is turned round if the second photo looks like a crop of the first that way.
    """
    a, b = pairs.T
    tries = [
        _best_turn(first, second)
        for first, second in (
            (spectra[a], spectra[b]),
            (inner[a], spectra[b]),
            (inner[b], spectra[a]),
        )
    ]
    correlation = np.stack([value for value, _ in tries])
    best = correlation.argmax(axis=0)
    turn = np.stack([value for _, value in tries])[best, np.arange(len(pairs))]
    rim = np.array([0, RIM, RIM], np.float32)[best]
    pairs = np.where((best == 2)[:, None], pairs[:, ::-1], pairs)
    likely = correlation.max(axis=0) >= CORRELATED
    return pairs[likely], turn[likely], rim[likely]


def _best_turn(first: Floats, second: Floats) -> tuple[Floats, Indices]:
    """Of two (P, K, K) spectra: (correlation, turn of the second that gives it)."""
    side = first.shape[1]
    signs = np.array([np.ones(side), (-1.0) ** np.arange(side)], np.float32)
    flips = np.stack([np.outer(signs[n // 2], signs[n % 2]).ravel() for n in range(4)], axis=1)
    products = first * second, first * second.transpose(0, 2, 1)
    tries = [product.reshape(-1, side**2) @ flips for product in products]
    correlation: Floats = np.hstack(tries)  # (P, 8), turns numbered as in `_turned`
    return correlation.max(axis=1), correlation.argmax(axis=1)


def _turned(grey: Floats, turn: Indices) -> Floats:
    """Each photo in its turn: bit 4 transposes, then 2 flips top and bottom, 1 left and right."""
    turned = np.where((turn & 4 > 0)[:, None, None], grey.transpose(0, 2, 1), grey)
    turned = np.where((turn & 2 > 0)[:, None, None], turned[:, ::-1], turned)
    return np.where((turn & 1 > 0)[:, None, None], turned[:, :, ::-1], turned)


def _compare(first: Floats, second: Floats, rim: Floats) -> Floats:
    """Similarity (P,) of two (P, 2 GRID, 2 GRID) stacks of photos, after alignment.

    Blurred first: without that the steps of `_aligned` lose their way in fine texture.
    """
    whole = np.array([WHOLE])
    edges = whole + rim[:, None] * np.array([1, -1, 1, -1])
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
    """Move the edges (P, 4) of a window in `first` until it looks like `target` (P, m, m).

    Gauss-Newton steps on the squared difference, brightness and contrast left free.
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
    """Minus its mean inside, and 0 outside."""
    count = inside.sum(axis=(1, 2), keepdims=True)
    mean: Floats = (grey * inside).sum(axis=(1, 2), keepdims=True) / np.maximum(count, 1)
    return (grey - mean) * inside


def _agreement(first: Floats, inside: Floats, second: Floats) -> Floats:
    """Correlation (P,) of the gradients of two (P, GRID, GRID) stacks, averaged over blocks.

    A block in which both are flat does not count; photos with too little else have 0.
    """
    inside = inside[:, 1:, 1:] * inside[:, :-1, :-1]
    one, other = (_slopes(grey) * inside for grey in (first, second))
    count = np.maximum(_block_sums(inside[None]), 1)

    def covariance(a: Floats, b: Floats) -> Floats:
        """Per block (P, BLOCKS**2): about its mean, so that light from one side is no likeness."""
        mean: Floats = np.divide(_block_sums(b), count)
        sums: Floats = (_block_sums(a * b) - _block_sums(a) * mean).sum(axis=0)
        return sums

    power, other_power = covariance(one, one), covariance(other, other)
    floor = NOISE**2 * 2 * (GRID / BLOCKS) ** 2
    strength = np.maximum(power, other_power)
    weight = strength / (strength + floor)
    weighted = weight * covariance(one, other) / np.sqrt(np.maximum(power * other_power, 1e-6))
    evidence = weight.sum(axis=1)
    return np.where(evidence >= EVIDENCE, weighted.sum(axis=1) / np.maximum(evidence, 1), 0)


def _slopes(grey: Floats) -> Floats:
    """Differences down and to the right: (P, GRID, GRID) -> (2, P, GRID - 1, GRID - 1).

    Steep ones are flattened towards twice what is usual in the photo: a joint, a frame or a
    vignette that many photos share would else outweigh the surface, which they do not share.
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
AROUND = _blur(GRID, 3)  # what is around a cell, for local normalisation
BLURRED = _blur(GRID, BLUR)
