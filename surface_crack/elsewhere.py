"""The current model on labelled photos from elsewhere: find, pack, group and score them.

As in the pipeline, only that nothing is split: all photos are judged, but for those that the model
has learnt from. Files of the pipeline are read and never written.
"""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from surface_crack import figures, paths
from surface_crack.artifacts import (
    check_free,
    make_folder,
    read_json,
    readable,
    write_csv,
    write_json,
    write_text,
)
from surface_crack.calibration import Decision, read_decision
from surface_crack.dataset import Part, read_index, read_part
from surface_crack.errors import DataError
from surface_crack.grouping import equals, group_photos
from surface_crack.manifest import TRAIN, VAL, check_one_run, digest_of, made_by, manifest_path
from surface_crack.model import Model
from surface_crack.model_file import load_model
from surface_crack.packing import Row, pack_all
from surface_crack.params import Params, check_params
from surface_crack.patterns import pattern_keys
from surface_crack.photos import Limits, Listing, Rejected, class_labels, list_photos
from surface_crack.report import folder_table
from surface_crack.training import pick_device, predict
from surface_crack.twins import find_relatives
from surface_crack.validation import validate
from surface_crack.validation_report import validation_report
from surface_crack.wording import shortened

SHOWN = 18  # photos in the picture
MADE = ("report.txt", "report.json", "predictions.csv", "mistakes.png")
REASONS = 5  # files that cannot be used, named in the report
COLUMNS = ["source", "path", "label", "group", "probability", "decided"]


def validate_photos(
    path: Path, out: Path | None, group_pattern: str | None = None, model_file: Path = paths.MODEL
) -> tuple[dict[str, Any], str]:
    """(content of report.json, text of report.txt) of the photos in the folder or zip `path`.

    Both, predictions.csv and mistakes.png go into the folder `out`, unless it is None.
    `group_pattern` is another one than that of params.yaml; the decision lies beside `model_file`.
    Raises ParamsError or DataError.
    """
    p = check_params()
    if group_pattern is not None:
        p = replace(p, group_pattern=group_pattern)
    if not path.exists():
        raise DataError(f"{path} does not exist: give a folder or zip of labelled photos")
    model, config = load_model(model_file)
    decision = read_decision(model_file.with_name(paths.DECISION.name), model_file)
    known = learnt_from(model_file)
    if out:
        check_out(out, path)
        make_folder(out)
    listing = list_photos(path, class_labels(p.negative, p.positive), p.exclude)
    with TemporaryDirectory(prefix="surface-crack-") as folder:
        packed = Path(folder) / "images.npy"
        rows, rejected = unpacked(
            path, listing, config["image_size"], packed, Limits(p.max_pixels, p.max_bytes)
        )
        images = np.load(packed, mmap_mode="r")
        table, pattern_misses = grouped(images, rows, p)
        seen = table["group"].isin(table["group"][table["sha256"].isin(known or [])])
        if seen.all():
            raise DataError(f"the model was trained on all photos of {path}: give it others")
        table = table[~seen]
        table = predicted(model, decision, images, table)
        scores = validate(
            table["label"].to_numpy(),
            table["probability"].to_numpy(),
            decision.threshold,
            table["group"].tolist(),
            p.min_recall,
        )
        folders = folder_table(table)
        found = {
            **scores,
            "path": readable(str(path)),
            "rule": decision.rule,
            "temperature": decision.temperature,
            "trained_on": None if known is None else int(seen.sum()),
            "training_data": config["data_digest"],
            "learnt_from": config["sources"],
            "excluded": listing.excluded,
            "group_pattern": p.group_pattern,
            "pattern_misses": pattern_misses,
            "rejected": len(rejected),
            "first_rejected": [file._asdict() for file in rejected[:REASONS]],
            "folders": json.loads(folders.to_json(orient="records")),  # NaN becomes null
        }
        text = validation_report(found, folders)
        if out:
            write_text(out / "report.txt", text)
            write_json(out / "report.json", found)
            columns = table[COLUMNS].round({"probability": 6})
            write_csv(out / "predictions.csv", COLUMNS, columns.itertuples(index=False))
            draw_mistakes(images, table, out / "mistakes.png")
    return found, text


def check_out(out: Path, photos: Path) -> None:
    """Raises DataError if `out` is among the photos, or has files that an earlier report lacks."""
    if Path(os.path.realpath(out)).is_relative_to(os.path.realpath(photos)):
        raise DataError(f"--out {out} lies in {photos}, among the photos: give another folder")
    ours, last = False, out / "report.json"
    if last.is_file():
        with suppress(DataError):
            ours = "verdict" in read_json(last)
    check_free(out, MADE, ours=ours)


def unpacked(
    path: Path, listing: Listing, size: int, target: Path, limits: Limits
) -> tuple[list[Row], list[Rejected]]:
    """(photos, files that are none) of the listing; pixels go to `target`. Raises DataError."""
    packed, unusable = pack_all(listing.photos, size, target, limits, "validate")
    rows = [row._replace(path=readable(row.path), source=readable(row.source)) for row in packed]
    rejected = sorted(Rejected(*map(readable, file)) for file in [*listing.rejected, *unusable])
    if not rows:
        first = rejected[0]
        raise DataError(
            f"none of the {len(rejected)} files in {path} can be used; the first is "
            f"{first.path!r} ({first.reason})"
        )
    return rows, rejected


def grouped(images: NDArray[np.uint8], rows: Sequence[Row], p: Params) -> tuple[pd.DataFrame, bool]:
    """(columns of index.csv and `group`, whether there is a `group_pattern` that finds nothing)."""
    index = pd.DataFrame(rows, columns=list(Row._fields))
    try:
        keys = pattern_keys(p.group_pattern, index["source"].tolist(), index["path"].tolist())
        pattern_misses = False
    except DataError:  # it was written for the photos of `raw`; others may have other names
        keys, pattern_misses = [None] * len(index), True
    copies, twins = find_relatives(images)
    pairs = [(one, other) for one, other in twins.pairs.tolist()]
    contents = [key or content for key, content in zip(keys, index["sha256"], strict=True)]
    groups = group_photos(contents, {"copy": copies, "twin": pairs, "pattern": equals(keys)})
    return index.assign(group=[photo.group for photo in groups]), pattern_misses


def learnt_from(model: Path) -> set[str] | None:
    """SHA-256 of the photos that the model in this file was trained on or chosen by.

    None where data/ does not tell: it is empty, or the model was trained elsewhere. Raises
    DataError if files of two runs are in data/ and models/.
    """
    files = [paths.INDEX, TRAIN, VAL]
    if not any(file.exists() for file in files):
        return None
    if model.absolute() == paths.MODEL.absolute():
        check_one_run(("prepare", "split", "train"), [*files, paths.MODEL])
    elif manifest_path("train").exists() and digest_of(model) == made_by("train", paths.MODEL):
        check_one_run(("prepare", "split", "train"), files)
    else:
        return None
    rows = np.concatenate([read_part(name)["row"] for name in ("train", "val")])
    return set(read_index()["sha256"][rows])


def predicted(
    model: Model, decision: Decision, images: NDArray[np.uint8], table: pd.DataFrame
) -> pd.DataFrame:
    """The table with `probability` and `decided`; its index says which of the images."""
    part = Part(images, table.index.to_numpy(), table["label"].to_numpy())
    probability = decision.probabilities(predict(model.to(pick_device()), part))
    return table.assign(probability=probability, decided=decision.decide(probability))


def draw_mistakes(images: NDArray[np.uint8], table: pd.DataFrame, path: Path) -> None:
    """The mistakes furthest from their labels, as the network sees them."""
    wrong = table[table["decided"] != table["label"]]
    error = (wrong["probability"] - wrong["label"]).abs()
    worst = wrong.loc[error.sort_values(ascending=False, kind="stable").index[:SHOWN]]
    captions = []
    for row in worst.to_dict("records"):
        kind = "missed crack" if row["label"] else "false alarm"
        folder, _, name = f"{row['source']}/{row['path']}".rpartition("/")
        lines = f"{kind}, P {row['probability']:.3f}", folder, name
        captions.append("\n".join(shortened(line, figures.WIDE) for line in lines))
    title = f"The {len(worst)} worst of {len(wrong)} mistakes among {len(table)} photos"
    figures.gallery([images[row] for row in worst.index], captions, title, path)
