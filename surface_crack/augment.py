"""Change training photos at random in ways that leave a crack a crack."""

import torch
from torch import Tensor


def augment(
    images: Tensor, generator: torch.Generator, *, turns: bool, brightness: float, contrast: float
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
    if brightness or contrast:
        shape, device = (len(images), 1, 1, 1), images.device
        gain = 1 + contrast * (2 * torch.rand(shape, generator=generator).to(device) - 1)
        shift = 1 + brightness * (2 * torch.rand(shape, generator=generator).to(device) - 1)
        pixels = images.float()
        mean = pixels.mean(dim=(1, 2, 3), keepdim=True)
        pixels = (pixels - mean) * gain * shift + mean * shift
        images = pixels.round_().clamp_(0, 255).to(torch.uint8)
    return images
