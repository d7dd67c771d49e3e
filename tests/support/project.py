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
COPIED = ("stages", "surface_crack", ".dvc/config", ".dvc/.gitignore", ".dvc/plots")
FILES = ("dvc.yaml", ".gitignore", ".gitattributes", ".dvcignore")
OWN = ROOT / "params.yaml"
SHIPPED = ROOT / "tests/support/params.yaml"  # as shipped; users may change params.yaml itself


class Project:
    """A repository. Commands run in its root, with this environment's programs first on PATH."""

    def __init__(self, root: Path, **environment: str) -> None:
        """`environment` is set for all commands."""
        self.root = root
        self.environment = environment

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command and return its standard output and error; it must succeed if `check`."""
        environment = {
            key: os.environ[key] for key in ("HOME", "LANG", "OMP_NUM_THREADS") if key in os.environ
        }
        environment |= GIT_IDENTITY | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
        environment |= {"PYTHONPATH": str(self.root)}  # `surface-crack` runs the code of the copy
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
        """Change parameters as in an editor: replaces whole lines, including comments."""
        path = self.root / "params.yaml"
        lines = path.read_text().splitlines()
        for key, value in values.items():
            number = next(n for n, line in enumerate(lines) if line.startswith(f"{key}:"))
            lines[number] = f"{key}: {value}"
        path.write_text("\n".join(lines) + "\n")

    def ran(self, output: str) -> list[str]:
        """The stages that `dvc repro` or `dvc exp run` started, in order, from its output."""
        starts = [line for line in output.splitlines() if line.startswith("Running stage '")]
        return [line.split("'")[1] for line in starts]

    def copy(self, to: Path) -> "Project":
        shutil.copytree(self.root, to, symlinks=True)
        return Project(to)


def new_project(root: Path, settings: Path = SHIPPED, /, **params: object) -> Project:
    """Copy the project's code, without lock files and data, into a new repository at `root`.

    `params` override those in the file `settings`.
    """
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__", "dvc.lock")
            shutil.copytree(source, root / name, ignore=ignore)
        else:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, root / name)
    for name in FILES:
        shutil.copy(ROOT / name, root / name)
    shutil.copy(settings, root / "params.yaml")
    project = Project(root)
    project.set(**params)
    project.git("init", "-q", "-b", "main")
    project.commit("start")
    return project


def committed(root: Path) -> Project:
    """Clone the last commit to `root`.

    Tests of committed files use this clone, because users and runs may change the working tree.
    The test is skipped outside of a git checkout.
    """
    if not (ROOT / ".git").exists():
        import pytest  # bench/ must work without it

        pytest.skip("no git checkout: the committed files are not known")
    Project(ROOT).git("clone", "-q", str(ROOT), str(root))
    return Project(root)


def has_shipped_params(project: Project) -> bool:
    """Whether params.yaml has the shipped values."""
    own, shipped = (project.root / name for name in ("params.yaml", "tests/support/params.yaml"))
    return bool(
        yaml.safe_load(own.read_text("utf-8")) == yaml.safe_load(shipped.read_text("utf-8"))
    )
