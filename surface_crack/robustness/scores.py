"""Choose the test photos to disturb, score each disturbance, and format the scores as text."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from surface_crack.evaluation.scores import decision_scores
from surface_crack.evaluation.terms import shortened_list
from surface_crack.photos.listing import Listing, Photo, photos_by_name
from surface_crack.project.errors import DataError
from surface_crack.robustness.disturbances import DISTURBANCES

Level = tuple[str, int]  # kind and strength of DISTURBANCES
UNDISTURBED: Level = ("undisturbed", 0)
LEVELS: list[Level] = [(kind, x) for kind, of in DISTURBANCES.items() for x in of.strengths]
Decided = Mapping[Level, NDArray[np.int64]]


def choose_photos(test: pd.DataFrame, count: int) -> pd.DataFrame:
    """Choose at most `count` rows of the test set, stratified by class, in their order.

    `test` has the columns label and sha256. Those with the lowest hash of each class are chosen:
    in effect at random, but reproducibly, and a larger count includes the rows of a smaller one.
    """
    if len(test) <= count:
        return test
    positives = round(count * test["label"].mean())
    positives = min(max(positives, 1), count - 1)
    ordered = test.sort_values("sha256", kind="stable")
    chosen = [
        ordered[ordered["label"] == label].index[:n] for label, n in ((1, positives), (0, count))
    ]
    return test.loc[sorted([*chosen[0], *chosen[1][: count - len(chosen[0])]])]


def find_photos(listing: Listing, table: pd.DataFrame) -> list[Photo]:
    """Return the photo of each row, by its source and path. Raises DataError if one is missing."""
    known = photos_by_name(listing)
    found = []
    for name in zip(table["source"], table["path"], strict=True):
        if name not in known:
            raise DataError(f"{'/'.join(name)} is no longer in raw: run `dvc repro`")
        found.append(known[name])
    return found


def scores(labels: NDArray[np.int64], decided: Decided) -> dict[str, Any]:
    """Content of metrics/robustness.json: `kind.strength.score`, and the undisturbed scores."""
    plain = decision_scores(labels, decided[UNDISTURBED])
    found: dict[str, Any] = {
        UNDISTURBED[0]: {
            **level_scores(labels, decided[UNDISTURBED]),
            "precision": plain["precision"],
            "photos": len(labels),
            "cracks": int(labels.sum()),
        }
    }
    for kind, strength in LEVELS:
        of_kind = found.setdefault(kind, {})
        of_kind[str(strength)] = level_scores(labels, decided[kind, strength])
    return found


def level_scores(labels: NDArray[np.int64], decided: NDArray[np.int64]) -> dict[str, float]:
    """Accuracy, recall and specificity of predictions (n,) against labels (n,)."""
    positive, negative = (decision_scores(abs(x - labels), abs(x - decided)) for x in (0, 1))
    return {
        "accuracy": positive["accuracy"],
        "recall": positive["recall"],
        "specificity": negative["recall"],
    }


def robustness_text(found: Mapping[str, Any], sources: Sequence[str], threshold: float) -> str:
    """Return metrics/robustness.txt: `found` of robustness.json as a table, and how to read it.

    `sources` names where the photos are from.
    """
    plain = found[UNDISTURBED[0]]
    lines = [
        f"{plain['photos']} test photos ({shortened_list(sources)}), {plain['cracks']} positive, "
        "disturbed at full size.",
        f"Threshold {threshold:.4g}. One photo is {100 / plain['photos']:.2f} percentage points "
        "of accuracy.",
        "",
        _line("", "strength", ["accuracy", "recall", "specificity"]),
        _line(UNDISTURBED[0], "", _percent(plain)),
    ]
    for kind, (unit, strengths) in DISTURBANCES.items():
        for strength in strengths:
            head = f"{kind} ({unit})" if strength == strengths[0] else ""
            lines.append(_line(head, str(strength), _percent(found[kind][str(strength)])))
    lines += [
        "",
        "Recall: share of positives found. Specificity: share of negatives not flagged.",
        "scale 200: each quarter is classified, and the photo is positive if any quarter is, so",
        "there are four chances of a false positive.",
        "Strong blur and overexposure can erase a thin crack. Rotation moves up to 17 % of a",
        "square photo, in its corners, out of the frame.",
    ]
    return "\n".join(lines) + "\n"


def _percent(values: Mapping[str, float]) -> list[str]:
    return [f"{100 * values[name]:.2f} %" for name in ("accuracy", "recall", "specificity")]


def _line(head: str, strength: str, values: Sequence[str]) -> str:
    return f"{head:40}{strength:>8}" + "".join(f"{value:>13}" for value in values)
