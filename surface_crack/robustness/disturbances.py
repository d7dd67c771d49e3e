"""Disturb a photo as cameras, light and distance do, at its full size, before it is made small.

Pure functions, RGB image in, RGB image out, that keep the surface where it was: what was a crack
stays one in the picture, unless the disturbance hides it, which is what is to be measured. Only
rotation can push it out of the frame: at 45 degrees a square photo loses 17 % of its area, in the
corners. The kinds are those of Hendrycks & Dietterich 2019, https://arxiv.org/abs/1903.12261, as
far as they happen to photos of walls; strengths and units are our own.
"""

import math
from io import BytesIO
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter


class Disturbance(NamedTuple):
    unit: str  # of the strengths
    strengths: tuple[int, ...]  # mildest first; of scale: smallest first


DISTURBANCES = {
    "blur": Disturbance("sigma, % of shorter side", (1, 2, 4)),
    "noise": Disturbance("standard deviation, grey levels", (10, 20, 40)),
    "darkness": Disturbance("% of brightness", (50, 25, 12)),
    "overexposure": Disturbance("% of brightness", (150, 200, 300)),
    "jpeg": Disturbance("quality", (60, 40, 20)),
    "contrast": Disturbance("% of contrast", (70, 40, 20)),
    "rotation": Disturbance("degrees", (15, 30, 45)),
    "scale": Disturbance("% of size", (50, 71, 200)),
}


def views(photo: Image.Image, kind: str, strength: int, seed: int) -> list[Image.Image]:
    """The disturbed photo: one picture, or the four of a photo enlarged.

    `kind` and `strength` are those of DISTURBANCES; `seed` draws the noise.
    """
    match kind:
        case "blur":
            return [blurred(photo, strength)]
        case "noise":
            return [noisy(photo, strength, seed)]
        case "darkness" | "overexposure":
            return [exposed(photo, strength)]
        case "jpeg":
            return [compressed(photo, strength)]
        case "contrast":
            return [flattened(photo, strength)]
        case "rotation":
            return [rotated(photo, strength)]
        case "scale":
            return quarters(photo) if strength == 200 else [zoomed_out(photo, strength)]
    raise ValueError(f"no disturbance {kind!r}")


def blurred(photo: Image.Image, percent: float) -> Image.Image:
    """Gaussian blur, as out of focus.

    Sigma in % of the shorter side, so that the same surface through the same lens is blurred
    alike whatever the camera's resolution; in pixels it would vanish in a large photo.
    """
    return photo.filter(ImageFilter.GaussianBlur(percent / 100 * min(photo.size)))


def noisy(photo: Image.Image, levels: float, seed: int) -> Image.Image:
    """Gaussian noise of this standard deviation, in grey levels, on each pixel and channel.

    Pixels are those of the original, as in a sensor: a large photo averages it away. The same
    seed draws the same pattern, only stronger.
    """
    pixels = np.asarray(photo)
    noise = np.random.default_rng(seed).standard_normal(pixels.shape, np.float32)
    return _image(pixels + np.float32(levels) * noise)


def exposed(photo: Image.Image, percent: float) -> Image.Image:
    """Pixel values times percent / 100, cut off at white.

    Of values, not of light: half the value is about a fifth of the light (2.2 stops).
    """
    return photo.point(_levels(np.arange(256) * percent / 100))


def flattened(photo: Image.Image, percent: float) -> Image.Image:
    """Differences from the photo's mean value shrunk to this percentage, as in haze or glare."""
    mean = float(np.asarray(photo).mean())
    return photo.point(_levels(mean + (np.arange(256) - mean) * percent / 100))


def compressed(photo: Image.Image, quality: int) -> Image.Image:
    """Through JPEG at libjpeg's quality (1 to 100), with its usual halving of colours."""
    buffer = BytesIO()
    photo.save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as image:
        return image.convert("RGB")


def rotated(photo: Image.Image, degrees: float) -> Image.Image:
    """Turned about its centre, at the same size; what turns into the frame is the mirrored rim.

    Black corners might be taken for cracks. The largest upright square inside would have none, but
    at 45 degrees it holds half the area and shows every crack 1.4 times as wide.
    """
    angle = math.radians(degrees)
    width, height = photo.size
    across, along = abs(math.cos(angle)), abs(math.sin(angle))
    margin_x = math.ceil(max(0, width * across + height * along - width) / 2) + 2  # 2: cubic
    margin_y = math.ceil(max(0, width * along + height * across - height) / 2) + 2
    padded = _mirrored(photo, margin_x, margin_y)
    turned = padded.rotate(degrees, Image.Resampling.BICUBIC)
    return turned.crop((margin_x, margin_y, margin_x + width, margin_y + height))


def zoomed_out(photo: Image.Image, percent: float) -> Image.Image:
    """The surface from further away, its surroundings made of mirrored copies.

    The picture grows, so that the photo takes this percentage of each side of it. All of the
    crack stays in, thinner.
    """
    width, height = photo.size
    grow = (100 / percent - 1) / 2
    return _mirrored(photo, round(grow * width), round(grow * height))


def quarters(photo: Image.Image) -> list[Image.Image]:
    """The surface from half the distance: four pictures, since one cannot hold it.

    The photo shows a crack if and only if one of them does. The middle half alone would not do:
    where a crack runs along the rim, its label would be wrong.
    """
    width, height = photo.size
    w, h = math.ceil(width / 2), math.ceil(height / 2)  # an odd middle line is in both
    return [photo.crop((x, y, x + w, y + h)) for y in (0, height - h) for x in (0, width - w)]


def _mirrored(photo: Image.Image, x: int, y: int) -> Image.Image:
    """The photo with margins of x and y pixels that mirror what is inside."""
    return Image.fromarray(np.pad(np.asarray(photo), ((y, y), (x, x), (0, 0)), "symmetric"))


def _levels(values: NDArray[np.float64]) -> list[int]:
    """New values of the 256 levels, for each of three channels."""
    return 3 * [int(value) for value in np.rint(values).clip(0, 255)]


def _image(pixels: NDArray[np.float32]) -> Image.Image:
    return Image.fromarray(np.rint(pixels).clip(0, 255).astype(np.uint8))
