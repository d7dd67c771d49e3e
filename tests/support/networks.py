"""Networks with random weights, and their model files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from surface_crack.evaluation.calibration import Decision, write_decision
from surface_crack.network.cracknet import CrackNet
from surface_crack.network.model import Model
from surface_crack.network.model_file import save_model
from surface_crack.project.manifest import digest_of
from surface_crack.scoring.scorer import Scorer, load_scorer

GREY = [150.0, 150.0, 150.0], [40.0, 40.0, 40.0]  # mean, std
DECISION = Decision(temperature=0.8, threshold=0.4, rule="for tests", weights="")


def random_cracknet(width: int = 16, normalise: str = "dataset", context: int = 0) -> CrackNet:
    """A network with random weights and batch norm layers that are not the identity."""
    torch.manual_seed(0)
    model = CrackNet(*GREY, 0.5, width, normalise, context)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            nn.init.normal_(layer.running_mean)
            nn.init.uniform_(layer.running_var, 0.5, 2)
    return model.eval()


def spread(model: CrackNet, photos: NDArray[np.uint8]) -> CrackNet:
    """Scale the last layer so that logits of these photos (N, S, S, 3) have mean 0 and std 1."""
    with torch.inference_mode():
        logits = model(torch.tensor(photos).permute(0, 3, 1, 2))
    model.head.weight.data /= logits.std()
    model.head.bias.data = (model.head.bias.data - logits.mean()) / logits.std()
    return model


def save_network(folder: Path, model: Model, photo_side: float = 227, size: int = 64) -> Path:
    """Write the files that `train` and `calibrate` would; returns the path of the model file."""
    config = {
        "classes": ["negative", "positive"],
        "data_digest": "of nothing",
        "dropout": 0.5,
        "image_size": size,
        "model": "cracknet" if isinstance(model, CrackNet) else "notebook",
        "normalise": model.by,
        "photo_side": photo_side,
        "seed": 0,
        "sources": ["walls"],
        "width": 16,
    }
    if isinstance(model, CrackNet):
        config["width"] = model.features[0][0].out_channels  # type: ignore[index]
        config["context"] = len(model.context)
    save_model(folder / "crack.safetensors", model, config)
    path = folder / "crack.safetensors"
    write_decision(folder / "decision.json", replace(DECISION, weights=digest_of(path)))
    return path


def scorer_of(folder: Path, model: CrackNet, photo_side: float = 227, size: int = 64) -> Scorer:
    return load_scorer(save_network(folder, model, photo_side, size), folder / "decision.json")
