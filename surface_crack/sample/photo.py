"""Draw one synthetic photo, and write the zip of all of them.

The camera adds blur, noise and an exposure that is independent of the label. The label decides
only whether a crack is drawn.

Reproducible on every machine: all arithmetic uses integers, and random numbers come from
`chance.py`. Only the image library could differ: polygons, `reduce` and `BoxBlur` of another
Pillow release (pixels), and another libjpeg-turbo (files).
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

from surface_crack.project.files import atomic_write
from surface_crack.sample.chance import SIZE, Ints, chance, choice, randint, randints, smoothed
from surface_crack.sample.cracks import crack
from surface_crack.sample.marks import LINES, OTHERS
from surface_crack.sample.wall import Wall, concrete
from surface_crack.threads import cores, in_order

CLASSES = ("Negative", "Positive")
# These constants, and those of the other files, set the difficulty. Target: a small CNN at 64 x 64
# pixels, trained on 840 of 1,200 photos, has an accuracy of 96 to 99 % on the others.
DISTRACTORS = (0, 0, 0, 1, 1, 2)  # number per photo, in both classes; one of these is drawn
LOOKALIKES = 16  # per cent of the distractors are lines, like cracks
EXPOSURE = (110, 185)  # grey levels, the mean of a photo
CONTRAST = (190, 330)  # of 256, for a photo with a standard deviation of COMMON / 2
COMMON = 48  # grey levels; the smaller, the more equal the contrast of all photos
LIGHTS = ((3, 2), (2, 3), (-2, 3), (-3, 2), (3, -1), (-3, -1), (1, 3), (-1, 3))  # direction x, y


def exposed(photo: Ints, exposure: int, contrast: int) -> Ints:
    """Set the mean to `exposure` grey levels and equalise the contrast, like a camera does.

    A crack darkens a photo and adds contrast; without this step, mean and standard deviation would
    reveal the label.
    """
    dark = photo - int(photo.sum(dtype=np.int64)) // photo.size
    spread = math.isqrt(int(np.square(dark).sum(dtype=np.int64)) // photo.size)
    return 16 * exposure + (dark * (contrast * 16 * COMMON // (8 * COMMON + spread)) >> 8)


def photograph(stream: PCG64, wall: Wall) -> NDArray[np.uint8]:
    """Render a wall with light, exposure, blur and noise -> uint8 (SIZE, SIZE, 3)."""
    x, y = choice(stream, LIGHTS)
    slope = x * np.diff(wall.height, axis=1, append=wall.height[:, -1:])
    slope += y * np.diff(wall.height, axis=0, append=wall.height[-1:])
    lit = wall.light * (256 + np.clip(slope >> 3, -120, 90)) >> 8
    photo = wall.colour * lit >> 8
    photo = exposed(photo, randint(stream, *EXPOSURE), randint(stream, *CONTRAST))
    for _ in range(choice(stream, (1, 1, 1, 2))):
        soft = smoothed(photo)
        photo += (soft - photo) * randint(stream, 100, 256) >> 8
    grain = randints(stream, -16, 16, 4, SIZE, SIZE)
    grain = (2 * grain[3] + grain[:3]) * choice(stream, (0, 1, 2, 3, 5, 8)) >> 1
    photo += grain if chance(stream, 50) else smoothed(grain) * 2
    levels: Ints = np.clip((photo + 8) >> 4, 0, 255)
    return levels.astype(np.uint8).transpose(1, 2, 0).copy()


def stream_of(seed: int, number: int, purpose: int) -> PCG64:
    """One random stream per purpose, so that wall and camera cannot depend on the crack."""
    return PCG64([seed, number, purpose])


def draw(seed: int, number: int) -> tuple[NDArray[np.uint8], int]:
    """Draw photo `number`: uint8 (227, 227, 3) RGB and its label, 1 (cracked) for odd numbers.

    Raises ValueError if `seed` or `number` is negative.
    """
    if seed < 0 or number < 0:
        raise ValueError(f"seed and number must be 0 or more, got seed={seed}, number={number}")
    label = number % 2
    wall = concrete(stream_of(seed, number, 0))
    if label == 1:
        crack(stream_of(seed, number, 1), wall)
    marks = stream_of(seed, number, 2)
    for _ in range(choice(marks, DISTRACTORS)):
        choice(marks, LINES if chance(marks, LOOKALIKES) else OTHERS)(marks, wall)
    return photograph(stream_of(seed, number, 3), wall), label


def encode(seed: int, number: int) -> tuple[str, bytes]:
    """Draw a photo and return its name in the archive and its JPEG."""
    photo, label = draw(seed, number)
    file = io.BytesIO()
    quality = randint(stream_of(seed, number, 4), 40, 92)
    Image.fromarray(photo).save(file, "JPEG", quality=quality)
    return f"{CLASSES[label]}/{number:05d}.jpg", file.getvalue()


def write_sample(path: Path, seed: int, photos: int, workers: int | None = None) -> None:
    """Write photos 1 to `photos` into one zip, uncompressed: JPEG does not deflate any further.

    The bytes do not depend on the number of workers (threads; default: one per core). Raises
    ValueError unless `photos` is even and at least 2, as half of them are cracked.
    """
    if photos < 2 or photos % 2:
        raise ValueError(f"photos must be even and 2 or more, got {photos}")
    with (
        atomic_write(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive,
    ):
        numbers = range(1, photos + 1)
        drawn = in_order(lambda number: encode(seed, number), numbers, workers or cores())
        for name, jpeg in tqdm(drawn, total=photos, unit="photo", disable=None):
            member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            member.create_system = 3  # Unix, also when written on Windows
            member.external_attr = 0o100644 << 16
            archive.writestr(member, jpeg)
