"""Scores of disturbed photos: which photos, what each disturbance costs, and the same in words."""

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
    """At most `count` rows of the test part, with both classes as in it, in its order.

    `test` has the columns label and sha256. Of each class those with the lowest hash: as good as
    drawn at random, the same each time, and a larger count keeps those of a smaller one.
    """
    if len(test) <= count:
        return test
    cracks = round(count * test["label"].mean())
    cracks = min(max(cracks, 1), count - 1)
    ordered = test.sort_values("sha256", kind="stable")
    chosen = [
        ordered[ordered["label"] == label].index[:n] for label, n in ((1, cracks), (0, count))
    ]
    return test.loc[sorted([*chosen[0], *chosen[1][: count - len(chosen[0])]])]


def find_photos(listing: Listing, table: pd.DataFrame) -> list[Photo]:
    """The photo of each row, by the source and path of index.csv. Raises DataError."""
    known = photos_by_name(listing)
    found = []
    for name in zip(table["source"], table["path"], strict=True):
        if name not in known:
            raise DataError(f"{'/'.join(name)} is no longer in raw: run `dvc repro`")
        found.append(known[name])
    return found


def scores(labels: NDArray[np.int64], decided: Decided) -> dict[str, Any]:
    """metrics/robustness.json: `kind.strength.score`, and the same photos undisturbed."""
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
    """Accuracy, recall (cracks found) and specificity (sound photos left alone)."""
    cracks, sound = (decision_scores(abs(x - labels), abs(x - decided)) for x in (0, 1))
    return {
        "accuracy": cracks["accuracy"],
        "recall": cracks["recall"],
        "specificity": sound["recall"],
    }


def robustness_text(found: Mapping[str, Any], sources: Sequence[str], threshold: float) -> str:
    """metrics/robustness.txt: the same as a table, and how to read it.

    `sources` is where the photos are from.
    """
    plain = found[UNDISTURBED[0]]
    lines = [
        f"{plain['photos']} test photos ({shortened_list(sources)}), {plain['cracks']} with a "
        "crack, disturbed at their full size;",
        f"a crack from a probability of {threshold:.4g} on. One photo is "
        f"{100 / plain['photos']:.2f} % of the accuracy.",
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
        "recall: cracks found; specificity: sound photos left alone.",
        "scale 200: four quarters, a crack if one of them is; so four chances of a false alarm.",
        "Strong blur and overexposure can wipe a thin crack out, and rotation turns up to 17 %",
        "of a square photo out of the frame, corners first.",
    ]
    return "\n".join(lines) + "\n"


def _percent(values: Mapping[str, float]) -> list[str]:
    return [f"{100 * values[name]:.2f} %" for name in ("accuracy", "recall", "specificity")]


def _line(head: str, strength: str, values: Sequence[str]) -> str:
    return f"{head:40}{strength:>8}" + "".join(f"{value:>13}" for value in values)
