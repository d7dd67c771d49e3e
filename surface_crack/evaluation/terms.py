"""Terms shared by the report, the model card, `validate`, `inspect` and the figures."""

from collections.abc import Sequence

from surface_crack.project import paths

SHARES = {  # shown in per cent
    "accuracy": "accuracy",
    "recall": "recall",
    "precision": "precision",
    "specificity": "specificity",
    "balanced_accuracy": "balanced accuracy",
    "f1": "F1",
    "ece": "ECE (expected calibration error)",
}
NUMBERS = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "brier": "Brier score",
}
SCORES = SHARES | NUMBERS
ALL = "*"  # "folder" of a source's total in folders.csv
FEW_GROUPS = 30  # with fewer groups, bootstrap intervals tend to be too narrow
CHANCE = 0.5  # ROC AUC of random guessing
NAMED = 5  # sources listed by name; a folder may hold hundreds of archives
DRAWINGS = (
    "This model was trained on drawings alone (the synthetic sample) and has never seen a photo: "
    "do not rely on it for real photos. Set raw in params.yaml to photos, and run `dvc repro`."
)


def shortened(text: str, letters: int) -> str:
    """The last `letters` characters, with "..." in front if cut: the end of a path is its name."""
    return text if len(text) <= letters else f"...{text[3 - letters :]}"


def counted(number: int, thing: str) -> str:
    """The number with its noun, in the plural unless it is 1."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Format a duration: in seconds below two minutes, then in minutes and hours."""
    minutes = round(seconds / 60)
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def higher_by_design(before: float, after: float) -> str:
    """A note for the validation loss where calibration has raised it; empty otherwise."""
    if after <= before:
        return ""
    return (
        " (higher by design: smoothed targets guard against over-confidence on a small "
        "validation set)"
    )


def shortened_list(names: Sequence[str]) -> str:
    """The first NAMED names, and how many more there are."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def only_drawings(sources: Sequence[str]) -> bool:
    """Whether the synthetic sample is the only source."""
    return list(sources) == [paths.SAMPLE.stem]
