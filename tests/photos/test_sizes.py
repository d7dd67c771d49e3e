"""Photos whose sizes are not those that a model learnt from."""

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
        (160, ""),  # a network stands that much
        (2000, "These photos have 2000 pixels a side, those that the model learnt from had 256. M"),
        (64, "These photos have 64 pixels a side, those that the model learnt from had 256. If th"),
        (0, ""),
    ],
)
def test_another_size_is_told(side: float, begin: str) -> None:
    told = size_warning(side, 256)
    assert told.startswith(begin)
    assert bool(told) == bool(begin)
    assert ("--patch-px 256" in told) == (side > 256)
    assert size_warning(side, 0) == ""  # nothing is known


def test_photos_much_larger_than_what_is_made_of_them_are_told() -> None:
    assert downscale_warning(227, 64) == downscale_warning(256, 192) == ""
    assert downscale_warning(2000, 64) == (
        "the photos have 2000 pixels a side and are made 64, so that a crack of 31 pixels is one: "
        "cut them into tiles (`surface-crack tiles`), or raise image_size"
    )


def test_sizes_come_from_headers_and_pass_over_what_is_no_photo(tmp_path: Path) -> None:
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
