"""A concrete wall: a height map (sand, pores, trowel marks), lit from one side; a colour map
(stains, aggregate, lime); and a map of the incident light.

Relief as in bump mapping: Blinn 1978, doi 10.1145/965139.507101.
"""

from collections.abc import Sequence
from typing import NamedTuple

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
    stretch,
)
from surface_crack.sample.shapes import blob, blurred, random_vector, rasterised

PORES = (1, 2, 5, 12, 25)  # air voids in a photo; one of these is drawn
PORE_DARKNESS = (150, 254)  # of 256
ROUGHNESS = (4, 6, 10, 16, 32)  # amplitude of the sand; one of these is drawn

# fmt: off
TINTS = (  # of 256: reflectance of concrete in red, green and blue
    (256, 256, 254), (252, 256, 258), (268, 257, 240), (278, 258, 228), (256, 260, 240),
    (236, 254, 282), (266, 254, 250), (246, 255, 264), (262, 256, 246),
)
SOOT, LIME = (160, 160, 162), (305, 305, 302)  # of 256; below: also rust, moss, damp and dust
STAINS = (SOOT, LIME, (235, 205, 165), (195, 208, 170), (195, 196, 202), (285, 275, 258))
# fmt: on


class Wall(NamedTuple):
    """int32 arrays, modified in place."""

    height: Ints  # (SIZE, SIZE), about -1000 to 1000
    colour: Ints  # (3, SIZE, SIZE), 16 units per grey level
    light: Ints  # (SIZE, SIZE), 256 is full light


def tint(wall: Wall, mask: Ints, stain: Sequence[int], strength: int) -> None:
    """Stain the masked area; `strength` is of 256."""
    for channel, factor in zip(wall.colour, stain, strict=True):
        channel += (channel * (factor - 256) >> 8) * (mask * strength >> 8) >> 8


def carve(wall: Wall, mask: Ints, darkness: int, lip: int) -> None:
    """Carve the masked area into the wall; `lip` (up to 100) rounds the rim, to catch light."""
    wall.height[:] -= blurred(mask, 1) * lip >> 5
    depth = (5 * mask + 3 * blurred(mask, 3)) >> 3  # darker towards the middle
    wall.colour[:] -= wall.colour * (depth * darkness // 255) >> 8


def place(wall: Wall, mask: Ints, colour: Sequence[int], drop: tuple[int, int]) -> None:
    """Place an object on the surface; its shadow is offset by `drop` pixels (x, y)."""
    shadow = np.roll(blurred(mask, 2), drop, (1, 0)) * (255 - mask) // 255
    wall.light[:] -= wall.light * shadow * 5 >> 11
    wall.height[:] = (wall.height * (256 - mask) >> 8) + (blurred(mask, 1) + blurred(mask, 3))
    for channel, level in zip(wall.colour, colour, strict=True):
        channel += (level * 16 - channel) * mask >> 8


def relief(stream: PCG64) -> Ints:
    """Height map: sand at several scales, sometimes with grooves of a brush or a float."""
    rough = choice(stream, ROUGHNESS)
    height = randints(stream, -64, 64, SIZE, SIZE) * rough >> 5
    for cell, strength in ((2, 14), (4, 16), (7, 20), (15, 26), (40, 50)):
        height += noise(stream, cell) * (rough * strength * randint(stream, 2, 10)) >> 14
    if chance(stream, 30):
        x, y = random_vector(stream, 64)
        across = ((X * x + Y * y) >> 6) + (noise(stream, 60) >> randint(stream, 5, 8)) + 2 * SIZE
        for cell in (2, 5, 11):
            groove = stretch(randints(stream, -512, 511, 5 * SIZE // cell + 3), cell, 0, 5 * SIZE)
            height += groove[across] * randint(stream, 0, 40) >> 8
    return height


def concrete(stream: PCG64) -> Wall:
    """Bare concrete under uneven light, the same for both classes."""
    height = relief(stream)
    shine = 256 + randints(stream, -6, 6, SIZE, SIZE)
    for cell in (2, 4, 9, 22, 80):
        shine += noise(stream, cell) * randint(stream, 2, 20) >> 9
    tints = np.array(choice(stream, TINTS), np.int32)
    middle = SIZE // 2 + randints(stream, -60, 60, 2)
    vignette = ((X - middle[0]) ** 2 + (Y - middle[1]) ** 2) * randint(stream, 0, 45) >> 14
    slant = (X - SIZE // 2) * randint(stream, -50, 50) + (Y - SIZE // 2) * randint(
        stream, -50, 50
    ) >> 7
    light = 256 + slant - vignette + noise(stream, 130) * randint(stream, 0, 20) // 512
    wall = Wall(height, 10 * tints[:, None, None] * shine >> 8, light)
    if chance(stream, 60):
        aggregate(stream, wall)
    for _ in range(randint(stream, 0, 2)):
        field, slope = clouds(stream, randint(stream, 30, 170)), choice(stream, (6, 12, 40))
        mask = ramp(field, randint(stream, 0, 400), slope)
        tint(wall, mask, choice(stream, STAINS), randint(stream, 20, 130))
    pores(stream, wall)
    return wall


def aggregate(stream: PCG64, wall: Wall) -> None:
    """Add stones and sand of other colours."""
    grains, tone = noise(stream, randint(stream, 2, 4)), noise(stream, 3)
    grains = ramp(grains, randint(stream, 150, 500), randint(stream, 6, 20))
    for side in (tone, -tone):
        mask = grains * np.clip(side, 0, 255) >> 8
        tint(wall, mask, choice(stream, STAINS), randint(stream, 30, 220))
    wall.height[:] += grains * randint(stream, 0, 16) >> 5


def pores(stream: PCG64, wall: Wall) -> None:
    holes = []
    for _ in range(choice(stream, PORES)):
        radius = choice(stream, (2, 2, 3, 4, 6, 8))
        holes.append(blob(stream, randints(stream, 0, 4 * SIZE, 2), radius, 4))
    carve(wall, rasterised(holes), randint(stream, *PORE_DARKNESS), randint(stream, 10, 60))
