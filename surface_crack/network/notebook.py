"""The baseline: the CNN of the notebook that this project started from."""

from collections.abc import Sequence

from torch import Tensor, nn

from surface_crack.network.normalised import Normalised


class NotebookNet(Normalised):
    """The notebook's CNN, as a baseline.

    Greyscale 120 x 120 pixels, three convolutions, 7.5 M parameters, nearly all in the first dense
    layer. That layer fixes the input size, so this network cannot score a whole photo in one pass.
    """

    rim = 0  # padding covers the border

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
        # Imported here because torchvision takes a second to import, and CrackNet does not need it.
        from torchvision.transforms.v2.functional import rgb_to_grayscale

        x = rgb_to_grayscale(self.normalise(images))  # (B, 1, 120, 120)
        return self.head(self.features(x)).squeeze(1).float()  # type: ignore[no-any-return]

    @property
    def heatmap_layer(self) -> nn.Module:
        """The layer used for heat maps: (B, 128, 15, 15); cell i is centred on pixel 4 + 8 i."""
        return self.features[-2]  # the last one before flattening
