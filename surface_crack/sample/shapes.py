"""Outlines in quarter pixels, and their masks.

Ragged paths by midpoint displacement: Fournier, Fussell and Carpenter 1982,
doi 10.1145/358523.358553.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.random import PCG64
from PIL import Image, ImageDraw, ImageFilter

from surface_crack.sample.chance import SIZE, Ints, randint, randints, stretch

CIRCLE = ((8, 0), (7, 4), (4, 7), (0, 8), (-4, 7), (-7, 4))  # half a circle; the rest is mirrored


def blurred(mask: Ints, radius: int) -> Ints:
    image = Image.fromarray(mask.astype(np.uint8)).filter(ImageFilter.BoxBlur(radius))
    return np.asarray(image).astype(np.int32)


def rasterised(polygons: Sequence[Ints]) -> Ints:
    """Polygons, each (points, 2) -> int32 (SIZE, SIZE) in [0, 255], the coverage of each pixel."""
    image = Image.new("L", (4 * SIZE, 4 * SIZE))
    draw = ImageDraw.Draw(image)
    for polygon in polygons:
        draw.polygon(polygon.ravel().tolist(), fill=255)
    return np.asarray(image.reduce(4)).astype(np.int32)


def blob(stream: PCG64, centre: Ints, radius: int, uneven: int) -> Ints:
    """A disc; with `uneven` (up to 8) an irregular pebble."""
    circle = np.array([*CIRCLE, *[(-x, -y) for x, y in CIRCLE]], np.int32)
    sizes = randints(stream, 8 - uneven, 8 + uneven, len(circle), 1)
    squeeze = randints(stream, 8 - uneven, 8, 1, 2)
    return centre + circle * sizes * squeeze * radius // 512


def random_vector(stream: PCG64, length: int) -> Ints:
    """A vector of this length in a random direction."""
    x, y = randint(stream, -256, 256), randint(stream, -256, 256)
    scale = max(math.isqrt(x * x + y * y), 1)
    return np.array((x * length // scale, y * length // scale), np.int32)


def fractal(stream: PCG64, start: Ints, end: Ints, roughness: int) -> Ints:
    """Random path by midpoint displacement -> (points, 2), about 4 pixels apart."""
    path = np.stack([start, end])
    length = math.isqrt(int(((end - start) ** 2).sum()))
    reach = length * roughness >> 8
    while length > 20 * (len(path) - 1) or len(path) < 5:
        finer = np.empty((2 * len(path) - 1, 2), np.int32)
        finer[::2] = path
        finer[1::2] = (path[:-1] + path[1:]) // 2 + randints(
            stream, -reach, reach, len(path) - 1, 2
        )
        path, reach = finer, reach * 140 >> 8
    return path


def ribbon(path: Ints, left: Ints, right: Ints) -> Ints:
    """The polygon around a path; `left` and `right` (points,) are the widths of its sides."""
    along = np.concatenate([path[1:], path[-1:]]) - np.concatenate([path[:1], path[:-1]])
    length = np.array([max(math.isqrt(x * x + y * y), 1) for x, y in along.tolist()], np.int32)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1) * 64 // length[:, None]
    left_edge = path + (across * left[:, None] >> 6)
    right_edge = path - (across * right[:, None] >> 6)
    return np.concatenate([left_edge, right_edge[::-1]])


def ragged_outline(
    stream: PCG64, path: Ints, width: int, gaps: int, taper: tuple[bool, bool]
) -> Ints:
    """The polygon of a crack: both edges are ragged independently, and it may have gaps."""
    n = len(path)
    place = np.arange(n, dtype=np.int32) * 8
    ends = np.minimum(place if taper[0] else 256, place[::-1] if taper[1] else 256)
    swell = stretch(randints(stream, 110 - gaps, 300, n // 6 + 3), 6, randint(stream, 0, 5), n)
    width_here = np.clip(swell, 0, 256) * np.minimum(ends * 2, 256) * width >> 16
    crumbs = randint(stream, 0, 90)
    left, right = (
        width_here * randints(stream, 128 - crumbs, 128 + crumbs, n) >> 8 for _ in range(2)
    )
    return ribbon(path, left, right)
