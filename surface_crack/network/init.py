"""Weights that training begins with: those of another model, of the same shape."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surface_crack.project import paths
from surface_crack.project.errors import TrainingError
from surface_crack.project.manifest import digest_of

if TYPE_CHECKING:
    from torch import nn

ALIKE = ("model", "image_size", "width", "normalise", "context")  # what has to be the same


def start_file(init: str) -> Path | None:
    """The model file that the parameter `init` means: a path, or `general` for the package's."""
    if init == "general":
        return paths.GENERAL_WEIGHTS
    return Path(init) if init else None


def begin_with(model: "nn.Module", file: Path, wanted: Mapping[str, Any]) -> None:
    """Put the weights in `file` into `model`, and the pixel mean and std that they were fitted to.

    `wanted` are params, with those of ALIKE. Raises TrainingError if the file is missing or of
    another shape, DataError if it is no model.
    """
    from surface_crack.network.model_file import OFF, load_model  # which imports torch

    if not file.is_file():
        raise TrainingError(
            f"init: {file} is missing: give general, a .safetensors file, or '' for none"
        )
    start, config = load_model(file)
    for name in ALIKE:
        has, want = config.get(name, OFF.get(name)), wanted[name]
        if has != want:
            raise TrainingError(
                f"init: the weights in {file} are of {name} {has}, params.yaml has {want}: set "
                f"{name}: {has}, or init: ''"
            )
    model.load_state_dict(start.state_dict())


def learnt_side(init: str) -> float:
    """Side of the photos that the weights which `init` names learnt from, pixels; 0 if unknown."""
    file = start_file(init)
    return float((file and file.is_file() and config_of(file).get("photo_side")) or 0)


def config_of(model: Path) -> dict[str, Any]:
    """What a model file says of itself, without reading its weights; {} if it is none."""
    try:
        with model.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        config: dict[str, Any] = json.loads(header["__metadata__"]["config"])
    except (ValueError, KeyError, MemoryError, OverflowError):
        return {}
    return config


def changed_since(init: str) -> str:
    """What to do where the file that `init` names is not the one that the model in models/ began
    with, '' elsewhere. DVC watches the general model's file, and of others the name alone.
    """
    file = start_file(init)
    if file is None or file == paths.GENERAL_WEIGHTS:
        return ""
    if not (file.is_file() and paths.MODEL.is_file()):
        return ""
    config = config_of(paths.MODEL)
    if config.get("init") != init or config.get("init_weights") == digest_of(file):
        return ""
    return (
        f"{file} has changed since {paths.MODEL} began with it, which DVC does not see: run `dvc "
        "repro --single-item --force train`, then `dvc repro`"
    )
