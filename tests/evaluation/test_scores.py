"""Scores against values computed by hand."""

import json
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from surface_crack.evaluation import curves, scores
from surface_crack.evaluation.calibration_error import expected_calibration_error

LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 1])
PROBABILITY = np.array([0.1, 0.2, 0.6, 0.3, 0.9, 0.8, 0.7, 0.4])
AT_HALF = np.array([0, 0, 1, 0, 1, 1, 1, 0])  # one false positive (0.6), one false negative (0.4)


def test_summary_by_hand() -> None:
    numbers = scores.summary(LABELS, PROBABILITY, AT_HALF)
    assert numbers["accuracy"] == 0.75
    assert numbers["mistakes"] == 2
    assert numbers["photos"] == 8
    assert numbers["positive"] == {"precision": 0.75, "recall": 0.75, "f1": 0.75, "support": 4}
    assert numbers["roc_auc"] == 15 / 16  # of 16 pairs, only (0.6, 0.4) is in the wrong order
    assert set(numbers) >= {"negative", "positive", "macro", "weighted", "average_precision"}


def test_scores_at_the_threshold_and_at_0_5() -> None:
    numbers = scores.summary(LABELS, PROBABILITY, (PROBABILITY >= 0.4).astype(np.int64))
    assert numbers["positive"]["recall"] == numbers["recall"] == 1.0
    assert (numbers["mistakes"], numbers["accuracy"], numbers["precision"]) == (1, 0.875, 0.8)
    assert (numbers["specificity"], numbers["balanced_accuracy"]) == (0.75, 0.875)
    assert numbers["f1"] == pytest.approx(8 / 9, abs=1e-6)
    half = {"accuracy": 0.75, "f1": 0.75, "mistakes": 2, "precision": 0.75, "recall": 0.75}
    assert numbers["at_half"] == half


def test_a_probability_equal_to_the_threshold_is_positive() -> None:
    labels, probability = np.array([0, 1]), np.array([0.1, 0.5])
    half = scores.summary(labels, probability, np.array([0, 0]))["at_half"]
    assert half["recall"] == 1.0


def test_a_model_without_positive_predictions_gives_zeros_and_no_warning() -> None:
    numbers = scores.summary(LABELS, PROBABILITY, np.zeros(8, np.int64))
    assert numbers["positive"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 4}
    assert (numbers["precision"], numbers["recall"], numbers["f1"]) == (0.0, 0.0, 0.0)


def test_probability_scores_equal_those_of_scikit_learn() -> None:
    probability = np.append(PROBABILITY[:-2], [1.0, 0.0])  # P of 1: right; P of 0: wrong
    numbers = scores.probability_scores(LABELS, probability)
    assert numbers["brier"] == pytest.approx(brier_score_loss(LABELS, probability), abs=1e-6)
    assert numbers["loss"] == pytest.approx(log_loss(LABELS, probability), abs=1e-6)


def test_ece_by_hand() -> None:
    """Two bins: 0.1 and 0.3 hold one crack (0.2 against 0.5), 0.5 and 1 hold two (0.75, 1)."""
    labels, probability = np.array([0, 1, 1, 1]), np.array([0.1, 0.3, 0.5, 1.0])
    error = expected_calibration_error(labels, probability, bins=2)
    assert error == pytest.approx((2 * 0.3 + 2 * 0.25) / 4)
    table = curves.reliability_table(labels, probability, bins=2)
    assert table.to_dict("list") == {
        "predicted": [0.2, 0.75],
        "observed": [0.5, 1.0],
        "photos": [2, 2],
    }
    table = curves.reliability_table(labels, probability, bins=15)  # empty bins have no row
    assert table["photos"].tolist() == [1, 1, 1, 1]


def test_a_calibrated_model_has_a_low_ece() -> None:
    draw = np.random.default_rng(0)
    probability = draw.random(200_000)
    labels = (draw.random(200_000) < probability).astype(np.int64)
    assert expected_calibration_error(labels, probability) < 0.005
    surer = np.clip(2 * probability - 0.5, 0, 1)  # 0.125 too far from the middle, on average
    assert expected_calibration_error(labels, surer) == pytest.approx(0.125, abs=0.005)


def test_confusion_counts() -> None:
    table = scores.confusion_table(LABELS, AT_HALF)
    assert table.values.tolist() == [
        ["negative", "negative", 3],
        ["negative", "positive", 1],
        ["positive", "negative", 1],
        ["positive", "positive", 3],
    ]


def test_the_confusion_matrix_has_cells_for_a_class_never_predicted() -> None:
    table = scores.confusion_table(LABELS, np.zeros(8, np.int64))
    assert table["count"].tolist() == [4, 0, 4, 0]


@pytest.mark.parametrize("count", [8, 5000])
def test_curves_are_thinned_finite_and_keep_both_ends(count: int) -> None:
    draw = np.random.default_rng(0)
    labels = np.arange(count) % 2
    probability = np.clip(labels * 0.3 + draw.random(count) * 0.7, 0, 1)
    roc = curves.roc_table(labels, probability)
    recall = curves.precision_recall_table(labels, probability)
    for curve in (roc, recall):
        assert len(curve) <= curves.CURVE_POINTS
        assert np.isfinite(curve.to_numpy()).all()
    assert roc.iloc[[0, -1], :2].values.tolist() == [[0, 0], [1, 1]]
    assert recall["recall"].iloc[[0, -1]].tolist() == [1, 0]
    area = np.trapezoid(roc["true_positive_rate"], roc["false_positive_rate"])
    assert area == pytest.approx(roc_auc_score(labels, probability), abs=0.002)


def test_the_report_equals_that_of_scikit_learn() -> None:
    text = scores.report_text(LABELS, AT_HALF)
    assert "precision    recall  f1-score   support" in text
    assert "positive     0.7500    0.7500    0.7500         4" in text
    table = scores.report_table(LABELS, AT_HALF)
    assert table.index.tolist() == ["negative", "positive", "macro avg", "weighted avg"]


def scored(draw: st.DrawFn) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Labels of both classes, probabilities of few values so that some are equal, decisions."""
    count = draw(st.integers(2, 40))
    labels = draw(st.lists(st.integers(0, 1), min_size=count, max_size=count))
    labels[:2] = [0, 1]
    tenths = draw(st.lists(st.integers(0, 10), min_size=count, max_size=count))
    threshold = draw(st.integers(0, 11))
    probability = np.array(tenths) / 10
    return np.array(labels), probability, (np.array(tenths) >= threshold).astype(np.int64)


@settings(max_examples=20)
@given(st.composite(scored)(), st.randoms(use_true_random=False))
def test_invariants_of_all_scores(
    data: tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]], random: Random
) -> None:
    labels, probability, decided = data
    numbers = scores.summary(labels, probability, decided)
    counts = scores.confusion_table(labels, decided)["count"]
    assert counts.sum() == numbers["photos"] == len(labels)
    assert counts[1] + counts[2] == numbers["mistakes"]
    assert numbers["accuracy"] == round(1 - numbers["mistakes"] / len(labels), 6)
    for name in ("recall", "precision", "f1", "specificity", "roc_auc", "brier", "ece"):
        assert 0 <= numbers[name] <= 1, name
    json.dumps(numbers, allow_nan=False)

    order = list(range(len(labels)))
    random.shuffle(order)
    other = scores.summary(1 - labels[order], 1 - probability[order], 1 - decided[order])
    assert other["recall"] == numbers["specificity"]
    assert other["accuracy"] == numbers["accuracy"]
    for name in ("roc_auc", "brier"):
        assert other[name] == pytest.approx(numbers[name], abs=2e-6)
