"""The networks: one photo in, one crack logit out.

CrackNet is fully convolutional and uses no padding, so that a tile's features depend on its own
pixels alone: a whole photo scored in one pass agrees with its tiles scored one by one.
Pixel mean and std are buffers. They are saved with the weights, so no caller can forget to
normalise, or normalise with another data set's numbers. With `normalise` photo, each photo's own
brightness and contrast are taken out as well, with `local` those around each pixel: what is left
looks alike on every site.

Blocks follow the conv-norm-ReLU order of Ioffe & Szegedy 2015, https://arxiv.org/abs/1502.03167.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from surface_crack.params import HALO, NORMALISE, SQUARE, STRIDE

FLAT = 0.2  # spread of a photo, in stds of the training pixels, below which it is not blown up
CELL = 4  # stride of the first layer: so many pixels a side are normalised alike
SQUARES = 7  # of SQUARE pixels, a side of the window around a pixel: 112 pixels
assert (SQUARES // 2 + 1) * SQUARE <= HALO, "one more, for what is interpolated"


class _Normalised(nn.Module):
    """What both networks share: pixels in [0, 255] -> zero mean, unit variance per channel."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float], normalise: str) -> None:
        super().__init__()
        if normalise not in NORMALISE:
            raise ValueError(f"normalise must be one of {', '.join(NORMALISE)}, got {normalise!r}")
        self.by = normalise
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ValueError(f"mean and std must be 3 RGB values, std > 0; got {mean}, {std}")
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, 3, 1, 1))

    def normalise(self, images: Tensor) -> Tensor:
        """uint8 (B, 3, H, W) -> float32 (B, 3, H, W)."""
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"want uint8 (B, 3, H, W), got {images.dtype} {tuple(images.shape)}")
        x = torch.addcmul(-self.mean / self.std, images, 1 / self.std)
        if self.by == "local":
            return by_surroundings(x)
        if self.by == "photo":
            x -= x.mean(dim=(2, 3), keepdim=True)  # each channel's own, which takes out casts
            norm = torch.linalg.vector_norm(x, dim=(1, 2, 3), keepdim=True)
            x /= norm / math.sqrt(x[0].numel()) + FLAT
        return x


def by_surroundings(x: Tensor) -> Tensor:
    """Take out the brightness and contrast around each pixel: (B, 3, H, W), H and W multiples of
    SQUARE -> the same.

    From each pixel the mean of its `surroundings` is taken, channel by channel; all channels are
    divided by one spread of theirs, plus FLAT. So a pixel depends on what lies within HALO of it,
    and a whole photo can be scored in one pass: in its middle a patch then sees what is around it,
    which a file of the patch alone does not show.
    """
    pixels = torch.cat([x, (x * x).mean(1, keepdim=True)], 1)
    mean, spread = surroundings(functional.avg_pool2d(pixels, SQUARE))
    height, width = x.shape[2:]
    by_cell = len(x), -1, height // CELL, CELL, width // CELL, CELL
    mean, spread = mean[:, :, :, None, :, None], spread[:, :, :, None, :, None]
    normalised = (x.reshape(by_cell) - mean) / (spread + FLAT)
    return normalised.flatten(4, 5).flatten(2, 3)


def surroundings(squares: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (B, 3, H, W) and spread (B, 1, H, W) around each cell of CELL pixels a side.

    `squares` (B, 4, h, w) are means of SQUARE pixels a side: of the three channels, and of their
    squares. Both come from a window of SQUARES, of which only those inside the photo count, and are
    interpolated in between.
    """
    half = SQUARES // 2  # columns, then rows, which costs less
    window = functional.avg_pool2d(squares, (SQUARES, 1), 1, (half, 0), count_include_pad=False)
    window = functional.avg_pool2d(window, (1, SQUARES), 1, (0, half), count_include_pad=False)
    mean, power = window[:, :3], window[:, 3:]
    spread = (power - (mean * mean).mean(1, keepdim=True)).clamp(min=0).sqrt()
    around = functional.interpolate(
        torch.cat([mean, spread], 1), scale_factor=SQUARE // CELL, mode="bilinear"
    )
    return around[:, :3], around[:, 3:]


class CrackNet(_Normalised):
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


class NotebookNet(_Normalised):
    """The network of the notebook that this project began with, as its baseline.

    120 x 120 pixels, grey, three convolutions, 7.5 M parameters, nearly all in the first dense
    layer. That layer fixes the input size: this network cannot score a photo in one pass.
    """

    rim = 0  # its padding keeps the edge

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        dropout: float,
        normalise: str = "dataset",
    ) -> None:
        super().__init__(mean, std, normalise)
        layers: list[nn.Module] = []
        for c_in, c_out in ((1, 64), (64, 64), (64, 128)):  # 120 -> 60 -> 30 -> 15
            layers += [nn.Conv2d(c_in, c_out, 3, padding=1), nn.ReLU()]
            layers += [nn.BatchNorm2d(c_out), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers, nn.Flatten())
        self.head = nn.Sequential(
            nn.Linear(128 * 15 * 15, 256), nn.ReLU(), nn.Dropout(dropout), nn.Linear(256, 1)
        )

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (B, 3, 120, 120) -> float32 logits (B,)."""
        # Not at the top: torchvision takes a second to import, which CrackNet need not wait for.
        from torchvision.transforms.v2.functional import rgb_to_grayscale

        x = rgb_to_grayscale(self.normalise(images))  # (B, 1, 120, 120)
        return self.head(self.features(x)).squeeze(1).float()  # type: ignore[no-any-return]

    @property
    def looked_at(self) -> nn.Module:
        """The layer of heat maps: (B, 128, 15, 15), cell i at pixel 4 + 8 i."""
        return self.features[-2]  # all that is left is flat


Model = CrackNet | NotebookNet


def build_model(
    name: str,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    dropout: float,
    width: int,
    normalise: str,
    context: int = 0,
) -> Model:
    """Arguments as in params.yaml; the notebook's network has the width that it has."""
    if name == "notebook":
        return NotebookNet(mean, std, dropout, normalise)
    if name == "cracknet":
        return CrackNet(mean, std, dropout, width, normalise, context)
    raise ValueError(f"model must be cracknet or notebook, got {name!r}")
