"""Marks on a wall that may be mistaken for a crack: joints, scratches, cables, rims of stains."""

import math

import numpy as np
from numpy.random import PCG64

from surface_crack.sample.chance import (
    SIZE,
    Ints,
    X,
    Y,
    chance,
    clouds,
    dice,
    die,
    noise,
    one_of,
    ramp,
)
from surface_crack.sample.shapes import blob, blurred, fractal, mask_of, ray, ribbon
from surface_crack.sample.wall import LIME, STAINS, Wall, carve, lay, tint

LINE_DARKNESS = (25, 105)  # of 256: what such a line swallows
CRUMBLING = 15  # per cent of the joints and scratches have ragged edges, as a crack has
SHADOW_DARKNESS = (25, 100)  # of 256
# fmt: off
DEBRIS = (  # RGB
    (70, 52, 38), (40, 36, 34), (120, 100, 74), (92, 104, 52), (190, 182, 170), (28, 28, 32),
)
# fmt: on


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
