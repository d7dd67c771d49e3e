"""Training learns, is reproducible and reports correct scores. CPU only, small synthetic photos."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from surface_crack.dataset import Subset
from surface_crack.network.cracknet import CrackNet
from surface_crack.network.training import (
    LossAndAccuracy,
    batches,
    check_finite,
    loss_and_accuracy,
    lr_factor,
    make_optimizer,
    pick_precision,
    predict,
    train_epoch,
)
from surface_crack.project.errors import TrainingError

GREY = [150.0] * 3, [40.0] * 3  # mean, std


@pytest.fixture(scope="module")
def dark_lines() -> Subset:
    """48 x 48 noise; half of the photos have a dark line somewhere."""
    rng = np.random.default_rng(0)
    images = rng.integers(120, 180, (96, 48, 48, 3), np.uint8)
    labels = np.arange(96) % 2
    for number in np.flatnonzero(labels):
        column = rng.integers(6, 40)
        images[number, :, column : column + 3] = 30
    return Subset(images, np.arange(96), labels.astype(np.int64))


def unchanged(images: torch.Tensor) -> torch.Tensor:
    return images


def epoch(
    model: CrackNet,
    subset: Subset,
    optimizer: torch.optim.Optimizer,
    seed: int = 0,
    batch_size: int = 16,
    label_smoothing: float = 0.0,
    augment: Callable[[torch.Tensor], torch.Tensor] = unchanged,
) -> LossAndAccuracy:
    return train_epoch(
        model,
        subset,
        batch_size,
        optimizer,
        shuffle=np.random.default_rng(seed),
        label_smoothing=label_smoothing,
        precision=torch.float32,
        augment=augment,
        after_step=lambda: None,
    )


def fit(subset: Subset, epochs: int = 12) -> CrackNet:
    torch.manual_seed(0)
    model = CrackNet(*GREY, dropout=0.1)
    optimizer = make_optimizer("cracknet", model, 0.003, 0.01)
    for number in range(epochs):
        epoch(model, subset, optimizer, seed=number)
    return model


@pytest.fixture(scope="module")
def fitted(dark_lines: Subset) -> CrackNet:
    return fit(dark_lines)


def test_learns_a_dark_line(fitted: CrackNet, dark_lines: Subset) -> None:
    assert loss_and_accuracy(predict(fitted, dark_lines), dark_lines.labels).accuracy == 1.0


def test_scores_zero_against_inverted_labels(fitted: CrackNet, dark_lines: Subset) -> None:
    """Ensures that the test above does not pass because scoring is broken."""
    assert loss_and_accuracy(predict(fitted, dark_lines), 1 - dark_lines.labels).accuracy == 0.0


def test_same_seed_gives_the_same_bits(dark_lines: Subset) -> None:
    first, second = (fit(dark_lines, epochs=2).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("size", [7, 8, 500])  # short last batch, even, larger than the data set
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_train_loss_is_per_photo_whatever_the_batch_size(
    dark_lines: Subset, size: int, smoothing: float
) -> None:
    model = CrackNet(*GREY, dropout=0.1)
    for weights in model.parameters():
        torch.nn.init.zeros_(weights)  # every logit 0, so the loss is exactly ln 2
    frozen = torch.optim.SGD(model.parameters(), lr=0.0)
    result = epoch(model, dark_lines, frozen, batch_size=size, label_smoothing=smoothing)
    assert result.loss == pytest.approx(math.log(2), abs=1e-6)
    assert result.accuracy == 0.5  # a logit of 0 is a negative prediction


@pytest.mark.parametrize(
    ("photos", "size", "sizes"),
    [(9, 4, [4, 5]), (10, 4, [4, 4, 2]), (8, 4, [4, 4]), (1, 4, [1]), (5, 4, [5]), (3, 8, [3])],
)
def test_no_batch_has_a_single_photo(
    dark_lines: Subset, photos: int, size: int, sizes: list[int]
) -> None:
    order = np.arange(photos)[::-1]
    got = list(batches(dark_lines, order, size))
    assert [len(images) for images, _ in got] == sizes
    labels = torch.cat([labels for _, labels in got])
    assert labels.tolist() == dark_lines.labels[order].tolist()


def test_label_smoothing_changes_the_gradient_but_not_the_reported_loss(dark_lines: Subset) -> None:
    """With all logits L, the gradient of the head's bias is sigmoid(L) - target."""
    model = CrackNet(*GREY, dropout=0.0)
    for weights in model.parameters():
        torch.nn.init.zeros_(weights)
    torch.nn.init.constant_(model.head.bias, 3.0)
    positives = Subset(dark_lines.images, dark_lines.rows, np.ones(96, np.int64))
    frozen = torch.optim.SGD(model.parameters(), lr=0.0)
    loss = epoch(model, positives, frozen, label_smoothing=0.2).loss
    assert loss == pytest.approx(math.log1p(math.exp(-3)), abs=1e-5)
    assert model.head.bias.grad is not None
    assert model.head.bias.grad.item() == pytest.approx(1 / (1 + math.exp(-3)) - 0.9, abs=1e-5)


def test_a_prediction_does_not_depend_on_the_other_photos_in_the_batch(
    fitted: CrackNet, dark_lines: Subset
) -> None:
    """Fails if predict forgets eval mode."""
    together = predict(fitted.train(), dark_lines)
    few = Subset(dark_lines.images, dark_lines.rows[3:5], dark_lines.labels[3:5])
    np.testing.assert_allclose(predict(fitted.train(), few), together[3:5], atol=1e-4)


def test_augmentation_is_applied_in_training(dark_lines: Subset) -> None:
    seen: list[tuple[int, ...]] = []

    def spy(images: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(images.shape))
        return images

    model = CrackNet(*GREY, dropout=0.0)
    frozen = torch.optim.SGD(model.parameters(), lr=0.0)
    epoch(model, dark_lines, frozen, batch_size=40, augment=spy)
    assert seen == [(40, 3, 48, 48), (40, 3, 48, 48), (16, 3, 48, 48)]


def test_a_nan_loss_is_an_error_that_names_lr(dark_lines: Subset) -> None:
    model = CrackNet(*GREY, dropout=0.0)
    torch.nn.init.constant_(model.head.bias, math.nan)
    loss = epoch(model, dark_lines, make_optimizer("cracknet", model, 0.5, 0.0)).loss
    message = r"the training loss became nan: lower lr in params.yaml \(now 0.5 at its peak\)"
    with pytest.raises(TrainingError, match=message):
        check_finite("training", loss, 0.5)
    check_finite("training", 0.3, 0.5)


def test_the_learning_rate_rises_to_its_peak_and_falls_to_zero() -> None:
    rates = [lr_factor(step, 100, 0.2) for step in range(101)]
    assert rates[:21] == sorted(rates[:21])
    assert rates[20] == max(rates) == 1.0
    assert rates[20:] == sorted(rates[20:], reverse=True)
    assert rates[0] > 0
    assert rates[100] == pytest.approx(0.0, abs=1e-9)
    assert lr_factor(0, 100, 0.0) == 1.0  # no warm-up
    assert lr_factor(0, 1, 0.2) > 0  # a run of one step


def test_loss_and_accuracy_by_hand() -> None:
    result = loss_and_accuracy(np.array([2.0, -2.0, 0.0], np.float32), np.array([1, 1, 0]))
    right, wrong = math.log1p(math.exp(-2)), math.log1p(math.exp(2))
    assert result.loss == pytest.approx((right + wrong + math.log(2)) / 3)
    assert result.accuracy == pytest.approx(1 / 3)


def test_huge_logits_give_a_finite_loss() -> None:
    assert loss_and_accuracy(np.array([-1e6], np.float32), np.array([1])).loss == 1e6


def test_precision_by_name() -> None:
    cpu = torch.device("cpu")
    assert pick_precision("fp32", cpu) == torch.float32
    assert pick_precision("bf16", cpu) == torch.bfloat16
    assert pick_precision("auto", cpu) in (torch.float32, torch.bfloat16)
