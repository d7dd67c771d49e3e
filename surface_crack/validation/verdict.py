"""Whether a model may be used on photos from elsewhere: its scores there, and a plain verdict.

Nothing is fitted to the photos but the threshold that is suggested, and the verdict says so.

The rules, in this order; R is `min_recall` of params.yaml:

1. A class with fewer than MIN_PHOTOS photos, or in fewer than MIN_GROUPS groups: cannot tell.
2. The interval of the area under ROC reaches down to that of a coin: no.
3. At the stored threshold recall is R or more, and specificity MIN_SPECIFICITY or more: yes.
4. At the highest threshold that finds R of the cracks here, specificity is MIN_SPECIFICITY or more: with
   another threshold, which is then chosen on these very photos.
5. Else no: finding R of the cracks would cost a second look at too many sound photos.

Scores decide, not the ends of their intervals, which few photos would make too wide for any "yes".
Where an interval reaches below what its rule asks for, the verdict says so.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from surface_crack.evaluation.calibration import highest_threshold
from surface_crack.evaluation.intervals import intervals, weighted_scores
from surface_crack.evaluation.terms import CHANCE

MIN_PHOTOS = 30  # photos of a class, below which nothing is concluded
MIN_GROUPS = 5  # likewise groups: draws of fewer say nothing of other places
MIN_SPECIFICITY = 0.8  # share of sound photos that a useful model spares a second look, at least
SHOWN = (
    *("recall", "precision", "specificity", "balanced_accuracy", "accuracy"),
    *("roc_auc", "average_precision", "ece", "brier"),
)
DECIDED = ("recall", "precision", "specificity")  # what another threshold changes
OF_ONE_CLASS = {  # what means something where the other class is missing
    0: {"specificity", "accuracy", "ece", "brier"},
    1: {"recall", "accuracy", "ece", "brier"},
}
VERDICT_TEXT = {
    "yes": "the model may be used here as it is",
    "with another threshold": "the model may be used here after moving the threshold to {}",
    "no": "do not use the model here",
    "cannot tell": "cannot tell whether the model may be used here",
}


class Verdict(NamedTuple):
    use: str  # a key of VERDICT_TEXT
    why: str  # a few sentences


class Score(NamedTuple):
    """A score and its 95 % interval."""

    value: float
    low: float
    high: float


class ClassResult(NamedTuple):
    """What is known of one class: cracks and their recall, or sound photos and specificity."""

    photos: int
    groups: int
    score: Score  # at the stored threshold
    least: float  # what is asked of it


class AtSuggested(NamedTuple):
    """What another threshold would give."""

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
    """All that can be said of calibrated P(crack) (n,) against labels (n,), in a form for JSON.

    `groups` (n,) are names: photos of one name belong together.
    """
    found = scores(labels, probability, threshold, groups)
    cracks, sound = (
        ClassResult(
            photos=int((labels == label).sum()),
            groups=len({group for group, own in zip(groups, labels, strict=True) if own == label}),
            score=found[name],
            least=least,
        )
        for label, name, least in ((1, "recall", min_recall), (0, "specificity", MIN_SPECIFICITY))
    )
    moved, suggested = None, None
    if cracks.photos and sound.photos:
        other = shortest(highest_threshold(probability, labels, min_recall), probability)
        there = scores(labels, probability, other, groups)
        moved = AtSuggested(other, there["recall"], there["specificity"])
        suggested = {"threshold": other}
        suggested |= _plain({name: there[name] for name in DECIDED})
    return {
        "verdict": verdict(cracks, sound, found["roc_auc"], moved)._asdict(),
        "photos": len(labels),
        "cracks": cracks.photos,
        "sound": sound.photos,
        "groups": len(set(groups)),
        "groups_with_cracks": cracks.groups,
        "groups_with_sound": sound.groups,
        "min_recall": min_recall,
        "threshold": threshold,
        "scores": _plain(found),
        "suggested": suggested,
        "always_crack": baseline(labels, 1),
        "never_crack": baseline(labels, 0),
    }


def scores(
    labels: NDArray[np.int64],
    probability: NDArray[np.float64],
    threshold: float,
    groups: Sequence[str],
) -> Scores:
    """Each of SHOWN with its interval; UNDEFINED also where a missing class empties it."""
    decided = (probability >= threshold).astype(np.int64)
    order = np.argsort(-probability, kind="stable")
    once = np.ones((1, len(labels)), np.int64)
    observed = weighted_scores(once, labels[order], probability[order], decided[order])
    bounds = intervals(labels, probability, decided, groups)
    classes = set(labels.tolist())
    found: Scores = {}
    for name in SHOWN:
        value = float(observed[name][0])
        said = len(classes) == 2 or name in OF_ONE_CLASS[min(classes)]
        found[name] = Score(value, *bounds[name]) if said and not math.isnan(value) else UNDEFINED
    return found


def baseline(labels: NDArray[np.int64], answer: int) -> dict[str, float | None]:
    """Scores of whoever gives the same answer to every photo; None where undefined."""
    share = float((labels == answer).mean())
    cracks, sound = (labels == 1).any(), (labels == 0).any()
    return {
        "recall": float(answer) if cracks else None,
        "precision": round(share, 6) if answer and cracks and sound else None,
        "specificity": float(1 - answer) if sound else None,
        "balanced_accuracy": 0.5 if cracks and sound else None,
        "accuracy": round(share, 6),
    }


def shortest(threshold: float, probability: NDArray[np.float64]) -> float:
    """The threshold with as few decimals as decide alike about P(crack) (n,): easy to type."""
    decided = probability >= threshold
    for decimals in range(1, 17):
        short = round(threshold, decimals)
        if np.array_equal(probability >= short, decided):
            return short
    return threshold


def verdict(cracks: ClassResult, sound: ClassResult, area: Score, moved: AtSuggested | None) -> Verdict:
    """The rules above, from both classes, the area under ROC, and what `min_recall` would take.

    `moved` is None where a class has no photo.
    """
    few = [*_few("of cracks", cracks), *_few("without a crack", sound)]
    if few:
        told = _told(cracks, sound) or ["So nothing can be concluded."]
        return Verdict("cannot tell", " ".join([*few, *told]))
    assert moved, "both classes have photos"
    wanted = f"{100 * cracks.least:g} %"
    now = (
        f"finds {percent(cracks.score.value)} of the cracks and spares "
        f"{percent(sound.score.value)} of the sound photos a second look; {wanted} and "
        f"{100 * sound.least:g} % are asked for."
    )
    cost = (
        f"Finding {wanted} of the cracks here takes a second look at "
        f"{percent(1 - moved.specificity.value)} of the sound photos."
    )
    if area.low <= CHANCE:
        swapped = " Have the two classes been swapped?" if area.high < CHANCE else ""
        return Verdict(
            "no",
            "These photos do not show that it does better than a coin: area under ROC "
            f"{area.value:.2f} ({area.low:.2f} to {area.high:.2f}), where a coin has {CHANCE}."
            f"{swapped} {cost}",
        )
    if cracks.score.value >= cracks.least and sound.score.value >= sound.least:
        return Verdict("yes", f"It {now}{_reservations(cracks, sound)}")
    if moved.specificity.value >= sound.least:
        there = cracks._replace(score=moved.recall), sound._replace(score=moved.specificity)
        return Verdict(
            "with another threshold",
            f"At the stored threshold it {now} At {moved.threshold} it finds "
            f"{percent(moved.recall.value)} and spares {percent(moved.specificity.value)}. That "
            "threshold was chosen on these very photos, so check it on others."
            + _reservations(*there),
        )
    return Verdict("no", f"At the stored threshold it {now} No other threshold helps. {cost}")


def _few(kind: str, side: ClassResult) -> list[str]:
    """What is missing, if anything."""
    if side.photos < MIN_PHOTOS:
        count = f"Only {side.photos}" if side.photos else "No"
        plural = "" if side.photos == 1 else "s"
        return [f"{count} photo{plural} {kind}: {MIN_PHOTOS} are needed."]
    if side.groups < MIN_GROUPS:
        return [
            f"The {side.photos} photos {kind} fall into fewer than {MIN_GROUPS} groups that belong "
            f"together ({side.groups}): too few places."
        ]
    return []


def _told(cracks: ClassResult, sound: ClassResult) -> list[str]:
    """What the photos tell nevertheless: the score of the class that has enough of them."""
    told = []
    for side, says in (
        (cracks, "finds {} of the cracks"),
        (sound, "spares {} of the sound photos a second look"),
    ):
        if not _few("", side):
            value, low, high = map(percent, side.score)
            told.append(f"What can be told: it {says.format(f'{value} ({low} to {high})')};")
            told.append(f"{100 * side.least:g} % are asked for.")
            if side.score.high < side.least:
                told.append("That alone speaks against using it as it is.")
    return told


def _reservations(cracks: ClassResult, sound: ClassResult) -> str:
    """What the intervals still allow; blank if they lie above what is asked for."""
    below = [
        f"a {name} as low as {percent(side.score.low)}"
        for name, side in (("recall", cracks), ("specificity", sound))
        if side.score.low < side.least
    ]
    return f" These photos do not rule out {' and '.join(below)}." if below else ""


def percent(share: float) -> str:
    """Rounded down, so that 98.998 % does not read as the 99 % that it misses."""
    return f"{math.floor(1e4 * share + 1e-6) / 100:.2f} %"


def _plain(found: Scores) -> dict[str, Any]:
    return {
        name: {part: round(value, 6) for part, value in score._asdict().items()}
        if score is not UNDEFINED
        else None
        for name, score in found.items()
    }
