"""The model file: weights in safetensors, not pickle, with the training config as metadata.

safetensors writes metadata keys in random order, so there is only one, `config`, in canonical
JSON. Thus the same run gives the same bytes.
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

ARCHITECTURE = ("dropout", "width", "normalise")  # params of `build_model`, besides `model`
DEFAULTS = {"context": 0, "init": ""}  # params that the config omits if they have these values
KEYS = (  # required in the config; not all are needed to build the network
    *ARCHITECTURE,
    *("model", "seed", "classes", "data_digest", "image_size", "photo_side", "sources"),
)


def save_model(path: Path, model: nn.Module, config: dict[str, Any]) -> None:
    """Write a model file. `config` must have KEYS, or `load_model` will refuse the file."""
    config = {name: x for name, x in config.items() if name not in DEFAULTS or x != DEFAULTS[name]}
    text = json.dumps(config, sort_keys=True, separators=(",", ":"), allow_nan=False)
    tensors = {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
    write_bytes(path, save(tensors, {"config": text}))


def load_model(path: Path) -> tuple[Model, dict[str, Any]]:
    """(network on the CPU, in eval mode; config). Raises DataError."""
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
        options = {name: config[name] for name in ARCHITECTURE}
        options["context"] = config.get("context", 0)
        model = build_model(config["model"], (0, 0, 0), (1, 1, 1), **options)
        model.load_state_dict(weights)
    except FileNotFoundError:
        raise DataError(f"{path} is missing: run `dvc repro`") from None
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{path} is not a model of this project ({one_line(error)})") from None
    return model.eval(), config
