"""The settings of the general model, judged on places and surfaces that it has never seen.

    cp surface_crack/general/params.yaml params.yaml   # set raw to the folder of the archives
    dvc repro group
    python -m bench.general --work data/general

Reads params.yaml and what `prepare` and `group` made of it, and the archives in `raw`: metu, sdnet,
sdnet-more, drone, and bridges, which trains nothing. Photos of SDNET2018, METU and drone are dealt
by hashes: some judge, some choose the threshold (and chose the settings), the rest trains, by the
train stage itself, once for each of --seeds. docs/results.md has the table.

What is done is kept in --work: started again, it goes on where it ended, as long as params and data
are the same.
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

COMPLETE, OTHER = ("sdnet", 9, 6), ("sdnet-more", 36, 24)  # source, photos that judge, that choose
APART = {"metu": (0.05, 0.2), "drone": (0.1, 0.0)}  # shares of groups that choose, that judge
UNSEEN = "bridges"  # judges alone
COLUMNS = 18  # of tiles in a photo of SDNET2018, which are numbered row by row from 1
TILE = 256  # side of one, pixels


class Roles(NamedTuple):
    """Rows of index.csv, and the names of whole photos."""

    train: NDArray[np.int64]
    choose: NDArray[np.int64]
    judge: dict[str, NDArray[np.int64]]  # by source
    whole: list[str]  # complete photos of SDNET2018 among those that judge


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for what is done")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()

    p = check_params()
    index = read_index().assign(group=read_groups()["group"])
    keys = pattern_keys(p.group_pattern, index["source"].tolist(), index["path"].tolist())
    index["photo"] = [photo_of(key) for key in keys]
    roles = deal(index)
    data = read_json(paths.METRICS / "data.json")["digest"]
    key = hashlib.sha256(f"{replace(p, seed=0)} {data}".encode()).hexdigest()[:12]
    print(f"settings and data {key}, data {data[:12]}")
    print(f"{len(roles.train)} photos train, {len(roles.choose)} choose, of them from")
    for name, rows in (("train", roles.train), ("choose", roles.choose)):
        print(f"  {name}: {index['source'][rows].value_counts().sort_index().to_dict()}")
    print(f"  judge: { {source: len(rows) for source, rows in roles.judge.items()} }\n")
    found = []
    for seed in arguments.seeds:
        folder = arguments.work / f"{key}-seed{seed}"
        model = trained(folder, index, roles, replace(p, seed=seed))
        scores = {**tile_scores(model, index, roles), **whole_scores(model, index, roles, p)}
        print(f"seed {seed}: {scores}\n", flush=True)
        found.append(scores)
    print(f"| mean (lowest to highest) of seeds {arguments.seeds} | |\n|---|---|")
    for name in found[0]:
        values = [scores[name] for scores in found]
        print(f"| {name} | {mean(values):.4f} ({min(values):.4f} to {max(values):.4f}) |")


def photo_of(key: str | None) -> str:
    """`Decks/7008` of a key of the group pattern; blank without one."""
    return "/".join(key.split("\n")[1:3]) if key else ""


def deal(index: pd.DataFrame) -> Roles:
    """Photos that judge and that choose come first by the SHA-256 of their names, or groups."""
    source, photo = index["source"], index["photo"]
    judging, choosing, whole = set(), set(), []
    for name, first, next_ in (COMPLETE, OTHER):
        names = sorted(set(photo[source == name]) - {""}, key=sha256)
        judging |= set(names[:first])
        choosing |= set(names[first : first + next_])
        whole += names[:first] if name == COMPLETE[0] else []
    sdnet = ours(index)
    judge, choose = sdnet & photo.isin(judging), sdnet & photo.isin(choosing)
    rest = sdnet & ~index["group"].isin(index["group"][judge | choose])
    train = [rest]
    parts = {"SDNET2018": judge}
    place = index["group"].map(lambda group: int(group[:8], 16) / 2**32)
    for name, (chosen, judged) in APART.items():
        here = source == name
        choose = choose | here & (place >= 1 - chosen - judged) & (place < 1 - judged)
        train.append(here & (place < 1 - chosen - judged))
        if judged:
            parts[name] = here & (place >= 1 - judged)
    parts[UNSEEN] = source == UNSEEN
    rows = {name: np.flatnonzero(part) for name, part in parts.items() if part.any()}
    return Roles(np.flatnonzero(np.any(train, axis=0)), np.flatnonzero(choose), rows, whole)


def ours(index: pd.DataFrame) -> "pd.Series[bool]":
    """Which rows are of SDNET2018."""
    return index["source"].isin([COMPLETE[0], OTHER[0]])


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def trained(folder: Path, index: pd.DataFrame, roles: Roles, p: Params) -> Path:
    """The model file, with its decision beside it."""
    model, labels = folder / paths.MODEL, index["label"].to_numpy()
    decision = folder / paths.DECISION
    if not decision.exists():
        folder.mkdir(parents=True, exist_ok=True)
        refit(folder.resolve(), roles.train, roles.choose, labels, p)
        logits = logits_of(model, index, roles.choose)
        temperature = fit_temperature(logits, labels[roles.choose])
        probability = probabilities(logits, temperature)
        sources = index["source"][roles.choose].tolist()
        threshold = choose_threshold(
            probability, labels[roles.choose], p.min_recall, sources, p.max_false_positives
        )
        write_decision(decision, Decision(temperature, threshold, "", digest_of(model)))
    return model


def logits_of(model: Path, index: pd.DataFrame, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    return predict(
        load_model(model)[0], Subset(read_images(), rows, index["label"][rows].to_numpy())
    )


def tile_scores(model: Path, index: pd.DataFrame, roles: Roles) -> dict[str, float]:
    """Of photos by themselves, and of the kinds of SDNET2018."""
    values = read_json(model.with_name(paths.DECISION.name))
    threshold = values["threshold"]
    choose = roles.choose[(index["photo"][roles.choose] != "") & ours(index)[roles.choose]]
    scores: dict[str, float] = {
        "threshold": threshold,
        "SDNET2018, photos that choose: ROC AUC": roc_auc_score(
            index["label"][choose], logits_of(model, index, choose)
        ),
    }
    for name, rows in roles.judge.items():
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


def whole_scores(model: Path, index: pd.DataFrame, roles: Roles, p: Params) -> dict[str, float]:
    """Of complete photos, scored as `inspect` does; the score of a tile is the mean of its cells.

    A cracked tile is found if one of its cells is flagged; the sound area flagged is that of cells
    in tiles labelled sound.
    """
    scorer = load_scorer(model, model.with_name(paths.DECISION.name))
    labels, means, found, flagged = [], [], [], []
    for image, cracked in whole_photos(index, roles.whole, p):
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
            "whole photos: sound area flagged": np.array(flagged)[~crack].mean(),
        }.items()
    }


def inside(edges: NDArray[np.float64], number: int) -> NDArray[np.int64]:
    """The cells whose middle lies in the tile of this number."""
    middles = (edges[1:] + edges[:-1]) / 2
    return np.flatnonzero((middles >= number * TILE) & (middles < (number + 1) * TILE))


def whole_photos(
    index: pd.DataFrame, names: Sequence[str], p: Params
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Each photo put together from its tiles: uint8 (H, W, 3), labels (rows, columns)."""
    listing = list_photos(Path(p.raw), class_labels(p.negative, p.positive), p.exclude)
    files = {(photo.source, photo.path): photo for photo in listing.photos}
    with Reader(p.max_bytes) as reader:
        for name in names:
            rows = index[(index["source"] == COMPLETE[0]) & (index["photo"] == name)]
            numbers = rows["path"].str.extract(r"-(\d+)\.")[0].astype(int) - 1
            tall = numbers.max() // COLUMNS + 1
            image = np.zeros((tall * TILE, COLUMNS * TILE, 3), np.uint8)
            cracked = np.zeros((tall, COLUMNS), np.int64)
            assert len(rows) == cracked.size, f"{name} is not complete"
            for number, label, path in zip(numbers, rows["label"], rows["path"], strict=True):
                row, column = divmod(number, COLUMNS)
                tile = original(reader.read(files[COMPLETE[0], path]), p.max_pixels)
                top, left = row * TILE, column * TILE
                image[top : top + TILE, left : left + TILE] = np.asarray(tile)
                cracked[row, column] = label
            yield image, cracked


if __name__ == "__main__":
    run("general", main)
