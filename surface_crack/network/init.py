"""Initialise training with the weights of another model of the same architecture."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surface_crack.project import paths
from surface_crack.project.errors import TrainingError
from surface_crack.project.manifest import digest_of

if TYPE_CHECKING:
    from torch import nn

MUST_MATCH = ("model", "image_size", "width", "normalise", "context")  # params of both models


def init_file(init: str) -> Path | None:
    """The model file for the parameter `init`: a path, or `general` for the one in the package."""
    if init == "general":
        return paths.GENERAL_WEIGHTS
    return Path(init) if init else None


def load_initial_weights(model: "nn.Module", file: Path, wanted: Mapping[str, Any]) -> None:
    """Load the weights in `file` into `model`, with the pixel mean and std they were trained with.

    `wanted` are params, among them MUST_MATCH. Raises TrainingError if the file is missing or of
    another architecture, DataError if it is not a model.
    """
    from surface_crack.network.model_file import DEFAULTS, load_model  # imports torch

    if not file.is_file():
        raise TrainingError(
            f"init: {file} is missing: give general, a .safetensors file, or '' for none"
        )
    start, config = load_model(file)
    for name in MUST_MATCH:
        has, want = config.get(name, DEFAULTS.get(name)), wanted[name]
        if has != want:
            raise TrainingError(
                f"init: the weights in {file} have {name} {has}, params.yaml has {want}: set "
                f"{name}: {has}, or init: ''"
            )
    model.load_state_dict(start.state_dict())


def trained_photo_side(init: str) -> float:
    """Side of the photos that the weights in `init` were trained on, in pixels; 0 if unknown."""
    file = init_file(init)
    return float((file and file.is_file() and read_config(file).get("photo_side")) or 0)


def read_config(model: Path) -> dict[str, Any]:
    """The config in a model file, without reading the weights; {} if it is not a model file."""
    try:
        with model.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        config: dict[str, Any] = json.loads(header["__metadata__"]["config"])
    except (ValueError, KeyError, MemoryError, OverflowError):
        return {}
    return config


def init_changed_warning(init: str) -> str:
    """A warning if the file in `init` has changed since models/ was trained from it; else ''.

    DVC tracks the content of the general model's file; of others only the name, as a parameter.
    """
    file = init_file(init)
    if file is None or file == paths.GENERAL_WEIGHTS:
        return ""
    if not (file.is_file() and paths.MODEL.is_file()):
        return ""
    config = read_config(paths.MODEL)
    if config.get("init") != init or config.get("init_weights") == digest_of(file):
        return ""
    return (
        f"{file} has changed since {paths.MODEL} was trained from it, which DVC does not notice: "
        "run `dvc repro --single-item --force train`, then `dvc repro`"
    )
