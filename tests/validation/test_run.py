"""`surface-crack validate`, with the small model of a finished run."""

import json
import shutil
import subprocess
import sys
import warnings
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from surface_crack.inspection.run import Request, inspect
from surface_crack.project import paths
from surface_crack.project.errors import DataError
from surface_crack.sample.photo import write_sample
from surface_crack.validation.run import patch_size_problem, validate_photos
from surface_crack.validation.verdict import percent
from tests.support.makers import ALTERATIONS, encoded, picture, write_folder, write_zip
from tests.support.project import ROOT, Project

HERE = Path("data/sample/synthetic.zip")  # what the model was trained on
OWN = ("--model", str(paths.MODEL))  # trained on drawings, so not chosen by default
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


def validated(path: Path, out: Path | None = None, **options: Any) -> tuple[dict[str, Any], str]:
    """validate_photos with the model in models/."""
    return validate_photos(path, out, **{"model": paths.MODEL, **options})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip of 80 photos of another seed, half of them positive."""
    path = tmp_path_factory.mktemp("site") / "site.zip"
    write_sample(path, 5, 80)
    return path


@pytest.fixture
def there(finished: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of the finished run, which must not be changed, as the current folder."""
    monkeypatch.chdir(finished.root)
    return finished.root


def content(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def without_path(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key != "path"}


def test_scores_on_the_test_set_equal_those_of_evaluate(there: Path) -> None:
    """Of all photos of the run, only the test set remains: the others are left out."""
    found, text = validated(HERE)
    numbers = json.loads((there / "metrics/evaluate.json").read_text())
    for name, score in found["scores"].items():
        assert score["value"] == pytest.approx(numbers[name], abs=1.1e-6), name
        interval = numbers["ci95"][name]
        assert (score["low"], score["high"]) == (interval["low"], interval["high"]), name
    assert found["photos"] == numbers["photos"]
    assert found["photos"] + found["trained_on"] == 120
    assert f"Left out: {found['trained_on']} photos that the model was trained on" in text


@pytest.mark.usefixtures("there")
def test_training_photos_and_their_near_duplicates_are_left_out(site: Path, tmp_path: Path) -> None:
    tested = pd.read_csv("data/evaluated/predictions.csv")["path"].tolist()
    seen = {name: photo for name, photo in content(HERE).items() if name not in tested}
    photo = min(seen.items())[1]
    mirrored = ALTERATIONS["mirrored"](Image.open(BytesIO(photo)))
    files = {**content(site), "Negative/seen.jpg": photo, "Negative/mirrored.jpg": mirrored}
    found, _ = validated(write_zip(tmp_path / "site.zip", files))
    assert found["trained_on"] == 2
    assert found["scores"] == validated(site)[0]["scores"]
    with pytest.raises(DataError, match="the model was trained on all photos of"):
        validated(write_zip(tmp_path / "seen.zip", seen))


def test_training_photos_are_unknown_for_a_model_of_another_run(
    project: Project, finished: Project, site: Path, tmp_path: Path
) -> None:
    """data/ only says what the model of this run was trained on."""
    model = shutil.copytree(project.root / "models", tmp_path / "mine") / "crack.safetensors"
    project.set(lr=0.02)
    project.dvc("repro", "calibrate")
    code, out, _ = validate(project.root, str(HERE), "--json", "--model", str(model))
    assert (code, json.loads(out)["trained_on"], json.loads(out)["photos"]) == (0, None, 120)
    assert "Unknown which photos" in validate(project.root, str(HERE), "--model", str(model))[1]
    known, copy = (
        json.loads(validate(finished.root, str(HERE), "--json", *options)[1])
        for options in (OWN, ("--model", str(model)))
    )
    assert known["trained_on"] > 0
    assert copy.pop("model") == f"{model} (given by --model)"
    assert copy == {name: value for name, value in known.items() if name != "model"}
    for name in ("data", "plots"):  # only the model is left
        shutil.move(project.root / name, project.root / f"old-{name}")
    for options in (OWN, ("--model", str(model))):
        code, out, _ = validate(project.root, str(site), "--json", *options)
        assert (code, json.loads(out)["trained_on"]) == (0, None)


@pytest.mark.usefixtures("there")
def test_a_zip_and_a_folder_give_the_same_scores(site: Path, tmp_path: Path) -> None:
    from_zip, _ = validated(site)
    from_folder, _ = validated(write_folder(tmp_path / "site", content(site)))
    assert without_path(from_folder) == without_path(from_zip)
    assert from_zip["photos"] == 80
    assert from_zip["trained_on"] == 0


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize(
    ("label", "name", "inside"),
    [(0, "Negative", ""), (1, "Positive", ""), (0, "Negative", "Negative")],
)
def test_photos_of_one_class(
    site: Path, tmp_path: Path, label: int, name: str, inside: str
) -> None:
    """The folder above the class folder, or the class folder itself."""
    files = {path: photo for path, photo in content(site).items() if path.startswith(name)}
    raw = write_folder(tmp_path / "one", files) / inside
    found, text = validated(raw)
    assert (found["positive"], found["negative"]) == (40 * label, 40 * (1 - label))
    assert found["verdict"]["use"] == "cannot tell"
    assert "What can be said: " in found["verdict"]["why"]
    assert text.startswith("Verdict: cannot tell whether the model may be used here.\nNo ")
    assert "nan" not in text.lower()


@pytest.mark.usefixtures("there")
def test_five_photos_are_too_few(site: Path, tmp_path: Path) -> None:
    files = dict(sorted(content(site).items())[38:43])
    found, _ = validated(write_zip(tmp_path / "five.zip", files))
    assert found["photos"] == 5
    assert "So nothing can be concluded." in found["verdict"]["why"]


def test_copies_and_pattern_matches_form_groups(
    project: Project, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.root)
    files = content(site)
    raw = write_zip(tmp_path / "site.zip", {**files, "Negative/again.jpg": min(files.items())[1]})
    found, text = validated(raw)
    assert (found["photos"], found["groups"]) == (81, 80)
    assert "group_pattern" not in text
    assert "Each photo is its own group" in text
    project.set(group_pattern=r"'(\d)\.jpg'")  # of both classes, by the last digit
    found, text = validated(raw)
    assert (found["groups"], found["group_pattern"]) == (10, r"(\d)\.jpg")
    assert "group_pattern" not in text
    assert "its own group" not in text
    project.set(group_pattern="'of-another-site-(.+)'")
    found, text = validated(raw)
    assert found["groups"] == 80
    assert "The group_pattern matches none of these paths." in text
    found, text = validated(
        raw, group_pattern=r"(\d)\.jpg"
    )  # that of the command line has priority
    assert found["groups"] == 10


@pytest.mark.usefixtures("there")
def test_a_model_trained_on_drawings_comes_with_a_warning(site: Path) -> None:
    found, text = validated(site)
    assert found["trained_sources"] == ["synthetic"]
    assert "trained on drawings alone" in " ".join(text.split())


@pytest.mark.usefixtures("there")
def test_out_must_not_be_among_the_photos_or_overwrite_other_files(
    site: Path, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "photos", content(site))
    for out in (folder, folder / "report"):
        with pytest.raises(DataError, match="among the photos: give another folder"):
            validated(folder, out)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "report.txt").write_text("mine")
    with pytest.raises(DataError, match="report.txt already exists and was not written by"):
        validated(site, taken)
    assert (taken / "report.txt").read_text() == "mine"
    for _ in range(2):
        validated(site, tmp_path / "out")


def test_an_invalid_pattern_is_a_usage_error(tmp_path: Path) -> None:
    code, _, errors = validate(tmp_path, "site", "--group-pattern", "(")
    assert code == 2
    assert "argument --group-pattern: is not a regular expression" in errors


@pytest.mark.usefixtures("there")
def test_unusable_files_are_counted_and_named(site: Path, tmp_path: Path) -> None:
    files = content(site)
    broken = {f"Positive/broken-{number}.jpg": b"no photo" for number in range(7)}
    whole, _ = validated(site)
    found, text = validated(write_zip(tmp_path / "site.zip", {**files, **broken}))
    assert found["scores"] == whole["scores"]
    assert found["rejected"] == 7
    assert [file["path"] for file in found["first_rejected"]] == sorted(broken)[:5]
    assert "7 files cannot be used:\n  site/Positive/broken-0.jpg: " in text


def test_names_outside_the_terminals_encoding_are_escaped(
    there: Path, site: Path, tmp_path: Path
) -> None:
    archive = shutil.copy(site, tmp_path / "\u0142\u00f3d\u017a.zip")
    for option, shown in ((), r"\u0142\xf3d\u017a.zip"), (("--json",), r"\u0142\u00f3d\u017a.zip"):
        code, text, _ = validate(there, str(archive), *OWN, *option, PYTHONIOENCODING="ascii")
        assert code == 0
        assert shown in text


def test_the_command_prints_the_files_that_it_writes(
    finished: Project, site: Path, tmp_path: Path
) -> None:
    code, text, errors = validate(
        finished.root, str(site), *OWN, "--out", str(tmp_path / "first/a")
    )
    assert (code, errors) == (0, "")
    code, out, errors = validate(
        finished.root, str(site), *OWN, "--json", "--out", str(tmp_path / "b")
    )
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
def test_photos_that_cannot_be_scored_are_one_line_of_error(
    tmp_path: Path, files: dict[str, bytes], message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        validated(write_zip(tmp_path / "raw.zip", files))
    assert "\n" not in str(caught.value)


def test_missing_inputs_are_exit_code_1(
    project: Project, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert validate(project.root, "nowhere.zip") == (
        *(1, ""),
        "surface-crack: error: nowhere.zip does not exist: give a folder or zip of labelled "
        "photos\n",
    )
    monkeypatch.chdir(project.root)
    with pytest.raises(DataError, match="params.yaml is a file, or lies below one"):
        validated(site, Path("params.yaml"))
    (project.root / "models/crack.safetensors").unlink()
    with pytest.raises(DataError, match="crack.safetensors is missing: run `dvc repro`"):
        validated(site)


def test_the_report_states_the_model_and_why_it_was_chosen(
    there: Path, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, text = validated(site)
    assert found["model"] == "models/crack.safetensors (given by --model)"
    assert "\nModel: models/crack.safetensors (given by --model).\n" in text
    assert found["rule"] == json.loads((there / "models/decision.json").read_text())["rule"]
    unasked, text = validated(site, model=None)
    expected = "the general model of this package (the one in models/ was trained on drawings only)"
    assert unasked["model"] == expected
    assert unasked["trained_on"] is None
    assert unasked["trained_sources"] != ["synthetic"]
    monkeypatch.chdir(tmp_path)
    unasked, text = validated(site, model=None)
    expected = "the general model of this package (no model in models/ here)"
    assert unasked["model"] == expected
    assert f"Model: {expected}." in " ".join(text.split())


def exported(root: Path) -> Path:
    """models/crack.onnx, as the stage `export` makes it."""
    project = Project(root)
    project.dvc("repro", "stages/optional/dvc.yaml:export")
    return root / paths.ONNX


def test_an_exported_model_gives_the_same_report(
    project: Project, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its training photos are known, too."""
    monkeypatch.chdir(project.root)
    model = exported(project.root)
    for photos in (HERE, site):
        _, text = validated(photos, tmp_path / "ours")
        other, of_other = validated(photos, tmp_path / "other", model=paths.ONNX)
        assert of_other == text.replace("crack.safetensors", "crack.onnx")
        rows, others = (pd.read_csv(tmp_path / x / "predictions.csv") for x in ("ours", "other"))
        assert rows.drop(columns="probability").equals(others.drop(columns="probability"))
        assert (rows["probability"] - others["probability"]).abs().max() < 1e-5
    assert other["trained_on"] == 0
    copy = shutil.copy(model, tmp_path / "crack.onnx")
    assert validated(HERE, model=Path(copy))[0]["trained_on"] > 0
    project.set(lr=0.02)
    project.dvc("repro", "calibrate")  # other weights, the same photos
    assert validated(HERE, model=Path(copy))[0]["trained_on"] is None
    with pytest.raises(DataError, match="exported from other weights than those that"):
        validated(HERE, model=paths.ONNX)


@pytest.mark.usefixtures("there")
def test_a_large_photo_has_the_highest_probability_of_its_patches(
    site: Path, tmp_path: Path
) -> None:
    """A mosaic of four photos scores as the highest of them, or higher where they meet."""
    single, _ = validated(site, tmp_path / "single")
    rows = pd.read_csv(tmp_path / "single/predictions.csv")
    small = content(site)
    photos = {path: Image.open(BytesIO(small[path])) for path in rows["path"]}
    side = photos[rows["path"][0]].width
    large, least = {}, {}
    for folder in ("Negative", "Positive"):
        own = rows[rows["path"].str.startswith(folder)].reset_index()
        for first in range(0, len(own) - 3, 4):
            four = own.iloc[first : first + 4]
            whole = Image.new("RGB", (2 * side, 2 * side))
            for place, path in enumerate(four["path"]):
                whole.paste(photos[path], (side * (place % 2), side * (place // 2)))
            name = f"{folder}/{first}.png"
            large[name], least[name] = encoded(whole, "PNG"), four["probability"].max()
    large["Positive/small.png"] = encoded(Image.new("RGB", (2 * side, side - 1)), "PNG")
    archive = write_zip(tmp_path / "large.zip", large)
    found, text = validated(archive, tmp_path / "large", patch_px=side)
    assert (found["photos"], found["patch_px"], single["patch_px"]) == (20, side, None)
    rows = pd.read_csv(tmp_path / "large/predictions.csv").set_index("path")
    for name, probability in least.items():
        assert rows["probability"][name] >= probability - 0.02, name  # JPEG artefacts
    assert (rows["probability"] - pd.Series(least)).median() < 0.3
    assert found["rejected"] == 1
    reason = f"{2 * side} x {side - 1} pixels is smaller than a patch of {side}: give a smaller "
    assert found["first_rejected"][0]["reason"] == f"{reason}--patch-px"
    assert f"the highest probability of its patches of {side} pixels a side" in " ".join(
        text.split()
    )
    with pytest.raises(DataError, match="none of the 21 files in .* can be used; the first is"):
        validated(archive, patch_px=1000)


def test_too_small_patches_are_an_error() -> None:
    assert patch_size_problem(1000, 1000, 64, 64) == ""
    assert patch_size_problem(64, 64, 64, 64) == ""
    assert "is smaller than a patch of 64.5: give a smaller" in patch_size_problem(
        64, 900, 64, 64.5
    )
    assert (
        patch_size_problem(8000, 6000, 192, 2)
        == "8000 x 6000 pixels needs a --patch-px of 95 or more, got 2"
    )
    assert patch_size_problem(8000, 6000, 192, 95) == ""


def test_without_params_yaml_those_of_the_general_model_apply(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = ROOT / paths.GENERAL
    found, text = validate_photos(site, model=model)
    assert (found["min_recall"], found["trained_on"]) == (0.98, None)
    assert (found["group_pattern"], found["pattern_misses"]) == ("", False)
    assert "its own group" in text
    found, text = validate_photos(site, model=model, group_pattern="of-another-site")
    assert "The group_pattern matches none of these paths." in text
    monkeypatch.setattr(paths, "GENERAL_PARAMS", tmp_path / "params.yml")
    with pytest.raises(DataError, match="params.yml is missing: the package is incomplete"):
        validate_photos(site, model=model)


@pytest.mark.usefixtures("there")
def test_duplicate_names_in_a_zip_are_separate_photos(site: Path, tmp_path: Path) -> None:
    photos = [photo for name, photo in sorted(content(site).items()) if name.startswith("Pos")]
    archive = tmp_path / "twice.zip"
    with zipfile.ZipFile(archive, "w") as target, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for photo in (photos[0], b"no photo", photos[1]):
            target.writestr("Positive/1.jpg", photo)
    for patch_px in (None, 48.0):
        found, _ = validated(archive, patch_px=patch_px)
        assert found["photos"] + found["rejected"] == 3


def test_an_inspection_report_quotes_the_verdict_on_its_model(
    finished: Project, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the first photo. A verdict on another model, or another file, is an error."""
    monkeypatch.chdir(finished.root)
    found, _ = validated(site, tmp_path / "verdict")
    report = tmp_path / "verdict/report.json"
    photo = write_folder(tmp_path / "photos", {"wall.jpg": encoded(Image.new("RGB", (99, 99)))})
    inspect(Request([photo], tmp_path / "report", paths.MODEL, validated=report))
    page = (tmp_path / "report/report.html").read_text(encoding="utf-8")
    recall = percent(found["scores"]["recall"]["value"])
    quote = f"surface-crack validate on 80 photos of {site}: "
    assert quote in page.split('<article class="photo"')[0]
    assert f"(recall {recall}; specificity " in page
    assert found["verdict"]["use"] == "no"
    assert f'<p class="warning">{quote}do not use the model here' in page

    request = Request([photo], tmp_path / "report", validated=report)  # the general model answers
    with pytest.raises(DataError, match=r"report.json is about another model \(models/crack"):
        inspect(request)
    other = tmp_path / "other.json"
    for content_ in ("{}", "[]", '{"verdict": {"use": "perhaps"}}'):
        other.write_text(content_)
        with pytest.raises(DataError, match="other.json"):
            inspect(Request([photo], tmp_path / "report", paths.MODEL, validated=other))
    with pytest.raises(DataError, match="nowhere.json"):
        inspect(Request([photo], tmp_path / "report", validated=Path("nowhere.json")))


def test_photos_of_another_size_give_a_warning_first(finished: Project, tmp_path: Path) -> None:
    """Before the verdict; not with --patch-px, which states the scale."""
    files = {
        f"{folder}/{number}.jpg": encoded(picture(number, 600))
        for number in range(4)
        for folder in ("Positive", "Negative")
    }
    large = write_folder(tmp_path / "large", files)
    code, out, _ = validate(finished.root, str(large), *OWN)
    assert code == 0
    assert out.startswith("Sizes: These photos have 600 pixels per side, the training photos had")
    assert "Sizes:" not in validate(finished.root, str(large), *OWN, "--patch-px", "227")[1]
