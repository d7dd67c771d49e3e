"""The model file: loading restores what was saved, and damage is a one-line error."""

import json
from pathlib import Path

import pytest
import torch

from surface_crack.network.cracknet import CrackNet
from surface_crack.network.model_file import load_model, save_model
from surface_crack.project.errors import DataError

CONFIG = {
    "model": "cracknet",
    "width": 16,
    "normalise": "dataset",
    "dropout": 0.1,
    "lr": 0.01,
    "classes": ["negative", "positive"],
    "data_digest": "of nothing",
    "image_size": 64,
    "photo_side": 227,
    "seed": 0,
    "sources": ["walls"],
}


def test_loading_restores_the_saved_model(tmp_path: Path) -> None:
    model = CrackNet([100.0, 110.0, 120.0], [40.0] * 3, 0.1).to(memory_format=torch.channels_last)
    save_model(tmp_path / "a.safetensors", model, CONFIG)
    save_model(tmp_path / "b.safetensors", model, dict(reversed(CONFIG.items())))
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    loaded, config = load_model(tmp_path / "a.safetensors")
    assert config == CONFIG
    assert not loaded.training
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)


@pytest.mark.parametrize(("width", "normalise"), [(8, "dataset"), (16, "photo")])
def test_loading_restores_width_and_normalisation(
    tmp_path: Path, width: int, normalise: str
) -> None:
    model = CrackNet([100.0] * 3, [40.0] * 3, 0.1, width, normalise).eval()
    config = CONFIG | {"width": width, "normalise": normalise}
    save_model(tmp_path / "a.safetensors", model, config)
    loaded, _ = load_model(tmp_path / "a.safetensors")
    photos = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    assert torch.equal(loaded(photos), model(photos))


def test_a_damaged_model_is_a_one_line_error(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    with pytest.raises(DataError, match="is missing: run `dvc repro`"):
        load_model(path)
    save_model(path, CrackNet([0.0] * 3, [1.0] * 3, 0.1), CONFIG)
    whole = path.read_bytes()
    save_model(path, CrackNet([0.0] * 3, [1.0] * 3, 0.1), CONFIG | {"model": "notebook"})
    for content in (whole[:100], b"", b"pickle", path.read_bytes()):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"is not a model of this project \([^\n]+\)$"):
            load_model(path)


@pytest.mark.parametrize("key", ["image_size", "data_digest", "photo_side", "sources", "width"])
def test_a_model_of_another_version_is_a_one_line_error(tmp_path: Path, key: str) -> None:
    path = tmp_path / "m.safetensors"
    config = {name: value for name, value in CONFIG.items() if name != key}
    save_model(path, CrackNet([0.0] * 3, [1.0] * 3, 0.1), config)
    with pytest.raises(DataError, match=rf"of another version, without {key}: run `dvc repro`\Z"):
        load_model(path)


def test_weights_of_another_architecture_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_model(path, CrackNet([0.0] * 3, [1.0] * 3, 0.1, 8), CONFIG)
    with pytest.raises(DataError, match=r"size mismatch for [^\n]+\)\Z"):
        load_model(path)


def test_the_model_file_has_one_metadata_key(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_model(path, CrackNet([0.0] * 3, [1.0] * 3, 0.1), CONFIG)
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert list(header["__metadata__"]) == ["config"]
