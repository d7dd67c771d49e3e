"""`kill -9` fifty times, of dvc, of the stage or of both, evenly over the stages: no data is lost.

The next run (`surface-crack check` and `dvc repro`, as in `make repro`) starts at once, while
processes of the previous one may still be exiting.
"""

import os
import random
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from surface_crack.checks.rwlock import repair_rwlock
from tests.support.project import BIN, Project, new_project

KILLS = 50
STAGES = ["sample", "prepare", "group", "split", "train", "calibrate", "evaluate", "card"]
EPOCHS = 4
SETTINGS = {"sample_photos": 200, "epochs": EPOCHS, "image_size": 48, "lr": 0.01}
IGNORED = (".git", ".gitignore", "tmp", "__pycache__")  # bookkeeping of git, DVC and Python


class Repro:
    """A running `dvc repro`. Its output goes to a file, which outlives all processes."""

    def __init__(self, root: Path) -> None:
        Project(root).run("surface-crack", "check")
        self.log = root.with_suffix(".log")
        with self.log.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dvc", "repro"],
                cwd=root,
                env={**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def says(self, words: str) -> bool:
        """Wait until the output contains `words`. False if it ends without them."""
        while self.process.poll() is None and words not in self.log.read_text():
            time.sleep(0.02)
        return words in self.log.read_text()

    def finish(self) -> None:
        assert self.process.wait() == 0, self.log.read_text()

    def current_stage(self) -> tuple[str, float]:
        """(name of the running stage or '', CPU time that it has used, in seconds)."""
        with suppress(psutil.Error):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                command, times = child.cmdline(), child.cpu_times()
                if command[-2:-1] == ["-m"]:
                    return command[-1].removeprefix("stages."), times.user + times.system
        return "", 0.0

    def kill(self, what: str) -> None:
        """Kill `dvc`, its running `stage`, or `both`; dvc if no stage runs."""
        with suppress(psutil.Error):
            stages = psutil.Process(self.process.pid).children(recursive=True)
            if what != "stage" or not stages:
                self.process.kill()
            for process in [] if what == "dvc" else stages:
                process.kill()
        self.process.wait()  # dvc exits by itself when its stage has died


def made(project: Project) -> dict[str, bytes]:
    """Contents of all files by path, without the bookkeeping of git and DVC."""
    files = [path for path in project.root.rglob("*") if path.is_file()]
    names = {path.relative_to(project.root): path for path in files}
    return {
        str(name): path.read_bytes()
        for name, path in names.items()
        if not set(name.parts) & set(IGNORED)
    }


def uninterrupted(root: Path) -> tuple[dict[str, bytes], dict[str, float]]:
    """(files of an uninterrupted run, CPU seconds of each of its stages)."""
    project, seconds = new_project(root, **SETTINGS), dict.fromkeys(STAGES, 0.0)
    repro = Repro(root)
    while repro.process.poll() is None:
        name, used = repro.current_stage()
        seconds |= {name: used} if name else {}
        time.sleep(0.02)
    repro.finish()
    assert list(seconds) == STAGES
    return made(project), seconds


def wait(repro: Repro, name: str, share: float, seconds: dict[str, float]) -> None:
    """Wait until the stage has used this share of its CPU time, or has ended."""
    started = False
    while repro.process.poll() is None:
        now, used = repro.current_stage()
        if used >= share * seconds[name] if now == name else started:
            return
        started = now == name
        time.sleep(0.01)


def test_check_repairs_a_truncated_rwlock(project: Project) -> None:
    """As a killed DVC leaves it in rare cases."""
    busy = project.root / ".dvc/tmp/rwlock"
    busy.write_text('{"write": {"data')
    assert "JSON structure is corrupted" in project.dvc("repro", check=False)
    assert f"{busy.relative_to(project.root)} was truncated" in project.run(
        "surface-crack", "check"
    )
    assert not busy.exists()
    project.dvc("repro")
    whole = busy.read_bytes()
    project.run("surface-crack", "check")
    assert busy.read_bytes() == whole


def test_the_rwlock_is_repaired_in_the_root_of_dvc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The project may lie below the folder in which `dvc init` was run."""
    busy = tmp_path / ".dvc/tmp/rwlock"
    busy.parent.mkdir(parents=True)
    busy.write_text("{")
    (tmp_path / "below/project").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "below/project")
    repair_rwlock()
    assert not busy.exists()


@pytest.mark.slow
def test_fifty_kills_change_no_byte_and_leave_no_file(tmp_path: Path) -> None:
    """Several per run, one in each stage; in `train` after a different epoch in each run."""
    wanted, seconds = uninterrupted(tmp_path / "uninterrupted")
    assert wanted["models/crack.safetensors"]
    rng, kills, runs, resumed = random.Random(0), 0, 0, 0
    while kills < KILLS:
        project = new_project(tmp_path / f"run{runs}", **SETTINGS)
        for number, name in enumerate(STAGES):
            repro = Repro(project.root)
            if kills < KILLS and repro.says(f"> python -m stages.{name}\n"):
                epoch = runs % (EPOCHS + 1) if name == "train" else 0
                if epoch and repro.says(f"epoch  {epoch}/"):
                    time.sleep(rng.uniform(0, 0.1))
                else:
                    wait(repro, name, rng.uniform(0, 1.05), seconds)
                kills += repro.process.poll() is None
                repro.kill(("dvc", "stage", "both")[(runs + number) % 3])
            else:
                repro.finish()
            resumed += "resuming an interrupted training" in repro.log.read_text()
        repro = Repro(project.root)
        repro.finish()
        resumed += "resuming an interrupted training" in repro.log.read_text()
        runs += 1
        got = made(project)
        assert got.keys() == wanted.keys()
        assert [name for name in wanted if got[name] != wanted[name]] == []
    assert resumed > 0
