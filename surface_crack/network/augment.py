"""Random augmentation of training photos that preserves their labels."""

import torch
from torch import Tensor


def augment(
    images: Tensor,
    generator: torch.Generator,
    *,
    flips: bool,
    brightness: float,
    contrast: float,
    gamma: float,
) -> Tensor:
    """uint8 (B, 3, S, S) -> the same shape.

    With `flips`, each of the eight combinations of mirroring and quarter turns goes to every eighth
    photo. As batches are shuffled, this is as random as one draw per photo, with eight operations
    instead of B. The first combination is drawn, so that batches of fewer than eight use all.
    """
    if flips:
        images = images.clone(memory_format=torch.channels_last)
        first = int(torch.randint(8, (), generator=generator))
        for offset in range(8):
            version = (first + offset) % 8
            photos = images[offset::8]
            if version >= 4:
                photos = photos.flip(3)
            images[offset::8] = photos.rot90(version % 4, dims=(2, 3))

    if brightness or contrast or gamma:
        pixels = images.permute(0, 2, 3, 1).flatten(1)  # (B, S * S * 3)

        def uniform(width: float) -> Tensor:
            """(B, 1), uniform in [-width, width]."""
            draws = torch.rand((len(images), 1), generator=generator)
            return width * (2 * draws.to(images.device) - 1)

        # A pixel's new value depends only on its old one: one lookup table of 256 per photo.
        table = torch.arange(256.0, device=images.device).expand(len(images), 256)
        if brightness or contrast:
            gain, shift = 1 + uniform(contrast), 1 + uniform(brightness)
            mean = pixels.float().mean(dim=1, keepdim=True)
            table = (table - mean) * gain * shift + mean * shift
        if gamma:
            table = 255 * (table.clamp(0, 255) / 255).pow(uniform(gamma).exp())
        table = table.round().clamp(0, 255).to(torch.uint8)
        changed = table.gather(1, pixels.long())
        images = changed.view(images.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)
    return images
