"""Choice of the model, with and without --model."""

import shutil
from pathlib import Path

import pytest

from surface_crack.project import paths
from surface_crack.project.errors import DataError
from surface_crack.scoring import which_model
from surface_crack.scoring.which_model import choose_model, model_name
from tests.support.networks import random_cracknet, save_network
from tests.support.project import Project


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder with models/."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    return tmp_path


@pytest.mark.usefixtures("here")
def test_the_general_model_is_the_default() -> None:
    chosen = choose_model(None)
    assert (chosen.path, chosen.why) == (paths.GENERAL, "no model in models/ here")
    assert model_name(chosen.path) == "the general model of this package"


def test_an_own_model_trained_on_photos_is_preferred(here: Path) -> None:
    save_network(here / "models", random_cracknet())
    chosen = choose_model(None)
    assert (chosen.path, chosen.why) == (paths.MODEL, "the one in models/")
    assert model_name(chosen.path) == "models/crack.safetensors"


def test_without_pytorch_the_exported_own_model_is_used(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("crack.safetensors", "crack.onnx", "decision.json"):
        shutil.copy(paths.GENERAL.with_name(name), here / "models")
    assert choose_model(None).path == paths.MODEL
    monkeypatch.setattr(which_model, "find_spec", lambda _: None)
    assert choose_model(None).path == paths.ONNX


def test_a_model_trained_on_drawings_is_used_only_if_named(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished.root)
    chosen = choose_model(None)
    assert chosen.path == paths.GENERAL
    assert chosen.why == "the one in models/ was trained on drawings only"
    assert choose_model(paths.MODEL).path == paths.MODEL


def test_general_names_the_general_model(here: Path) -> None:
    save_network(here / "models", random_cracknet())
    chosen = choose_model(Path("general"))
    assert (chosen.path, chosen.why) == (paths.GENERAL, "asked for")


def test_an_unusable_own_model_is_an_error(here: Path) -> None:
    save_network(here / "models", random_cracknet())
    (here / "models/decision.json").unlink()
    with pytest.raises(DataError, match=r"decision.json is missing"):
        choose_model(None)
