"""Ctrl-C, SIGTERM, a killed dvc, a second training: each ends in one line and leaves no files."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.support.makers import jpeg, write_zip
from tests.support.project import BIN, ROOT, Project

LIMIT = 60  # seconds after which a test counts as stuck
SIGNALS = {signal.SIGINT: ("interrupted", 130), signal.SIGTERM: ("terminated", 143)}
each_signal = pytest.mark.parametrize("number", SIGNALS)


@contextmanager
def started(folder: Path, *command: str, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a program in its own process group, which is killed in the end."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", **environment},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # pytest may ignore it
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def stage(name: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"stages.{name}")


def read_until(process: "subprocess.Popen[str]", word: str) -> None:
    assert process.stderr is not None
    lines = iter(process.stderr.readline, "")
    assert any(word in line for line in lines), f"never printed {word!r}"


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.02)


def rest(process: "subprocess.Popen[str]") -> str:
    return process.communicate(timeout=LIMIT)[1]


def leftovers(project: Project) -> list[str]:
    """Locks and half-written files."""
    locks = list((project.root / ".surface_crack").glob("*.lock"))
    return [str(path) for path in [*project.root.glob("**/.*.tmp"), *locks]]


@each_signal
def test_a_signal_while_torch_is_imported_ends_quietly(project: Project, number: int) -> None:
    word, code = SIGNALS[signal.Signals(number)]
    with started(project.root, sys.executable, "-Ximporttime", *stage("train")[1:]) as process:
        read_until(process, "torch._utils")
        process.send_signal(number)
        lines = [line for line in rest(process).splitlines() if not line.startswith("import time:")]
        assert lines == [f"train: {word}"]
    assert process.returncode == code
    assert not leftovers(project)


@each_signal
@pytest.mark.parametrize(
    ("name", "file"),
    [("sample", "data/sample/.synthetic.zip.tmp"), ("prepare", "data/prepared/.images.npy.tmp")],
)
def test_a_signal_ends_a_stage_in_the_middle_of_a_file(
    project: Project, number: int, name: str, file: str
) -> None:
    word, code = SIGNALS[signal.Signals(number)]
    photos = {f"{kind}/{n}.jpg": jpeg(n) for kind in ("Negative", "Positive") for n in range(8000)}
    if name == "prepare":
        (project.root / "data/raw").mkdir(parents=True, exist_ok=True)  # whose zips git ignores
        write_zip(project.root / "data/raw/many.zip", photos)
    project.set(sample_photos=100_000, raw="data/raw/many.zip")
    with started(project.root, *stage(name)) as process:
        wait_for((project.root / file).exists, file)
        process.send_signal(number)
        assert rest(process) == f"{name}: {word}\n"
    assert process.returncode == code
    assert not leftovers(project)


@each_signal
def test_a_signal_ends_training(project: Project, number: int) -> None:
    word, code = SIGNALS[signal.Signals(number)]
    project.set(epochs=10_000, patience=10_000)
    with started(project.root, *stage("train")) as process:
        read_until(process, "epoch  2/")
        process.send_signal(number)
        assert rest(process).endswith(f"train: {word}\n")
    assert process.returncode == code
    assert not leftovers(project)


def test_compiled_code_that_blocks_signals_is_stopped(tmp_path: Path) -> None:
    """OpenSSL runs 10**9 iterations without checking for signals: only a thread can end that."""
    (tmp_path / "busy.py").write_text(
        "import hashlib\n"
        "from surface_crack.project.console import run\n"
        "from surface_crack.project.signals import install_handlers\n"
        "install_handlers()\n"
        "def main():\n"
        "    print('working', file=__import__('sys').stderr)\n"
        "    hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)\n"
        "run('busy', main)\n"
    )
    command = (sys.executable, "-m", "busy")
    with started(tmp_path, *command, PYTHONPATH=str(ROOT)) as process:
        read_until(process, "working")
        process.send_signal(signal.SIGTERM)
        assert rest(process) == "busy: terminated\n"
    assert process.returncode == 143


def test_nohup_is_respected(project: Project) -> None:
    """Signals that the shell set to be ignored stay ignored."""
    project.set(epochs=3)
    command = "trap '' INT; exec python -m stages.train"
    with started(project.root, "sh", "-c", command) as process:
        read_until(process, "epoch  1/")
        process.send_signal(signal.SIGINT)
        assert "epoch  3/" in rest(process)
    assert process.returncode == 0


def holder(project: Project) -> int:
    """Process id of the running training."""
    file = project.root / ".surface_crack/train.lock"
    wait_for(lambda: file.exists() and file.read_text(), "the lock")
    return int(file.read_text())


@pytest.mark.parametrize("shell", ["bash", "one that waits for its command"])
def test_a_training_does_not_outlive_its_dvc(project: Project, shell: str, tmp_path: Path) -> None:
    path = Path("/bin/bash")
    if shell != "bash":
        path = tmp_path / "shell"
        path.write_text('#!/bin/sh\n/bin/sh "$@"\nexit $?\n')
        path.chmod(0o755)
    project.set(epochs=10_000, patience=10_000)
    with started(project.root, *stage("train")[:2], "dvc", "repro", SHELL=str(path)) as process:
        trainer = psutil.Process(holder(project))
        process.kill()
        assert rest(process).endswith("train: its dvc has died: stopping\n")
        wait_for(lambda: not trainer.is_running(), "the end of the trainer")
    assert not leftovers(project)


def test_ctrl_c_ends_dvc_and_its_stage(project: Project) -> None:
    """A terminal sends the signal to both."""
    project.set(epochs=10_000, patience=10_000)
    with started(project.root, *stage("train")[:2], "dvc", "repro") as process:
        trainer = psutil.Process(holder(project))
        os.killpg(process.pid, signal.SIGINT)
        output = rest(process)
        assert "train: interrupted\n" in output
        assert "Traceback" not in output
        assert not trainer.is_running()
    assert not leftovers(project)


def test_a_second_training_is_refused_and_the_error_names_the_first(project: Project) -> None:
    project.set(epochs=10_000, patience=10_000)
    with started(project.root, *stage("train")) as process:
        first = holder(project)
        assert first == process.pid
        output = project.run(*stage("train"), check=False)
        assert output.endswith(
            f"train: error: the stage train is already running here, in process {first} "
            f"({sys.executable} -m stages.train): wait for it or stop it\n"
        )
        fresh = project.run("surface-crack", "fresh", check=False)
        assert f"in process {first} " in fresh
        read_until(process, "epoch  2/")  # there is a checkpoint to discard
        process.kill()  # leaves the lock file, but not the lock
        process.wait()
    assert "checkpoint discarded" in project.run("surface-crack", "fresh")
    assert list((project.root / ".surface_crack").iterdir()) == []
