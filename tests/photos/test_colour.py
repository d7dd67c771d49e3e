"""Embedded ICC profiles: conversion to sRGB, and profiles that are ignored."""

import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from surface_crack.photos import colour
from surface_crack.photos.decode import decode, decode_photo
from tests.support.makers import LIMITS, encoded, picture
from tests.support.odd_files import ADOBE, SRGB, SRGB_CURVE, cmyk_profile, grey_profile, profile

KINDS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 100, "subsampling": 0},
    "JPEG, progressive": {"quality": 100, "subsampling": 0, "progressive": True},
    "PNG": {},
    "TIFF": {},
    "TIFF, LZW": {"compression": "tiff_lzw"},
    "WEBP": {"lossless": True},
}
LINEAR = profile(curve=(1.0,))


def flat(colour: tuple[int, ...] | int, mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (16, 16), colour)


def read(content: bytes) -> list[int]:
    """The single colour of a photo; it must be the same with both decoding functions."""
    found = {tuple(int(x) for x in pixel) for pixel in np.asarray(decode_photo(content).image)[0]}
    small = decode(content, 8, LIMITS.max_pixels).pixels
    assert found == {tuple(int(x) for x in pixel) for pixel in small[0]}
    assert len(found) == 1
    return list(found.pop())


def srgb(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear light, 0 to 1 -> sRGB, 0 to 255. IEC 61966-2-1."""
    bent = 1.055 * np.clip(linear, 0.0031308, 1) ** (1 / 2.4) - 0.055
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, bent)


@pytest.mark.parametrize("kind", KINDS)
def test_linear_light_becomes_srgb(kind: str) -> None:
    for level in (9, 55, 128, 255):
        image = flat((level, level, level))
        content = encoded(image, kind.split(",")[0], icc_profile=LINEAR, **KINDS[kind])
        expected = srgb(np.full(3, level / 255))
        assert np.abs(read(content) - expected).max() <= 1.5
        plain = encoded(image, kind.split(",")[0], **KINDS[kind])
        assert np.abs(np.array(read(plain)) - level).max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_wide_colour_space_becomes_srgb(kind: str) -> None:
    colours = np.array([(150, 140, 130), (190, 110, 80), (60, 70, 90)])
    to_xyz, from_xyz = np.array(ADOBE).T, np.linalg.inv(np.array(SRGB).T)
    for rgb in colours.tolist():
        expected = srgb(from_xyz @ to_xyz @ (np.array(rgb) / 255) ** 2.2)
        content = encoded(
            flat(tuple(rgb)), kind.split(",")[0], icc_profile=profile(ADOBE, (2.2,)), **KINDS[kind]
        )
        assert np.abs(read(content) - expected).max() <= 2.5
        assert np.abs(expected - rgb).max() > 4


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_grey_profiles_become_srgb(kind: str) -> None:
    for level in (30, 128, 200):
        content = encoded(flat(level, "L"), kind, icc_profile=grey_profile(1.0))
        assert np.abs(read(content) - srgb(np.full(3, level / 255))).max() <= 1.5


def test_grey_profiles_apply_to_sixteen_bits_and_transparent_grey() -> None:
    expected = srgb(np.full(3, 100 / 255))
    deep = Image.fromarray(np.full((16, 16), 100 << 8, np.uint16))
    for image in (deep, flat((100, 255), "LA")):
        content = encoded(image, "PNG", icc_profile=grey_profile(1.0))
        assert np.abs(read(content) - expected).max() <= 1.5


def test_rgb_profiles_apply_to_palettes() -> None:
    image = flat((100, 100, 100)).quantize(2)
    content = encoded(image, "PNG", icc_profile=LINEAR)
    assert np.abs(read(content) - srgb(np.full(3, 100 / 255))).max() <= 1.5


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_becomes_srgb(kind: str) -> None:
    for black, lightness in ((0, 100), (128, 87.45), (255, 75)):
        content = encoded(flat((0, 0, 0, black), "CMYK"), kind, icc_profile=cmyk_profile())
        # L* to Y, CIE 15; the profile's black (all four inks) maps to sRGB's: L* 0
        expected = srgb(np.full(3, ((lightness + 16) / 116) ** 3))
        assert np.abs(read(content) - expected).max() <= 3
        naive = 255 - black
        assert black == 0 or np.abs(expected - naive).min() > 50


def test_paper_white_is_white_and_the_darkest_ink_is_black() -> None:
    for colour_of_inks, expected in ((0, 255), (255, 0)):
        inks = flat((colour_of_inks,) * 4, "CMYK")
        content = encoded(inks, "TIFF", icc_profile=cmyk_profile(paper=230))
        assert np.abs(np.array(read(content)) - expected).max() <= 2


def test_the_darkest_ink_is_black_even_if_it_reflects_light() -> None:
    icc = cmyk_profile(darkest=40, kind=b"scnr")
    content = encoded(flat((255,) * 4, "CMYK"), "TIFF", icc_profile=icc)
    assert max(read(content)) <= 2


def test_a_profile_that_equals_srgb_up_to_rounding_is_not_converted() -> None:
    image = picture(1)
    for gamma, is_same in ((2.4, True), (2.43, True), (2.5, False)):
        image.info["icc_profile"] = profile(curve=(gamma, *SRGB_CURVE[1:]))
        assert (colour.to_srgb(image) is None) == is_same


def unchanged_profiles() -> dict[str, tuple[Image.Image, bytes]]:
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo, grey = picture(1), picture(1).convert("L")
    return {
        "sRGB": (photo, profile()),
        "sRGB of LittleCMS": (photo, made),
        "text": (photo, b"no profile"),
        "empty": (photo, b""),
        "cut": (photo, LINEAR[:200]),
        "header alone": (photo, LINEAR[:128]),
        "without its curves": (photo, LINEAR.replace(b"TRC", b"xxx")),
        "of grey, on RGB": (photo, grey_profile(1.0)),
        "of RGB, on grey": (grey, LINEAR),
        "of inks, on RGB": (photo, cmyk_profile()),
    }


@pytest.mark.parametrize("name", unchanged_profiles())
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_srgb_damaged_and_mismatched_profiles_change_nothing(name: str, kind: str) -> None:
    image, icc = unchanged_profiles()[name]
    tagged, plain = encoded(image, kind, icc_profile=icc), encoded(image, kind)
    assert np.array_equal(decode(tagged, 16, 10_000).pixels, decode(plain, 16, 10_000).pixels)
    assert np.array_equal(
        np.asarray(decode_photo(tagged).image), np.asarray(decode_photo(plain).image)
    )


def test_a_huge_profile_is_ignored() -> None:
    tagged = encoded(picture(1), "TIFF", icc_profile=LINEAR.ljust(colour.MAX_PROFILE + 1, b"\0"))
    plain = encoded(picture(1), "TIFF")
    assert np.array_equal(decode(tagged, 16, 10_000).pixels, decode(plain, 16, 10_000).pixels)


def test_damaged_profiles_raise_no_error() -> None:
    draw = np.random.default_rng(0)
    image = picture(1, side=16)
    inks = image.convert("CMYK")
    for pixels, icc in ((image, LINEAR), (image, profile(ADOBE, (2.2,))), (inks, cmyk_profile())):
        for _ in range(60):
            bad = bytearray(icc)
            for place in draw.integers(0, min(len(bad), 500), 3):
                bad[place] = draw.integers(256)
            content = encoded(pixels, "TIFF", icc_profile=bytes(bad))
            assert decode(content, 16, 10_000).pixels.shape == (16, 16, 3)


def test_conversions_are_cached_and_the_cache_is_small() -> None:
    colour._conversion.cache_clear()
    contents = [encoded(picture(n), icc_profile=LINEAR) for n in range(20)]
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda content: decode(content, 16, 10_000).pixels, contents))
    alone = [decode(content, 16, 10_000).pixels for content in contents]
    assert all(np.array_equal(one, other) for one, other in zip(done, alone, strict=True))
    info = colour._conversion.cache_info()
    assert info.misses <= 2
    assert info.hits >= 38
    for number in range(20):
        decode(encoded(picture(1), icc_profile=profile(curve=(1 + number / 9,))), 16, 10_000)
    assert colour._conversion.cache_info().currsize <= colour.CACHED


def test_the_converted_photo_has_no_profile() -> None:
    """Otherwise a saved copy would be converted twice."""
    for kind in ("PNG", "TIFF", "JPEG"):
        image = decode_photo(encoded(picture(1), kind, icc_profile=LINEAR)).image
        assert "icc_profile" not in image.info


def test_a_photo_without_a_profile_takes_no_time() -> None:
    image = Image.open(BytesIO(encoded(picture(1))))
    start = time.perf_counter()
    for _ in range(1000):
        assert colour.to_srgb(image) is None
    assert time.perf_counter() - start < 0.1
