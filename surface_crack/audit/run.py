"""Which labels are most likely wrong: `surface-crack audit`.

Each photo of the training and validation parts is judged by a network that was trained without
its group, and the photos are listed by how firmly that network contradicts the label. Confident
learning (Northcutt et al. 2021, https://doi.org/10.1613/jair.1.12125) calls this order
"self-confidence". The test part stays out: whoever mends labels there tunes the judge.
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
from surface_crack.project.manifest import TRAIN, VAL, check_one_run
from surface_crack.project.params import check_params

log = logging.getLogger("surface-crack")
SHOWN = 60  # photos on the contact sheet
SIDE = 227  # of a photo there, pixels
LETTERS = 26  # of a file name in a caption; more would run into the next one
COLUMNS = {  # of labels.csv
    "source": "the archive or folder that the photo is from",
    "path": "its name in there",
    "label": "1: in a folder of cracks, 0: not",
    "probability": "of a crack, by a network that never saw the photo or its near-duplicates",
    "doubt": "how far that is from the label; 1: the network is sure of the opposite",
    "fold": "the part that it was judged in",
    "contradicted_by": "a near-duplicate with the other label: one of the two is wrong",
}


def audit(out: Path, folds: int) -> None:
    """Write labels.csv and labels.png, most doubtful first, into the folder `out`.

    Reads what `prepare`, `group` and `split` made. Raises ParamsError, DataError, TrainingError.
    """
    p = check_params()
    made_before = (paths.IMAGES, paths.INDEX, paths.GROUPS, paths.NEAR_DUPLICATES, TRAIN, VAL)
    check_one_run(("prepare", "group", "split"), made_before)
    make_folder(out)
    index, images = read_index(), read_images()
    rows = np.sort(np.concatenate([load_split(name).rows for name in ("train", "val")]))
    table = index.loc[rows, ["source", "path", "label"]].assign(probability=np.nan, fold=0)
    labels, groups = index["label"].to_numpy(), read_groups()["group"].tolist()
    photos = Photos(labels, index["source"].tolist(), groups)
    log.info(
        "%d labels to judge, by %d networks, each trained without a part of them; %d labels of the "
        "test part are left out: mending them by a network's advice would tune the judge",
        *(len(rows), folds, len(index) - len(rows)),
    )
    start = time.monotonic()
    for number, (rest, held_out) in enumerate(split_folds(photos, rows, folds, p.seed), 1):
        train, val = split_train_val(photos, rest, p.val_share, p.seed)
        with TemporaryDirectory(prefix="surface-crack-") as folder:
            file = refit(Path(folder), train, val, labels, p)
            judged = predict_calibrated(file, *(Subset(images, part, labels[part]) for part in (val, held_out)))
        table.loc[held_out, "probability"], table.loc[held_out, "fold"] = judged, number
        right = ((judged > 0.5) == labels[held_out]).mean()
        log.info(
            "fold %d of %d: %d photos trained, %d judged, %.2f %% as labelled; %s to go",
            *(number, folds, len(train), len(held_out), 100 * right),
            duration((time.monotonic() - start) / number * (folds - number)),
        )
    table["doubt"] = (table["probability"] - table["label"]).abs()
    table["contradicted_by"] = contradictions(index).reindex(table.index, fill_value="")
    table = table.sort_values("doubt", ascending=False, kind="stable")
    columns = table[[*COLUMNS]].round({"probability": 6, "doubt": 6})
    write_csv(out / "labels.csv", [*COLUMNS], columns.itertuples(index=False))
    head = table.head(SHOWN)
    title = f"The {len(head)} most doubtful of {len(table)} labels; P: probability of a crack"
    draw(images, index, head, title, out / "labels.png")
    log.info("%s: %d labels, the most doubtful first", out / "labels.csv", len(table))
    log.info("%s: the first %d of them", out / "labels.png", len(head))
    log.info(
        "worth looking at: the first %d, whose network says the opposite (doubt above 0.5)",
        int((table["doubt"] > 0.5).sum()),
    )
    for column, meaning in COLUMNS.items():
        log.info("    %-16s %s", column, meaning)


def contradictions(index: pd.DataFrame) -> pd.Series:
    """By row: the path of a copy or twin with the other label, for the photos that have one."""
    near = read_near_duplicates()
    both = np.concatenate([near[["row", "near_duplicate"]], near[["near_duplicate", "row"]]])
    labels = index["label"].to_numpy()
    one, other = both[labels[both[:, 0]] != labels[both[:, 1]]].T
    found = pd.Series(index["path"].to_numpy()[other], index=one, dtype=str)
    return found[~found.index.duplicated()]


def draw(
    images: NDArray[np.uint8], index: pd.DataFrame, table: pd.DataFrame, title: str, path: Path
) -> None:
    """The photos of `table`, as large as they came, each with its label and what was found."""
    pictures = originals(index.loc[table.index])
    captions = []
    for row in table.to_dict("records"):
        name = shortened(row["path"], LETTERS)
        label = "crack" if row["label"] else "no crack"
        captions.append(f'"{label}", P {row["probability"]:.3f}\n{name}')
    shown = [pictures.get(row, images[row]) for row in table.index]
    figures.gallery(shown, captions, title, path)


def originals(table: pd.DataFrame) -> dict[int, NDArray[np.uint8]]:
    """uint8 (SIDE, SIDE, 3) by row, of the photos whose files are still what was packed.

    `table` holds lines of index.csv. Where `raw` is gone, so are all files.
    """
    p = check_params()
    try:
        listing = list_photos(Path(p.raw), class_labels(p.negative, p.positive), p.exclude)
    except (DataError, OSError) as error:
        log.warning("the sheet shows packed photos, which are small: %s", one_line(error))
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
