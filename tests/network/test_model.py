"""The networks: shapes, sizes, and equal logits from a dense pass and from single patches."""

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from surface_crack.network.cracknet import CrackNet
from surface_crack.network.model import build_model
from surface_crack.network.normalised import CELL, FLAT, SQUARES, normalise_locally
from surface_crack.network.notebook import NotebookNet
from surface_crack.project.geometry import CONTEXT_STRIDE, HALO, NORMALISE, SQUARE, STRIDE, min_size
from tests.support.networks import GREY, random_cracknet


def random_images(*shape: int) -> torch.Tensor:
    return torch.randint(
        0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


@pytest.mark.parametrize(
    ("size", "step", "context"),
    [
        *((48, 48, 0), (48, 8, 0), (64, 64, 0), (64, 32, 0), (96, 24, 0), (128, 128, 0)),
        *((64, 16, 1), (72, 32, 1), (96, 16, 2), (128, 16, 3), (136, 144, 3), (160, 16, 4)),
    ],
)
def test_a_dense_pass_gives_the_logits_of_the_patches(size: int, step: int, context: int) -> None:
    model = random_cracknet(8, context=context)
    photo = random_images(2, 3, size + 2 * step + 7, size + 3 * step + 5)  # not a multiple of step
    with torch.inference_mode():
        dense = model.slide(model.levels(model.normalise(photo)), size, step)
        assert dense.shape == (2, 3, 4)
        for row in range(3):
            for column in range(4):
                top, left = row * step, column * step
                patch = photo[:, :, top : top + size, left : left + size]
                torch.testing.assert_close(dense[:, row, column], model(patch), atol=1e-4, rtol=0)


@pytest.mark.parametrize("context", range(5))
def test_min_size_is_the_smallest_input(context: int) -> None:
    model = random_cracknet(4, context=context)
    least = min_size(context)
    assert model(random_images(2, 3, least, least)).shape == (2,)
    with pytest.raises(RuntimeError):
        model(random_images(2, 3, least - STRIDE, least - STRIDE))


def test_the_halo_is_a_multiple_of_the_strides() -> None:
    assert HALO % STRIDE == HALO % CONTEXT_STRIDE == 0


def test_parameter_counts_are_as_documented() -> None:
    count = {
        name: sum(
            weights.numel()
            for weights in build_model(
                name, *GREY, dropout=0.1, width=16, normalise="dataset"
            ).parameters()
        )
        for name in ("cracknet", "notebook")
    }
    assert count == {"cracknet": 65_313, "notebook": 7_485_249}


def test_the_notebooks_network_gives_one_logit_per_photo() -> None:
    model = NotebookNet(*GREY, dropout=0.5).eval()
    assert model(random_images(2, 3, 120, 120)).shape == (2,)


def test_pixel_statistics_are_saved_with_the_weights() -> None:
    model = random_cracknet()
    other = CrackNet([0.0] * 3, [1.0] * 3, dropout=0.0).eval()
    other.load_state_dict(model.state_dict())
    images = random_images(2, 3, 64, 64)
    assert torch.equal(model(images), other(images))


def test_normalising_by_photo_or_locally_removes_brightness_and_contrast() -> None:
    """With a colour cast or more contrast the logit changes little, unlike with `dataset`."""
    photos = torch.randint(0, 100, (4, 3, 64, 64)) + 20
    photos[:, :, 20:30] //= 3  # a dark band
    light = torch.tensor([0, 30, 60]).view(1, 3, 1, 1)
    other = (photos + light).to(torch.uint8)
    brighter = (2 * photos).to(torch.uint8)
    photos = photos.to(torch.uint8)
    moved = {}
    for normalise in NORMALISE:
        model = random_cracknet(normalise=normalise)
        moved[normalise] = [
            (model(photos) - model(change)).abs().max().item() for change in (other, brighter)
        ]
    for normalise in ("photo", "local"):
        assert moved[normalise][0] < 0.01 * moved["dataset"][0]  # removes a colour cast
        assert moved[normalise][1] < 0.3 * moved["dataset"][1]  # nearly removes contrast, see FLAT


@pytest.mark.parametrize("normalise", ["photo", "local"])
def test_a_photo_of_one_colour_gives_a_finite_logit(normalise: str) -> None:
    photos = torch.full((2, 3, 64, 64), 77, dtype=torch.uint8)
    assert random_cracknet(normalise=normalise)(photos).isfinite().all()


def test_local_normalisation_agrees_with_a_reference_in_numpy() -> None:
    """The reference computes each window, then interpolates between the centres of squares."""
    height, width = 144, 176
    x = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0)) + 2
    rows, columns = height // SQUARE, width // SQUARE
    squares = x[0].numpy().reshape(3, rows, SQUARE, columns, SQUARE)
    means, powers = squares.mean(axis=(2, 4)), (squares**2).mean(axis=(0, 2, 4))
    mean, spread = np.empty((3, rows, columns)), np.empty((1, rows, columns))
    half = SQUARES // 2
    for i, j in np.ndindex(rows, columns):
        window = np.s_[max(i - half, 0) : i + half + 1, max(j - half, 0) : j + half + 1]
        mean[:, i, j] = means[:, *window].mean(axis=(1, 2))
        spread[0, i, j] = np.sqrt(powers[window].mean() - (mean[:, i, j] ** 2).mean())
    vertical, horizontal = (
        np.interp(
            (np.arange(side // CELL) * CELL + CELL / 2) / SQUARE - 0.5, range(count), range(count)
        )
        for side, count in ((height, rows), (width, columns))
    )
    positions = np.meshgrid(vertical, horizontal, indexing="ij")
    pixels = np.ones((CELL, CELL))
    mean, spread = (
        np.stack([np.kron(map_coordinates(grid, positions, order=1), pixels) for grid in grids])
        for grids in (mean, spread)
    )
    found = normalise_locally(x)[0].numpy()
    np.testing.assert_allclose(found, (x[0].numpy() - mean) / (spread + FLAT), atol=1e-5)


def test_local_normalisation_depends_on_the_halo_only() -> None:
    x = torch.rand(1, 3, 400, 400, generator=torch.Generator().manual_seed(0))
    inner = np.s_[:, :, HALO:-HALO, HALO:-HALO]
    part = x[:, :, 48:352, 48:352]
    torch.testing.assert_close(
        normalise_locally(x)[:, :, 48:352, 48:352][inner], normalise_locally(part)[inner]
    )
    part[:, :, :8] = 9
    assert not torch.equal(normalise_locally(x)[:, :, 96:100], normalise_locally(part)[:, :, 48:52])


def test_an_unknown_normalisation_is_refused() -> None:
    with pytest.raises(ValueError, match="normalise must be one of dataset, photo, local, got 'x'"):
        random_cracknet(normalise="x")


@pytest.mark.parametrize(
    "images",
    [torch.zeros(1, 3, 64, 64), random_images(1, 64, 64, 3), random_images(3, 64, 64)],
    ids=["float", "channels last", "no batch"],
)
def test_anything_but_a_batch_of_uint8_rgb_is_refused(images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"images must be uint8 \(B, 3, H, W\), got"):
        random_cracknet()(images)


def test_a_zero_std_is_refused() -> None:
    with pytest.raises(ValueError, match="std > 0"):
        CrackNet([0.0] * 3, [1.0, 0.0, 1.0], dropout=0.0)
