"""Scores against answers worked out by hand."""

import math

import numpy as np
import pytest

from surface_crack import metrics

LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 1])
PROBABILITY = np.array([0.1, 0.2, 0.6, 0.3, 0.9, 0.8, 0.7, 0.4])
# at 0.5: one false alarm (0.6), one missed crack (0.4)


def test_summary_by_hand() -> None:
    numbers = metrics.summary(LABELS, PROBABILITY, 0.5)
    assert numbers["accuracy"] == 0.75
    assert numbers["mistakes"] == 2
    assert numbers["photos"] == 8
    assert numbers["positive"] == {"precision": 0.75, "recall": 0.75, "f1": 0.75, "support": 4}
    assert numbers["roc_auc"] == 15 / 16  # of 16 pairs, only (0.6, 0.4) is in the wrong order
    assert set(numbers) >= {"negative", "positive", "macro", "weighted", "average_precision"}


def test_the_threshold_decides() -> None:
    assert metrics.summary(LABELS, PROBABILITY, 0.4)["positive"]["recall"] == 1.0
    assert metrics.decide(np.array([0.5]), 0.5).tolist() == [1]  # reaching it is enough


def test_a_model_that_never_says_crack_is_told_without_a_warning() -> None:
    numbers = metrics.summary(LABELS, PROBABILITY * 0.1, 0.5)
    assert numbers["positive"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 4}


def test_probabilities_do_not_overflow() -> None:
    logits = np.array([-1000.0, 0.0, 1000.0, 2.0], np.float32)
    want = [0.0, 0.5, 1.0, 1 / (1 + math.exp(-2))]
    assert metrics.probabilities(logits) == pytest.approx(want)


def test_confusion_counts() -> None:
    table = metrics.confusion_table(LABELS, metrics.decide(PROBABILITY, 0.5))
    assert table.values.tolist() == [
        ["negative", "negative", 3],
        ["negative", "positive", 1],
        ["positive", "negative", 1],
        ["positive", "positive", 3],
    ]


def test_a_class_that_nobody_predicts_has_its_cells() -> None:
    table = metrics.confusion_table(LABELS, np.zeros(8, np.int64))
    assert table["count"].tolist() == [4, 0, 4, 0]


@pytest.mark.parametrize("count", [8, 5000])
def test_curves_are_short_finite_and_keep_their_ends(count: int) -> None:
    draw = np.random.default_rng(0)
    labels = np.arange(count) % 2
    probability = np.clip(labels * 0.3 + draw.random(count) * 0.7, 0, 1)
    roc = metrics.roc_table(labels, probability)
    recall = metrics.precision_recall_table(labels, probability)
    for curve in (roc, recall):
        assert len(curve) <= metrics.CURVE_POINTS
        assert np.isfinite(curve.to_numpy()).all()
    assert roc.iloc[[0, -1], :2].values.tolist() == [[0, 0], [1, 1]]
    assert recall["recall"].iloc[[0, -1]].tolist() == [1, 0]
    area = np.trapezoid(roc["true_positive_rate"], roc["false_positive_rate"])
    assert area == pytest.approx(metrics.summary(labels, probability, 0.5)["roc_auc"], abs=0.002)


def test_the_report_is_scikit_learns() -> None:
    text = metrics.report_text(LABELS, metrics.decide(PROBABILITY, 0.5))
    assert "precision    recall  f1-score   support" in text
    assert "positive     0.7500    0.7500    0.7500         4" in text
    table = metrics.report_table(LABELS, metrics.decide(PROBABILITY, 0.5))
    assert table.index.tolist() == ["negative", "positive", "macro avg", "weighted avg"]
