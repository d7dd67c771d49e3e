"""Make any number of different photos by cutting windows out of existing ones.

Each photo is cut along a grid into as many windows as needed. Each window is scaled up to the size
of the photo, flipped or rotated, changed a little in brightness, and compressed again. Windows of
one photo do not overlap, so that none is a near-duplicate of another.
"""

import math
import zipfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from surface_crack.photos.decode import original
from surface_crack.photos.listing import Photo, class_labels, list_photos
from surface_crack.photos.reader import Limits, Reader
from surface_crack.project.params import check_params
from surface_crack.threads import cores

CHUNK = 100  # windows per task of a process
CLASSES = ("Negative", "Positive")


def make_archives(raw: Path, counts: Sequence[int], folder: Path) -> dict[int, Path]:
    """Write a zip for each number of windows; a smaller one has the first windows of a larger."""
    p = check_params()
    photos = list_photos(raw, class_labels(p.negative, p.positive), p.exclude).photos
    grid = math.ceil(math.sqrt(max(counts) / len(photos)))
    chosen = np.random.default_rng(0).permutation(len(photos) * grid**2)[: max(counts)]
    chunks = [chosen[start : start + CHUNK] for start in range(0, len(chosen), CHUNK)]
    limits = Limits(p.max_pixels, p.max_bytes)
    archives = {count: folder / f"{count}.zip" for count in counts}
    done = 0
    with ProcessPoolExecutor(cores()) as pool, ExitStack() as stack:
        files = {n: stack.enter_context(zipfile.ZipFile(archives[n], "w")) for n in counts}
        for windows in pool.map(partial(cut_some, photos, grid, limits), chunks):
            for label, content in windows:
                for count, file in files.items():
                    if done < count:
                        file.writestr(f"{CLASSES[label]}/{done:06}.jpg", content)
                done += 1
    return archives


def cut_some(
    photos: Sequence[Photo], grid: int, limits: Limits, numbers: Sequence[int]
) -> list[tuple[int, bytes]]:
    """(label, JPEG) of each window; window n is from photo n // grid**2."""
    with Reader(limits.max_bytes) as reader:
        chosen = [photos[number // grid**2] for number in numbers]
        return [
            (photo.label, cut(original(reader.read(photo), limits.max_pixels), int(number), grid))
            for photo, number in zip(chosen, numbers, strict=True)
        ]


def cut(image: Image.Image, number: int, grid: int) -> bytes:
    width, height = image.size
    row, column = divmod(number % grid**2, grid)
    box = (column * width, row * height, (column + 1) * width, (row + 1) * height)
    x0, y0, x1, y1 = (edge / grid for edge in box)
    window = image.resize(image.size, Image.Resampling.BICUBIC, (x0, y0, x1, y1))
    rng = np.random.default_rng(number)
    window = window.transpose(Image.Transpose(int(rng.integers(7))))
    buffer = BytesIO()
    ImageEnhance.Brightness(window).enhance(rng.uniform(0.9, 1.1)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
