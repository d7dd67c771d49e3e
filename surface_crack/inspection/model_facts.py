"""What a report says about the model: its own numbers, and what it cannot do."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from surface_crack.evaluation.terms import DRAWINGS, SHARES, only_drawings, shortened_list
from surface_crack.inspection.photo import Settings, smallest_crack
from surface_crack.project import paths
from surface_crack.project.errors import DataError, one_line
from surface_crack.project.files import read_json
from surface_crack.scoring.scorer import Scorer
from surface_crack.validation.verdict import VERDICT_TEXT, percent

SHOWN = ("recall", "specificity", "precision", "accuracy")
LIMITS = (
    "It must not be used to decide whether anything is safe: that takes an engineer on the spot.",
    "It does not measure cracks. A region is made of patches that hold a crack: it is as wide as a "
    "patch, however fine the crack is.",
    "No alarm is no proof: what it calls clean may have a crack that it did not see, and what was "
    "not photographed was not inspected.",
    "Joints, edges, shadows, holes and stains may be taken for cracks.",
)


FEW_PHOTOS = 1000  # in all, below which a model has seen little
NOT_USABLE = ("no", "cannot tell")  # verdicts of `validate`


@dataclass(frozen=True)
class Facts:
    rows: list[tuple[str, str]]  # what, and its value
    limits: list[str]  # sentences
    first: list[str]  # sentences that stand above the first photo
    warnings: list[str]  # likewise, and louder


def model_facts(
    model: Path, scorer: Scorer, settings: Settings, name: str, validated: Path | None = None
) -> Facts:
    """`name` is what the report calls it. Scores and source come from beside the model's folder, if
    they are this very model's; `validated` is a report.json of `validate` about it.

    Raises DataError if that is about another model.
    """
    patch = settings.patch_px or scorer.photo_side
    rows = [
        ("model", name),
        ("learnt from", shortened_list(scorer.sources)),
        ("digest of all its photos", scorer.data_digest),
        ("looks at", f"patches of {patch:.4g} x {patch:.4g} pixels of the photo"),
        ("which it sees as", f"{scorer.patch} x {scorer.patch} pixels"),
        ("threshold", f"{settings.threshold:.4g}{_threshold_origin(scorer, settings)}"),
    ]
    metrics = run_folder(model) / paths.METRICS
    scores = score_rows(metrics, scorer)
    first = [
        f"Model: {name}. It learnt from {shortened_list(scorer.sources)}.",
        _test_scores_text(scores)
        or "How many cracks it finds, and how often it is wrong, is not known here: see metrics/ "
        "and docs/model_card.md of its run.",
    ]
    warnings = [DRAWINGS] if only_drawings(scorer.sources) else []
    count = _photos(metrics) if scores else None
    if count is not None and count < FEW_PHOTOS:
        warnings.append(f"The model has {count} photos behind it, test set and all: that is few.")
    if validated:
        sentence, is_bad = validation_summary(validated, scorer)
        (warnings if is_bad else first).append(sentence)
    rows += scores or [
        ("its scores", "not known here: see metrics/ and docs/model_card.md of its run")
    ]
    about = DRAWINGS if only_drawings(scorer.sources) else _other_surfaces(scorer)
    return Facts(rows, [about, *LIMITS, _smallest_crack_text(scorer, settings)], first, warnings)


def validation_summary(report: Path, scorer: Scorer) -> tuple[str, bool]:
    """(what `validate` found, in a sentence; whether it speaks against using the model).

    Raises DataError for a file that is no report.json of `validate`, or is about another model.
    """
    try:
        found = read_json(report)
        use, suggested = found["verdict"]["use"], found["suggested"]
        same = (found["training_data"], found["temperature"], found["threshold"]) == (
            *(scorer.data_digest, scorer.temperature, scorer.threshold),
        )
        scores = [
            f"{SHARES[name]} {percent(found['scores'][name]['value'])}"
            for name in ("recall", "specificity")
            if found["scores"][name]
        ]
        verdict = VERDICT_TEXT[use].format(suggested and suggested["threshold"])
        text = f"{found['photos']} photos of {found['path']}: {verdict} ({'; '.join(scores)})."
    except (KeyError, TypeError, AttributeError, OSError) as error:
        raise DataError(
            f"--validated {report} is no report.json of `surface-crack validate --out` "
            f"({one_line(error)})"
        ) from None
    if not same:
        raise DataError(
            f"--validated {report} is about another model ({found['model']}): validate this one, "
            "or leave it out"
        )
    return f"surface-crack validate, on {text}", use in NOT_USABLE


def _test_scores_text(rows: Sequence[tuple[str, str]]) -> str:
    """Recall and false positives of `score_rows`, in a sentence; '' of none."""
    known = dict(rows)
    if not known:
        return ""
    return (
        f"On {known['judged on']} it finds {known[SHARES['recall']]} of the cracks, and calls "
        f"{known['false positives']} of the others cracked. On other surfaces it may do far worse."
    )


def _photos(metrics: Path) -> int | None:
    try:
        return int(read_json(metrics / "data.json")["photos"])
    except (DataError, KeyError, TypeError, ValueError):
        return None


def run_folder(model: Path) -> Path:
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
            value, ends = 100 * scores[name], scores["ci95"][name]
            low, high = 100 * ends["low"], 100 * ends["high"]
            rows.append((SHARES[name], f"{value:.1f} % (95 % interval {low:.1f} to {high:.1f} %)"))
            if name == "specificity":
                ends = f"95 % interval {100 - high:.1f} to {100 - low:.1f} %"
                rows.append(("false positives", f"{100 - value:.1f} % ({ends})"))
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


def _threshold_origin(scorer: Scorer, settings: Settings) -> str:
    if settings.threshold == scorer.threshold:
        return ", as calibrated"
    return f", given by hand (calibrated: {scorer.threshold:.4g}); scores below are at that one"


def _smallest_crack_text(scorer: Scorer, settings: Settings) -> str:
    never, expected = smallest_crack(scorer.patch, settings, scorer.photo_side)
    unit, size = "pixels of the photo", 1.0
    if settings.mm_per_px is not None:
        unit, size = "mm", settings.mm_per_px
    return (
        f"The smallest crack that can be expected to be seen is about {expected * size:.2g} {unit} "
        f"wide, one of the pixels that the model sees; below about {never * size:.2g} {unit}, half "
        "of one, nothing can be."
    )
