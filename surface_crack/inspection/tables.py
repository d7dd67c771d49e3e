"""Write photos.csv, regions.csv and regions.geojson from the records of all photos."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from surface_crack.inspection.folder import Record
from surface_crack.inspection.photo import VERDICTS
from surface_crack.inspection.records import UNREADABLE
from surface_crack.project.files import atomic_write, write_csv

PHOTOS = (
    *("name", "width", "height", "verdict", "flagged_share", "peak", "regions", "flags"),
    *("reason", "longitude", "latitude", "overlay"),
)
SIDES = ("left", "top", "right", "bottom")
METRIC = (*(f"{side}_mm" for side in SIDES), "area_mm2")
REGIONS = (*("name", "region", "verdict", *SIDES, "area", "peak", "mean", *METRIC),)
VERDICT_ORDER = {name: place for place, name in enumerate((*VERDICTS[:3], UNREADABLE, VERDICTS[3]))}


def worst_first(record: Record) -> tuple[Any, ...]:
    """Sort key: by verdict, then by flagged area for cracks, then by peak probability and name."""
    share = record["flagged"] if record["verdict"] == "crack" else 0
    return VERDICT_ORDER[record["verdict"]], -share, -record["peak"], record["name"]


def write_photos(path: Path, records: Sequence[Record]) -> None:
    rows = (_photo_row(record) for record in records)
    write_csv(path, PHOTOS, rows, _encoding(records))


def _encoding(records: Iterable[Record]) -> str:
    """UTF-8, with a byte order mark only if some text is not ASCII.

    Excel needs the mark to read UTF-8; other programs may take it for part of the first column's
    name.
    """
    texts = (record["name"] + record["reason"] for record in records)
    return "utf-8" if all(text.isascii() for text in texts) else "utf-8-sig"


def _photo_row(record: Record) -> Sequence[object]:
    position = record.get("position") or ("", "")
    readable = record["verdict"] != UNREADABLE
    return (
        _cell(record["name"]),
        *(record.get("width", ""), record.get("height", ""), record["verdict"]),
        *((record["flagged"], record["peak"], len(record["regions"])) if readable else ("",) * 3),
        *(" ".join(record["flags"]), record["reason"], *position),
        f"overlays/{record['key']}.jpg" if readable else "",
    )


def _cell(name: str) -> str:
    """Name of the same file, prefixed by `./` where a spreadsheet would read a formula."""
    return f"./{name}" if name.startswith(("=", "+", "-", "@", "\t")) else name


def write_regions(path: Path, records: Sequence[Record], mm_per_px: float | None) -> None:
    write_csv(path, REGIONS, _region_rows(records, mm_per_px), _encoding(records))


def _region_rows(records: Iterable[Record], mm_per_px: float | None) -> Iterator[Sequence[object]]:
    for record in records:
        for region in record["regions"]:
            box = [region[side] for side in SIDES]
            metric = _metric(region, mm_per_px)
            yield (
                *(_cell(record["name"]), region["number"], "crack" if region["sure"] else "unsure"),
                *(*box, region["area"], region["peak"], region["mean"]),
                *(metric.get(column, "") for column in METRIC),
            )


def _metric(region: dict[str, Any], mm_per_px: float | None) -> dict[str, float]:
    """Box in mm and area in mm², by the names in METRIC; {} if the scale is unknown."""
    if mm_per_px is None:
        return {}
    values = [round(region[side] * mm_per_px, 2) for side in SIDES]
    return dict(zip(METRIC, [*values, round(region["area"] * mm_per_px**2, 1)], strict=True))


def write_geojson(
    path: Path, records: Iterable[Record], mm_per_px: float | None, located: bool, model: str
) -> None:
    """Write one feature per region, one per line.

    RFC 7946 allows only WGS 84. If any photo has a position (`located`), each region is a point at
    the camera's position, without geometry where that is unknown. Otherwise regions are boxes in
    pixel coordinates, y downwards, for programs that draw over the photo.
    """
    system = "WGS 84, where the camera stood" if located else "pixels of the photo, y downwards"
    head = {"type": "FeatureCollection", "coordinate_system": system, "model": model}
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.write(json.dumps(head, ensure_ascii=False)[:-1] + ', "features": [')
        comma = "\n"
        for record in records:
            for region in record["regions"]:
                feature = _feature(record, region, mm_per_px, located)
                file.write(comma + json.dumps(feature, ensure_ascii=False, allow_nan=False))
                comma = ",\n"
        file.write("\n]}\n")


def _feature(
    record: Record, region: dict[str, Any], mm_per_px: float | None, located: bool
) -> dict[str, Any]:
    left, top, right, bottom = (region[side] for side in SIDES)
    ring = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
    geometry: dict[str, Any] | None = {"type": "Polygon", "coordinates": [ring]}
    if located:
        position = record["position"]
        geometry = {"type": "Point", "coordinates": position} if position else None
    known = {
        "name": record["name"],
        "region": region["number"],
        "verdict": "crack" if region["sure"] else "unsure",
        "box": [left, top, right, bottom],
        **{name: region[name] for name in ("area", "peak", "mean")},
        **_metric(region, mm_per_px),
    }
    return {"type": "Feature", "geometry": geometry, "properties": known}
