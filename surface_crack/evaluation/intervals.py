"""95 % intervals of a score, by bootstrap over groups of photos that belong together.

Photos of one wall are right or wrong together, so the test part knows less than its number of
photos suggests. Each of 2,000 replicates draws whole groups with replacement; the 2.5 and 97.5
percentiles of a score over the replicates are its interval. Percentile method: Efron & Tibshirani
1993, "An Introduction to the Bootstrap", chapter 13; clusters: Field & Welsh 2007,
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
SEED = 0  # of the draws alone: the same predictions always get the same intervals
CELLS = 1_000_000  # photos times replicates held at once: some 80 MB

Scores = dict[str, NDArray[np.float64]]


def intervals(
    labels: NDArray[np.int64],
    probability: NDArray[np.float64],
    decided: NDArray[np.int64],
    groups: Sequence[str],
) -> dict[str, tuple[float, float]]:
    """(low, high) of each score of `weighted_scores`; all arguments (n,), in any order of rows.

    Replicates that leave a score undefined do not count for it. Where all replicates agree, as they
    do where every photo is right, percentiles would promise certainty. There the rule of three
    (Hanley & Lippman-Hand 1983, https://doi.org/10.1001/jama.1983.03330370053031) leaves a share
    some 3 / n of room, where n counts the groups that matter to it.

    The calibration error takes noise for error, and drawing adds noise: all its percentiles lie too
    high. So its lower bound is the upper one mirrored at the observed value (docs/decisions.md).
    """
    names, member = np.unique(np.asarray(groups, str), return_inverse=True)
    order = np.lexsort((member, labels, -probability))  # whatever order the rows came in
    labels, probability = labels[order], probability[order]
    decided, member = decided[order], member[order]
    chunks = [
        weighted_scores(weights[:, member], labels, probability, decided)
        for weights in _draws(len(names), len(labels))
    ]

    def count(concerned: NDArray[np.bool_]) -> int:
        return len(np.unique(member[concerned]))

    cracks, sound = count(labels == 1), count(labels == 0)
    concerned = {
        "accuracy": len(names),
        "average_precision": min(cracks, sound),
        "balanced_accuracy": min(cracks, sound),
        "brier": len(names),
        "ece": len(names),
        "f1": cracks,
        "precision": count(decided == 1),
        "recall": cracks,
        "roc_auc": min(cracks, sound),
        "specificity": sound,
    }
    found = {}
    for name in chunks[0]:
        values = np.concatenate([chunk[name] for chunk in chunks])
        low, high = _bounds(values[~np.isnan(values)], concerned.get(name))
        if name == "ece":
            low = max(0, 2 * expected_calibration_error(labels, probability) - high)
        found[name] = float(low), float(high)
    return found


def accuracy_interval(right: NDArray[np.bool_], groups: Sequence[str]) -> tuple[float, float]:
    """The one of `intervals`, to the last digit and at a fraction of its work; `right` is (n,)."""
    names, member = np.unique(np.asarray(groups, str), return_inverse=True)
    columns = np.stack([np.bincount(member, right), np.bincount(member)], axis=1)  # per group
    draws = _draws(len(names), len(names))
    chunks = [weights.astype(np.float64) @ columns for weights in draws]
    found, photos = np.concatenate(chunks).T
    return _bounds(found / photos, len(names))


def _bounds(values: NDArray[np.float64], concerned: int | None) -> tuple[float, float]:
    """2.5 and 97.5 percentile; with room for a share where all agree, see `intervals`."""
    low, high = np.percentile(values, (2.5, 97.5)) if len(values) else (0, 1)
    if concerned is not None and low == high:
        room = 1 - 0.05 ** (1 / max(concerned, 1))
        low, high = max(0, low - room), min(1, high + room)
    return float(low), float(high)


def _draws(groups: int, columns: int) -> Iterator[NDArray[np.int64]]:
    """The `group_weights` of all REPLICATES, as many at once as keep to CELLS at `columns` each."""
    draw = np.random.default_rng(SEED)
    step = max(1, CELLS // columns)
    for done in range(0, REPLICATES, step):
        yield group_weights(groups, min(step, REPLICATES - done), draw)


def group_weights(groups: int, replicates: int, draw: np.random.Generator) -> NDArray[np.int64]:
    """How often each of so many groups is drawn: (replicates, groups), each row sums to `groups`.

    Several calls with one generator give what one call for all replicates would.
    """
    drawn = draw.integers(groups, size=(replicates, groups))
    drawn += groups * np.arange(replicates)[:, None]  # a range of numbers for each replicate
    counts = np.bincount(drawn.ravel(), minlength=replicates * groups)
    return counts.reshape(replicates, groups)


def weighted_scores(
    weights: NDArray[np.int64],
    labels: NDArray[np.int64],
    probability: NDArray[np.float64],
    decided: NDArray[np.int64],
) -> Scores:
    """Scores (replicates,) of photos that count `weights` (replicates, n) times; NaN: undefined.

    The other arguments are (n,), in falling order of probability. Definitions as in scikit-learn,
    whose `sample_weight` gives the same numbers one replicate at a time.
    """
    times = weights.astype(np.float64)  # whole numbers still: sums of them are exact
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
    photos, cracks, alarms, found, squares, losses = sums[:, : len(columns)].T
    sound = photos - cracks
    silent = sound - (alarms - found)  # sound photos without an alarm
    recall, specificity = _ratio(found, cracks), _ratio(silent, sound)
    area, precision = curve_areas(times, labels, probability)
    return {
        "accuracy": (found + silent) / photos,
        "average_precision": precision,
        "balanced_accuracy": (recall + specificity) / 2,
        "brier": squares / photos,
        "ece": np.abs(sums[:, len(columns) :]).sum(axis=1) / photos,
        "f1": _ratio(2 * found, cracks + alarms),
        "loss": losses / photos,
        "precision": _ratio(found, alarms),
        "recall": recall,
        "roc_auc": area,
        "specificity": specificity,
    }


def roc_auc_of(labels: NDArray[np.int64], probability: NDArray[np.float64]) -> float:
    """Of photos (n,) of both classes, in any order."""
    order = np.argsort(-probability, kind="stable")
    area, _ = curve_areas(np.ones((1, len(labels))), labels[order], probability[order])
    return float(area[0])


def curve_areas(
    weights: NDArray[np.float64], labels: NDArray[np.int64], probability: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(area under ROC, average precision), each (replicates,); arguments as `weighted_scores`.

    Photos of equal probability are passed at once: a sloping piece of the ROC, one step of recall.
    """
    ends = np.flatnonzero(np.append(np.diff(probability) != 0, True))
    alarms = np.cumsum(weights, axis=1)[:, ends]
    found = np.cumsum(weights * labels, axis=1)[:, ends]
    false = alarms - found
    cracks, sound = found[:, -1], false[:, -1]
    new = np.diff(found, prepend=0)
    area = (np.diff(false, prepend=0) * (found - new / 2)).sum(axis=1)
    precision = (new * found / np.maximum(alarms, 1)).sum(axis=1)  # no alarms: nothing new
    return _ratio(area, cracks * sound), _ratio(precision, cracks)


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """part / whole, NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)
