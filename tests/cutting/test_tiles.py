"""Cutting annotated photos into labelled tiles."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from surface_crack.cutting.outlines import Marks, read_labels
from surface_crack.cutting.rule import label_of
from surface_crack.cutting.tiles import GROUP_PATTERN, cut
from surface_crack.photos.listing import class_labels, list_photos
from surface_crack.project.errors import DataError
from surface_crack.splitting.groups import pattern_keys

SIDE, ROWS, COLUMNS = 64, 3, 4
CRACK = [(70, 100), (180, 110)]  # through tiles 6 and 7 of a grid that starts at (2, 3)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Two photos of 260 x 198 pixels, one of them with a crack."""
    for name in ("cracked", "uncracked"):
        image = Image.effect_noise((260, 198), 20).convert("RGB")
        if name == "cracked":
            ImageDraw.Draw(image).line(CRACK, (0, 0, 0), 3)
        (tmp_path / "site").mkdir(exist_ok=True)
        image.save(tmp_path / f"site/{name}.png")
    return tmp_path / "site"


def masks(folder: Path) -> Path:
    folder.mkdir()
    for name in ("cracked", "uncracked"):
        mask = Image.new("L", (260, 198))
        if name == "cracked":
            ImageDraw.Draw(mask).line(CRACK, 255, 3)
        mask.save(folder / f"{name}.png")
    return folder


def yolo(folder: Path) -> Path:
    """YOLO boxes; the uncracked photo has no file."""
    folder.mkdir()
    (left, top), (right, bottom) = CRACK
    middle = (left + right) / 2 / 260, (top + bottom) / 2 / 198
    shares = *middle, (right - left) / 260, (bottom - top) / 198
    (folder / "cracked.txt").write_text("0 " + " ".join(f"{x:.6f}" for x in shares) + "\n")
    return folder


def outlined(folder: Path) -> Path:
    """YOLO polygons."""
    folder.mkdir()
    (left, top), (right, bottom) = CRACK
    corners = [(left, top - 1), (right, bottom - 1), (right, bottom + 1), (left, top + 1)]
    shares = [share for x, y in corners for share in (x / 260, y / 198)]
    (folder / "cracked.txt").write_text("0 " + " ".join(f"{x:.6f}" for x in shares) + "\n")
    return folder


def coco(folder: Path, **more: object) -> Path:
    (left, top), (right, bottom) = CRACK
    content = {
        "images": [
            {"id": 7, "file_name": "site/cracked.png"},
            {"id": 8, "file_name": "site/uncracked.png"},
        ],
        "categories": [{"id": 1, "name": "spalling"}, {"id": 2, "name": "Crack"}],
        "annotations": [
            {"image_id": 7, "category_id": 2, "bbox": [left, top, right - left, bottom - top]},
            {"image_id": 8, "category_id": 1, "bbox": [0, 0, 200, 150]},
        ],
    }
    folder.mkdir(exist_ok=True)
    file = folder / "labels.json"
    file.write_text(json.dumps(content | more))
    return file


@pytest.mark.parametrize("labels", [masks, yolo, outlined, coco])
def test_tiles_of_both_classes_without_ambiguous_ones(
    site: Path, tmp_path: Path, labels: Callable[[Path], Path]
) -> None:
    out = tmp_path / "raw/tiles.zip"
    cut([site], labels(tmp_path / "labels"), out, SIDE)
    with zipfile.ZipFile(out) as archive:
        names = archive.namelist()
        for name in names:
            with archive.open(name) as file:
                assert Image.open(file).size == (SIDE, SIDE)
    cracked = {"Cracked/site_cracked-6.jpg", "Cracked/site_cracked-7.jpg"}
    assert {name for name in names if name.startswith("Cracked")} == cracked
    negatives = {name for name in names if name.startswith("Non-cracked/site_uncracked")}
    assert len(negatives) == ROWS * COLUMNS
    assert "Non-cracked/site_cracked-1.jpg" in names
    listing = list_photos(out, class_labels(["Non-cracked"], ["Cracked"]))
    photos = [photo.path for photo in listing.photos]
    keys = pattern_keys(GROUP_PATTERN, ["tiles"] * len(photos), photos)
    assert len(set(keys)) == 2
    assert None not in keys


def test_the_same_photos_give_the_same_bytes(site: Path, tmp_path: Path) -> None:
    labels = masks(tmp_path / "labels")
    for name in ("one.zip", "two.zip"):
        cut([site], labels, tmp_path / name, SIDE)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


@pytest.mark.parametrize(
    ("line", "label"),
    [
        ([(10, 32), (54, 32)], 1),  # most of the tile's width
        ([(28, 32), (36, 32)], None),  # a speck
        ([(0, 2), (63, 2)], None),  # along the edge
        ([(-9, -9), (-2, -9)], 0),  # beside it
        ([(0, -2), (63, -2)], None),  # too close
        ([(5, 5), (60, 60)], 1),
    ],
)
def test_labels_of_tiles_from_masks(line: list[tuple[int, int]], label: int | None) -> None:
    mask = Image.new("1", (164, 164))
    ImageDraw.Draw(mask).line([(x + 50, y + 50) for x, y in line], 1, 1)
    marks = Marks(np.asarray(mask), [])
    assert label_of(marks, 50, 50, 64) == label


@pytest.mark.parametrize(
    ("box", "label"),
    [
        ((-200, 30, 300, 36), 1),  # a long crack through the tile
        ((20, 20, 44, 44), 1),  # a small one, all of it inside
        ((-200, -200, 300, 300), None),  # somewhere in a large box
        ((50, 30, 300, 36), None),  # its end
        ((70, 30, 300, 36), 0),
        ((65, 30, 300, 36), None),
    ],
)
def test_labels_of_tiles_from_boxes(
    box: tuple[float, float, float, float], label: int | None
) -> None:
    assert label_of(Marks(None, [box]), 0, 0, 64) == label


def test_unusable_labels_are_one_line_errors(site: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    crooked = yolo(tmp_path / "crooked")
    (crooked / "cracked.txt").write_text("0 0.5 0.5 0.1\n")
    mixed = masks(tmp_path / "mixed")
    (mixed / "cracked.txt").write_text("")
    runs = [{"image_id": 7, "category_id": 2, "segmentation": {"counts": [1]}, "bbox": [0] * 4}]
    for labels, crack, message in (
        (tmp_path / "nowhere", [], "nowhere does not exist: give a folder of masks"),
        (site / "cracked.png", [], "is neither a folder nor a .json file: give"),
        (empty, [], "empty holds neither masks"),
        (mixed, [], "holds both masks and text files: give a folder of one kind"),
        (
            crooked,
            [],
            "cracked.txt is not a YOLO file: a line needs 4 numbers or at least 3 pairs, got 3",
        ),
        (yolo(tmp_path / "yolo"), ["3"], "has no class '3', only 0"),
        (
            coco(tmp_path / "a", images=[{"id": 1}]),
            [],
            "is not a COCO file: 'file_name' is missing",
        ),
        (
            coco(tmp_path / "b", annotations=runs),
            [],
            "run-length encoded masks are not supported: export polygons",
        ),
        (
            coco(tmp_path / "c", categories=[{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]),
            [],
            "has the classes a, b: name those of cracks by --crack",
        ),
    ):
        with pytest.raises(DataError, match=message):
            cut([site], labels, tmp_path / "out.zip", SIDE, crack)
    assert not (tmp_path / "out.zip").exists()


def test_photos_that_cannot_be_cut_are_logged(
    site: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    labels = masks(tmp_path / "labels")
    Image.new("L", (99, 99)).save(labels / "small.png")
    Image.new("L", (99, 99), 255).save(labels / "white.png")
    for name in ("small", "white", "unknown"):
        Image.new("RGB", (64 if name == "small" else 99, 99)).save(site / f"{name}.jpg")
    cut([site], labels, tmp_path / "out.zip", SIDE)
    assert "small.jpg (its mask" in caplog.text
    assert "has 99 x 99 pixels, not 64 x 99)" in caplog.text
    assert "white.png is 100 % crack: black must mean no crack)" in caplog.text
    assert "the masks of --labels have no label named 'unknown')" in caplog.text
    assert "tiles from 2 photos, " in caplog.text
    with pytest.raises(DataError, match=r"out.zip already exists: give another name"):
        cut([site], labels, tmp_path / "out.zip", SIDE)
    with pytest.raises(
        DataError, match="photos give no tile of 2048 pixels.* are less than a tile"
    ):
        cut([site], labels, tmp_path / "large.zip", 2048)
    with pytest.raises(DataError, match=r"--out must end in .zip, got tiles"):
        cut([site], labels, Path("tiles"), SIDE)
    (site / "more").mkdir()
    Image.new("RGB", (99, 99)).save(site / "more/uncracked.jpg")
    with pytest.raises(
        DataError, match="several photos are called 'uncracked', and labels are matched by that"
    ):
        cut([site], labels, tmp_path / "large.zip", SIDE)


def test_a_photo_without_a_text_file_has_no_crack(tmp_path: Path) -> None:
    labels = read_labels(yolo(tmp_path / "yolo"), ["cracked", "uncracked"], [])
    assert labels.of("uncracked", 99, 99) == Marks(None, [])
    assert labels.of("elsewhere", 99, 99) is None
