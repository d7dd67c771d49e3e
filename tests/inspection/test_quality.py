"""The quality check: unfit photos are flagged, good ones are not."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from matplotlib import get_data_path
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter
from sklearn.datasets import load_sample_image

from surface_crack.inspection.photo import Settings, inspect_photo
from surface_crack.inspection.quality import flags, measure_patches
from surface_crack.project import paths
from surface_crack.sample.photo import draw
from surface_crack.scoring.scorer import Scorer, load_scorer
from tests.inspection.test_run import SCORER, quiet
from tests.support.makers import encoded
from tests.support.odd_files import png

MEAN, STD = (150, 148, 145), (32, 31, 32)  # of the synthetic sample


def seen(photo: Image.Image, size: int = 64) -> NDArray[np.uint8]:
    return np.asarray(photo.resize((size, size), Image.Resampling.BILINEAR))


@pytest.fixture(scope="module")
def photos() -> list[Image.Image]:
    return [Image.fromarray(draw(0, number)[0]) for number in range(30)]


def test_training_like_photos_have_no_flags(photos: list[Image.Image]) -> None:
    assert [flags(seen(photo), 64, MEAN, STD) for photo in photos] == [[]] * len(photos)


def test_each_flag_has_its_cause(photos: list[Image.Image]) -> None:
    for photo in photos:
        blurred = photo.filter(ImageFilter.GaussianBlur(10))
        assert "blurred" in flags(seen(blurred), 64, MEAN, STD)
        dark = ImageEnhance.Brightness(photo).enhance(0.15)
        assert "dark" in flags(seen(dark), 64, MEAN, STD)
        bright = ImageEnhance.Brightness(photo).enhance(6)
        assert "bright" in flags(seen(bright), 64, MEAN, STD)
        assert "small" in flags(seen(photo)[:47], 64, MEAN, STD)
        assert "small" not in flags(seen(photo)[:48], 64, MEAN, STD)
        assert flags(seen(photo), 64, MEAN, STD, faint=True) == ["faint"]
        red = np.asarray(photo) // (1, 4, 4)
        assert "unlike" in flags(seen(Image.fromarray(red.astype(np.uint8))), 64, MEAN, STD)


def test_faint_photos_are_flagged_and_not_clean() -> None:
    """12-bit noise in 16 bits, in which this scorer finds no crack."""
    pixels = np.random.default_rng(0).integers(1900, 2900, (400, 500), np.uint16)
    scorer = Scorer(**{**vars(SCORER), "run": quiet})
    for chunks, verdict in (([], "cannot tell"), ([(b"sBIT", b"\x0c")], "clean")):
        found, _ = inspect_photo(scorer, png(pixels, *chunks), Settings(0.5))
        assert found.verdict == verdict
        assert ("faint" in found.flags) == (verdict == "cannot tell")
    pixels[180:220, 100:400] = 0  # a crack for SCORER
    for chunks, verdict in (([], "cannot tell"), ([(b"sBIT", b"\x0c")], "crack")):
        assert inspect_photo(SCORER, png(pixels, *chunks), Settings(0.5))[0].verdict == verdict


def test_unusual_contrast_is_unlike() -> None:
    board = (
        np.indices((64, 64)).sum(axis=0) // 8 % 2 * 250 + np.arange(64) % 5
    )  # the variation keeps it from counting as a drawing
    pixels = np.repeat(board[..., None], 3, axis=2).astype(np.uint8)
    assert flags(pixels, 64, (128, 128, 128), (50, 50, 50)) == ["unlike"]
    assert flags(pixels, 64, (128, 128, 128), (60, 60, 60)) == []


def test_one_sharp_edge_does_not_make_a_photo_sharp() -> None:
    grey = np.full((256, 256, 3), 100, np.uint8)
    grey[:, 128:] = 200
    assert np.median(measure_patches(grey, 64).detail) == 0
    noise = np.random.default_rng(0).normal(100, 5, (256, 256, 1)).round().astype(np.uint8)
    found = measure_patches(noise.repeat(3, axis=2), 64).detail
    assert np.median(found) == pytest.approx(5 * 20**0.5, rel=0.05)  # variance times 4 * 4 + 4


@pytest.mark.parametrize("shape", [(1, 1), (2, 300), (300, 1)])
def test_tiny_photos_are_flagged_small(shape: tuple[int, int]) -> None:
    assert "small" in flags(np.full((*shape, 3), 150, np.uint8), 64, MEAN, STD)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "most"), [("metu", 0.01), ("sdnet", 0.03)])
def test_few_real_photos_are_flagged(real_data: Path, name: str, most: float) -> None:
    """With METU's statistics, so SDNET2018 stands for photos of other sites."""
    mean, std = (176.6, 171.6, 163.1), (33.0, 32.0, 31.7)
    flagged = blurred = 0
    with ZipFile(real_data / f"{name}.zip") as archive:
        names = sorted(path for path in archive.namelist() if path.endswith(".jpg"))
        chosen = np.random.default_rng(0).choice(len(names), 600, replace=False)
        for number in chosen:
            photo = Image.open(BytesIO(archive.read(names[number]))).convert("RGB")
            flagged += bool(flags(seen(photo), 64, mean, std))
            soft = photo.filter(ImageFilter.GaussianBlur(10))
            blurred += "blurred" in flags(seen(soft), 64, mean, std)
    assert flagged <= most * 600
    assert blurred >= 0.5 * 600  # the others have cracks and joints strong enough to remain visible


def lawn() -> Image.Image:
    draw = np.random.default_rng(0)
    blades = draw.normal(0, 1, (600, 800, 1)) * (25, 30, 20) + (60, 110, 40)
    pixels = (blades + draw.normal(0, 12, (600, 800, 3))).clip(0, 255)
    return Image.fromarray(pixels.astype(np.uint8))


def web_page() -> Image.Image:
    page = Image.new("RGB", (1280, 900), (248, 248, 248))
    pen = ImageDraw.Draw(page)
    pen.rectangle((0, 0, 1280, 70), fill=(30, 60, 120))
    for line in range(36):
        pen.text((60, 90 + 22 * line), "No cracks were found in this text. " * 5, (30, 30, 30))
    return page


def face() -> Image.Image:
    """Grace Hopper, a public-domain photo that comes with matplotlib."""
    with Image.open(Path(get_data_path()) / "sample_data/grace_hopper.jpg") as photo:
        return photo.convert("RGB")


def temple() -> Image.Image:
    return Image.fromarray(load_sample_image("china.jpg"))


def flower() -> Image.Image:
    return Image.fromarray(load_sample_image("flower.jpg"))


@pytest.mark.parametrize("picture", [lawn, web_page, face, temple, flower])
@pytest.mark.parametrize("model", ["default", "general"])
def test_photos_of_other_things_are_unlike_and_get_no_verdict(
    picture: Callable[[], Image.Image], model: str
) -> None:
    scorer = load_scorer(paths.GENERAL) if model == "general" else SCORER
    found, _ = inspect_photo(scorer, encoded(picture(), "PNG"), Settings(scorer.threshold))
    assert "unlike" in found.flags
    assert found.verdict == "cannot tell"


def certain(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Stands for a network that reports a crack in every patch."""
    return np.ones((len(pixels), *((side - 64) // 8 + 1 for side in pixels.shape[1:3])), np.float32)


@pytest.mark.parametrize("side", [64, 300, 1200])
def test_a_black_photo_gets_no_verdict(side: int) -> None:
    scorer = Scorer(**{**vars(SCORER), "run": certain})
    noise = np.random.default_rng(0).integers(0, 20, (side, side, 3), np.uint8)
    found, _ = inspect_photo(scorer, png(noise), Settings(0.5))
    assert "dark" in found.flags
    assert found.verdict == "cannot tell"


def test_a_crack_in_a_usable_part_of_a_flagged_photo_counts() -> None:
    """The photo is dark except for one part."""
    pixels = np.random.default_rng(0).integers(0, 20, (1024, 1024, 1), np.uint8).repeat(3, axis=2)
    scorer = Scorer(**{**vars(SCORER), "run": certain})
    found, _ = inspect_photo(scorer, png(pixels), Settings(0.5))
    assert (found.verdict, found.flags) == ("cannot tell", ["dark"])
    pixels[256:384, 256:384] = np.random.default_rng(1).integers(120, 180, (128, 128, 1))
    found, _ = inspect_photo(scorer, png(pixels), Settings(0.5))
    assert (found.verdict, found.flags) == ("crack", ["dark"])
