"""What `surface-crack validate` prints, in 80 columns: the verdict first, then what it rests on."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from surface_crack.evaluation.folders import WIDTH, FolderScores, folder_lines
from surface_crack.evaluation.intervals import REPLICATES
from surface_crack.evaluation.terms import DRAWINGS, FEW_GROUPS, NUMBERS, SCORES, only_drawings
from surface_crack.validation.verdict import DECIDED, SHOWN, VERDICT_TEXT, percent


def validation_report(found: Mapping[str, Any], folders: Sequence[FolderScores]) -> str:
    """`found` is the content of report.json, `folders` what `folder_table` returns."""
    rule = f" ({found['rule']})" if found["rule"] else ""
    other = found["suggested"]["threshold"] if found["suggested"] else None
    lines = [
        *(_wrapped(f"Sizes: {found['size_note']}") if found["size_note"] else []),
        *_wrapped(f"Verdict: {VERDICT_TEXT[found['verdict']['use']].format(other)}."),
        *_wrapped(found["verdict"]["why"]),
        *(_wrapped(DRAWINGS) if only_drawings(found["learnt_from"]) else []),
        "",
        *_photos(found),
        "",
        f"{'':29}{'score':>10}  {'95 % interval':19}{'always':>10}{'never':>10}",
        *(_line(name, found["scores"][name], *_others(name, found)) for name in SHOWN),
        "",
        *_wrapped(
            f"Threshold {found['threshold']:.4g}{rule}. Beside the model, whoever "
            f"always says crack, and whoever never does. Intervals: {REPLICATES} draws of "
            f"{found['groups']} groups of photos that belong together"
            f"{' (few: take them as rough)' if found['groups'] < FEW_GROUPS else ''}."
        ),
        *_suggested(found),
        "",
    ]
    if len(folders) > 1:
        lines += [*folder_lines(folders, "report.json"), ""]
    return "\n".join(lines)


def _photos(found: Mapping[str, Any]) -> list[str]:
    """How many photos, what they are, and what was left out and why."""
    lines = _wrapped(
        f"{found['path']}: {found['photos']} photos, {found['cracks']} with a crack, in "
        f"{found['groups']} groups."
    )
    lines += _wrapped(f"Model: {found['model']}.")
    if found["patch_px"]:
        lines += _wrapped(
            f"A photo's probability is the highest of its patches, {found['patch_px']:g} pixels a "
            "side."
        )
    if found["trained_on"] is None:
        lines += _wrapped(
            "Which photos the model was trained on cannot be told: data/ is not that of its "
            "training. Any that are among these count as new and flatter it."
        )
    elif found["trained_on"]:
        lines += _wrapped(
            f"Left out: {found['trained_on']} photos that the model was trained on or chosen by, "
            "and their twins."
        )
    if found["excluded"]:
        lines += _wrapped(f"Left out: {found['excluded']} photos that `exclude` names.")
    if found["pattern_misses"]:
        lines += _wrapped("The group_pattern finds nothing in these paths.")
    if found["pattern_misses"] or not found["group_pattern"]:
        lines += _wrapped(
            "Each photo counts as a place of its own, but for copies and twins. If several show "
            "one place, the intervals are too narrow: say which by --group-pattern."
        )
    if found["rejected"]:
        lines += _wrapped(f"{found['rejected']} files cannot be used:")
        for file in found["first_rejected"]:
            lines += _wrapped(f"{file['source']}/{file['path']}: {file['reason']}", "  ")
        if found["rejected"] > len(found["first_rejected"]):
            lines.append("  ...")
    return lines


def _line(name: str, score: Mapping[str, float] | None, *others: str) -> str:
    """A score with its interval, beside it those of the two that do not look."""
    value = brackets = "-"
    if score:
        value, low, high = (_number(name, score[part]) for part in ("value", "low", "high"))
        value, brackets = value if name in NUMBERS else f"{value} %", f"({low} to {high})"
    cells = "".join(f"{other:>10}" for other in others)
    return f"{SCORES[name]:29}{value:>10}  {brackets:19}{cells}".rstrip()


def _others(name: str, found: Mapping[str, Any]) -> list[str]:
    """That score of whoever always says crack, and of whoever never does; blank for no score."""
    values = [found[answer].get(name) for answer in ("always_crack", "never_crack")]
    return ["" if value is None else f"{_number(name, value)} %" for value in values]


def _number(name: str, value: float) -> str:
    return f"{value:.4f}" if name in NUMBERS else percent(value).removesuffix(" %")


def _suggested(found: Mapping[str, Any]) -> list[str]:
    """What the threshold would give that finds enough cracks here."""
    other = found["suggested"]
    if not other:
        return []
    wanted = f"{100 * found['min_recall']:g} %"
    return [
        "",
        f"At {other['threshold']}, the highest threshold that finds {wanted} of the cracks here:",
        *(_line(name, other[name]) for name in DECIDED),
    ]


def _wrapped(text: str, indent: str = "") -> list[str]:
    """Lines of at most WIDTH, none of which begins with a %."""
    lines = textwrap.wrap(
        text.replace(" %", "\xa0%"), WIDTH, initial_indent=indent, subsequent_indent=indent
    )
    return [line.replace("\xa0%", " %") for line in lines]
