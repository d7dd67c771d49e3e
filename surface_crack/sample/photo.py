"""One photo of concrete that never was, and the zip of them all.

The camera adds blur, noise and an exposure that knows nothing of the label. The label decides one
thing alone: whether a crack is carved.

The same on every machine: all arithmetic is on integers, and chance comes from `chance.py`. What
could differ is the image library: the polygons, `reduce` and `BoxBlur` of another Pillow release
(the pixels), and another libjpeg-turbo (the files).
"""

import io
import math
import zipfile
from pathlib import Path

import numpy as np
from numpy.random import PCG64
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from surface_crack.project.files import replacing
from surface_crack.sample.chance import SIZE, Ints, chance, dice, die, one_of, softened
from surface_crack.sample.cracks import crack
from surface_crack.sample.marks import LINES, OTHERS
from surface_crack.sample.wall import Wall, concrete
from surface_crack.threads import cores, in_order

CLASSES = ("Negative", "Positive")
# These, and those of the other files, set the difficulty. Meant: a small CNN at 64 x 64 pixels,
# trained on 840 of 1,200 photos, is right on 96 to 99 % of the others.
DISTRACTORS = (0, 0, 0, 1, 1, 2)  # how many a photo of either class has; one of these is drawn
LOOKALIKES = 16  # per cent of the distractors are lines, as cracks are
EXPOSURE = (110, 185)  # grey levels, the mean of a photo
CONTRAST = (190, 330)  # of 256, for a photo with a standard deviation of COMMON / 2
COMMON = 48  # grey levels; the less, the more alike is the spread of all photos
LIGHTS = ((3, 2), (2, 3), (-2, 3), (-3, 2), (3, -1), (-3, -1), (1, 3), (-1, 3))  # towards x, y


def developed(photo: Ints, exposure: int, contrast: int) -> Ints:
    """To that mean, in grey levels, and nearer to a common contrast, as a camera's program does.

    A crack darkens a photo and adds contrast; without this step its mean and spread tell the label.
    """
    dark = photo - int(photo.sum(dtype=np.int64)) // photo.size
    spread = math.isqrt(int(np.square(dark).sum(dtype=np.int64)) // photo.size)
    return 16 * exposure + (dark * (contrast * 16 * COMMON // (8 * COMMON + spread)) >> 8)


def photograph(stream: PCG64, wall: Wall) -> NDArray[np.uint8]:
    """Light, exposure, blur and noise -> uint8 (SIZE, SIZE, 3)."""
    x, y = one_of(stream, LIGHTS)
    slope = x * np.diff(wall.height, axis=1, append=wall.height[:, -1:])
    slope += y * np.diff(wall.height, axis=0, append=wall.height[-1:])
    lit = wall.light * (256 + np.clip(slope >> 3, -120, 90)) >> 8
    photo = wall.colour * lit >> 8
    photo = developed(photo, die(stream, *EXPOSURE), die(stream, *CONTRAST))
    for _ in range(one_of(stream, (1, 1, 1, 2))):
        soft = softened(photo)
        photo += (soft - photo) * die(stream, 100, 256) >> 8
    grain = dice(stream, -16, 16, 4, SIZE, SIZE)
    grain = (2 * grain[3] + grain[:3]) * one_of(stream, (0, 1, 2, 3, 5, 8)) >> 1
    photo += grain if chance(stream, 50) else softened(grain) * 2
    levels: Ints = np.clip((photo + 8) >> 4, 0, 255)
    return levels.astype(np.uint8).transpose(1, 2, 0).copy()


def stream_of(seed: int, number: int, purpose: int) -> PCG64:
    """A stream per purpose: what is drawn for the wall or the camera cannot depend on the crack."""
    return PCG64([seed, number, purpose])


def draw(seed: int, number: int) -> tuple[NDArray[np.uint8], int]:
    """Photo `number` of a seed: uint8 (227, 227, 3) RGB and its label, 1 (cracked) if it is odd.

    Raises ValueError if either is negative.
    """
    if seed < 0 or number < 0:
        raise ValueError(f"seed and number must be 0 or more, got seed={seed}, number={number}")
    label = number % 2
    wall = concrete(stream_of(seed, number, 0))
    if label == 1:
        crack(stream_of(seed, number, 1), wall)
    marks = stream_of(seed, number, 2)
    for _ in range(one_of(marks, DISTRACTORS)):
        one_of(marks, LINES if chance(marks, LOOKALIKES) else OTHERS)(marks, wall)
    return photograph(stream_of(seed, number, 3), wall), label


def encode(seed: int, number: int) -> tuple[str, bytes]:
    """The photo's name in the archive and its JPEG."""
    photo, label = draw(seed, number)
    file = io.BytesIO()
    quality = die(stream_of(seed, number, 4), 40, 92)
    Image.fromarray(photo).save(file, "JPEG", quality=quality)
    return f"{CLASSES[label]}/{number:05d}.jpg", file.getvalue()


def write_sample(path: Path, seed: int, photos: int, workers: int | None = None) -> None:
    """Photos 1 to `photos` in one zip, stored: JPEG does not deflate, and stored is read faster.

    The bytes do not depend on the number of workers (threads; as many as there are processors).
    Raises ValueError unless `photos` is even and 2 or more: half of them are cracked.
    """
    if photos < 2 or photos % 2:
        raise ValueError(f"photos must be even and 2 or more, got {photos}")
    with (
        replacing(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive,
    ):
        numbers = range(1, photos + 1)
        drawn = in_order(lambda number: encode(seed, number), numbers, workers or cores())
        for name, jpeg in tqdm(drawn, total=photos, unit="photo", disable=None):
            member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            member.create_system = 3  # Unix, also when written on Windows
            member.external_attr = 0o100644 << 16
            archive.writestr(member, jpeg)
