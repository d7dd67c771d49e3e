"""Temperature scaling, the threshold, and the file that stores both."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from surface_crack.evaluation.calibration import (
    TEMPERATURES,
    Decision,
    choose_threshold,
    fit_temperature,
    probabilities,
    read_decision,
    write_decision,
)
from surface_crack.project.errors import DataError
from surface_crack.project.manifest import digest_of

DECISION = Decision(1.5, 0.3125, "fixed by params.yaml", "")


def drawn(count: int, overconfident: float) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Calibrated logits and labels drawn from them; the logits times `overconfident`."""
    draw = np.random.default_rng(0)
    logits = 3 * draw.standard_normal(count)
    labels = draw.random(count) < 1 / (1 + np.exp(-logits))
    return (overconfident * logits).astype(np.float32), labels.astype(np.int64)


def test_probabilities_do_not_overflow() -> None:
    logits = np.array([-1000.0, 0.0, 1000.0, 2.0], np.float32)
    want = [0.0, 0.5, 1.0, 1 / (1 + math.exp(-2 / 1.5))]
    assert DECISION.probabilities(logits) == pytest.approx(want)


def test_a_probability_equal_to_the_threshold_is_positive() -> None:
    assert DECISION.decide(np.array([0.3, 0.3125, 0.4])).tolist() == [0, 1, 1]


@pytest.mark.parametrize("overconfident", [0.25, 1.0, 4.0])
def test_the_temperature_recovers_the_scale_of_the_logits(overconfident: float) -> None:
    found = fit_temperature(*drawn(20_000, overconfident))
    assert found == pytest.approx(overconfident, rel=0.05)


def test_no_other_temperature_has_a_lower_loss() -> None:
    """A grid search over the formula; with few photos, Platt's targets matter."""
    logits, labels = drawn(30, 2.0)
    positives = labels.sum()
    targets = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (30 - positives + 2))

    def loss(temperature: float) -> float:
        p = probabilities(logits, temperature)
        return float(-(targets * np.log(p) + (1 - targets) * np.log(1 - p)).mean())

    grid = np.geomspace(1, 10, 10_001)
    best = grid[np.argmin([loss(temperature) for temperature in grid])]
    assert fit_temperature(logits, labels) == pytest.approx(best, rel=1e-3)


def test_separable_photos_do_not_give_infinite_confidence() -> None:
    """Platt's targets are 11/12 and 1/12, so logits of 4 should be ln 11."""
    labels = np.repeat([0, 1], 10)
    logits = np.where(labels == 1, 4, -4).astype(np.float32)
    assert fit_temperature(logits, labels) == pytest.approx(4 / math.log(11), rel=1e-3)


def test_logits_that_contradict_the_labels_give_the_upper_bound() -> None:
    logits, labels = drawn(1000, 1.0)
    assert fit_temperature(-logits, labels) == pytest.approx(TEMPERATURES[1], rel=0.01)
    assert fit_temperature((1e30 * logits).astype(np.float32), labels) <= TEMPERATURES[1]


NEXT = np.nextafter(0.3, 1)


@pytest.mark.parametrize(
    ("probability", "labels", "min_recall", "want"),
    [
        ([0.2, 0.6], [0, 1], 1, 0.5),
        ([0.2, 0.5], [0, 1], 1, 0.5),  # 0.5 itself is a crack from 0.5 on
        ([0.8, 0.9], [0, 1], 1, 0.5),  # never above 0.5
        ([0.1, 0.3, 0.9], [0, 1, 1], 1, 0.2),  # the middle, no photo's probability
        ([0.1, 0.3, 0.9], [0, 1, 1], 0.5, 0.5),  # one of two cracks may be missed
        ([0.1, 0.3, 0.9], [0, 1, 1], 0, 0.5),
        ([0.25, 0.3, 0.4, 0.9], [1, 0, 1, 1], 0.6, 0.35),
        ([0.3, 0.3], [0, 1], 1, 0.15),
        ([0.0, 0.0], [0, 1], 1, 0.0),
        ([NEXT, np.nextafter(NEXT, 1)], [0, 1], 1, np.nextafter(NEXT, 1)),  # adjacent floats
    ],
)
def test_the_threshold_by_hand(
    probability: list[float], labels: list[int], min_recall: float, want: float
) -> None:
    chosen = choose_threshold(np.array(probability), np.array(labels), min_recall)
    assert chosen == pytest.approx(want, rel=1e-15, abs=0)


# Ten negatives, from 0.05 to 0.95, and one positive far below.
NEGATIVES = [0.05 + n / 10 for n in range(10)]


@pytest.mark.parametrize(
    ("bound", "sources", "want"),
    [
        (1, "a" * 11, 0.005),  # no bound: the positive at 0.01 must be found
        (0.5, "a" * 11, 0.5),  # five of ten may be flagged: those from 0.55 up
        (0.2, "a" * 11, 0.8),  # the bound may be above 0.5
        (0.1, "a" * 11, 0.9),
        (0.05, "a" * 11, 0.005),  # less than one photo of ten: no bound
        (0.3, "b" + "a" * 5 + "b" * 5, 0.9),  # 1 of 5 of each: the stricter one
        (0.3, "c" + "a" * 9 + "b", 0.7),  # `b` has one photo, so no bound; 2 of 9 of `a`
    ],
)
def test_max_false_positives_has_priority_over_min_recall(
    bound: float, sources: str, want: float
) -> None:
    probability = np.array([0.01, *NEGATIVES])
    labels = np.array([1] + [0] * 10)
    chosen = choose_threshold(probability, labels, 1, list(sources), bound)
    assert chosen == pytest.approx(want, abs=1e-9)
    for source in set(sources):
        negative = probability[(labels == 0) & (np.array(list(sources)) == source)]
        if bound * len(negative) >= 1:
            assert (negative >= chosen).mean() <= bound


def test_photos_of_equal_probability_are_flagged_together() -> None:
    probability = np.array([0.1, *[0.4] * 5, *[0.6] * 5])
    labels = np.array([1] + [0] * 10)
    assert choose_threshold(probability, labels, 1, ["a"] * 11, 0.3) == pytest.approx(0.8)
    probability[6:] = 1  # 1 is the highest threshold
    assert choose_threshold(probability, labels, 1, ["a"] * 11, 0.3) == 1


@pytest.mark.parametrize("positives", [1, 3, 10, 90, 100])
@pytest.mark.parametrize("min_recall", [0.14, 0.5, 0.55, 0.9, 0.98, 0.99, 1.0])
def test_min_recall_is_reached_at_the_highest_possible_threshold(
    positives: int, min_recall: float
) -> None:
    draw = np.random.default_rng(positives)
    probability = draw.random(2 * positives)
    labels = np.repeat([0, 1], positives)
    threshold = choose_threshold(probability, labels, min_recall)
    assert (probability[labels == 1] >= threshold).mean() >= min_recall - 1e-12
    higher = probability[probability > threshold].min(initial=1) + 1e-9
    if threshold < 0.5:
        assert (probability[labels == 1] >= higher).mean() < min_recall - 1e-12


def test_a_decision_is_read_as_it_was_written(tmp_path: Path) -> None:
    path, model = tmp_path / "decision.json", tmp_path / "model"
    model.write_bytes(b"weights")
    decision = replace(DECISION, weights=digest_of(model))
    write_decision(path, decision)
    assert read_decision(path, model) == decision
    assert set(json.loads(path.read_text())) == {"temperature", "threshold", "rule", "weights"}


def test_a_decision_for_other_weights_is_an_error(tmp_path: Path) -> None:
    path, model = tmp_path / "decision.json", tmp_path / "model"
    model.write_bytes(b"weights")
    write_decision(path, replace(DECISION, weights=digest_of(model)))
    model.write_bytes(b"others")
    with pytest.raises(DataError, match=r"decision.json was made for other weights than those in"):
        read_decision(path, model)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not JSON"),
        ("[1]", "must hold a JSON object, got list"),
        ("{}", "temperature must be a number above 0, got None: run"),
        ('{"temperature": 0}', "temperature must be a number above 0, got 0: run"),
        (f'{{"temperature": {10**400}}}', "temperature must be a number above 0, got 1000"),
        ("[" * 100_000, "is not JSON"),
        ('{"temperature": NaN}', "temperature must be a number above 0, got nan: run"),
        ('{"temperature": true}', "temperature must be a number above 0, got True: run"),
        ('{"temperature": 1, "threshold": 2}', r"threshold must be a number in \[0, 1\], got 2:"),
        ('{"temperature": 1, "threshold": "0.5"}', "threshold must be .* got '0.5': run"),
        ('{"temperature": 1, "threshold": 0.5, "rule": 7}', "rule must be a string, got 7: run"),
        (
            '{"temperature": 1, "threshold": 0.5, "rule": ""}',
            "weights must be the SHA-256 of a model file, got None: run",
        ),
    ],
)
def test_an_invalid_decision_is_one_line_of_error(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "decision.json"
    path.write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        read_decision(path, tmp_path / "model")
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    path.unlink()
    with pytest.raises(DataError, match="is missing: run `dvc repro`"):
        read_decision(path, tmp_path / "model")
