"""ROC, precision-recall and reliability curves as tables for charts. Label 1 is a crack.

Definitions as in scikit-learn, https://scikit-learn.org/stable/modules/model_evaluation.html
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import (
    precision_recall_curve,
    roc_curve,
)

from surface_crack.evaluation.calibration_error import BINS, calibration_bins

CURVE_POINTS = 300  # enough for a chart, and small enough to keep in git


def reliability_table(
    labels: NDArray[np.int64], probability: NDArray[np.float64], bins: int = BINS
) -> pd.DataFrame:
    """Per non-empty bin: mean predicted P(crack), observed share of positives, photos."""
    frame = pd.DataFrame({"predicted": probability, "observed": labels})
    grouped = frame.groupby(calibration_bins(probability, bins))
    return grouped.mean().assign(photos=grouped.size()).reset_index(drop=True).round(6)


def roc_table(labels: NDArray[np.int64], probability: NDArray[np.float64]) -> pd.DataFrame:
    """false_positive_rate, true_positive_rate, threshold; at most CURVE_POINTS rows."""
    false_positive, true_positive, thresholds = roc_curve(labels, probability)
    thresholds = np.minimum(thresholds, 1)  # the first is infinite: all predicted negative
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
    """At most CURVE_POINTS rows, evenly spaced along the curve's length, with both ends."""
    if len(curve) > CURVE_POINTS:
        steps = np.hypot(*np.diff(curve.iloc[:, :2].to_numpy(), axis=0).T)
        length = np.append(0, np.cumsum(steps))
        wanted = np.linspace(0, length[-1], CURVE_POINTS)
        curve = curve.iloc[np.unique(np.searchsorted(length, wanted).clip(0, len(curve) - 1))]
    return curve.round(6)
