"""What is learnt on one kind of surface, judged on another.

    cp surface_crack/general/params.yaml params.yaml; dvc repro group
    python -m bench.transfer --work data/transfer

Reads params.yaml and what `prepare` and `group` made of it. A surface is a source, or a folder in
it above the class folders: SDNET2018's Decks, Pavements and Walls are three. All photos are dealt
into five folds, groups whole. Of each fold and each surface, a network is trained on that
surface's photos outside the fold, by the train stage itself, and judges the photos of the fold; so
does one trained on all surfaces. Each photo is thus judged once by each row of the table, by a
network that saw nothing of its group.

Areas under ROC compare photos of one fold only, which the same network judged; folds count by their
pairs of a crack and none. A single ranking of all photos would mix networks: where a fold has more
cracks, its network has learnt from fewer, and is slower to say crack. That alone takes a network
that knows nothing from 0.5 to 0.39.

What is done is kept in --work: started again, it goes on where it ended, as long as params and data
are the same. To use several cores, start it several times with other --seeds, and at last with all.
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
    parser.add_argument("--work", type=Path, required=True, help="folder for what is done")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--train-on", nargs="*", help="surfaces, or `all`; else each and all")
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
        parser.error(f"no surface {sorted(unknown)[0]!r}: there are {', '.join(surfaces)}")
    judged = {
        (name, seed): judged_by(index, name, replace(p, seed=seed), arguments.work / key)
        for seed, name in product(arguments.seeds, rows)
    }
    print(f"settings and data {key}, data {data[:12]}, seeds {arguments.seeds}\n")
    transfer_table(index, judged, rows, surfaces, arguments.seeds)
    if ALL in rows:
        pooled_table(index, judged, arguments.seeds, p)


def surface(source: str, path: str) -> str:
    """`sdnet/Decks` of `Decks/Cracked/7001-1.jpg` in sdnet, `metu` of `Positive/00001.jpg`."""
    return "/".join([source, *path.split("/")[:-2]])


def judged_by(index: pd.DataFrame, name: str, p: Params, work: Path) -> NDArray[np.float64]:
    """Probability of a crack of each photo, by networks trained on `name` without its fold."""
    labels, every = index["label"].to_numpy(), np.arange(len(index))
    own = every if name == ALL else every[index["surface"] == name]
    probability = np.full(len(index), np.nan)
    photos = photos_of(index)
    for number, (rest, held_out) in enumerate(deal(photos), 1):
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
    assert not np.isnan(probability).any(), "a photo that no fold holds out"
    return probability


def photos_of(index: pd.DataFrame) -> Photos:
    return Photos(index["label"].to_numpy(), index["surface"].tolist(), index["group"].tolist())


def deal(photos: Photos) -> Iterator[tuple[Rows, Rows]]:
    """The same whatever the seed, so that seeds differ by training alone."""
    return split_folds(photos, np.arange(len(photos.labels)), FOLDS, 0)


def folds_of(index: pd.DataFrame) -> NDArray[np.int64]:
    """(n,) the fold that holds each photo out."""
    folds = np.zeros(len(index), np.int64)
    for number, (_, held_out) in enumerate(deal(photos_of(index)), 1):
        folds[held_out] = number
    return folds


def area_within(
    labels: NDArray[np.int64], probability: NDArray[np.float64], folds: NDArray[np.int64]
) -> float:
    """Area under ROC among photos of the same fold, all (n,); NaN if no fold has both classes."""
    areas, pairs = [], []
    for fold in np.unique(folds):
        here = labels[folds == fold]
        if count := int(here.sum()) * int((1 - here).sum()):
            areas.append(roc_auc_score(here, probability[folds == fold]))
            pairs.append(count)
    return float(np.average(areas, weights=pairs)) if areas else float("nan")


Judged = dict[tuple[str, int], NDArray[np.float64]]


def transfer_table(
    index: pd.DataFrame, judged: Judged, rows: list[str], surfaces: list[str], seeds: list[int]
) -> None:
    labels, folds = index["label"].to_numpy(), folds_of(index)
    print("Area under ROC within folds: mean (lowest to highest) over seeds")
    print(f"| trained on | {' | '.join(surfaces)} |")
    print("|---" * (1 + len(surfaces)) + "|")
    for name in rows:
        cells = []
        for there in surfaces:
            here = (index["surface"] == there).to_numpy()
            values = [
                area_within(labels[here], judged[name, seed][here], folds[here]) for seed in seeds
            ]
            cells.append(f"{mean(values):.3f} ({min(values):.3f} to {max(values):.3f})")
        print(f"| {name} | {' | '.join(cells)} |")


def pooled_table(index: pd.DataFrame, judged: Judged, seeds: list[int], p: Params) -> None:
    """Of the networks trained on all: each source; by itself each large photo of the pattern."""
    print("\nTrained on all surfaces")
    keys = pd.Series(
        pattern_keys(p.group_pattern, index["source"].tolist(), index["path"].tolist())
    )
    folds = folds_of(index)
    for source, of_source in index.groupby("source"):
        for seed in seeds:
            labels, probability = of_source["label"], judged[ALL, seed][of_source.index]
            accuracy = ((probability > 0.5) == labels).mean()
            within = area_within(labels.to_numpy(), probability, folds[of_source.index])
            line = f"{source} seed {seed}: area under ROC {within:.4f} within folds, "
            line += f"{roc_auc_score(labels, probability):.4f} over all photos"
            line += f", accuracy at 0.5 {100 * accuracy:.2f} %"
            of_photo = [
                roc_auc_score(index["label"][tiles], judged[ALL, seed][tiles])
                for tiles in of_source.groupby(keys[of_source.index]).groups.values()
                if index["label"][tiles].nunique() == 2
            ]
            if of_photo:
                line += (
                    f", mean area under ROC of {len(of_photo)} large photos {mean(of_photo):.4f}"
                )
            print(line)


if __name__ == "__main__":
    run("transfer", main)
