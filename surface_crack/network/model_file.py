"""The model as a file: weights without pickle, and beside them how they came about.

safetensors writes several metadata keys in random order, so there is exactly one, `config`:
canonical JSON. The same run gives the same bytes.
"""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from surface_crack.network.model import Model, build_model
from surface_crack.project.errors import DataError, one_line
from surface_crack.project.files import write_bytes

SHAPE = ("dropout", "width", "normalise")  # params that `build_model` takes, besides `model`
OFF = {"context": 0, "init": ""}  # params that a config lacks where they do nothing
KEYS = (  # of the config; those that shape no network are for users
    *(*SHAPE, "model", "seed", "classes", "data_digest", "image_size", "photo_side", "sources"),
)


def save_model(path: Path, model: nn.Module, config: dict[str, Any]) -> None:
    """`config` needs what KEYS names, or `load_model` refuses the file."""
    config = {name: x for name, x in config.items() if name not in OFF or x != OFF[name]}
    text = json.dumps(config, sort_keys=True, separators=(",", ":"), allow_nan=False)
    tensors = {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
    write_bytes(path, save(tensors, {"config": text}))


def load_model(path: Path) -> tuple[Model, dict[str, Any]]:
    """(network with its weights, on the CPU, in eval mode; config). Raises DataError."""
    try:
        content = path.read_bytes()
        weights = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        config = json.loads(header["__metadata__"]["config"])
        if missing := [name for name in KEYS if name not in config]:
            raise DataError(
                f"{path} is a model of another version, without {', '.join(missing)}: run `dvc "
                "repro`"
            )
        shape = {name: config[name] for name in SHAPE} | {"context": config.get("context", 0)}
        model = build_model(config["model"], (0, 0, 0), (1, 1, 1), **shape)
        model.load_state_dict(weights)
    except FileNotFoundError:
        raise DataError(f"{path} is missing: run `dvc repro`") from None
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{path} is not a model of this project ({one_line(error)})") from None
    return model.eval(), config
