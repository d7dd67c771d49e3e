"""Stage 5: judge the model on the test part, once, in fp32.

reads   models/crack.safetensors     the network of the best validation epoch
        data/prepared/images.npy, index.csv     pixels and paths
        data/split/test.csv          rows and labels of photos that nothing was chosen by
        plots/history.csv            for the graphs
writes  metrics/evaluate.json        accuracy, loss, precision, recall, F1, areas under curves
        metrics/report.txt, report.csv          scikit-learn's classification report
        data/evaluated/predictions.csv          every test photo with its probability
        plots/confusion.csv, roc.csv, precision_recall.csv
        plots/mistakes.png, predictions.png     the worst mistakes; all kinds of answers
        plots/curves.png             accuracy and loss graphs
"""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from surface_crack import figures, metrics, paths
from surface_crack.artifacts import write_json, write_text
from surface_crack.console import run
from surface_crack.dataset import Part, load_part, read_history, read_index, write_frame
from surface_crack.model_file import load_model
from surface_crack.params import read_params
from surface_crack.training import pick_device, predict, score

log = logging.getLogger("evaluate")
SHOWN = 18  # photos in a picture
VERDICTS = {  # (label, decided)
    (0, 0): "no crack",
    (1, 1): "crack",
    (0, 1): "false alarm",
    (1, 0): "missed crack",
}


def main() -> None:
    p = read_params("evaluate")
    test, index = load_part("test"), read_index()
    model, _ = load_model(paths.MODEL)
    logits = predict(model.to(pick_device()), test)
    probability = metrics.probabilities(logits)
    decided = metrics.decide(probability, p.threshold)

    numbers = metrics.summary(test.labels, probability, p.threshold)
    numbers["loss"] = round(score(logits, test.labels).loss, 6)
    write_json(paths.METRICS / "evaluate.json", numbers)
    write_frame(paths.METRICS / "report.csv", metrics.report_table(test.labels, decided).round(6))
    sources = ", ".join(sorted(set(index["source"][test.rows])))
    report = (
        f"Test part of {sources}: {len(test)} photos, a crack from probability {p.threshold:g}\n\n"
        f"{metrics.report_text(test.labels, decided)}\n"
        f"area under ROC {numbers['roc_auc']:.4f}, average precision "
        f"{numbers['average_precision']:.4f}, {numbers['mistakes']} mistakes\n"
    )
    write_text(paths.METRICS / "report.txt", report)

    table = index.loc[test.rows, ["source", "path", "label"]].assign(probability=probability)
    write_frame(paths.PREDICTIONS, table.round({"probability": 6}).set_index("source"))
    draw_plots(test, probability, p.threshold, table)
    log.info("accuracy %.2f %%, loss %.4f", 100 * numbers["accuracy"], numbers["loss"])


def draw_plots(test: Part, probability: np.ndarray, threshold: float, table: pd.DataFrame) -> None:
    decided = metrics.decide(probability, threshold)
    for name, frame in (
        ("confusion", metrics.confusion_table(test.labels, decided)),
        ("roc", metrics.roc_table(test.labels, probability)),
        ("precision_recall", metrics.precision_recall_table(test.labels, probability)),
    ):
        write_frame(paths.PLOTS / f"{name}.csv", frame.set_index(frame.columns[0]))
    figures.curves(read_history(), paths.PLOTS / "curves.png")

    wrong = np.flatnonzero(decided != test.labels)
    confidence = np.abs(probability - threshold)[wrong]  # in the wrong answer
    worst = wrong[np.argsort(-confidence, kind="stable")][:SHOWN]
    title = f"The {len(worst)} worst of {len(wrong)} mistakes among {len(test)} test photos"
    draw_gallery(test, table, worst, decided, title, paths.PLOTS / "mistakes.png")

    order = np.argsort(probability, kind="stable")
    evenly = order[np.linspace(0, len(order) - 1, min(SHOWN, len(order))).astype(int)]
    title = "Test photos from the surest sound surface to the surest crack, at even steps"
    draw_gallery(test, table, evenly, decided, title, paths.PLOTS / "predictions.png")


def draw_gallery(
    test: Part,
    table: pd.DataFrame,
    chosen: NDArray[np.int64],
    decided: NDArray[np.int64],
    title: str,
    path: Path,
) -> None:
    """The `chosen` test photos as the network sees them, each with what it said."""
    captions = []
    for row, said in zip(table.iloc[chosen].to_dict("records"), decided[chosen], strict=True):
        verdict = VERDICTS[row["label"], int(said)]
        captions.append(f"{verdict}, P {row['probability']:.3f}\n{row['source']}/{row['path']}")
    figures.gallery([test.images[row] for row in test.rows[chosen]], captions, title, path)


if __name__ == "__main__":
    run("evaluate", main)
