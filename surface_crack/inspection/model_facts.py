"""What a report says about the model: its own numbers, and what it cannot do."""

from dataclasses import dataclass
from pathlib import Path

from surface_crack import paths
from surface_crack.artifacts import read_json
from surface_crack.errors import DataError
from surface_crack.inspection.photo import Settings, smallest_crack
from surface_crack.scorer import Scorer
from surface_crack.wording import DRAWINGS, SHARES, only_drawings, shortened_list

SHOWN = ("recall", "specificity", "precision", "accuracy")
LIMITS = (
    "It must not be used to decide whether anything is safe: that takes an engineer on the spot.",
    "It does not measure cracks. A region is made of patches that hold a crack: it is as wide as a "
    "patch, however fine the crack is.",
    "No alarm is no proof: what it calls clean may have a crack that it did not see, and what was "
    "not photographed was not inspected.",
    "Joints, edges, shadows, holes and stains may be taken for cracks.",
)


@dataclass(frozen=True)
class Facts:
    rows: list[tuple[str, str]]  # what, and its value
    limits: list[str]  # sentences


def model_facts(model: Path, scorer: Scorer, settings: Settings, name: str) -> Facts:
    """`name` is what the report calls it. Scores and source come from beside the model's folder, if
    they are this very model's.
    """
    patch = settings.patch_px or scorer.photo_side
    rows = [
        ("model", name),
        ("learnt from", shortened_list(scorer.sources)),
        ("digest of all its photos", scorer.data_digest),
        ("looks at", f"patches of {patch:.4g} x {patch:.4g} pixels of the photo"),
        ("which it sees as", f"{scorer.patch} x {scorer.patch} pixels"),
        ("threshold", f"{settings.threshold:.4g}{_whose(scorer, settings)}"),
    ]
    scores = score_rows(run_of(model) / paths.METRICS, scorer) or [
        ("its scores", "not known here: see metrics/ and docs/model_card.md of its run")
    ]
    first = DRAWINGS if only_drawings(scorer.sources) else _other_surfaces(scorer)
    return Facts(rows + scores, [first, *LIMITS, _finest(scorer, settings)])


def run_of(model: Path) -> Path:
    """The folder of the run that the model file lies in, if it still lies where `train` put it."""
    return model.parent if model == paths.GENERAL else model.absolute().parent.parent


def score_rows(metrics: Path, scorer: Scorer) -> list[tuple[str, str]]:
    """From metrics/evaluate.json; none if it is missing, incomplete or about another model.

    Which model it is about, the temperature tells, too: retraining hardly ever ends at the same.
    """
    try:
        scores, data, decision = (
            read_json(metrics / f"{name}.json") for name in ("evaluate", "data", "calibrate")
        )
        apart = (
            abs(float(scores["threshold"]) - scorer.threshold),
            abs(float(decision["temperature"]) - scorer.temperature),
        )
        if data["digest"] != scorer.data_digest or max(apart) >= 1e-6:
            return []
        rows = [("judged on", f"{scores['photos']} test photos of one patch each")]
        for name in SHOWN:
            value, ends = 100 * scores[name], scores["interval"][name]
            low, high = 100 * ends["low"], 100 * ends["high"]
            rows.append((SHARES[name], f"{value:.1f} % (95 % interval {low:.1f} to {high:.1f} %)"))
    except (DataError, KeyError, TypeError, ValueError):
        return []
    return rows


def _other_surfaces(scorer: Scorer) -> str:
    few = shortened_list(scorer.sources)
    return (
        f"Its scores are those on photos like the ones it learnt from ({few}). On other surfaces "
        "it may find far fewer cracks: `surface-crack validate` tells, given labelled photos of "
        "them."
    )


def _whose(scorer: Scorer, settings: Settings) -> str:
    if settings.threshold == scorer.threshold:
        return ", as calibrated"
    return f", given by hand (calibrated: {scorer.threshold:.4g}); scores below are at that one"


def _finest(scorer: Scorer, settings: Settings) -> str:
    never, expected = smallest_crack(scorer.patch, settings, scorer.photo_side)
    unit, size = "pixels of the photo", 1.0
    if settings.mm_per_px is not None:
        unit, size = "mm", settings.mm_per_px
    return (
        f"The smallest crack that can be expected to be seen is about {expected * size:.2g} {unit} "
        f"wide, one of the pixels that the model sees; below about {never * size:.2g} {unit}, half "
        "of one, nothing can be."
    )
