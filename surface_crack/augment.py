"""Change training photos at random in ways that leave a crack a crack."""

import torch
from torch import Tensor
from torch.nn import functional

from surface_crack.params import CONTEXT_STRIDE


def augment(
    images: Tensor,
    generator: torch.Generator,
    *,
    turns: bool,
    brightness: float,
    contrast: float,
    gamma: float,
    zoom: float,
) -> Tensor:
    """uint8 (B, 3, S, S) -> the same shape, with `zoom` of another S, one for the whole batch.

    A batch comes shuffled, so giving each of the eight mirrored and turned versions every eighth
    photo is as random as drawing one for each, and needs eight operations instead of B. Which
    version comes first is drawn, for batches too small to hold all eight.
    """
    if zoom:
        images = _resized(images, zoom, generator)
    if turns:
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


def _resized(images: Tensor, zoom: float, generator: torch.Generator) -> Tensor:
    """To a side that is drawn from S * (1 -/+ zoom), in whole strides of the network."""
    step, side = CONTEXT_STRIDE // 2, images.shape[2]
    low, high = (round(side * scale / step) for scale in (1 - zoom, 1 + zoom))
    size = step * int(torch.randint(low, high + 1, (), generator=generator))
    if size == side:
        return images
    # In floats: on a GPU there is no resizing of whole numbers.
    x = images.float() if images.device.type != "cpu" else images
    x = functional.interpolate(x, (size, size), mode="bilinear", antialias=True)
    x = x.round().clamp(0, 255).to(torch.uint8) if x.is_floating_point() else x
    return x.contiguous(memory_format=torch.channels_last)
