"""Read crack annotations: masks, COCO, YOLO.

The annotations of a photo (`Marks`) are a mask of crack pixels, or boxes around cracks.
surface_crack/cutting/rule.py derives the labels of the tiles from them.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from surface_crack.photos.decode import NotAPhoto
from surface_crack.project.errors import DataError, one_line

Box = tuple[float, float, float, float]  # left, top, right, bottom, pixels
Polygon = list[tuple[float, float]]
MAX_CRACK_SHARE = 0.5  # share of crack pixels above which a mask is most likely inverted
MASK_SUFFIXES = (
    ".png",
    ".bmp",
    ".tif",
    ".tiff",
    ".gif",
)  # lossless formats: JPEG would blur the labels


class Marks(NamedTuple):
    """Annotated cracks of one photo, in pixels of the upright photo."""

    mask: NDArray[np.bool_] | None  # (H, W), crack pixels; None if there are only boxes
    boxes: list[Box]  # around cracks that are not outlined


@dataclass
class Outlines:
    """Shapes of one photo before its size is known; YOLO coordinates are shares of that size."""

    polygons: list[Polygon] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    shares: bool = False  # whether coordinates are shares


class Labels:
    """Annotations of all photos, by the stems of their names (`IMG_0001`)."""

    def __init__(self, masks: Mapping[str, Path], outlines: Mapping[str, Outlines], kind: str):
        self.masks, self.outlines, self.kind = masks, outlines, kind

    def of(self, stem: str, width: int, height: int) -> Marks | None:
        """Annotations of a photo of this size; None if it has none. Raises NotAPhoto."""
        if file := self.masks.get(stem):
            return Marks(_mask(file, width, height), [])
        outlines = self.outlines.get(stem)
        if outlines is None:
            return None
        across, down = (width, height) if outlines.shares else (1, 1)
        boxes = [(a * across, b * down, c * across, d * down) for a, b, c, d in outlines.boxes]
        if not outlines.polygons:
            return Marks(None, boxes)
        drawn = Image.new("1", (width, height))
        pen = ImageDraw.Draw(drawn)
        for polygon in outlines.polygons:
            pen.polygon([(x * across, y * down) for x, y in polygon], fill=1, outline=1)
        return Marks(np.asarray(drawn), boxes)


def read_labels(path: Path, photos: Iterable[str], crack: Sequence[str]) -> Labels:
    """Read a folder of masks or of YOLO text files, or a COCO JSON file.

    `photos` are stems; as usual with YOLO, a photo without a text file has no crack. `crack` are
    the names (COCO) or numbers (YOLO) of the classes that are cracks; if empty, the classes with
    "crack" in their name, or else the only class. Raises DataError.
    """
    if path.is_file() and path.suffix.lower() == ".json":
        return Labels({}, _coco(path, crack), "COCO")
    if not path.is_dir():
        what = "is neither a folder nor a .json file" if path.exists() else "does not exist"
        raise DataError(f"--labels {path} {what}: give a folder of masks or YOLO files, or COCO")
    files = sorted(file for file in path.rglob("*") if file.is_file())
    masks = [file for file in files if file.suffix.lower() in MASK_SUFFIXES]
    texts = [file for file in files if file.suffix.lower() == ".txt" and file.stem != "classes"]
    if masks and texts:
        raise DataError(
            f"--labels {path} holds both masks and text files: give a folder of one kind"
        )
    if not masks and not texts:
        raise DataError(
            f"--labels {path} holds neither masks ({', '.join(MASK_SUFFIXES)}) nor .txt files"
        )
    _check_stems(path, masks or texts)
    if masks:
        return Labels({file.stem: file for file in masks}, {}, "masks")
    return Labels({}, _yolo(path, texts, photos, crack), "YOLO")


def _check_stems(path: Path, files: Sequence[Path]) -> None:
    """Raise DataError if two label files have the same stem: photos are matched by it."""
    count = Counter(file.stem for file in files)
    if twice := [stem for stem, times in count.items() if times > 1]:
        raise DataError(f"--labels {path} has several files called {twice[0]!r}: rename them")


def _mask(file: Path, width: int, height: int) -> NDArray[np.bool_]:
    """Read a mask (H, W), True where it is not black. Raises NotAPhoto."""
    try:
        with Image.open(file) as picture:
            mask = np.asarray(picture.convert("RGB")).any(axis=2)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise NotAPhoto(f"its mask {file} cannot be read: {one_line(error)}") from None
    if mask.shape != (height, width):
        tall, wide = mask.shape
        raise NotAPhoto(f"its mask {file} has {wide} x {tall} pixels, not {width} x {height}")
    if mask.mean() > MAX_CRACK_SHARE:
        raise NotAPhoto(
            f"its mask {file} is {100 * mask.mean():.0f} % crack: black must mean no crack"
        )
    return mask


def _coco(file: Path, crack: Sequence[str]) -> dict[str, Outlines]:
    """Read COCO; images without annotations have no crack: https://cocodataset.org/#format-data."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        names = {int(entry["id"]): str(entry["name"]) for entry in content["categories"]}
        stems = {entry["id"]: _stem(entry["file_name"]) for entry in content["images"]}
        annotations = content["annotations"]
        wanted = _classes(file, sorted(set(names.values())), crack)
        if len(set(stems.values())) < len(stems):
            raise DataError(
                f"--labels {file} has two images of the same name in different folders: rename one"
            )
        found = {stem: Outlines() for stem in stems.values()}
        for entry in annotations:
            if names[int(entry["category_id"])] in wanted:
                _add(found[stems[entry["image_id"]]], entry)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"--labels {file} is not a COCO file: {_error_text(error)}") from None
    return found


def _add(outlines: Outlines, entry: Mapping[str, Any]) -> None:
    """Add the polygons of an annotation, or its box if it has none."""
    shape = entry.get("segmentation")
    if isinstance(shape, Mapping):
        raise ValueError(
            "run-length encoded masks are not supported: export polygons, or PNG masks"
        )
    polygons = [_polygon(points) for points in shape or []]
    if polygons:
        outlines.polygons += polygons
    else:
        left, top, wide, tall = map(_finite_float, entry["bbox"])
        outlines.boxes.append((left, top, left + wide, top + tall))


def _yolo(
    path: Path, files: Sequence[Path], photos: Iterable[str], crack: Sequence[str]
) -> dict[str, Outlines]:
    """Read lines of `class x y width height` or `class x y x y x y ...`, in shares of the photo.

    https://docs.ultralytics.com/datasets/detect/ and .../segment/
    """
    lines = []
    for file in files:
        try:
            rows = file.read_text(encoding="utf-8").splitlines()
            shapes = [
                (words[0], [_finite_float(word) for word in words[1:]])
                for words in map(str.split, rows)
                if words
            ]
            for _, numbers in shapes:
                if len(numbers) != 4 and (len(numbers) < 6 or len(numbers) % 2):
                    raise ValueError(
                        f"a line needs 4 numbers or at least 3 pairs, got {len(numbers)} numbers"
                    )
        except (OSError, ValueError) as error:
            raise DataError(f"{file} is not a YOLO file: {_error_text(error)}") from None
        lines.append((file.stem, shapes))
    classes = sorted({name for _, shapes in lines for name, _ in shapes})
    wanted = _classes(path, classes, crack) if classes else set()
    found = {stem: Outlines(shares=True) for stem in photos}
    for stem, shapes in lines:
        outlines = found.setdefault(stem, Outlines(shares=True))
        for name, numbers in shapes:
            if name not in wanted:
                continue
            if len(numbers) == 4:
                x, y, wide, tall = numbers
                outlines.boxes.append((x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2))
            else:
                outlines.polygons.append(_polygon(numbers))
    return found


def _classes(path: Path, names: Sequence[str], crack: Sequence[str]) -> set[str]:
    """Select the classes that are cracks. Raises DataError."""
    if missing := [name for name in crack if name not in names]:
        raise DataError(f"--labels {path} has no class {missing[0]!r}, only {', '.join(names)}")
    wanted = set(crack) or {name for name in names if "crack" in name.casefold()}
    if not wanted and len(names) > 1:
        raise DataError(
            f"--labels {path} has the classes {', '.join(names)}: name those of cracks by --crack"
        )
    return wanted or set(names)


def _stem(name: str) -> str:
    return Path(name.replace("\\", "/")).stem


def _polygon(numbers: Sequence[float]) -> Polygon:
    values = [_finite_float(number) for number in numbers]
    if len(values) < 6 or len(values) % 2:
        raise ValueError(f"a polygon needs at least 3 pairs, got {len(values)} numbers")
    return list(zip(values[::2], values[1::2], strict=True))


def _finite_float(text: Any) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is not a finite number")
    return number


def _error_text(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else one_line(error)
