"""The network as a scorer of patches: pixels as they are decoded in, probabilities out.

Normalisation, pooling and calibration are inside. It runs as it is, and it is what `export` writes:
PyTorch and ONNX Runtime compute the same. What is linear is folded into the convolutions, which
without padding is exact: scoring a large photo then takes PyTorch a quarter less time.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from surface_crack.model import CrackNet


class Patches(nn.Module):
    """uint8 (B, H, W, 3) -> float32 calibrated P(crack) (B, rows, columns).

    Of all patches of `size` pixels that begin at multiples of `step`. Where each patch is
    normalised by itself (`photo`), H and W must be `size`, and there is one row and one column.
    """

    def __init__(self, model: CrackNet, size: int, step: int, temperature: float) -> None:
        super().__init__()
        self.model = model.eval()
        self.layers = _folded(model)
        self.size, self.step, self.temperature = size, step, temperature
        self.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        images = pixels.permute(0, 3, 1, 2)  # channels_last without a copy
        x = images.float() if self.model.by == "dataset" else self.model.normalise(images)
        logits = self.model.slide(self.layers(x), self.size, self.step)
        return torch.sigmoid(logits / self.temperature)


def _folded(model: CrackNet) -> nn.Sequential:
    """The network's features: of pixels, or of what is normalised by its own photo's."""
    layers: list[nn.Module] = []
    for block in model.features:
        assert isinstance(block, nn.Sequential)
        convolution, norm, _ = block
        assert isinstance(convolution, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        layers += [fuse_conv_bn_eval(convolution, norm), nn.ReLU(inplace=True)]
    if model.by == "dataset":
        first = layers[0]
        assert isinstance(first, nn.Conv2d)
        assert first.bias is not None
        first.weight.data /= model.std
        first.bias.data -= (first.weight.data * model.mean).sum(dim=(1, 2, 3))
    return nn.Sequential(*layers)
