"""Build a network by its name in params.yaml."""

from collections.abc import Sequence

from surface_crack.network.cracknet import CrackNet
from surface_crack.network.notebook import NotebookNet

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
    """Arguments as in params.yaml; the notebook's network ignores `width` and `context`."""
    if name == "notebook":
        return NotebookNet(mean, std, dropout, normalise)
    if name == "cracknet":
        return CrackNet(mean, std, dropout, width, normalise, context)
    raise ValueError(f"model must be cracknet or notebook, got {name!r}")
