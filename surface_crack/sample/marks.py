"""Distractors that may be mistaken for a crack: joints, scratches, cables, rims of stains."""

import math

import numpy as np
from numpy.random import PCG64

from surface_crack.sample.chance import (
    SIZE,
    Ints,
    X,
    Y,
    chance,
    choice,
    clouds,
    noise,
    ramp,
    randint,
    randints,
)
from surface_crack.sample.shapes import blob, blurred, fractal, random_vector, rasterised, ribbon
from surface_crack.sample.wall import LIME, STAINS, Wall, carve, place, tint

LINE_DARKNESS = (25, 105)  # of 256: share of the light that a line absorbs
CRUMBLING = 15  # per cent of the joints and scratches have ragged edges, like a crack
SHADOW_DARKNESS = (25, 100)  # of 256
# fmt: off
DEBRIS = (  # RGB
    (70, 52, 38), (40, 36, 34), (120, 100, 74), (92, 104, 52), (190, 182, 170), (28, 28, 32),
)
# fmt: on


def crossing(stream: PCG64) -> tuple[Ints, Ints]:
    """Two points outside the frame whose connecting line crosses it."""
    centre, way = randints(stream, 60, 4 * SIZE - 60, 2), random_vector(stream, 1300)
    if chance(stream, 40):  # built structures follow the axes
        way[randint(stream, 0, 1)] //= 24
    return centre - way, centre + way


def straight(stream: PCG64, start: Ints, end: Ints, width: int) -> Ints:
    ragged_edge = 4 if chance(stream, CRUMBLING) else 0
    steps = np.arange(65, dtype=np.int32)[:, None]
    path = (start * (64 - steps) + end * steps) // 64
    left, right = (width // 2 + randints(stream, 0, ragged_edge, 65) for _ in range(2))
    return ribbon(path, left, right)


def joint(stream: PCG64, wall: Wall) -> None:
    start, end = crossing(stream)
    mask = rasterised([straight(stream, start, end, randint(stream, 4, 36))])
    carve(wall, mask, randint(stream, *LINE_DARKNESS), randint(stream, 10, 90))


def scratch(stream: PCG64, wall: Wall) -> None:
    start, end = crossing(stream)
    if chance(stream, 60):
        start = (start + end) // 2
        end = start + random_vector(stream, randint(stream, 200, 700))
    aside = random_vector(stream, randint(stream, 10, 50))
    lines = [
        straight(stream, start + i * aside, end + i * aside, randint(stream, 2, 5))
        for i in range(choice(stream, (1, 1, 2, 4)))
    ]
    if chance(stream, 40):
        tint(wall, rasterised(lines), LIME, randint(stream, 150, 400))
    else:
        carve(wall, rasterised(lines), randint(stream, *LINE_DARKNESS), randint(stream, 0, 60))


def shadow(stream: PCG64, wall: Wall) -> None:
    start, end = crossing(stream)
    if chance(stream, 60):
        mask = rasterised([np.stack([start, end, end + random_vector(stream, 4000)])])
    else:
        mask = rasterised([straight(stream, start, end, randint(stream, 50, 200))])
    mask = blurred(mask, randint(stream, 1, 7))
    wall.light[:] -= wall.light * (mask * randint(stream, *SHADOW_DARKNESS) >> 8) >> 8


def cable(stream: PCG64, wall: Wall) -> None:
    """A wire, a hose, a hair: a smooth curve (quadratic Bezier) of constant width."""
    start, end = crossing(stream)
    bend = (start + end) // 2 + random_vector(stream, randint(stream, 0, 900))
    t = np.arange(33, dtype=np.int32)[:, None]
    path = (start * (32 - t) ** 2 + 2 * bend * t * (32 - t) + end * t**2) // 1024
    half = np.full(33, choice(stream, (1, 2, 2, 6, 12)), np.int32)
    drop = (randint(stream, -4, 4), randint(stream, 1, 4))
    place(wall, rasterised([ribbon(path, half, half + 1)]), choice(stream, DEBRIS), drop)


def debris(stream: PCG64, wall: Wall) -> None:
    """Twigs, or leaves and crumbs."""
    things = []
    for _ in range(choice(stream, (1, 1, 2, 4))):
        start = randints(stream, 80, 4 * SIZE - 80, 2)
        path = fractal(
            stream,
            start,
            start + random_vector(stream, randint(stream, 60, 420)),
            randint(stream, 5, 40),
        )
        t = np.arange(len(path), dtype=np.int32) * 256 // len(path)
        if chance(stream, 60):
            half = 1 + ((256 - t) * randint(stream, 1, 8) >> 8)
        else:
            half = t * (256 - t) * randint(stream, 6, 40) >> 14
        things.append(ribbon(path, half, half))
    place(
        wall,
        rasterised(things),
        choice(stream, DEBRIS),
        (randint(stream, -3, 3), randint(stream, 0, 3)),
    )


def outline(stream: PCG64, wall: Wall) -> None:
    """The rim of a dried puddle."""
    field = clouds(stream, randint(stream, 60, 160))
    rim = ramp(-abs(field - randint(stream, -250, 350)), -40, randint(stream, 80, 190))
    tint(wall, rim, choice(stream, STAINS), randint(stream, 60, 230))


def tie_hole(stream: PCG64, wall: Wall) -> None:
    centre, radius = randints(stream, 0, 4 * SIZE, 2), randint(stream, 16, 60)
    if chance(stream, 50):  # a plug of mortar
        tint(wall, rasterised([blob(stream, centre, radius, 0)]), choice(stream, STAINS), 120)
        radius -= randint(stream, 3, 6)
        wall.height[:] -= rasterised([blob(stream, centre, radius, 0)]) * 3 >> 1
    else:
        mask = rasterised([blob(stream, centre, radius, randint(stream, 0, 2))])
        carve(wall, mask, randint(stream, 50, 140), randint(stream, 20, 90))


def streaks(stream: PCG64, wall: Wall) -> None:
    """Stains of running water."""
    field = (
        noise(stream, randint(stream, 3, 14), randint(stream, 10, 30)) + clouds(stream, 120) // 2
    )
    tint(
        wall,
        ramp(field, randint(stream, 100, 300), 24),
        choice(stream, STAINS),
        randint(stream, 60, 200),
    )


def trowel(stream: PCG64, wall: Wall) -> None:
    """Trowel marks: arcs around a distant centre. Near r = R, r * r / 2R has the slope of r."""
    far = random_vector(stream, randint(stream, 250, 1200))
    reach = max(math.isqrt(int((far**2).sum())), 1)
    arc = ((X - SIZE // 2 - far[0]) ** 2 + (Y - SIZE // 2 - far[1]) ** 2) // (2 * reach)
    arc += noise(stream, 70) >> 7
    edge = abs(arc - int(arc[SIZE // 2, SIZE // 2]) - randint(stream, -60, 60))
    line = ramp(-edge, -3, randint(stream, 900, 2500)) * ramp(noise(stream, 40), -250, 16) >> 8
    tint(wall, line, choice(stream, STAINS), randint(stream, 60, 240))
    wall.height[:] += line * randint(stream, -2, 2)


LINES = (joint, scratch, cable, debris)
OTHERS = (shadow, tie_hole, streaks, trowel, outline)
