"""Pictures drawn by matplotlib."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from surface_crack import figures


def test_pictures_do_not_depend_on_the_users_matplotlib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = pd.DataFrame(
        {"epoch": [1, 2], "train_loss": [1, 0.5], "val_loss": [1, 0.6]}
        | {"train_accuracy": [0.5, 0.7], "val_accuracy": [0.5, 0.6]}
    )
    photos = [np.full((8, 8, 3), level, np.uint8) for level in (0, 128)]

    def draw(name: str) -> bytes:
        figures.curves(history, tmp_path / name)
        figures.gallery(photos, ["a", "b"], "two", tmp_path / f"2{name}")
        return (tmp_path / name).read_bytes() + (tmp_path / f"2{name}").read_bytes()

    first = draw("a.png")
    monkeypatch.setitem(mpl.rcParams, "figure.facecolor", "red")
    monkeypatch.setitem(mpl.rcParams, "font.size", 30)
    assert draw("b.png") == first
    assert b"Software" not in first


def test_a_gallery_without_photos_says_so(tmp_path: Path) -> None:
    figures.gallery([], [], "no mistakes", tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 1000
