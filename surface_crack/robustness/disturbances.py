"""Disturb a photo as cameras, light and distance do, at full size, before it is resized.

Pure functions from RGB image to RGB image that leave the surface in place, so the label stays
valid: a crack remains in the image unless the disturbance hides it, which is what is measured. Only
rotation can move a crack out of the frame: at 45 degrees a square photo loses 17 % of its area, in
the corners. The kinds are those of Hendrycks & Dietterich 2019, https://arxiv.org/abs/1903.12261,
that occur in photos of walls; strengths and units are our own.
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
    """Return the disturbed photo as one image, or as four quarters for scale 200.

    `kind` and `strength` are those of DISTURBANCES; `seed` is for the noise. Raises ValueError for
    an unknown kind.
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
    """Gaussian blur, as if out of focus.

    Sigma is in % of the shorter side, so that the blur does not depend on the camera's resolution:
    a sigma in pixels would vanish in a large photo.
    """
    return photo.filter(ImageFilter.GaussianBlur(percent / 100 * min(photo.size)))


def noisy(photo: Image.Image, levels: float, seed: int) -> Image.Image:
    """Gaussian noise with a standard deviation of `levels` grey levels, per pixel and channel.

    It is added at full resolution, like sensor noise, so resizing a large photo averages it out.
    The same seed gives the same pattern at every strength.
    """
    pixels = np.asarray(photo)
    noise = np.random.default_rng(seed).standard_normal(pixels.shape, np.float32)
    return _image(pixels + np.float32(levels) * noise)


def exposed(photo: Image.Image, percent: float) -> Image.Image:
    """Pixel values times percent / 100, clipped at 255.

    This scales values, not light: half the value is about a fifth of the light (2.2 stops).
    """
    return photo.point(_levels(np.arange(256) * percent / 100))


def flattened(photo: Image.Image, percent: float) -> Image.Image:
    """Reduce contrast around the photo's mean value to this percentage, as in haze or glare."""
    mean = float(np.asarray(photo).mean())
    return photo.point(_levels(mean + (np.arange(256) - mean) * percent / 100))


def compressed(photo: Image.Image, quality: int) -> Image.Image:
    """Compress as JPEG with libjpeg's quality (1 to 100) and default chroma subsampling."""
    buffer = BytesIO()
    photo.save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as image:
        return image.convert("RGB")


def rotated(photo: Image.Image, degrees: float) -> Image.Image:
    """Rotate about the centre at the same size, and fill the corners with the mirrored border.

    Black corners might be mistaken for cracks. Cropping to the largest square without corners would
    avoid them, but at 45 degrees it keeps half the area and shows cracks 1.4 times as wide.
    """
    angle = math.radians(degrees)
    width, height = photo.size
    across, along = abs(math.cos(angle)), abs(math.sin(angle))
    margin_x = math.ceil(max(0, width * across + height * along - width) / 2) + 2  # 2: cubic
    margin_y = math.ceil(max(0, width * along + height * across - height) / 2) + 2
    padded = _mirrored(photo, margin_x, margin_y)
    rotated_photo = padded.rotate(degrees, Image.Resampling.BICUBIC)
    return rotated_photo.crop((margin_x, margin_y, margin_x + width, margin_y + height))


def zoomed_out(photo: Image.Image, percent: float) -> Image.Image:
    """Simulate a larger distance: pad the photo with mirrored copies of itself.

    The photo then takes this percentage of each side of the image. After resizing, the whole crack
    is still visible, but thinner.
    """
    width, height = photo.size
    grow = (100 / percent - 1) / 2
    return _mirrored(photo, round(grow * width), round(grow * height))


def quarters(photo: Image.Image) -> list[Image.Image]:
    """Simulate half the distance: split the photo into its four quarters.

    The photo is positive if and only if at least one quarter shows the crack. The middle alone
    would not do: with a crack near the border its label would be wrong.
    """
    width, height = photo.size
    w, h = math.ceil(width / 2), math.ceil(height / 2)  # of an odd side, both hold the middle
    return [photo.crop((x, y, x + w, y + h)) for y in (0, height - h) for x in (0, width - w)]


def _mirrored(photo: Image.Image, x: int, y: int) -> Image.Image:
    """Pad the photo with mirrored margins of x and y pixels."""
    return Image.fromarray(np.pad(np.asarray(photo), ((y, y), (x, x), (0, 0)), "symmetric"))


def _levels(values: NDArray[np.float64]) -> list[int]:
    """Lookup table for Image.point: the new values of the 256 levels, for three channels."""
    return 3 * [int(value) for value in np.rint(values).clip(0, 255)]


def _image(pixels: NDArray[np.float32]) -> Image.Image:
    return Image.fromarray(np.rint(pixels).clip(0, 255).astype(np.uint8))
