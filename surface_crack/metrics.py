"""Scores of a binary classifier, from arrays alone. Label 1 is a crack.

Definitions as in scikit-learn, https://scikit-learn.org/stable/modules/model_evaluation.html
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import (
    average_precision_score,
    classification_report,
    confusion_matrix,
    precision_recall_curve,
    precision_recall_fscore_support,
    roc_auc_score,
    roc_curve,
)

from surface_crack.calibration_error import (
    BINS,
    calibration_bins,
    cross_entropies,
    expected_calibration_error,
)

CLASSES = ["negative", "positive"]
CURVE_POINTS = 300  # a curve in a chart needs no more, and git keeps every one


def report_table(labels: NDArray[np.int64], decided: NDArray[np.int64]) -> pd.DataFrame:
    """scikit-learn's report: a row per class and average; precision, recall, f1-score, support."""
    report: dict[str, Any] = classification_report(
        labels, decided, labels=[0, 1], target_names=CLASSES, output_dict=True, zero_division=0
    )
    report.pop("accuracy", None)
    return pd.DataFrame(report).T.astype({"support": int})


def report_text(labels: NDArray[np.int64], decided: NDArray[np.int64]) -> str:
    """scikit-learn's report as it is usually printed."""
    return str(
        classification_report(
            labels, decided, labels=[0, 1], target_names=CLASSES, digits=4, zero_division=0
        )
    )


def confusion_table(labels: NDArray[np.int64], decided: NDArray[np.int64]) -> pd.DataFrame:
    """Four rows: actual, predicted, count."""
    counts = confusion_matrix(labels, decided, labels=[0, 1])
    return pd.DataFrame(
        [(CLASSES[i], CLASSES[j], int(counts[i, j])) for i in (0, 1) for j in (0, 1)],
        columns=["actual", "predicted", "count"],
    )


def summary(
    labels: NDArray[np.int64], probability: NDArray[np.float64], decided: NDArray[np.int64]
) -> dict[str, Any]:
    """All scores of metrics/evaluate.json. Both classes must occur in `labels`."""
    table = report_table(labels, decided).rename(columns={"f1-score": "f1"})
    per_class: dict[str, Any] = {
        str(name).removesuffix(" avg"): {
            column: int(value) if column == "support" else round(float(value), 6)
            for column, value in row.items()
        }
        for name, row in table.to_dict("index").items()
    }
    ranking = {
        "roc_auc": round(float(roc_auc_score(labels, probability)), 6),
        "average_precision": round(float(average_precision_score(labels, probability)), 6),
    }
    return {
        **per_class,
        **decision_scores(labels, decided),
        **probability_scores(labels, probability),
        **ranking,
        "at_half": decision_scores(labels, (probability >= 0.5).astype(np.int64)),
        "balanced_accuracy": per_class["macro"]["recall"],
        "photos": len(labels),
        "specificity": per_class["negative"]["recall"],
    }


def decision_scores(labels: NDArray[np.int64], decided: NDArray[np.int64]) -> dict[str, Any]:
    """What depends on the threshold: accuracy, mistakes; precision, recall and F1 of cracks."""
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, decided, average="binary", zero_division=0
    )
    return {
        "accuracy": round(float((decided == labels).mean()), 6),
        "f1": round(float(f1), 6),
        "mistakes": int((decided != labels).sum()),
        "precision": round(float(precision), 6),
        "recall": round(float(recall), 6),
    }


def probability_scores(
    labels: NDArray[np.int64], probability: NDArray[np.float64]
) -> dict[str, float]:
    """What tells whether probabilities can be taken at their word: Brier score, ECE, loss."""
    return {
        "brier": round(float(((labels - probability) ** 2).mean()), 6),
        "ece": round(expected_calibration_error(labels, probability), 6),
        "loss": round(float(cross_entropies(labels, probability).mean()), 6),
    }


def reliability_table(
    labels: NDArray[np.int64], probability: NDArray[np.float64], bins: int = BINS
) -> pd.DataFrame:
    """Per bin that holds photos: mean predicted P(crack), observed share of cracks, photos."""
    frame = pd.DataFrame({"predicted": probability, "observed": labels})
    grouped = frame.groupby(calibration_bins(probability, bins))
    return grouped.mean().assign(photos=grouped.size()).reset_index(drop=True).round(6)


def roc_table(labels: NDArray[np.int64], probability: NDArray[np.float64]) -> pd.DataFrame:
    """false_positive_rate, true_positive_rate, threshold; at most CURVE_POINTS rows."""
    false_positive, true_positive, thresholds = roc_curve(labels, probability)
    thresholds = np.minimum(thresholds, 1)  # the first is infinite: "call nothing a crack"
    return _thinned(
        pd.DataFrame(
            {
                "false_positive_rate": false_positive,
                "true_positive_rate": true_positive,
                "threshold": thresholds,
            }
        )
    )


def precision_recall_table(
    labels: NDArray[np.int64], probability: NDArray[np.float64]
) -> pd.DataFrame:
    """recall, precision, threshold; at most CURVE_POINTS rows."""
    precision, recall, thresholds = precision_recall_curve(
        labels, probability, drop_intermediate=True
    )
    thresholds = np.append(thresholds, 1)  # the last point has none
    return _thinned(
        pd.DataFrame({"recall": recall, "precision": precision, "threshold": thresholds})
    )


def _thinned(curve: pd.DataFrame) -> pd.DataFrame:
    """Rows evenly along the curve's length, both ends included."""
    if len(curve) > CURVE_POINTS:
        steps = np.hypot(*np.diff(curve.iloc[:, :2].to_numpy(), axis=0).T)
        way = np.append(0, np.cumsum(steps))
        wanted = np.linspace(0, way[-1], CURVE_POINTS)
        curve = curve.iloc[np.unique(np.searchsorted(way, wanted).clip(0, len(curve) - 1))]
    return curve.round(6)
