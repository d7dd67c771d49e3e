"""Scores of a binary classifier, computed from arrays. Label 1 is a crack.

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
    precision_recall_fscore_support,
    roc_auc_score,
)

from surface_crack.evaluation.calibration_error import (
    cross_entropies,
    expected_calibration_error,
)
from surface_crack.project.labels import CLASSES


def report_table(labels: NDArray[np.int64], decided: NDArray[np.int64]) -> pd.DataFrame:
    """scikit-learn's classification report, one row per class and average.

    Columns: precision, recall, f1-score, support.
    """
    report: dict[str, Any] = classification_report(
        labels, decided, labels=[0, 1], target_names=CLASSES, output_dict=True, zero_division=0
    )
    report.pop("accuracy", None)
    return pd.DataFrame(report).T.astype({"support": int})


def report_text(labels: NDArray[np.int64], decided: NDArray[np.int64]) -> str:
    """scikit-learn's classification report as text."""
    return str(
        classification_report(
            labels, decided, labels=[0, 1], target_names=CLASSES, digits=4, zero_division=0
        )
    )


def confusion_table(labels: NDArray[np.int64], decided: NDArray[np.int64]) -> pd.DataFrame:
    """Confusion matrix as four rows: actual, predicted, count."""
    counts = confusion_matrix(labels, decided, labels=[0, 1])
    return pd.DataFrame(
        [(CLASSES[i], CLASSES[j], int(counts[i, j])) for i in (0, 1) for j in (0, 1)],
        columns=["actual", "predicted", "count"],
    )


def summary(
    labels: NDArray[np.int64], probability: NDArray[np.float64], decided: NDArray[np.int64]
) -> dict[str, Any]:
    """Compute all scores of metrics/evaluate.json. `labels` must contain both classes."""
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
    """Scores that depend on the threshold: accuracy, mistakes, precision, recall, F1."""
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
    """Scores of the calibrated probabilities: Brier score, ECE, loss (cross-entropy, nats)."""
    return {
        "brier": round(float(((labels - probability) ** 2).mean()), 6),
        "ece": round(expected_calibration_error(labels, probability), 6),
        "loss": round(float(cross_entropies(labels, probability).mean()), 6),
    }
