"""Small photos and archives for tests: real JPEGs and zips."""

import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from surface_crack.photos.reader import Limits

LIMITS = Limits(max_pixels=52_000_000, max_bytes=200_000_000)  # those of params.yaml


def picture(number: int, side: int = 48, crack: bool = False) -> Image.Image:
    """Grey noise seeded with `number`, with a dark line if `crack`."""
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


def _cropped(image: Image.Image, left: float, top: float, right: float, bottom: float) -> bytes:
    """Crop by these shares of the sides, and resize to the original size."""
    width, height = image.size
    rest = image.crop(
        (
            *(round(left * width), round(top * height)),
            *(round((1 - right) * width), round((1 - bottom) * height)),
        )
    )
    return encoded(rest.resize(image.size, Image.Resampling.BICUBIC), quality=90)


# Alterations that turn a photo into a near-duplicate.
ALTERATIONS: Mapping[str, Callable[[Image.Image], bytes]] = {
    "mirrored": lambda image: encoded(ImageOps.mirror(image), quality=90),
    "upside down": lambda image: encoded(ImageOps.flip(image), quality=90),
    "rotated": lambda image: encoded(image.transpose(Image.Transpose.ROTATE_90), quality=90),
    "transposed": lambda image: encoded(image.transpose(Image.Transpose.TRANSPOSE), quality=90),
    "quality 40": lambda image: encoded(image, quality=40),
    "png": lambda image: encoded(image, "PNG"),
    "brighter": lambda image: encoded(ImageEnhance.Brightness(image).enhance(1.1), quality=90),
    "darker": lambda image: encoded(ImageEnhance.Brightness(image).enhance(0.9), quality=90),
    "cropped at the left": lambda image: _cropped(image, 0.05, 0, 0, 0),
    "cropped in a corner": lambda image: _cropped(image, 0, 0.05, 0.05, 0),
    "cropped all round": lambda image: _cropped(image, 0.05, 0.05, 0.05, 0.05),
    "cropped and mirrored": lambda image: _cropped(ImageOps.mirror(image), 0.05, 0.05, 0, 0),
}
SLIGHT = {name for name in ALTERATIONS if not name.startswith(("cropped", "brighter", "darker"))}
