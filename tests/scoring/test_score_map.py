"""Whole photos: every pixel is scored, each patch as if it were a file of its own."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from surface_crack.dataset import Subset
from surface_crack.network.cracknet import CrackNet
from surface_crack.network.training import predict
from surface_crack.photos.decode import decode, decode_photo
from surface_crack.scoring.score_map import pad_mirrored, scale_of, scaled, score_photo
from surface_crack.scoring.scorer import Scorer
from tests.support.makers import LIMITS, encoded
from tests.support.networks import DECISION, random_cracknet, scorer_of, spread


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    return scorer_of(tmp_path_factory.mktemp("model"), sensitive_to(photo_of(300, 300)))


def photo_of(width: int, height: int) -> NDArray[np.uint8]:
    """A photo with smooth and coarse structure, which reveals a shift or another filter."""
    draw = np.random.default_rng(width * height)
    coarse = draw.integers(0, 256, (height // 9 + 2, width // 9 + 2, 3), np.uint8)
    large = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(large)


def sensitive_to(photo: NDArray[np.uint8], normalise: str = "dataset") -> CrackNet:
    """A network whose scores differ widely between the photo's corners."""
    corners = [photo[:64, :64], photo[-64:, :64], photo[:64, -64:], photo[-64:, -64:]]
    return spread(random_cracknet(8, normalise), np.stack(corners))


def evaluated(model: CrackNet, patch: NDArray[np.uint8], size: int) -> float:
    """P(crack) that `prepare` and `evaluate` would give a file of this patch."""
    pixels = decode(encoded(Image.fromarray(patch), "PNG"), size, LIMITS.max_pixels).pixels
    one = np.zeros(1, np.int64)
    return float(DECISION.probabilities(predict(model, Subset(pixels[None], one, one)))[0])


@pytest.mark.parametrize(
    ("normalise", "side", "tolerance"),
    [
        ("dataset", 64, 1e-4),  # as large as the network's input
        ("photo", 64, 1e-4),
        ("dataset", 128, 0.01),  # the filter reaches into the neighbouring patch
        ("dataset", 227, 0.01),  # as METU's photos: not a multiple of the network's input
    ],
)
def test_a_patch_in_a_photo_scores_as_a_file_of_its_own(
    tmp_path: Path, normalise: str, side: int, tolerance: float
) -> None:
    photo = photo_of(4 * side + 33, 3 * side + 50)
    model = sensitive_to(photo, normalise)
    scorer = scorer_of(tmp_path, model, photo_side=side)
    tops, lefts = side * np.arange(3.0), side * np.arange(4.0)
    found = score_photo(scorer, photo)
    alone = np.array(
        [
            [
                evaluated(model, photo[top : top + side, left : left + side], scorer.patch)
                for left in lefts.astype(int)
            ]
            for top in tops.astype(int)
        ]
    )
    assert np.ptp(alone) > 20 * tolerance  # else the comparison would mean nothing
    rows, columns = (
        np.abs(places - wanted[:, None]).argmin(axis=1)  # of the patches that start nearest
        for places, wanted in ((found.tops, tops), (found.lefts, lefts))
    )
    np.testing.assert_allclose(found.probability[np.ix_(rows, columns)], alone, atol=tolerance)
    assert found.patch == pytest.approx(side)


def test_a_file_of_one_patch_scores_as_in_evaluate(tmp_path: Path) -> None:
    """Also a JPEG, which libjpeg downscales while it decodes."""
    photo = photo_of(227, 227)
    model = sensitive_to(photo)
    scorer = scorer_of(tmp_path, model, photo_side=227)
    image = Image.fromarray(photo)
    for content in (encoded(image, "PNG"), encoded(image, quality=90)):
        opened = decode_photo(content, scale_of(scorer))
        found = score_photo(scorer, opened.image, size=(opened.width, opened.height))
        one = np.zeros(1, np.int64)
        part = Subset(decode(content, 64, LIMITS.max_pixels).pixels[None], one, one)
        alone = DECISION.probabilities(predict(model, part))
        np.testing.assert_allclose(found.probability, alone[None], atol=1e-4)


@pytest.mark.parametrize("width", [1, 2, 7, 63, 64, 65, 71, 72, 100, 227, 228, 500])
@pytest.mark.parametrize("patch_px", [64, 100, 227])
def test_every_pixel_lies_in_a_patch(scorer: Scorer, width: int, patch_px: float) -> None:
    height = 40 + width % 50
    found = score_photo(scorer, photo_of(width, height), patch_px)
    assert found.probability.shape == (len(found.tops), len(found.lefts))
    for places, side in ((found.tops, height), (found.lefts, width)):
        assert places[0] == 0
        assert places[-1] + patch_px >= side - 1e-6
        assert places[-1] < side
        assert np.diff(places).max(initial=0) <= patch_px
    assert np.isfinite(found.probability).all()


class Darkest:
    """Stands for a network that detects any dark pixel: 1 if a patch contains one."""

    def __init__(self, patch: int, step: int) -> None:
        self.patch, self.step = patch, step

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        windows = np.lib.stride_tricks.sliding_window_view(
            pixels.min(axis=3), (self.patch, self.patch), axis=(1, 2)
        )
        lowest = windows[:, :: self.step, :: self.step].min(axis=(3, 4))
        seen: NDArray[np.float32] = (lowest < 180).astype(np.float32)
        return seen


@pytest.mark.parametrize(
    ("width", "height"), [(1, 1), (3, 2), (5, 300), (47, 49), (130, 97), (301, 299), (450, 350)]
)
def test_a_crack_in_any_corner_or_at_any_edge_is_found(
    scorer: Scorer, width: int, height: int
) -> None:
    """A crack as small as one model pixel is found at any position."""
    blank = Scorer(**{**vars(scorer), "run": Darkest(scorer.patch, scorer.step)})
    patch_px = 2 * scorer.patch
    photo = np.full((height, width, 3), 200, np.uint8)
    assert not score_photo(blank, photo, patch_px).probability.any()
    for top in (0, height // 2, height - 2):
        for left in (0, width // 2, width - 2):
            planted = photo.copy()
            planted[max(top, 0) : top + 2, max(left, 0) : left + 2] = 0
            found = score_photo(blank, planted, patch_px)
            rows, columns = np.nonzero(found.probability)
            assert len(rows), (top, left)
            # Positive patches contain the crack; filter and mirrored pixels reach a bit further.
            near = 2 * scorer.step
            assert (found.tops[rows] <= top + near).all()
            assert (found.tops[rows] + patch_px >= min(top, height - near)).all()
            assert (found.lefts[columns] <= left + near).all()


def test_the_scale_is_exact_and_the_remainder_is_kept() -> None:
    image = Image.fromarray(photo_of(101, 60))
    exact = np.asarray(image.resize((25, 15), Image.Resampling.BILINEAR, (0, 0, 100, 60)))
    pixels = scaled(image, 0.25, image.size)
    assert pixels.shape == (15, 26, 3)
    np.testing.assert_array_equal(pixels[:, :25], exact)
    last = image.resize((1, 15), Image.Resampling.BILINEAR, (97, 0, 101, 60))
    np.testing.assert_array_equal(pixels[:, 25:], np.asarray(last))
    np.testing.assert_array_equal(scaled(image, 1, image.size), np.asarray(image))
    assert scaled(image, 0.001, image.size).shape == (1, 1, 3)
    assert scaled(image, 2, image.size).shape == (120, 202, 3)


def test_mirroring_adds_no_more_than_needed() -> None:
    pixels = photo_of(70, 64)
    assert pad_mirrored(pixels, 64, 8).shape == (64, 72, 3)
    np.testing.assert_array_equal(pad_mirrored(pixels, 64, 8)[:, 70:], pixels[:, :67:-1])
    assert pad_mirrored(pixels[:5, :1], 64, 8).shape == (64, 64, 3)


def test_a_jpeg_downscaled_in_decoding_keeps_its_positions(scorer: Scorer) -> None:
    smooth = Image.fromarray(photo_of(200, 150)).resize((801, 603), Image.Resampling.BICUBIC)
    content = encoded(smooth, quality=95)
    half = decode_photo(content, 0.3)
    assert half.image.size == (501, 377)  # five eighths of 801 x 603, rounded up
    assert half[1:3] == (801, 603)
    full = decode_photo(content)
    assert full.image.size == (801, 603)
    one, other = (scaled(opened.image, 0.3, (801, 603)).astype(int) for opened in (full, half))
    off = np.abs(one - other).mean()
    assert (
        off < np.abs(one[:, 1:] - other[:, :-1]).mean() / 3
    )  # a third of the effect of a shift by one pixel
    found = [
        score_photo(scorer, opened.image, scorer.patch / 0.3, (801, 603)) for opened in (full, half)
    ]
    np.testing.assert_array_equal(found[0].tops, found[1].tops)
    np.testing.assert_array_equal(found[0].lefts, found[1].lefts)
