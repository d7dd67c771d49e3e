"""CrackNet: one photo in, one crack logit out.

It is fully convolutional and uses no padding, so that a tile's features depend on its own pixels
alone: a whole photo scored in one pass agrees with its tiles scored one by one.

Blocks follow the conv-norm-ReLU order of Ioffe & Szegedy 2015, https://arxiv.org/abs/1502.03167.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from surface_crack.network.normalised import CELL, Normalised
from surface_crack.project.geometry import STRIDE


class CrackNet(Normalised):
    """With a width of 16: 65 k parameters, about 3 million multiply-adds for 64 x 64 pixels.

    The head sees the mean and the maximum of each feature: a crack is thin, so the mean alone
    washes it out; the maximum alone reacts to one dark spot. With `context` layers more it sees
    features of a wider view, too, which tell a joint from a crack: one layer halves the
    resolution, each further one sees 32 pixels more.
    """

    rim = 4  # pixels of a photo outside all cells of `looked_at`: without padding, some are lost

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
        self.features = nn.Sequential(  # 64 x 64 pixels become
            _block(3, w, kernel=CELL, stride=CELL),  # 16 x 16
            _block(w, 2 * w, kernel=3),  # 14 x 14
            _block(2 * w, 2 * w, kernel=2, stride=2),  # 7 x 7
            _block(2 * w, 4 * w, kernel=3),  # 5 x 5
            _block(4 * w, 4 * w, kernel=3),  # 3 x 3
        )
        layers = [_block(4 * w, 4 * w, kernel=3, stride=1 if n else 2) for n in range(context)]
        self.context = nn.Sequential(*layers)  # of the 19 x 19 of 192 x 192: 9 x 9, 7 x 7, 5 x 5
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear((4 if context else 2) * 4 * w, 1)

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (B, 3, H, W) -> float32 logits (B,)."""
        levels = self.levels(self.normalise(images))
        pooled = [pool for x in levels for pool in (x.mean(dim=(2, 3)), x.amax(dim=(2, 3)))]
        logits: Tensor = self.head(self.dropout(torch.cat(pooled, dim=1))).squeeze(1)
        return logits.float()

    def levels(self, x: Tensor) -> list[Tensor]:
        """Normalised (B, 3, H, W) -> what the head sees: features, and with `context` those of a
        wider view, each (B, C, h, w).
        """
        features = self.features(x)
        return [features, self.context(features)] if len(self.context) else [features]

    @property  # an attribute would put the layer's weights into the model file a second time
    def looked_at(self) -> nn.Module:
        """The layer of heat maps: (B, 2 * width, 14, 14) of 64 x 64 pixels, cell i at 6 + 4 i.

        Cells of deeper layers see too much of the photo to tell where in it.
        """
        return self.features[1]

    def slide(self, levels: Sequence[Tensor], size: int, step: int) -> Tensor:
        """The `levels` of a photo -> logits (B, rows, columns) of its patches.

        Patches of `size` pixels that begin at multiples of `step`, both multiples of STRIDE, with
        `context` of CONTEXT_STRIDE: in eval mode equal to `forward` on each.
        """
        logits: Tensor = self.head.bias
        weight, count = self.head.weight[:, :, None, None], levels[0].shape[1]  # (1, n * C, 1, 1)
        weights = [weight[:, at : at + count] for at in range(0, weight.shape[1], count)]
        cells, stride = cells_of(size), step // STRIDE
        for x, of_mean, of_top in zip(levels, weights[::2], weights[1::2], strict=True):
            # The mean's share is summed over channels first: one channel to pool, not C.
            mean = _slide(functional.avg_pool2d, functional.conv2d(x, of_mean), cells, stride)
            top = functional.conv2d(_slide(functional.max_pool2d, x, cells, stride), of_top)
            logits = logits + mean + top
            cells, stride = context_cells(cells, len(self.context)), stride // 2
        return logits.squeeze(1).float()


def cells_of(size: int) -> int:
    """How many feature positions a tile of `size` pixels gives along each side."""
    return ((size // 4) - 2) // 2 - 4


def context_cells(cells: int, context: int) -> int:
    """How many of them are left after `context` more layers, the first of which halves them."""
    return (cells - 1) // 2 - 2 * (context - 1)


def _slide(pool: Callable[..., Tensor], x: Tensor, cells: int, stride: int) -> Tensor:
    """Pool (B, C, h, w) over windows of `cells` x `cells`: columns, then rows, which costs less."""
    return pool(pool(x, (cells, 1), (stride, 1)), (1, cells), (1, stride))


def _block(c_in: int, c_out: int, *, kernel: int, stride: int = 1) -> nn.Sequential:
    """(B, c_in, H, W) -> (B, c_out, (H - kernel) // stride + 1, likewise W)."""
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, stride, bias=False),  # the norm has one
        nn.BatchNorm2d(c_out),
        nn.ReLU(inplace=True),
    )
