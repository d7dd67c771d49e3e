"""A copy of the project in a temporary git and DVC repository, and commands run in it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
GIT_IDENTITY = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Test"), ("EMAIL", "test@example.org"))
}
PARTS = ("stages", "surface_crack", ".dvc/config", ".dvc/.gitignore", ".dvc/plots")
FILES = ("dvc.yaml", ".gitignore", ".gitattributes", ".dvcignore")
OWN = ROOT / "params.yaml"
SHIPPED = ROOT / "tests/support/params.yaml"  # as the project came; its own is the user's to change


class Project:
    """One repository. Commands run in its root, with this environment's programs first on PATH."""

    def __init__(self, root: Path, **environment: str) -> None:
        """`environment` is for all commands."""
        self.root = root
        self.environment = environment

    def run(self, *command: str, check: bool = True) -> str:
        """Standard output and error of a command, which must succeed unless `check` is false."""
        environment = {
            key: os.environ[key] for key in ("HOME", "LANG", "OMP_NUM_THREADS") if key in os.environ
        }
        environment |= GIT_IDENTITY | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
        environment |= {"PYTHONPATH": str(self.root)}  # for `surface-crack`: its code, not ours
        environment |= self.environment
        done = subprocess.run(
            command,
            cwd=self.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
        return done.stdout

    def dvc(self, *arguments: str, check: bool = True) -> str:
        return self.run(sys.executable, "-m", "dvc", *arguments, check=check)

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments)

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-qm", message)

    def set(self, **values: object) -> None:
        """Change parameters as a user does in an editor: the line, comment and all."""
        path = self.root / "params.yaml"
        lines = path.read_text().splitlines()
        for key, value in values.items():
            number = next(n for n, line in enumerate(lines) if line.startswith(f"{key}:"))
            lines[number] = f"{key}: {value}"
        path.write_text("\n".join(lines) + "\n")

    def ran(self, output: str) -> list[str]:
        """The stages that `dvc repro` or `dvc exp run` started, in order."""
        starts = [line for line in output.splitlines() if line.startswith("Running stage '")]
        return [line.split("'")[1] for line in starts]

    def copy(self, to: Path) -> "Project":
        shutil.copytree(self.root, to, symlinks=True)
        return Project(to)


def new_project(root: Path, settings: Path = SHIPPED, /, **params: object) -> Project:
    """The project's code, without its lock files and data, in a fresh repository at `root`.

    `params` replace those of the file `settings`.
    """
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__", "dvc.lock")
            shutil.copytree(source, root / part, ignore=ignore)
        else:
            (root / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, root / part)
    for name in FILES:
        shutil.copy(ROOT / name, root / name)
    shutil.copy(settings, root / "params.yaml")
    project = Project(root)
    project.set(**params)
    project.git("init", "-q", "-b", "main")
    project.commit("start")
    return project


def committed(root: Path) -> Project:
    """A clone of the last commit at `root`.

    What a test demands of committed files it reads here: those of the working tree are the user's
    to change, by hand or by a run. The test is skipped where nothing is committed.
    """
    if not (ROOT / ".git").exists():
        import pytest  # which bench/ works without

        pytest.skip("no git checkout: what is committed is not known")
    Project(ROOT).git("clone", "-q", str(ROOT), str(root))
    return Project(root)


def as_it_came(project: Project) -> bool:
    """Does its params.yaml hold the values that the project ships with, and no user's own?"""
    own, shipped = (project.root / name for name in ("params.yaml", "tests/support/params.yaml"))
    return bool(
        yaml.safe_load(own.read_text("utf-8")) == yaml.safe_load(shipped.read_text("utf-8"))
    )
