"""The baseline: the network of the notebook that this project began with."""

from collections.abc import Sequence

from torch import Tensor, nn

from surface_crack.network.normalised import Normalised


class NotebookNet(Normalised):
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
