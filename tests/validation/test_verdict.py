"""Scores, verdict and report of `validate`, from synthetic arrays."""

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from surface_crack.evaluation.calibration import highest_threshold
from surface_crack.evaluation.folders import WIDTH, Prediction, folder_table
from surface_crack.evaluation.intervals import intervals
from surface_crack.evaluation.scores import summary
from surface_crack.validation.report import validation_report
from surface_crack.validation.verdict import (
    MIN_GROUPS,
    MIN_PHOTOS,
    MIN_SPECIFICITY,
    SHOWN,
    AtSuggested,
    ClassResult,
    Score,
    constant_classifier,
    percent,
    shortest,
    validate,
    verdict,
)

MIN_RECALL = 0.99
REST = {  # the rest of report.json, which does not come from the scores
    "path": "site.zip",
    "model": "models/crack.safetensors (the one in models/)",
    "patch_px": None,
    "rule": "fixed by params.yaml",
    "trained_on": 0,
    "excluded": 0,
    "group_pattern": "",
    "pattern_misses": False,
    "rejected": 0,
    "first_rejected": [],
    "trained_sources": ["metu"],
    "size_note": "",
}


def drawn(
    negatives: int, positives: int, skill: float, shift: float = 0.0
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(labels, P(crack)): normal logits, class means `skill` apart, moved by `shift`."""
    labels = np.repeat([0, 1], [negatives, positives])
    draw = np.random.default_rng(negatives + positives)
    logits = skill * (labels - 0.5) + shift + draw.standard_normal(len(labels))
    return labels, 1 / (1 + np.exp(-logits))


def found(
    labels: NDArray[np.int64],
    probability: NDArray[np.float64],
    threshold: float = 0.5,
    groups: list[str] | None = None,
    min_recall: float = MIN_RECALL,
) -> dict[str, Any]:
    names = groups or [str(number) for number in range(len(labels))]
    numbers = validate(labels, probability, threshold, names, min_recall)
    return dict(json.loads(json.dumps(numbers, allow_nan=False)))  # no NaN, no NumPy types


def text_of(numbers: dict[str, Any]) -> str:
    return validation_report({**REST, **numbers}, [])


def words_of(numbers: dict[str, Any]) -> str:
    return " ".join(text_of(numbers).split())


def test_scores_equal_those_of_evaluate() -> None:
    labels, probability = drawn(300, 200, skill=2)
    groups = [str(number // 2) for number in range(500)]
    numbers = found(labels, probability, 0.3, groups)
    decided = (probability >= 0.3).astype(np.int64)
    reference = summary(labels, probability, decided)
    bounds = intervals(labels, probability, decided, groups)
    for name in SHOWN:
        score = numbers["scores"][name]
        assert score["value"] == pytest.approx(reference[name], abs=1.1e-6), name
        assert (score["low"], score["high"]) == pytest.approx(bounds[name], abs=1e-6), name
    assert (numbers["photos"], numbers["positive"], numbers["negative"]) == (500, 200, 300)
    assert (numbers["groups"], numbers["positive_groups"]) == (250, 100)
    for answer in (0, 1):
        constant = np.full(500, answer)
        reference = summary(labels, constant.astype(float), constant)
        constant_scores = numbers[("always_negative", "always_positive")[answer]]
        for name in ("recall", "specificity", "balanced_accuracy", "accuracy"):
            assert constant_scores[name] == reference[name], name
    assert numbers["always_positive"]["precision"] == 0.4
    assert numbers["always_negative"]["precision"] is None


def test_the_suggested_threshold_is_the_highest_with_min_recall() -> None:
    labels, probability = drawn(300, 200, skill=2)
    suggested = found(labels, probability)["suggested"]
    at = probability >= suggested["threshold"]
    assert at[labels == 1].mean() == suggested["recall"]["value"] == 0.99
    assert suggested["specificity"]["value"] == pytest.approx(1 - at[labels == 0].mean(), abs=1e-6)
    assert suggested["precision"]["value"] == pytest.approx(labels[at].mean(), abs=1e-6)
    higher = probability[probability >= suggested["threshold"]].min() + 1e-12
    assert (probability >= higher)[labels == 1].mean() < 0.99
    assert len(str(suggested["threshold"])) <= len("0.0123")


def test_the_highest_threshold_may_be_above_0_5() -> None:
    labels = np.array([0, 0, 1, 1])
    assert highest_threshold(np.array([0.1, 0.7, 0.9, 0.95]), labels, 1) == pytest.approx(0.8)
    assert highest_threshold(np.array([0.1, 0.7, 0.3, 0.95]), labels, 1) == pytest.approx(0.2)


@pytest.mark.parametrize("exact", [0.5000001, 0.123456, 1e-9, 0.99999999])
def test_a_rounded_threshold_gives_the_same_predictions(exact: float) -> None:
    probability = np.append(np.linspace(0, 1, 101), [exact - exact / 100, exact + exact / 100])
    short = shortest(exact, probability)
    assert ((probability >= short) == (probability >= exact)).all()
    assert len(str(short)) <= len(str(exact))


def test_a_perfect_model_may_be_used_with_a_reservation() -> None:
    labels, _ = drawn(100, 50, skill=0)
    numbers = found(labels, np.where(labels == 1, 0.99, 0.01))
    assert numbers["verdict"]["use"] == "yes"
    assert "does not rule out a recall as low as 94.18 %." in numbers["verdict"]["why"]
    assert "specificity as low" not in numbers["verdict"]["why"]
    assert text_of(numbers).startswith("Verdict: the model may be used here as it is.\n")


def test_many_photos_give_no_reservation() -> None:
    labels, probability = drawn(2000, 2000, skill=7)
    verdict = found(labels, probability)["verdict"]
    assert verdict["use"] == "yes"
    assert "rule out" not in verdict["why"]


@pytest.mark.parametrize(("shift", "above_half"), [(-3, False), (3, True)])
def test_a_shift_of_the_logits_needs_another_threshold(shift: float, above_half: bool) -> None:
    labels, probability = drawn(400, 400, skill=7, shift=shift)
    numbers = found(labels, probability)
    other = numbers["suggested"]["threshold"]
    assert numbers["verdict"]["use"] == "with another threshold"
    assert (other > 0.5) == above_half
    assert f"At {other}, recall is" in numbers["verdict"]["why"]
    assert "chosen on these photos, so check it on others." in numbers["verdict"]["why"]
    assert f"with the threshold set to {other}." in words_of(numbers)
    moved = found(labels, probability, threshold=other)
    assert moved["verdict"]["use"] == "yes"
    assert moved["scores"]["recall"] == numbers["suggested"]["recall"]


def test_a_reservation_on_the_specificity_at_another_threshold() -> None:
    labels = np.repeat([0, 1], [50, 400])
    probability = np.where(labels == 1, 0.4, 0.1)
    probability[:8] = 0.45  # 16 % of the negatives score higher than any positive
    numbers = found(labels, probability)
    assert numbers["verdict"]["use"] == "with another threshold"
    assert numbers["suggested"]["specificity"]["low"] < MIN_SPECIFICITY
    low = percent(numbers["suggested"]["specificity"]["low"])
    assert f"rule out a specificity as low as {low}." in numbers["verdict"]["why"]


def test_a_weak_model_is_rejected_with_its_false_positive_rate() -> None:
    labels, probability = drawn(1000, 1000, skill=1)
    numbers = found(labels, probability)
    rate = percent(1 - numbers["suggested"]["specificity"]["value"])
    assert numbers["verdict"]["use"] == "no"
    assert (
        "No threshold meets both. A recall of 99 % here means false positives on"
        in (numbers["verdict"]["why"])
    )
    assert f"{rate} of the negatives." in numbers["verdict"]["why"]
    assert text_of(numbers).startswith("Verdict: do not use the model here.\n")


def test_a_recall_of_1_with_low_specificity_is_rejected() -> None:
    """The model predicts a crack almost everywhere."""
    labels, probability = drawn(500, 500, skill=1, shift=8)
    numbers = found(labels, probability)
    assert numbers["scores"]["recall"]["value"] == 1
    assert numbers["verdict"]["use"] == "no"


def test_chance_level_is_rejected() -> None:
    verdict = found(*drawn(500, 500, skill=0))["verdict"]
    assert verdict["use"] == "no"
    assert "better than chance" in verdict["why"]
    assert "swapped" not in verdict["why"]


def test_a_roc_auc_whose_ci_includes_chance_is_rejected() -> None:
    numbers = found(*drawn(40, 40, skill=0.2))
    roc_auc = numbers["scores"]["roc_auc"]
    assert roc_auc["low"] < 0.5 < roc_auc["value"]
    assert numbers["verdict"]["use"] == "no"
    assert f"{roc_auc['value']:.2f} (95 % CI {roc_auc['low']:.2f} to" in numbers["verdict"]["why"]


def test_swapped_classes_are_suspected() -> None:
    labels, probability = drawn(500, 500, skill=6)
    verdict = found(1 - labels, probability)["verdict"]
    assert verdict["use"] == "no"
    assert "ROC AUC is 0.00" in verdict["why"]
    assert "Have the two classes been swapped?" in verdict["why"]


@pytest.mark.parametrize(
    ("recall", "specificity", "use"),
    [
        (0.99, 0.8, "yes"),
        (0.98, 0.8, "with another threshold"),
        (0.98, 0.79, "no"),
        (0.99, 0.79, "with another threshold"),
    ],
)
def test_requirements_are_inclusive(recall: float, specificity: float, use: str) -> None:
    """Positives at 0.9 or 0.3, negatives at 0.8 or 0.1: 0.2 finds all cracks, 0.85 most."""
    labels = np.repeat([0, 1], [100, 100])
    probability = np.concatenate(
        [
            np.where(np.arange(100) < round(100 * specificity), 0.1, 0.8),
            np.where(np.arange(100) < round(100 * recall), 0.9, 0.3),
        ]
    )
    numbers = found(labels, probability)
    assert numbers["scores"]["recall"]["value"] == recall
    assert numbers["scores"]["specificity"]["value"] == specificity
    assert numbers["verdict"]["use"] == use


@pytest.mark.parametrize(("label", "score"), [(1, "recall"), (0, "specificity")])
def test_with_one_class_only_its_score_is_reported(label: int, score: str) -> None:
    labels = np.full(200, label)
    probability = np.where(np.arange(200) < 20, 1 - label, label).astype(float)  # 10 % are wrong
    numbers = found(labels, probability)
    known = {name for name, value in numbers["scores"].items() if value}
    assert known == {score, "accuracy", "ece", "brier"}
    assert numbers["scores"][score]["value"] == 0.9
    assert numbers["suggested"] is None
    assert numbers["verdict"]["use"] == "cannot tell"
    why = numbers["verdict"]["why"]
    name = ("positive", "negative")[label]
    assert why.startswith(f"No {name} photos: at least 30 are needed. What can be said: {score} ")
    assert "is 90.00 % (95 % CI 85.50 % to 94.00 %; required:" in why
    assert ("reason not to use" in why) == (label == 1)  # required: recall 99 %, specificity 80 %
    assert "nan" not in text_of(numbers).lower()


def test_one_class_whose_ci_includes_the_requirement_is_no_reason_against() -> None:
    probability = np.where(np.arange(200) < 4, 0.1, 0.9)
    numbers = found(np.ones(200, np.int64), probability)
    assert numbers["scores"]["recall"]["low"] < MIN_RECALL < numbers["scores"]["recall"]["high"]
    assert "reason not to use" not in numbers["verdict"]["why"]


def test_five_photos_are_too_few() -> None:
    labels = np.array([0, 0, 1, 1, 1])
    numbers = found(labels, np.array([0.1, 0.2, 0.9, 0.8, 0.3]))
    assert numbers["verdict"] == {
        "use": "cannot tell",
        "why": "Only 3 positive photos: at least 30 are needed. Only 2 negative photos: at least "
        "30 are needed. So nothing can be concluded.",
    }
    assert numbers["scores"]["recall"]["value"] == pytest.approx(2 / 3, abs=1e-6)
    assert "With so few groups they are rough." in words_of(numbers)


def test_a_single_photo_does_not_crash() -> None:
    numbers = found(np.array([1]), np.array([0.9]))
    assert numbers["verdict"]["why"].startswith(
        "Only 1 positive photo: at least 30 are needed. No neg"
    )
    assert "nan" not in text_of(numbers).lower()


@pytest.mark.parametrize(
    ("positives", "use"), [(MIN_PHOTOS - 1, "cannot tell"), (MIN_PHOTOS, "yes")]
)
def test_each_class_needs_enough_photos(positives: int, use: str) -> None:
    verdict = found(*drawn(500, positives, skill=14))["verdict"]
    assert verdict["use"] == use
    if use == "cannot tell":
        assert "Only 29 positive photos" in verdict["why"]
        assert "What can be said: specificity is 100.00 %" in verdict["why"]


@pytest.mark.parametrize(("places", "use"), [(MIN_GROUPS - 1, "cannot tell"), (MIN_GROUPS, "yes")])
def test_each_class_needs_enough_groups(places: int, use: str) -> None:
    labels, probability = drawn(200, 200, skill=14)
    groups = [str(row) if row < 200 else f"wall {row % places}" for row in range(400)]
    verdict = found(labels, probability, groups=groups)["verdict"]
    assert verdict["use"] == use
    assert ("200 positive photos are of 4 groups: at least 5 are needed." in verdict["why"]) == (
        places < 5
    )


def test_percentages_are_rounded_down() -> None:
    assert percent(0.98998) == "98.99 %"
    assert percent(0.99) == "99.00 %"
    assert percent(0.29) == "29.00 %"
    assert percent(1) == "100.00 %"


def test_min_recall_is_the_required_recall() -> None:
    labels, probability = drawn(1000, 1000, skill=3)
    assert found(labels, probability, min_recall=0.99)["verdict"]["use"] == "no"
    assert found(labels, probability, min_recall=0.9)["verdict"]["use"] == "yes"
    assert found(labels, probability, min_recall=0)["verdict"]["use"] == "yes"


def test_the_order_of_photos_does_not_matter() -> None:
    labels, probability = drawn(60, 60, skill=2)
    groups = np.array([f"wall {row // 3}" for row in range(120)])
    order = np.random.default_rng(0).permutation(120)
    shuffled = found(labels[order], probability[order], groups=groups[order].tolist())
    assert shuffled == found(labels, probability, groups=groups.tolist())


def test_the_report_fits_80_columns_and_states_what_was_left_out() -> None:
    labels, probability = drawn(60, 60, skill=2)
    numbers = found(labels, probability) | {
        "trained_on": 7,
        "excluded": 8,
        "pattern_misses": True,
        "rejected": 9,
        "first_rejected": [{"source": "site", "path": "a/" * 60, "reason": "no photo"}],
    }
    folders = folder_table(
        Prediction(
            "site",
            f"a folder with a long name {row % 3}/x/{row}.jpg",
            int(labels[row]),
            str(row),
            probability[row],
            int(probability[row] >= 0.5),
        )
        for row in range(120)
    )
    text = validation_report({**REST, **numbers}, folders)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "Left out: 7 photos that the model was trained on" in text
    assert "Left out: 8 photos that match `exclude`." in text
    assert "The group_pattern matches none of these paths." in text
    assert "Each photo is its own group" in text
    assert "9 files cannot be used:" in text
    assert "\n  ...\n" in text
    assert text.count("long name") == 3
    text = validation_report({**REST, **numbers, "trained_on": None}, folders)
    assert "Unknown which photos the model was trained on" in text
    assert max(map(len, text.splitlines())) <= WIDTH


def test_no_line_begins_with_a_per_cent_sign() -> None:
    labels, probability = drawn(60, 60, skill=1)
    numbers = found(labels, probability)
    for length in range(WIDTH):
        numbers["verdict"]["why"] = "x" * length + " 99.00 % (98.00 % to 100.00 %)"
        assert not any(line.startswith("%") for line in text_of(numbers).splitlines())


@pytest.mark.parametrize("label", [0, 1])
def test_constant_classifiers_on_a_single_class(label: int) -> None:
    labels = np.full(50, label)
    own, other = ("recall", "specificity") if label else ("specificity", "recall")
    for answer in (0, 1):
        scores = constant_classifier(labels, answer)
        assert scores[own] == float(answer == label)
        assert scores["accuracy"] == float(answer == label)
        assert scores[other] is scores["precision"] is scores["balanced_accuracy"] is None


def test_a_roc_auc_ci_that_just_includes_chance_is_rejected() -> None:
    good = Score(1.0, 0.99, 1.0)
    sides = ClassResult(200, 200, good, 0.98), ClassResult(200, 200, good, 0.8)
    for low, use in ((0.4999, "no"), (0.5, "no"), (0.5001, "yes")):
        moved = AtSuggested(0.4, good, good)
        assert verdict(*sides, Score(0.7, low, 0.9), moved).use == use


def test_the_report_states_model_threshold_and_patches() -> None:
    labels, probability = drawn(60, 60, skill=2)
    numbers = found(labels, probability)
    text = text_of(numbers)
    assert "\nModel: models/crack.safetensors (the one in models/).\n" in text
    assert "Threshold 0.5 (fixed by params.yaml)." in text
    assert "patches" not in text
    text = " ".join(text_of(numbers | {"rule": None, "patch_px": 300.5}).split())
    assert "Threshold 0.5. 95 % confidence" in text
    assert "the highest probability of its patches of 300.5 pixels a side." in text
