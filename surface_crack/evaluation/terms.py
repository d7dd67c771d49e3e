"""Words that the report, the model card, the verdict and the pictures have in common."""

from collections.abc import Sequence

from surface_crack.project import paths

SHARES = {  # shown in per cent
    "accuracy": "accuracy",
    "recall": "recall: cracks found",
    "precision": "precision: right alarms",
    "specificity": "specificity: sound spared",
    "balanced_accuracy": "balanced accuracy",
    "f1": "F1 of recall and precision",
    "ece": "expected calibration error",
}
NUMBERS = {
    "roc_auc": "area under ROC",
    "average_precision": "average precision",
    "brier": "Brier score",
}
SCORES = SHARES | NUMBERS
ALL = "*"  # "folder" of a source's total in folders.csv
FEW_GROUPS = 30  # groups, below which a bootstrap promises too much
CHANCE = 0.5  # area under ROC of a coin
NAMED = 5  # sources that are named; a folder may hold hundreds of archives
DRAWINGS = (
    "The model learnt from drawings alone, the synthetic sample, and has never seen a photo: do "
    "not rely on what it says of real ones. Set raw in params.yaml to photos, and run `dvc repro`."
)


def shortened(text: str, letters: int) -> str:
    """At most so many letters, of which the last ones tell most: a file's name, not its folder."""
    return text if len(text) <= letters else f"...{text[3 - letters :]}"


def counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """To the second, and from two minutes on to the minute."""
    minutes = round(seconds / 60)
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def higher_by_design(before: float, after: float) -> str:
    """What to add to two validation losses, where calibration has raised it."""
    if after <= before:
        return ""
    return " (higher on purpose: so few photos may lack the mistakes that others will show)"


def shortened_list(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def only_drawings(sources: Sequence[str]) -> bool:
    """Whether photos of these sources are the synthetic sample alone."""
    return list(sources) == [paths.SAMPLE.stem]
