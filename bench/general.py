"""Evaluate the settings of the general model on sites and surfaces that it was not trained on.

    cp surface_crack/general/params.yaml params.yaml   # set raw to the folder of the archives
    dvc repro group
    python -m bench.general --work data/general

Reads params.yaml, the outputs of `prepare` and `group`, and the archives in `raw`: metu, sdnet,
sdnet-more, drone, and bridges, which is only in the test set. Hashes assign photos of SDNET2018,
METU and drone to the test set, the validation set (threshold; it also served to choose the
settings) and the training set. The train stage runs once for each of --seeds. docs/results.md has
the table.

Finished runs are kept in --work: run again, it skips them, unless params or data have changed.
"""

import argparse
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from surface_crack.audit.refit import refit
from surface_crack.dataset import Subset, read_groups, read_images, read_index
from surface_crack.evaluation.calibration import (
    Decision,
    choose_threshold,
    fit_temperature,
    probabilities,
    write_decision,
)
from surface_crack.inspection.regions import cells
from surface_crack.network.model_file import load_model
from surface_crack.network.training import predict
from surface_crack.photos.decode import original
from surface_crack.photos.listing import class_labels, list_photos
from surface_crack.photos.reader import Reader
from surface_crack.project import paths
from surface_crack.project.console import run
from surface_crack.project.files import read_json
from surface_crack.project.manifest import digest_of
from surface_crack.project.params import Params, check_params
from surface_crack.scoring.score_map import score_photo
from surface_crack.scoring.scorer import load_scorer
from surface_crack.splitting.groups import pattern_keys

COMPLETE, OTHER = ("sdnet", 9, 6), ("sdnet-more", 36, 24)  # source, test photos, validation photos
BY_SHARE = {"metu": (0.05, 0.2), "drone": (0.1, 0.0)}  # validation and test shares of groups
UNSEEN = "bridges"  # test set only
COLUMNS = 18  # tiles per row in a photo of SDNET2018; they are numbered row by row, from 1
TILE = 256  # side of a tile, pixels


class Sets(NamedTuple):
    """Rows of index.csv, and the names of whole photos."""

    train: NDArray[np.int64]
    val: NDArray[np.int64]
    test: dict[str, NDArray[np.int64]]  # by source
    whole: list[str]  # photos of SDNET2018 in the test set with all of their tiles


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for finished runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()

    p = check_params()
    index = read_index().assign(group=read_groups()["group"])
    keys = pattern_keys(p.group_pattern, index["source"].tolist(), index["path"].tolist())
    index["photo"] = [photo_of(key) for key in keys]
    sets = assign_sets(index)
    data = read_json(paths.METRICS / "data.json")["digest"]
    key = hashlib.sha256(f"{replace(p, seed=0)} {data}".encode()).hexdigest()[:12]
    print(f"settings and data {key}, data {data[:12]}")
    print(f"{len(sets.train)} training photos, {len(sets.val)} validation photos; by source:")
    for name, rows in (("training", sets.train), ("validation", sets.val)):
        print(f"  {name}: {index['source'][rows].value_counts().sort_index().to_dict()}")
    print(f"  test: { {source: len(rows) for source, rows in sets.test.items()} }\n")
    found = []
    for seed in arguments.seeds:
        folder = arguments.work / f"{key}-seed{seed}"
        model = trained(folder, index, sets, replace(p, seed=seed))
        scores = {**tile_scores(model, index, sets), **whole_scores(model, index, sets, p)}
        print(f"seed {seed}: {scores}\n", flush=True)
        found.append(scores)
    print(f"| mean (lowest to highest) of seeds {arguments.seeds} | |\n|---|---|")
    for name in found[0]:
        values = [scores[name] for scores in found]
        print(f"| {name} | {mean(values):.4f} ({min(values):.4f} to {max(values):.4f}) |")


def photo_of(key: str | None) -> str:
    """`Decks/7008` from a key of the group pattern; '' without a key."""
    return "/".join(key.split("\n")[1:3]) if key else ""


def assign_sets(index: pd.DataFrame) -> Sets:
    """Split by hash: of photo names for SDNET2018, of groups for the other sources."""
    source, photo = index["source"], index["photo"]
    test_photos, val_photos, whole = set(), set(), []
    for name, test_count, val_count in (COMPLETE, OTHER):
        names = sorted(set(photo[source == name]) - {""}, key=sha256)
        test_photos |= set(names[:test_count])
        val_photos |= set(names[test_count : test_count + val_count])
        whole += names[:test_count] if name == COMPLETE[0] else []
    sdnet = is_sdnet(index)
    test, val = sdnet & photo.isin(test_photos), sdnet & photo.isin(val_photos)
    rest = sdnet & ~index["group"].isin(index["group"][test | val])
    train = [rest]
    tests = {"SDNET2018": test}
    position = index["group"].map(lambda group: int(group[:8], 16) / 2**32)  # in [0, 1)
    for name, (val_share, test_share) in BY_SHARE.items():
        here = source == name
        val = val | here & (position >= 1 - val_share - test_share) & (position < 1 - test_share)
        train.append(here & (position < 1 - val_share - test_share))
        if test_share:
            tests[name] = here & (position >= 1 - test_share)
    tests[UNSEEN] = source == UNSEEN
    rows = {name: np.flatnonzero(chosen) for name, chosen in tests.items() if chosen.any()}
    return Sets(np.flatnonzero(np.any(train, axis=0)), np.flatnonzero(val), rows, whole)


def is_sdnet(index: pd.DataFrame) -> "pd.Series[bool]":
    """Which rows are of SDNET2018."""
    return index["source"].isin([COMPLETE[0], OTHER[0]])


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def trained(folder: Path, index: pd.DataFrame, sets: Sets, p: Params) -> Path:
    """Train and calibrate a model, if not done yet; the path of its file, with decision.json."""
    model, labels = folder / paths.MODEL, index["label"].to_numpy()
    decision = folder / paths.DECISION
    if not decision.exists():
        folder.mkdir(parents=True, exist_ok=True)
        refit(folder.resolve(), sets.train, sets.val, labels, p)
        logits = logits_of(model, index, sets.val)
        temperature = fit_temperature(logits, labels[sets.val])
        probability = probabilities(logits, temperature)
        sources = index["source"][sets.val].tolist()
        threshold = choose_threshold(
            probability, labels[sets.val], p.min_recall, sources, p.max_false_positives
        )
        write_decision(decision, Decision(temperature, threshold, "", digest_of(model)))
    return model


def logits_of(model: Path, index: pd.DataFrame, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    return predict(
        load_model(model)[0], Subset(read_images(), rows, index["label"][rows].to_numpy())
    )


def tile_scores(model: Path, index: pd.DataFrame, sets: Sets) -> dict[str, float]:
    """Scores of single photos by source, and by kind of structure in SDNET2018."""
    values = read_json(model.with_name(paths.DECISION.name))
    threshold = values["threshold"]
    val = sets.val[(index["photo"][sets.val] != "") & is_sdnet(index)[sets.val]]
    scores: dict[str, float] = {
        "threshold": threshold,
        "SDNET2018, validation: ROC AUC": roc_auc_score(
            index["label"][val], logits_of(model, index, val)
        ),
    }
    for name, rows in sets.test.items():
        labels = index["label"][rows].to_numpy()
        logits = logits_of(model, index, rows)
        flagged = probabilities(logits, values["temperature"]) >= threshold
        scores[f"{name}: ROC AUC"] = roc_auc_score(labels, logits)
        if name == "SDNET2018":
            kinds = index["photo"][rows].str.split("/").str[0].to_numpy()
            for kind in np.unique(kinds):
                of_kind = kinds == kind
                scores[f"{name} {kind}: ROC AUC"] = roc_auc_score(labels[of_kind], logits[of_kind])
        scores[f"{name}: accuracy"] = (flagged == labels).mean()
        scores[f"{name}: recall"] = flagged[labels == 1].mean()
        scores[f"{name}: specificity"] = 1 - flagged[labels == 0].mean()
    return {name: round(float(value), 4) for name, value in scores.items()}


def whole_scores(model: Path, index: pd.DataFrame, sets: Sets, p: Params) -> dict[str, float]:
    """Scores of whole photos, processed as by `inspect`; a tile's score is the mean of its cells.

    A positive tile counts as found if one of its cells is flagged; the uncracked area flagged is
    the flagged share of the area of negative tiles.
    """
    scorer = load_scorer(model, model.with_name(paths.DECISION.name))
    labels, means, found, flagged = [], [], [], []
    for image, cracked in whole_photos(index, sets.whole, p):
        height, width = image.shape[:2]
        grid = cells(score_photo(scorer, image, TILE), height, width)
        over = grid.probability >= scorer.threshold
        for (row, column), label in np.ndenumerate(cracked):
            here = np.ix_(inside(grid.ys, row), inside(grid.xs, column))
            labels.append(label)
            means.append(grid.probability[here].mean())
            found.append(over[here].any())
            flagged.append(np.average(over[here], weights=grid.areas[here]))
    crack = np.array(labels) == 1
    return {
        name: round(float(value), 4)
        for name, value in {
            "whole photos: ROC AUC of tiles": roc_auc_score(labels, means),
            "whole photos: cracked tiles found": np.array(found)[crack].mean(),
            "whole photos: uncracked area flagged": np.array(flagged)[~crack].mean(),
        }.items()
    }


def inside(edges: NDArray[np.float64], number: int) -> NDArray[np.int64]:
    """Indices of the cells whose centre lies in tile `number` along this axis."""
    middles = (edges[1:] + edges[:-1]) / 2
    return np.flatnonzero((middles >= number * TILE) & (middles < (number + 1) * TILE))


def whole_photos(
    index: pd.DataFrame, names: Sequence[str], p: Params
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Yield each photo, assembled from its tiles: uint8 (H, W, 3), labels (rows, columns)."""
    listing = list_photos(Path(p.raw), class_labels(p.negative, p.positive), p.exclude)
    files = {(photo.source, photo.path): photo for photo in listing.photos}
    with Reader(p.max_bytes) as reader:
        for name in names:
            rows = index[(index["source"] == COMPLETE[0]) & (index["photo"] == name)]
            numbers = rows["path"].str.extract(r"-(\d+)\.")[0].astype(int) - 1
            height = numbers.max() // COLUMNS + 1  # in tiles
            image = np.zeros((height * TILE, COLUMNS * TILE, 3), np.uint8)
            cracked = np.zeros((height, COLUMNS), np.int64)
            assert len(rows) == cracked.size, f"{name} lacks tiles"
            for number, label, path in zip(numbers, rows["label"], rows["path"], strict=True):
                row, column = divmod(number, COLUMNS)
                tile = original(reader.read(files[COMPLETE[0], path]), p.max_pixels)
                top, left = row * TILE, column * TILE
                image[top : top + TILE, left : left + TILE] = np.asarray(tile)
                cracked[row, column] = label
            yield image, cracked


if __name__ == "__main__":
    run("general", main)
