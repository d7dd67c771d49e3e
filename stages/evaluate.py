"""Stage 7: judge the model on the test part, once, in fp32.

reads   models/crack.safetensors     the network that `train` kept
        models/decision.json         temperature and threshold, chosen on the validation part
        data/prepared/images.npy, index.csv     pixels and paths
        data/split/test.csv          rows and labels of photos that nothing was chosen by
        data/groups.csv              photos that belong together, for the intervals
        plots/history.csv            for the graphs
writes  metrics/evaluate.json        scores, each with its 95 % interval; those at 0.5 beside them
        metrics/report.txt, report.csv          scores in words; scikit-learn's report
        metrics/folders.csv          scores of each source and folder
        data/evaluated/predictions.csv          every test photo with its probability
        plots/confusion.csv, roc.csv, precision_recall.csv, reliability.csv
        plots/mistakes.png, predictions.png     the worst mistakes; all kinds of answers
        plots/heat_maps.png          what the network looked at, on mistakes and on good calls
        plots/curves.png             accuracy and loss graphs
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
SHOWN = 18  # photos in a picture
MISTAKES, GOOD_CALLS = 9, 3  # photos with heat maps; good calls of each class
VERDICTS = {  # (label, decided)
    (0, 0): "no crack",
    (1, 1): "crack",
    (0, 1): "false alarm",
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
    judged = table.assign(decided=decided)[list(Prediction._fields)]
    folders = folder_table(map(Prediction._make, judged.itertuples(index=False)))
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
    title = f"The {len(worst)} worst of {len(wrong)} mistakes among {len(test)} test photos"
    draw_gallery(test, table, worst, decided, title, paths.PLOTS / "mistakes.png")

    order = np.argsort(probability, kind="stable")
    evenly = order[np.linspace(0, len(order) - 1, min(SHOWN, len(order))).astype(int)]
    title = "Test photos from the surest sound surface to the surest crack, at even steps"
    draw_gallery(test, table, evenly, decided, title, paths.PLOTS / "predictions.png")


def draw_gallery(
    test: Subset,
    table: pd.DataFrame,
    chosen: NDArray[np.int64],
    decided: NDArray[np.int64],
    title: str,
    path: Path,
) -> None:
    """The `chosen` test photos as the network sees them, each with what it said."""
    photos = [test.images[row] for row in test.rows[chosen]]
    figures.gallery(photos, captions(table, chosen, decided), title, path)


def draw_heat_maps(
    model: Model, test: Subset, table: pd.DataFrame, decided: NDArray[np.int64]
) -> None:
    """The worst mistakes, the surest cracks and the surest sound photos under their heat maps."""
    error, right = np.abs(table["probability"].to_numpy() - test.labels), decided == test.labels
    wrong = ranked(-error, ~right)
    good = [ranked(error, right & (test.labels == label))[:GOOD_CALLS] for label in (1, 0)]
    chosen = np.concatenate([wrong[:MISTAKES], *good])
    photos = test.images[test.rows[chosen]]
    heat = heat_maps(model.cpu(), photos)  # few photos, and no GPU's sums in another order
    title = (
        f"The {len(wrong[:MISTAKES])} worst of {len(wrong)} mistakes, then the surest good calls; "
        "the redder a place, the more it speaks for a crack.\n"
        f"One scale for all: a cell of full red adds {heat.max():.2f} to the logit."
    )
    path = paths.PLOTS / "heat_maps.png"
    figures.heat_gallery(photos, heat, captions(table, chosen, decided), title, path)


def ranked(key: NDArray[np.float64], among: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Positions where `among` holds, lowest `key` first; both (n,). Equal keys keep their order."""
    rows = np.flatnonzero(among)
    return rows[np.argsort(key[rows], kind="stable")]


def captions(
    table: pd.DataFrame, chosen: NDArray[np.int64], decided: NDArray[np.int64]
) -> list[str]:
    """Of each `chosen` photo: what the network said, how sure it was, and the photo's name."""
    texts = []
    for row, said in zip(table.iloc[chosen].to_dict("records"), decided[chosen], strict=True):
        verdict = VERDICTS[row["label"], int(said)]
        name = shortened(f"{row['source']}/{row['path']}", figures.CAPTION_LETTERS)
        texts.append(f"{verdict}, P {row['probability']:.3f}\n{name}")
    return texts


if __name__ == "__main__":
    run_stage("evaluate", main)
