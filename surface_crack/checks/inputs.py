"""Check params.yaml and the photos before `dvc repro`: `surface-crack check`."""

import logging
import os
from pathlib import Path

from surface_crack.checks.rwlock import repair_rwlock
from surface_crack.network.init import init_changed_warning, trained_photo_side
from surface_crack.photos.listing import (
    check_classes,
    class_labels,
    dvc_link_warning,
    git_tracking_warning,
    list_photos,
)
from surface_crack.photos.reader import Reader
from surface_crack.photos.sizes import downscale_warning, size_warning, sizes_of, typical_side
from surface_crack.project import paths
from surface_crack.project.errors import DataError
from surface_crack.project.params import check_params
from surface_crack.splitting.groups import pattern_keys

log = logging.getLogger("surface-crack")


def check() -> None:
    """Raises ParamsError or DataError for errors that would stop `dvc repro` half-way."""
    repair_rwlock()
    p = check_params()
    raw = Path(p.raw)
    check_locations(raw)
    if raw == paths.SAMPLE and not raw.exists():  # the first stage will create it
        log.info("params.yaml is valid; data: the synthetic sample")
        return
    labels = class_labels(p.negative, p.positive)
    listing = list_photos(raw, labels, p.exclude)
    check_classes(raw, listing, p.negative, p.positive)
    names = [photo.path for photo in listing.photos]
    pattern_keys(p.group_pattern, [photo.source for photo in listing.photos], names)
    with Reader(p.max_bytes) as reader:
        side = typical_side(sizes_of(listing.photos, reader))
    warnings = [
        init_changed_warning(p.init),
        dvc_link_warning(raw, listing),
        git_tracking_warning(raw),
    ]
    warnings.append(
        downscale_warning(side, p.image_size) or size_warning(side, trained_photo_side(p.init))
    )
    for warning in filter(None, warnings):
        log.warning(warning)
    positive = sum(photo.label for photo in listing.photos)
    log.info(
        "params.yaml is valid; %s: %d photos, %d of them in folders of positives",
        *(raw, len(listing.photos), positive),
    )


def check_locations(raw: Path) -> None:
    """Raises DataError for locations of photos and outputs that DVC would reject."""
    here, photos, packed = (Path(os.path.realpath(x)) for x in (".", raw, paths.IMAGES))
    if packed.is_relative_to(photos):  # realpath: Path.resolve() fails on a link to itself
        raise DataError(
            f"raw {str(raw)!r} contains {paths.IMAGES.parent}, which the stage prepare writes: set "
            "raw to a folder with photos only, such as data/raw"
        )
    for folder in ("data", "models", "metrics", "plots", "docs"):
        if not Path(os.path.realpath(folder)).is_relative_to(here):
            raise DataError(
                f"{folder} is a link to a place outside of the project, where DVC writes no "
                "output: make it a folder; to save disk space, put DVC's cache there (`dvc cache "
                "dir FOLDER`, `dvc config cache.type symlink`)"
            )
