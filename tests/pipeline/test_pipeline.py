"""The pipeline as users run it: the real `dvc` in a temporary repository."""

import csv
import hashlib
import json
import os
import sys
import time
from dataclasses import fields
from io import StringIO
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from numpy.typing import NDArray
from torch import nn

from stages.evaluate import captions
from stages.optional.robustness import Views, disturbed, predict_levels
from surface_crack.evaluation.calibration import Decision
from surface_crack.evaluation.figures import CAPTION_LETTERS
from surface_crack.network.model import Model
from surface_crack.photos.listing import Photo
from surface_crack.photos.reader import Reader
from surface_crack.project.errors import DataError
from surface_crack.project.params import OPTIONAL_PARAMS, Params
from surface_crack.robustness.scores import LEVELS, UNDISTURBED
from tests.support.makers import LIMITS, jpeg, metu_like, write_folder, write_zip
from tests.support.project import ROOT, Project, committed, has_shipped_params

STAGES = ["sample", "prepare", "group", "split", "train", "calibrate", "evaluate", "card"]
ALL = [*STAGES, "optional/export", "optional/robustness"]  # modules below stages/
EXPORT = "stages/optional/dvc.yaml:export"
ROBUSTNESS = "stages/optional/dvc.yaml:robustness"


def slow(*values: object) -> Any:
    return pytest.param(*values, marks=pytest.mark.slow)


def declared(stage: str) -> dict[str, Any]:
    """The entry of a stage in its dvc.yaml, with files as plain paths."""
    folder, _, name = stage.rpartition("/")
    file = ROOT / ("stages" if folder else "") / folder / "dvc.yaml"
    entry = yaml.safe_load(file.read_text())["stages"][name]
    entry.setdefault("params", [])
    for kind in ("deps", "outs", "metrics", "plots"):
        files = entry.get(kind, [])
        entry[kind] = [file if isinstance(file, str) else next(iter(file)) for file in files]
    if {"params.yaml": None} in entry["params"]:  # the whole file
        entry["params"] = [field.name for field in fields(Params)]
    entry["made"] = entry["outs"] + entry["metrics"] + entry["plots"]
    return dict(entry)


def is_package(path: str) -> bool:
    return (ROOT / path / "__init__.py").is_file()


def lies_in(path: str, dep: str) -> bool:
    return path == dep or (is_package(dep) and path.startswith(f"{dep}/"))


def modules_of(dep: str) -> list[str]:
    """The modules in a declared path."""
    if not is_package(dep):
        return [dep]
    return [path.relative_to(ROOT).as_posix() for path in (ROOT / dep).rglob("*.py")]


def test_every_stage_has_a_description_and_runs_its_module() -> None:
    for stage in ALL:
        assert declared(stage)["cmd"] == f"python -m stages.{stage.replace('/', '.')}"
        assert declared(stage)["desc"]


@pytest.mark.parametrize("stage", ALL)
def test_a_stage_uses_exactly_the_files_and_modules_that_it_declares(
    project: Project, stage: str, tmp_path: Path
) -> None:
    log = tmp_path / "log.json"
    params = yaml.safe_load((project.root / "params.yaml").read_text())
    own = {key: params[key] for key in declared(stage)["params"]}
    (project.root / "params.yaml").write_text(yaml.safe_dump(own))  # undeclared ones are missing
    project.run(sys.executable, str(ROOT / "tests/support/watch_stage.py"), stage, str(log))
    seen = json.loads(log.read_text())
    entry = declared(stage)
    raw = "data/sample/synthetic.zip"
    deps = {raw if dep == "${raw}" else dep for dep in entry["deps"]}
    code = {dep for dep in deps if dep.endswith(".py") or is_package(dep)}
    imported = set(seen["imported"])
    deps_of = {path: {dep for dep in code if lies_in(path, dep)} for path in imported}
    wrong = {path for path, found in deps_of.items() if len(found) != 1}
    assert wrong == set(), "undeclared, or declared twice"
    assert code == set().union(*deps_of.values()), "declared, but nothing is imported from it"
    if stage in ("prepare", "train"):  # expensive: no change of unused code may rerun them
        assert imported == {path for dep in code for path in modules_of(dep)}
    assert set(seen["written"]) == set(entry["made"])
    files = set(seen["read"]) - {"params.yaml", "dvc.yaml"}  # DVC tracks their content itself
    files -= {"stages/optional/dvc.yaml"} if "/" in stage else set()
    if stage == "train":  # it reads this only with `init: general`
        deps.remove("surface_crack/general/crack.safetensors")
    assert files - set(entry["made"]) == deps - code
    if stage in ("train", "calibrate"):  # must not read them, whatever dvc.yaml declares
        assert not files & {"data/split/test.csv", "data/prepared/index.csv"}


@pytest.mark.parametrize("stage", [stage for stage in ALL if stage != "card"])
def test_a_stage_uses_every_parameter_that_it_declares(stage: str) -> None:
    """Reading an undeclared one raises an error, see test_params.py."""
    code = (ROOT / f"stages/{stage}.py").read_text()
    for name in declared(stage)["params"]:
        assert f"p.{name}" in code, f"{stage} does not use {name}"


def test_the_card_lists_every_parameter(project: Project) -> None:
    """The stage reads the whole file, so that each of them reruns it.

    Only those of optional stages are left out: they affect neither the model nor its scores.
    """
    shaping = {name for stage in STAGES[:-1] for name in declared(stage)["params"]}
    params = yaml.safe_load((project.root / "params.yaml").read_text())
    assert declared("card")["params"] == list(params)
    assert set(params) - shaping == OPTIONAL_PARAMS
    text = (project.root / "docs/model_card.md").read_text()
    shown = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    assert shown == {name: value for name, value in params.items() if name in shaping}


@pytest.mark.parametrize("stage", ALL)
def test_the_docstring_of_a_stage_lists_its_outputs(stage: str) -> None:
    code = (ROOT / f"stages/{stage}.py").read_text()
    docstring = code.split('"""')[1]
    for path in declared(stage)["made"]:
        assert Path(path).name.split(".")[0] in docstring, path


def test_light_stages_import_no_torch(project: Project) -> None:
    for stage in ("sample", "prepare", "group", "split", "calibrate", "card"):
        names = (
            ["torch", "matplotlib"] if stage == "calibrate" else ["torch", "matplotlib", "sklearn"]
        )
        heavy = f"{set(names)} & set(sys.modules)"
        out = project.run(sys.executable, "-c", f"import sys, stages.{stage}; print({heavy})")
        assert out.strip() == "set()", stage


def test_a_second_repro_runs_nothing(project: Project) -> None:
    assert project.ran(project.dvc("repro")) == []
    assert project.git("status", "--porcelain") == ""


def robustness_of(project: Project) -> dict[str, Any]:
    return dict(json.loads((project.root / "metrics/robustness.json").read_text()))


def test_robustness_runs_on_request_and_is_reproducible(project: Project) -> None:
    made = [project.root / path for path in declared("optional/robustness")["made"]]
    assert not any(path.exists() for path in made)
    project.set(robustness_images=10)
    assert project.ran(project.dvc("repro")) == ["card"]  # it depends on all of params.yaml
    assert project.ran(project.dvc("repro", ROBUSTNESS)) == [ROBUSTNESS]
    plain = robustness_of(project)["undisturbed"]
    assert (plain["photos"], plain["cracks"]) == (10, 5)
    assert project.ran(project.dvc("repro", ROBUSTNESS)) == []
    assert "failed" not in project.dvc("plots", "show")
    assert project.git("ls-files", "--others", "--exclude-standard", "plots").split() == [
        "plots/robustness.png"  # the other one shows photos and is ignored
    ]
    before = [path.read_bytes() for path in made]
    for path in made:
        path.unlink()
    project.run(sys.executable, "-m", "stages.optional.robustness")
    assert [path.read_bytes() for path in made] == before


@pytest.mark.slow
def test_robustness_reruns_with_a_new_model(project: Project) -> None:
    assert project.ran(project.dvc("repro", ROBUSTNESS)) == [ROBUSTNESS]
    scores = json.loads((project.root / "metrics/evaluate.json").read_text())
    plain = robustness_of(project)["undisturbed"]
    assert {name: scores[name] for name in ("photos", "accuracy")} == {
        name: plain[name] for name in ("photos", "accuracy")
    }
    project.set(lr=0.002)
    assert project.ran(project.dvc("repro", ROBUSTNESS)) == ["train", "calibrate", ROBUSTNESS]
    assert project.ran(project.dvc("repro")) == ["evaluate", "card"]
    assert "undisturbed.accuracy" in project.dvc("metrics", "diff", "--all")


class Brightness(nn.Module):
    """A network whose logit is the mean brightness minus 128, in grey levels."""

    def __init__(self) -> None:
        super().__init__()
        self.middle = nn.Parameter(torch.tensor(128.0))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.float().mean(dim=(1, 2, 3)) - self.middle


def test_the_highest_probability_of_a_level_counts() -> None:
    """More photos than fit in one batch, each with its own brightness at each level."""

    def pictures(*brightness: int) -> NDArray[np.uint8]:
        return np.stack([np.full((8, 8, 3), level, np.uint8) for level in brightness])

    def photo(n: int) -> Views:
        plain = {level: pictures(128 + n + 2 * k) for k, level in enumerate(LEVELS)}
        return {UNDISTURBED: pictures(126), **plain, ("scale", 200): pictures(120, 99, 128 + n, 5)}

    model, decision = cast(Model, Brightness()), Decision(4.0, 0.5, "", "")
    predicted = predict_levels(model, decision, map(photo, range(20)))
    assert list(predicted) == [UNDISTURBED, *LEVELS]
    logits = {level: -4 * np.log(1 / x - 1) for level, x in predicted.items()}
    assert logits[UNDISTURBED] == pytest.approx(np.full(20, -2.0))
    assert logits["blur", 2] == pytest.approx(np.arange(20) + 2)
    assert logits["noise", 20] == pytest.approx(np.arange(20) + 8)
    assert logits["scale", 200] == pytest.approx(np.arange(20), abs=1e-6)


def test_robustness_uses_only_the_photos_that_were_prepared(
    project: Project, tmp_path: Path
) -> None:
    path = tmp_path / "Positive/1.jpg"
    write_folder(tmp_path, {"Positive/1.jpg": jpeg(1, crack=True)})
    photo = Photo(tmp_path.name, "Positive/1.jpg", 1, tmp_path)
    with Reader(LIMITS.max_bytes) as reader:
        right = hashlib.sha256(path.read_bytes()).hexdigest()
        shown = disturbed(reader, photo, right, 64, LIMITS.max_pixels)
        assert list(shown) == [UNDISTURBED, *LEVELS]
        assert {pictures.shape[1:] for pictures in shown.values()} == {(64, 64, 3)}
        path.write_bytes(jpeg(2))
        with pytest.raises(DataError, match=r"1.jpg in .*: not the file that `prepare` read: run"):
            disturbed(reader, photo, right, 64, LIMITS.max_pixels)
        path.unlink()
        with pytest.raises(DataError, match="1.jpg in .*: cannot be read: "):
            disturbed(reader, photo, right, 64, LIMITS.max_pixels)

    project.set(raw="elsewhere.zip")
    write_zip(project.root / "elsewhere.zip", metu_like(1))
    output = project.run(sys.executable, "-m", "stages.optional.robustness", check=False)
    assert output.startswith("robustness: error: synthetic/")
    assert output.endswith(" is no longer in raw: run `dvc repro`\n")


@pytest.mark.parametrize(
    ("key", "value", "stages"),
    [
        ("lr", 0.002, ["train", "calibrate", "evaluate", "card"]),
        ("threshold", 0.3, ["calibrate", "evaluate", "card"]),
        slow("min_recall", 0.9, ["calibrate", "evaluate", "card"]),
        slow("image_size", 64, STAGES[1:]),
        slow("sample_seed", 1, STAGES),
        ("group_by", "appearance", STAGES[2:]),
        ("seed", 1, STAGES[3:]),
    ],
)
def test_a_parameter_reruns_only_the_affected_stages(
    project: Project, key: str, value: object, stages: list[str]
) -> None:
    project.set(**{key: value})
    assert project.ran(project.dvc("repro")) == stages


def decision_of(project: Project) -> dict[str, Any]:
    return dict(json.loads((project.root / "models/decision.json").read_text()))


def test_the_last_epoch_is_kept_on_request(project: Project) -> None:
    unstable = {"lr": 0.1, "warmup": 0.9, "batch_size": 32}  # so the loss rises
    project.set(epochs=4, patience=1, keep="last", **unstable)
    project.run(sys.executable, "-m", "stages.train")
    history = pd.read_csv(project.root / "plots/history.csv")
    assert history["val_loss"].to_numpy().argmin() < 2, (
        "best and last epoch must differ for this test"
    )
    kept = json.loads((project.root / "metrics/train.json").read_text())
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    assert kept["best_epoch"] == 4
    assert kept["val_loss"] == history["val_loss"].iloc[-1]


def test_a_number_in_params_fixes_the_threshold(project: Project) -> None:
    before = decision_of(project)
    project.set(threshold=0.3)
    project.dvc("repro")
    fixed = {"threshold": 0.3, "rule": "fixed by params.yaml"}
    assert decision_of(project) == before | fixed
    numbers = json.loads((project.root / "metrics/evaluate.json").read_text())
    predicted = pd.read_csv(project.root / "data/evaluated/predictions.csv")
    wrong = (predicted["probability"] >= 0.3) != (predicted["label"] == 1)
    assert numbers["mistakes"] == wrong.sum()
    wrong = (predicted["probability"] >= 0.5) != (predicted["label"] == 1)
    assert numbers["at_half"]["mistakes"] == wrong.sum()
    assert numbers["threshold"] == 0.3


def test_a_recall_of_1_finds_all_validation_cracks(project: Project) -> None:
    project.set(min_recall=1)
    project.dvc("repro")
    numbers = json.loads((project.root / "metrics/calibrate.json").read_text())
    assert numbers["validation"]["recall"] == 1
    assert numbers["threshold"] == decision_of(project)["threshold"]
    assert "a validation recall of 100 %" in decision_of(project)["rule"]
    assert decision_of(project)["rule"] in (project.root / "metrics/report.txt").read_text()


def test_results_are_reproducible_without_dvc(project: Project) -> None:
    """The bootstrap has its own seed: evaluating again changes no byte."""
    paths = [
        *("metrics/evaluate.json", "metrics/report.txt", "metrics/folders.csv"),
        *("plots/heat_maps.png", "plots/mistakes.png", "docs/model_card.md"),
    ]
    before = [(project.root / path).read_bytes() for path in paths]
    for path in paths:
        (project.root / path).unlink()
    for stage in ("evaluate", "card"):
        project.run(sys.executable, "-m", f"stages.{stage}")
    assert [(project.root / path).read_bytes() for path in paths] == before


def test_a_long_name_does_not_run_into_the_next_caption() -> None:
    row = {"source": "site", "path": "a/" * 40 + "Positive/1.jpg", "label": 1, "probability": 0.25}
    (text,) = captions(pd.DataFrame([row]), np.array([0]), np.array([0]))
    assert text.startswith("missed crack, P 0.250\n...a/")
    assert text.endswith("/Positive/1.jpg")
    assert max(map(len, text.splitlines())) == CAPTION_LETTERS


def test_a_damaged_decision_is_a_one_line_error(project: Project) -> None:
    path = project.root / "models/decision.json"
    path.unlink()  # may be a link into DVC's cache
    path.write_text('{"temperature": 0}')
    output = project.run(sys.executable, "-m", "stages.evaluate", check=False)
    assert output.splitlines()[-1] == (
        "evaluate: error: models/decision.json: temperature must be a number above 0, got 0: "
        "run `dvc repro --force`"
    )
    assert "Traceback" not in output


def test_an_earlier_learning_rate_comes_from_the_run_cache(project: Project) -> None:
    model = project.root / "models/crack.safetensors"
    before = model.read_bytes()
    project.set(lr=0.002)
    project.dvc("repro")
    assert model.read_bytes() != before
    project.git("checkout", "params.yaml")
    output = project.dvc("repro")
    assert project.ran(output) == ["card"]  # tracked by git, so not in DVC's run cache
    assert "Stage 'train' is cached" in output
    assert model.read_bytes() == before
    assert project.git("status", "--porcelain") == ""


def test_experiments_can_be_compared(project: Project) -> None:
    output = project.dvc("exp", "run", "--set-param", "lr=0.0005", "--name", "slow")
    assert project.ran(output) == ["train", "calibrate", "evaluate", "card"]
    assert "lr" in project.dvc("params", "diff")
    assert "0.0005" in project.dvc("params", "diff")
    assert "metrics/evaluate.json" in project.dvc("metrics", "diff")
    shown = list(csv.DictReader(StringIO(project.dvc("exp", "show", "--csv"))))
    assert {row["lr"] for row in shown} == {"0.01", "0.0005"}
    page = project.dvc("plots", "diff", "HEAD").strip().splitlines()[-1]
    assert page.startswith("file://")
    assert '"rev": "HEAD"' in Path(page.removeprefix("file://")).read_text()

    project.dvc("exp", "run", "-S", "lr=1e-5", "--name", "slower")
    assert "lr: 1e-05" in (project.root / "params.yaml").read_text()
    project.git("stash", "-q", "--include-untracked")
    project.dvc("exp", "apply", "slow")
    assert "lr: 0.0005" in (project.root / "params.yaml").read_text()
    assert project.ran(project.dvc("repro")) == []


@pytest.mark.slow
def test_temporary_and_queued_experiments(project: Project) -> None:
    project.dvc("exp", "run", "--temp", "-S", "lr=0.003", "--name", "elsewhere")
    assert project.git("status", "--porcelain") == ""
    project.dvc("exp", "run", "--queue", "-S", "lr=0.02,0.001")
    project.dvc("queue", "start")
    deadline = time.monotonic() + 200
    while any(word in project.dvc("queue", "status") for word in ("Running", "Queued")):
        assert time.monotonic() < deadline, project.dvc("queue", "status")
        time.sleep(1)
    shown = list(csv.DictReader(StringIO(project.dvc("exp", "show", "--csv"))))
    assert {row["lr"] for row in shown} == {"0.01", "0.003", "0.02", "0.001"}
    assert all(float(row["accuracy"]) > 0 for row in shown)


def test_push_and_pull_into_another_clone(project: Project, tmp_path: Path) -> None:
    project.dvc("remote", "add", "--default", "store", str(tmp_path / "store"))
    project.commit("a remote")
    project.dvc("push")
    project.git("clone", "-q", str(project.root), str(tmp_path / "clone"))
    clone = Project(tmp_path / "clone")
    clone.dvc("pull")
    for path in ("models/crack.safetensors", "metrics/report.txt", "plots/mistakes.png"):
        assert (clone.root / path).read_bytes() == (project.root / path).read_bytes()
    assert clone.ran(clone.dvc("repro")) == []


def test_metrics_and_plots_are_in_git_and_pictures_are_not(project: Project) -> None:
    tracked = set(project.git("ls-files", "metrics", "plots", "docs").split())
    assert {"metrics/evaluate.json", "plots/history.csv", "plots/confusion.csv"} <= tracked
    assert not [path for path in tracked if path.endswith(".png")]
    assert "docs/model_card.md" in tracked
    assert "docs/.gitignore" not in tracked


def test_the_card_describes_this_run(project: Project) -> None:
    text = (project.root / "docs/model_card.md").read_text()
    assert "`synthetic`: 120 drawings, not photographs" in text
    numbers = json.loads((project.root / "metrics/evaluate.json").read_text())
    assert f"| accuracy | {100 * numbers['accuracy']:.2f} % |" in text
    predicted = pd.read_csv(project.root / "data/evaluated/predictions.csv")
    decided = predicted["probability"] >= numbers["threshold"]
    false_negatives = ((predicted["label"] == 1) & ~decided).sum()
    false_positives = ((predicted["label"] == 0) & decided).sum()
    assert f"False negatives (missed cracks): {false_negatives} of " in text
    assert f"False positives: {false_positives} of " in text
    rule = decision_of(project)["rule"]
    assert f"or more ({rule})" in text
    assert project.git("rev-parse", "HEAD")[:7] not in text


def test_the_model_is_an_artifact(project: Project) -> None:
    path = yaml.safe_load((ROOT / "dvc.yaml").read_text())["artifacts"]["crack-classifier"]["path"]
    assert (project.root / path).exists()


def test_an_error_in_params_is_one_line_before_anything_is_deleted(project: Project) -> None:
    project.set(lr="1e-3x")
    output = project.run("surface-crack", "check", check=False)
    lines = (project.root / "params.yaml").read_text().splitlines()
    line = lines.index("lr: 1e-3x") + 1
    assert output == (
        "surface-crack: error: lr must be a number in (0, 1], got '1e-3x' "
        f"(params.yaml line {line})\n"
    )
    assert (project.root / "models/crack.safetensors").exists()
    output = project.dvc("repro", check=False)
    assert (
        "train: error: lr must be a number in (0, 1], got '1e-3x' "
        f"(params.yaml line {line}): correct it and run `dvc repro`; DVC restores the outputs"
    ) in output
    assert "Traceback" not in output
    project.set(lr=0.01)
    assert project.ran(project.dvc("repro")) == []
    assert (project.root / "models/crack.safetensors").exists()


def test_the_notebooks_network_checks_the_size_of_photos(project: Project) -> None:
    """`image_size` is not a parameter of `train`, so it checks the packed photos."""
    project.set(model="notebook")
    assert "image_size must be 120" in project.run("surface-crack", "check", check=False)
    output = project.dvc("repro", check=False)
    assert "train: error: model notebook needs photos of 120 pixels, got 48: set" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("pipeline", ["dvc.yaml", EXPORT, ROBUSTNESS])
def test_the_lock_file_matches_the_code(pipeline: str, tmp_path: Path) -> None:
    """In the last commit: `dvc repro` would run nothing in a fresh clone."""
    project = committed(tmp_path / "project")
    if pipeline != "dvc.yaml" and not has_shipped_params(project) and "CI" not in os.environ:
        pytest.skip("params.yaml is committed with other values: optional stages may be stale")
    output = project.dvc("repro", "--dry", "--allow-missing", pipeline)
    assert project.ran(output) == [], f"run `dvc repro -P` and commit its outputs\n{output}"
