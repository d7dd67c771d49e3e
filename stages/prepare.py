"""Stage 2: decode every photo once, check it, and pack all of them into one array.

reads   raw (params.yaml)            a folder, a zip, or a folder of several of these
writes  data/prepared/images.npy     uint8 (N, S, S, 3) RGB, S = image_size
        data/prepared/index.csv      photo n in row n, from 0: path, source, label,
                                     width, height, sha256
        data/prepared/rejected.csv   unusable files, with the reason
        data/manifests/prepare.json  digests that tie the files of one run together
        metrics/data.json            counts, and a digest that identifies the data
        plots/classes.csv            photos per source and class
        plots/negative.png, plots/positive.png   contact sheets

Photos are sorted by source and path, so the same data gives the same bytes on every machine.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from surface_crack.photos.contact_sheet import contact_sheet
from surface_crack.photos.listing import (
    Listing,
    Rejected,
    check_classes,
    class_labels,
    dvc_link_warning,
    git_tracking_warning,
    list_photos,
)
from surface_crack.photos.packing import Row, pack_all
from surface_crack.photos.reader import Limits
from surface_crack.photos.sizes import downscale_warning, typical_side
from surface_crack.photos.unchanged import check_unchanged, stamps
from surface_crack.project import paths
from surface_crack.project.errors import DataError
from surface_crack.project.files import write_csv, write_json
from surface_crack.project.labels import CLASSES, NEGATIVE, POSITIVE
from surface_crack.project.manifest import write_manifest
from surface_crack.project.params import read_params
from surface_crack.project.stage import run_stage

log = logging.getLogger("prepare")


def main() -> None:
    p = read_params("prepare")
    raw, labels = Path(p.raw), class_labels(p.negative, p.positive)
    limits = Limits(p.max_pixels, p.max_bytes)
    before = stamps(raw)
    listing = list_photos(raw, labels, p.exclude)
    check_classes(raw, listing, p.negative, p.positive)
    for warning in filter(None, (dvc_link_warning(raw, listing), git_tracking_warning(raw))):
        log.warning(warning)

    rows, unusable = pack_all(listing.photos, p.image_size, paths.IMAGES, limits, "prepare")
    rejected = listing.rejected
    rejected += unusable

    write_csv(paths.REJECTED, Rejected._fields, sorted(rejected) + sorted(listing.clutter))
    check(rows, rejected, p.max_rejected)
    if note := downscale_warning(
        typical_side([(row.width, row.height) for row in rows]), p.image_size
    ):
        log.warning(note)
    write_csv(paths.INDEX, Row._fields, rows)
    write_json(paths.METRICS / "data.json", summary(rows, listing))
    count = Counter((row.source, CLASSES[row.label]) for row in rows)
    write_csv(
        paths.PLOTS / "classes.csv",
        ("source", "class", "photos"),
        [(source, name, photos) for (source, name), photos in sorted(count.items())],
    )
    used = {(row.source, row.path) for row in rows}
    for label, name in enumerate(CLASSES):
        photos = [x for x in listing.photos if x.label == label and (x.source, x.path) in used]
        contact_sheet(photos, paths.PLOTS / f"{name}.png", limits)
    check_unchanged(raw, before)
    write_manifest("prepare")
    log.info("%d photos, %d rejected, see %s", len(rows), len(rejected), paths.REJECTED)


def check(rows: Sequence[Row], rejected: Sequence[Rejected], max_rejected: float) -> None:
    """Raises DataError if too many files are unusable, or a class has no usable one."""
    share = len(rejected) / (len(rows) + len(rejected))
    if share > max_rejected:
        first = min(rejected)
        raise DataError(
            f"{len(rejected)} of {len(rows) + len(rejected)} files cannot be used, more than "
            f"max_rejected {max_rejected:g}; the first is {first.path!r} ({first.reason}); "
            f"all are in {paths.REJECTED}"
        )
    for label, name in enumerate(CLASSES):
        if all(row.label != label for row in rows):
            raise DataError(f"no {name} photo can be read, see {paths.REJECTED}")


def summary(rows: Sequence[Row], listing: Listing) -> dict[str, object]:
    """The numbers of metrics/data.json."""
    labels_of: dict[str, set[int]] = {}
    for row in rows:
        labels_of.setdefault(row.sha256, set()).add(row.label)
    sides = sorted({(row.width, row.height) for row in rows})
    digest = hashlib.sha256()
    for row in sorted(rows, key=lambda row: (row.sha256, row.label)):
        digest.update(f"{row.sha256} {row.label}\n".encode())
    return {
        "photos": len(rows),
        "negative": sum(row.label == NEGATIVE for row in rows),
        "positive": sum(row.label == POSITIVE for row in rows),
        "sources": len({row.source for row in rows}),
        "rejected": len(listing.rejected),
        "excluded": listing.excluded,
        "system_files": len(listing.clutter),
        "exact_duplicates": len(rows) - len(labels_of),
        "conflicting_duplicates": sum(len(labels) > 1 for labels in labels_of.values()),
        "smallest": "{} x {}".format(*min(sides, key=lambda side: side[0] * side[1])),
        "largest": "{} x {}".format(*max(sides, key=lambda side: side[0] * side[1])),
        "digest": digest.hexdigest(),
    }


if __name__ == "__main__":
    run_stage("prepare", main)
