"""What is written: whole or not at all, and the same bytes for the same content."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from surface_crack import figures
from surface_crack.artifacts import read_json, replacing, write_csv, write_json, write_text
from surface_crack.errors import DataError
from surface_crack.model import CrackNet
from surface_crack.model_file import load_model, save_model


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "a/b.txt"
    write_text(target, "old\n")

    def fail_halfway() -> None:
        with replacing(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert target.read_bytes() == b"old\n"
    assert list(target.parent.iterdir()) == [target]


def test_json_is_sorted_and_has_no_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"b": 1, "a": "ä"})
    assert (tmp_path / "x.json").read_bytes() == '{\n  "a": "ä",\n  "b": 1\n}\n'.encode()
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "y.json", {"a": math.nan})
    assert not (tmp_path / "y.json").exists()


def test_csv_quotes_what_a_file_name_may_hold(tmp_path: Path) -> None:
    write_csv(tmp_path / "x.csv", ("path", "label"), [('a,"b"\n.jpg', 1), ("NA", 0)])
    read = pd.read_csv(tmp_path / "x.csv", keep_default_na=False)
    assert read["path"].tolist() == ['a,"b"\n.jpg', "NA"]
    assert b"\r" not in (tmp_path / "x.csv").read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "is missing: run"), ("{", "is not JSON"), ("[1]", "must hold a JSON object, got list")],
)
def test_a_bad_json_file_is_one_line(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "x.json").write_text(content)
    with pytest.raises(DataError, match=message):
        read_json(tmp_path / "x.json")


CONFIG = {"model": "cracknet", "dropout": 0.1, "lr": 0.01, "classes": ["negative", "positive"]}


def test_a_model_comes_back_as_it_went(tmp_path: Path) -> None:
    model = CrackNet([100.0, 110.0, 120.0], [40.0] * 3, 0.1).to(memory_format=torch.channels_last)
    save_model(tmp_path / "a.safetensors", model, CONFIG)
    save_model(tmp_path / "b.safetensors", model, dict(reversed(CONFIG.items())))
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    loaded, config = load_model(tmp_path / "a.safetensors")
    assert config == CONFIG
    assert not loaded.training
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)


def test_a_damaged_model_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    with pytest.raises(DataError, match="is missing: run `dvc repro`"):
        load_model(path)
    save_model(path, CrackNet([0.0] * 3, [1.0] * 3, 0.1), CONFIG)
    whole = path.read_bytes()
    save_model(path, CrackNet([0.0] * 3, [1.0] * 3, 0.1), CONFIG | {"model": "notebook"})
    for content in (whole[:100], b"", b"pickle", path.read_bytes()):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"is not a model of this project \([^\n]+\)$"):
            load_model(path)


def test_pictures_do_not_depend_on_the_users_matplotlib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import matplotlib as mpl

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


def test_the_model_carries_one_metadata_key(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_model(path, CrackNet([0.0] * 3, [1.0] * 3, 0.1), CONFIG)
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert list(header["__metadata__"]) == ["config"]
