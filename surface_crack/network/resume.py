"""Checkpoints: resume an interrupted training after its last finished epoch.

The checkpoint lies outside DVC's outs, which DVC deletes before it runs a stage. It is valid only
for the same parameters, data, code and thread count; then the result is byte-identical to that of
an uninterrupted run. The format is safetensors with JSON in its header, not pickle.
"""

import hashlib
import json
import logging
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from surface_crack.project.files import write_bytes
from surface_crack.project.manifest import digest_of

log = logging.getLogger("train")
PACKAGES = ("surface_crack", "stages")


def training_key(settings: Mapping[str, Any], data: Iterable[Path]) -> str:
    """SHA-256 of everything that determines a training: settings, data, code, versions, machine.

    `settings` is JSON-serialisable; `data` are files. The code is that of this project's modules
    imported so far.
    """
    code = {
        name: digest_of(Path(file))
        for name, module in sys.modules.items()
        if name == "__main__" or name.partition(".")[0] in PACKAGES
        if (file := getattr(module, "__file__", None))
    }
    everything = {
        "settings": dict(settings),
        "data": [digest_of(path) for path in data],
        "code": code,
        "versions": [sys.version, np.__version__, torch.__version__],
        "machine": [torch.get_num_threads(), torch.backends.cpu.get_cpu_capability()],
    }
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Training:
    """Everything that a training step changes."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    shuffle: np.random.Generator
    augment_rng: torch.Generator  # dropout uses torch's global generator

    def state(self, kept: Path) -> dict[str, Any]:
        """State for `save_state`, with the file `kept` of the best weights, which DVC deletes."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "shuffle": self.shuffle.bit_generator.state,
            "draw": self.augment_rng.get_state(),
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "kept": torch.frombuffer(bytearray(kept.read_bytes()), dtype=torch.uint8),
        }

    def restore(self, saved: dict[str, Any], kept: Path) -> None:
        """Restore what `state` returned, bit for bit; writes the file `kept` again."""
        self.model.load_state_dict(saved["model"])
        # Fused optimisers iterate in memory order, so moments need the strides of their weights.
        weights = [x for group in self.optimizer.param_groups for x in group["params"]]
        for number, moments in saved["optimizer"]["state"].items():
            for name, value in moments.items():
                if value.shape == weights[number].shape:
                    moments[name] = torch.empty_like(weights[number]).copy_(value)
        self.optimizer.load_state_dict(saved["optimizer"])
        self.schedule.load_state_dict(saved["schedule"])
        self.shuffle.bit_generator.state = saved["shuffle"]
        self.augment_rng.set_state(saved["draw"])
        torch.set_rng_state(saved["torch"])
        torch.cuda.set_rng_state_all(saved["cuda"])
        write_bytes(kept, saved["kept"].numpy().tobytes())


def save_state(path: Path, key: str, state: Mapping[str, Any]) -> None:
    """Write a checkpoint atomically. `state` is JSON-serialisable but for tensors as values."""
    tensors: dict[str, Tensor] = {}
    text = json.dumps({"key": key, "state": _to_json(dict(state), tensors)})
    content = save(tensors, {"state": text})
    write_bytes(path, hashlib.sha256(content).digest() + content)


def load_state(path: Path, key: str) -> dict[str, Any] | None:
    """The saved state, tensors on the CPU, tuples as lists; None if training must start over.

    Removes a file that is damaged or has another key.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    digest, content = content[:32], content[32:]
    if hashlib.sha256(content).digest() == digest:
        try:
            header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
            saved = json.loads(header["__metadata__"]["state"])
            if saved["key"] == key:
                state: dict[str, Any] = _from_json(saved["state"], load(content))
                return state
            log.info("params, data or code have changed since the interrupted run: starting over")
        except (SafetensorError, ValueError, KeyError, TypeError):
            log.info("%s was written by another version: starting over", path)
    else:
        log.info("%s is damaged: starting over", path)
    path.unlink()
    return None


def _to_json(tree: Any, tensors: dict[str, Tensor]) -> Any:
    """Make `tree` JSON-serialisable: move tensors to `tensors`, keep dict keys that are ints."""
    if isinstance(tree, Tensor):
        name = str(len(tensors))
        tensors[name] = tree.detach().cpu().contiguous()
        return {"tensor": name}
    if isinstance(tree, dict):
        return {"items": [[key, _to_json(value, tensors)] for key, value in tree.items()]}
    if isinstance(tree, list | tuple):
        return [_to_json(value, tensors) for value in tree]
    return tree


def _from_json(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(tree, dict) and "tensor" in tree:
        return tensors[tree["tensor"]]
    if isinstance(tree, dict):
        return {key: _from_json(value, tensors) for key, value in tree["items"]}
    if isinstance(tree, list):
        return [_from_json(value, tensors) for value in tree]
    return tree
