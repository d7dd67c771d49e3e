"""Figures drawn with matplotlib."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from surface_crack.evaluation import figures


def test_figures_do_not_depend_on_the_users_matplotlib_settings(
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
        heat = np.linspace(0, 1, 128, dtype=np.float32).reshape(2, 8, 8)
        figures.heat_gallery(np.stack(photos), heat, ["a", "b"], "warm", tmp_path / f"3{name}")
        shares = {"accuracy": 0.5, "recall": 1, "photos": 2}
        found = {"undisturbed": shares, "a": {"1": shares}, "b": {"1": shares, "2": shares}}
        levels = {"a": ("mm", (1,)), "b": ("%", (2, 1))}
        figures.robustness(found, levels, "walls", tmp_path / f"4{name}")
        return b"".join((tmp_path / f"{x}{name}").read_bytes() for x in ("", "2", "3", "4"))

    first = draw("a.png")
    monkeypatch.setitem(mpl.rcParams, "figure.facecolor", "red")
    monkeypatch.setitem(mpl.rcParams, "font.size", 30)
    assert draw("b.png") == first
    assert b"Software" not in first


def test_a_gallery_without_photos_shows_its_title(tmp_path: Path) -> None:
    figures.gallery([], [], "no mistakes", tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 1000


def test_heat_is_red_over_the_grey_photo() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (4, 4, 3), np.uint8)
    heat = np.zeros((4, 4), np.float32)
    heat[1, 2], heat[3, 0], heat[3, 1] = 2, 1, 5  # the scale, half of it, more than it
    picture = figures.heat_overlay(photo, heat, 2)
    grey = np.rint(photo.mean(axis=2, keepdims=True)).repeat(3, axis=2)
    assert (picture[heat == 0] == grey[heat == 0]).all()
    assert (picture[1, 2] == figures.HOT).all()
    assert (picture[3, 1] == figures.HOT).all()
    assert picture[3, 0] == pytest.approx((grey[3, 0] + figures.HOT) / 2, abs=1)


def test_an_all_zero_heat_map_does_not_divide_by_zero(tmp_path: Path) -> None:
    photos = np.zeros((1, 8, 8, 3), np.uint8)
    zeros = np.zeros((1, 8, 8), np.float32)
    figures.heat_gallery(photos, zeros, ["zeros"], "no heat", tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 1000
