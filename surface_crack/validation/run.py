"""A model on labelled photos from elsewhere: find, pack, group and score them.

As in the pipeline, only that nothing is split: all photos are judged, but for those that the model
has learnt from. Files of the pipeline are read and never written, and none is needed.
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
    check_free,
    make_folder,
    read_json,
    write_csv,
    write_json,
    write_text,
)
from surface_crack.project.manifest import TRAIN, VAL, check_one_run, made_by, manifest_path
from surface_crack.project.names import readable
from surface_crack.project.params import PARAMS, Params, check_params, parse_params
from surface_crack.scoring.score_map import scale_of, scaled, score_pixels
from surface_crack.scoring.scorer import Scorer
from surface_crack.scoring.which_model import called, choose_model
from surface_crack.splitting.groups import group_photos, pattern_keys
from surface_crack.splitting.near_duplicates import find_duplicates
from surface_crack.splitting.ties import equal_pairs
from surface_crack.threads import cores, in_order
from surface_crack.validation.captioned import captioned
from surface_crack.validation.report import validation_report
from surface_crack.validation.verdict import validate

SHOWN = 30  # photos of each kind of mistake in the picture
MADE = ("report.txt", "report.json", "predictions.csv", "mistakes.png")
REASONS = 5  # files that cannot be used, named in the report
BATCH = 32  # photos of one patch scored at once: bounds memory
NEEDED = (  # of params.yaml
    *("negative", "positive", "exclude"),
    *("min_recall", "max_pixels", "max_bytes"),
)


@dataclass(frozen=True)
class Found:
    """The photos that can be opened; number n is images[n]."""

    rows: list[Row]
    photos: list[Photo]  # the same, to be read again
    images: NDArray[np.uint8]  # (N, S, S, 3), mapped from disk
    rejected: list[Rejected]


class Settings(NamedTuple):
    params: Params
    own: bool  # they are of a params.yaml here, not of the package's


def validate_photos(
    path: Path,
    out: Path | None = None,
    *,
    model: Path | None = None,
    group_pattern: str | None = None,
    patch_px: float | None = None,
) -> tuple[dict[str, Any], str]:
    """(content of report.json, text of report.txt) of the photos in the folder or zip `path`.

    Both, predictions.csv and mistakes.png go into the folder `out`, unless it is None. `model` is
    what `choose_model` takes, `group_pattern` another one than that of params.yaml. Each photo is
    taken for one patch, or with `patch_px`, the side of a patch in its pixels, for many. Raises
    ParamsError or DataError.
    """
    p, own = settings()
    if group_pattern is None:
        group_pattern = p.group_pattern if own else ""
    if not path.exists():
        raise DataError(f"{path} does not exist: give a folder or zip of labelled photos")
    # One thread per batch or photo: with more, rounding would depend on their number.
    model, scorer, why = choose_model(model, threads=1)
    known = learnt_from(model, scorer)
    if out:
        check_out(out, path)
        make_folder(out)
    listing = listed(path, p, own=own)  # `exclude` is about the photos of one's own params.yaml
    with TemporaryDirectory(prefix="surface-crack-") as folder:
        packed = Path(folder) / "images.npy"
        found = unpacked(path, listing, scorer.patch, packed, Limits(p.max_pixels, p.max_bytes))
        groups, pattern_misses = grouped(found, group_pattern)
        seen = (
            {group for group, row in zip(groups, found.rows, strict=True) if row.sha256 in known}
            if known
            else set()
        )
        left = [number for number, group in enumerate(groups) if group not in seen]
        if not left:
            raise DataError(f"the model was trained on all photos of {path}: give it others")
        judged, too_small = judge(scorer, found, groups, left, p, patch_px)
        rejected = sorted([*found.rejected, *too_small])
        if not judged:
            raise none_usable(path, rejected)
        scores = validate(
            np.array([photo.label for photo in judged.values()]),
            np.array([photo.probability for photo in judged.values()]),
            scorer.threshold,
            [photo.group for photo in judged.values()],
            p.min_recall,
        )
        folders = folder_table(judged.values())
        sizes = [(found.rows[number].width, found.rows[number].height) for number in judged]
        side = typical_side(sizes)
        report = {
            **scores,
            "photo_side": round(side, 2),
            "learnt_side": scorer.photo_side,
            "size_note": "" if patch_px else size_warning(side, scorer.photo_side),
            "path": readable(str(path)),
            "model": readable(f"{called(model)} ({why})"),
            "rule": scorer.rule,
            "temperature": scorer.temperature,
            "trained_on": None if known is None else len(found.rows) - len(left),
            "training_data": scorer.data_digest,
            "learnt_from": list(scorer.sources),
            "patch_px": patch_px,
            "excluded": listing.excluded,
            "group_pattern": group_pattern,
            "pattern_misses": pattern_misses,
            "rejected": len(rejected),
            "first_rejected": [file._asdict() for file in rejected[:REASONS]],
            "folders": [folder._asdict() for folder in folders],
        }
        text = validation_report(report, folders)
        if out:
            write_text(out / "report.txt", text)
            write_json(out / "report.json", report)
            write_csv(out / "predictions.csv", Prediction._fields, map(_rounded, judged.values()))
            draw_mistakes(found.images, judged, out / "mistakes.png")
    return report, text


def settings() -> Settings:
    """Of the params.yaml here, or where there is none, of that by which the general model was made.

    Raises ParamsError or DataError.
    """
    if PARAMS.exists():
        return Settings(check_params(), own=True)
    file = paths.GENERAL_PARAMS
    if not file.exists():
        raise DataError(f"{file} is missing: the package is incomplete, install it anew")
    return Settings(parse_params(file.read_text("utf-8"), NEEDED, file), own=False)


def listed(path: Path, p: Params, *, own: bool) -> Listing:
    """`list_photos`; where there is no params.yaml, a message about it says what holds instead."""
    try:
        return list_photos(path, class_labels(p.negative, p.positive), p.exclude if own else "")
    except DataError as error:
        if own or str(PARAMS) not in str(error):
            raise
        raise DataError(
            f"{error} (there is no {PARAMS} here, so the names of the class folders are "
            f"{', '.join(p.negative)} and {', '.join(p.positive)}, in capitals or not)"
        ) from None


def check_out(out: Path, photos: Path) -> None:
    """Raises DataError if `out` is among the photos, or has files that an earlier report lacks."""
    if Path(os.path.realpath(out)).is_relative_to(os.path.realpath(photos)):
        raise DataError(f"--out {out} lies in {photos}, among the photos: give another folder")
    ours, last = False, out / "report.json"
    if last.is_file():
        with suppress(DataError):
            ours = "verdict" in read_json(last)
    check_free(out, MADE, ours=ours)


def unpacked(path: Path, listing: Listing, size: int, target: Path, limits: Limits) -> Found:
    """The photos of the listing; pixels go to `target`. Raises DataError if there is none."""
    packed, unusable = pack_all(listing.photos, size, target, limits, "validate")
    rejected = sorted(Rejected(*map(readable, file)) for file in [*listing.rejected, *unusable])
    if not packed:
        raise none_usable(path, rejected)
    photos, dropped = [], iter([*unusable, None])  # in the order of the listing
    following = next(dropped)
    for photo in listing.photos:
        if following and following[:2] == photo[:2]:  # source and path
            following = next(dropped)
        else:
            photos.append(photo)
    rows = [row._replace(path=readable(row.path), source=readable(row.source)) for row in packed]
    return Found(rows, photos, np.load(target, mmap_mode="r"), rejected)


def none_usable(path: Path, rejected: Sequence[Rejected]) -> DataError:
    first = rejected[0]
    return DataError(
        f"none of the {len(rejected)} files in {path} can be used; the first is "
        f"{first.path!r} ({first.reason})"
    )


def grouped(found: Found, pattern: str) -> tuple[list[str], bool]:
    """(group of each photo, whether there is a `group_pattern` that finds nothing)."""
    rows = found.rows
    try:
        keys = pattern_keys(pattern, [row.source for row in rows], [row.path for row in rows])
        pattern_misses = False
    except DataError:  # it was written for the photos of `raw`; others may have other names
        keys, pattern_misses = [None] * len(rows), True
    copies, near = find_duplicates(found.images)
    pairs = [(one, other) for one, other in near.pairs.tolist()]
    contents = [key or row.sha256 for key, row in zip(keys, rows, strict=True)]
    ties = {"copy": copies, "near-duplicate": pairs, "pattern": equal_pairs(keys)}
    groups = group_photos(contents, ties)
    return [photo.group for photo in groups], pattern_misses


def learnt_from(model: Path, scorer: Scorer) -> set[str] | None:
    """SHA-256 of the photos that the model in this file was trained on or chosen by.

    None where data/ does not tell: it is empty, or the model was trained elsewhere. Raises
    DataError if files of two runs are in data/ and models/.
    """
    files, stages = [paths.INDEX, TRAIN, VAL], ("prepare", "split", "train")
    if not any(file.exists() for file in files):
        return None
    if model.absolute() == paths.MODEL.absolute():
        check_one_run(stages, [*files, paths.MODEL])
    elif manifest_path("train").exists() and scorer.weights == made_by("train", paths.MODEL):
        check_one_run(stages, files)
    else:
        return None
    hashes = column(paths.INDEX, "sha256")
    return {hashes[int(row)] for part in (TRAIN, VAL) for row in column(part, "row")}


def column(path: Path, name: str) -> list[str]:
    """One column of a CSV file of the pipeline. Raises DataError."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [row[name] for row in csv.DictReader(file)]
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise DataError(f"{path} cannot be read ({one_line(error)}): run `dvc repro`") from None


def judge(
    scorer: Scorer,
    found: Found,
    groups: Sequence[str],
    numbers: Sequence[int],
    p: Params,
    patch_px: float | None,
) -> tuple[dict[int, Prediction], list[Rejected]]:
    """(what the model says of the photos of these numbers, those that it cannot be asked about)."""
    said: Iterable[float | str] = (
        one_patch_each(scorer, found.images, numbers)
        if patch_px is None
        else many_patches_each(scorer, found, numbers, p, patch_px)
    )
    judged: dict[int, Prediction] = {}
    rejected = []
    for number, answer in zip(numbers, said, strict=True):
        row = found.rows[number]
        if isinstance(answer, str):
            rejected.append(Rejected(row.source, row.path, readable(answer)))
            continue
        decided = int(answer >= scorer.threshold)
        judged[number] = Prediction(row.source, row.path, row.label, groups[number], answer, decided)
    return judged, rejected


def one_patch_each(
    scorer: Scorer, images: NDArray[np.uint8], numbers: Sequence[int]
) -> list[float]:
    """P(crack) of each photo, as small as the network sees a patch."""
    batches = [numbers[start : start + BATCH] for start in range(0, len(numbers), BATCH)]
    said = in_order(lambda batch: scorer.run(images[batch]).ravel(), batches, cores())
    return [float(x) for batch in said for x in batch]


def many_patches_each(
    scorer: Scorer, found: Found, numbers: Sequence[int], p: Params, patch_px: float
) -> list[float | str]:
    """The highest P(crack) of a patch of each photo, or why there is none."""
    scale = scale_of(scorer, patch_px)
    with Reader(p.max_bytes) as reader:

        def highest(number: int) -> float | str:
            row = found.rows[number]
            if reason := patch_size_problem(row.width, row.height, scorer.patch, patch_px):
                return reason
            try:
                content = read_file(reader, found.photos[number])
                photo = decode_photo(content, scale, max_pixels=p.max_pixels)
            except NotAPhoto as error:
                return str(error)
            pixels = scaled(photo.image, scale, (photo.width, photo.height))
            return float(score_pixels(scorer, pixels, scale).probability.max())

        said = in_order(highest, numbers, cores())
        return list(tqdm(said, "score", len(numbers), unit="photo", disable=None))


def patch_size_problem(width: int, height: int, patch: int, patch_px: float) -> str:
    """Why a photo has no patches of `patch_px`, which the network sees as `patch`; '' if it has."""
    size = f"{width} x {height} pixels"
    if min(width, height) < patch_px:
        return f"{size} are less than a patch of {patch_px:g}: give a smaller --patch-px"
    least = math.ceil(patch * math.sqrt(width * height / MAX_PIXELS))  # pixels are added below it
    if patch_px < least:
        return f"{size} take a --patch-px of {least} or more, got {patch_px:g}"
    return ""


def _rounded(photo: Prediction) -> Prediction:
    return photo._replace(probability=float(np.round(photo.probability, 6)))


def draw_mistakes(images: NDArray[np.uint8], judged: Mapping[int, Prediction], path: Path) -> None:
    """Missed cracks, then false positives, the worst first, as small as the network sees them."""
    wrong = [number for number, photo in judged.items() if photo.decided != photo.label]
    wrong.sort(key=lambda number: -abs(judged[number].probability - judged[number].label))
    shown, counts = [], []
    for label, kind in ((1, "missed crack"), (0, "false positive")):
        of_kind = [number for number in wrong if judged[number].label == label]
        shown += of_kind[:SHOWN]
        most = f"{SHOWN} of " if len(of_kind) > SHOWN else ""
        counts.append(f"{most}{counted(len(of_kind), kind)}")
    captions = []
    for photo in map(judged.__getitem__, shown):
        kind = "missed crack" if photo.label else "false positive"
        folder, _, name = f"{photo.source}/{photo.path}".rpartition("/")
        captions.append("\n".join([f"{kind}, P {photo.probability:.3f}", folder, name]))
    title = f"{', '.join(counts)}; of {counted(len(judged), 'photo')}, the worst first"
    captioned([images[number] for number in shown], captions, title, path)
