"""Small photos and archives for tests: real JPEGs, real zips."""

import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image


def picture(number: int, side: int = 48, crack: bool = False) -> Image.Image:
    """Grey noise that differs with `number`, with a dark line if `crack`."""
    pixels = np.random.default_rng(number).integers(120, 200, (side, side, 3), np.uint8)
    if crack:
        pixels[:, side // 2 - 1 : side // 2 + 2] = 20
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(number: int, crack: bool = False) -> bytes:
    return encoded(picture(number, crack=crack))


def metu_like(count: int, start: int = 0) -> dict[str, bytes]:
    """`count` photos of each class, in METU's folders."""
    names = {}
    for number in range(start, start + count):
        names[f"Negative/{number:05}.jpg"] = jpeg(2 * number)
        names[f"Positive/{number:05}.jpg"] = jpeg(2 * number + 1, crack=True)
    return names


def write_zip(path: Path, files: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_folder(path: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path
