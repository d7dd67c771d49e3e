"""Random integers and noise fields, identical on every machine.

Random numbers come from the raw 64-bit words of PCG64 and SeedSequence, whose streams NumPy
guarantees (NEP 19), not from `Generator`, whose methods may change. Value noise in octaves:
Perlin 1985, doi 10.1145/325165.325247.
"""

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.random import PCG64
from numpy.typing import NDArray

SIZE = 227  # pixels, the side of a METU photo
Ints = NDArray[np.int32]
T = TypeVar("T")
Y, X = np.mgrid[:SIZE, :SIZE].astype(np.int32)


def randint(stream: PCG64, low: int, high: int) -> int:
    return low + (int(stream.random_raw()) * (high - low + 1) >> 64)


def randints(stream: PCG64, low: int, high: int, *shape: int) -> Ints:
    """int32 `shape`, uniform in [low, high]; high - low must be less than 32,768."""
    n = math.prod(shape)
    quarters = stream.random_raw(n // 4 + 1).astype("<u8").view("<u2")[:n].astype(np.int32)
    return (low + (quarters * (high - low + 1) >> 16)).reshape(shape)


def choice(stream: PCG64, choices: Sequence[T]) -> T:
    return choices[randint(stream, 0, len(choices) - 1)]


def chance(stream: PCG64, percent: int) -> bool:
    return randint(stream, 1, 100) <= percent


def smoothed(field: Ints) -> Ints:
    """(..., H, W) smoothed with the kernel 1 2 1 along both axes."""
    f = np.concatenate([field[..., :1, :], field, field[..., -1:, :]], axis=-2)
    f = f[..., :-2, :] + 2 * f[..., 1:-1, :] + f[..., 2:, :]
    f = np.concatenate([f[..., :1], f, f[..., -1:]], axis=-1)
    mean: Ints = f[..., :-2] + 2 * f[..., 1:-1] + f[..., 2:] >> 4
    return mean


def stretch(lattice: Ints, cell: int, offset: int, length: int) -> Ints:
    """(n, ...) -> (length, ...): smooth interpolation between rows `cell` pixels apart."""
    at = np.arange(offset, offset + length, dtype=np.int32)
    t = at % cell * 256 // cell
    weight = (t * t * (768 - 2 * t) >> 16).reshape(-1, *[1] * (lattice.ndim - 1))
    step = (lattice[1:] - lattice[:-1])[at // cell]  # in-place from here on: twice as fast
    step *= weight
    step >>= 8
    step += lattice[at // cell]
    return step


def noise(stream: PCG64, cell: int, tall: int = 1) -> Ints:
    """int32 (SIZE, SIZE), about [-512, 512]: one octave; cells are `tall` times as high as wide.

    The lattice is smoothed first: plain value noise has artefacts along the axes.
    """
    lattice = smoothed(randints(stream, -1200, 1200, SIZE // (cell * tall) + 3, SIZE // cell + 3))
    columns = stretch(lattice.T, cell, randint(stream, 0, cell - 1), SIZE)
    return stretch(columns.T.copy(), cell * tall, randint(stream, 0, cell * tall - 1), SIZE)


def clouds(stream: PCG64, cell: int) -> Ints:
    """int32 (SIZE, SIZE), about [-900, 900]: three octaves, blotches with ragged outlines."""
    return noise(stream, cell) + noise(stream, cell // 3) // 2 + noise(stream, cell // 9 + 1) // 4


def ramp(field: Ints, level: int, slope: int) -> Ints:
    """Mask in [0, 255] that grows with the height of `field` above `level`."""
    mask: Ints = np.clip((field - level) * slope >> 4, 0, 255)
    return mask
