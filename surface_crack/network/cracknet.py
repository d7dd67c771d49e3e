"""CrackNet: maps a photo to one crack logit.

It is fully convolutional without padding, so a patch's features depend only on its own pixels:
scoring a whole photo in one pass gives the same logits as scoring its patches one by one.

Blocks are conv-norm-ReLU, as in Ioffe & Szegedy 2015, https://arxiv.org/abs/1502.03167.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from surface_crack.network.normalised import CELL, Normalised
from surface_crack.project.geometry import STRIDE


class CrackNet(Normalised):
    """With width 16: 65 k parameters, about 3 million multiply-adds for 64 x 64 pixels.

    The head gets the mean and the maximum of each feature map: the mean alone dilutes a thin crack,
    the maximum alone reacts to a single dark spot. With `context` extra layers it also gets
    features with a larger receptive field, which help to tell joints from cracks: the first of them
    halves the resolution, each further one adds 32 pixels to the receptive field.
    """

    rim = 4  # border pixels of a photo that no cell of `heatmap_layer` covers (no padding)

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        dropout: float,
        width: int = 16,
        normalise: str = "dataset",
        context: int = 0,
    ) -> None:
        super().__init__(mean, std, normalise)
        w = width
        self.features = nn.Sequential(  # sizes for an input of 64 x 64:
            _block(3, w, kernel=CELL, stride=CELL),  # 16 x 16
            _block(w, 2 * w, kernel=3),  # 14 x 14
            _block(2 * w, 2 * w, kernel=2, stride=2),  # 7 x 7
            _block(2 * w, 4 * w, kernel=3),  # 5 x 5
            _block(4 * w, 4 * w, kernel=3),  # 3 x 3
        )
        layers = [_block(4 * w, 4 * w, kernel=3, stride=1 if n else 2) for n in range(context)]
        self.context = nn.Sequential(*layers)  # for 192 x 192: 19 x 19 -> 9 x 9, 7 x 7, 5 x 5
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear((4 if context else 2) * 4 * w, 1)

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (B, 3, H, W) -> float32 logits (B,)."""
        levels = self.levels(self.normalise(images))
        pooled = [pool for x in levels for pool in (x.mean(dim=(2, 3)), x.amax(dim=(2, 3)))]
        logits: Tensor = self.head(self.dropout(torch.cat(pooled, dim=1))).squeeze(1)
        return logits.float()

    def levels(self, x: Tensor) -> list[Tensor]:
        """Normalised (B, 3, H, W) -> feature maps for the head, each (B, C, h, w): `features`, and
        those of the `context` layers, if any.
        """
        features = self.features(x)
        return [features, self.context(features)] if len(self.context) else [features]

    @property  # an attribute would register the layer twice, and save its weights twice
    def heatmap_layer(self) -> nn.Module:
        """The layer used for heat maps: (B, 2 * width, 14, 14) for an input of 64 x 64; cell i is
        centred on pixel 6 + 4 i. Deeper layers have too large a receptive field to localise.
        """
        return self.features[1]

    def slide(self, levels: Sequence[Tensor], size: int, step: int) -> Tensor:
        """Score all patches in one pass: `levels` of a photo -> logits (B, rows, columns).

        Patches of `size` pixels start at multiples of `step`; both are multiples of STRIDE, or of
        CONTEXT_STRIDE with `context`. In eval mode the logits equal `forward` on each patch.
        """
        logits: Tensor = self.head.bias
        weight, count = self.head.weight[:, :, None, None], levels[0].shape[1]  # (1, n * C, 1, 1)
        weights = [weight[:, at : at + count] for at in range(0, weight.shape[1], count)]
        cells, stride = feature_cells(size), step // STRIDE
        for x, mean_weight, max_weight in zip(levels, weights[::2], weights[1::2], strict=True):
            # Averaging commutes with the sum over channels: pool one channel instead of C.
            mean = _slide(functional.avg_pool2d, functional.conv2d(x, mean_weight), cells, stride)
            top = functional.conv2d(_slide(functional.max_pool2d, x, cells, stride), max_weight)
            logits = logits + mean + top
            cells, stride = context_cells(cells, len(self.context)), stride // 2
        return logits.squeeze(1).float()


def feature_cells(size: int) -> int:
    """Number of feature positions along each side of a patch of `size` pixels."""
    return ((size // 4) - 2) // 2 - 4


def context_cells(cells: int, context: int) -> int:
    """Number of positions left of `cells` after `context` layers, the first with stride 2."""
    return (cells - 1) // 2 - 2 * (context - 1)


def _slide(pool: Callable[..., Tensor], x: Tensor, cells: int, stride: int) -> Tensor:
    """Pool (B, C, h, w) over windows of `cells` x `cells`; separable, so columns, then rows."""
    return pool(pool(x, (cells, 1), (stride, 1)), (1, cells), (1, stride))


def _block(c_in: int, c_out: int, *, kernel: int, stride: int = 1) -> nn.Sequential:
    """(B, c_in, H, W) -> (B, c_out, (H - kernel) // stride + 1, likewise W)."""
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, stride, bias=False),  # the norm layer has a bias
        nn.BatchNorm2d(c_out),
        nn.ReLU(inplace=True),
    )
