"""Temperature scaling, the choice of the threshold, and the file that stores both.

Temperature scaling keeps the order of the photos, so the ROC and precision-recall curves do not
change, only the calibration. Temperature and threshold are chosen on the validation set.
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

TEMPERATURES = (0.01, 100.0)  # search range; usual values are 0.5 to 5


@dataclass(frozen=True)
class Decision:
    """How a logit becomes a prediction."""

    temperature: float  # above 0; logits are divided by it, so above 1 means less confident
    threshold: float  # lowest calibrated probability that is predicted positive, in [0, 1]
    rule: str  # how the threshold was chosen, as text for reports
    weights: str  # SHA-256 of the model file that both were chosen for

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Logits (n,) -> calibrated P(crack) (n,)."""
        return probabilities(logits, self.temperature)

    def decide(self, probability: NDArray[np.float64]) -> NDArray[np.int64]:
        """P(crack) (n,) -> 1 where it is at or above the threshold, else 0."""
        return (probability >= self.threshold).astype(np.int64)


def probabilities(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """sigmoid(logit / temperature) of logits (n,), without overflow."""
    return np.exp(-np.logaddexp(0, -logits.astype(np.float64) / temperature))


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the temperature in TEMPERATURES with the lowest cross-entropy; arguments are (n,).

    Temperature scaling: Guo et al. 2017, https://arxiv.org/abs/1706.04599. Targets are smoothed as
    in Platt 1999 ("Probabilistic outputs for support vector machines"), because with hard labels
    and no misclassified photo the optimum would be a temperature of 0. If the logits contradict
    the labels, the optimum is a probability of 0.5 for all, and the upper bound is returned.
    """
    from scipy.optimize import minimize_scalar  # here: not part of the small install

    positives = int(labels.sum())
    negatives = len(labels) - positives
    targets = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(log_temperature: float) -> float:
        scaled = logits.astype(np.float64) / math.exp(log_temperature)
        return float((np.logaddexp(0, scaled) - targets * scaled).mean())

    # The loss is convex in 1 / temperature, so it has a single minimum in log(temperature).
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
    """Choose the threshold: 0.5, or the highest one below it with a recall of `min_recall`.

    It is raised where needed so that the false positive rate of each source is at most
    `max_false_positives`; this bound has priority over `min_recall`. P(crack) (n,), labels (n,)
    with at least one positive and sources (n,) -> a number in [0, 1].
    """
    threshold = 0.5
    if _lowest_to_find(probability, labels, min_recall) < threshold:
        threshold = highest_threshold(probability, labels, min_recall)
    names = np.array(sources if len(sources) else [""] * len(labels))
    bounds = [
        _lowest_threshold(probability, (labels == 0) & (names == name), max_false_positives)
        for name in np.unique(names)
    ]
    return max(threshold, *bounds)


def _lowest_threshold(
    probability: NDArray[np.float64], negative: NDArray[np.bool_], max_false_positives: float
) -> float:
    """Return the lowest threshold with at most this false positive rate on photos `negative` (n,).

    It lies half-way to the next higher probability of any photo. 0 (no bound) where the allowed
    share is less than one photo: so few negatives cannot tell the rate.
    """
    descending = np.sort(probability[negative])[::-1]
    allowed = math.floor(max_false_positives * len(descending) + 1e-9)
    if not allowed or allowed == len(descending):
        return 0.0
    below = float(descending[allowed])  # highest negative that must not be flagged
    above = float(probability[probability > below].min(initial=1))
    middle = (below + above) / 2
    return middle if middle > below else above  # adjacent floats: nothing in between


def highest_threshold(
    probability: NDArray[np.float64], labels: NDArray[np.int64], min_recall: float
) -> float:
    """Return the highest threshold with a recall of `min_recall`; arguments as above.

    It lies half-way between the lowest-scoring positive that must be found and the next photo
    below it, so that it equals no photo's probability.
    """
    lowest = _lowest_to_find(probability, labels, min_recall)
    below = float(probability[probability < lowest].max(initial=0))
    middle = (below + lowest) / 2
    return middle if middle > below else lowest  # adjacent floats: nothing in between


def _lowest_to_find(
    probability: NDArray[np.float64], labels: NDArray[np.int64], min_recall: float
) -> float:
    """Return the lowest P(crack) of the top `min_recall` of the positives; 1 if that is none."""
    positives = np.sort(probability[labels == 1])
    needed = math.ceil(min_recall * len(positives) - 1e-9)  # 0.9 * 10 may be rounded to above 9
    return float(positives[len(positives) - needed]) if needed else 1.0


def write_decision(path: Path, decision: Decision) -> None:
    write_json(path, asdict(decision))


def read_decision(path: Path, model: Path) -> Decision:
    """Read models/decision.json and check that it belongs to the model file `model`.

    Raises DataError if the file is missing or invalid, or was made for other weights.
    """
    if not path.exists():
        raise DataError(f"{path} is missing: run `dvc repro`, or copy it together with {model}")
    content = read_json(path)
    temperature, threshold, rule, weights = (content.get(field.name) for field in fields(Decision))

    def fail(name: str, want: str, got: object) -> NoReturn:
        raise DataError(f"{path}: {name} must be {want}, got {got!r}: run `dvc repro --force`")

    if not _is_number(temperature) or temperature <= 0:
        fail("temperature", "a number above 0", temperature)
    if not _is_number(threshold) or not 0 <= threshold <= 1:
        fail("threshold", "a number in [0, 1]", threshold)
    if not isinstance(rule, str):
        fail("rule", "a string", rule)
    if not isinstance(weights, str):
        fail("weights", "the SHA-256 of a model file", weights)
    if weights != digest_of(model):
        raise DataError(
            f"{path} was made for other weights than those in {model}: run `dvc repro`, or copy "
            "both files from the same run"
        )
    return Decision(float(temperature), float(threshold), rule, weights)


def _is_number(value: object) -> TypeGuard[float]:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) < math.inf and abs(value) <= sys.float_info.max  # JSON ints have no limit
