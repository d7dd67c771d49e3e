"""Pixels of 9 to 16 bits: the range that files state, and faint photos without one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from surface_crack.photos.decode import NotAPhoto, decode, decode_photo
from surface_crack.photos.levels import upper_bits
from tests.photos.test_decode import grey_tiff
from tests.support.makers import LIMITS
from tests.support.odd_files import Page, png, profile, tiff

GREYS = np.arange(256, dtype=np.uint16).reshape(16, 16)
TWELVE = GREYS * 16 + 9  # of 4096
COLOURS = np.stack([TWELVE, TWELVE[::-1], TWELVE.T], axis=2)
MAX_SAMPLE_VALUE = 281


def sbit(*bits: int) -> tuple[bytes, bytes]:
    return b"sBIT", bytes(bits)


def read(content: bytes) -> tuple[NDArray[np.uint8], bool]:
    """(all pixels, whether they are faint); both decoding functions must agree."""
    photo = decode_photo(content)
    decoded = decode(content, 16, LIMITS.max_pixels)
    pixels = np.asarray(photo.image)
    assert np.array_equal(decoded.pixels, pixels)  # of 16 x 16
    assert decoded.faint == photo.faint
    return pixels, photo.faint


def thrice(grey: NDArray[np.integer]) -> NDArray[np.uint8]:
    return np.repeat(grey[..., None].astype(np.uint8), 3, axis=2)


STATED = {
    "TIFF": tiff(Page(TWELVE, {MAX_SAMPLE_VALUE: 4095})),
    "TIFF of the other byte order": tiff(Page(TWELVE, {MAX_SAMPLE_VALUE: 4095}), order=">"),
    "PNG": png(TWELVE, sbit(12)),
    "PNG behind other chunks": png(TWELVE, (b"tEXt", b"a\0b"), sbit(12), (b"tEXt", b"c\0d")),
}


@pytest.mark.parametrize("name", STATED)
def test_twelve_bits_in_sixteen_are_scaled_by_the_stated_range(name: str) -> None:
    pixels, faint = read(STATED[name])
    assert np.array_equal(pixels, thrice(GREYS))
    assert not faint


@pytest.mark.parametrize("content", [png(TWELVE), tiff(Page(TWELVE)), png(TWELVE, sbit(0))])
def test_twelve_bits_in_sixteen_are_faint_without_a_stated_range(content: bytes) -> None:
    pixels, faint = read(content)
    assert np.array_equal(pixels, thrice(GREYS >> 4))  # scaled by the full range of 16 bits
    assert faint


@pytest.mark.parametrize("order", ["<", ">"])
def test_colours_of_twelve_bits_are_scaled_by_the_stated_range(order: str) -> None:
    expected = np.stack([GREYS, GREYS[::-1], GREYS.T], axis=2)
    stated = tiff(Page(COLOURS, {MAX_SAMPLE_VALUE: (4095, 4095, 4095)}), order=order)
    for content in (stated, png(COLOURS, sbit(12, 12, 12))):
        pixels, faint = read(content)
        assert np.array_equal(pixels, expected)
        assert not faint
    for content in (tiff(Page(COLOURS), order=order), png(COLOURS)):
        pixels, faint = read(content)
        assert np.array_equal(pixels, expected >> 4)
        assert faint


@pytest.mark.parametrize("channels", [2, 4])
def test_twelve_bits_with_transparency_are_faint(channels: int) -> None:
    """Alpha may have another range."""
    pixels = np.full((16, 16, channels), 65535, np.uint16)
    pixels[..., :-1] = 3000
    for chunks in ([], [sbit(*channels * [12])]):
        found, faint = read(png(pixels, *chunks))
        assert np.unique(found).tolist() == [3000 >> 8]
        assert faint


def test_half_of_the_range_with_transparency_is_not_faint() -> None:
    """Whatever number of bits the file states."""
    pixels = np.full((16, 16, 4), 65535, np.uint16)
    pixels[..., :-1] = 32000
    assert not read(png(pixels, sbit(15, 15, 15, 15)))[1]


def test_colours_in_separate_planes_are_refused() -> None:
    """Pillow reads them as if they had eight bits."""
    planes = Page(COLOURS, {284: 2})
    with pytest.raises(NotAPhoto, match="colours of 16 bits in separate planes are not supported"):
        decode(tiff(planes), 16, LIMITS.max_pixels)
    assert read(tiff(Page(COLOURS, {284: 1, MAX_SAMPLE_VALUE: 4095})))[0].max() == 255


def test_a_photo_with_a_linear_profile_is_not_faint() -> None:
    dark = np.stack(3 * [GREYS * 24], axis=2)  # up to a tenth of the range, of a linear camera
    assert read(tiff(Page(dark)))[1]
    assert not read(tiff(Page(dark, {34675: profile(curve=(1.0,))})))[1]


def test_small_cmyk_values_are_not_faint() -> None:
    inks = np.full((16, 16, 4), 2000, np.uint16)
    pixels, faint = read(tiff(Page(inks, {262: 5})))
    assert pixels.min() > 200
    assert not faint


def test_left_aligned_values_of_a_png_are_scaled_correctly() -> None:
    """Values of 12 bits in the upper 12 of 16 bits, the rest zero or repeated."""
    shifted = (TWELVE.astype(np.uint16) << 4).astype(np.uint16)
    for values in (shifted, shifted | TWELVE >> 8):
        assert np.array_equal(read(png(values, sbit(12)))[0], thrice(GREYS))
    colours = np.stack(3 * [shifted], axis=2)
    assert np.array_equal(read(png(colours, sbit(12, 12, 12)))[0], thrice(GREYS))


@pytest.mark.parametrize(("largest", "faint"), [(8191, True), (8192, False)])
def test_faint_means_less_than_an_eighth_of_the_range(largest: int, faint: bool) -> None:
    values = np.full((16, 16), 100, np.uint16)
    values[3, 3] = largest
    for pixels in (values, np.stack(3 * [values], axis=2)):
        assert read(png(pixels))[1] == faint
        assert read(tiff(Page(pixels)))[1] == faint
        assert not read(tiff(Page(pixels, {MAX_SAMPLE_VALUE: 65535})))[1]
        assert not read(png(pixels, sbit(*[16] * (1 if pixels.ndim == 2 else 3))))[1]


def test_the_range_of_twelve_bit_samples_is_twelve_bits() -> None:
    assert not decode_photo(grey_tiff(200, 12, False)).faint
    assert decode_photo(grey_tiff(31, 12, False)).faint
    assert not decode_photo(grey_tiff(32, 12, False)).faint


def test_a_range_need_not_be_a_power_of_two() -> None:
    values = np.linspace(0, 10_000, 256).astype(np.uint16).reshape(16, 16)
    light = values.astype(float)
    for white, expected in ((1, light), (0, 10_000 - light)):
        pixels, _ = read(tiff(Page(values, {MAX_SAMPLE_VALUE: 10_000, 262: white})))
        assert np.abs(pixels[..., 0] - expected * 255 / 10_000).max() <= 1
        assert {0, 255} <= set(np.unique(pixels))


@pytest.mark.parametrize("values", [TWELVE, COLOURS], ids=["grey", "RGB"])
def test_pixels_above_the_stated_range_are_refused(values: NDArray[np.uint16]) -> None:
    content = tiff(Page(values, {MAX_SAMPLE_VALUE: int(values.max()) - 1}))
    for call in (lambda: decode_photo(content), lambda: decode(content, 16, LIMITS.max_pixels)):
        with pytest.raises(NotAPhoto) as caught:
            call()
        assert str(caught.value) == (
            "pixels up to 4089, above the MaxSampleValue 4088 that the file states: correct or "
            "remove that tag"
        )


def test_a_stated_range_of_eight_bits_is_ignored() -> None:
    """There, MaxSampleValue is a statistic: the largest value that occurs."""
    eight = (GREYS // 2).astype(np.uint8)
    for content in (tiff(Page(eight, {MAX_SAMPLE_VALUE: 127})), png(eight, sbit(7))):
        pixels, faint = read(content)
        assert np.array_equal(pixels, thrice(GREYS // 2))
        assert not faint


@given(bits=st.integers(1, 16), seed=st.integers(0, 9))
def test_scaling_by_a_power_of_two_takes_the_upper_eight_bits(bits: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 1 << bits, (3, 50)).astype(np.uint16)
    assert np.array_equal(upper_bits(values, 1 << bits), values.astype(int) * 256 >> bits)


@given(levels=st.integers(2, 1 << 16))
def test_scaling_is_monotonic_and_starts_at_black(levels: int) -> None:
    values = np.arange(levels, dtype=np.uint16)[None]
    upper = upper_bits(values, levels)[0].astype(int)
    assert upper[0] == 0
    assert upper[-1] == 255 or levels < 256
    assert (np.diff(upper) >= 0).all()
