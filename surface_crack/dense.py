"""The network as a scorer of patches: pixels as they are decoded in, probabilities out.

Normalisation, pooling and calibration are inside. It runs as it is, and it is what `export` writes:
PyTorch and ONNX Runtime compute the same.
"""

import torch
from torch import Tensor, nn

from surface_crack.model import CrackNet


class Patches(nn.Module):
    """uint8 (B, H, W, 3) -> float32 calibrated P(crack) (B, rows, columns).

    Of all patches of `size` pixels that begin at multiples of `step`. Where each patch is
    normalised by itself, H and W must be `size`, and there is one row and one column.
    """

    def __init__(self, model: CrackNet, size: int, step: int, temperature: float) -> None:
        super().__init__()
        self.model = model
        self.size, self.step, self.temperature = size, step, temperature
        self.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        images = pixels.permute(0, 3, 1, 2)  # channels_last without a copy
        if self.model.by_photo:
            logits = self.model(images)[:, None, None]
        else:
            logits = self.model.patches(images, self.size, self.step)
        return torch.sigmoid(logits / self.temperature)
