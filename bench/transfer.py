"""Transfer between surfaces: train on one kind, test on the others.

    cp surface_crack/general/params.yaml params.yaml; dvc repro group
    python -m bench.transfer --work data/transfer

Reads params.yaml and the outputs of `prepare` and `group`. A surface is a source, or a folder in it
above the class folders: SDNET2018's Decks, Pavements and Walls are three. All photos are split into
five folds, keeping groups together. For each fold and each surface, the train stage trains a
network on that surface's photos outside the fold, and predicts the photos of the fold; likewise one
network on all surfaces. So each row of the table has one out-of-fold prediction per photo, by a
network that saw nothing of the photo's group.

ROC AUC is computed within each fold, where one network made all predictions, and averaged with the
number of positive-negative pairs as weights. A ranking over all photos would mix networks: a fold
with more positives leaves fewer for training, which lowers its network's probabilities. That effect
alone takes an uninformative network from 0.5 to 0.39.

Finished runs are kept in --work: run again, it skips them, unless params or data have changed. To
use several cores, start it several times with different --seeds, and finally once with all.
"""

import argparse
import hashlib
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from surface_crack.audit.folds import Photos, Rows, split_folds, split_train_val
from surface_crack.audit.refit import predict_calibrated, refit
from surface_crack.dataset import Subset, read_groups, read_images, read_index, write_frame
from surface_crack.project import paths
from surface_crack.project.console import run
from surface_crack.project.files import read_json
from surface_crack.project.params import Params, check_params
from surface_crack.splitting.groups import pattern_keys

FOLDS = 5
ALL = "all"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for finished runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--train-on", nargs="*", help="surfaces, or `all` (default: both)")
    arguments = parser.parse_args()

    p = check_params()
    index = read_index().assign(group=read_groups()["group"])
    index["surface"] = [surface(*row) for row in zip(index["source"], index["path"], strict=True)]
    surfaces = sorted(index["surface"].unique())
    data = read_json(paths.METRICS / "data.json")["digest"]
    groups = hashlib.sha256(paths.GROUPS.read_bytes()).hexdigest()
    key = hashlib.sha256(f"{replace(p, seed=0)} {data} {groups}".encode()).hexdigest()[:12]
    rows = arguments.train_on or [*surfaces, ALL]
    if unknown := set(rows) - {*surfaces, ALL}:
        parser.error(f"unknown surface {sorted(unknown)[0]!r}: choose of {', '.join(surfaces)}")
    predicted = {
        (name, seed): out_of_fold(index, name, replace(p, seed=seed), arguments.work / key)
        for seed, name in product(arguments.seeds, rows)
    }
    print(f"settings and data {key}, data {data[:12]}, seeds {arguments.seeds}\n")
    transfer_table(index, predicted, rows, surfaces, arguments.seeds)
    if ALL in rows:
        pooled_table(index, predicted, arguments.seeds, p)


def surface(source: str, path: str) -> str:
    """`sdnet/Decks` for `Decks/Cracked/7001-1.jpg` in sdnet, `metu` for `Positive/00001.jpg`."""
    return "/".join([source, *path.split("/")[:-2]])


def out_of_fold(index: pd.DataFrame, name: str, p: Params, work: Path) -> NDArray[np.float64]:
    """(n,) probability of a crack, by networks trained on the surface `name` without the fold."""
    labels, every = index["label"].to_numpy(), np.arange(len(index))
    own = every if name == ALL else every[index["surface"] == name]
    probability = np.full(len(index), np.nan)
    photos = photos_of(index)
    for number, (rest, held_out) in enumerate(folds(photos), 1):
        file = work / f"{re.sub('[^A-Za-z0-9]', '-', name)}-seed{p.seed}-fold{number}.csv"
        if not file.exists():
            train, val = split_train_val(photos, np.intersect1d(rest, own), p.val_share, 0)
            print(f"{file.stem}: {len(train)} photos", file=sys.stderr, flush=True)
            images = read_images()
            with TemporaryDirectory(prefix="surface-crack-") as folder:
                model = refit(Path(folder), train, val, labels, p)
                parts = (Subset(images, rows, labels[rows]) for rows in (val, held_out))
                table = pd.DataFrame(
                    {"row": held_out, "probability": predict_calibrated(model, *parts)}
                )
            write_frame(file, table.set_index("row"))
        done = pd.read_csv(file)
        probability[done["row"]] = done["probability"]
    assert not np.isnan(probability).any(), "a photo is in no fold"
    return probability


def photos_of(index: pd.DataFrame) -> Photos:
    return Photos(index["label"].to_numpy(), index["surface"].tolist(), index["group"].tolist())


def folds(photos: Photos) -> Iterator[tuple[Rows, Rows]]:
    """(training rows, held-out rows) of each fold, the same for all seeds of training."""
    return split_folds(photos, np.arange(len(photos.labels)), FOLDS, 0)


def folds_of(index: pd.DataFrame) -> NDArray[np.int64]:
    """(n,) number of the fold that holds out each photo, from 1."""
    fold = np.zeros(len(index), np.int64)
    for number, (_, held_out) in enumerate(folds(photos_of(index)), 1):
        fold[held_out] = number
    return fold


def roc_auc_within(
    labels: NDArray[np.int64], probability: NDArray[np.float64], fold: NDArray[np.int64]
) -> float:
    """Mean ROC AUC within folds, arguments (n,); NaN if no fold has both classes."""
    values, pairs = [], []
    for number in np.unique(fold):
        here = labels[fold == number]
        if count := int(here.sum()) * int((1 - here).sum()):
            values.append(roc_auc_score(here, probability[fold == number]))
            pairs.append(count)
    return float(np.average(values, weights=pairs)) if values else float("nan")


Predicted = dict[tuple[str, int], NDArray[np.float64]]  # by surface trained on, and seed


def transfer_table(
    index: pd.DataFrame,
    predicted: Predicted,
    rows: list[str],
    surfaces: list[str],
    seeds: list[int],
) -> None:
    labels, fold = index["label"].to_numpy(), folds_of(index)
    print("ROC AUC within folds: mean (min to max) over seeds")
    print(f"| trained on | {' | '.join(surfaces)} |")
    print("|---" * (1 + len(surfaces)) + "|")
    for name in rows:
        cells = []
        for there in surfaces:
            here = (index["surface"] == there).to_numpy()
            values = [
                roc_auc_within(labels[here], predicted[name, seed][here], fold[here])
                for seed in seeds
            ]
            cells.append(f"{mean(values):.3f} ({min(values):.3f} to {max(values):.3f})")
        print(f"| {name} | {' | '.join(cells)} |")


def pooled_table(index: pd.DataFrame, predicted: Predicted, seeds: list[int], p: Params) -> None:
    """Scores of the networks trained on all surfaces: by source, and within each large photo."""
    print("\nTrained on all surfaces")
    keys = pd.Series(
        pattern_keys(p.group_pattern, index["source"].tolist(), index["path"].tolist())
    )
    fold = folds_of(index)
    for source, of_source in index.groupby("source"):
        for seed in seeds:
            labels, probability = of_source["label"], predicted[ALL, seed][of_source.index]
            accuracy = ((probability > 0.5) == labels).mean()
            within = roc_auc_within(labels.to_numpy(), probability, fold[of_source.index])
            line = f"{source} seed {seed}: ROC AUC {within:.4f} within folds, "
            line += f"{roc_auc_score(labels, probability):.4f} over all photos"
            line += f", accuracy at 0.5 {100 * accuracy:.2f} %"
            of_photo = [
                roc_auc_score(index["label"][tiles], predicted[ALL, seed][tiles])
                for tiles in of_source.groupby(keys[of_source.index]).groups.values()
                if index["label"][tiles].nunique() == 2
            ]
            if of_photo:
                line += f", mean ROC AUC of {len(of_photo)} large photos {mean(of_photo):.4f}"
            print(line)


if __name__ == "__main__":
    run("transfer", main)
