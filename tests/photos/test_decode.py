"""Decoding: modes, EXIF orientations, damaged files, limits, HEIC."""

import struct
import sys
import zlib
from base64 import b85decode
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from surface_crack.photos import decode as module
from surface_crack.photos.decode import Decoded, NotAPhoto, decode_photo, resized
from tests.support.makers import LIMITS, encoded, picture


def decode(content: bytes, size: int) -> Decoded:
    return module.decode(content, size, LIMITS.max_pixels)


def original(content: bytes) -> Image.Image:
    return module.original(content, LIMITS.max_pixels)


SMOOTH = Image.linear_gradient("L").resize((64, 64))  # brightness grows from top to bottom


MODES = {
    "1": "PNG",
    "L": "PNG",
    "LA": "PNG",
    "P": "PNG",
    "RGB": "PNG",
    "RGBA": "PNG",
    "CMYK": "TIFF",
    "YCbCr": "TIFF",
    "LAB": "TIFF",
    "I;16": "PNG",
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_becomes_rgb(mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.asarray(SMOOTH).astype(np.uint16) * 257)
    elif mode == "LAB":
        flat = np.full((64, 64), 128, np.uint8)
        image = Image.merge("LAB", (SMOOTH, *(2 * [Image.fromarray(flat)])))
    else:
        image = SMOOTH.convert("RGB").convert(mode)
    pixels = decode(encoded(image, MODES[mode]), 32).pixels
    assert pixels.shape == (32, 32, 3)
    assert pixels.dtype == np.uint8
    rows = pixels.mean(axis=(1, 2))  # brightness still grows from top to bottom
    assert rows[:4].mean() < 40
    assert 100 < rows[14:18].mean() < 155
    assert rows[-4:].mean() > 215


def test_transparent_pixels_become_white() -> None:
    hidden = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    assert decode(encoded(hidden, "PNG"), 8).pixels.min() == 255


@pytest.mark.parametrize("transparency", [(9, 64, 32), 3000], ids=["RGB", "16 bits of grey"])
def test_a_transparent_colour_becomes_white(transparency: object) -> None:
    image = Image.new("RGB", (16, 16), (9, 64, 32))
    if transparency == 3000:
        image = Image.fromarray(np.full((16, 16), 3000, np.uint16))
    image.paste(0, (0, 0, 16, 8))
    pixels = decode(encoded(image, "PNG", transparency=transparency), 16).pixels
    assert pixels[:6].max() == 0
    assert pixels[10:].min() == 255


@pytest.mark.parametrize(
    ("bits", "zero_is_white"), [(8, False), (8, True), (12, False), (16, False), (16, True)]
)
def test_a_grey_level_is_the_same_at_any_bit_depth(bits: int, zero_is_white: bool) -> None:
    pixels = decode(grey_tiff(200, bits, zero_is_white), 16).pixels
    assert np.unique(pixels).tolist() == [55 if zero_is_white else 200]


def grey_tiff(grey: int, bits: int, zero_is_white: bool) -> bytes:
    """16 x 16 pixels of one grey, uncompressed. TIFF 6.0, pages 14 to 20."""
    value = grey << (bits - 8)
    if bits == 12:
        strip = 128 * (value << 12 | value).to_bytes(3, "big")  # two in three bytes
    else:
        strip = 256 * value.to_bytes(bits // 8, "little")
    tags = {
        **{256: 16, 257: 16, 258: bits, 259: 1, 262: int(not zero_is_white)},
        **{273: 8 + 2 + 9 * 12 + 4, 277: 1, 278: 16, 279: len(strip)},
    }
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, number) for tag, number in tags.items())
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4) + strip


KINDS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95},
    "PNG": {},
    "TIFF": {},
    "TIFF, LZW": {"compression": "tiff_lzw"},
    "TIFF, JPEG": {"compression": "jpeg", "quality": 95},
    "WEBP": {"quality": 95},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int, kind: str) -> None:
    upright = SMOOTH.crop((0, 0, 64, 32))  # wide; dark at the top
    undo = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    stored = upright if undo is None else upright.transpose(Image.Transpose(undo))
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(stored, kind.split(",")[0], exif=exif, **KINDS[kind])
    decoded = decode(content, 32)
    assert (decoded.width, decoded.height) == (64, 32)
    expected = np.asarray(upright.resize((32, 32), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(decoded.pixels[..., 0].astype(int) - expected).max() <= 8
    found = decode_photo(content)
    assert (found.image.size, found.width, found.height) == ((64, 32), 64, 32)
    assert np.abs(np.asarray(found.image)[..., 0].astype(int) - np.asarray(upright)).max() <= 8


def test_a_png_with_damaged_pixels_is_refused() -> None:
    """Pillow decodes a PNG when its EXIF is read, and ignores errors then."""
    content = encoded(picture(1, side=80), "PNG")
    start = content.index(b"IDAT") + 8
    damaged = 0
    for place in range(start, len(content) - 40, 97):
        bad = bytearray(content)
        bad[place] ^= 16
        try:
            Image.open(BytesIO(bad)).load()
        except OSError:
            damaged += 1
            for read in (original, lambda content: decode(content, 32)):
                with pytest.raises(NotAPhoto, match="damaged"):
                    read(bytes(bad))
    assert damaged > 20


def test_broken_exif_is_ignored() -> None:
    content = encoded(picture(1), exif=b"Exif\0\0garbage")
    assert decode(content, 16).pixels.shape == (16, 16, 3)


def test_the_resize_is_antialiased() -> None:
    """A fine checkerboard becomes grey; subsampling would keep black and white."""
    board = np.indices((256, 256)).sum(axis=0) % 2 * 255
    image = Image.fromarray(board.astype(np.uint8))
    for kind in ("PNG", "JPEG"):
        pixels = decode(encoded(image, kind), 40).pixels
        assert 110 < pixels.min() <= pixels.max() < 145


@pytest.mark.parametrize("side", [60, 64, 100, 227, 900])
def test_downscaling_a_jpeg_during_decoding_is_close_to_doing_it_afterwards(side: int) -> None:
    blotches = np.random.default_rng(0).integers(60, 200, (side // 6, side // 6))
    photo = Image.fromarray(blotches.astype(np.uint8)).convert("RGB").resize((side, side))
    content = encoded(photo, "JPEG", quality=95)
    expected = resized(original(content), 64).astype(int)
    assert np.abs(decode(content, 64).pixels - expected).mean() < 1.5


def test_a_jpeg_with_extraneous_bytes_is_decoded() -> None:
    """simplejpeg refuses them; Pillow does not, as libjpeg continues after them."""
    content = encoded(SMOOTH.convert("RGB"), "JPEG", quality=95)
    stray = content[:-2] + b"stray" + content[-2:]
    with pytest.raises(ValueError, match="extraneous bytes"):
        simplejpeg.decode_jpeg(stray)
    assert np.array_equal(decode(stray, 64).pixels, decode(content, 64).pixels)


def test_the_original_size_is_returned() -> None:
    assert decode(encoded(Image.new("L", (30, 20))), 8)[1:3] == (30, 20)


JPEG = encoded(picture(3, side=64))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"<html><body>not found</body></html>", "not an image, or not a supported format"),
        (b"\0" * 4096, "not an image, or not a supported format"),
        (JPEG[: len(JPEG) // 2], "damaged: .*truncated"),
        (JPEG[:20], "damaged|not an image"),
        (encoded(Image.new("L", (1, 1)), "PNG"), "too small: 1 x 1 pixels"),
        (encoded(Image.new("L", (20_000, 20_000)), "PNG"), "too large: 20000 x 20000 pixels"),
        (encoded(Image.new("F", (16, 16)), "TIFF"), "float pixels"),
        (encoded(Image.fromarray(np.full((16, 16), 200, np.int32)), "TIFF"), "32-bit pixels"),
        (
            encoded(picture(1), "GIF", save_all=True, append_images=[picture(2)]),
            "contains several images: save them one by one",
        ),
    ],
)
def test_an_unusable_file_gives_a_one_line_reason(content: bytes, reason: str) -> None:
    with pytest.raises(NotAPhoto, match=reason) as caught:
        decode(content, 32)
    assert "\n" not in str(caught.value)


@settings(max_examples=60)
@given(
    width=st.integers(8, 90),
    height=st.integers(8, 90),
    size=st.integers(8, 64),
    grey=st.integers(0, 255),
    kind=st.sampled_from(["PNG", "BMP", "GIF", "JPEG", "TIFF"]),
    orientation=st.integers(0, 9),
)
def test_any_shape_becomes_a_square_and_a_uniform_grey_is_kept(
    width: int, height: int, size: int, grey: int, kind: str, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"exif": exif} if kind in ("PNG", "JPEG", "TIFF") else {}
    decoded = decode(encoded(Image.new("L", (width, height), grey), kind, **options), size)
    assert decoded.pixels.shape == (size, size, 3)
    assert np.abs(decoded.pixels.astype(int) - grey).max() <= 2 * (kind == "JPEG")
    rotated = bool(options) and 5 <= orientation <= 8
    assert decoded[1:3] == ((height, width) if rotated else (width, height))


@settings(max_examples=40)
@given(seed=st.integers(0, 99), size=st.integers(8, 64), side=st.integers(8, 90))
def test_the_resize_is_symmetric(seed: int, size: int, side: int) -> None:
    image = picture(seed, side=side)
    mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert np.array_equal(resized(mirrored, size), resized(image, size)[:, ::-1])
    upside_down = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    assert np.array_equal(resized(upside_down, size), resized(image, size)[::-1])


WHOLE = [encoded(picture(4, side=24), kind) for kind in ("JPEG", "PNG", "TIFF", "WEBP", "GIF")]


@settings(max_examples=150)
@given(
    whole=st.sampled_from(WHOLE),
    edits=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=8)), max_size=4),
    end=st.floats(0, 1),
)
def test_any_bytes_are_a_photo_or_a_one_line_reason(
    whole: bytes, edits: list[tuple[float, bytes]], end: float
) -> None:
    content = bytearray(whole)
    for place, new in edits:
        at = int(place * len(content))
        content[at : at + len(new)] = new
    content = content[: len(content) // 2 + int(end * len(content))]
    try:
        result = str(module.decode(bytes(content), 16, 10_000).pixels.shape)
    except NotAPhoto as reason:
        result = str(reason)
    assert result.strip()
    assert "\n" not in result


def test_decode_photo_keeps_the_shape_and_applies_the_orientation() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    content = encoded(SMOOTH.resize((640, 320)), exif=exif)
    photo = decode_photo(content)
    assert photo.image.size == photo[1:3] == (320, 640)
    assert photo.image.mode == "RGB"
    assert original(content).tobytes() == photo.image.tobytes()
    half = decode_photo(content, 0.2)
    assert (half.image.size, half[1:3]) == ((160, 320), (320, 640))
    assert decode_photo(content, 0.26).image.size == (200, 400)  # five eighths
    assert decode_photo(content, 0.45).image.size == (320, 640)
    assert decode_photo(encoded(SMOOTH.resize((640, 320)), "PNG"), 0.1).image.size == (640, 320)


def test_the_smallest_photo_has_one_pixel() -> None:
    dot = encoded(Image.new("L", (1, 1)), "PNG")
    assert decode_photo(dot).image.size == (1, 1)
    with pytest.raises(NotAPhoto, match="too small: 1 x 1 pixels"):
        original(dot)


def test_a_size_limit_is_reported_with_its_parameter_if_it_has_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = encoded(Image.new("L", (50, 40)), "PNG")
    with pytest.raises(NotAPhoto) as caught:
        module.decode(content, 16, 1999)
    assert str(caught.value) == "too large: 50 x 40 pixels, more than max_pixels (1,999)"
    monkeypatch.setattr(module, "MAX_PIXELS", 1999)
    with pytest.raises(NotAPhoto) as caught:
        decode_photo(content)
    assert str(caught.value) == "too large: 50 x 40 pixels, more than 1,999"


# SMOOTH.crop((0, 0, 64, 32)), stored rotated by 90 degrees with EXIF orientation 6, by pillow-heif,
# quality 30; compressed.
HEIC = zlib.decompress(
    b85decode(
        b"c-mc2JxIeq6n@vxn1a@Su%fjEhvH<xLAPLA#G#|O8n20YnzUycO5Iuz!A%!u7hPS|NjGO_2M2Kw5#2f{^<9#R^l^9Z"
        b"z3+W@_kI9i#_|t@Z6XH}7p=UsT{J8J_TZYn0ik5=isMB#2;@HW$r3uX;E|#ZF<{bS@1Z7{C5$AN_(SGtFC$j1z?0EQ"
        b"a?F569J|5u@DF5?QfgvAPYU#1h?r~ug(t{<MZs&N8+5n86bYRKr1U3z|8zP4!^#%jn9|uG>vknUkqkwy^leNxD7di7"
        b"SYPBk(~h6Ly<Fa0YxZJ>AVnUK-6pzPWcT&EWBO#A*Br0PohG3}ptcB_z`8J_a`kBExMRr7GGX!oM#*%aqbBs4F(R;u"
        b"(or-`Bb7j}=2Je9LgDs?!hosmm=ZrcB4-*s(~1H~Ua9k74Dye4w_?b7rE=^l)%wVf?yNjsd~Fm;`%k&O&E3<rISQ&_"
        b"bIWB|AWs9v#$^4n#_-Kw)eK&8"
    )
)


def test_heic_is_read_if_pi_heif_is_installed() -> None:
    pytest.importorskip("pi_heif")
    decoded = decode(HEIC, 32)
    assert (decoded.width, decoded.height) == (64, 32)
    rows = decoded.pixels.mean(axis=(1, 2))
    assert rows[0] < 20
    assert 100 < rows[-1] < 140
    with pytest.raises(NotAPhoto, match="damaged|not an image"):
        decode(HEIC[:300], 32)


def test_heic_without_pi_heif_gives_a_one_line_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(NotAPhoto, match="HEIC needs pi-heif: run `pip install"):
        decode(HEIC, 32)
