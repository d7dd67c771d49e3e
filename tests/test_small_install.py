"""The base install (`pip install .`): `validate` and `inspect` run in any folder, without torch."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from surface_crack.project import paths
from surface_crack.sample.photo import write_sample
from tests.support.makers import write_folder
from tests.support.project import ROOT

MISSING = (
    *("dvc", "filelock", "matplotlib", "onnx", "pandas", "psutil", "safetensors", "scipy"),
    *("sklearn", "threadpoolctl", "torch", "torchvision"),
)
CODE = f"""
import importlib.abc
import sys


class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {MISSING!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


sys.meta_path.insert(0, Missing())
from surface_crack.cli import main

sys.argv[0] = "surface-crack"
main()
"""


def small(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Run `surface-crack` in `folder`; return (exit code, standard output, standard error)."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("site") / "site.zip"
    write_sample(path, 5, 80)
    return path


def test_validate_runs_in_an_empty_folder(site: Path, tmp_path: Path) -> None:
    code, text, errors = small(tmp_path, "validate", str(site), "--out", "verdict")
    assert (code, errors) == (0, "")
    assert text.startswith("Verdict: ")
    assert "Model: the general model of this package (no model in models/ here)." in " ".join(
        text.split()
    )
    assert sorted(path.name for path in (tmp_path / "verdict").iterdir()) == [
        *("mistakes.png", "predictions.csv", "report.json", "report.txt")
    ]
    found = json.loads((tmp_path / "verdict/report.json").read_text())
    assert (found["photos"], found["positive"], found["trained_on"]) == (80, 40, None)
    assert [path.name for path in tmp_path.iterdir()] == ["verdict"], "it writes nothing else"


def test_base_and_full_install_write_the_same_files(site: Path, tmp_path: Path) -> None:
    assert small(tmp_path, "validate", str(site), "--out", "small")[0] == 0
    code = CODE.replace("sys.meta_path.insert", "list().insert")
    done = subprocess.run(
        [sys.executable, "-c", code, "validate", str(site), "--out", "full"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0
    for path in (tmp_path / "small").iterdir():
        assert (tmp_path / "full" / path.name).read_bytes() == path.read_bytes(), path.name


def test_patch_px_needs_no_other_library(site: Path, tmp_path: Path) -> None:
    code, text, errors = small(tmp_path, "validate", str(site), "--json", "--patch-px", "48")
    assert (code, errors) == (0, "")
    assert json.loads(text)["patch_px"] == 48


def test_inspect_runs_in_an_empty_folder(site: Path, tmp_path: Path) -> None:
    code, _, errors = small(tmp_path, "inspect", str(site), "--out", "report")
    assert code == 0, errors
    assert (tmp_path / "report/report.html").exists()


def test_weights_without_pytorch_are_a_one_line_error(site: Path, tmp_path: Path) -> None:
    shutil.copy(paths.GENERAL_WEIGHTS, tmp_path / "crack.safetensors")
    code, text, errors = small(tmp_path, "validate", str(site), "--model", "crack.safetensors")
    assert (code, text) == (1, "")
    assert re.fullmatch(r".*: error: crack.safetensors needs torch: run .*\n", errors)


def test_an_unknown_class_folder_is_a_one_line_error_naming_the_known_ones(
    tmp_path: Path,
) -> None:
    write_folder(tmp_path / "site", {"Maybe/1.jpg": b"x"})
    code, _, errors = small(tmp_path, "validate", "site")
    assert code == 1
    assert errors.count("\n") == 1
    assert "folder 'Maybe' of 'Maybe/1.jpg' in site is in neither class" in errors
    assert "class folders must be named Negative," in errors


def test_commands_that_train_name_the_missing_library(tmp_path: Path) -> None:
    shutil.copy(ROOT / "tests/support/params.yaml", tmp_path / "params.yaml")
    code, _, errors = small(tmp_path, "audit")
    assert code == 1
    assert re.fullmatch(r".*: error: audit needs \w+, which is not installed: run .*\n", errors)
