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
OWN = ("--model", str(paths.MODEL))  # it has seen drawings only, and does not answer unasked
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


def judged(path: Path, out: Path | None = None, **options: Any) -> tuple[dict[str, Any], str]:
    """By the model in models/."""
    return validate_photos(path, out, **{"model": paths.MODEL, **options})


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
    found, text = judged(HERE)
    numbers = json.loads((there / "metrics/evaluate.json").read_text())
    for name, score in found["scores"].items():
        assert score["value"] == pytest.approx(numbers[name], abs=1.1e-6), name
        interval = numbers["ci95"][name]
        assert (score["low"], score["high"]) == (interval["low"], interval["high"]), name
    assert found["photos"] == numbers["photos"]
    assert found["photos"] + found["trained_on"] == 120
    assert f"Left out: {found['trained_on']} photos that the model was trained on" in text


@pytest.mark.usefixtures("there")
def test_photos_that_trained_it_are_left_out_with_their_twins(site: Path, tmp_path: Path) -> None:
    tested = pd.read_csv("data/evaluated/predictions.csv")["path"].tolist()
    seen = {name: photo for name, photo in content(HERE).items() if name not in tested}
    photo = min(seen.items())[1]
    twin = ALTERATIONS["mirrored"](Image.open(BytesIO(photo)))
    files = {**content(site), "Negative/seen.jpg": photo, "Negative/twin.jpg": twin}
    found, _ = judged(write_zip(tmp_path / "site.zip", files))
    assert found["trained_on"] == 2
    assert found["scores"] == judged(site)[0]["scores"]
    with pytest.raises(DataError, match="the model was trained on all photos of"):
        judged(write_zip(tmp_path / "seen.zip", seen))


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
    known, copy = (
        json.loads(validate(finished.root, str(HERE), "--json", *options)[1])
        for options in (OWN, ("--model", str(model)))
    )
    assert known["trained_on"] > 0
    assert copy.pop("model") == f"{model} (given by --model)"
    assert copy == {name: value for name, value in known.items() if name != "model"}
    for name in ("data", "plots"):  # only the model is at hand
        shutil.move(project.root / name, project.root / f"old-{name}")
    for options in (OWN, ("--model", str(model))):
        code, out, _ = validate(project.root, str(site), "--json", *options)
        assert (code, json.loads(out)["trained_on"]) == (0, None)


@pytest.mark.usefixtures("there")
def test_a_zip_and_a_folder_score_alike(site: Path, tmp_path: Path) -> None:
    from_zip, _ = judged(site)
    from_folder, _ = judged(write_folder(tmp_path / "site", content(site)))
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
    found, text = judged(raw)
    assert (found["cracks"], found["sound"]) == (40 * label, 40 * (1 - label))
    assert found["verdict"]["use"] == "cannot tell"
    assert "What can be told: it " in found["verdict"]["why"]
    assert text.startswith("Verdict: cannot tell whether the model may be used here.\nNo photos ")
    assert "nan" not in text.lower()


@pytest.mark.usefixtures("there")
def test_five_photos(site: Path, tmp_path: Path) -> None:
    files = dict(sorted(content(site).items())[38:43])
    found, _ = judged(write_zip(tmp_path / "five.zip", files))
    assert found["photos"] == 5
    assert "So nothing can be concluded." in found["verdict"]["why"]


def test_copies_and_patterns_belong_together(
    project: Project, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.root)
    files = content(site)
    raw = write_zip(tmp_path / "site.zip", {**files, "Negative/again.jpg": min(files.items())[1]})
    found, text = judged(raw)
    assert (found["photos"], found["groups"]) == (81, 80)
    assert "group_pattern" not in text
    assert "counts as a place of its own" in text
    project.set(group_pattern=r"'(\d)\.jpg'")  # of both classes, by the last digit
    found, text = judged(raw)
    assert (found["groups"], found["group_pattern"]) == (10, r"(\d)\.jpg")
    assert "group_pattern" not in text
    assert "place of its own" not in text
    project.set(group_pattern="'of-another-site-(.+)'")
    found, text = judged(raw)
    assert found["groups"] == 80
    assert "The group_pattern finds nothing in these paths." in text
    found, text = judged(raw, group_pattern=r"(\d)\.jpg")  # by that of the command line
    assert found["groups"] == 10


@pytest.mark.usefixtures("there")
def test_a_model_of_drawings_says_so_beside_its_verdict(site: Path) -> None:
    found, text = judged(site)
    assert found["learnt_from"] == ["synthetic"]
    assert "learnt from drawings alone" in " ".join(text.split())


@pytest.mark.usefixtures("there")
def test_a_report_goes_neither_among_the_photos_nor_over_files_of_others(
    site: Path, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "photos", content(site))
    for out in (folder, folder / "report"):
        with pytest.raises(DataError, match="among the photos: give another folder"):
            judged(folder, out)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "report.txt").write_text("mine")
    with pytest.raises(DataError, match="report.txt is there and of no earlier report"):
        judged(site, taken)
    assert (taken / "report.txt").read_text() == "mine"
    for _ in range(2):
        judged(site, tmp_path / "out")


def test_a_broken_pattern_is_a_mistake_in_the_call(tmp_path: Path) -> None:
    code, _, errors = validate(tmp_path, "site", "--group-pattern", "(")
    assert code == 2
    assert "argument --group-pattern: is no regular expression" in errors


@pytest.mark.usefixtures("there")
def test_broken_files_are_counted_and_named(site: Path, tmp_path: Path) -> None:
    files = content(site)
    broken = {f"Positive/broken-{number}.jpg": b"no photo" for number in range(7)}
    whole, _ = judged(site)
    found, text = judged(write_zip(tmp_path / "site.zip", {**files, **broken}))
    assert found["scores"] == whole["scores"]
    assert found["rejected"] == 7
    assert [file["path"] for file in found["first_rejected"]] == sorted(broken)[:5]
    assert "7 files cannot be used:\n  site/Positive/broken-0.jpg: " in text


def test_names_that_a_terminal_cannot_show_are_escaped(
    there: Path, site: Path, tmp_path: Path
) -> None:
    archive = shutil.copy(site, tmp_path / "\u0142\u00f3d\u017a.zip")
    for option, shown in ((), r"\u0142\xf3d\u017a.zip"), (("--json",), r"\u0142\u00f3d\u017a.zip"):
        code, text, _ = validate(there, str(archive), *OWN, *option, PYTHONIOENCODING="ascii")
        assert code == 0
        assert shown in text


def test_the_command_prints_what_it_writes(finished: Project, site: Path, tmp_path: Path) -> None:
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
def test_what_cannot_be_scored_is_one_line(
    tmp_path: Path, files: dict[str, bytes], message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        judged(write_zip(tmp_path / "raw.zip", files))
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
        judged(site, Path("params.yaml"))
    (project.root / "models/crack.safetensors").unlink()
    with pytest.raises(DataError, match="crack.safetensors is missing: run `dvc repro`"):
        judged(site)


def test_the_report_says_which_model_answers_and_why(
    there: Path, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, text = judged(site)
    assert found["model"] == "models/crack.safetensors (given by --model)"
    assert "\nModel: models/crack.safetensors (given by --model).\n" in text
    assert found["rule"] == json.loads((there / "models/decision.json").read_text())["rule"]
    unasked, text = judged(site, model=None)
    said = "the general model of this package (the one in models/ has seen drawings only)"
    assert unasked["model"] == said
    assert unasked["trained_on"] is None
    assert unasked["learnt_from"] != ["synthetic"]
    monkeypatch.chdir(tmp_path)
    unasked, text = judged(site, model=None)
    said = "the general model of this package (no model in models/ here)"
    assert unasked["model"] == said
    assert f"Model: {said}." in " ".join(text.split())


def exported(root: Path) -> Path:
    """models/crack.onnx, as the stage `export` makes it."""
    project = Project(root)
    project.dvc("repro", "stages/optional/dvc.yaml:export")
    return root / paths.ONNX


def test_an_exported_model_answers_as_its_weights_do(
    project: Project, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is known, too, which photos it has learnt from."""
    monkeypatch.chdir(project.root)
    model = exported(project.root)
    for photos in (HERE, site):
        _, text = judged(photos, tmp_path / "ours")
        other, of_other = judged(photos, tmp_path / "other", model=paths.ONNX)
        assert of_other == text.replace("crack.safetensors", "crack.onnx")
        rows, others = (pd.read_csv(tmp_path / x / "predictions.csv") for x in ("ours", "other"))
        assert rows.drop(columns="probability").equals(others.drop(columns="probability"))
        assert (rows["probability"] - others["probability"]).abs().max() < 1e-5
    assert other["trained_on"] == 0
    copy = shutil.copy(model, tmp_path / "crack.onnx")
    assert judged(HERE, model=Path(copy))[0]["trained_on"] > 0
    project.set(lr=0.02)
    project.dvc("repro", "calibrate")  # other weights, the same photos
    assert judged(HERE, model=Path(copy))[0]["trained_on"] is None
    with pytest.raises(DataError, match="exported from other weights than those that"):
        judged(HERE, model=paths.ONNX)


@pytest.mark.usefixtures("there")
def test_the_likeliest_patch_of_a_larger_photo_counts(site: Path, tmp_path: Path) -> None:
    """Four photos put together are scored as the surest of them, or surer where they meet."""
    single, _ = judged(site, tmp_path / "single")
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
    found, text = judged(archive, tmp_path / "large", patch_px=side)
    assert (found["photos"], found["patch_px"], single["patch_px"]) == (20, side, None)
    rows = pd.read_csv(tmp_path / "large/predictions.csv").set_index("path")
    for name, probability in least.items():
        assert rows["probability"][name] >= probability - 0.02, name  # of JPEG
    assert (rows["probability"] - pd.Series(least)).median() < 0.3
    assert found["rejected"] == 1
    reason = f"{2 * side} x {side - 1} pixels are less than a patch of {side}: give a smaller "
    assert found["first_rejected"][0]["reason"] == f"{reason}--patch-px"
    assert f"the highest of its patches, {side} pixels a side" in " ".join(text.split())
    with pytest.raises(DataError, match="none of the 21 files in .* can be used; the first is"):
        judged(archive, patch_px=1000)


def test_a_photo_that_would_be_enlarged_without_end_is_refused() -> None:
    assert patch_size_problem(1000, 1000, 64, 64) == ""
    assert patch_size_problem(64, 64, 64, 64) == ""
    assert "are less than a patch of 64.5: give a smaller" in patch_size_problem(64, 900, 64, 64.5)
    assert patch_size_problem(8000, 6000, 192, 2) == "8000 x 6000 pixels take a --patch-px of 95 or more, got 2"
    assert patch_size_problem(8000, 6000, 192, 95) == ""


def test_where_there_are_no_params_those_of_the_general_model_hold(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = ROOT / paths.GENERAL
    found, text = validate_photos(site, model=model)
    assert (found["min_recall"], found["trained_on"]) == (0.98, None)
    assert (found["group_pattern"], found["pattern_misses"]) == ("", False)
    assert "place of its own" in text
    found, text = validate_photos(site, model=model, group_pattern="of-another-site")
    assert "The group_pattern finds nothing in these paths." in text
    monkeypatch.setattr(paths, "GENERAL_PARAMS", tmp_path / "params.yml")
    with pytest.raises(DataError, match="params.yml is missing: the package is incomplete"):
        validate_photos(site, model=model)


@pytest.mark.usefixtures("there")
def test_names_that_occur_twice_in_a_zip_are_photos_of_their_own(
    site: Path, tmp_path: Path
) -> None:
    photos = [photo for name, photo in sorted(content(site).items()) if name.startswith("Pos")]
    archive = tmp_path / "twice.zip"
    with zipfile.ZipFile(archive, "w") as target, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for photo in (photos[0], b"no photo", photos[1]):
            target.writestr("Positive/1.jpg", photo)
    for patch_px in (None, 48.0):
        found, _ = judged(archive, patch_px=patch_px)
        assert found["photos"] + found["rejected"] == 3


def test_a_report_quotes_the_verdict_on_its_model(
    finished: Project, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the first photo; and not one on another model, or another file."""
    monkeypatch.chdir(finished.root)
    found, _ = judged(site, tmp_path / "verdict")
    report = tmp_path / "verdict/report.json"
    photo = write_folder(tmp_path / "photos", {"wall.jpg": encoded(Image.new("RGB", (99, 99)))})
    inspect(Request([photo], tmp_path / "report", paths.MODEL, validated=report))
    page = (tmp_path / "report/report.html").read_text(encoding="utf-8")
    recall = percent(found["scores"]["recall"]["value"])
    quote = f"surface-crack validate, on 80 photos of {site}: "
    assert quote in page.split('<article class="photo"')[0]
    assert f"(recall: cracks found {recall}; specificity: sound spared " in page
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


def test_photos_of_another_size_are_told_first(finished: Project, tmp_path: Path) -> None:
    """Before the verdict; not where --patch-px says the scale."""
    files = {
        f"{folder}/{number}.jpg": encoded(picture(number, 600))
        for number in range(4)
        for folder in ("Positive", "Negative")
    }
    large = write_folder(tmp_path / "large", files)
    code, out, _ = validate(finished.root, str(large), *OWN)
    assert code == 0
    assert out.startswith("Sizes: These photos have 600 pixels a side, those that the model learnt")
    assert "Sizes:" not in validate(finished.root, str(large), *OWN, "--patch-px", "227")[1]
