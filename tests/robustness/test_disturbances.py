"""Disturbances: known results, and what they must not change."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from surface_crack.photos.decode import resized
from surface_crack.robustness.disturbances import (
    DISTURBANCES,
    blurred,
    compressed,
    exposed,
    flattened,
    noisy,
    quarters,
    rotated,
    views,
    zoomed_out,
)
from tests.support.makers import encoded, picture

PHOTO = picture(0, side=49, crack=True).crop((0, 0, 49, 40))  # not square, one side odd
GREY = Image.new("RGB", (64, 48), (120, 130, 140))
LEVELS = [(kind, strength) for kind, of in DISTURBANCES.items() for strength in of.strengths]


def pixels(image: Image.Image) -> NDArray[np.int64]:
    return np.asarray(image).astype(np.int64)


@pytest.mark.parametrize(
    "neutral",
    [
        lambda photo: blurred(photo, 0),
        lambda photo: noisy(photo, 0, 1),
        lambda photo: exposed(photo, 100),
        lambda photo: flattened(photo, 100),
        lambda photo: rotated(photo, 0),
        lambda photo: zoomed_out(photo, 100),
    ],
)
def test_neutral_strength_changes_nothing(neutral: Callable[[Image.Image], Image.Image]) -> None:
    assert (pixels(neutral(PHOTO)) == pixels(PHOTO)).all()


@pytest.mark.parametrize(("kind", "strength"), LEVELS)
def test_each_disturbance_is_reproducible_and_leaves_its_input_unchanged(
    kind: str, strength: int
) -> None:
    photo = PHOTO.copy()
    first = views(photo, kind, strength, 7)
    assert (pixels(photo) == pixels(PHOTO)).all()
    again = views(photo, kind, strength, 7)
    assert [x.tobytes() for x in first] == [x.tobytes() for x in again]
    assert {x.mode for x in first} == {"RGB"}
    assert len(first) == (4 if (kind, strength) == ("scale", 200) else 1)
    if kind != "scale":
        assert first[0].size == PHOTO.size
    assert (resized(first[0], 32) != resized(PHOTO, 32)).any()


@pytest.mark.parametrize("kind", [kind for kind in DISTURBANCES if kind != "scale"])
def test_higher_strength_changes_more(kind: str) -> None:
    smooth = PHOTO.resize((128, 128), Image.Resampling.BICUBIC)
    off = [
        np.abs(pixels(views(smooth, kind, strength, 7)[0]) - pixels(smooth)).mean()
        for strength in DISTURBANCES[kind].strengths
    ]
    assert len(off) == 3
    assert off == sorted(off)


def test_blur_does_not_depend_on_the_resolution() -> None:
    wide = PHOTO.resize((800, 600), Image.Resampling.BICUBIC)
    small = wide.resize((200, 150), Image.Resampling.BOX)
    difference = resized(blurred(wide, 4), 32).astype(int) - resized(blurred(small, 4), 32)
    assert np.abs(difference).max() <= 3


def test_blur_has_the_given_sigma() -> None:
    line = Image.new("RGB", (101, 301))
    line.paste((250, 250, 250), (50, 0, 51, 301))
    profile = pixels(blurred(line, 4))[150, :, 0] / 250  # of the shorter side: 4 pixels
    assert np.sqrt((profile * (np.arange(101) - 50) ** 2).sum() / profile.sum()) == pytest.approx(
        4.04, rel=0.1
    )


def test_noise_has_the_given_seed_and_standard_deviation() -> None:
    noise = pixels(noisy(GREY, 20, 1)) - pixels(GREY)
    assert noise.std() == pytest.approx(20, rel=0.05)
    assert abs(noise.mean()) < 1
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.1
    assert (pixels(noisy(GREY, 20, 2)) != pixels(noisy(GREY, 20, 1))).any()
    assert np.abs(pixels(noisy(GREY, 10, 1)) - pixels(GREY) - noise / 2).max() <= 1
    assert pixels(noisy(Image.new("RGB", (64, 48)), 40, 1)).max() < 220  # clipped, not wrapped


def test_exposure_scales_and_clips_values() -> None:
    assert pixels(exposed(GREY, 50))[0, 0].tolist() == [60, 65, 70]
    assert pixels(exposed(GREY, 200))[0, 0].tolist() == [240, 255, 255]
    dark = pixels(exposed(PHOTO, 25))
    assert dark.mean() == pytest.approx(pixels(PHOTO).mean() / 4, rel=0.01)


def test_contrast_keeps_the_mean() -> None:
    flat = pixels(flattened(PHOTO, 40))
    assert flat.mean() == pytest.approx(pixels(PHOTO).mean(), abs=0.5)
    assert flat.std() == pytest.approx(0.4 * pixels(PHOTO).std(), rel=0.02)


def test_jpeg_equals_that_of_pillow() -> None:
    buffer = encoded(PHOTO, quality=20)
    assert len(buffer) < len(encoded(PHOTO, quality=60))
    assert (pixels(compressed(PHOTO, 20)) == pixels(Image.open(BytesIO(buffer)))).all()


@pytest.mark.parametrize("degrees", [15, 30, 45, 77, 90, 180, -45])
@pytest.mark.parametrize("size", [(64, 48), (48, 64), (33, 33), (200, 20)])
def test_rotation_keeps_the_size_and_leaves_no_black_corners(
    degrees: float, size: tuple[int, int]
) -> None:
    grey = Image.new("RGB", size, (120, 130, 140))
    assert (pixels(rotated(grey, degrees)) == pixels(grey)).all()


def test_rotation_by_90_and_180_degrees_is_exact() -> None:
    square = PHOTO.crop((0, 0, 40, 40))
    rotated_exactly = square.transpose(Image.Transpose.ROTATE_90)
    assert (pixels(rotated(square, 90)) == pixels(rotated_exactly)).all()
    upside_down = PHOTO.transpose(Image.Transpose.ROTATE_180)
    assert (pixels(rotated(PHOTO, 180)) == pixels(upside_down)).all()


def test_zooming_out_pads_the_photo_with_mirrored_copies() -> None:
    out = pixels(zoomed_out(PHOTO, 50))
    assert out.shape == (80, 97, 3)  # 49 / 2 is rounded
    photo = pixels(PHOTO)
    assert (out[20:60, 24:73] == photo).all()
    assert (out[:20, 24:73] == photo[:20][::-1]).all()
    assert (out[20:60, 73:] == photo[:, -24:][:, ::-1]).all()


def test_quarters_cover_the_photo() -> None:
    parts = quarters(PHOTO)
    assert {part.size for part in parts} == {(25, 20)}
    left, right = pixels(parts[0]), pixels(parts[1])
    assert (np.concatenate([left, right[:, 1:]], axis=1) == pixels(PHOTO)[:20]).all()
    left, right = pixels(parts[2]), pixels(parts[3])
    assert (np.concatenate([left, right[:, 1:]], axis=1) == pixels(PHOTO)[20:]).all()


def test_an_unknown_disturbance_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="no disturbance 'rain'"):
        views(PHOTO, "rain", 1, 0)
