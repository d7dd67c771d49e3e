"""Cracks, carved into a wall: a single crack with branches, or map cracking."""

import numpy as np
from numpy.random import PCG64

from surface_crack.sample.chance import SIZE, Ints, chance, choice, noise, ramp, randint, randints
from surface_crack.sample.shapes import blurred, fractal, ragged_outline, random_vector, rasterised
from surface_crack.sample.wall import STAINS, Wall, carve, tint

CRACK_WIDTH = (34, 64)  # quarter pixels
CRACK_DARKNESS = (243, 254)  # of 256: share of the light that a crack absorbs
CRACK_ROUGHNESS = (12, 45)  # of 256: first midpoint displacement, relative to the crack's length
HAIRLINES = 1  # per cent of the cracks are a quarter as wide, and less dark
MAP_CRACKING = 3  # per cent of the cracked photos


def crack(stream: PCG64, wall: Wall) -> None:
    width, darkness = randint(stream, *CRACK_WIDTH), randint(stream, *CRACK_DARKNESS)
    if chance(stream, HAIRLINES):
        width, darkness = width // 4, darkness * 3 // 4
    mask = rasterised(net(stream) if chance(stream, MAP_CRACKING) else branches(stream, width))
    if chance(stream, 35):  # spalled edges along the crack
        near = np.minimum(blurred(mask, 5) * 6, 255)
        chips = ramp(noise(stream, 7), randint(stream, -100, 250), 80) * near >> 8
        wall.height[:] -= chips * randint(stream, 10, 40) >> 4
        tint(wall, chips, choice(stream, STAINS), randint(stream, 0, 90))
    mask = mask * (232 + (noise(stream, 6) >> 5)) >> 8  # texture inside the crack
    carve(wall, mask, darkness, randint(stream, 0, 100))


def branches(stream: PCG64, width: int) -> list[Ints]:
    """One crack that crosses the frame or ends in it, with its branches."""
    roughness, gaps = randint(stream, *CRACK_ROUGHNESS), choice(stream, (0, 0, 0, 80))
    through, way = randints(stream, 160, 4 * SIZE - 160, 2), random_vector(stream, 1000)
    polygons = []
    for side in (1, -1):
        ends_here = chance(stream, 6)
        reach = side * (way * randint(stream, 40, 130) >> 8 if ends_here else way)
        path = fractal(stream, through, through + reach, roughness)
        polygons.append(ragged_outline(stream, path, width, gaps, (False, ends_here)))
        for _ in range(choice(stream, (0, 0, 0, 1, 2))):
            fork = path[randint(stream, 0, len(path) - 1)]
            limb = fractal(
                stream, fork, fork + random_vector(stream, randint(stream, 120, 700)), roughness
            )
            thinner = width * randint(stream, 60, 170) >> 8
            polygons.append(ragged_outline(stream, limb, thinner, gaps, (False, True)))
    return polygons


def net(stream: PCG64) -> list[Ints]:
    """Map cracking: the edges of an irregular honeycomb, some of them missing."""
    cell, width, missing = (
        randint(stream, 130, 300),
        randint(stream, 12, 28),
        randint(stream, 0, 30),
    )
    n = 4 * SIZE // cell + 4
    corners = randints(stream, -cell // 3, cell // 3, n, n, 2) - cell
    corners += np.stack(np.meshgrid(np.arange(n), np.arange(n)), axis=2).astype(np.int32) * cell
    polygons = []
    for i in range(n - 1):
        for j in range(n - 1):
            for end in ((i, j + 1), (i + 1, j)):
                if (end[1] == j and (i + j) % 2 == 1) or chance(stream, missing):
                    continue  # skip every second rung, so that three edges meet in a corner
                path = fractal(stream, corners[i, j], corners[end], 40)
                polygons.append(ragged_outline(stream, path, width, 0, (False, False)))
    return polygons
