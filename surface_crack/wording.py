"""What the scores are called, in the report, the model card and the verdict alike."""

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
