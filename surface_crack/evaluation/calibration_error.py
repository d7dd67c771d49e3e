"""Cross-entropy and expected calibration error (ECE), from arrays, with NumPy alone."""

import numpy as np
from numpy.typing import NDArray

BINS = 15  # of the ECE: the usual number


def cross_entropies(
    labels: NDArray[np.int64], probability: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Cross-entropy of each photo (n,) in nats; at most 36, since probabilities are clipped."""
    tiny = np.finfo(np.float64).eps  # as in scikit-learn's log_loss
    p = np.clip(probability, tiny, 1 - tiny)
    return np.asarray(-np.log(np.where(labels == 1, p, 1 - p)))


def calibration_bins(probability: NDArray[np.float64], bins: int = BINS) -> NDArray[np.int64]:
    """Return the bin (n,) of each P(crack) (n,), of `bins` equal-width bins; 1 is in the last."""
    return np.minimum((probability * bins).astype(np.int64), bins - 1)


def expected_calibration_error(
    labels: NDArray[np.int64], probability: NDArray[np.float64], bins: int = BINS
) -> float:
    """Return the ECE: the gap between predicted and observed share per bin, averaged over photos.

    Naeini, Cooper & Hauskrecht 2015, https://doi.org/10.1609/aaai.v29i1.9602
    """
    gaps = np.bincount(calibration_bins(probability, bins), labels - probability)
    return float(np.abs(gaps).sum() / len(labels))
