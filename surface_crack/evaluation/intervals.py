"""95 % confidence intervals by cluster bootstrap over groups of related photos.

Errors on photos of one wall are correlated, so the effective size of the test set is smaller than
its number of photos. Each of 2,000 replicates resamples whole groups with replacement; the interval
of a score is from its 2.5th to its 97.5th percentile. Percentile method: Efron & Tibshirani 1993,
"An Introduction to the Bootstrap", chapter 13; clusters: Field & Welsh 2007,
https://doi.org/10.1111/j.1467-9868.2007.00593.x
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from surface_crack.evaluation.calibration_error import (
    calibration_bins,
    cross_entropies,
    expected_calibration_error,
)

REPLICATES = 2000
SEED = 0  # fixed: the same predictions always give the same intervals
CELLS = 1_000_000  # photos times replicates in memory at once: about 80 MB

Scores = dict[str, NDArray[np.float64]]


def intervals(
    labels: NDArray[np.int64],
    probability: NDArray[np.float64],
    decided: NDArray[np.int64],
    groups: Sequence[str],
) -> dict[str, tuple[float, float]]:
    """Return (low, high) of each score in `weighted_scores`; all arguments (n,), in any row order.

    Replicates in which a score is undefined are ignored for that score. If all replicates agree,
    as when every photo is classified correctly, the percentile interval would have no width. It is
    then widened by the rule of three (Hanley & Lippman-Hand 1983,
    https://doi.org/10.1001/jama.1983.03330370053031), to about 3 / n, where n is the number of
    groups that affect the score.

    The ECE is biased upwards by noise, and resampling adds noise, so all its percentiles are too
    high. Its lower bound is therefore the upper one mirrored at the observed value
    (docs/decisions.md).
    """
    names, member = np.unique(np.asarray(groups, str), return_inverse=True)
    order = np.lexsort((member, labels, -probability))  # independent of the row order
    labels, probability = labels[order], probability[order]
    decided, member = decided[order], member[order]
    chunks = [
        weighted_scores(weights[:, member], labels, probability, decided)
        for weights in _draws(len(names), len(labels))
    ]

    def count(chosen: NDArray[np.bool_]) -> int:
        return len(np.unique(member[chosen]))

    positives, negatives = count(labels == 1), count(labels == 0)
    relevant_groups = {
        "accuracy": len(names),
        "average_precision": min(positives, negatives),
        "balanced_accuracy": min(positives, negatives),
        "brier": len(names),
        "ece": len(names),
        "f1": positives,
        "precision": count(decided == 1),
        "recall": positives,
        "roc_auc": min(positives, negatives),
        "specificity": negatives,
    }
    found = {}
    for name in chunks[0]:
        values = np.concatenate([chunk[name] for chunk in chunks])
        low, high = _bounds(values[~np.isnan(values)], relevant_groups.get(name))
        if name == "ece":
            low = max(0, 2 * expected_calibration_error(labels, probability) - high)
        found[name] = float(low), float(high)
    return found


def accuracy_interval(correct: NDArray[np.bool_], groups: Sequence[str]) -> tuple[float, float]:
    """Return the accuracy's (low, high) exactly as `intervals` does, but faster; arguments (n,)."""
    names, member = np.unique(np.asarray(groups, str), return_inverse=True)
    columns = np.stack([np.bincount(member, correct), np.bincount(member)], axis=1)  # per group
    draws = _draws(len(names), len(names))
    chunks = [weights.astype(np.float64) @ columns for weights in draws]
    found, photos = np.concatenate(chunks).T
    return _bounds(found / photos, len(names))


def _bounds(values: NDArray[np.float64], relevant_groups: int | None) -> tuple[float, float]:
    """2.5th and 97.5th percentile, widened by the rule of three if equal; see `intervals`."""
    low, high = np.percentile(values, (2.5, 97.5)) if len(values) else (0, 1)
    if relevant_groups is not None and low == high:
        margin = 1 - 0.05 ** (1 / max(relevant_groups, 1))
        low, high = max(0, low - margin), min(1, high + margin)
    return float(low), float(high)


def _draws(groups: int, columns: int) -> Iterator[NDArray[np.int64]]:
    """Yield the `group_weights` of all REPLICATES in chunks of at most CELLS / columns rows."""
    draw = np.random.default_rng(SEED)
    step = max(1, CELLS // columns)
    for done in range(0, REPLICATES, step):
        yield group_weights(groups, min(step, REPLICATES - done), draw)


def group_weights(groups: int, replicates: int, draw: np.random.Generator) -> NDArray[np.int64]:
    """Resample groups with replacement: counts (replicates, groups), each row sums to `groups`.

    Several calls with one generator give the same rows as one call for all replicates.
    """
    drawn = draw.integers(groups, size=(replicates, groups))
    drawn += groups * np.arange(replicates)[:, None]  # a range of its own for each replicate
    counts = np.bincount(drawn.ravel(), minlength=replicates * groups)
    return counts.reshape(replicates, groups)


def weighted_scores(
    weights: NDArray[np.int64],
    labels: NDArray[np.int64],
    probability: NDArray[np.float64],
    decided: NDArray[np.int64],
) -> Scores:
    """Return scores (replicates,) of photos weighted by `weights` (replicates, n); NaN: undefined.

    The other arguments are (n,), in descending order of probability. Definitions as in
    scikit-learn, which gives the same numbers with `sample_weight`, one replicate at a time.
    """
    times = weights.astype(np.float64)  # whole numbers, so their sums are exact
    bins = calibration_bins(probability)
    gaps = np.zeros((len(labels), bins.max() + 1))
    gaps[np.arange(len(labels)), bins] = labels - probability
    columns = [
        np.ones(len(labels)),
        labels,
        decided,
        labels * decided,
        (labels - probability) ** 2,
        cross_entropies(labels, probability),
    ]
    sums = times @ np.column_stack([*columns, gaps])
    photos, positives, flagged, true_positives, squares, losses = sums[:, : len(columns)].T
    negatives = photos - positives
    true_negatives = negatives - (flagged - true_positives)
    recall, specificity = _ratio(true_positives, positives), _ratio(true_negatives, negatives)
    roc_auc, average_precision = curve_areas(times, labels, probability)
    return {
        "accuracy": (true_positives + true_negatives) / photos,
        "average_precision": average_precision,
        "balanced_accuracy": (recall + specificity) / 2,
        "brier": squares / photos,
        "ece": np.abs(sums[:, len(columns) :]).sum(axis=1) / photos,
        "f1": _ratio(2 * true_positives, positives + flagged),
        "loss": losses / photos,
        "precision": _ratio(true_positives, flagged),
        "recall": recall,
        "roc_auc": roc_auc,
        "specificity": specificity,
    }


def roc_auc_of(labels: NDArray[np.int64], probability: NDArray[np.float64]) -> float:
    """Return the ROC AUC of photos (n,) of both classes, in any order."""
    order = np.argsort(-probability, kind="stable")
    area, _ = curve_areas(np.ones((1, len(labels))), labels[order], probability[order])
    return float(area[0])


def curve_areas(
    weights: NDArray[np.float64], labels: NDArray[np.int64], probability: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (ROC AUC, average precision), each (replicates,); arguments as `weighted_scores`.

    Photos of equal probability cross the threshold together: one sloped segment of the ROC curve,
    one step of recall.
    """
    ends = np.flatnonzero(np.append(np.diff(probability) != 0, True))
    flagged = np.cumsum(weights, axis=1)[:, ends]
    true_positives = np.cumsum(weights * labels, axis=1)[:, ends]
    false_positives = flagged - true_positives
    positives, negatives = true_positives[:, -1], false_positives[:, -1]
    new = np.diff(true_positives, prepend=0)
    area = (np.diff(false_positives, prepend=0) * (true_positives - new / 2)).sum(axis=1)
    precision = (new * true_positives / np.maximum(flagged, 1)).sum(axis=1)  # flagged 0: new 0
    return _ratio(area, positives * negatives), _ratio(precision, positives)


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """part / whole; NaN where `whole` is 0."""
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)
