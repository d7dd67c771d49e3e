"""Heat maps: located at the crack, summing to the logit, and without side effects."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from surface_crack.evaluation.heatmap import BATCH, heat_maps
from surface_crack.network.model import Model, build_model

GREY = 160
SIDES = {"cracknet": 64, "notebook": 120}
CELLS = {"cracknet": 4, "notebook": 8}  # pixels per cell of the network's map


def darkness_meter(name: str) -> Model:
    """A network whose logit is the sum of how much darker than GREY the pixels are.

    Without biases it is linear in the output of every layer, so the contributions to the logit are
    known: activation times gradient.
    """
    model = build_model(name, [GREY] * 3, [20.0] * 3, dropout=0.5, width=16, normalise="dataset")
    layers = [x for x in model.modules() if isinstance(x, nn.Conv2d | nn.Linear)]
    for layer in layers:
        nn.init.constant_(layer.weight, 1 / layer.weight[0].numel())
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    nn.init.constant_(layers[0].weight, -1 / layers[0].weight[0].numel())
    return model.eval()


def wall_with_line(
    side: int, top: float, left: float, height: float, width: float
) -> NDArray[np.uint8]:
    """uint8 (side, side, 3), grey with a dark bar; the numbers are fractions of the side."""
    wall = np.full((side, side, 3), GREY, np.uint8)
    row, column = round(top * side), round(left * side)
    wall[row : row + round(height * side), column : column + round(width * side)] = 30
    return wall


def logit(model: Model, photo: NDArray[np.uint8]) -> float:
    with torch.inference_mode():
        return float(model(torch.from_numpy(photo[None]).permute(0, 3, 1, 2)))


@pytest.mark.parametrize("name", SIDES)
@pytest.mark.parametrize(
    ("top", "left", "height", "width"),
    [(1 / 8, 3 / 4, 1 / 4, 1 / 16), (3 / 4, 1 / 8, 1 / 16, 1 / 4), (1 / 8, 1 / 4, 1 / 16, 1 / 16)],
    ids=["upright at the upper right", "lying at the lower left", "a spot above the middle"],
)
def test_heat_is_where_the_line_is(
    name: str, top: float, left: float, height: float, width: float
) -> None:
    model, side = darkness_meter(name), SIDES[name]
    photo = wall_with_line(side, top, left, height, width)
    (heat,) = heat_maps(model, photo[None])
    dark = photo.mean(axis=2) < GREY
    places = np.mgrid[:side, :side] + 0.5
    centre = (heat * places).sum(axis=(1, 2)) / heat.sum()
    assert centre == pytest.approx(places[:, dark].mean(axis=1), abs=0.03 * side)
    assert heat[dark].mean() > 5 * heat[~dark].mean()


@pytest.mark.parametrize("name", SIDES)
def test_heat_sums_to_the_logit(name: str) -> None:
    """Every cell becomes a square of pixels, and nothing of the line reaches the rim."""
    model = darkness_meter(name)
    photo = wall_with_line(SIDES[name], 1 / 4, 1 / 2, 1 / 4, 1 / 8)
    heat = heat_maps(model, photo[None])
    assert heat.sum() / CELLS[name] ** 2 == pytest.approx(logit(model, photo), rel=1e-4)


@pytest.mark.parametrize("name", SIDES)
def test_evidence_against_a_crack_has_no_heat(name: str) -> None:
    model = darkness_meter(name)
    with torch.no_grad():
        last = [x for x in model.modules() if isinstance(x, nn.Linear)][-1]
        last.weight.neg_()
    photo = wall_with_line(SIDES[name], 1 / 4, 1 / 2, 1 / 4, 1 / 8)
    assert logit(model, photo) < 0
    assert not heat_maps(model, photo[None]).any()


@pytest.mark.parametrize("name", SIDES)
def test_heat_maps_leave_the_model_unchanged(name: str) -> None:
    model, side = darkness_meter(name), SIDES[name]
    photos = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), np.uint8)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    scored = logit(model, photos[0])
    first = heat_maps(model, photos)
    model.train()  # dropout or batch statistics would change the result
    assert np.array_equal(heat_maps(model, photos), first)
    assert first.dtype == np.float32
    assert first.shape == (2, side, side)
    assert all(weights.grad is None for weights in model.parameters())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert logit(model, photos[0]) == scored
    assert np.array_equal(heat_maps(model.requires_grad_(False), photos), first)
    model.requires_grad_(True)(torch.zeros(1, 3, side, side, dtype=torch.uint8)).backward()
    assert all(weights.grad is not None for weights in model.parameters()), "training is cut off"


def test_batching_does_not_change_the_result() -> None:
    torch.manual_seed(0)
    model = build_model(
        "cracknet", [GREY] * 3, [20.0] * 3, dropout=0.0, width=16, normalise="dataset"
    )
    photos = np.random.default_rng(0).integers(0, 256, (BATCH + 3, 48, 48, 3), np.uint8)
    together = heat_maps(model, photos)
    alone = np.concatenate([heat_maps(model, photo[None]) for photo in photos])
    assert together.max() > 0
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert heat_maps(model, photos[:0]).shape == (0, 48, 48)
