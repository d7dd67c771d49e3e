"""Run `surface-crack inspect`: process photos in parallel and write the report.

A run that was interrupted continues with the remaining photos. All outputs depend only on photos,
model and settings, not on the order of the inputs, the number of jobs, or interruptions. The
exceptions are times.csv, which holds the seconds per photo in this run, and the date in
report.html.
"""

import hashlib
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from tqdm import tqdm

from surface_crack.evaluation.terms import counted
from surface_crack.inspection.folder import OUTPUTS, Record, has_record
from surface_crack.inspection.inputs import Item, list_inputs
from surface_crack.inspection.model_facts import Facts, model_facts
from surface_crack.inspection.overlay import Pictures, draw_pictures
from surface_crack.inspection.page import page
from surface_crack.inspection.photo import VERDICTS, Settings, inspect_photo
from surface_crack.inspection.records import (
    UNREADABLE,
    is_current,
    photo_record,
    read_record,
    remove_other_records,
    unreadable_record,
    write_record,
)
from surface_crack.inspection.tables import write_geojson, write_photos, write_regions
from surface_crack.photos.decode import NotAPhoto, is_heic
from surface_crack.photos.packing import faint_warning
from surface_crack.photos.reader import Reader, read_file
from surface_crack.project import paths
from surface_crack.project.errors import DataError
from surface_crack.project.files import check_no_overwrite, make_folder, write_csv, write_text
from surface_crack.scoring.scorer import Scorer
from surface_crack.scoring.which_model import choose_model, model_name
from surface_crack.threads import cores, in_order

PACKAGE = Path(__file__).resolve().parent.parent
LIBRARIES = ("numpy", "pillow", "simplejpeg", "onnxruntime", "torch")  # torch may be missing

log = logging.getLogger("surface-crack")


@dataclass(frozen=True)
class Request:
    """Arguments of the command line."""

    inputs: Sequence[Path]
    out: Path
    model: Path | None = None  # None: see `choose_model`
    threshold: float | None = None  # None: the model's own
    patch_px: float | None = None
    mm_per_px: float | None = None
    jobs: int | None = None  # None: one per core
    fresh: bool = False  # process finished photos again
    validated: Path | None = None  # report.json of `validate`, to quote in the report


def inspect(request: Request) -> None:
    """Inspect all photos and write tables and report; raises DataError if any photo failed."""
    items = list_inputs(request.inputs, request.out)
    check_no_overwrite(request.out, OUTPUTS, ours=has_record(request.out))
    # One thread per photo: with several, rounding would depend on their number.
    model, scorer, why = choose_model(request.model, threads=1)
    log.info("model: %s (%s)", model_name(model), why)
    threshold = scorer.threshold if request.threshold is None else request.threshold
    settings = Settings(threshold, request.patch_px, request.mm_per_px)
    name = f"{model_name(model)} ({why})"
    facts = model_facts(model, scorer, settings, name, request.validated)
    for warning in facts.warnings:
        log.warning(warning)
    make_folder(request.out)
    with Reader() as reader:
        worker = Worker(scorer, settings, digest_of(model), reader, request)
        jobs = request.jobs or cores()
        done = in_order(worker, items, jobs)
        bar = tqdm(done, "inspect", len(items), unit="photo", disable=None)
        times = [
            (item.name, f"{s:.3f}") for item, s in zip(items, bar, strict=True) if s is not None
        ]
    write_csv(request.out / "times.csv", ("name", "seconds"), times)
    if removed := remove_other_records(request.out, items):
        log.info(
            "removed %s of an earlier run that are not among the inputs", counted(removed, "photo")
        )
    if before := len(items) - len(times):
        log.info("%d of %s already done", before, counted(len(items), "photo"))
    report(request.out, items, facts, settings, name)
    log.info("see %s", request.out / "report.html")


def digest_of(model: Path) -> str:
    """SHA-256 of all that affects a verdict: model, decision, this package's code, libraries."""
    files = [model, *sorted(PACKAGE.rglob("*.py"))]
    if model.suffix != ".onnx":
        files.append(model.with_name(paths.DECISION.name))
    known = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    known += [_version(name) for name in LIBRARIES]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


@dataclass(frozen=True)
class Worker:
    """Process one photo per call; return the seconds taken, or None if it was already done."""

    scorer: Scorer
    settings: Settings
    model: str  # `digest_of` the model
    reader: Reader
    request: Request

    def __call__(self, item: Item) -> float | None:
        start = time.perf_counter()
        content, problem = b"", item.problem
        if not problem:
            try:
                content = read_file(self.reader, item.photo)
            except NotAPhoto as reason:
                problem = str(reason)
        made_from = self._made_from(content, problem)
        before = None if self.request.fresh else read_record(self.request.out, item)
        if is_current(before, made_from, self.request.out, item):
            return None
        record, pictures = self._inspected(item, content, problem, made_from)
        write_record(self.request.out, record, pictures)
        return time.perf_counter() - start

    def _inspected(
        self, item: Item, content: bytes, problem: str, made_from: str
    ) -> tuple[Record, Pictures | None]:
        if problem:
            return unreadable_record(item, made_from, problem), None
        try:
            found, photo = inspect_photo(self.scorer, content, self.settings)
        except NotAPhoto as reason:
            return unreadable_record(item, made_from, str(reason)), None
        pictures = draw_pictures(found, photo.image, self.settings)
        return photo_record(item, made_from, found, pictures), pictures

    def _made_from(self, content: bytes, problem: str) -> str:
        known = [hashlib.sha256(content).hexdigest(), problem, self.model, asdict(self.settings)]
        if is_heic(content) and find_spec("pi_heif"):  # installed since the last run, perhaps
            known.append("pi-heif")
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def report(out: Path, items: Sequence[Item], facts: Facts, settings: Settings, name: str) -> None:
    """Write tables and page from the records on disk; `name` is the model's name in them.

    Raises DataError if a photo could not be read, or if another run has removed a record.
    """
    records = [_record(out, item) for item in items]
    located = any(record.get("position") for record in records)
    write_photos(out / "photos.csv", records)
    write_regions(out / "regions.csv", records, settings.mm_per_px)
    write_geojson(out / "regions.geojson", records, settings.mm_per_px, located, name)
    write_text(out / "report.html", page(out, records, facts, settings, today()))
    found = Counter(record["verdict"] for record in records)
    verdicts = [f"{found[name]} {name}" for name in (*VERDICTS, UNREADABLE) if found[name]]
    log.info("%s: %s", counted(len(items), "photo"), ", ".join(verdicts))
    if faint := [record["name"] for record in records if "faint" in record["flags"]]:
        log.warning("%s", faint_warning(len(faint), faint[0]))
    broken = [record for record in records if record["verdict"] == UNREADABLE]
    if broken:
        raise DataError(
            f"{len(broken)} of {counted(len(items), 'photo')} could not be read, see "
            f"{out / 'photos.csv'}; "
            f"the first is {broken[0]['name']!r} ({broken[0]['reason']})"
        )


def today() -> str:
    """Current date in UTC; SOURCE_DATE_EPOCH overrides it for reproducible reports.

    https://reproducible-builds.org/specs/source-date-epoch/
    """
    seconds = os.environ.get("SOURCE_DATE_EPOCH", "")
    at = float(seconds) if seconds.isdigit() else time.time()
    return time.strftime("%Y-%m-%d", time.gmtime(at))


def _record(out: Path, item: Item) -> Record:
    if (record := read_record(out, item)) is None:
        raise DataError(
            f"the result of {item.name!r} is missing in {out}: another run writes there, or files "
            "were deleted; use a separate --out for each run"
        )
    return record
