"""Words that the report, the model card, the verdict and the pictures have in common."""

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
FEW = 30  # groups, below which a bootstrap promises too much
CHANCE = 0.5  # area under ROC of a coin


def shortened(text: str, letters: int) -> str:
    """At most so many letters, of which the last ones tell most: a file's name, not its folder."""
    return text if len(text) <= letters else f"...{text[3 - letters :]}"
