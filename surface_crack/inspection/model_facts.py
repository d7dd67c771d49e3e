"""Collect what a report says about the model: its scores and its limits."""

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

SCORES_SHOWN = ("recall", "specificity", "precision", "accuracy")
LIMITS = (
    "It must not be used to decide whether a structure is safe: that takes an engineer on site.",
    "It does not measure cracks. Regions consist of patches that contain a crack: they are as wide "
    "as a patch, however fine the crack is.",
    "A clean photo is not proof: the model may have missed a crack, and what was not photographed "
    "was not inspected.",
    "It may take joints, edges, shadows, holes and stains for cracks.",
)


FEW_PHOTOS = 1000  # warn about models with fewer photos in all sets together
NOT_USABLE = ("no", "cannot tell")  # verdicts of `validate` that are shown as warnings


@dataclass(frozen=True)
class Facts:
    rows: list[tuple[str, str]]  # (name, value)
    limits: list[str]  # sentences
    summary: list[str]  # sentences shown at the top of the report
    warnings: list[str]  # sentences shown at the top as warnings


def model_facts(
    model: Path, scorer: Scorer, settings: Settings, name: str, validated: Path | None = None
) -> Facts:
    """Collect the facts about a model, which the report calls `name`.

    Scores are read from the model's training run, if they belong to this model. `validated` is a
    report.json of `validate`; raises DataError if it is about another model.
    """
    patch = settings.patch_px or scorer.photo_side
    rows = [
        ("model", name),
        ("trained on", shortened_list(scorer.sources)),
        ("digest of its data set", scorer.data_digest),
        ("patch", f"{patch:.4g} x {patch:.4g} pixels of the photo"),
        ("model input", f"{scorer.patch} x {scorer.patch} pixels"),
        ("threshold", f"{settings.threshold:.4g}{_threshold_origin(scorer, settings)}"),
    ]
    metrics = run_folder(model) / paths.METRICS
    scores = score_rows(metrics, scorer)
    summary = [
        f"Model: {name}, trained on {shortened_list(scorer.sources)}.",
        _test_scores_text(scores)
        or "Its recall and false positive rate are not known here: see metrics/ and "
        "docs/model_card.md of its training run.",
    ]
    warnings = [DRAWINGS] if only_drawings(scorer.sources) else []
    count = _photo_count(metrics) if scores else None
    if count is not None and count < FEW_PHOTOS:
        warnings.append(f"Only {count} photos were used to train and test this model: that is few.")
    if validated:
        sentence, is_bad = validation_summary(validated, scorer)
        (warnings if is_bad else summary).append(sentence)
    rows += scores or [
        ("scores", "not known here: see metrics/ and docs/model_card.md of its training run")
    ]
    about = DRAWINGS if only_drawings(scorer.sources) else _other_surfaces(scorer)
    return Facts(rows, [about, *LIMITS, _smallest_crack_text(scorer, settings)], summary, warnings)


def validation_summary(report: Path, scorer: Scorer) -> tuple[str, bool]:
    """Summarise a report of `validate`: (sentence, whether it advises against the model).

    Raises DataError if the file is not a report.json of `validate` or is about another model.
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
            f"--validated {report} is not a report.json of `surface-crack validate --out` "
            f"({one_line(error)})"
        ) from None
    if not same:
        raise DataError(
            f"--validated {report} is about another model ({found['model']}): validate this one, "
            "or leave it out"
        )
    return f"surface-crack validate on {text}", use in NOT_USABLE


def _test_scores_text(rows: Sequence[tuple[str, str]]) -> str:
    """Recall and false positive rate from `score_rows` as sentences; '' if there are none."""
    known = dict(rows)
    if not known:
        return ""
    return (
        f"On its test set ({known['test set']}), it found {known[SHARES['recall']]} of the cracked "
        f"photos (recall) and wrongly reported cracks in {known['false positive rate']} of the "
        "uncracked photos (false positive rate). On other surfaces it may do far worse."
    )


def _photo_count(metrics: Path) -> int | None:
    try:
        return int(read_json(metrics / "data.json")["photos"])
    except (DataError, KeyError, TypeError, ValueError):
        return None


def run_folder(model: Path) -> Path:
    """Folder of the training run, if the model file is still where `train` wrote it."""
    return model.parent if model == paths.GENERAL else model.absolute().parent.parent


def score_rows(metrics: Path, scorer: Scorer) -> list[tuple[str, str]]:
    """Rows of test scores; none if the metrics are missing, incomplete or of another model.

    The model is recognised by its data digest, threshold and temperature: two trainings hardly ever
    end with the same temperature.
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
        rows = [("test set", f"{scores['photos']} photos of one patch each")]
        for name in SCORES_SHOWN:
            value, ends = 100 * scores[name], scores["ci95"][name]
            low, high = 100 * ends["low"], 100 * ends["high"]
            rows.append((SHARES[name], f"{value:.1f} % (95 % CI {low:.1f} to {high:.1f} %)"))
            if name == "specificity":
                ends = f"95 % CI {100 - high:.1f} to {100 - low:.1f} %"
                rows.append(("false positive rate", f"{100 - value:.1f} % ({ends})"))
    except (DataError, KeyError, TypeError, ValueError):
        return []
    return rows


def _other_surfaces(scorer: Scorer) -> str:
    few = shortened_list(scorer.sources)
    return (
        f"Its scores hold for photos like those it was trained on ({few}). On other surfaces it "
        "may find far fewer cracks: test that with `surface-crack validate` on labelled photos."
    )


def _threshold_origin(scorer: Scorer, settings: Settings) -> str:
    if settings.threshold == scorer.threshold:
        return ", as calibrated"
    return f", set by --threshold; the scores below are at the calibrated {scorer.threshold:.4g}"


def _smallest_crack_text(scorer: Scorer, settings: Settings) -> str:
    never, expected = smallest_crack(scorer.patch, settings, scorer.photo_side)
    unit, size = "pixels of the photo", 1.0
    if settings.mm_per_px is not None:
        unit, size = "mm", settings.mm_per_px
    return (
        f"The finest crack that it can be expected to find is about {expected * size:.2g} {unit} "
        f"wide (one pixel of the model's input). Cracks below about {never * size:.2g} {unit} "
        "(half a pixel) cannot be seen."
    )
