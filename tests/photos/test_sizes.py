"""Warnings about photos whose size differs from that of the training photos."""

from pathlib import Path

import pytest
from PIL import Image

from surface_crack.photos.listing import class_labels, list_photos
from surface_crack.photos.reader import Reader
from surface_crack.photos.sizes import downscale_warning, size_warning, sizes_of, typical_side
from tests.support.makers import encoded, write_folder


@pytest.mark.parametrize(
    ("side", "begin"),
    [
        (256, ""),
        (160, ""),  # within the tolerance
        (2000, "These photos have 2000 pixels per side, the training photos had 256. When resized"),
        (64, "These photos have 64 pixels per side, the training photos had 256. If they show"),
        (0, ""),
    ],
)
def test_a_different_size_gives_a_warning(side: float, begin: str) -> None:
    warning = size_warning(side, 256)
    assert warning.startswith(begin)
    assert bool(warning) == bool(begin)
    assert ("--patch-px 256" in warning) == (side > 256)
    assert size_warning(side, 0) == ""  # size of the training photos is unknown


def test_strong_downscaling_gives_a_warning() -> None:
    assert downscale_warning(227, 64) == downscale_warning(256, 192) == ""
    assert downscale_warning(2000, 64) == (
        "the photos have 2000 pixels per side and are resized to 64, so a crack of 31 pixels "
        "becomes 1 pixel wide: cut them into tiles (`surface-crack tiles`), or raise image_size"
    )


def test_sizes_are_read_from_headers_and_bad_files_are_skipped(tmp_path: Path) -> None:
    files = {
        f"Cracked/{number:03}.jpg": encoded(Image.new("RGB", (50 + number, 50 + number)))
        for number in range(90)
    }
    raw = write_folder(tmp_path, files | {"Cracked/bad.jpg": b"no photo"})
    listing = list_photos(raw, class_labels([], ["Cracked"]))
    with Reader() as reader:
        sizes = sizes_of(listing.photos, reader)
    assert 40 <= len(sizes) <= 46
    assert typical_side(sizes) == pytest.approx(94, abs=2)
    assert typical_side([]) == 0
