"""From logits to a decision: a temperature, a threshold, and the file that holds both.

One temperature for all photos keeps their order, so ROC and precision-recall stay as they are;
what it mends is how sure the probabilities sound. Both are chosen on the validation part.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import NoReturn, TypeGuard

import numpy as np
from numpy.typing import NDArray

from surface_crack.project.errors import DataError
from surface_crack.project.files import read_json, write_json
from surface_crack.project.manifest import digest_of

TEMPERATURES = (0.01, 100.0)  # searched; a network worth its name needs 0.5 to 5


@dataclass(frozen=True)
class Decision:
    """How a logit becomes a verdict."""

    temperature: float  # above 0; logits are divided by it, so above 1 means less sure
    threshold: float  # calibrated probability from which a photo counts as cracked, in [0, 1]
    rule: str  # how the threshold was chosen, for people
    weights: str  # SHA-256 of the model file that it was chosen for

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Logits (n,) -> calibrated P(crack) (n,)."""
        return probabilities(logits, self.temperature)

    def decide(self, probability: NDArray[np.float64]) -> NDArray[np.int64]:
        """P(crack) (n,) -> 1 where it reaches the threshold."""
        return (probability >= self.threshold).astype(np.int64)


def probabilities(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """sigmoid(logit / temperature) of logits (n,), without overflow."""
    return np.exp(-np.logaddexp(0, -logits.astype(np.float64) / temperature))


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The temperature with the lowest cross-entropy on these photos, within TEMPERATURES.

    Guo et al. 2017, https://arxiv.org/abs/1706.04599, against the smoothed targets of Platt 1999
    ("Probabilistic outputs for support vector machines"): where every photo is on the right side,
    plain labels would ask for infinite certainty. Where logits speak against the labels, the best
    answer is "I do not know", and the temperature ends at the upper bound.
    """
    from scipy.optimize import minimize_scalar  # not installed where models only answer

    cracks = int(labels.sum())
    sound = len(labels) - cracks
    targets = np.where(labels == 1, (cracks + 1) / (cracks + 2), 1 / (sound + 2))

    def loss(log_temperature: float) -> float:
        scaled = logits.astype(np.float64) / math.exp(log_temperature)
        return float((np.logaddexp(0, scaled) - targets * scaled).mean())

    # The loss is convex in 1 / temperature, so it has one valley in the logarithm, too.
    low, high = map(math.log, TEMPERATURES)
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-6})
    return round(math.exp(found.x), 6)


def choose_threshold(
    probability: NDArray[np.float64],
    labels: NDArray[np.int64],
    min_recall: float,
    sources: Sequence[str] = (),
    max_false_positives: float = 1,
) -> float:
    """0.5, or the highest threshold below it that finds `min_recall` of the cracks; but no lower
    than what keeps false positives to a share of `max_false_positives` in each of the sources.

    P(crack) (n,) and labels (n,) with at least one crack, sources (n,) -> a number in [0, 1].
    """
    threshold = 0.5
    if _least_sure(probability, labels, min_recall) < threshold:
        threshold = highest_threshold(probability, labels, min_recall)
    names = np.array(sources if len(sources) else [""] * len(labels))
    bounds = [
        _lowest_threshold(probability, (labels == 0) & (names == name), max_false_positives)
        for name in np.unique(names)
    ]
    return max(threshold, *bounds)


def _lowest_threshold(
    probability: NDArray[np.float64], sound: NDArray[np.bool_], max_false_positives: float
) -> float:
    """The lowest threshold that flags at most this share of the photos `sound` (n,).

    Half-way to the next photo above, of either kind. 0 where the share is less than one photo:
    so few say nothing of it.
    """
    most_sure = np.sort(probability[sound])[::-1]
    allowed = math.floor(max_false_positives * len(most_sure) + 1e-9)
    if not allowed or allowed == len(most_sure):
        return 0.0
    spared = float(most_sure[allowed])
    above = float(probability[probability > spared].min(initial=1))
    middle = (spared + above) / 2
    return middle if middle > spared else above  # no number lies in between


def highest_threshold(
    probability: NDArray[np.float64], labels: NDArray[np.int64], min_recall: float
) -> float:
    """The highest threshold that finds `min_recall` of the cracks; arguments as above.

    Half-way between the least sure crack that must be found and the next photo below it, on
    nobody's probability.
    """
    least = _least_sure(probability, labels, min_recall)
    below = float(probability[probability < least].max(initial=0))
    middle = (below + least) / 2
    return middle if middle > below else least  # no number lies in between


def _least_sure(
    probability: NDArray[np.float64], labels: NDArray[np.int64], min_recall: float
) -> float:
    """The lowest P(crack) among the surest `min_recall` of the cracks; 1 if none must be found."""
    cracks = np.sort(probability[labels == 1])
    needed = math.ceil(min_recall * len(cracks) - 1e-9)  # 0.9 * 10 may come out above 9
    return float(cracks[len(cracks) - needed]) if needed else 1.0


def write_decision(path: Path, decision: Decision) -> None:
    write_json(path, asdict(decision))


def read_decision(path: Path, model: Path) -> Decision:
    """Raises DataError if the file is missing, damaged, holds something else, or was made for other
    weights than those in the file `model`.
    """
    if not path.exists():
        raise DataError(
            f"{path} is missing: run `dvc repro`, or copy it from where {model} comes from"
        )
    content = read_json(path)
    temperature, threshold, rule, weights = (content.get(field.name) for field in fields(Decision))

    def fail(name: str, want: str, got: object) -> NoReturn:
        raise DataError(f"{path}: {name} must be {want}, got {got!r}: run `dvc repro --force`")

    if not _is_number(temperature) or temperature <= 0:
        fail("temperature", "a number above 0", temperature)
    if not _is_number(threshold) or not 0 <= threshold <= 1:
        fail("threshold", "a number in [0, 1]", threshold)
    if not isinstance(rule, str):
        fail("rule", "a text", rule)
    if not isinstance(weights, str):
        fail("weights", "the SHA-256 of a model file", weights)
    if weights != digest_of(model):
        raise DataError(
            f"{path} was made for other weights than those in {model}: run `dvc repro`, or copy "
            "both files from one run"
        )
    return Decision(float(temperature), float(threshold), rule, weights)


def _is_number(value: object) -> TypeGuard[float]:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) < math.inf and abs(value) <= sys.float_info.max  # of an int of any length
