"""`surface-crack inspect`: inputs, outputs, resumed runs and error messages."""

import csv
import errno
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from surface_crack.cli import parser
from surface_crack.evaluation.calibration import read_decision
from surface_crack.inspection import run
from surface_crack.inspection.folder import picture_paths, record_path
from surface_crack.inspection.gps import position
from surface_crack.inspection.inputs import Item, list_inputs
from surface_crack.inspection.model_facts import score_rows
from surface_crack.inspection.photo import Settings, inspect_photo, patch_sides
from surface_crack.inspection.records import remove_other_records
from surface_crack.network.model_file import load_model
from surface_crack.photos.decode import NotAPhoto
from surface_crack.project.errors import DataError
from surface_crack.scoring.dense import Patches
from surface_crack.scoring.scorer import Scorer, load_scorer
from tests.photos.test_decode import HEIC
from tests.support.makers import encoded, jpeg, picture, write_folder, write_zip
from tests.support.networks import random_cracknet, save_network
from tests.support.project import Project

PHOTOS = 500  # in the test of a killed run
MODEL = "crack.safetensors"
COMMAND = (sys.executable, "-c", "from surface_crack.cli import main; main()", "inspect")


@pytest.fixture(scope="module")
def model(finished: Project) -> Path:
    return finished.root / "models/crack.safetensors"


def command(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run the command in `folder`; return (exit code, standard error)."""
    done = subprocess.run((*COMMAND, *arguments), cwd=folder, capture_output=True, text=True)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr


def inspect(*arguments: str) -> str:
    """Run the command in this process and folder; return the error's text, or ''."""
    try:
        parsed = parser().parse_args(["inspect", *arguments])
        parsed.run(parsed)
    except DataError as error:
        return str(error)
    return ""


@pytest.fixture(autouse=True)
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)  # the command sets one thread for the whole process


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def content(out: Path) -> dict[str, bytes]:
    """All files of a report that must not vary between runs."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != "times.csv"
    }


def located(number: int) -> bytes:
    """A photo with a position in EXIF: 41 deg 30' S, 12 deg 15' 36'' W."""
    exif = Image.Exif()
    exif[ExifTags.IFD.GPSInfo] = {1: "S", 2: (41.0, 30.0, 0.0), 3: "W", 4: (12.0, 15.0, 36.0)}
    return encoded(picture(number, 80), exif=exif)


def difficult_folder(folder: Path) -> Path:
    """Write a folder and a zip with damaged, misplaced and strangely named photos."""
    site = folder / "site"
    files = {
        "a.jpg/inside.jpg": jpeg(1),  # a folder called a.jpg
        "b.jpg": jpeg(2, crack=True),
        "<script>alert(1)</script>.jpg": jpeg(3),
        "broken.jpg": jpeg(4)[:300],
        "empty.png": b"",
        "one.png": encoded(Image.new("RGB", (1, 1), (150, 150, 150)), "PNG"),
        "gps.jpg": located(5),
        "notes.txt": b"no photo",
        ".DS_Store": b"",
        "._b.jpg": b"left by another system",
    }
    write_folder(site, files)
    zipped = {"b.jpg": jpeg(6), "../out.jpg": jpeg(7), "deck/b.jpg": jpeg(8), "x.txt": b""}
    zipped["/top.jpg"] = jpeg(9)
    write_zip(site / "more.zip", zipped)
    return site


def test_difficult_files_are_inspected_or_reported(model: Path, tmp_path: Path) -> None:
    difficult_folder(tmp_path)
    code, errors = command(tmp_path, "site", "--out", "out", "--model", str(model))
    assert code == 1
    assert "error: 4 of 11 photos could not be read, see out/photos.csv; the first is" in errors
    found = {row["name"]: row for row in rows(tmp_path / "out/photos.csv")}
    assert list(found) == [
        *("site/<script>alert(1)</script>.jpg", "site/a.jpg/inside.jpg", "site/b.jpg"),
        *("site/broken.jpg", "site/empty.png", "site/gps.jpg", "site/more.zip/../out.jpg"),
        *("site/more.zip//top.jpg", "site/more.zip/b.jpg", "site/more.zip/deck/b.jpg"),
        "site/one.png",
    ]
    reasons = {name: row["reason"] for name, row in found.items() if row["reason"]}
    assert reasons.keys() == {
        *("site/broken.jpg", "site/empty.png", "site/more.zip/../out.jpg"),
        "site/more.zip//top.jpg",
    }
    assert reasons["site/empty.png"] == "empty file"
    for name in ("../out.jpg", "/top.jpg"):
        assert reasons[f"site/more.zip/{name}"] == "its path escapes the archive"
    one = found["site/one.png"]
    assert (one["width"], one["height"], one["verdict"]) == ("1", "1", "cannot tell")
    assert "small" in one["flags"].split()
    gps = found["site/gps.jpg"]
    assert (gps["longitude"], gps["latitude"]) == ("-12.26", "-41.5")
    for name, row in found.items():
        assert (tmp_path / "out" / row["overlay"]).is_file() == (name not in reasons) or not (
            row["overlay"]
        )
        assert bool(row["overlay"]) == (name not in reasons)
    text = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text


def test_bytes_depend_on_neither_order_nor_jobs(model: Path, tmp_path: Path) -> None:
    site = difficult_folder(tmp_path)
    outs = []
    for number, (inputs, jobs) in enumerate(
        [(("site", "other/more.zip"), 1), (("other/more.zip", "site", "site/b.jpg"), 4)]
    ):
        write_folder(tmp_path, {"other/more.zip": (site / "more.zip").read_bytes()})
        out = tmp_path / f"out-{number}"
        arguments = (*inputs, "--out", out.name, "--model", str(model), "--jobs", str(jobs))
        assert "could not be read" in inspect(*arguments, "--mm-per-px", "0.5")
        outs.append(content(out))
    assert outs[0].keys() == outs[1].keys()
    assert [name for name in outs[0] if outs[0][name] != outs[1][name]] == []
    names = [row["name"] for row in rows(tmp_path / "out-0/photos.csv")]
    assert "other/more.zip/b.jpg" in names
    assert "site/more.zip/b.jpg" in names
    assert len(names) == len(set(names)) == 15


def test_finished_photos_are_not_processed_again(model: Path, tmp_path: Path) -> None:
    write_folder(tmp_path / "site", {f"{n}.jpg": jpeg(n, crack=n % 2 == 0) for n in range(6)})
    out = tmp_path / "site/out"  # inside the input: its pictures must not be inspected

    def done(*more: str) -> list[str]:
        assert inspect("site", "--out", "site/out", "--model", str(model), *more) == ""
        return [row["name"][5:6] for row in rows(out / "times.csv")]

    assert done() == ["0", "1", "2", "3", "4", "5"]
    first = content(out)
    assert done() == []
    assert content(out) == first
    damaged = sorted((out / "results").iterdir())
    damaged[0].write_bytes(damaged[0].read_bytes()[:40])
    sorted((out / "overlays").iterdir())[1].unlink()
    (tmp_path / "site/2.jpg").write_bytes(jpeg(77))
    assert len(done()) == 3
    (tmp_path / "site/2.jpg").write_bytes(jpeg(2, crack=True))
    assert done() == ["2"]
    assert content(out) == first
    assert done("--threshold", "0.9") == ["0", "1", "2", "3", "4", "5"]
    assert done("--threshold", "0.9", "--fresh") == ["0", "1", "2", "3", "4", "5"]
    (tmp_path / "site/5.jpg").unlink()
    assert done("--threshold", "0.9") == []
    left = {path.name[:1] for path in out.glob("*/*") if path.is_file()}
    assert left == {"0", "1", "2", "3", "4"}


def test_a_damaged_zip_in_a_folder_does_not_stop_the_run(model: Path, tmp_path: Path) -> None:
    write_folder(tmp_path / "site", {"a.jpg": jpeg(1), "deck/bad.zip": b"PK"})
    error = inspect("site", "--out", "out", "--model", str(model))
    reason = "not a readable zip (File is not a zip file)"
    assert error == (
        "1 of 2 photos could not be read, see out/photos.csv; the first is 'site/deck/bad.zip' "
        f"({reason})"
    )
    found = {row["name"]: row["reason"] for row in rows(tmp_path / "out/photos.csv")}
    assert found == {"site/a.jpg": "", "site/deck/bad.zip": reason}


def test_a_result_removed_by_another_run_is_a_one_line_error(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path, {"a.jpg": jpeg(1), "b.jpg": jpeg(2)})

    def concurrent(out: Path, items: list[Item]) -> None:
        remove_other_records(out, items[1:])  # as another run without a.jpg would

    monkeypatch.setattr("surface_crack.inspection.run.remove_other_records", concurrent)
    error = inspect("a.jpg", "b.jpg", "--out", "out", "--model", str(model))
    assert error.startswith("the result of 'a.jpg' is missing in out: another run writes there, or")


def test_heic_is_processed_once_its_library_is_installed(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pi_heif")
    write_folder(tmp_path, {"site/a.heic": HEIC, "site/b.jpg": jpeg(1)[:300]})
    options = ("site", "--out", "out", "--model", str(model))
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "pi_heif", None)
        without.setattr("surface_crack.inspection.run.find_spec", lambda _: None)
        assert "run `pip install pi-heif`" in inspect(*options)
    assert inspect(*options).startswith("1 of 2 photos could not be read")
    assert [row["name"] for row in rows(tmp_path / "out/times.csv")] == ["site/a.heic"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere", "--out", "out"), "nowhere does not exist: give photos, folders or zips"),
        (("notes.txt", "--out", "out"), "notes.txt is not a folder, and its name does not end"),
        (("empty", "--out", "out"), "no photo found in empty"),
        (("bad.zip", "--out", "out"), "bad.zip is not a readable zip"),
        (("a.jpg", "--out", "notes.txt"), "notes.txt is a file, or lies below one: choose"),
        (("a.jpg", "--out", "out", "--model", "no.onnx"), "no.onnx is missing: run `make export`"),
    ],
)
def test_usage_errors_are_one_line(
    model: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    write_folder(tmp_path, {"notes.txt": b"", "bad.zip": b"PK", "a.jpg": jpeg(1)})
    (tmp_path / "empty").mkdir()
    if "--model" not in arguments:
        arguments = (*arguments, "--model", str(model))
    error = inspect(*arguments)
    assert message in error
    assert "\n" not in error


def test_log_report_and_geojson_name_the_model_and_why(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a.jpg": jpeg(1)})
    code, log = command(tmp_path, "a.jpg", "--out", "out")
    name = "the general model of this package (no model in models/ here)"
    assert (code, f"model: {name}" in log) == (0, True)
    (row,) = rows(tmp_path / "out/photos.csv")
    assert f"1 photo: 1 {row['verdict']}\n" in log
    assert name in (tmp_path / "out/report.html").read_text()
    assert json.loads((tmp_path / "out/regions.geojson").read_text())["model"] == name


class Darkest:
    """A perfect detector of black cracks: scores a patch by its darkest pixel."""

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        height, width = pixels.shape[1:3]
        scores = [
            [float(pixels[0, y : y + 64, x : x + 64].min() < 60) for x in range(0, width - 63, 8)]
            for y in range(0, height - 63, 8)
        ]
        return np.array([scores], np.float32)


SCORER = Scorer(
    *(64, 128.0, 8, True, 0, 1.0, 0.5, "", "", "", (), (150.0,) * 3, (30.0,) * 3),
    run=Darkest(),
)


@pytest.mark.parametrize("size", [(300, 200), (411, 517), (129, 640), (128, 128)])
@pytest.mark.parametrize("place", [(0, 0), (0, 1), (1, 0), (1, 1), (0.5, 1), (1, 0.5), (0.4, 0.3)])
def test_a_crack_is_found_at_every_edge(size: tuple[int, int], place: tuple[float, float]) -> None:
    width, height = size
    pixels = np.random.default_rng(0).integers(120, 180, (height, width, 3), np.uint8)
    x, y = round(place[0] * (width - 6)), round(place[1] * (height - 6))
    pixels[y : y + 6, x : x + 6] = 0
    content = encoded(Image.fromarray(pixels), "PNG")
    found, _ = inspect_photo(SCORER, content, Settings(0.5))
    assert (found.verdict, found.flags) == ("crack", [])
    (region,) = found.regions.found
    assert region.left <= x + 3 <= region.right
    assert region.top <= y + 3 <= region.bottom
    assert region.area <= 192 * 192  # cells at the edge lie only in patches that extend inwards


@pytest.mark.parametrize(
    ("size", "sides"),
    [
        ((2600, 2000), [128]),  # 5.2 megapixels: full size
        ((2500, 2000), [128, 64]),
        ((1250, 1000), [128, 64, 32]),
        ((100, 100), [128, 64, 32]),  # 16 would be enlarged fourfold
    ],
)
def test_small_photos_are_scored_at_finer_scales(size: tuple[int, int], sides: list[float]) -> None:
    assert patch_sides(SCORER, Settings(0.5), size[0] * size[1]) == sides
    assert patch_sides(SCORER, Settings(0.5, patch_px=99), size[0] * size[1]) == [99]


class Fine:
    """Reports a crack if more than `share` of a patch is bright."""

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        height, width = pixels.shape[1:3]
        found = [
            [
                float((pixels[0, y : y + 64, x : x + 64] > 180).mean() > self.share)
                for x in range(0, width - 63, 8)
            ]
            for y in range(0, height - 63, 8)
        ]
        return np.array([found], np.float32)


@pytest.mark.parametrize(
    ("share", "verdict", "flags"),
    [(0.01, "crack", []), (0.3, "unsure", []), (0.7, "cannot tell", ["scales"]), (1, "clean", [])],
)
def test_a_crack_at_one_scale_is_not_clean(share: float, verdict: str, flags: list[str]) -> None:
    """A bright square of 64 pixels: a quarter of a patch, one patch, or several by scale."""
    pixels = np.random.default_rng(0).integers(120, 160, (512, 512, 1), np.uint8).repeat(3, axis=2)
    pixels[192:256, 192:256] = np.random.default_rng(1).integers(190, 230, (64, 64, 1))
    scorer = Scorer(**{**vars(SCORER), "run": Fine(share)})
    found, _ = inspect_photo(scorer, encoded(Image.fromarray(pixels), "PNG"), Settings(0.45))
    assert (found.verdict, found.flags) == (verdict, flags)
    assert found.patch_sides == [128, 64, 32]


def test_too_small_patches_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("surface_crack.inspection.photo.MAX_PIXELS", 256 * 256)
    content = encoded(picture(1, 128), "PNG")
    assert inspect_photo(SCORER, content, Settings(0.5, patch_px=32))[0].width == 128
    message = "128 x 128 pixels needs a --patch-px of at least 32, got 31.9"
    with pytest.raises(NotAPhoto, match=message):
        inspect_photo(SCORER, content, Settings(0.5, patch_px=31.9))


@pytest.mark.parametrize(
    ("change", "verdict", "flags"),
    [
        ("nothing", "clean", []),
        ("dark", "cannot tell", ["dark"]),
        ("blurred", "cannot tell", ["blurred"]),
        ("small", "cannot tell", ["small"]),
        ("blurred crack", "cannot tell", ["blurred"]),  # no part of it passes the quality check
    ],
)
def test_an_unfit_photo_is_never_clean(change: str, verdict: str, flags: list[str]) -> None:
    pixels = np.random.default_rng(0).integers(120, 180, (400, 500, 3), np.uint8)
    if "dark" in change:
        pixels = np.random.default_rng(0).integers(60, 70, (400, 500, 3), np.uint8) - 22
    if "blurred" in change:
        pixels[:] = 150
    if "crack" in change:
        pixels[200:220, 100:300] = 0
    if change == "small":
        pixels = pixels[:90]
    scorer = Scorer(**{**vars(SCORER), "run": quiet}) if change == "dark" else SCORER
    found, _ = inspect_photo(scorer, encoded(Image.fromarray(pixels), "PNG"), Settings(0.5))
    assert found.verdict == verdict
    assert [flag for flag in found.flags if flag != "unlike"] == flags


def quiet(pixels: np.ndarray) -> np.ndarray:
    height, width = ((side - 64) // 8 + 1 for side in pixels.shape[1:3])
    return np.zeros((1, height, width), np.float32)


def test_one_patch_alone_is_unsure() -> None:
    """The mean over all patches there is low, but the photo is not clean."""

    def once(pixels: np.ndarray) -> np.ndarray:
        scores = quiet(pixels)
        scores[0, 2, 3] = 0.9
        return scores

    pixels = np.random.default_rng(0).integers(120, 180, (400, 500, 3), np.uint8)
    scorer = Scorer(**{**vars(SCORER), "run": once})
    found, _ = inspect_photo(scorer, encoded(Image.fromarray(pixels), "PNG"), Settings(0.5))
    assert (found.regions.found, found.verdict) == ([], "unsure")


def test_regions_are_written_as_geojson(model: Path, tmp_path: Path) -> None:
    """At a threshold near 0, each photo is one region."""
    write_folder(tmp_path, {"site/a.jpg": jpeg(1), "site/b.jpg": jpeg(2), "gps/c.jpg": located(3)})
    options = ("--model", str(model), "--threshold", "0.000001")
    assert inspect("site", "--out", "plain", *options) == ""
    plain = json.loads((tmp_path / "plain/regions.geojson").read_text())
    assert plain["type"] == "FeatureCollection"
    assert "coordinates" not in plain  # RFC 7946, 7.1
    (a, b) = plain["features"]
    assert a["geometry"]["type"] == "Polygon"
    assert a["geometry"]["coordinates"] == [[[0, 0], [48, 0], [48, 48], [0, 48], [0, 0]]]
    assert b["properties"]["name"] == "site/b.jpg"
    assert inspect("site", "gps", "--out", "mixed", *options) == ""
    c, a, _ = json.loads((tmp_path / "mixed/regions.geojson").read_text())["features"]
    assert c["geometry"] == {"type": "Point", "coordinates": [-12.26, -41.5]}
    assert a["geometry"] is None
    assert c["properties"]["box"] == [0, 0, 80, 80]
    (region, *_) = rows(tmp_path / "plain/regions.csv")
    assert (region["left"], region["right"], region["area"]) == ("0", "48", "2304.0")
    assert region["area_mm2"] == ""


def test_damaged_or_unusable_positions_are_none() -> None:
    assert position(located(1)) == (-12.26, -41.5)
    for tags in (
        {1: "N", 2: (91.0, 0.0, 0.0), 3: "E", 4: (1.0, 0.0, 0.0)},
        {1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)},
        {1: "N", 2: (5.0, 0.0, 0.0)},
        {1: "N", 2: (5.0,), 3: "E", 4: (1.0, 0.0, 0.0)},
        {1: "N", 2: (5.0, 0.0, 0.0), 3: "E", 4: (1.0, 0.0, 0.0), 9: "V"},
        {1: "N", 2: (5.0, 0.0, 0.0), 3: "E", 4: (1.0, 0.0, 0.0), 18: "TOKYO"},
    ):
        exif = Image.Exif()
        exif[ExifTags.IFD.GPSInfo] = tags
        assert position(encoded(picture(1), exif=exif)) is None
    assert position(jpeg(1)) is None
    assert position(b"") is None
    for datum in ("WGS-84", "wgs 84", "WGS-1984", "EPSG:4326", ""):
        exif = Image.Exif()
        exif[ExifTags.IFD.GPSInfo] = {1: "N", 2: (5, 0, 0), 3: "E", 4: (1, 0, 0), 9: "A", 18: datum}
        assert position(encoded(picture(1), exif=exif)) == (1, 5)


def test_heic_has_a_position() -> None:
    pytest.importorskip("pi_heif")
    exif = Image.Exif()
    exif[ExifTags.IFD.GPSInfo] = {1: "S", 2: (41.0, 30.0, 0.0), 3: "W", 4: (12.0, 15.0, 36.0)}
    block = b"\0\0\0\6" + exif.tobytes()
    start = HEIC.index(b"\0\0\0\6Exif")  # the file's last 36 bytes
    head = HEIC[:start].replace(b"\0\0\0\x24", len(block).to_bytes(4, "big"))
    box = 73 - 36 + len(block)
    content = head.replace(b"\0\0\0\x49mdat", box.to_bytes(4, "big") + b"mdat") + block
    assert position(content) == (-12.26, -41.5)
    assert position(HEIC) is None


def test_names_are_unique_and_keys_are_file_names(tmp_path: Path) -> None:
    write_folder(tmp_path, {"x/a b/ü.jpg": b"1", "y/a b/ü.jpg": b"2", "x/a b/u.jpg": b"3"})
    inputs = [tmp_path / "x/a b", tmp_path / "y/a b", tmp_path / "x/a b/u.jpg"]
    items = list_inputs(inputs, tmp_path / "out")
    assert [item.name for item in items] == ["x/a b/u.jpg", "x/a b/ü.jpg", "y/a b/ü.jpg"]
    assert items == list_inputs(inputs[::-1], tmp_path / "out")
    keys = [item.key for item in items]
    assert len(set(keys)) == 3
    assert all(key.isascii() and "/" not in key for key in keys)


def test_all_heic_extensions_are_photos(tmp_path: Path) -> None:
    names = ("1.heic", "2.HEIF", "3.hif")
    write_folder(tmp_path / "x", dict.fromkeys(names, b""))
    assert [item.photo.path for item in list_inputs([tmp_path / "x"], tmp_path)] == list(names)


def test_only_pictures_of_a_report_are_excluded_by_folder_name(model: Path, tmp_path: Path) -> None:
    own = {"p/1.jpg": jpeg(1), "p/originals/2.jpg": jpeg(2), "p/a/overlays/3.jpg": jpeg(3)}
    write_folder(tmp_path, own)
    options = ("--model", str(model), "--out")
    for out in ("p", "p/first", "p"):
        assert inspect("p", *options, out) == ""
        assert {row["name"] for row in rows(tmp_path / out / "photos.csv")} == set(own)
    assert inspect("p/originals", *options, "p") == ""  # only the folder itself is listed
    assert [row["name"] for row in rows(tmp_path / "p/photos.csv")] == ["originals/2.jpg"]


def test_pictures_of_a_killed_run_are_not_photos(tmp_path: Path) -> None:
    """The run was killed before it wrote the record."""
    write_folder(tmp_path, {"p/1.jpg": b""})
    (item,) = list_inputs([tmp_path / "p"], tmp_path / "p")
    for path in picture_paths(tmp_path / "p", item.key):
        write_folder(path.parent, {path.name: b""})
    assert list_inputs([tmp_path / "p"], tmp_path / "p") == [item]


def test_files_of_other_programs_are_kept(model: Path, tmp_path: Path) -> None:
    others = {
        "p/results/a.json": b'{"key": "b", "made_from": ""}',
        "p/results/b.json": b"[]",
        "p/results/c.json": b"no JSON",
        "p/overlays/a.jpg": b"",
        "p/originals/b.jpg": b"",
    }
    write_folder(tmp_path, {"site/1.jpg": jpeg(1), **others})
    assert inspect("site", "--out", "p", "--model", str(model)) == ""
    for name, content in others.items():
        assert (tmp_path / name).read_bytes() == content


def test_tables_of_other_programs_are_not_overwritten(model: Path, tmp_path: Path) -> None:
    write_folder(
        tmp_path, {"site/1.jpg": jpeg(1), "p/photos.csv": b"mine", "p/results/a.json": b"1"}
    )
    error = inspect("site", "--out", "p", "--model", str(model))
    assert (
        error == "p/photos.csv already exists and was not written by surface-crack: choose another "
        "--out, or move it"
    )
    assert (tmp_path / "p/photos.csv").read_bytes() == b"mine"
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == ["photos.csv", "results"]


def test_damaged_records_are_written_again(model: Path, tmp_path: Path) -> None:
    write_folder(tmp_path, {"site/1.jpg": jpeg(1)})
    options = ("site", "--out", "out", "--model", str(model))
    assert inspect(*options) == ""
    (result,) = (tmp_path / "out/results").iterdir()
    first = result.read_bytes()
    for content in (b"[]", b"{}", first[:-9]):
        result.write_bytes(content)
        for table in (tmp_path / "out").glob(
            "*.*"
        ):  # without a record they would seem to be another program's
            table.unlink()
        assert inspect(*options) == ""
        assert result.read_bytes() == first


def test_a_changed_program_or_library_processes_photos_again(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path, {"site/1.jpg": jpeg(1)})

    def done() -> int:
        assert inspect("site", "--out", "out", "--model", str(model)) == ""
        return len(rows(tmp_path / "out/times.csv"))

    assert (done(), done()) == (1, 0)
    code = Path(shutil.copytree(run.PACKAGE, tmp_path / "code"))
    with (code / "inspection/quality.py").open("a") as file:
        file.write("# another line\n")
    monkeypatch.setattr(run, "PACKAGE", code)
    assert (done(), done()) == (1, 0)
    monkeypatch.setattr(run, "version", lambda name: f"another {name}")
    assert (done(), done()) == (1, 0)


def test_skipped_files_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = ("a.jpg", "b.jfif", "c.JPE", "d.CR2", "e", "Thumbs.db", ".hidden", "f/._g.jpg")
    write_folder(tmp_path / "site", dict.fromkeys(names, b""))
    write_folder(tmp_path / "site/out", {"results/i.json": b""})
    items = list_inputs([tmp_path / "site"], tmp_path / "site/out")
    assert [item.name for item in items] == ["site/a.jpg", "site/b.jfif", "site/c.JPE"]
    (record,) = caplog.records
    assert record.getMessage() == "2 files skipped, not photos by their names: site/d.CR2, site/e"


def test_photos_keep_the_given_names_behind_links(tmp_path: Path) -> None:
    """git-annex and DVC (cache.type symlink) replace files by links to objects named by hash."""
    objects = write_folder(tmp_path / "site/.git/annex", {"1a": jpeg(1), "2b.jpg": jpeg(2)})
    for name, target in (("a.jpg", "1a"), ("again.jpg", "1a"), ("b.jpg", "2b.jpg")):
        (tmp_path / "site" / name).symlink_to(objects / target)
    write_zip(tmp_path / "store/3c", {"c.jpg": jpeg(3), ".git/d.jpg": jpeg(4)})
    (tmp_path / "site/more.zip").symlink_to(tmp_path / "store/3c")
    (tmp_path / "linked").symlink_to(tmp_path / "site")
    inside = ["a.jpg", "again.jpg", "b.jpg", "more.zip/c.jpg"]
    for folder in ("site", "linked"):
        items = list_inputs([tmp_path / folder], tmp_path / "out")
        assert [item.name for item in items] == [f"{folder}/{name}" for name in inside]
    alone = [tmp_path / "site/a.jpg", tmp_path / "site/more.zip"]
    assert [item.name for item in list_inputs(alone, tmp_path)] == ["a.jpg", "more.zip/c.jpg"]


def test_dot_dot_after_a_link_leads_to_the_parent_of_its_target(tmp_path: Path) -> None:
    write_folder(tmp_path, {"far/away/x": b"", "far/a.jpg": b"", "b.jpg": b""})
    (tmp_path / "link").symlink_to(tmp_path / "far/away")
    (item,) = list_inputs([tmp_path / "link/../a.jpg"], tmp_path / "out")
    assert item.photo.container == (tmp_path / "far").resolve()
    with pytest.raises(DataError, match="does not exist"):
        list_inputs([tmp_path / "link/../b.jpg"], tmp_path / "out")


def test_a_report_behind_a_link_is_excluded(model: Path, tmp_path: Path) -> None:
    write_folder(tmp_path, {"disk/1.jpg": jpeg(1)})
    (tmp_path / "site").symlink_to("disk")
    options = ("--model", str(model), "--out")
    for out in ("disk/report", "site/report"):  # the same folder
        assert inspect("site", *options, out) == ""
        assert [row["name"] for row in rows(tmp_path / out / "photos.csv")] == ["site/1.jpg"]
    (item,) = list_inputs([tmp_path / "site"], tmp_path / "disk/report")
    record_path(tmp_path / "disk/report", item.key).unlink()  # as after a killed run
    assert list_inputs([tmp_path / "site"], tmp_path / "disk/report") == [item]


def test_out_as_a_link_to_itself_is_a_one_line_error(model: Path, tmp_path: Path) -> None:
    write_folder(tmp_path, {"a.jpg": jpeg(1)})
    (tmp_path / "loop").symlink_to("loop")
    code, errors = command(tmp_path, "a.jpg", "--model", str(model), "--out", "loop")
    assert (code, errors.splitlines()[-1].startswith("surface-crack: error: ")) == (1, True)


def test_linked_folders_are_read_once_without_endless_loops(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    write_folder(tmp_path, {"site/a.jpg": b"", "other/b.jpg": b"", "other/deep/c.jpg": b""})
    (tmp_path / "site/link").symlink_to(tmp_path / "other")
    (tmp_path / "site/zz").symlink_to(tmp_path / "other/deep")
    (tmp_path / "other/deep/loop").symlink_to("..")
    (tmp_path / "site/root").symlink_to("/")
    problem = "is a link to a parent of a folder that has already been read"
    items = list_inputs([tmp_path / "site"], tmp_path / "out")
    assert [(item.name, item.problem) for item in items] == [
        ("site/a.jpg", ""),
        ("site/link/b.jpg", ""),
        ("site/link/deep/c.jpg", ""),
        ("site/root/", problem),
    ]
    for name in ("link/deep/loop", "zz"):  # their photos are listed under another name
        assert f"site/{name} is a link to a folder that has already been read" in caplog.text


def test_no_name_starts_a_spreadsheet_formula(model: Path, tmp_path: Path) -> None:
    write_folder(tmp_path / "site", {"=1+1.jpg": jpeg(1), "-b.jpg": jpeg(2)})
    photos = [str(path) for path in sorted((tmp_path / "site").iterdir())]
    options = ("--out", "out", "--threshold", "0.000001", "--model", str(model))
    assert inspect(*photos, *options) == ""
    for table in ("photos.csv", "regions.csv"):
        found = {row["name"] for row in rows(tmp_path / "out" / table)}
        assert found == {"./=1+1.jpg", "./-b.jpg"}


def test_non_ascii_names_are_readable_in_excel(model: Path, tmp_path: Path) -> None:
    write_folder(tmp_path / "site", {"a.jpg": jpeg(1)})
    options = ("site", "--out", "out", "--model", str(model))
    tables = [tmp_path / "out" / name for name in ("photos.csv", "regions.csv")]
    assert inspect(*options) == ""
    assert not any(table.read_bytes().startswith(BOM_UTF8) for table in tables)
    write_folder(tmp_path / "site", {"brücke.jpg": jpeg(2)})
    assert inspect(*options) == ""
    assert all(table.read_bytes().startswith(BOM_UTF8) for table in tables)
    assert "site/brücke.jpg" in tables[0].read_text(encoding="utf-8-sig")


def test_an_unreadable_folder_is_an_item(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests may run as root, which can list any folder, so `scandir` is replaced."""
    write_folder(tmp_path / "site", {"a.jpg": b"", "locked/b.jpg": b""})

    def scandir(path: str, real: Callable[[str], object] = os.scandir) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    items = list_inputs([tmp_path / "site"], tmp_path / "out")
    assert [(item.name, item.problem) for item in items] == [
        ("site/a.jpg", ""),
        ("site/locked/", "cannot be read: Permission denied"),
    ]


def test_photos_on_two_drives_are_a_one_line_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_common(_: object) -> str:  # as on Windows with C: and D:
        raise ValueError("Paths don't have the same drive")

    monkeypatch.setattr(os.path, "commonpath", no_common)
    with pytest.raises(DataError, match="several drives: run once per drive"):
        list_inputs([Path("a.jpg"), Path("b.jpg")], Path("out"))


def test_the_report_shows_scores_of_this_model_only(
    finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = write_folder(tmp_path, {"a.jpg": jpeg(1)}) / "a.jpg"
    monkeypatch.chdir(finished.root)
    options = (str(photo), "--mm-per-px", "0.5", "--out")
    assert inspect(*options, str(tmp_path / "own"), "--model", f"models/{MODEL}") == ""
    own = (tmp_path / "own/report.html").read_text(encoding="utf-8")
    scores = json.loads((finished.root / "metrics/evaluate.json").read_text())
    assert f"<dd>{100 * scores['recall']:.1f} % (95 % CI" in own
    assert "never seen a photo" in own
    assert "about 2.4 mm wide" in own  # 227 pixels of the photo are 48 of the model's
    other = tmp_path / "models"
    shutil.copytree(finished.root / "models", other)
    assert inspect(*options, str(tmp_path / "other"), "--model", str(other / MODEL)) == ""
    text = (tmp_path / "other/report.html").read_text(encoding="utf-8")
    assert "not known here" in text
    assert "95 % CI" not in text


def test_scores_of_another_training_are_not_shown(finished: Project, tmp_path: Path) -> None:
    scorer = load_scorer(finished.root / "models" / MODEL, finished.root / "models/decision.json")
    metrics = Path(shutil.copytree(finished.root / "metrics", tmp_path / "metrics"))
    assert len(score_rows(metrics, scorer)) == 6
    assert score_rows(metrics, replace(scorer, temperature=scorer.temperature + 0.001)) == []
    assert score_rows(metrics, replace(scorer, data_digest="of others")) == []
    whole = json.loads((metrics / "evaluate.json").read_text())
    for left_out in ("photos", "ci95", "threshold"):
        part = {key: value for key, value in whole.items() if key != left_out}
        (metrics / "evaluate.json").write_text(json.dumps(part))
        assert score_rows(metrics, scorer) == []


def test_a_model_trained_on_drawings_is_warned_about(finished: Project, tmp_path: Path) -> None:
    write_folder(tmp_path, {"a.jpg": jpeg(1)})
    shutil.copytree(finished.root / "models", tmp_path / "taken along")
    taken = ("--model", f"taken along/{MODEL}")
    code, text = command(tmp_path, "a.jpg", "--out", "report", *taken)
    assert (code, text.count("trained on drawings alone")) == (0, 1)
    assert "trained on drawings alone" in (tmp_path / "report/report.html").read_text()


def test_the_report_names_the_training_photos(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a.jpg": jpeg(1)})
    model = save_network(tmp_path, random_cracknet())
    assert inspect("a.jpg", "--out", "report", "--model", str(model)) == ""
    text = (tmp_path / "report/report.html").read_text()
    assert "photos like those it was trained on (walls)" in text
    assert "drawings" not in text


@pytest.mark.slow
def test_onnx_and_pytorch_give_the_same_report(model: Path, tmp_path: Path) -> None:
    """The test without PyTorch is in scoring/test_export.py."""
    export = pytest.importorskip("surface_crack.scoring.onnx_file")
    network, config = load_model(model)
    decision = read_decision(model.with_name("decision.json"), model)
    scores = Patches(network, config["image_size"], 8, decision.temperature)  # type: ignore[arg-type]
    metadata = export.metadata_of(config, decision)
    (tmp_path / "crack.onnx").write_bytes(export.onnx_bytes(scores, metadata))
    write_photos(tmp_path / "site", 20)
    options = ("site", "--threshold", "0.4", "--patch-px", "60", "--out")
    for out, path in (("torch", model), ("onnx", tmp_path / "crack.onnx")):
        assert inspect(*options, out, "--model", str(path)).startswith("2 of 20 photos could not")
    for name in ("photos.csv", "regions.csv"):
        one, other = rows(tmp_path / "torch" / name), rows(tmp_path / "onnx" / name)
        assert len(one) == len(other)
        for row, same in zip(one, other, strict=True):
            for column in ("peak", "mean"):
                if row.get(column):
                    assert float(row.pop(column)) == pytest.approx(
                        float(same.pop(column)), abs=2e-4
                    )
            assert row == same


def write_photos(folder: Path, count: int) -> None:
    """Write photos of mixed sizes; one in ten is damaged, and some are duplicates."""
    sizes = np.random.default_rng(5).integers(10, 700, (count, 2)).tolist()
    files = {}
    for number, (width, height) in enumerate(sizes):
        image = picture(number % 50, 64, crack=number % 3 == 0).resize((width, height))
        photo = encoded(image)
        files[f"{number % 7}/{number:04}.jpg"] = (
            photo[: len(photo) // 2] if number % 10 == 9 else photo
        )
    write_folder(folder, files)


@pytest.mark.slow
def test_a_killed_run_continues(model: Path, tmp_path: Path) -> None:
    write_photos(tmp_path / "site", PHOTOS)
    arguments = ("site", "--model", str(model), "--jobs", "2", "--out")
    assert command(tmp_path, *arguments, "whole")[0] == 1
    started = subprocess.Popen((*COMMAND, *arguments, "out"), cwd=tmp_path, stderr=subprocess.PIPE)
    results = tmp_path / "out/results"
    while started.poll() is None and len(list(results.glob("*.json"))) < PHOTOS // 2:
        time.sleep(0.02)
    started.send_signal(signal.SIGKILL)
    started.communicate()
    before = {path.name: path.stat().st_mtime_ns for path in results.glob("*.json")}
    assert PHOTOS // 2 <= len(before) < PHOTOS, "killed too late: try more photos"
    assert not (tmp_path / "out/report.html").exists()
    code, errors = command(tmp_path, *arguments, "out")
    assert code == 1
    assert f"{len(before)} of {PHOTOS} photos already done" in errors
    after = {path.name: path.stat().st_mtime_ns for path in results.glob("*.json")}
    assert {name: after[name] for name in before} == before
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    names = [row["name"] for row in rows(tmp_path / "out/photos.csv")]
    assert len(names) == len(set(names)) == PHOTOS
