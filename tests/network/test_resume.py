"""A resumed training gives the bytes of an uninterrupted one; stale checkpoints are not used."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save

from surface_crack.network.cracknet import CrackNet
from surface_crack.network.resume import Training, load_state, save_state, training_key
from surface_crack.network.training import make_optimizer
from tests.project.test_signals import read_until, stage, started
from tests.support.project import Project

MADE = ("models/crack.safetensors", "metrics/train.json", "plots/history.csv")
RESUME = Path(".surface_crack/train.resume")


def made(project: Project) -> list[bytes]:
    return [(project.root / path).read_bytes() for path in MADE]


def remove(project: Project) -> None:
    """As DVC does before it runs a stage."""
    for path in MADE:
        (project.root / path).unlink(missing_ok=True)


def kill_after(project: Project, epoch: int) -> None:
    """Start training and kill it once the checkpoint of this epoch, or a later one, is saved."""
    remove(project)
    with started(project.root, *stage("train")) as process:
        read_until(process, f"epoch {epoch + 1:2d}/")
        process.kill()
    assert (project.root / RESUME).exists()


STOPPING = {"lr": 0.3, "warmup": 0.9, "patience": 5}  # the loss rises, so training stops early


@pytest.mark.parametrize("settings", [{}, {"keep": "last"}, STOPPING])
def test_a_killed_training_resumes_and_gives_the_same_bytes(
    project: Project, settings: dict[str, Any]
) -> None:
    project.set(epochs=12, **settings)
    whole = project.run(*stage("train"))
    wanted = made(project)
    assert not (project.root / RESUME).exists()
    assert ("stopping" in whole) == (settings == STOPPING)

    kill_after(project, 1)
    kill_after(project, 3)
    remove(project)
    output = project.run(*stage("train"))
    assert "resuming an interrupted training" in output
    assert "epoch  3/" not in output
    assert made(project) == wanted
    assert ("stopping" in output) == (settings == STOPPING)
    assert not (project.root / RESUME).exists()


def test_dvc_resumes_too(project: Project) -> None:
    project.set(epochs=12)
    kill_after(project, 2)
    assert project.git("status", "--porcelain", ".surface_crack") == ""
    output = project.dvc("exp", "run", "--name", "again")
    assert "resuming an interrupted training" in output
    resumed = made(project)
    assert "resuming" not in project.dvc("repro", "--force", "--single-item", "train")
    assert made(project) == resumed


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def edit(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new, 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: flip(root / RESUME), "train.resume is damaged: starting over"),
        (lambda root: (root / RESUME).write_bytes(b""), "is damaged: starting over"),
        (lambda root: edit(root / "params.yaml", "dropout: 0.1", "dropout: 0.2"), "changed since"),
        (lambda root: flip(root / "data/prepared/images.npy"), "changed since"),
        (lambda root: edit(root / "surface_crack/network/augment.py", "8", "8 "), "changed since"),
        (lambda root: (root / RESUME).unlink(), ""),
    ],
    ids=["flipped bit", "empty", "params", "data", "code", "removed"],
)
def test_a_stale_or_damaged_checkpoint_is_not_used(
    project: Project, change: Callable[[Path], None], message: str
) -> None:
    project.set(epochs=12)
    kill_after(project, 1)
    images = project.root / "data/prepared/images.npy"
    content = images.read_bytes()
    images.unlink()  # may be a link into DVC's cache
    images.write_bytes(content)
    change(project.root)
    output = project.run(*stage("train"))
    assert message in output
    assert "epoch  1/12" in output
    assert "resuming" not in output
    assert not (project.root / RESUME).exists()


def test_the_key_depends_on_settings_files_and_thread_count(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    a, b = tmp_path / "a", tmp_path / "b"
    keys = [training_key({"lr": 1}, [a, b]), training_key({"lr": 2}, [a, b])]
    keys += [training_key({"lr": 1}, [b, a]), training_key({"lr": 1}, [a])]
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    keys.append(training_key({"lr": 1}, [a, b]))
    torch.set_num_threads(threads)
    assert len(set(keys)) == 5
    assert training_key({"lr": 1}, [a, b]) == keys[0]


def in_training() -> Training:
    torch.manual_seed(0)
    model = CrackNet([150.0] * 3, [40.0] * 3, dropout=0.1).to(memory_format=torch.channels_last)
    optimizer = make_optimizer("cracknet", model, 0.01, 0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
    return Training(
        model, optimizer, schedule, np.random.default_rng(0), torch.Generator().manual_seed(0)
    )


def step(training: Training, count: int) -> None:
    for _ in range(count):
        images = torch.from_numpy(training.shuffle.integers(0, 255, (8, 48, 48, 3), np.uint8))
        noise = torch.rand(8, generator=training.augment_rng)
        training.optimizer.zero_grad()
        loss = (training.model(images.permute(0, 3, 1, 2)) * noise).sum()
        loss.backward()
        training.optimizer.step()
        training.schedule.step()


def test_the_checkpoint_contains_everything_that_a_step_changes(tmp_path: Path) -> None:
    """Including memory layout, which the order of operations in fused optimisers depends on."""
    kept, file = tmp_path / "kept", tmp_path / "state"
    kept.write_bytes(b"best weights so far")
    one = in_training()
    step(one, 3)
    save_state(file, "key", one.state(kept))
    step(one, 3)
    random = torch.rand(3)

    other = in_training()
    kept.unlink()
    saved = load_state(file, "key")
    assert saved is not None
    other.restore(saved, kept)
    step(other, 3)
    assert kept.read_bytes() == b"best weights so far"
    assert torch.equal(torch.rand(3), random)
    assert other.schedule.state_dict() == one.schedule.state_dict()
    weights = one.model.state_dict()
    for name, value in other.model.state_dict().items():
        assert torch.equal(value, weights[name]), name


def test_a_checkpoint_with_another_key_is_removed(tmp_path: Path) -> None:
    file = tmp_path / "state"
    assert load_state(file, "key") is None
    state = {"history": [[1, 0.1 + 0.2]], "kept": {}, "tensor": torch.arange(3), "big": 2**127}
    save_state(file, "key", state)
    saved = load_state(file, "key")
    assert saved is not None
    assert torch.equal(saved.pop("tensor"), state.pop("tensor"))  # type: ignore[arg-type]
    assert saved == state
    assert load_state(file, "other") is None
    assert not file.exists()


def test_an_undamaged_checkpoint_of_another_format_is_removed(tmp_path: Path) -> None:
    file = tmp_path / "state"
    for metadata in ({"state": "7"}, {"state": json.dumps({"key": "key"})}, {}):
        content = save({"0": torch.zeros(1)}, metadata)
        file.write_bytes(hashlib.sha256(content).digest() + content)
        assert load_state(file, "key") is None
        assert not file.exists()
