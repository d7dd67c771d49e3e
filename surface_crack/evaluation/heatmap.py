"""Where a network looked: which places of a photo raised its crack logit.

HiResCAM, Draelos & Carin 2020, https://arxiv.org/abs/2011.08891: activation times gradient, place
by place, summed over channels. Grad-CAM averages the gradient over the photo first and may then
light up places that the network did not use.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from surface_crack.network.model import Model

BATCH = 16  # photos per pass: what the layers keep for the gradient bounds memory


def heat_maps(model: Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """uint8 (n, S, S, 3) -> float32 (n, S, S) >= 0: how much each place speaks for a crack.

    In nats of the logit per cell of `model.looked_at`, the same scale for all photos, so that maps
    compare. What lies between the centres of cells is interpolated; the rim takes its neighbour.
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
        output = output.detach().requires_grad_()  # all before it stays out of the gradient
        kept.append(output)
        return output

    device = next(model.parameters()).device
    hook = model.looked_at.register_forward_hook(keep)
    try:
        logits = model(images.permute(0, 3, 1, 2).to(device))
    finally:
        hook.remove()
    (gradient,) = torch.autograd.grad(logits.sum(), kept)
    heat = (gradient * kept[0]).detach().sum(dim=1, keepdim=True).relu()  # (B, 1, h, w)
    inner = images.shape[1] - 2 * model.rim
    heat = functional.interpolate(heat, size=(inner, inner), mode="bilinear", align_corners=False)
    return functional.pad(heat, [model.rim] * 4, mode="replicate")[:, 0]
