"""Change training photos at random in ways that leave a crack a crack."""

import torch
from torch import Tensor


def augment(
    images: Tensor,
    generator: torch.Generator,
    *,
    turns: bool,
    brightness: float,
    contrast: float,
    gamma: float,
) -> Tensor:
    """uint8 (B, 3, S, S) -> the same shape.

    A batch comes shuffled, so giving each of the eight mirrored and turned versions every eighth
    photo is as random as drawing one for each, and needs eight operations instead of B. Which
    version comes first is drawn, for batches too small to hold all eight.
    """
    if turns:
        images = images.clone(memory_format=torch.channels_last)
        first = int(torch.randint(8, (), generator=generator))
        for place in range(8):
            version = (first + place) % 8
            photos = images[place::8]
            if version >= 4:
                photos = photos.flip(3)
            images[place::8] = photos.rot90(version % 4, dims=(2, 3))

    def drawn(width: float) -> Tensor:
        """(B, 1, 1, 1), evenly from [-width, width]."""
        draws = torch.rand((len(images), 1, 1, 1), generator=generator)
        return width * (2 * draws.to(images.device) - 1)

    if brightness or contrast or gamma:
        pixels = images.float()
        if brightness or contrast:
            gain, shift = 1 + drawn(contrast), 1 + drawn(brightness)
            mean = pixels.mean(dim=(1, 2, 3), keepdim=True)
            pixels = (pixels - mean) * gain * shift + mean * shift
        if gamma:
            pixels = 255 * (pixels.clamp_(0, 255) / 255).pow_(drawn(gamma).exp())
        images = pixels.round_().clamp_(0, 255).to(torch.uint8)
    return images
