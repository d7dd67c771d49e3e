"""What both networks do to pixels first.

Pixel mean and std are buffers. They are saved with the weights, so no caller can forget to
normalise, or normalise with another data set's numbers. With `normalise` photo, each photo's own
brightness and contrast are taken out as well, with `local` those around each pixel: what is left
looks alike on every site.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from surface_crack.project.geometry import HALO, NORMALISE, SQUARE

FLAT = 0.2  # spread of a photo, in stds of the training pixels, below which it is not blown up
CELL = 4  # stride of the first layer: so many pixels a side are normalised alike
SQUARES = 7  # of SQUARE pixels, a side of the window around a pixel: 112 pixels
assert (SQUARES // 2 + 1) * SQUARE <= HALO, "one more, for what is interpolated"


class Normalised(nn.Module):
    """What both networks share: pixels in [0, 255] -> zero mean, unit variance per channel."""

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
            raise ValueError(f"want uint8 (B, 3, H, W), got {images.dtype} {tuple(images.shape)}")
        x = torch.addcmul(-self.mean / self.std, images, 1 / self.std)
        if self.by == "local":
            return by_surroundings(x)
        if self.by == "photo":
            x -= x.mean(dim=(2, 3), keepdim=True)  # each channel's own, which takes out casts
            norm = torch.linalg.vector_norm(x, dim=(1, 2, 3), keepdim=True)
            x /= norm / math.sqrt(x[0].numel()) + FLAT
        return x


def by_surroundings(x: Tensor) -> Tensor:
    """Take out the brightness and contrast around each pixel: (B, 3, H, W), H and W multiples of
    SQUARE -> the same.

    From each pixel the mean of its `surroundings` is taken, channel by channel; all channels are
    divided by one spread of theirs, plus FLAT. So a pixel depends on what lies within HALO of it,
    and a whole photo can be scored in one pass: in its middle a patch then sees what is around it,
    which a file of the patch alone does not show.
    """
    pixels = torch.cat([x, (x * x).mean(1, keepdim=True)], 1)
    mean, spread = surroundings(functional.avg_pool2d(pixels, SQUARE))
    height, width = x.shape[2:]
    by_cell = len(x), -1, height // CELL, CELL, width // CELL, CELL
    mean, spread = mean[:, :, :, None, :, None], spread[:, :, :, None, :, None]
    normalised = (x.reshape(by_cell) - mean) / (spread + FLAT)
    return normalised.flatten(4, 5).flatten(2, 3)


def surroundings(squares: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (B, 3, H, W) and spread (B, 1, H, W) around each cell of CELL pixels a side.

    `squares` (B, 4, h, w) are means of SQUARE pixels a side: of the three channels, and of their
    squares. Both come from a window of SQUARES, of which only those inside the photo count, and are
    interpolated in between.
    """
    half = SQUARES // 2  # columns, then rows, which costs less
    window = functional.avg_pool2d(squares, (SQUARES, 1), 1, (half, 0), count_include_pad=False)
    window = functional.avg_pool2d(window, (1, SQUARES), 1, (0, half), count_include_pad=False)
    mean, power = window[:, :3], window[:, 3:]
    spread = (power - (mean * mean).mean(1, keepdim=True)).clamp(min=0).sqrt()
    around = functional.interpolate(
        torch.cat([mean, spread], 1), scale_factor=SQUARE // CELL, mode="bilinear"
    )
    return around[:, :3], around[:, 3:]
