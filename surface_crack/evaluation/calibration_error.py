"""Whether probabilities can be taken at their word: from arrays, by NumPy alone."""

import numpy as np
from numpy.typing import NDArray

BINS = 15  # of the calibration error: the usual number


def cross_entropies(
    labels: NDArray[np.int64], probability: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Cross-entropy of each photo (n,), nats; at most 36, the one mistake of a P of exactly 1."""
    tiny = np.finfo(np.float64).eps  # as scikit-learn's log_loss
    p = np.clip(probability, tiny, 1 - tiny)
    return np.asarray(-np.log(np.where(labels == 1, p, 1 - p)))


def calibration_bins(probability: NDArray[np.float64], bins: int = BINS) -> NDArray[np.int64]:
    """Which of `bins` equally wide bins each P(crack) (n,) falls into; 1 belongs to the last."""
    return np.minimum((probability * bins).astype(np.int64), bins - 1)


def expected_calibration_error(
    labels: NDArray[np.int64], probability: NDArray[np.float64], bins: int = BINS
) -> float:
    """Mean over photos of how far predicted and observed lie apart in their bin.

    Naeini, Cooper & Hauskrecht 2015, https://doi.org/10.1609/aaai.v29i1.9602
    """
    gaps = np.bincount(calibration_bins(probability, bins), labels - probability)
    return float(np.abs(gaps).sum() / len(labels))
