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
        self.features, self.context = _folded(model.features), _folded(model.context)
        if model.by == "dataset":
            _normalise_inside(self.features[0], model)
        self.size, self.step, self.temperature = size, step, temperature
        self.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        images = pixels.permute(0, 3, 1, 2)  # channels_last without a copy
        x = images.float() if self.model.by == "dataset" else self.model.normalise(images)
        levels = [self.features(x)]
        if len(self.context):
            levels.append(self.context(levels[0]))
        logits = self.model.slide(levels, self.size, self.step)
        return torch.sigmoid(logits / self.temperature)


def _folded(blocks: nn.Sequential) -> nn.Sequential:
    """Layers with their norms inside the convolutions."""
    layers: list[nn.Module] = []
    for block in blocks:
        assert isinstance(block, nn.Sequential)
        convolution, norm, _ = block
        assert isinstance(convolution, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        layers += [fuse_conv_bn_eval(convolution, norm), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _normalise_inside(first: nn.Module, model: CrackNet) -> None:
    """Lets the first convolution take pixels as they are."""
    assert isinstance(first, nn.Conv2d)
    assert first.bias is not None
    first.weight.data /= model.std
    first.bias.data -= (first.weight.data * model.mean).sum(dim=(1, 2, 3))
