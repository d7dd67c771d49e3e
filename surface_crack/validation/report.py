"""The report of `surface-crack validate`, in 80 columns: the verdict, then the scores behind it."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from surface_crack.evaluation.folders import WIDTH, FolderScores, folder_lines
from surface_crack.evaluation.intervals import REPLICATES
from surface_crack.evaluation.terms import DRAWINGS, FEW_GROUPS, NUMBERS, SCORES, only_drawings
from surface_crack.validation.verdict import DECIDED, SHOWN, VERDICT_TEXT, percent

NAMES = SCORES | {  # with a short explanation, in at most 29 characters
    "recall": "recall (cracks found)",
    "precision": "precision (correct positives)",
    "specificity": "specificity (true negatives)",
    "ece": "ECE (calibration error)",
}


def validation_report(found: Mapping[str, Any], folders: Sequence[FolderScores]) -> str:
    """Return report.txt. `found` is the content of report.json, `folders` of `folder_table`."""
    rule = f" ({found['rule']})" if found["rule"] else ""
    other = found["suggested"]["threshold"] if found["suggested"] else None
    lines = [
        *(_wrapped(f"Sizes: {found['size_note']}") if found["size_note"] else []),
        *_wrapped(f"Verdict: {VERDICT_TEXT[found['verdict']['use']].format(other)}."),
        *_wrapped(found["verdict"]["why"]),
        *(_wrapped(DRAWINGS) if only_drawings(found["trained_sources"]) else []),
        "",
        *_photos(found),
        "",
        f"{'':60}constant classifiers",
        f"{'':29}{'score':>10}  {'95 % CI':19}{'always':>10}{'never':>10}",
        *(_line(name, found["scores"][name], *_baselines(name, found)) for name in SHOWN),
        "",
        *_wrapped(f"Threshold {found['threshold']:.4g}{rule}."),
        *_wrapped(
            f"95 % confidence intervals: cluster bootstrap, {REPLICATES:,} resamples of "
            f"{found['groups']:,} groups."
            f"{' With so few groups they are rough.' if found['groups'] < FEW_GROUPS else ''}"
        ),
        *_wrapped("The constant classifiers always, or never, predict a crack."),
        *_suggested(found),
        "",
    ]
    if len(folders) > 1:
        lines += [*folder_lines(folders, "report.json"), ""]
    return "\n".join(lines)


def _photos(found: Mapping[str, Any]) -> list[str]:
    """Lines on the number of photos, the model, and which photos were left out and why."""
    lines = _wrapped(
        f"{found['path']}: {found['photos']:,} photos, {found['positive']:,} positive, in "
        f"{found['groups']:,} groups."
    )
    lines += _wrapped(f"Model: {found['model']}.")
    if found["patch_px"]:
        lines += _wrapped(
            f"Each photo has the highest probability of its patches of {found['patch_px']:g} "
            "pixels a side."
        )
    if found["trained_on"] is None:
        lines += _wrapped(
            "Unknown which photos the model was trained on: data/ is not from its training. Any "
            "that are among these photos were not left out and inflate the scores."
        )
    elif found["trained_on"]:
        lines += _wrapped(
            f"Left out: {found['trained_on']:,} photos that the model was trained on or selected "
            "with, and their near-duplicates."
        )
    if found["excluded"]:
        lines += _wrapped(f"Left out: {found['excluded']:,} photos that match `exclude`.")
    if found["pattern_misses"]:
        lines += _wrapped("The group_pattern matches none of these paths.")
    if found["pattern_misses"] or not found["group_pattern"]:
        lines += _wrapped(
            "Each photo is its own group, except for copies and near-duplicates. If several show "
            "the same place, the intervals are too narrow: group them with --group-pattern."
        )
    if found["rejected"]:
        lines += _wrapped(f"{found['rejected']:,} files cannot be used:")
        for file in found["first_rejected"]:
            lines += _wrapped(f"{file['source']}/{file['path']}: {file['reason']}", "  ")
        if found["rejected"] > len(found["first_rejected"]):
            lines.append("  ...")
    return lines


def _line(name: str, score: Mapping[str, float] | None, *others: str) -> str:
    """A row of the table: a score, its 95 % CI, and the scores `others`."""
    value = brackets = "-"
    if score:
        value, low, high = (_number(name, score[part]) for part in ("value", "low", "high"))
        value, brackets = value if name in NUMBERS else f"{value} %", f"({low} to {high})"
    cells = "".join(f"{other:>10}" for other in others)
    return f"{NAMES[name]:29}{value:>10}  {brackets:19}{cells}".rstrip()


def _baselines(name: str, found: Mapping[str, Any]) -> list[str]:
    """This score of the classifiers that always, and never, predict a crack; "" if undefined."""
    values = [found[answer].get(name) for answer in ("always_positive", "always_negative")]
    return ["" if value is None else f"{_number(name, value)} %" for value in values]


def _number(name: str, value: float) -> str:
    return f"{value:.4f}" if name in NUMBERS else percent(value).removesuffix(" %")


def _suggested(found: Mapping[str, Any]) -> list[str]:
    """Lines on the scores at the highest threshold with the required recall on these photos."""
    other = found["suggested"]
    if not other:
        return []
    required = f"{100 * found['min_recall']:g} %"
    return [
        "",
        f"At {other['threshold']}, the highest threshold with a recall of {required} here:",
        *(_line(name, other[name]) for name in DECIDED),
    ]


def _wrapped(text: str, indent: str = "") -> list[str]:
    """Wrap to WIDTH, without line breaks before a per cent sign or inside an option name."""
    lines = textwrap.wrap(
        text.replace(" %", "\xa0%"),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )
    return [line.replace("\xa0%", " %") for line in lines]
