"""Convert embedded ICC profiles to sRGB, the colour space of photos without a profile.

Relative colorimetric with black point compensation, Photoshop's default: colours inside sRGB are
exact, and the darkest ink becomes black, so that contrast is kept.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from io import BytesIO
from itertools import product

import numpy as np
from PIL import Image, ImageCms

SAME = 2  # levels of 255: a profile that changes no colour of the cube by more counts as sRGB
MAX_PROFILE = 10_000_000  # bytes; profiles of printing presses have up to 3 million
CACHED = 8  # profiles; a data set has few
SPACES = {  # mode of the pixels -> colour space of a matching profile
    **dict.fromkeys(("1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N"), "GRAY"),
    **dict.fromkeys(("RGB", "RGBA", "RGBa", "RGBX", "P", "PA", "YCbCr"), "RGB"),
    "CMYK": "CMYK",
}

Conversion = Callable[[Image.Image], Image.Image]


def to_srgb(image: Image.Image) -> Conversion | None:
    """Function that converts the opened image's pixels to sRGB; None if no conversion is needed.

    It takes the image as RGB (also for grey and palette images) and may change it in place; a CMYK
    image it takes as CMYK and returns as RGB. A profile that is damaged, or does not fit the mode
    of the image, is ignored, as viewers do.
    """
    profile = image.info.get("icc_profile")
    if not profile or not isinstance(profile, bytes) or len(profile) > MAX_PROFILE:
        return None
    space = SPACES.get(image.mode)
    return _conversion(profile, space) if space else None


@lru_cache(CACHED)
def _conversion(profile: bytes, space: str) -> Conversion | None:
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if source.profile.xcolor_space.strip() != space:
            return None
        mode = {"GRAY": "L"}.get(space, space)
        transform = ImageCms.ImageCmsTransform(
            source,
            ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        cube = _cube(mode)
        converted = transform.apply(cube)
    except MemoryError:  # not caused by the profile
        raise
    except Exception:  # LittleCMS and Pillow raise several kinds
        return None
    if _distance(converted, cube.convert("RGB")) <= SAME:
        return None
    if space == "GRAY":  # pixels are RGB by then: a lookup table of the 256 greys is enough
        table = [level for band in converted.split() for level in band.tobytes()]
        return partial(_by_table, table=table)
    return partial(_by_transform, transform=transform)


def _by_table(image: Image.Image, table: list[int]) -> Image.Image:
    return image.point(table)


def _by_transform(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    same = image.mode == transform.output_mode
    done = transform.apply_in_place(image) if same else transform.apply(image)
    done.info.pop("icc_profile", None)  # Pillow adds one
    return done


def _cube(mode: str) -> Image.Image:
    """All greys, or a regular grid of colours, one pixel each."""
    colours: Iterable[tuple[int, ...]] = product(range(256))
    if mode != "L":
        steps = np.linspace(0, 255, {"RGB": 9, "CMYK": 5}[mode]).astype(int).tolist()
        colours = product(steps, repeat=len(mode))
    data = bytes(value for colour in colours for value in colour)
    return Image.frombytes(mode, (len(data) // len(mode), 1), data)


def _distance(one: Image.Image, other: Image.Image) -> int:
    return int(np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).max())
