"""Benefit of a few hundred labelled photos of a new surface, from scratch and by fine-tuning.

    cp docs/site.yaml params.yaml   # set raw to an archive of a surface new to the general model
    dvc repro group
    python -m bench.adaptation --work data/adaptation

Reads params.yaml and the outputs of `prepare` and `group`. For each of --counts, draws that many
photos --draws times, keeping groups together; all others are the test set. The train stage trains
on the drawn photos with `init: general`, and, for more epochs, with `init: ''` and --lr. The share
`val_share` of them is used for temperature scaling. The general model without fine-tuning is the
baseline.

Finished runs are kept in --work: run again, it skips them, unless params or data have changed.
"""

import argparse
import hashlib
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from surface_crack.audit.folds import Photos, split_train_val
from surface_crack.audit.refit import predict_calibrated, refit
from surface_crack.dataset import Subset, read_groups, read_images, read_index
from surface_crack.evaluation.calibration import read_decision
from surface_crack.network.model_file import load_model
from surface_crack.network.training import predict
from surface_crack.project import paths
from surface_crack.project.console import run
from surface_crack.project.files import read_json, write_json
from surface_crack.project.manifest import digest_of
from surface_crack.project.params import Params, check_params


class Way(NamedTuple):
    """A way of training a model."""

    name: str
    changed: dict[str, object]  # overrides of params.yaml


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for finished runs")
    parser.add_argument(
        "--counts", type=int, nargs="+", default=[50, 100, 200, 400], help="numbers of photos"
    )
    parser.add_argument("--draws", type=int, default=5, help="number of random draws")
    parser.add_argument("--lr", type=float, default=0.005, help="learning rate from scratch")
    parser.add_argument("--epochs", type=int, default=60, help="epochs from scratch")
    arguments = parser.parse_args()

    p = check_params()
    index = read_index().assign(group=read_groups()["group"])
    scratch = {"init": "", "lr": arguments.lr, "epochs": arguments.epochs}
    ways = [Way("from scratch", scratch), Way("from the general model", {})]
    data = read_json(paths.METRICS / "data.json")["digest"]
    general = digest_of(paths.GENERAL_WEIGHTS)
    known = f"{p} {data} {general} {scratch}"
    work = arguments.work / hashlib.sha256(known.encode()).hexdigest()[:12]
    print(f"settings and data {work.name}, data {data[:12]}, general model {general[:12]}\n")
    head = "| photos | " + " | ".join(f"{name}: ROC AUC, accuracy" for name in NAMES) + " |"
    print(head + "\n|---|" + "---|" * len(NAMES))
    general_logits = logits_of(paths.GENERAL_WEIGHTS, index)
    for count in arguments.counts:
        scores: dict[str, list[tuple[float, float]]] = {name: [] for name in NAMES}
        for number in range(arguments.draws):
            own, others = draw(index, count, number)
            labels = index["label"][others].to_numpy()
            decision = read_decision(
                paths.GENERAL_WEIGHTS.with_name(paths.DECISION.name), paths.GENERAL_WEIGHTS
            )
            baseline = decision.probabilities(general_logits[others])
            scores[NAMES[0]].append(scores_of(labels, baseline))
            for way in ways:
                folder = work / f"{count}-{number}-{way.name.replace(' ', '-')}"
                scores[way.name].append(adapted(folder, index, own, others, way, p, number))
        cells = [
            ", ".join(spread(values) for values in zip(*scores[name], strict=True))
            for name in NAMES
        ]
        print(f"| {count} | {' | '.join(cells)} |", flush=True)


NAMES = ("general model, not fine-tuned", "from scratch", "from the general model")


def draw(
    index: pd.DataFrame, count: int, number: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(rows of at most `count` random photos, in whole groups; rows of all others)."""
    groups = index["group"].to_numpy()
    order = np.random.default_rng(number).permutation(np.unique(groups))
    sizes = index.groupby("group").size()[order].cumsum()
    chosen = np.isin(groups, order[: int((sizes <= count).sum())])
    return np.flatnonzero(chosen), np.flatnonzero(~chosen)


def adapted(
    folder: Path,
    index: pd.DataFrame,
    own: NDArray[np.int64],
    others: NDArray[np.int64],
    way: Way,
    p: Params,
    seed: int,
) -> tuple[float, float]:
    """(ROC AUC, accuracy) on `others` of a model trained on `own`."""
    done = folder / "scores.json"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        labels = index["label"].to_numpy()
        photos = Photos(labels, index["source"].tolist(), index["group"].tolist())
        train, val = split_train_val(photos, own, p.val_share, seed)
        changed = replace(p, **{"seed": seed, **way.changed})  # type: ignore[arg-type]
        model = refit(folder.resolve(), train, val, labels, changed)
        parts = (Subset(read_images(), rows, labels[rows]) for rows in (val, others))
        auc, accuracy = scores_of(labels[others], predict_calibrated(model, *parts))
        write_json(done, {"roc_auc": auc, "accuracy": accuracy})
    found = read_json(done)
    return found["roc_auc"], found["accuracy"]


def scores_of(labels: NDArray[np.int64], probability: NDArray[np.float64]) -> tuple[float, float]:
    """ROC AUC, and accuracy at 0.5."""
    accuracy = ((probability >= 0.5) == labels).mean()
    return float(roc_auc_score(labels, probability)), float(accuracy)


def logits_of(model: Path, index: pd.DataFrame) -> NDArray[np.float32]:
    every = np.arange(len(index))
    return predict(load_model(model)[0], Subset(read_images(), every, index["label"].to_numpy()))


def spread(values: tuple[float, ...]) -> str:
    return f"{mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    run("adaptation", main)
