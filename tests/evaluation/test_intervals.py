"""Confidence intervals: weighted scores against scikit-learn, and whole groups resampled."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as sk

from surface_crack.evaluation import intervals as module
from surface_crack.evaluation.calibration_error import expected_calibration_error
from surface_crack.evaluation.intervals import (
    accuracy_interval,
    group_weights,
    intervals,
    roc_auc_of,
    weighted_scores,
)
from surface_crack.evaluation.scores import summary

Photos = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]


def photos(count: int, ties: bool) -> Photos:
    """(labels, probability, decided), in descending order of probability."""
    draw = np.random.default_rng(1)
    labels = draw.integers(0, 2, count)
    probability = np.clip(0.25 * labels + 0.75 * draw.random(count), 0, 1)
    if ties:
        probability = probability.round(1)
    order = np.argsort(-probability)
    labels, probability = labels[order], probability[order]
    return labels, probability, (probability >= 0.6).astype(np.int64)


@pytest.mark.parametrize("ties", [False, True])
def test_weighted_scores_equal_those_of_scikit_learn(ties: bool) -> None:
    labels, p, predicted = photos(60, ties)
    draw = np.random.default_rng(2)
    weights = group_weights(60, 20, draw)
    scores = weighted_scores(weights, labels, p, predicted)
    for replicate, weight in enumerate(weights):
        w = {"sample_weight": weight}
        want = {
            "accuracy": sk.accuracy_score(labels, predicted, **w),
            "average_precision": sk.average_precision_score(labels, p, **w),
            "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted, **w),
            "brier": sk.brier_score_loss(labels, p, **w),
            "ece": expected_calibration_error(np.repeat(labels, weight), np.repeat(p, weight)),
            "f1": sk.f1_score(labels, predicted, **w),
            "loss": sk.log_loss(labels, p, **w),
            "precision": sk.precision_score(labels, predicted, **w),
            "recall": sk.recall_score(labels, predicted, **w),
            "roc_auc": sk.roc_auc_score(labels, p, **w),
            "specificity": sk.recall_score(labels, predicted, pos_label=0, **w),
        }
        got = {name: values[replicate] for name, values in scores.items()}
        assert got == pytest.approx(want, abs=1e-12)


def test_every_score_lies_in_its_interval() -> None:
    labels, p, predicted = photos(80, ties=True)
    found = intervals(labels, p, predicted, list(map(str, range(80))))
    numbers = summary(labels, p, predicted)
    for name, (low, high) in found.items():
        assert 0 <= low <= numbers[name] <= high, name
        assert low < high
    assert set(found) == {name for name, value in numbers.items() if isinstance(value, float)}


def test_undefined_scores_are_nan() -> None:
    labels, p, predicted = np.array([1, 1, 0]), np.array([0.9, 0.4, 0.2]), np.array([1, 0, 0])
    weights = np.array([[0, 0, 3], [3, 0, 0], [0, 2, 1]])  # no positive; no negative; none flagged
    scores = weighted_scores(weights, labels, p, predicted)
    undefined = {name: np.flatnonzero(np.isnan(values)).tolist() for name, values in scores.items()}
    assert undefined == {
        "accuracy": [],
        "average_precision": [0],
        "balanced_accuracy": [0, 1],
        "brier": [],
        "ece": [],
        "f1": [0],
        "loss": [],
        "precision": [0, 2],
        "recall": [0],
        "roc_auc": [0, 1],
        "specificity": [1],
    }


def test_groups_are_resampled_with_replacement() -> None:
    weights = group_weights(50, 4000, np.random.default_rng(0))
    assert weights.shape == (4000, 50)
    assert (weights.sum(axis=1) == 50).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(50), abs=0.1)
    assert weights.var() == pytest.approx(1 - 1 / 50, abs=0.03)  # binomial


def test_resamples_do_not_depend_on_the_chunk_size() -> None:
    draw = np.random.default_rng(0)
    parts = [group_weights(7, replicates, draw) for replicates in (3, 1, 6)]
    whole = group_weights(7, 10, np.random.default_rng(0))
    assert np.array_equal(np.concatenate(parts), whole)


def test_intervals_do_not_depend_on_row_order_or_chunk_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labels, p, predicted = photos(90, ties=True)
    groups = [f"g{number % 30}" for number in range(90)]
    first = intervals(labels, p, predicted, groups)
    order = np.random.default_rng(3).permutation(90)
    mixed = [groups[row] for row in order]
    assert intervals(labels[order], p[order], predicted[order], mixed) == first
    monkeypatch.setattr(module, "CELLS", 90 * 7)
    again = intervals(labels, p, predicted, groups)
    for name, bounds in first.items():
        assert again[name] == pytest.approx(bounds, rel=1e-12), name


@pytest.mark.parametrize(("count", "in_a_group"), [(300, 3), (300, 1), (40, 40)])
def test_accuracy_interval_equals_that_of_intervals(count: int, in_a_group: int) -> None:
    labels, p, predicted = photos(count, ties=False)
    groups = [str(n // in_a_group) for n in range(count)]
    for right in (labels == predicted, np.ones(count, bool)):
        decided = np.where(right, labels, 1 - labels)
        want = intervals(labels, p, decided, groups)["accuracy"]
        assert accuracy_interval(right, groups) == want


def test_a_perfect_score_has_an_interval_by_the_rule_of_three() -> None:
    """With 100 groups and no error, the upper bound of the error rate is about 3 / 100."""
    labels = np.repeat([0, 1], 500)
    p = np.where(labels == 1, 0.9, 0.1)
    groups = [str(number // 5) for number in range(1000)]  # 100 of each class
    found = intervals(labels, p, labels, groups)
    for name in ("recall", "specificity", "precision", "f1", "roc_auc", "average_precision"):
        assert found[name] == pytest.approx((1 - 3 / 100, 1), abs=1e-3), name
    assert found["accuracy"] == pytest.approx((1 - 3 / 200, 1), abs=1e-3)
    worst = intervals(labels, 1 - p, 1 - labels, groups)
    assert worst["accuracy"] == pytest.approx((0, 3 / 200), abs=1e-3)


def test_one_mistake_does_not_raise_the_lower_bound() -> None:
    labels = np.repeat([0, 1], 200)
    p = np.where(labels == 1, 0.9, 0.1)
    groups = list(map(str, range(400)))
    low, _ = intervals(labels, p, labels, groups)["recall"]
    predicted = labels.copy()
    predicted[-1] = 0
    assert intervals(labels, p, predicted, groups)["recall"][0] <= low


def test_a_single_group_gives_a_very_wide_interval() -> None:
    labels, p, predicted = photos(40, ties=False)
    found = intervals(labels, p, predicted, ["wall"] * 40)
    low, high = found["accuracy"]
    assert low < 0.25
    assert high > 0.75


def test_many_independent_photos_give_the_binomial_interval() -> None:
    labels = np.arange(2000) % 2
    predicted = np.where(np.arange(2000) < 1600, labels, 1 - labels)
    low, high = intervals(labels, predicted * 0.8, predicted, list(map(str, range(2000))))[
        "accuracy"
    ]
    error = 1.96 * np.sqrt(0.8 * 0.2 / 2000)
    assert (low, high) == pytest.approx((0.8 - error, 0.8 + error), abs=0.1 * error)


def test_negatives_alone_with_none_flagged_do_not_crash() -> None:
    found = intervals(np.zeros(5, int), np.full(5, 0.1), np.zeros(5, int), list("abcde"))
    for name in ("recall", "precision", "f1", "roc_auc", "average_precision", "balanced_accuracy"):
        assert found[name] == (0, 1), name
    assert found["specificity"] == pytest.approx((0.05 ** (1 / 5), 1))


def test_cluster_bootstrap_has_correct_coverage_and_photo_bootstrap_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """60 walls of 10 photos; the accuracy varies between walls and is 0.8 on average."""
    monkeypatch.setattr(module, "REPLICATES", 300)
    walls, shots, truth, repeats = 60, 10, 0.8, 300
    names = np.repeat(np.arange(walls), shots).astype(str).tolist()
    alone = list(map(str, range(walls * shots)))
    labels = np.arange(walls * shots) % 2
    covered = np.zeros(2)
    for seed in range(repeats):
        draw = np.random.default_rng(seed)
        share = np.repeat(draw.beta(2, 0.5, walls), shots)  # mean 2 / 2.5
        right = draw.random(walls * shots) < share
        predicted = np.where(right, labels, 1 - labels)
        p = np.where(predicted == 1, 0.8, 0.2)
        for kind, groups in enumerate((names, alone)):
            low, high = intervals(labels, p, predicted, groups)["accuracy"]
            covered[kind] += low <= truth <= high
    groups_cover, photos_cover = covered / repeats
    assert 0.90 <= groups_cover <= 0.99
    assert photos_cover < 0.75


def test_the_ece_interval_of_a_calibrated_model_reaches_low_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With plain percentiles, even the lower bound would at times exceed the observed value."""
    monkeypatch.setattr(module, "REPLICATES", 200)
    for seed in range(20):
        draw = np.random.default_rng(seed)
        p = draw.random(300)
        labels = (draw.random(300) < p).astype(np.int64)
        low, high = intervals(labels, p, labels, list(map(str, range(300))))["ece"]
        observed = expected_calibration_error(labels, p)
        assert low <= observed <= high
        assert low < observed / 2


def test_bounds_are_the_2_5_and_97_5_percentiles() -> None:
    assert module._bounds(np.arange(1001.0), None) == (25, 975)


def test_roc_auc_equals_that_of_scikit_learn() -> None:
    draw = np.random.default_rng(3)
    labels = draw.integers(0, 2, 500)
    for decimals in (1, 2, 8):  # ties, too
        probability = draw.random(500).round(decimals)
        area = sk.roc_auc_score(labels, probability)
        assert roc_auc_of(labels, probability) == pytest.approx(area, abs=1e-12)
