"""Draw photos of concrete that never was, so that the pipeline runs without any data at hand.

A photo is a wall and a camera. The wall is a height map (sand, pores, trowel marks; lit from one
side, so that rims shine and flanks lie in shade), a colour map (stains, aggregate, lime) and a map
of the light that falls on it. Cracks, and what is easily mistaken for one (joints, scratches,
cables, twigs, outlines of stains), are carved into it or laid on it. The camera adds blur, noise
and an exposure that knows nothing of the label. The label decides one thing alone: whether a
crack is carved.

Methods: value noise in octaves (Perlin 1985, doi 10.1145/325165.325247), cracks by midpoint
displacement (Fournier, Fussell and Carpenter 1982, doi 10.1145/358523.358553), relief as in
bump mapping (Blinn 1978, doi 10.1145/965139.507101).

The same on every machine: all arithmetic is on integers, and chance comes from the raw 64-bit
words of PCG64 and SeedSequence, whose streams NumPy guarantees (NEP 19), not from `Generator`,
whose methods may change. What could differ is the image library: the polygons, `reduce` and
`BoxBlur` of another Pillow release (the pixels), and another libjpeg-turbo (the files).
"""

import io
import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.random import PCG64
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from tqdm import tqdm

from surface_crack.artifacts import replacing
from surface_crack.threads import cores, in_order

SIZE = 227  # pixels, the side of a METU photo
CLASSES = ("Negative", "Positive")

# What sets the difficulty. Meant: a small CNN at 64 x 64 pixels, trained on 840 of 1,200 photos,
# is right on 96 to 99 % of the others.
CRACK_WIDTH = (34, 64)  # quarter pixels
CRACK_DARKNESS = (243, 254)  # of 256: how much of the light a crack swallows
CRACK_ROUGHNESS = (12, 45)  # of 256: first displacement of a midpoint, in lengths of the crack
HAIRLINES = 1  # per cent of the cracks are a quarter as wide, and paler
MAP_CRACKING = 3  # per cent of the cracked photos
DISTRACTORS = (0, 0, 0, 1, 1, 2)  # how many a photo of either class has; one of these is drawn
LOOKALIKES = 16  # per cent of the distractors are lines, as cracks are
LINE_DARKNESS = (25, 105)  # of 256: what such a line swallows
CRUMBLING = 15  # per cent of the joints and scratches have ragged edges, as a crack has
SHADOW_DARKNESS = (25, 100)  # of 256
PORES = (1, 2, 5, 12, 25)  # air voids in a photo; one of these is drawn
PORE_DARKNESS = (150, 254)  # of 256
ROUGHNESS = (4, 6, 10, 16, 32)  # how the sand stands out; one of these is drawn
EXPOSURE = (110, 185)  # grey levels, the mean of a photo
CONTRAST = (190, 330)  # of 256, for a photo with a standard deviation of COMMON / 2
COMMON = 48  # grey levels; the less, the more alike is the spread of all photos

# fmt: off
TINTS = (  # of 256: how concrete reflects red, green and blue
    (256, 256, 254), (252, 256, 258), (268, 257, 240), (278, 258, 228), (256, 260, 240),
    (236, 254, 282), (266, 254, 250), (246, 255, 264), (262, 256, 246),
)
SOOT, LIME = (160, 160, 162), (305, 305, 302)  # of 256, as are rust, moss, damp and dust
STAINS = (SOOT, LIME, (235, 205, 165), (195, 208, 170), (195, 196, 202), (285, 275, 258))
DEBRIS = (  # RGB
    (70, 52, 38), (40, 36, 34), (120, 100, 74), (92, 104, 52), (190, 182, 170), (28, 28, 32),
)
# fmt: on
LIGHTS = ((3, 2), (2, 3), (-2, 3), (-3, 2), (3, -1), (-3, -1), (1, 3), (-1, 3))  # towards x, y
CIRCLE = ((8, 0), (7, 4), (4, 7), (0, 8), (-4, 7), (-7, 4))  # half of one, the rest is its mirror

Ints = NDArray[np.int32]
T = TypeVar("T")
Y, X = np.mgrid[:SIZE, :SIZE].astype(np.int32)


class Wall(NamedTuple):
    """int32 arrays, changed in place."""

    height: Ints  # (SIZE, SIZE), about -1000 to 1000
    colour: Ints  # (3, SIZE, SIZE), 16 to a grey level
    light: Ints  # (SIZE, SIZE), 256 is full light


# Chance ------------------------------------------------------------------------------------------


def die(stream: PCG64, low: int, high: int) -> int:
    return low + (int(stream.random_raw()) * (high - low + 1) >> 64)


def dice(stream: PCG64, low: int, high: int, *shape: int) -> Ints:
    """int32 `shape`, each in [low, high], which lie less than 32,768 apart."""
    n = math.prod(shape)
    quarters = stream.random_raw(n // 4 + 1).astype("<u8").view("<u2")[:n].astype(np.int32)
    return (low + (quarters * (high - low + 1) >> 16)).reshape(shape)


def one_of(stream: PCG64, choices: Sequence[T]) -> T:
    return choices[die(stream, 0, len(choices) - 1)]


def chance(stream: PCG64, percent: int) -> bool:
    return die(stream, 1, 100) <= percent


# Fields ------------------------------------------------------------------------------------------


def softened(field: Ints) -> Ints:
    """(..., H, W) with each value averaged with its neighbours, 1 2 1 along both axes."""
    f = np.concatenate([field[..., :1, :], field, field[..., -1:, :]], axis=-2)
    f = f[..., :-2, :] + 2 * f[..., 1:-1, :] + f[..., 2:, :]
    f = np.concatenate([f[..., :1], f, f[..., -1:]], axis=-1)
    mean: Ints = f[..., :-2] + 2 * f[..., 1:-1] + f[..., 2:] >> 4
    return mean


def stretch(lattice: Ints, cell: int, offset: int, length: int) -> Ints:
    """(n, ...) -> (length, ...): smooth interpolation between rows that are `cell` apart."""
    at = np.arange(offset, offset + length, dtype=np.int32)
    t = at % cell * 256 // cell
    weight = (t * t * (768 - 2 * t) >> 16).reshape(-1, *[1] * (lattice.ndim - 1))
    step = (lattice[1:] - lattice[:-1])[at // cell]  # in place from here on: twice as fast
    step *= weight
    step >>= 8
    step += lattice[at // cell]
    return step


def noise(stream: PCG64, cell: int, tall: int = 1) -> Ints:
    """int32 (SIZE, SIZE), about [-512, 512]: one octave, its cells `tall` times as high as wide.

    The lattice is smoothed first: plain value noise has blotches along the axes.
    """
    lattice = softened(dice(stream, -1200, 1200, SIZE // (cell * tall) + 3, SIZE // cell + 3))
    columns = stretch(lattice.T, cell, die(stream, 0, cell - 1), SIZE)
    return stretch(columns.T.copy(), cell * tall, die(stream, 0, cell * tall - 1), SIZE)


def clouds(stream: PCG64, cell: int) -> Ints:
    """int32 (SIZE, SIZE), about [-900, 900]: blotches with ragged outlines."""
    return noise(stream, cell) + noise(stream, cell // 3) // 2 + noise(stream, cell // 9 + 1) // 4


def ramp(field: Ints, level: int, slope: int) -> Ints:
    """A mask of 0 to 255: how far the field is above the level."""
    mask: Ints = np.clip((field - level) * slope >> 4, 0, 255)
    return mask


# Shapes, in quarter pixels -----------------------------------------------------------------------


def blurred(mask: Ints, radius: int) -> Ints:
    image = Image.fromarray(mask.astype(np.uint8)).filter(ImageFilter.BoxBlur(radius))
    return np.asarray(image).astype(np.int32)


def mask_of(polygons: Sequence[Ints]) -> Ints:
    """Polygons, each (points, 2) -> int32 (SIZE, SIZE) in [0, 255], the share that is covered."""
    image = Image.new("L", (4 * SIZE, 4 * SIZE))
    draw = ImageDraw.Draw(image)
    for polygon in polygons:
        draw.polygon(polygon.ravel().tolist(), fill=255)
    return np.asarray(image.reduce(4)).astype(np.int32)


def blob(stream: PCG64, centre: Ints, radius: int, uneven: int) -> Ints:
    """A disc, or with `uneven` up to 8 a pebble."""
    circle = np.array([*CIRCLE, *[(-x, -y) for x, y in CIRCLE]], np.int32)
    sizes = dice(stream, 8 - uneven, 8 + uneven, len(circle), 1)
    squeeze = dice(stream, 8 - uneven, 8, 1, 2)
    return centre + circle * sizes * squeeze * radius // 512


def ray(stream: PCG64, length: int) -> Ints:
    """A vector of that length in any direction."""
    x, y = die(stream, -256, 256), die(stream, -256, 256)
    scale = max(math.isqrt(x * x + y * y), 1)
    return np.array((x * length // scale, y * length // scale), np.int32)


def fractal(stream: PCG64, start: Ints, end: Ints, roughness: int) -> Ints:
    """Midpoint displacement -> (points, 2), about 4 pixels apart."""
    path = np.stack([start, end])
    length = math.isqrt(int(((end - start) ** 2).sum()))
    reach = length * roughness >> 8
    while length > 20 * (len(path) - 1) or len(path) < 5:
        finer = np.empty((2 * len(path) - 1, 2), np.int32)
        finer[::2] = path
        finer[1::2] = (path[:-1] + path[1:]) // 2 + dice(stream, -reach, reach, len(path) - 1, 2)
        path, reach = finer, reach * 140 >> 8
    return path


def ribbon(path: Ints, left: Ints, right: Ints) -> Ints:
    """The polygon around a path, `left` and `right` (points,) wide."""
    along = np.concatenate([path[1:], path[-1:]]) - np.concatenate([path[:1], path[:-1]])
    length = np.array([max(math.isqrt(x * x + y * y), 1) for x, y in along.tolist()], np.int32)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1) * 64 // length[:, None]
    left_edge = path + (across * left[:, None] >> 6)
    right_edge = path - (across * right[:, None] >> 6)
    return np.concatenate([left_edge, right_edge[::-1]])


def ragged(stream: PCG64, path: Ints, width: int, gaps: int, taper: tuple[bool, bool]) -> Ints:
    """The polygon of a crack: each edge has a course of its own, and it may close in between."""
    n = len(path)
    place = np.arange(n, dtype=np.int32) * 8
    ends = np.minimum(place if taper[0] else 256, place[::-1] if taper[1] else 256)
    swell = stretch(dice(stream, 110 - gaps, 300, n // 6 + 3), 6, die(stream, 0, 5), n)
    width_here = np.clip(swell, 0, 256) * np.minimum(ends * 2, 256) * width >> 16
    crumbs = die(stream, 0, 90)
    left, right = (width_here * dice(stream, 128 - crumbs, 128 + crumbs, n) >> 8 for _ in range(2))
    return ribbon(path, left, right)


# Changes to the wall -----------------------------------------------------------------------------


def tint(wall: Wall, mask: Ints, stain: Sequence[int], strength: int) -> None:
    """Stain what the mask covers; `strength` is of 256."""
    for channel, factor in zip(wall.colour, stain, strict=True):
        channel += (channel * (factor - 256) >> 8) * (mask * strength >> 8) >> 8


def carve(wall: Wall, mask: Ints, darkness: int, lip: int) -> None:
    """Open the surface; a `lip` of up to 100 rounds the rim, which then shines or lies in shade."""
    wall.height[:] -= blurred(mask, 1) * lip >> 5
    depth = (5 * mask + 3 * blurred(mask, 3)) >> 3  # less light gets deeper in
    wall.colour[:] -= wall.colour * (depth * darkness // 255) >> 8


def lay(wall: Wall, mask: Ints, colour: Sequence[int], drop: tuple[int, int]) -> None:
    """Put a thing on the surface; its shadow falls `drop` pixels (x, y) aside."""
    shadow = np.roll(blurred(mask, 2), drop, (1, 0)) * (255 - mask) // 255
    wall.light[:] -= wall.light * shadow * 5 >> 11
    wall.height[:] = (wall.height * (256 - mask) >> 8) + (blurred(mask, 1) + blurred(mask, 3))
    for channel, level in zip(wall.colour, colour, strict=True):
        channel += (level * 16 - channel) * mask >> 8


# Marks: what is no crack -------------------------------------------------------------------------


def crossing(stream: PCG64) -> tuple[Ints, Ints]:
    """Two points outside the frame; the line between them crosses it."""
    centre, way = dice(stream, 60, 4 * SIZE - 60, 2), ray(stream, 1300)
    if chance(stream, 40):  # people build along the axes
        way[die(stream, 0, 1)] //= 24
    return centre - way, centre + way


def straight(stream: PCG64, start: Ints, end: Ints, width: int) -> Ints:
    ragged_edge = 4 if chance(stream, CRUMBLING) else 0
    steps = np.arange(65, dtype=np.int32)[:, None]
    path = (start * (64 - steps) + end * steps) // 64
    left, right = (width // 2 + dice(stream, 0, ragged_edge, 65) for _ in range(2))
    return ribbon(path, left, right)


def joint(stream: PCG64, wall: Wall) -> None:
    start, end = crossing(stream)
    mask = mask_of([straight(stream, start, end, die(stream, 4, 36))])
    carve(wall, mask, die(stream, *LINE_DARKNESS), die(stream, 10, 90))


def scratch(stream: PCG64, wall: Wall) -> None:
    start, end = crossing(stream)
    if chance(stream, 60):
        start = (start + end) // 2
        end = start + ray(stream, die(stream, 200, 700))
    aside = ray(stream, die(stream, 10, 50))
    lines = [
        straight(stream, start + i * aside, end + i * aside, die(stream, 2, 5))
        for i in range(one_of(stream, (1, 1, 2, 4)))
    ]
    if chance(stream, 40):
        tint(wall, mask_of(lines), LIME, die(stream, 150, 400))
    else:
        carve(wall, mask_of(lines), die(stream, *LINE_DARKNESS), die(stream, 0, 60))


def shadow(stream: PCG64, wall: Wall) -> None:
    start, end = crossing(stream)
    if chance(stream, 60):
        mask = mask_of([np.stack([start, end, end + ray(stream, 4000)])])
    else:
        mask = mask_of([straight(stream, start, end, die(stream, 50, 200))])
    mask = blurred(mask, die(stream, 1, 7))
    wall.light[:] -= wall.light * (mask * die(stream, *SHADOW_DARKNESS) >> 8) >> 8


def cable(stream: PCG64, wall: Wall) -> None:
    """A wire, a hose, a hair: a smooth curve (quadratic Bezier) of one width."""
    start, end = crossing(stream)
    bend = (start + end) // 2 + ray(stream, die(stream, 0, 900))
    t = np.arange(33, dtype=np.int32)[:, None]
    path = (start * (32 - t) ** 2 + 2 * bend * t * (32 - t) + end * t**2) // 1024
    half = np.full(33, one_of(stream, (1, 2, 2, 6, 12)), np.int32)
    drop = (die(stream, -4, 4), die(stream, 1, 4))
    lay(wall, mask_of([ribbon(path, half, half + 1)]), one_of(stream, DEBRIS), drop)


def debris(stream: PCG64, wall: Wall) -> None:
    """Twigs, or leaves and crumbs."""
    things = []
    for _ in range(one_of(stream, (1, 1, 2, 4))):
        start = dice(stream, 80, 4 * SIZE - 80, 2)
        path = fractal(stream, start, start + ray(stream, die(stream, 60, 420)), die(stream, 5, 40))
        t = np.arange(len(path), dtype=np.int32) * 256 // len(path)
        if chance(stream, 60):
            half = 1 + ((256 - t) * die(stream, 1, 8) >> 8)
        else:
            half = t * (256 - t) * die(stream, 6, 40) >> 14
        things.append(ribbon(path, half, half))
    lay(wall, mask_of(things), one_of(stream, DEBRIS), (die(stream, -3, 3), die(stream, 0, 3)))


def outline(stream: PCG64, wall: Wall) -> None:
    """The rim that a puddle leaves when it dries."""
    field = clouds(stream, die(stream, 60, 160))
    rim = ramp(-abs(field - die(stream, -250, 350)), -40, die(stream, 80, 190))
    tint(wall, rim, one_of(stream, STAINS), die(stream, 60, 230))


def tie_hole(stream: PCG64, wall: Wall) -> None:
    centre, radius = dice(stream, 0, 4 * SIZE, 2), die(stream, 16, 60)
    if chance(stream, 50):  # a plug of mortar
        tint(wall, mask_of([blob(stream, centre, radius, 0)]), one_of(stream, STAINS), 120)
        radius -= die(stream, 3, 6)
        wall.height[:] -= mask_of([blob(stream, centre, radius, 0)]) * 3 >> 1
    else:
        mask = mask_of([blob(stream, centre, radius, die(stream, 0, 2))])
        carve(wall, mask, die(stream, 50, 140), die(stream, 20, 90))


def streaks(stream: PCG64, wall: Wall) -> None:
    """Where water ran down."""
    field = noise(stream, die(stream, 3, 14), die(stream, 10, 30)) + clouds(stream, 120) // 2
    tint(wall, ramp(field, die(stream, 100, 300), 24), one_of(stream, STAINS), die(stream, 60, 200))


def trowel(stream: PCG64, wall: Wall) -> None:
    """Arcs around a far centre; r * r / 2R grows as r does near r = R."""
    far = ray(stream, die(stream, 250, 1200))
    reach = max(math.isqrt(int((far**2).sum())), 1)
    arc = ((X - SIZE // 2 - far[0]) ** 2 + (Y - SIZE // 2 - far[1]) ** 2) // (2 * reach)
    arc += noise(stream, 70) >> 7
    edge = abs(arc - int(arc[SIZE // 2, SIZE // 2]) - die(stream, -60, 60))
    line = ramp(-edge, -3, die(stream, 900, 2500)) * ramp(noise(stream, 40), -250, 16) >> 8
    tint(wall, line, one_of(stream, STAINS), die(stream, 60, 240))
    wall.height[:] += line * die(stream, -2, 2)


LINES = (joint, scratch, cable, debris)
OTHERS = (shadow, tie_hole, streaks, trowel, outline)


# The surface, the crack and the camera -----------------------------------------------------------


def relief(stream: PCG64) -> Ints:
    """Sand at several scales, and where a brush or a float was drawn over it."""
    rough = one_of(stream, ROUGHNESS)
    height = dice(stream, -64, 64, SIZE, SIZE) * rough >> 5
    for cell, strength in ((2, 14), (4, 16), (7, 20), (15, 26), (40, 50)):
        height += noise(stream, cell) * (rough * strength * die(stream, 2, 10)) >> 14
    if chance(stream, 30):
        x, y = ray(stream, 64)
        across = ((X * x + Y * y) >> 6) + (noise(stream, 60) >> die(stream, 5, 8)) + 2 * SIZE
        for cell in (2, 5, 11):
            groove = stretch(dice(stream, -512, 511, 5 * SIZE // cell + 3), cell, 0, 5 * SIZE)
            height += groove[across] * die(stream, 0, 40) >> 8
    return height


def concrete(stream: PCG64) -> Wall:
    """Bare concrete under uneven light: what both classes have."""
    height = relief(stream)
    shine = 256 + dice(stream, -6, 6, SIZE, SIZE)
    for cell in (2, 4, 9, 22, 80):
        shine += noise(stream, cell) * die(stream, 2, 20) >> 9
    tints = np.array(one_of(stream, TINTS), np.int32)
    middle = SIZE // 2 + dice(stream, -60, 60, 2)
    vignette = ((X - middle[0]) ** 2 + (Y - middle[1]) ** 2) * die(stream, 0, 45) >> 14
    slant = (X - SIZE // 2) * die(stream, -50, 50) + (Y - SIZE // 2) * die(stream, -50, 50) >> 7
    light = 256 + slant - vignette + noise(stream, 130) * die(stream, 0, 20) // 512
    wall = Wall(height, 10 * tints[:, None, None] * shine >> 8, light)
    if chance(stream, 60):
        aggregate(stream, wall)
    for _ in range(die(stream, 0, 2)):
        field, slope = clouds(stream, die(stream, 30, 170)), one_of(stream, (6, 12, 40))
        mask = ramp(field, die(stream, 0, 400), slope)
        tint(wall, mask, one_of(stream, STAINS), die(stream, 20, 130))
    pores(stream, wall)
    return wall


def aggregate(stream: PCG64, wall: Wall) -> None:
    """Stones and sand of other colours."""
    grains, tone = noise(stream, die(stream, 2, 4)), noise(stream, 3)
    grains = ramp(grains, die(stream, 150, 500), die(stream, 6, 20))
    for side in (tone, -tone):
        mask = grains * np.clip(side, 0, 255) >> 8
        tint(wall, mask, one_of(stream, STAINS), die(stream, 30, 220))
    wall.height[:] += grains * die(stream, 0, 16) >> 5


def pores(stream: PCG64, wall: Wall) -> None:
    holes = []
    for _ in range(one_of(stream, PORES)):
        radius = one_of(stream, (2, 2, 3, 4, 6, 8))
        holes.append(blob(stream, dice(stream, 0, 4 * SIZE, 2), radius, 4))
    carve(wall, mask_of(holes), die(stream, *PORE_DARKNESS), die(stream, 10, 60))


def crack(stream: PCG64, wall: Wall) -> None:
    width, darkness = die(stream, *CRACK_WIDTH), die(stream, *CRACK_DARKNESS)
    if chance(stream, HAIRLINES):
        width, darkness = width // 4, darkness * 3 // 4
    mask = mask_of(net(stream) if chance(stream, MAP_CRACKING) else branches(stream, width))
    if chance(stream, 35):  # chips broken off along the crack
        near = np.minimum(blurred(mask, 5) * 6, 255)
        chips = ramp(noise(stream, 7), die(stream, -100, 250), 80) * near >> 8
        wall.height[:] -= chips * die(stream, 10, 40) >> 4
        tint(wall, chips, one_of(stream, STAINS), die(stream, 0, 90))
    mask = mask * (232 + (noise(stream, 6) >> 5)) >> 8  # there is something to see in the depth
    carve(wall, mask, darkness, die(stream, 0, 100))


def branches(stream: PCG64, width: int) -> list[Ints]:
    """One crack through the frame, or with an end in it, and what forks off."""
    roughness, gaps = die(stream, *CRACK_ROUGHNESS), one_of(stream, (0, 0, 0, 80))
    through, way = dice(stream, 160, 4 * SIZE - 160, 2), ray(stream, 1000)
    polygons = []
    for side in (1, -1):
        ends_here = chance(stream, 6)
        reach = side * (way * die(stream, 40, 130) >> 8 if ends_here else way)
        path = fractal(stream, through, through + reach, roughness)
        polygons.append(ragged(stream, path, width, gaps, (False, ends_here)))
        for _ in range(one_of(stream, (0, 0, 0, 1, 2))):
            fork = path[die(stream, 0, len(path) - 1)]
            limb = fractal(stream, fork, fork + ray(stream, die(stream, 120, 700)), roughness)
            thinner = width * die(stream, 60, 170) >> 8
            polygons.append(ragged(stream, limb, thinner, gaps, (False, True)))
    return polygons


def net(stream: PCG64) -> list[Ints]:
    """Map cracking: the edges of a crooked honeycomb, some of them missing."""
    cell, width, missing = die(stream, 130, 300), die(stream, 12, 28), die(stream, 0, 30)
    n = 4 * SIZE // cell + 4
    corners = dice(stream, -cell // 3, cell // 3, n, n, 2) - cell
    corners += np.stack(np.meshgrid(np.arange(n), np.arange(n)), axis=2).astype(np.int32) * cell
    polygons = []
    for i in range(n - 1):
        for j in range(n - 1):
            for end in ((i, j + 1), (i + 1, j)):
                if (end[1] == j and (i + j) % 2 == 1) or chance(stream, missing):
                    continue  # every second rung: three edges meet in a corner
                path = fractal(stream, corners[i, j], corners[end], 40)
                polygons.append(ragged(stream, path, width, 0, (False, False)))
    return polygons


def developed(photo: Ints, exposure: int, contrast: int) -> Ints:
    """To that mean, in grey levels, and nearer to a common contrast, as a camera's program does.

    A crack darkens a photo and adds contrast; without this step its mean and spread tell the label.
    """
    dark = photo - int(photo.sum(dtype=np.int64)) // photo.size
    spread = math.isqrt(int(np.square(dark).sum(dtype=np.int64)) // photo.size)
    return 16 * exposure + (dark * (contrast * 16 * COMMON // (8 * COMMON + spread)) >> 8)


def photograph(stream: PCG64, wall: Wall) -> NDArray[np.uint8]:
    """Light, exposure, blur and noise -> uint8 (SIZE, SIZE, 3)."""
    x, y = one_of(stream, LIGHTS)
    slope = x * np.diff(wall.height, axis=1, append=wall.height[:, -1:])
    slope += y * np.diff(wall.height, axis=0, append=wall.height[-1:])
    lit = wall.light * (256 + np.clip(slope >> 3, -120, 90)) >> 8
    photo = wall.colour * lit >> 8
    photo = developed(photo, die(stream, *EXPOSURE), die(stream, *CONTRAST))
    for _ in range(one_of(stream, (1, 1, 1, 2))):
        soft = softened(photo)
        photo += (soft - photo) * die(stream, 100, 256) >> 8
    grain = dice(stream, -16, 16, 4, SIZE, SIZE)
    grain = (2 * grain[3] + grain[:3]) * one_of(stream, (0, 1, 2, 3, 5, 8)) >> 1
    photo += grain if chance(stream, 50) else softened(grain) * 2
    levels: Ints = np.clip((photo + 8) >> 4, 0, 255)
    return levels.astype(np.uint8).transpose(1, 2, 0).copy()


# The photos --------------------------------------------------------------------------------------


def stream_of(seed: int, number: int, purpose: int) -> PCG64:
    """A stream per purpose: what is drawn for the wall or the camera cannot depend on the crack."""
    return PCG64([seed, number, purpose])


def draw(seed: int, number: int) -> tuple[NDArray[np.uint8], int]:
    """Photo `number` of a seed: uint8 (227, 227, 3) RGB and its label, 1 (cracked) if it is odd.

    Raises ValueError if either is negative.
    """
    if seed < 0 or number < 0:
        raise ValueError(f"seed and number must be 0 or more, got seed={seed}, number={number}")
    label = number % 2
    wall = concrete(stream_of(seed, number, 0))
    if label == 1:
        crack(stream_of(seed, number, 1), wall)
    marks = stream_of(seed, number, 2)
    for _ in range(one_of(marks, DISTRACTORS)):
        one_of(marks, LINES if chance(marks, LOOKALIKES) else OTHERS)(marks, wall)
    return photograph(stream_of(seed, number, 3), wall), label


def encode(seed: int, number: int) -> tuple[str, bytes]:
    """The photo's name in the archive and its JPEG."""
    photo, label = draw(seed, number)
    file = io.BytesIO()
    quality = die(stream_of(seed, number, 4), 40, 92)
    Image.fromarray(photo).save(file, "JPEG", quality=quality)
    return f"{CLASSES[label]}/{number:05d}.jpg", file.getvalue()


def write_sample(path: Path, seed: int, photos: int, workers: int | None = None) -> None:
    """Photos 1 to `photos` in one zip, stored: JPEG does not deflate, and stored is read faster.

    The bytes do not depend on the number of workers (threads; as many as there are processors).
    Raises ValueError unless `photos` is even and 2 or more: half of them are cracked.
    """
    if photos < 2 or photos % 2:
        raise ValueError(f"photos must be even and 2 or more, got {photos}")
    with (
        replacing(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive,
    ):
        numbers = range(1, photos + 1)
        drawn = in_order(lambda number: encode(seed, number), numbers, workers or cores())
        for name, jpeg in tqdm(drawn, total=photos, unit="photo", disable=None):
            member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            member.create_system = 3  # Unix, also when written on Windows
            member.external_attr = 0o100644 << 16
            archive.writestr(member, jpeg)
