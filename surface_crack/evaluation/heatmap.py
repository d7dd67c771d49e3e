"""Heat maps: how much each place in a photo raises the crack logit.

HiResCAM, Draelos & Carin 2020, https://arxiv.org/abs/2011.08891: activation times gradient at each
place, summed over channels. Grad-CAM averages the gradient over the photo first and may therefore
highlight places that the network did not use.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from surface_crack.network.model import Model

BATCH = 16  # photos per pass; bounds the memory for activations and gradients


def heat_maps(model: Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """uint8 (n, S, S, 3) -> float32 (n, S, S) >= 0: the contribution of each place to the logit.

    In nats per cell of `model.heatmap_layer`, on one scale, so that photos can be compared.
    Values between cell centres are interpolated; the rim repeats the nearest value.
    """
    model.eval()
    heat = np.empty(images.shape[:3], np.float32)
    for start in range(0, len(images), BATCH):
        chosen = slice(start, start + BATCH)
        heat[chosen] = _heat(model, torch.from_numpy(images[chosen])).cpu().numpy()
    return heat


def _heat(model: Model, images: Tensor) -> Tensor:
    """uint8 (B, S, S, 3) -> float32 (B, S, S) on the model's device."""
    kept: list[Tensor] = []

    def keep(_: object, __: object, output: Tensor) -> Tensor:
        output = output.detach().requires_grad_()  # the gradient stops here
        kept.append(output)
        return output

    device = next(model.parameters()).device
    hook = model.heatmap_layer.register_forward_hook(keep)
    try:
        logits = model(images.permute(0, 3, 1, 2).to(device))
    finally:
        hook.remove()
    (gradient,) = torch.autograd.grad(logits.sum(), kept)
    heat = (gradient * kept[0]).detach().sum(dim=1, keepdim=True).relu()  # (B, 1, h, w)
    inner = images.shape[1] - 2 * model.rim
    heat = functional.interpolate(heat, size=(inner, inner), mode="bilinear", align_corners=False)
    return functional.pad(heat, [model.rim] * 4, mode="replicate")[:, 0]
