"""`surface-crack validate`, with the small model of a finished run."""

import json
import shutil
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from surface_crack.elsewhere import validate_photos
from surface_crack.errors import DataError
from surface_crack.sample import write_sample
from tests.makers import DISGUISES, write_folder, write_zip
from tests.project import ROOT, Project

HERE = Path("data/sample/synthetic.zip")  # what the model was trained on
FILES = ["mistakes.png", "predictions.csv", "report.json", "report.txt"]


def validate(folder: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """(exit code, standard output, standard error) of `surface-crack validate` in `folder`."""
    code = "import sys; from surface_crack.cli import main; sys.argv[0] = 'surface-crack'; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "validate", *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip of 80 photos of another seed, half of them cracks."""
    path = tmp_path_factory.mktemp("site") / "site.zip"
    write_sample(path, 5, 80)
    return path


@pytest.fixture
def there(finished: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of the finished run, which nothing may change, as the current folder."""
    monkeypatch.chdir(finished.root)
    return finished.root


def content(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def without_path(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key != "path"}


def test_photos_that_nothing_was_chosen_by_score_as_in_evaluate(there: Path) -> None:
    """All photos of the run, minus those that trained or chose: its test part, its numbers."""
    found, text = validate_photos(HERE, None)
    numbers = json.loads((there / "metrics/evaluate.json").read_text())
    for name, score in found["scores"].items():
        assert score["value"] == pytest.approx(numbers[name], abs=1.1e-6), name
        interval = numbers["interval"][name]
        assert (score["low"], score["high"]) == (interval["low"], interval["high"]), name
    assert found["photos"] == numbers["photos"]
    assert found["photos"] + found["trained_on"] == 120
    assert f"Left out: {found['trained_on']} photos that the model was trained on" in text


@pytest.mark.usefixtures("there")
def test_photos_that_trained_it_are_left_out_with_their_twins(site: Path, tmp_path: Path) -> None:
    tested = pd.read_csv("data/evaluated/predictions.csv")["path"].tolist()
    seen = {name: photo for name, photo in content(HERE).items() if name not in tested}
    photo = min(seen.items())[1]
    twin = DISGUISES["mirrored"](Image.open(BytesIO(photo)))
    files = {**content(site), "Negative/seen.jpg": photo, "Negative/twin.jpg": twin}
    found, _ = validate_photos(write_zip(tmp_path / "site.zip", files), None)
    assert found["trained_on"] == 2
    assert found["scores"] == validate_photos(site, None)[0]["scores"]
    with pytest.raises(DataError, match="the model was trained on all photos of"):
        validate_photos(write_zip(tmp_path / "seen.zip", seen), None)


def test_a_model_from_elsewhere_is_not_taken_for_one_of_these_photos(
    project: Project, finished: Project, site: Path, tmp_path: Path
) -> None:
    """What data/ holds tells of the model in models/ alone."""
    model = shutil.copytree(project.root / "models", tmp_path / "mine") / "crack.safetensors"
    project.set(lr=0.02)
    project.dvc("repro", "calibrate")
    code, out, _ = validate(project.root, str(HERE), "--json", "--model", str(model))
    assert (code, json.loads(out)["trained_on"], json.loads(out)["photos"]) == (0, None, 120)
    assert "cannot be told" in validate(project.root, str(HERE), "--model", str(model))[1]
    known = validate(finished.root, str(HERE), "--json")
    assert json.loads(known[1])["trained_on"] > 0
    assert validate(finished.root, str(HERE), "--json", "--model", str(model)) == known  # a copy
    for name in ("data", "plots"):  # only the model is at hand
        shutil.move(project.root / name, project.root / f"old-{name}")
    for options in ((), ("--model", str(model))):
        code, out, _ = validate(project.root, str(site), "--json", *options)
        assert (code, json.loads(out)["trained_on"]) == (0, None)


@pytest.mark.usefixtures("there")
def test_a_zip_and_a_folder_score_alike(site: Path, tmp_path: Path) -> None:
    from_zip, _ = validate_photos(site, None)
    from_folder, _ = validate_photos(write_folder(tmp_path / "site", content(site)), None)
    assert without_path(from_folder) == without_path(from_zip)
    assert from_zip["photos"] == 80
    assert from_zip["trained_on"] == 0


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize(
    ("label", "name", "inside"),
    [(0, "Negative", ""), (1, "Positive", ""), (0, "Negative", "Negative")],
)
def test_one_class(site: Path, tmp_path: Path, label: int, name: str, inside: str) -> None:
    """In a folder, or the class folder itself."""
    files = {path: photo for path, photo in content(site).items() if path.startswith(name)}
    raw = write_folder(tmp_path / "one", files) / inside
    found, text = validate_photos(raw, None)
    assert (found["cracks"], found["sound"]) == (40 * label, 40 * (1 - label))
    assert found["verdict"]["use"] == "cannot tell"
    assert "What can be told: it " in found["verdict"]["why"]
    assert text.startswith("Verdict: cannot tell whether the model may be used here.\nNo photos ")
    assert "nan" not in text.lower()


@pytest.mark.usefixtures("there")
def test_five_photos(site: Path, tmp_path: Path) -> None:
    files = dict(sorted(content(site).items())[38:43])
    found, _ = validate_photos(write_zip(tmp_path / "five.zip", files), None)
    assert found["photos"] == 5
    assert "So nothing can be concluded." in found["verdict"]["why"]


def test_copies_and_patterns_belong_together(
    project: Project, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.root)
    files = content(site)
    raw = write_zip(tmp_path / "site.zip", {**files, "Negative/again.jpg": min(files.items())[1]})
    found, text = validate_photos(raw, None)
    assert (found["photos"], found["groups"]) == (81, 80)
    assert "group_pattern" not in text
    assert "counts as a place of its own" in text
    project.set(group_pattern=r"'(\d)\.jpg'")  # of both classes, by the last digit
    found, text = validate_photos(raw, None)
    assert (found["groups"], found["group_pattern"]) == (10, r"(\d)\.jpg")
    assert "group_pattern" not in text
    assert "place of its own" not in text
    project.set(group_pattern="'of-another-site-(.+)'")
    found, text = validate_photos(raw, None)
    assert found["groups"] == 80
    assert "The group_pattern finds nothing in these paths." in text
    found, text = validate_photos(raw, None, r"(\d)\.jpg")  # by that of the command line
    assert found["groups"] == 10


@pytest.mark.usefixtures("there")
def test_a_model_of_drawings_says_so_beside_its_verdict(site: Path) -> None:
    found, text = validate_photos(site, None)
    assert found["learnt_from"] == ["synthetic"]
    assert "learnt from drawings alone" in " ".join(text.split())


@pytest.mark.usefixtures("there")
def test_a_report_goes_neither_among_the_photos_nor_over_files_of_others(
    site: Path, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "photos", content(site))
    for out in (folder, folder / "report"):
        with pytest.raises(DataError, match="among the photos: give another folder"):
            validate_photos(folder, out)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "report.txt").write_text("mine")
    with pytest.raises(DataError, match="report.txt is there and of no earlier report"):
        validate_photos(site, taken)
    assert (taken / "report.txt").read_text() == "mine"
    for _ in range(2):
        validate_photos(site, tmp_path / "out")


def test_a_broken_pattern_is_a_mistake_in_the_call(tmp_path: Path) -> None:
    code, _, errors = validate(tmp_path, "site", "--group-pattern", "(")
    assert code == 2
    assert "argument --group-pattern: is no regular expression" in errors


@pytest.mark.usefixtures("there")
def test_broken_files_are_counted_and_named(site: Path, tmp_path: Path) -> None:
    files = content(site)
    broken = {f"Positive/broken-{number}.jpg": b"no photo" for number in range(7)}
    whole, _ = validate_photos(site, None)
    found, text = validate_photos(write_zip(tmp_path / "site.zip", {**files, **broken}), None)
    assert found["scores"] == whole["scores"]
    assert found["rejected"] == 7
    assert [file["path"] for file in found["first_rejected"]] == sorted(broken)[:5]
    assert "7 files cannot be used:\n  site/Positive/broken-0.jpg: " in text


def test_names_that_a_terminal_cannot_show_are_escaped(
    there: Path, site: Path, tmp_path: Path
) -> None:
    archive = shutil.copy(site, tmp_path / "\u0142\u00f3d\u017a.zip")
    for option, shown in ((), r"\u0142\xf3d\u017a.zip"), (("--json",), r"\u0142\u00f3d\u017a.zip"):
        code, text, _ = validate(there, str(archive), *option, PYTHONIOENCODING="ascii")
        assert code == 0
        assert shown in text


def test_the_command_prints_what_it_writes(finished: Project, site: Path, tmp_path: Path) -> None:
    code, text, errors = validate(finished.root, str(site), "--out", str(tmp_path / "first/a"))
    assert (code, errors) == (0, "")
    code, out, errors = validate(finished.root, str(site), "--json", "--out", str(tmp_path / "b"))
    assert (code, errors) == (0, "")
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("first/a", "b")
    )
    assert sorted(first) == FILES
    assert first == second
    assert first["report.txt"].decode() == text
    assert first["report.json"].decode() == out
    found = json.loads(out)
    rows = pd.read_csv(tmp_path / "b/predictions.csv")
    assert list(rows) == ["source", "path", "label", "group", "probability", "decided"]
    assert len(rows) == found["photos"] == 80
    right = (rows["label"] == rows["decided"]).mean()
    assert found["scores"]["accuracy"]["value"] == pytest.approx(right, abs=1e-6)
    assert finished.git("status", "--porcelain") == ""


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"Positive/1.jpg": b"x", "Negative/2.jpg": b"y"}, "none of the 2 files in .* can be used"),
        ({"Positive/1.jpg": b"x"}, "the first is 'Positive/1.jpg' \\("),
        ({}, "no photo found in"),
        ({"Maybe/1.jpg": b"x"}, "folder 'Maybe' of 'Maybe/1.jpg' in .* is in neither class"),
    ],
)
def test_what_cannot_be_scored_is_one_line(
    tmp_path: Path, files: dict[str, bytes], message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        validate_photos(write_zip(tmp_path / "raw.zip", files), None)
    assert "\n" not in str(caught.value)


def test_mistakes_in_the_call_are_exit_code_1(
    project: Project, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert validate(project.root, "nowhere.zip") == (
        *(1, ""),
        "surface-crack: error: nowhere.zip does not exist: give a folder or zip of labelled "
        "photos\n",
    )
    monkeypatch.chdir(project.root)
    with pytest.raises(DataError, match="params.yaml is a file, or lies below one"):
        validate_photos(site, Path("params.yaml"))
    (project.root / "models/crack.safetensors").unlink()
    with pytest.raises(DataError, match="crack.safetensors is missing: run `dvc repro`"):
        validate_photos(site, None)
