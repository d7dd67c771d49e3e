"""The network as a module from decoded pixels to calibrated probabilities of all patches.

It includes normalisation, pooling and calibration. `load_scorer` runs it and `export` writes it, so
PyTorch and ONNX Runtime compute the same. Linear steps are folded into the convolutions, which is
exact without padding and makes PyTorch a quarter faster on large photos.

The names of modules and parameters are part of the exported file: renaming one changes its bytes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from surface_crack.network.cracknet import CrackNet
from surface_crack.network.normalised import CELL, FLAT, local_mean_and_std
from surface_crack.project.geometry import SQUARE


class Patches(nn.Module):
    """uint8 (B, H, W, 3) -> float32 calibrated P(crack) (B, rows, columns).

    Scores all patches of `size` pixels that start at multiples of `step`. If each patch is
    normalised by itself (`normalise: photo`), H and W must be `size`, and there is one row and one
    column.
    """

    def __init__(self, model: CrackNet, size: int, step: int, temperature: float) -> None:
        super().__init__()
        self.model = model.eval()
        self.features, self.context = _folded(model.features), _folded(model.context)
        if model.by != "photo":
            self.surroundings = _Surroundings(model) if model.by == "local" else None
            _normalise_inside(self.features[0], model)
        self.size, self.step, self.temperature = size, step, temperature
        self.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        images = pixels.permute(0, 3, 1, 2)  # channels_last without a copy
        if self.model.by == "photo":
            x = self.features(self.model.normalise(images))
        else:
            x = images.float()
            first, others = self.features[0], self.features[1:]
            x = others(self.surroundings(x, first(x)) if self.surroundings else first(x))
        levels = [x]
        if len(self.context):
            levels.append(self.context(x))
        logits = self.model.slide(levels, self.size, self.step)
        return torch.sigmoid(logits / self.temperature)


class _Surroundings(nn.Module):
    """`normalise_locally`, applied after the first layer instead of before it.

    Each output of the first layer covers one cell of pixels that share their local mean and std.
    The layer is linear, so its output can be normalised instead, at a sixteenth of the cost.
    """

    def __init__(self, model: CrackNet) -> None:
        super().__init__()
        first = _folded(model.features)[0]
        assert isinstance(first, nn.Conv2d)
        assert first.bias is not None
        mean, std = model.mean.flatten(), model.std.flatten()
        # Means of the normalised pixels, and the linear part of their mean square.
        self.means = nn.Conv2d(3, 4, CELL, CELL)
        share = torch.cat([torch.diag(1 / std), (-2 * mean / std**2 / 3)[None]]) / CELL**2
        self.means.weight.data = share[:, :, None, None].repeat(1, 1, CELL, CELL)
        beside = torch.cat([-mean / std, ((mean / std) ** 2).mean()[None]])
        self.means.bias = nn.Parameter(beside)
        self.squares = nn.Conv2d(3, 1, CELL, CELL, bias=False)
        share = (1 / std**2 / 3 / CELL**2)[None, :, None, None]
        self.squares.weight.data = share.repeat(1, 1, CELL, CELL)
        # Response of the first layer to a constant input.
        self.of_mean = nn.Conv2d(3, first.out_channels, 1, bias=False)
        self.of_mean.weight.data = first.weight.data.sum((2, 3), keepdim=True)
        self.bias = nn.Parameter(first.bias.data[:, None, None].clone())

    def forward(self, pixels: Tensor, first: Tensor) -> Tensor:
        """Normalise the first layer's output for pixels (B, 3, H, W)."""
        means, squares = self.means(pixels), self.squares(pixels * pixels)
        cells = torch.cat([means[:, :3], means[:, 3:] + squares], 1)
        mean, spread = local_mean_and_std(functional.avg_pool2d(cells, SQUARE // CELL))
        found: Tensor = (first - self.bias - self.of_mean(mean)) / (spread + FLAT) + self.bias
        return found


def _folded(blocks: nn.Sequential) -> nn.Sequential:
    """Fold each batch norm into its convolution."""
    layers: list[nn.Module] = []
    for block in blocks:
        assert isinstance(block, nn.Sequential)
        convolution, norm, _ = block
        assert isinstance(convolution, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        layers += [fuse_conv_bn_eval(convolution, norm), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _normalise_inside(first: nn.Module, model: CrackNet) -> None:
    """Fold the pixel normalisation into the first convolution."""
    assert isinstance(first, nn.Conv2d)
    assert first.bias is not None
    first.weight.data /= model.std
    first.bias.data -= (first.weight.data * model.mean).sum(dim=(1, 2, 3))
