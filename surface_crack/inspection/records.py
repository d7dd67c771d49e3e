"""Read and write the result of one photo: two pictures and a JSON record.

All tables are made from the records. `made_from` is a digest of the photo, the model and the
settings: a record with another digest is stale. The record is written after the pictures, so a
killed run leaves no incomplete result behind.
"""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image

from surface_crack.inspection.folder import (
    RESULTS,
    Record,
    load_record,
    picture_paths,
    record_path,
)
from surface_crack.inspection.inputs import Item
from surface_crack.inspection.overlay import JPEG_QUALITY, Pictures
from surface_crack.inspection.photo import Inspection
from surface_crack.project.files import write_bytes, write_json

UNREADABLE = "unreadable"  # verdict on files that cannot be decoded


def read_record(out: Path, item: Item) -> Record | None:
    """Read the photo's record; None if it is missing or incomplete."""
    return load_record(record_path(out, item.key))


def is_current(record: Record | None, made_from: str, out: Path, item: Item) -> bool:
    """Whether the result is up to date. Unreadable photos have no pictures."""
    if record is None or record.get("made_from") != made_from or record.get("name") != item.name:
        return False
    pictures = picture_paths(out, item.key)
    return record.get("verdict") == UNREADABLE or all(path.exists() for path in pictures)


def unreadable_record(item: Item, made_from: str, reason: str) -> Record:
    """Record of a file that could not be decoded."""
    return {
        "name": item.name,
        "key": item.key,
        "made_from": made_from,
        "verdict": UNREADABLE,
        "reason": reason,
        "regions": [],
        "flags": [],
        "peak": 0.0,
        "flagged": 0.0,
    }


def photo_record(item: Item, made_from: str, found: Inspection, pictures: Pictures) -> Record:
    """Record of an inspected photo, its numbers rounded."""
    regions = [
        {
            **region._asdict(),
            "area": round(region.area, 1),
            "peak": round(region.peak, 4),
            "mean": round(region.mean, 4),
        }
        for region in found.regions.found
    ]
    return {
        "name": item.name,
        "key": item.key,
        "made_from": made_from,
        "verdict": found.verdict,
        "reason": "",
        "width": found.width,
        "height": found.height,
        "flagged": round(found.flagged, 6),
        "peak": round(found.peak, 4),
        "flags": found.flags,
        "regions": regions,
        "position": found.position,
        "patch_sides": [round(side, 2) for side in found.patch_sides],
        "picture": pictures.overlay.size,
    }


def write_record(out: Path, record: Record, pictures: Pictures | None) -> None:
    """Write the pictures, then the record that marks the photo as finished."""
    paths = picture_paths(out, record["key"])
    if pictures is None:
        for path in paths:
            path.unlink(missing_ok=True)
    else:
        for path, picture in zip(paths, pictures, strict=True):
            write_bytes(path, jpeg(picture))
    write_json(record_path(out, record["key"]), record)


def jpeg(picture: Image.Image, quality: int = JPEG_QUALITY) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def remove_other_records(out: Path, items: Sequence[Item]) -> int:
    """Delete records and pictures of photos that are not in `items`; return their number.

    Files that `inspect` did not write are kept.
    """
    wanted, removed = {item.key for item in items}, 0
    for path in sorted((out / RESULTS).glob("*.json")):
        if path.stem not in wanted and load_record(path) is not None:
            for picture in picture_paths(out, path.stem):
                picture.unlink(missing_ok=True)
            path.unlink()
            removed += 1
    return removed
