"""May a model be used on photos from another site? Its scores there, and a verdict.

Nothing is fitted to these photos except the suggested threshold, and the verdict says so.

The first rule that applies decides; R is `min_recall` of params.yaml:

1. A class has fewer than MIN_PHOTOS photos or fewer than MIN_GROUPS groups: cannot tell.
2. The 95 % CI of ROC AUC includes 0.5: no.
3. At the stored threshold, recall is at least R and specificity at least MIN_SPECIFICITY: yes.
4. At the highest threshold with a recall of R here, specificity is at least MIN_SPECIFICITY: with
   another threshold, which was then chosen on these photos.
5. Otherwise no: a recall of R would cost false positives on too many negatives.

The rules use the scores, not the ends of their intervals, which with few photos are too wide for
any "yes". If a CI reaches below a requirement, the verdict says so.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from surface_crack.evaluation.calibration import highest_threshold
from surface_crack.evaluation.intervals import intervals, weighted_scores
from surface_crack.evaluation.terms import CHANCE

MIN_PHOTOS = 30  # per class, for a verdict
MIN_GROUPS = 5  # per class, for a verdict: fewer groups say nothing about other places
MIN_SPECIFICITY = 0.8  # required of a useful model
SHOWN = (
    *("recall", "precision", "specificity", "balanced_accuracy", "accuracy"),
    *("roc_auc", "average_precision", "ece", "brier"),
)
DECIDED = ("recall", "precision", "specificity")  # these depend on the threshold
OF_ONE_CLASS = {  # scores that are meaningful if only this class is present
    0: {"specificity", "accuracy", "ece", "brier"},
    1: {"recall", "accuracy", "ece", "brier"},
}
VERDICT_TEXT = {
    "yes": "the model may be used here as it is",
    "with another threshold": "the model may be used here with the threshold set to {}",
    "no": "do not use the model here",
    "cannot tell": "cannot tell whether the model may be used here",
}


class Verdict(NamedTuple):
    use: str  # a key of VERDICT_TEXT
    why: str  # the reasons, in a few sentences


class Score(NamedTuple):
    """A score and its 95 % confidence interval."""

    value: float
    low: float
    high: float


class ClassResult(NamedTuple):
    """One class: the positives with their recall, or the negatives with their specificity."""

    photos: int
    groups: int
    score: Score  # recall or specificity, at the stored threshold
    required: float  # its least acceptable value


class AtSuggested(NamedTuple):
    """The suggested threshold and the scores at it."""

    threshold: float
    recall: Score
    specificity: Score


Scores = dict[str, Score]
UNDEFINED = Score(math.nan, math.nan, math.nan)


def validate(
    labels: NDArray[np.int64],
    probability: NDArray[np.float64],
    threshold: float,
    groups: Sequence[str],
    min_recall: float,
) -> dict[str, Any]:
    """Compute scores and verdict of calibrated P(crack) (n,) against labels (n,), ready for JSON.

    `groups` (n,) are the group names of the photos.
    """
    found = scores(labels, probability, threshold, groups)
    positives, negatives = (
        ClassResult(
            photos=int((labels == label).sum()),
            groups=len({group for group, own in zip(groups, labels, strict=True) if own == label}),
            score=found[name],
            required=required,
        )
        for label, name, required in (
            (1, "recall", min_recall),
            (0, "specificity", MIN_SPECIFICITY),
        )
    )
    at_suggested, suggested = None, None
    if positives.photos and negatives.photos:
        other = shortest(highest_threshold(probability, labels, min_recall), probability)
        there = scores(labels, probability, other, groups)
        at_suggested = AtSuggested(other, there["recall"], there["specificity"])
        suggested = {"threshold": other}
        suggested |= _as_dicts({name: there[name] for name in DECIDED})
    return {
        "verdict": verdict(positives, negatives, found["roc_auc"], at_suggested)._asdict(),
        "photos": len(labels),
        "positive": positives.photos,
        "negative": negatives.photos,
        "groups": len(set(groups)),
        "positive_groups": positives.groups,
        "negative_groups": negatives.groups,
        "min_recall": min_recall,
        "threshold": threshold,
        "scores": _as_dicts(found),
        "suggested": suggested,
        "always_positive": constant_classifier(labels, 1),
        "always_negative": constant_classifier(labels, 0),
    }


def scores(
    labels: NDArray[np.int64],
    probability: NDArray[np.float64],
    threshold: float,
    groups: Sequence[str],
) -> Scores:
    """Each score in SHOWN with its 95 % CI; UNDEFINED if it needs a missing class."""
    decided = (probability >= threshold).astype(np.int64)
    order = np.argsort(-probability, kind="stable")
    once = np.ones((1, len(labels)), np.int64)
    observed = weighted_scores(once, labels[order], probability[order], decided[order])
    bounds = intervals(labels, probability, decided, groups)
    classes = set(labels.tolist())
    found: Scores = {}
    for name in SHOWN:
        value = float(observed[name][0])
        meaningful = len(classes) == 2 or name in OF_ONE_CLASS[min(classes)]
        defined = meaningful and not math.isnan(value)
        found[name] = Score(value, *bounds[name]) if defined else UNDEFINED
    return found


def constant_classifier(labels: NDArray[np.int64], answer: int) -> dict[str, float | None]:
    """Scores of a classifier that predicts class `answer` for every photo; None if undefined."""
    share = float((labels == answer).mean())
    positives, negatives = (labels == 1).any(), (labels == 0).any()
    return {
        "recall": float(answer) if positives else None,
        "precision": round(share, 6) if answer and positives and negatives else None,
        "specificity": float(1 - answer) if negatives else None,
        "balanced_accuracy": 0.5 if positives and negatives else None,
        "accuracy": round(share, 6),
    }


def shortest(threshold: float, probability: NDArray[np.float64]) -> float:
    """Round the threshold to as few decimals as give the same predictions for P(crack) (n,)."""
    decided = probability >= threshold
    for decimals in range(1, 17):
        short = round(threshold, decimals)
        if np.array_equal(probability >= short, decided):
            return short
    return threshold


def verdict(
    positives: ClassResult, negatives: ClassResult, roc_auc: Score, suggested: AtSuggested | None
) -> Verdict:
    """Apply the rules above to both classes, ROC AUC, and the scores at the suggested threshold.

    `suggested` is None if a class has no photos.
    """
    few = [*_too_few("positive", positives), *_too_few("negative", negatives)]
    if few:
        known = _single_class(positives, negatives) or ["So nothing can be concluded."]
        return Verdict("cannot tell", " ".join([*few, *known]))
    assert suggested, "both classes have photos"
    stored = (
        f"At the stored threshold, recall is {percent(positives.score.value)} (required: "
        f"{100 * positives.required:g} %) and specificity {percent(negatives.score.value)} "
        f"(required: {100 * negatives.required:g} %)."
    )
    cost = (
        f"A recall of {100 * positives.required:g} % here means false positives on "
        f"{percent(1 - suggested.specificity.value)} of the negatives."
    )
    if roc_auc.low <= CHANCE:
        swapped = " Have the two classes been swapped?" if roc_auc.high < CHANCE else ""
        return Verdict(
            "no",
            "These photos do not show that the model is better than chance: ROC AUC is "
            f"{roc_auc.value:.2f} (95 % CI {roc_auc.low:.2f} to {roc_auc.high:.2f}); chance is "
            f"{CHANCE}.{swapped} {cost}",
        )
    if positives.score.value >= positives.required and negatives.score.value >= negatives.required:
        return Verdict("yes", f"{stored}{_reservations(positives, negatives)}")
    if suggested.specificity.value >= negatives.required:
        at_suggested = (
            positives._replace(score=suggested.recall),
            negatives._replace(score=suggested.specificity),
        )
        return Verdict(
            "with another threshold",
            f"{stored} At {suggested.threshold}, recall is {percent(suggested.recall.value)} and "
            f"specificity {percent(suggested.specificity.value)}. That threshold was chosen on "
            "these photos, so check it on others." + _reservations(*at_suggested),
        )
    return Verdict("no", f"{stored} No threshold meets both. {cost}")


def _too_few(name: str, result: ClassResult) -> list[str]:
    """A sentence if the class has too few photos or groups for a verdict."""
    if result.photos < MIN_PHOTOS:
        count = f"Only {result.photos}" if result.photos else "No"
        plural = "" if result.photos == 1 else "s"
        return [f"{count} {name} photo{plural}: at least {MIN_PHOTOS} are needed."]
    if result.groups < MIN_GROUPS:
        return [
            f"The {result.photos} {name} photos are of {result.groups} "
            f"group{'' if result.groups == 1 else 's'}: at least {MIN_GROUPS} are needed."
        ]
    return []


def _single_class(positives: ClassResult, negatives: ClassResult) -> list[str]:
    """Sentences on the score of the class that has enough photos, if there is one."""
    sentences = []
    for name, result in (("recall", positives), ("specificity", negatives)):
        if not _too_few("", result):
            value, low, high = map(percent, result.score)
            sentences.append(
                f"What can be said: {name} is {value} (95 % CI {low} to {high}; required: "
                f"{100 * result.required:g} %)."
            )
            if result.score.high < result.required:
                sentences.append("That alone is a reason not to use the model as it is.")
    return sentences


def _reservations(positives: ClassResult, negatives: ClassResult) -> str:
    """A sentence if a 95 % CI reaches below its requirement; empty otherwise."""
    below = [
        f"a {name} as low as {percent(result.score.low)}"
        for name, result in (("recall", positives), ("specificity", negatives))
        if result.score.low < result.required
    ]
    return f" The 95 % CI does not rule out {' and '.join(below)}." if below else ""


def percent(share: float) -> str:
    """Format as per cent, rounded down: 98.998 % must not read as 99 % where 99 % is required."""
    return f"{math.floor(1e4 * share + 1e-6) / 100:.2f} %"


def _as_dicts(found: Scores) -> dict[str, Any]:
    return {
        name: {key: round(value, 6) for key, value in score._asdict().items()}
        if score is not UNDEFINED
        else None
        for name, score in found.items()
    }
