"""Full or read-only disk, out of memory, changing photos: a one-line error and no damaged files."""

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from surface_crack.photos.unchanged import check_unchanged, stamps
from surface_crack.project.console import user_message
from surface_crack.project.errors import DataError
from surface_crack.project.files import write_text
from tests.support.makers import jpeg, metu_like, write_folder
from tests.support.project import BIN, ROOT, Project

AGAIN = "then run the command again"


def limited(project: Project, stage: str, kind: int, limit: int) -> str:
    """The messages of a stage that runs under a resource limit; it must fail."""
    done = subprocess.run(
        [BIN / "python", "-m", f"stages.{stage}"],
        cwd=project.root,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(kind, (limit, limit)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    return done.stderr


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """A function that mounts a small tmpfs; the test is skipped without the right to mount."""
    made: list[Path] = []

    def mount(options: str) -> Path:
        folder = tmp_path / f"disk{len(made)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("no right to mount a disk")
        made.append(folder)
        return folder

    yield mount
    for folder in made:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_a_one_line_error(project: Project, mounted: Callable[..., Path]) -> None:
    disk = mounted("size=1m")
    project.set(image_size=512)  # 94 MB
    folder = project.root / "data/prepared"
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.symlink_to(disk)
    output = project.run("python", "-m", "stages.prepare", check=False)
    assert output == (
        "prepare: error: data/prepared/images.npy: No space left on device: free some disk space, "
        f"{AGAIN}\n"
    )
    assert list(disk.iterdir()) == []
    assert "failed to reproduce 'prepare'" in project.dvc("repro", check=False)


def test_a_full_disk_in_training_is_a_one_line_error(project: Project) -> None:
    """Simulated by a limit of 1 MB on file size, which the checkpoint exceeds."""
    project.set(lr=0.002)
    output = limited(project, "train", resource.RLIMIT_FSIZE, 1_000_000)
    assert output.splitlines()[-1] == (
        f"train: error: .surface_crack/train.resume: File too large: free some disk space, {AGAIN}"
    )
    assert "Traceback" not in output
    assert list((project.root / ".surface_crack").iterdir()) == []


def test_a_read_only_folder_is_a_one_line_error(
    mounted: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = mounted("ro")
    with pytest.raises(OSError, match="Read-only") as caught:
        write_text(disk / "report.txt", "")
    assert user_message(caught.value) == (
        f"{disk / 'report.txt'}: Read-only file system: make it readable and writable, {AGAIN}"
    )
    monkeypatch.chdir(disk)
    done = subprocess.run(
        [BIN / "python", "-m", "stages.sample"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"sample: error: .surface_crack: Read-only file system: make it readable and writable, "
        f"{AGAIN}\n"
    )


def test_running_out_of_memory_does_not_reject_the_photo(project: Project, tmp_path: Path) -> None:
    """A photo of 500 MB, in a process with a limit of 600 MB."""
    raw = write_folder(tmp_path / "raw", metu_like(2))
    Image.new("RGB", (13_000, 13_000)).save(raw / "Positive/large.png")
    project.set(raw=raw, max_pixels=200_000_000)
    output = limited(project, "prepare", resource.RLIMIT_AS, 600_000_000)
    assert output == (
        "prepare: error: out of memory: close other programs, or lower image_size or batch_size\n"
    )


def test_running_out_of_memory_in_torch_is_a_one_line_error() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50)
    assert user_message(caught.value) == "out of memory: close other programs"


def test_bugs_keep_their_traceback() -> None:
    assert user_message(RuntimeError("shapes do not fit")) == ""
    assert user_message(OSError("no number")) == ""


def test_photos_that_change_while_they_are_read_are_an_error(tmp_path: Path) -> None:
    raw = write_folder(tmp_path / "raw", metu_like(2))
    photo, new = raw / "Positive/00001.jpg", raw / "Positive/new.jpg"
    before, content = stamps(raw), photo.read_bytes()
    check_unchanged(raw, before)

    photo.write_bytes(content + b" ")
    with pytest.raises(DataError, match="Positive/00001.jpg changed while it was read: run"):
        check_unchanged(raw, before)
    photo.unlink()
    with pytest.raises(DataError, match="Positive/00001.jpg changed"):
        check_unchanged(raw, before)
    before = stamps(raw)
    new.write_bytes(jpeg(1))
    with pytest.raises(DataError, match="Positive/new.jpg changed"):
        check_unchanged(raw, before)
    before = stamps(new)  # a single file, like a zip
    os.utime(new, (1, 1))
    with pytest.raises(DataError, match="new.jpg changed"):
        check_unchanged(new, before)
    assert stamps(raw / "missing") == {}


def test_prepare_fails_if_photos_change(project: Project, tmp_path: Path) -> None:
    """A photo is added to the folder while 8,000 others are read."""
    names = {f"{kind}/{n}.jpg" for kind in ("Negative", "Positive") for n in range(4000)}
    raw = write_folder(tmp_path / "raw", dict.fromkeys(names, jpeg(1)))
    project.set(raw=raw)
    begun = project.root / "data/prepared/.images.npy.tmp"
    script = f"python -m stages.prepare & while [ ! -e {begun} ]; do sleep 0.01; done; "
    output = project.run("sh", "-c", script + f"touch {raw}/Negative/late.jpg; wait $!; echo $?")
    assert output == (
        f"prepare: error: {raw}/Negative/late.jpg changed while it was read: run `dvc repro` again"
        "\n1\n"
    )
