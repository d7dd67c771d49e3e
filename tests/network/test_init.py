"""Training that starts from the weights of another model."""

import shutil
from pathlib import Path

import pytest
import torch

from surface_crack.network.cracknet import CrackNet
from surface_crack.network.model_file import load_model
from surface_crack.project import paths
from surface_crack.project.manifest import digest_of
from tests.network.test_resume import kill_after
from tests.project.test_signals import stage
from tests.support.networks import random_cracknet, save_network
from tests.support.project import Project


@pytest.fixture
def start(project: Project) -> Path:
    """A model file of the project's architecture, whose weights differ from those of the seed."""
    folder = project.root / "start"
    folder.mkdir()
    return save_network(folder, random_cracknet(), size=48)


def trained(project: Project) -> tuple[CrackNet, dict[str, object]]:
    model, config = load_model(project.root / paths.MODEL)
    assert isinstance(model, CrackNet)
    return model, config


def test_training_starts_from_the_weights_and_their_pixel_statistics(
    project: Project, start: Path
) -> None:
    project.set(init="start/crack.safetensors", lr=1e-9, epochs=1, weight_decay=0)
    output = project.run(*stage("train"))
    assert "initial weights: start/crack.safetensors" in output
    model, config = trained(project)
    before, _ = load_model(start)
    assert torch.equal(model.mean, before.mean)
    for name, weight in before.named_parameters():
        torch.testing.assert_close(dict(model.named_parameters())[name], weight, atol=1e-6, rtol=0)
    assert config["init"] == "start/crack.safetensors"
    assert config["init_weights"] == digest_of(start)


def test_the_config_of_a_model_from_scratch_has_no_init(project: Project) -> None:
    assert not {"init", "init_weights", "context"} & trained(project)[1].keys()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"width": 8}, "have width 16, params.yaml has 8: set width: 16, or init: ''"),
        ({"normalise": "local"}, "have normalise dataset, params.yaml has local: set"),
        ({"init": "no.safetensors"}, "init: no.safetensors is missing: give general, a"),
        ({"init": "params.yaml"}, "params.yaml is not a model of this project"),
        ({"init": "start"}, "init: start is missing: give general"),
    ],
)
@pytest.mark.usefixtures("start")
def test_another_architecture_is_a_one_line_error(
    project: Project, changed: dict[str, object], message: str
) -> None:
    project.set(**{"init": "start/crack.safetensors", **changed})
    output = project.run(*stage("train"), check=False)
    assert message in output
    assert "Traceback" not in output


def test_another_image_size_is_a_one_line_error(project: Project) -> None:
    (project.root / "start").mkdir()
    save_network(project.root / "start", random_cracknet(), size=64)
    project.set(init="start/crack.safetensors")
    output = project.run(*stage("train"), check=False)
    assert "have image_size 64, params.yaml has 48: set image_size: 64" in output


def test_check_warns_if_the_init_file_has_changed(project: Project, start: Path) -> None:
    project.set(init="start/crack.safetensors", epochs=1)
    project.run(*stage("train"))
    assert "changed" not in project.run("surface-crack", "check")
    shutil.copy(project.root / paths.MODEL, start)
    output = project.run("surface-crack", "check")
    assert (
        "start/crack.safetensors has changed since models/crack.safetensors was trained" in output
    )
    project.set(init="''")
    assert "changed" not in project.run("surface-crack", "check")


def test_a_killed_training_is_not_resumed_with_another_init_file(
    project: Project, start: Path
) -> None:
    """The content of the file is part of the checkpoint's key."""
    project.set(init="start/crack.safetensors", epochs=12)
    kill_after(project, 1)
    save_network(start.parent, random_cracknet(normalise="dataset"), photo_side=99, size=48)
    output = project.run(*stage("train"))
    assert "have changed since the interrupted run: starting over" in output
