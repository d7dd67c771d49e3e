"""Cracks, carved into a wall: through the frame, forked, or a net of them."""

import numpy as np
from numpy.random import PCG64

from surface_crack.sample.chance import SIZE, Ints, chance, dice, die, noise, one_of, ramp
from surface_crack.sample.shapes import blurred, fractal, mask_of, ragged, ray
from surface_crack.sample.wall import STAINS, Wall, carve, tint

CRACK_WIDTH = (34, 64)  # quarter pixels
CRACK_DARKNESS = (243, 254)  # of 256: how much of the light a crack swallows
CRACK_ROUGHNESS = (12, 45)  # of 256: first displacement of a midpoint, in lengths of the crack
HAIRLINES = 1  # per cent of the cracks are a quarter as wide, and paler
MAP_CRACKING = 3  # per cent of the cracked photos


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
