"""The `surface-crack` command line."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from surface_crack.cli import parser
from tests.support.makers import metu_like, write_folder, write_zip
from tests.support.project import ROOT, SHIPPED, Project, new_project


def surface_crack(folder: Path, *arguments: str) -> tuple[int, str]:
    """(exit code, output) of the command, run in `folder`."""
    code = "import sys; from surface_crack.cli import main; sys.argv[0] = 'surface-crack'; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for file in (SHIPPED, ROOT / "dvc.yaml"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def set_param(folder: Path, key: str, value: str) -> None:
    path = folder / "params.yaml"
    lines = path.read_text().splitlines()
    lines = [f"{key}: {value}" if line.startswith(f"{key}:") else line for line in lines]
    path.write_text("\n".join(lines) + "\n")


def test_help_lists_the_commands() -> None:
    code, text = surface_crack(ROOT, "--help")
    assert code == 0
    assert "\nTools around the crack detection pipeline\n" in text
    for command in ("check", "download", "validate"):
        assert f"\n    {command} " in text


def test_a_missing_dependency_is_a_one_line_error(tmp_path: Path) -> None:
    """After `pip install .` alone, `audit` has no pandas."""
    (tmp_path / "pandas.py").write_text("raise ModuleNotFoundError(name='pandas')")
    code, text = surface_crack(tmp_path, "audit")
    assert code == 1
    assert re.fullmatch(r".*error: audit needs pandas, which is not installed: run .*\n", text)


def test_help_of_a_command_describes_it_and_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["inspect", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for part in (
        "Find cracks in whole photos and write a report",
        "--jobs 1..64 number of photos to process in parallel (default: one per core)",
        "scale of your photos, in millimetres per pixel: adds areas in mm²",
    ):
        assert part in text


def test_inspect_and_validate_document_the_model_option_alike() -> None:
    helps = []
    for command in ("inspect", "validate"):
        code, text = surface_crack(ROOT, command, "--help")
        helps.append(" ".join(text.split()).partition("--model MODEL ")[2].partition(" --")[0])
        assert "--patch-px PATCH_PX" in text
        assert code == 0
    assert helps[0] == helps[1]
    assert helps[0].startswith("'general' for the model in the package, a .onnx file, or a .safe")


ABOVE_0 = "must be a number above 0 and below a million, got"


@pytest.mark.parametrize(
    ("command", "option", "message"),
    [
        ("inspect . --out out", "--mm-per-px=0", f"{ABOVE_0} '0'"),
        ("inspect . --out out", "--patch-px=nan", f"{ABOVE_0} 'nan'"),
        ("inspect . --out out", "--patch-px=many", f"{ABOVE_0} 'many'"),
        ("inspect . --out out", "--mm-per-px=1e6", f"{ABOVE_0} '1e6'"),
        ("inspect . --out out", "--threshold=1", "must be a number above 0 and below 1, got '1'"),
        ("inspect . --out out", "--jobs=0", "must be a whole number from 1 to 64, got '0'"),
        ("inspect . --out out", "--jobs=two", "must be a whole number from 1 to 64, got 'two'"),
        ("audit", "--folds=21", "must be a whole number from 2 to 20, got '21'"),
    ],
)
def test_options_out_of_range_are_usage_errors(
    command: str, option: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        parser().parse_args([*command.split(), option])
    assert stopped.value.code == 2
    assert f"argument {option.split('=')[0]}: {message}\n" in capsys.readouterr().err


def test_the_parser_imports_no_heavy_package() -> None:
    heavy = "{'torch', 'sklearn', 'matplotlib', 'pandas', 'numpy'} & set(sys.modules)"
    code = f"import sys; from surface_crack.cli import parser; parser(); print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_check_accepts_the_defaults(folder: Path) -> None:
    assert surface_crack(folder, "check") == (
        0,
        "surface-crack: params.yaml is valid; data: the synthetic sample\n",
    )


def test_check_counts_the_photos(folder: Path) -> None:
    write_zip(folder / "mine.zip", metu_like(3))
    set_param(folder, "raw", "mine.zip")
    code, text = surface_crack(folder, "check")
    assert code == 0
    assert text.endswith("mine.zip: 6 photos, 3 of them in folders of positives\n")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("nowhere.zip", "raw 'nowhere.zip' does not exist: set raw in params.yaml"),
        ("''", "raw must be a path, got ''"),
        ("params.yaml", "params.yaml is not a readable zip"),
    ],
)
def test_check_reports_an_error_in_one_line(folder: Path, raw: str, message: str) -> None:
    set_param(folder, "raw", raw)
    code, text = surface_crack(folder, "check")
    assert code == 1
    assert text.startswith(f"surface-crack: error: {message}")
    assert text.count("\n") == 1


def test_check_rejects_locations_that_dvc_would_reject(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    write_folder(folder / "data/raw", metu_like(1))
    (folder / "loop").symlink_to("loop")
    set_param(folder, "raw", "loop")
    assert "raw 'loop' does not exist" in surface_crack(folder, "check")[1]
    for raw in ("data", "."):
        set_param(folder, "raw", raw)
        assert surface_crack(folder, "check") == (
            1,
            f"surface-crack: error: raw '{raw}' contains data/prepared, which the stage prepare "
            "writes: set raw to a folder with photos only, such as data/raw\n",
        )
    set_param(folder, "raw", "data/raw")
    assert surface_crack(folder, "check")[0] == 0
    disk = (folder / "data").rename(tmp_path_factory.mktemp("disk") / "data")
    (folder / "data").symlink_to(disk)
    code, text = surface_crack(folder, "check")
    assert code == 1
    assert "data is a link to a place outside of the project, where DVC writes no output" in text


def test_check_warns_of_changes_that_dvc_would_miss(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    apart = write_folder(tmp_path_factory.mktemp("apart"), metu_like(1))
    write_folder(folder, {"mine/Negative/1.jpg": b""})
    (folder / "mine/Positive").symlink_to(apart / "Positive")
    set_param(folder, "raw", "mine")
    code, text = surface_crack(folder, "check")
    assert code == 0
    assert "mine/Positive is a link to a folder, and DVC does not notice changes beh" in text


def test_check_tests_the_group_pattern(folder: Path) -> None:
    write_zip(folder / "mine.zip", metu_like(3))
    set_param(folder, "raw", "mine.zip")
    set_param(folder, "group_pattern", r"(\d+)-\d+")
    code, text = surface_crack(folder, "check")
    assert code == 1
    assert "matches no path, for example 'Negative/00000.jpg'" in text


def test_outside_the_project_the_error_says_where_to_run(tmp_path: Path) -> None:
    code, text = surface_crack(tmp_path, "check")
    assert code == 1
    assert text == (
        "surface-crack: error: params.yaml is missing here: run from the project's root folder\n"
    )


def test_running_the_code_of_another_clone_is_a_warning(tmp_path: Path) -> None:
    """As with one environment for two clones."""
    clone = new_project(tmp_path / "clone")
    valid = "surface-crack: params.yaml is valid; data: the synthetic sample\n"
    assert clone.run("surface-crack", "check") == valid
    output = Project(clone.root, PYTHONPATH=str(ROOT)).run("surface-crack", "check")
    assert output == (
        f"surface-crack: running the code in {ROOT / 'surface_crack'}, not in "
        f"{clone.root / 'surface_crack'}: to change that, run `python -m pip install -e .` here, "
        f"or give this folder its own .venv\n{valid}"
    )


def test_a_failed_download_is_exit_code_1(tmp_path: Path) -> None:
    url = "http://127.0.0.1:9/nothing.zip"  # the discard port: nothing listens there
    code, text = surface_crack(tmp_path, "download", "metu", "--url", url, "--to", "raw")
    assert code == 1
    assert "metu could not be downloaded: 127.0.0.1:9" in text
    assert text.count("\n") == 1
    assert list((tmp_path / "raw").iterdir()) == []
