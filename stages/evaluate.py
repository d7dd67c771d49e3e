"""Stage 7: evaluate the model on the test set, in float32.

reads   models/crack.safetensors     the network that `train` kept
        models/decision.json         temperature and threshold, chosen on the validation set
        data/prepared/images.npy, index.csv     pixels and paths
        data/split/test.csv          rows and labels of the test set
        data/groups.csv              groups of related photos, for the cluster bootstrap
        plots/history.csv            for the learning curves
writes  metrics/evaluate.json        scores with 95 % confidence intervals, and scores at 0.5
        metrics/report.txt, report.csv          scores as text; scikit-learn's report
        metrics/folders.csv          scores per source and folder
        data/evaluated/predictions.csv          every test photo with its probability
        plots/confusion.csv, roc.csv, precision_recall.csv, reliability.csv
        plots/mistakes.png, predictions.png     worst mistakes; photos from low to high P(crack)
        plots/heat_maps.png          heat maps of mistakes and of correct predictions
        plots/curves.png             accuracy and loss per epoch
"""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from surface_crack.dataset import (
    Subset,
    load_split,
    read_groups,
    read_history,
    read_index,
    write_frame,
)
from surface_crack.evaluation import curves, figures, scores
from surface_crack.evaluation.calibration import read_decision
from surface_crack.evaluation.folders import FolderScores, Prediction, folder_table
from surface_crack.evaluation.heatmap import heat_maps
from surface_crack.evaluation.intervals import intervals
from surface_crack.evaluation.report import report
from surface_crack.evaluation.terms import shortened
from surface_crack.network.model import Model
from surface_crack.network.model_file import load_model
from surface_crack.network.training import pick_device, predict
from surface_crack.project import paths
from surface_crack.project.files import write_csv, write_json, write_text
from surface_crack.project.stage import run_stage

log = logging.getLogger("evaluate")
SHOWN = 18  # photos in a gallery
MISTAKES, CORRECT = 9, 3  # photos with heat maps: mistakes, correct predictions of each class
OUTCOMES = {  # (label, decided)
    (0, 0): "true negative",
    (1, 1): "true positive",
    (0, 1): "false positive",
    (1, 0): "missed crack",
}


def main() -> None:
    test, index = load_split("test"), read_index()
    groups = read_groups()["group"][test.rows]
    model, _ = load_model(paths.MODEL)
    decision = read_decision(paths.DECISION, paths.MODEL)
    probability = decision.probabilities(predict(model.to(pick_device()), test))
    decided = decision.decide(probability)
    table = index.loc[test.rows, ["source", "path", "label"]].assign(
        group=groups, probability=probability
    )
    write_frame(paths.PREDICTIONS, table.round({"probability": 6}).set_index("source"))

    bounds = intervals(test.labels, probability, decided, groups.tolist())
    numbers = {
        **scores.summary(test.labels, probability, decided),
        "ci95": {
            name: {"low": round(low, 6), "high": round(high, 6)}
            for name, (low, high) in bounds.items()
        },
        "threshold": decision.threshold,
    }
    write_json(paths.METRICS / "evaluate.json", numbers)
    write_frame(paths.METRICS / "report.csv", scores.report_table(test.labels, decided).round(6))
    predictions = table.assign(decided=decided)[list(Prediction._fields)]
    folders = folder_table(map(Prediction._make, predictions.itertuples(index=False)))
    write_csv(paths.METRICS / "folders.csv", FolderScores._fields, folders)
    text = report(test.labels, decided, numbers, decision, folders, groups.nunique())
    write_text(paths.METRICS / "report.txt", text)
    draw_plots(test, probability, decided, table)
    draw_heat_maps(model, test, table, decided)
    log.info(
        "accuracy %.2f %% (%.2f to %.2f), loss %.4f",
        *(100 * value for value in (numbers["accuracy"], *bounds["accuracy"])),
        numbers["loss"],
    )


def draw_plots(
    test: Subset,
    probability: NDArray[np.float64],
    decided: NDArray[np.int64],
    table: pd.DataFrame,
) -> None:
    for name, frame in (
        ("confusion", scores.confusion_table(test.labels, decided)),
        ("roc", curves.roc_table(test.labels, probability)),
        ("precision_recall", curves.precision_recall_table(test.labels, probability)),
        ("reliability", curves.reliability_table(test.labels, probability)),
    ):
        write_frame(paths.PLOTS / f"{name}.csv", frame.set_index(frame.columns[0]))
    figures.curves(read_history(), paths.PLOTS / "curves.png")

    wrong = ranked(-np.abs(probability - test.labels), decided != test.labels)
    worst = wrong[:SHOWN]
    title = f"The {len(worst)} worst of {len(wrong)} mistakes on {len(test)} test photos"
    draw_gallery(test, table, worst, decided, title, paths.PLOTS / "mistakes.png")

    order = np.argsort(probability, kind="stable")
    evenly = order[np.linspace(0, len(order) - 1, min(SHOWN, len(order))).astype(int)]
    title = "Test photos from the lowest to the highest P (probability of a crack), evenly spaced"
    draw_gallery(test, table, evenly, decided, title, paths.PLOTS / "predictions.png")


def draw_gallery(
    test: Subset,
    table: pd.DataFrame,
    chosen: NDArray[np.int64],
    decided: NDArray[np.int64],
    title: str,
    path: Path,
) -> None:
    """Draw the `chosen` test photos as the network sees them, each with its outcome and P."""
    photos = [test.images[row] for row in test.rows[chosen]]
    figures.gallery(photos, captions(table, chosen, decided), title, path)


def draw_heat_maps(
    model: Model, test: Subset, table: pd.DataFrame, decided: NDArray[np.int64]
) -> None:
    """Draw heat maps of the worst mistakes and the most confident true positives and negatives."""
    error, right = np.abs(table["probability"].to_numpy() - test.labels), decided == test.labels
    wrong = ranked(-error, ~right)
    correct = [ranked(error, right & (test.labels == label))[:CORRECT] for label in (1, 0)]
    chosen = np.concatenate([wrong[:MISTAKES], *correct])
    photos = test.images[test.rows[chosen]]
    heat = heat_maps(model.cpu(), photos)  # few photos; CPU sums do not depend on the GPU
    title = (
        f"The {len(wrong[:MISTAKES])} worst of {len(wrong)} mistakes, then the most confident "
        "correct predictions. Red: raises the crack logit.\n"
        f"One scale for all: a cell of full red adds {heat.max():.2f} to the logit."
    )
    path = paths.PLOTS / "heat_maps.png"
    figures.heat_gallery(photos, heat, captions(table, chosen, decided), title, path)


def ranked(key: NDArray[np.float64], among: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Positions where `among` is true, in ascending order of `key`, stable; both are (n,)."""
    rows = np.flatnonzero(among)
    return rows[np.argsort(key[rows], kind="stable")]


def captions(
    table: pd.DataFrame, chosen: NDArray[np.int64], decided: NDArray[np.int64]
) -> list[str]:
    """Caption each `chosen` photo with its outcome, P(crack) and name."""
    texts = []
    for row, answer in zip(table.iloc[chosen].to_dict("records"), decided[chosen], strict=True):
        outcome = OUTCOMES[row["label"], int(answer)]
        name = shortened(f"{row['source']}/{row['path']}", figures.CAPTION_LETTERS)
        texts.append(f"{outcome}, P {row['probability']:.3f}\n{name}")
    return texts


if __name__ == "__main__":
    run_stage("evaluate", main)
