"""Validate a model on labelled photos of another site: find, pack, group and score them.

As in the pipeline, but without a split: all photos are scored except those that the model was
trained on. Files of the pipeline are read if they exist, and never written.
"""

import csv
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from surface_crack.evaluation.folders import Prediction, folder_table
from surface_crack.evaluation.terms import counted
from surface_crack.photos.decode import MAX_PIXELS, NotAPhoto, decode_photo
from surface_crack.photos.listing import Listing, Photo, Rejected, class_labels, list_photos
from surface_crack.photos.packing import Row, pack_all
from surface_crack.photos.reader import Limits, Reader, read_file
from surface_crack.photos.sizes import size_warning, typical_side
from surface_crack.project import paths
from surface_crack.project.errors import DataError, one_line
from surface_crack.project.files import (
    check_no_overwrite,
    make_folder,
    read_json,
    write_csv,
    write_json,
    write_text,
)
from surface_crack.project.manifest import (
    TRAIN,
    VAL,
    check_same_run,
    manifest_path,
    recorded_digest,
)
from surface_crack.project.names import readable
from surface_crack.project.params import PARAMS, Params, check_params, parse_params
from surface_crack.scoring.score_map import scale_of, scaled, score_pixels
from surface_crack.scoring.scorer import Scorer
from surface_crack.scoring.which_model import choose_model, model_name
from surface_crack.splitting.groups import group_photos, pattern_keys
from surface_crack.splitting.near_duplicates import find_duplicates
from surface_crack.splitting.ties import equal_pairs
from surface_crack.threads import cores, in_order
from surface_crack.validation.captioned import write_gallery
from surface_crack.validation.report import validation_report
from surface_crack.validation.verdict import validate

SHOWN = 30  # photos of each kind of mistake in mistakes.png
OUTPUTS = ("report.txt", "report.json", "predictions.csv", "mistakes.png")
REJECTED_SHOWN = 5  # unusable files that the report names
BATCH = 32  # photos of one patch scored at once; bounds memory
NEEDED_PARAMS = (
    *("negative", "positive", "exclude"),
    *("min_recall", "max_pixels", "max_bytes"),
)


@dataclass(frozen=True)
class Packed:
    """The usable photos; photo n is rows[n], photos[n] and images[n]."""

    rows: list[Row]
    photos: list[Photo]  # to read the files again
    images: NDArray[np.uint8]  # (N, S, S, 3), memory-mapped
    rejected: list[Rejected]


class Settings(NamedTuple):
    params: Params
    own: bool  # from params.yaml in the current folder, not from the package


def validate_photos(
    path: Path,
    out: Path | None = None,
    *,
    model: Path | None = None,
    group_pattern: str | None = None,
    patch_px: float | None = None,
) -> tuple[dict[str, Any], str]:
    """Validate the model on the photos in the folder or zip `path`.

    Returns (content of report.json, text of report.txt), and unless `out` is None writes both,
    predictions.csv and mistakes.png to this folder. `model` is as for `choose_model`,
    `group_pattern` overrides that of params.yaml. Each photo is scored as one patch, or with
    `patch_px`, the side of a patch in pixels of the photo, cut into patches. Raises ParamsError or
    DataError.
    """
    p, own = settings()
    if group_pattern is None:
        group_pattern = p.group_pattern if own else ""
    if not path.exists():
        raise DataError(f"{path} does not exist: give a folder or zip of labelled photos")
    # One thread per batch or photo: otherwise rounding would depend on the number of threads.
    model, scorer, why = choose_model(model, threads=1)
    known = training_photos(model, scorer)
    if out:
        check_out(out, path)
        make_folder(out)
    listing = find_photos(path, p, own=own)
    with TemporaryDirectory(prefix="surface-crack-") as folder:
        target = Path(folder) / "images.npy"
        packed = pack_photos(path, listing, scorer.patch, target, Limits(p.max_pixels, p.max_bytes))
        groups, pattern_misses = find_groups(packed, group_pattern)
        seen = (
            {group for group, row in zip(groups, packed.rows, strict=True) if row.sha256 in known}
            if known
            else set()
        )
        unseen = [number for number, group in enumerate(groups) if group not in seen]
        if not unseen:
            raise DataError(f"the model was trained on all photos of {path}: give other photos")
        predictions, too_small = score_photos(scorer, packed, groups, unseen, p, patch_px)
        rejected = sorted([*packed.rejected, *too_small])
        if not predictions:
            raise no_usable_photo(path, rejected)
        scores = validate(
            np.array([photo.label for photo in predictions.values()]),
            np.array([photo.probability for photo in predictions.values()]),
            scorer.threshold,
            [photo.group for photo in predictions.values()],
            p.min_recall,
        )
        folders = folder_table(predictions.values())
        sizes = [(packed.rows[number].width, packed.rows[number].height) for number in predictions]
        side = typical_side(sizes)
        report = {
            **scores,
            "photo_side": round(side, 2),
            "trained_photo_side": scorer.photo_side,
            "size_note": "" if patch_px else size_warning(side, scorer.photo_side),
            "path": readable(str(path)),
            "model": readable(f"{model_name(model)} ({why})"),
            "rule": scorer.rule,
            "temperature": scorer.temperature,
            "trained_on": None if known is None else len(packed.rows) - len(unseen),
            "training_data": scorer.data_digest,
            "trained_sources": list(scorer.sources),
            "patch_px": patch_px,
            "excluded": listing.excluded,
            "group_pattern": group_pattern,
            "pattern_misses": pattern_misses,
            "rejected": len(rejected),
            "first_rejected": [file._asdict() for file in rejected[:REJECTED_SHOWN]],
            "folders": [folder._asdict() for folder in folders],
        }
        text = validation_report(report, folders)
        if out:
            write_text(out / "report.txt", text)
            write_json(out / "report.json", report)
            rows = map(_rounded, predictions.values())
            write_csv(out / "predictions.csv", Prediction._fields, rows)
            draw_mistakes(packed.images, predictions, out / "mistakes.png")
    return report, text


def settings() -> Settings:
    """Read params.yaml of the current folder, or else the params of the general model.

    Raises ParamsError or DataError.
    """
    if PARAMS.exists():
        return Settings(check_params(), own=True)
    file = paths.GENERAL_PARAMS
    if not file.exists():
        raise DataError(f"{file} is missing: the package is incomplete, reinstall it")
    return Settings(parse_params(file.read_text("utf-8"), NEEDED_PARAMS, file), own=False)


def find_photos(path: Path, p: Params, *, own: bool) -> Listing:
    """List the photos of `path`. `exclude` applies only if `own`: it is about the user's photos.

    Without a params.yaml, an error that refers to it also says which class folders are expected.
    """
    try:
        return list_photos(path, class_labels(p.negative, p.positive), p.exclude if own else "")
    except DataError as error:
        if own or str(PARAMS) not in str(error):
            raise
        raise DataError(
            f"{error} (there is no {PARAMS} here, so class folders must be named "
            f"{', '.join(p.negative)} or {', '.join(p.positive)}, in upper or lower case)"
        ) from None


def check_out(out: Path, photos: Path) -> None:
    """Raise DataError if `out` is among the photos, or has files that `validate` did not write."""
    if Path(os.path.realpath(out)).is_relative_to(os.path.realpath(photos)):
        raise DataError(f"--out {out} lies in {photos}, among the photos: give another folder")
    ours, last = False, out / "report.json"
    if last.is_file():
        with suppress(DataError):
            ours = "verdict" in read_json(last)
    check_no_overwrite(out, OUTPUTS, ours=ours)


def pack_photos(path: Path, listing: Listing, size: int, target: Path, limits: Limits) -> Packed:
    """Decode the listed photos into the file `target`. Raises DataError if none is usable."""
    packed, unusable = pack_all(listing.photos, size, target, limits, "validate")
    rejected = sorted(Rejected(*map(readable, file)) for file in [*listing.rejected, *unusable])
    if not packed:
        raise no_usable_photo(path, rejected)
    photos, dropped = [], iter([*unusable, None])  # in the order of the listing
    next_dropped = next(dropped)
    for photo in listing.photos:
        if next_dropped and next_dropped[:2] == photo[:2]:  # source and path
            next_dropped = next(dropped)
        else:
            photos.append(photo)
    rows = [row._replace(path=readable(row.path), source=readable(row.source)) for row in packed]
    return Packed(rows, photos, np.load(target, mmap_mode="r"), rejected)


def no_usable_photo(path: Path, rejected: Sequence[Rejected]) -> DataError:
    first = rejected[0]
    return DataError(
        f"none of the {len(rejected)} files in {path} can be used; the first is "
        f"{first.path!r} ({first.reason})"
    )


def find_groups(packed: Packed, pattern: str) -> tuple[list[str], bool]:
    """(group of each photo, whether `group_pattern` matches none of the paths)."""
    rows = packed.rows
    try:
        keys = pattern_keys(pattern, [row.source for row in rows], [row.path for row in rows])
        pattern_misses = False
    except DataError:  # it was written for `raw`; these may be named differently
        keys, pattern_misses = [None] * len(rows), True
    copies, near = find_duplicates(packed.images)
    pairs = [(one, other) for one, other in near.pairs.tolist()]
    contents = [key or row.sha256 for key, row in zip(keys, rows, strict=True)]
    ties = {"copy": copies, "near-duplicate": pairs, "pattern": equal_pairs(keys)}
    groups = group_photos(contents, ties)
    return [photo.group for photo in groups], pattern_misses


def training_photos(model: Path, scorer: Scorer) -> set[str] | None:
    """Return the SHA-256 of the photos that the model was trained on or selected with.

    None if unknown: data/ is empty, or the model was trained elsewhere. Raises DataError if data/
    and models/ hold files of two runs.
    """
    files, stages = [paths.INDEX, TRAIN, VAL], ("prepare", "split", "train")
    if not any(file.exists() for file in files):
        return None
    if model.absolute() == paths.MODEL.absolute():
        check_same_run(stages, [*files, paths.MODEL])
    elif manifest_path("train").exists() and scorer.weights == recorded_digest(
        "train", paths.MODEL
    ):
        check_same_run(stages, files)
    else:
        return None
    hashes = column(paths.INDEX, "sha256")
    return {hashes[int(row)] for file in (TRAIN, VAL) for row in column(file, "row")}


def column(path: Path, name: str) -> list[str]:
    """Read one column of a CSV file of the pipeline. Raises DataError if it is unreadable."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [row[name] for row in csv.DictReader(file)]
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise DataError(f"{path} cannot be read ({one_line(error)}): run `dvc repro`") from None


def score_photos(
    scorer: Scorer,
    packed: Packed,
    groups: Sequence[str],
    numbers: Sequence[int],
    p: Params,
    patch_px: float | None,
) -> tuple[dict[int, Prediction], list[Rejected]]:
    """(predictions of the photos `numbers`, those that cannot be cut into such patches)."""
    results: Iterable[float | str] = (
        score_whole(scorer, packed.images, numbers)
        if patch_px is None
        else score_patches(scorer, packed, numbers, p, patch_px)
    )
    predictions: dict[int, Prediction] = {}
    rejected = []
    for number, result in zip(numbers, results, strict=True):
        row = packed.rows[number]
        if isinstance(result, str):
            rejected.append(Rejected(row.source, row.path, readable(result)))
            continue
        decided = int(result >= scorer.threshold)
        predictions[number] = Prediction(
            row.source, row.path, row.label, groups[number], result, decided
        )
    return predictions, rejected


def score_whole(scorer: Scorer, images: NDArray[np.uint8], numbers: Sequence[int]) -> list[float]:
    """P(crack) of each photo, resized to one patch."""
    batches = [numbers[start : start + BATCH] for start in range(0, len(numbers), BATCH)]
    results = in_order(lambda batch: scorer.run(images[batch]).ravel(), batches, cores())
    return [float(x) for batch in results for x in batch]


def score_patches(
    scorer: Scorer, packed: Packed, numbers: Sequence[int], p: Params, patch_px: float
) -> list[float | str]:
    """The highest P(crack) of the patches of each photo, or why it cannot be cut into patches."""
    scale = scale_of(scorer, patch_px)
    with Reader(p.max_bytes) as reader:

        def highest(number: int) -> float | str:
            row = packed.rows[number]
            if reason := patch_size_problem(row.width, row.height, scorer.patch, patch_px):
                return reason
            try:
                content = read_file(reader, packed.photos[number])
                photo = decode_photo(content, scale, max_pixels=p.max_pixels)
            except NotAPhoto as error:
                return str(error)
            pixels = scaled(photo.image, scale, (photo.width, photo.height))
            return float(score_pixels(scorer, pixels, scale).probability.max())

        results = in_order(highest, numbers, cores())
        return list(tqdm(results, "score", len(numbers), unit="photo", disable=None))


def patch_size_problem(width: int, height: int, patch: int, patch_px: float) -> str:
    """Why a photo cannot be cut into patches of `patch_px` pixels a side; "" if it can.

    `patch` is the side of a patch at the network's input: a smaller `patch_px` enlarges the photo,
    which is limited to MAX_PIXELS.
    """
    size = f"{width} x {height} pixels"
    if min(width, height) < patch_px:
        return f"{size} is smaller than a patch of {patch_px:g}: give a smaller --patch-px"
    least = math.ceil(patch * math.sqrt(width * height / MAX_PIXELS))
    if patch_px < least:
        return f"{size} needs a --patch-px of {least} or more, got {patch_px:g}"
    return ""


def _rounded(photo: Prediction) -> Prediction:
    return photo._replace(probability=float(np.round(photo.probability, 6)))


def draw_mistakes(
    images: NDArray[np.uint8], predictions: Mapping[int, Prediction], path: Path
) -> None:
    """Draw missed cracks, then false positives, worst first, at the network's input size."""
    wrong = [number for number, photo in predictions.items() if photo.decided != photo.label]
    wrong.sort(key=lambda number: -abs(predictions[number].probability - predictions[number].label))
    shown, counts = [], []
    for label, kind in ((1, "missed crack"), (0, "false positive")):
        of_kind = [number for number in wrong if predictions[number].label == label]
        shown += of_kind[:SHOWN]
        most = f"{SHOWN} of " if len(of_kind) > SHOWN else ""
        counts.append(f"{most}{counted(len(of_kind), kind)}")
    captions = []
    for photo in map(predictions.__getitem__, shown):
        kind = "missed crack" if photo.label else "false positive"
        folder, _, name = f"{photo.source}/{photo.path}".rpartition("/")
        captions.append("\n".join([f"{kind}, P {photo.probability:.3f}", folder, name]))
    title = f"{', '.join(counts)}, of {counted(len(predictions), 'photo')}; worst first"
    write_gallery([images[number] for number in shown], captions, title, path)
