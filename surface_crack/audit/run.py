"""Which labels are most likely wrong: `surface-crack audit`.

Each photo of the training and validation sets is scored out of fold, by a network that was trained
without its group. Photos are ranked by the label-error score: 1 minus the probability of the given
label, which confident learning (Northcutt et al. 2021, https://doi.org/10.1613/jair.1.12125) calls
self-confidence. The test set is left out: correcting its labels with the model's help would bias
the evaluation.
"""

import logging
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from surface_crack.audit.folds import Photos, split_folds, split_train_val
from surface_crack.audit.refit import predict_calibrated, refit
from surface_crack.dataset import (
    Subset,
    load_split,
    read_groups,
    read_images,
    read_index,
    read_near_duplicates,
)
from surface_crack.evaluation import figures
from surface_crack.evaluation.terms import duration, shortened
from surface_crack.photos.decode import NotAPhoto
from surface_crack.photos.listing import class_labels, list_photos, photos_by_name
from surface_crack.photos.reader import Reader, open_photo
from surface_crack.project import paths
from surface_crack.project.errors import DataError, one_line
from surface_crack.project.files import make_folder, write_csv
from surface_crack.project.manifest import TRAIN, VAL, check_same_run
from surface_crack.project.params import check_params

log = logging.getLogger("surface-crack")
SHOWN = 60  # photos in labels.png
SIDE = 227  # of a photo there, pixels
LETTERS = 26  # per file name in a caption; longer ones would overlap
COLUMNS = {  # of labels.csv
    "source": "archive or folder that the photo is from",
    "path": "path of the photo in its source",
    "label": "1: positive (crack), 0: negative",
    "probability": "P(crack), by a network not trained on the photo or its near-duplicates",
    "label_error": "label-error score, |probability - label|: near 1, the label is likely wrong",
    "fold": "cross-validation fold in which the photo was held out",
    "contradicted_by": "a near-duplicate with the other label: one of the two is wrong",
}


def audit(out: Path, folds: int) -> None:
    """Write labels.csv and labels.png, highest label-error score first, to the folder `out`.

    Reads the outputs of `prepare`, `group` and `split`. Raises ParamsError, DataError or
    TrainingError.
    """
    p = check_params()
    inputs = (paths.IMAGES, paths.INDEX, paths.GROUPS, paths.NEAR_DUPLICATES, TRAIN, VAL)
    check_same_run(("prepare", "group", "split"), inputs)
    make_folder(out)
    index, images = read_index(), read_images()
    rows = np.sort(np.concatenate([load_split(name).rows for name in ("train", "val")]))
    table = index.loc[rows, ["source", "path", "label"]].assign(probability=np.nan, fold=0)
    labels, groups = index["label"].to_numpy(), read_groups()["group"].tolist()
    photos = Photos(labels, index["source"].tolist(), groups)
    log.info(
        "%d labels to check by %d-fold cross-validation; the %d labels of the test set are left "
        "out: correcting them with the model's help would bias the evaluation",
        *(len(rows), folds, len(index) - len(rows)),
    )
    start = time.monotonic()
    for number, (rest, held_out) in enumerate(split_folds(photos, rows, folds, p.seed), 1):
        train, val = split_train_val(photos, rest, p.val_share, p.seed)
        with TemporaryDirectory(prefix="surface-crack-") as folder:
            file = refit(Path(folder), train, val, labels, p)
            sets = [Subset(images, chosen, labels[chosen]) for chosen in (val, held_out)]
            probability = predict_calibrated(file, *sets)
        table.loc[held_out, "probability"], table.loc[held_out, "fold"] = probability, number
        accuracy = ((probability > 0.5) == labels[held_out]).mean()
        log.info(
            "fold %d of %d: trained on %d photos, accuracy %.2f %% on %d held-out photos; %s to go",
            *(number, folds, len(train), 100 * accuracy, len(held_out)),
            duration((time.monotonic() - start) / number * (folds - number)),
        )
    table["label_error"] = (table["probability"] - table["label"]).abs()
    table["contradicted_by"] = conflicting_labels(index).reindex(table.index, fill_value="")
    table = table.sort_values("label_error", ascending=False, kind="stable")
    columns = table[[*COLUMNS]].round({"probability": 6, "label_error": 6})
    write_csv(out / "labels.csv", [*COLUMNS], columns.itertuples(index=False))
    head = table.head(SHOWN)
    title = f"The {len(head)} of {len(table)} labels most likely wrong; P: probability of a crack"
    draw(images, index, head, title, out / "labels.png")
    log.info("%s: %d labels, most likely wrong first", out / "labels.csv", len(table))
    log.info("%s: the first %d of them", out / "labels.png", len(head))
    log.info(
        "check at least the first %d: their label_error is above 0.5 (the network predicts the "
        "other class)",
        int((table["label_error"] > 0.5).sum()),
    )
    for column, meaning in COLUMNS.items():
        log.info("    %-16s %s", column, meaning)


def conflicting_labels(index: pd.DataFrame) -> pd.Series:
    """By row: the path of a copy or near-duplicate with the other label, where there is one."""
    near = read_near_duplicates()
    both = np.concatenate([near[["row", "near_duplicate"]], near[["near_duplicate", "row"]]])
    labels = index["label"].to_numpy()
    one, other = both[labels[both[:, 0]] != labels[both[:, 1]]].T
    found = pd.Series(index["path"].to_numpy()[other], index=one, dtype=str)
    return found[~found.index.duplicated()]


def draw(
    images: NDArray[np.uint8], index: pd.DataFrame, table: pd.DataFrame, title: str, path: Path
) -> None:
    """Draw the photos of `table`, from the original files if possible, with label and P(crack)."""
    pictures = originals(index.loc[table.index])
    captions = []
    for row in table.to_dict("records"):
        name = shortened(row["path"], LETTERS)
        label = "crack" if row["label"] else "no crack"
        captions.append(f'"{label}", P {row["probability"]:.3f}\n{name}')
    shown = [pictures.get(row, images[row]) for row in table.index]
    figures.gallery(shown, captions, title, path)


def originals(table: pd.DataFrame) -> dict[int, NDArray[np.uint8]]:
    """Read the original files: uint8 (SIDE, SIDE, 3) by row, of those unchanged since `prepare`.

    `table` holds rows of index.csv. Empty if `raw` cannot be read.
    """
    p = check_params()
    try:
        listing = list_photos(Path(p.raw), class_labels(p.negative, p.positive), p.exclude)
    except (DataError, OSError) as error:
        log.warning("labels.png shows the packed photos, not the originals: %s", one_line(error))
        return {}
    photos = photos_by_name(listing)
    found: dict[int, NDArray[np.uint8]] = {}
    with Reader(p.max_bytes) as reader:
        columns = table[["source", "path", "sha256"]].to_numpy().tolist()
        for row, (source, path, sha256) in zip(table.index.tolist(), columns, strict=True):
            if photo := photos.get((source, path)):
                with suppress(NotAPhoto):
                    decoded, digest = open_photo(reader, photo, SIDE, p.max_pixels)
                    if digest == sha256:
                        found[row] = decoded.pixels
    return found
