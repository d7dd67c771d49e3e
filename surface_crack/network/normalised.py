"""Pixel normalisation, the first step of both networks.

Pixel mean and std are buffers, saved with the weights, so no caller can forget to normalise or use
another data set's statistics. `normalise: photo` also removes each photo's own brightness and
contrast, `local` those around each pixel, to reduce differences between sites.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from surface_crack.project.geometry import HALO, NORMALISE, SQUARE

FLAT = 0.2  # added to the std, in stds of the training pixels: keeps flat photos from blowing up
CELL = 4  # stride of the first layer: blocks of this side share their local mean and std
SQUARES = 7  # side of the window around a pixel, in squares of SQUARE pixels: 112 pixels
assert (SQUARES // 2 + 1) * SQUARE <= HALO, "interpolation needs one more square"


class Normalised(nn.Module):
    """Base class of both networks: pixels in [0, 255] -> zero mean, unit variance per channel."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float], normalise: str) -> None:
        super().__init__()
        if normalise not in NORMALISE:
            raise ValueError(f"normalise must be one of {', '.join(NORMALISE)}, got {normalise!r}")
        self.by = normalise
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ValueError(f"mean and std must be 3 RGB values, std > 0; got {mean}, {std}")
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, 3, 1, 1))

    def normalise(self, images: Tensor) -> Tensor:
        """uint8 (B, 3, H, W) -> float32 (B, 3, H, W)."""
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            shape = tuple(images.shape)
            raise ValueError(f"images must be uint8 (B, 3, H, W), got {images.dtype} {shape}")
        x = torch.addcmul(-self.mean / self.std, images, 1 / self.std)
        if self.by == "local":
            return normalise_locally(x)
        if self.by == "photo":
            x -= x.mean(dim=(2, 3), keepdim=True)  # per channel, which removes colour casts
            norm = torch.linalg.vector_norm(x, dim=(1, 2, 3), keepdim=True)
            x /= norm / math.sqrt(x[0].numel()) + FLAT
        return x


def normalise_locally(x: Tensor) -> Tensor:
    """Remove local brightness and contrast: (B, 3, H, W) -> same shape; H, W multiples of SQUARE.

    Subtracts the local mean from each channel and divides all channels by one local std plus FLAT.
    A pixel depends only on those within HALO of it, so a whole photo can be scored in one pass.
    Inside a photo, a patch is then normalised with the pixels around it, which a file that holds
    the patch alone does not have.
    """
    pixels = torch.cat([x, (x * x).mean(1, keepdim=True)], 1)
    mean, std = local_mean_and_std(functional.avg_pool2d(pixels, SQUARE))
    height, width = x.shape[2:]
    by_cell = len(x), -1, height // CELL, CELL, width // CELL, CELL
    mean, std = mean[:, :, :, None, :, None], std[:, :, :, None, :, None]
    normalised = (x.reshape(by_cell) - mean) / (std + FLAT)
    return normalised.flatten(4, 5).flatten(2, 3)


def local_mean_and_std(squares: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (B, 3, H, W) and std (B, 1, H, W) around each cell of CELL x CELL pixels.

    `squares` (B, 4, h, w) are averages over SQUARE x SQUARE pixels: of the three channels, and of
    their squared values. Both statistics are taken over a window of SQUARES x SQUARES, clipped at
    the photo's edges, and interpolated bilinearly between windows.
    """
    half = SQUARES // 2  # separable: columns, then rows
    window = functional.avg_pool2d(squares, (SQUARES, 1), 1, (half, 0), count_include_pad=False)
    window = functional.avg_pool2d(window, (1, SQUARES), 1, (0, half), count_include_pad=False)
    mean, power = window[:, :3], window[:, 3:]
    std = (power - (mean * mean).mean(1, keepdim=True)).clamp(min=0).sqrt()
    by_cell = functional.interpolate(
        torch.cat([mean, std], 1), scale_factor=SQUARE // CELL, mode="bilinear"
    )
    return by_cell[:, :3], by_cell[:, 3:]
