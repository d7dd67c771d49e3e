"""The stage `export`, and an installation without PyTorch."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from surface_crack.network.notebook import NotebookNet
from surface_crack.scoring.score_map import score_photo
from surface_crack.scoring.scorer import load_scorer
from tests.support.networks import GREY, save_network
from tests.support.project import ROOT, Project

EXPORT = "stages/optional/dvc.yaml:export"
SCORE = """
import sys
from pathlib import Path
import numpy as np
from surface_crack.scoring import load_scorer, scale_of, score_photo, decode_photo

scorer = load_scorer(Path(sys.argv[1]))
photo = decode_photo(Path(sys.argv[2]).read_bytes(), scale_of(scorer))
found = score_photo(scorer, photo.image, size=(photo.width, photo.height))
np.save(sys.argv[3], found.probability)
assert not {"torch", "scipy", "pandas"} & set(sys.modules)
"""


def test_model_notebook_is_not_exported(project: Project) -> None:
    path = project.root / "models/crack.safetensors"
    path.unlink()  # it may be a link into DVC's cache
    save_network(path.parent, NotebookNet(*GREY, dropout=0.1))
    output = project.run(sys.executable, "-m", "stages.optional.export", check=False)
    assert output.splitlines()[-1] == (
        "export: error: models/crack.safetensors holds model notebook, which takes photos of one "
        "size only: set model: cracknet in params.yaml and run `dvc repro`"
    )
    assert not (project.root / "models/crack.onnx").exists()


@pytest.mark.slow
def test_the_export_is_reproducible_and_names_no_local_paths(project: Project) -> None:
    assert project.ran(project.dvc("repro", EXPORT)) == [EXPORT]
    path, numbers = project.root / "models/crack.onnx", project.root / "metrics/export.json"
    before = path.read_bytes(), numbers.read_bytes()
    for place in (project.root, ROOT, Path.home(), Path(sys.prefix)):
        assert os.fsencode(place) not in before[0]
    assert project.git("status", "--porcelain").split() == [
        *("??", "metrics/export.json", "??", "stages/optional/dvc.lock"),
    ]
    found = json.loads(before[1])
    assert found["bytes"] == len(before[0])
    assert max(found["largest_difference"].values()) < 1e-4
    path.unlink()
    numbers.unlink()
    project.run(sys.executable, "-m", "stages.optional.export")
    assert (path.read_bytes(), numbers.read_bytes()) == before
    project.set(threshold=0.3)  # only calibrate and the export must run again
    assert project.ran(project.dvc("repro", EXPORT)) == ["calibrate", EXPORT]
    assert load_scorer(path).threshold == 0.3


@pytest.mark.slow
def test_the_wheel_without_torch_gives_the_same_scores(project: Project, tmp_path: Path) -> None:
    """Build the wheel and install it with its base dependencies only."""
    project.run(sys.executable, "-m", "stages.optional.export")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", str(tmp_path), str(ROOT)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "empty", with_pip=True)
    python = tmp_path / "empty" / ("Scripts" if os.name == "nt" else "bin") / "python"
    subprocess.run(
        [python, *pip[1:], "install", "-c", str(ROOT / "constraints.txt"), str(wheel)], check=True
    )
    assert not list((tmp_path / "empty").rglob("site-packages/torch"))

    photo = tmp_path / "photo.png"
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    large = Image.fromarray(pixels).resize((1000, 700), Image.Resampling.BICUBIC)
    large.save(photo)
    model = project.root / "models/crack.onnx"
    subprocess.run(
        [python, "-c", SCORE, str(model), str(photo), str(tmp_path / "found.npy")],
        cwd=tmp_path,
        check=True,
    )
    own = load_scorer(
        project.root / "models/crack.safetensors", project.root / "models/decision.json"
    )
    expected = score_photo(own, large).probability
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), expected, atol=1e-4)
