"""Layout of the output folder of `inspect`, and how to recognise the files that it wrote."""

import json
from pathlib import Path
from typing import Any

OVERLAYS, ORIGINALS = "overlays", "originals"  # folders of JPEGs
RESULTS = "results"  # folder of records: one JSON object per photo
OUTPUTS = ("photos.csv", "regions.csv", "regions.geojson", "times.csv", "report.html")
Record = dict[str, Any]


def record_path(out: Path, key: str) -> Path:
    return out / RESULTS / f"{key}.json"


def picture_paths(out: Path, key: str) -> tuple[Path, Path]:
    """Paths of (overlay, original)."""
    return out / OVERLAYS / f"{key}.jpg", out / ORIGINALS / f"{key}.jpg"


def load_record(path: Path) -> Record | None:
    """Read a record; None if it is missing, incomplete or was not written by `inspect`."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    ours = isinstance(record, dict) and "made_from" in record and record.get("key") == path.stem
    return record if ours else None


def is_report_picture(picture: Path) -> bool:
    """Whether `picture` belongs to a report of `inspect`, that is, has a record beside it."""
    if picture.parent.name not in (OVERLAYS, ORIGINALS):
        return False
    return load_record(record_path(picture.parent.parent, picture.stem)) is not None


def has_record(out: Path) -> bool:
    """Whether the folder holds a report of `inspect`."""
    return any(load_record(path) for path in (out / RESULTS).glob("*.json"))
