"""Synthetic photos: identical everywhere, and only the crack separates the classes."""

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.random import PCG64
from numpy.typing import NDArray
from PIL import Image

from surface_crack.sample import photo
from surface_crack.sample.chance import smoothed
from surface_crack.sample.cracks import crack, net
from surface_crack.sample.marks import LINES, OTHERS
from surface_crack.sample.photo import draw, encode, exposed, photograph, write_sample
from surface_crack.sample.shapes import rasterised
from surface_crack.sample.wall import Wall, concrete

# Made with Pillow 13.0.0 and libjpeg-turbo 3.2.0. If our code changes them, the metrics and
# dvc.lock must be regenerated, too; if another release does, inspect the photos before pinning.
PIXELS = "947e3c487f4827ec"
MARKS = "b2232d151c2fd6fc"
ARCHIVE = "ec1027d88476dc62"


def digest(*contents: bytes) -> str:
    return hashlib.sha256(b"".join(contents)).hexdigest()[:16]


def archive(path: Path, photos: int, seed: int = 0, workers: int = 1) -> bytes:
    write_sample(path / "sample.zip", seed, photos, workers)
    return (path / "sample.zip").read_bytes()


def test_pixels_are_pinned() -> None:
    assert digest(*(draw(0, number)[0].tobytes() for number in range(12))) == PIXELS


def test_marks_and_nets_are_pinned() -> None:
    """Each mark separately: twelve photos do not show them all."""
    shots = []
    for mark in (*LINES, *OTHERS):
        wall = concrete(PCG64(1))
        mark(PCG64(2), wall)
        shots.append(photograph(PCG64(3), wall).tobytes())
    assert digest(*shots, rasterised(net(PCG64(4))).tobytes()) == MARKS


def test_archive_is_pinned(tmp_path: Path) -> None:
    assert digest(archive(tmp_path, 4)) == ARCHIVE


def test_the_bytes_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    assert archive(tmp_path, 12, workers=1) == archive(tmp_path, 12, workers=3)


def test_archive_layout(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(archive(tmp_path, 4))) as content:
        members = content.infolist()
        with Image.open(io.BytesIO(content.read(members[0]))) as photo:
            assert (photo.format, photo.mode, photo.size) == ("JPEG", "RGB", (227, 227))
    assert [member.filename for member in members] == [
        "Positive/00001.jpg",
        "Negative/00002.jpg",
        "Positive/00003.jpg",
        "Negative/00004.jpg",
    ]
    for member in members:
        assert member.compress_type == zipfile.ZIP_STORED
        assert member.date_time == (1980, 1, 1, 0, 0, 0)
        assert (member.create_system, member.external_attr) == (3, 0o100644 << 16)
    assert [path.name for path in tmp_path.iterdir()] == ["sample.zip"]  # no temporary file


def test_a_larger_sample_begins_with_the_smaller_one(tmp_path: Path) -> None:
    contents = []
    for photos in (4, 6):
        with zipfile.ZipFile(io.BytesIO(archive(tmp_path, photos))) as content:
            contents.append([(name, content.read(name)) for name in content.namelist()])
    assert contents[0] == contents[1][:4]


def test_photos_differ_with_number_and_seed() -> None:
    photos = [draw(seed, number)[0] for seed in (0, 1) for number in range(6)]
    assert {photo.shape for photo in photos} == {(227, 227, 3)}
    assert {photo.dtype for photo in photos} == {np.dtype(np.uint8)}
    assert len({photo.tobytes() for photo in photos}) == 12


def test_no_floating_point_number_reaches_the_pixels() -> None:
    wall = concrete(PCG64(0))
    for mark in (*LINES, *OTHERS, crack):
        mark(PCG64(0), wall)
    assert {array.dtype for array in wall} == {np.dtype(np.int32)}
    lit = exposed(wall.colour, 150, 256)
    assert lit.dtype == smoothed(lit).dtype == np.int32


@pytest.mark.parametrize("mark", [*LINES, *OTHERS, crack])
def test_each_mark_is_visible(mark: Callable[[PCG64, Wall], None]) -> None:
    def shot(seed: int, marked: bool) -> NDArray[np.int16]:
        wall = concrete(PCG64(seed))
        if marked:
            mark(PCG64(seed), wall)
        return photograph(PCG64(seed), wall).astype(np.int16)

    changes = [abs(shot(seed, True) - shot(seed, False)).max() for seed in range(5)]
    assert np.median(changes) > 15  # grey levels


def test_the_label_affects_only_the_crack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Apart from the crack, photos of both labels are drawn from the same streams."""
    calls: list[tuple[int, int, int]] = []
    stream_of = photo.stream_of

    def spy(seed: int, number: int, purpose: int) -> PCG64:
        calls.append((seed, number, purpose))
        return stream_of(seed, number, purpose)

    monkeypatch.setattr(photo, "stream_of", spy)
    encode(0, 2)
    encode(0, 3)
    assert {call[2] for call in calls if call[1] == 2} == {0, 2, 3, 4}
    assert {call[2] for call in calls if call[1] == 3} == {0, 1, 2, 3, 4}


def nearest_mean(features: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    """Accuracy of a nearest-mean classifier, fitted on one half and tested on the other."""
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    learn = np.arange(len(labels)) % 4 < 2
    means = [features[learn & (labels == label)].mean(axis=0) for label in (False, True)]
    away = [((features[~learn] - mean) ** 2).sum(axis=1) for mean in means]
    return float(((away[1] < away[0]) == labels[~learn]).mean())


def test_no_global_feature_reveals_the_label() -> None:
    """Brightness and colour, contrast, JPEG quality, length of the file; 200 photos."""
    rows, labels = [], []
    for number in range(200):
        name, jpeg = encode(5, number)
        with Image.open(io.BytesIO(jpeg)) as photo:
            pixels = np.asarray(photo)
            quality = sum(photo.quantization[0])  # type: ignore[attr-defined]
        rows.append([*pixels.mean(axis=(0, 1)), pixels.std(), quality, len(jpeg)])
        labels.append(name.startswith("Positive"))
    features, cracked = np.array(rows), np.array(labels)
    assert cracked.sum() == 100
    scores = [nearest_mean(features[:, [column]], cracked) for column in range(6)]
    contrast = scores.pop(3)
    assert max(scores) < 0.65  # 0.5 is chance, its standard error 0.05
    assert max(contrast, nearest_mean(features, cracked)) < 0.75


@pytest.mark.parametrize("photos", [-2, 0, 1, 7])
def test_an_odd_or_empty_sample_is_refused(tmp_path: Path, photos: int) -> None:
    with pytest.raises(ValueError, match=f"must be even and 2 or more, got {photos}"):
        write_sample(tmp_path / "sample.zip", 0, photos)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("seed", "number"), [(-1, 0), (0, -1)])
def test_negative_seeds_and_numbers_are_refused(seed: int, number: int) -> None:
    with pytest.raises(ValueError, match=f"got seed={seed}, number={number}"):
        draw(seed, number)
