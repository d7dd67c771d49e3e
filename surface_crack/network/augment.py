"""Change training photos at random in ways that leave a crack a crack."""

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

    A batch comes shuffled, so giving each of the eight mirrored and turned versions every eighth
    photo is as random as drawing one for each, and needs eight operations instead of B. Which
    version comes first is drawn, for batches too small to hold all eight.
    """
    if flips:
        images = images.clone(memory_format=torch.channels_last)
        first = int(torch.randint(8, (), generator=generator))
        for place in range(8):
            version = (first + place) % 8
            photos = images[place::8]
            if version >= 4:
                photos = photos.flip(3)
            images[place::8] = photos.rot90(version % 4, dims=(2, 3))

    if brightness or contrast or gamma:
        pixels = images.permute(0, 2, 3, 1).flatten(1)  # (B, S * S * 3)

        def drawn(width: float) -> Tensor:
            """(B, 1), evenly from [-width, width]."""
            draws = torch.rand((len(images), 1), generator=generator)
            return width * (2 * draws.to(images.device) - 1)

        # What becomes of a pixel hangs on its value alone: a table of 256 per photo tells it.
        table = torch.arange(256.0, device=images.device).expand(len(images), 256)
        if brightness or contrast:
            gain, shift = 1 + drawn(contrast), 1 + drawn(brightness)
            mean = pixels.float().mean(dim=1, keepdim=True)
            table = (table - mean) * gain * shift + mean * shift
        if gamma:
            table = 255 * (table.clamp(0, 255) / 255).pow(drawn(gamma).exp())
        table = table.round().clamp(0, 255).to(torch.uint8)
        changed = table.gather(1, pixels.long())
        images = changed.view(images.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)
    return images
