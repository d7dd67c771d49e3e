"""Fifty times `kill -9`, of dvc, of the stage or of both, evenly over the stages: nothing is lost.

The next run starts at once, while what the last one left may still be dying: `surface-crack check`
and `dvc repro`, as in `make repro`.
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
UNTOLD = (".git", ".gitignore", "tmp", "__pycache__")  # what git and DVC keep for themselves


class Repro:
    """A `dvc repro` under way. What it says goes to a file, which outlives all readers."""

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
        """Wait for these words. False if it ends without them."""
        while self.process.poll() is None and words not in self.log.read_text():
            time.sleep(0.02)
        return words in self.log.read_text()

    def finish(self) -> None:
        assert self.process.wait() == 0, self.log.read_text()

    def under_way(self) -> tuple[str, float]:
        """The stage that it runs, and the processor time that this has taken, seconds."""
        with suppress(psutil.Error):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                command, times = child.cmdline(), child.cpu_times()
                if command[-2:-1] == ["-m"]:
                    return command[-1].removeprefix("stages."), times.user + times.system
        return "", 0.0

    def kill(self, what: str) -> None:
        """`dvc`, the `stage` that it runs, or `both`; dvc if none runs."""
        with suppress(psutil.Error):
            stages = psutil.Process(self.process.pid).children(recursive=True)
            if what != "stage" or not stages:
                self.process.kill()
            for process in [] if what == "dvc" else stages:
                process.kill()
        self.process.wait()  # after the death of its stage dvc ends by itself


def made(project: Project) -> dict[str, bytes]:
    """Every file but those of git's and DVC's own housekeeping, by its path."""
    files = [path for path in project.root.rglob("*") if path.is_file()]
    names = {path.relative_to(project.root): path for path in files}
    return {
        str(name): path.read_bytes()
        for name, path in names.items()
        if not set(name.parts) & set(UNTOLD)
    }


def undisturbed(root: Path) -> tuple[dict[str, bytes], dict[str, float]]:
    """What a run makes that nobody kills, and how much processor time each of its stages took."""
    project, seconds = new_project(root, **SETTINGS), dict.fromkeys(STAGES, 0.0)
    repro = Repro(root)
    while repro.process.poll() is None:
        name, taken = repro.under_way()
        seconds |= {name: taken} if name else {}
        time.sleep(0.02)
    repro.finish()
    assert list(seconds) == STAGES
    return made(project), seconds


def wait(repro: Repro, name: str, share: float, seconds: dict[str, float]) -> None:
    """Until the stage has done this share of its work, or is over."""
    begun = False
    while repro.process.poll() is None:
        now, taken = repro.under_way()
        if taken >= share * seconds[name] if now == name else begun:
            return
        begun = now == name
        time.sleep(0.01)


def test_half_a_list_of_dvc_s_is_mended_by_check(project: Project) -> None:
    """A kill of DVC leaves it, rarely."""
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


def test_the_list_is_mended_where_dvc_has_its_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project may lie below the folder that `dvc init` was run in."""
    busy = tmp_path / ".dvc/tmp/rwlock"
    busy.parent.mkdir(parents=True)
    busy.write_text("{")
    (tmp_path / "below/project").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "below/project")
    repair_rwlock()
    assert not busy.exists()


@pytest.mark.slow
def test_fifty_kills_change_no_byte_and_leave_nothing(tmp_path: Path) -> None:
    """Several in a run, one during each stage; in `train` after each of the epochs in turn."""
    wanted, seconds = undisturbed(tmp_path / "undisturbed")
    assert wanted["models/crack.safetensors"]
    draw, kills, runs, resumed = random.Random(0), 0, 0, 0
    while kills < KILLS:
        project = new_project(tmp_path / f"run{runs}", **SETTINGS)
        for number, name in enumerate(STAGES):
            repro = Repro(project.root)
            if kills < KILLS and repro.says(f"> python -m stages.{name}\n"):
                epoch = runs % (EPOCHS + 1) if name == "train" else 0
                if epoch and repro.says(f"epoch  {epoch}/"):
                    time.sleep(draw.uniform(0, 0.1))
                else:
                    wait(repro, name, draw.uniform(0, 1.05), seconds)
                kills += repro.process.poll() is None
                repro.kill(("dvc", "stage", "both")[(runs + number) % 3])
            else:
                repro.finish()
            resumed += "going on after epoch" in repro.log.read_text()
        repro = Repro(project.root)
        repro.finish()
        resumed += "going on after epoch" in repro.log.read_text()
        runs += 1
        got = made(project)
        assert got.keys() == wanted.keys()
        assert [name for name in wanted if got[name] != wanted[name]] == []
    assert resumed > 0
