"""The output folder of `inspect`: what lies where in it, and which files in a folder are ours."""

import json
from pathlib import Path
from typing import Any

OVERLAYS, ORIGINALS = "overlays", "originals"  # folders of pictures
RESULTS = "results"  # folder of records, a JSON object for each photo
MADE = ("photos.csv", "regions.csv", "regions.geojson", "times.csv", "report.html")
Record = dict[str, Any]


def record_path(out: Path, key: str) -> Path:
    return out / RESULTS / f"{key}.json"


def picture_paths(out: Path, key: str) -> tuple[Path, Path]:
    """(overlay, original)."""
    return out / OVERLAYS / f"{key}.jpg", out / ORIGINALS / f"{key}.jpg"


def load_record(path: Path) -> Record | None:
    """None if there is none, or none that is whole, or one that `inspect` did not write."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    ours = isinstance(record, dict) and "made_from" in record and record.get("key") == path.stem
    return record if ours else None


def is_report_picture(picture: Path) -> bool:
    """Whether `picture` belongs to a report of `inspect`: a record of its name lies beside it."""
    if picture.parent.name not in (OVERLAYS, ORIGINALS):
        return False
    return load_record(record_path(picture.parent.parent, picture.stem)) is not None


def has_record(out: Path) -> bool:
    """Whether `inspect` has written there."""
    return any(load_record(path) for path in (out / RESULTS).glob("*.json"))
