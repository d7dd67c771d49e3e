"""The model in the package: its files belong together, and do on real photos what its card says."""

import hashlib
import json
import re

import numpy as np
import pytest
import yaml

from surface_crack import paths
from surface_crack.calibration import read_decision
from surface_crack.model import CrackNet
from surface_crack.model_file import OFF, load_model
from surface_crack.scorer import load_scorer

HERE = paths.GENERAL.parent
CARD = HERE / "README.md"
MEGABYTE = 1_000_000


def test_weights_and_onnx_file_are_one_model() -> None:
    by_torch = load_scorer(paths.GENERAL_WEIGHTS, HERE / "decision.json")
    by_onnx = load_scorer(paths.GENERAL)
    assert by_torch == by_onnx
    assert by_onnx.dense
    photo = np.random.default_rng(0).integers(0, 256, (300, 260, 3), np.uint8)
    np.testing.assert_allclose(by_onnx.score(photo), by_torch.score(photo), atol=1e-4)


def test_it_is_as_small_as_promised() -> None:
    model, _ = load_model(paths.GENERAL_WEIGHTS)
    assert sum(weights.numel() for weights in model.parameters()) < 1_000_000
    sizes = [path.stat().st_size for path in (paths.GENERAL_WEIGHTS, paths.GENERAL)]
    assert max(sizes) < 3 * MEGABYTE
    assert sum(sizes) < 6 * MEGABYTE


def test_it_was_made_by_the_params_beside_it() -> None:
    """And by no photo that may not be given on: bridges.zip judges alone."""
    model, config = load_model(paths.GENERAL_WEIGHTS)
    assert isinstance(model, CrackNet)
    params = yaml.safe_load(paths.GENERAL_PARAMS.read_text("utf-8"))
    for name, value in params.items():
        if name in config or name in OFF:
            assert config.get(name, OFF.get(name)) == value, name
    assert config["sources"] == ["drone", "metu", "sdnet", "sdnet-more"]
    assert read_decision(HERE / "decision.json", paths.GENERAL_WEIGHTS).threshold > 0.05


def test_its_numbers_are_of_this_very_model() -> None:
    _, config = load_model(paths.GENERAL_WEIGHTS)
    decision = json.loads((HERE / "decision.json").read_text())
    assert json.loads((HERE / "metrics/data.json").read_text())["digest"] == config["data_digest"]
    evaluated = json.loads((HERE / "metrics/evaluate.json").read_text())
    assert evaluated["threshold"] == pytest.approx(decision["threshold"], abs=1e-6)
    assert config["data_digest"] in (HERE / "model_card.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["crack.safetensors", "crack.onnx"])
def test_the_card_names_the_files_by_their_digest(name: str) -> None:
    digest = hashlib.sha256((HERE / name).read_bytes()).hexdigest()
    assert digest in CARD.read_text("utf-8")


def test_links_of_the_card_lead_somewhere() -> None:
    for card in (CARD, HERE / "model_card.md"):
        for target in re.findall(r"\]\(([^)#]+)", card.read_text("utf-8")):
            assert target.startswith("http") or (HERE / target).exists(), target
