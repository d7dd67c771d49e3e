"""Scorers: same scores from both libraries, in blocks or at once, and one-line errors."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from surface_crack.evaluation.calibration import read_decision
from surface_crack.network.cracknet import CrackNet
from surface_crack.network.model_file import load_model, save_model
from surface_crack.network.notebook import NotebookNet
from surface_crack.project.errors import DataError
from surface_crack.project.manifest import digest_of
from surface_crack.scoring import scorer as module
from surface_crack.scoring.dense import Patches
from surface_crack.scoring.onnx_file import metadata_of, onnx_bytes
from surface_crack.scoring.scorer import load_scorer, step_of
from tests.support.networks import DECISION, GREY, random_cracknet, save_network, scorer_of, spread
from tests.support.project import ROOT

MODEL = "crack.safetensors"
KINDS = [("dataset", 64, 0), ("photo", 64, 0), ("dataset", 48, 0), ("dataset", 96, 0)]
KINDS += [("dataset", 128, 2), ("photo", 128, 3)]


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)


def network(normalise: str, size: int = 64, context: int = 0) -> CrackNet:
    return spread(random_cracknet(8, normalise, context), noise(16, size, size))


def export(folder: Path, normalise: str, size: int = 64, context: int = 0) -> Path:
    """Write the model file, its decision and the ONNX file."""
    model, config = load_model(save_network(folder, network(normalise, size, context), size=size))
    assert isinstance(model, CrackNet)
    step = step_of(size, normalise=model.by, context=context)
    metadata = metadata_of(config, read_decision(folder / "decision.json", folder / MODEL))
    content = onnx_bytes(Patches(model, size, step, DECISION.temperature), metadata)
    (folder / "crack.onnx").write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("exported"), "dataset")


@pytest.mark.parametrize(("normalise", "size", "context"), KINDS)
def test_each_patch_scores_as_it_does_alone(
    tmp_path: Path, normalise: str, size: int, context: int
) -> None:
    model = network(normalise, size, context)
    scorer = scorer_of(tmp_path, model, size=size)
    assert scorer.step == (size // 2 if normalise == "photo" else 16 if context else 8)
    pixels = noise(size + 2 * scorer.step + 5, size + 3 * scorer.step)
    found = scorer.score(pixels)
    assert found.shape == (3, 4)
    assert found.dtype == np.float32
    for row in range(3):
        for column in range(4):
            top, left = row * scorer.step, column * scorer.step
            patch = torch.tensor(pixels[top : top + size, left : left + size])
            with torch.inference_mode():
                logit = model(patch.permute(2, 0, 1)[None]).numpy()
            alone = DECISION.probabilities(logit)
            np.testing.assert_allclose(found[row, column], alone[0], atol=1e-4)


@pytest.mark.parametrize(
    ("normalise", "size", "context"), [("dataset", 64, 0), ("local", 64, 0), ("local", 128, 3)]
)
def test_blocks_leave_no_seam(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, normalise: str, size: int, context: int
) -> None:
    scorer = scorer_of(tmp_path, network(normalise, size, context), size=size)
    pixels = noise(size + 269, size + 386)
    whole = scorer.score(pixels)
    assert whole.shape == (269 // scorer.step + 1, 386 // scorer.step + 1)
    for block in (1, 130, 200, 300):  # even one smaller than a patch
        monkeypatch.setattr(module, "BLOCK_SIDE", block)
        np.testing.assert_allclose(scorer.score(pixels), whole, atol=1e-4)


def test_photos_normalised_one_by_one_are_scored_in_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = scorer_of(tmp_path, network("photo"))
    pixels = noise(200, 300)
    whole = scorer.score(pixels)
    monkeypatch.setattr(module, "BATCH", 5)
    np.testing.assert_allclose(scorer.score(pixels), whole, atol=1e-4)


def test_both_libraries_give_the_same_scores(exported: Path) -> None:
    compare(exported)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("normalise", "size", "context"), [("photo", 64, 0), ("local", 64, 0), ("local", 128, 3)]
)
def test_both_libraries_normalise_alike(
    tmp_path: Path, normalise: str, size: int, context: int
) -> None:
    compare(export(tmp_path, normalise, size, context), size)


def test_a_photo_of_one_patch_scores_as_in_training_with_local_normalisation(
    tmp_path: Path,
) -> None:
    """In a larger photo, `local` also uses the pixels around the patch."""
    model = network("local")
    pixels = noise(64, 64)
    with torch.inference_mode():
        logit = model(torch.tensor(pixels).permute(2, 0, 1)[None]).numpy()
    found = scorer_of(tmp_path, model).score(pixels)
    np.testing.assert_allclose(found[0], DECISION.probabilities(logit), atol=1e-4)


def compare(folder: Path, size: int = 64) -> None:
    by_torch = load_scorer(folder / "crack.safetensors", folder / "decision.json")
    by_onnx = load_scorer(folder / "crack.onnx", threads=1)
    assert by_torch == by_onnx
    assert by_onnx.threshold == DECISION.threshold
    assert by_onnx.photo_side == 227
    assert by_onnx.sources == ("walls",)
    for more_rows, more_columns in ((0, 0), (1, 136), (87, 35)):
        pixels = noise(size + more_rows, size + more_columns)
        found = by_onnx.score(pixels)
        np.testing.assert_allclose(found, by_torch.score(pixels), atol=1e-4)
        assert found.dtype == np.float32
    assert np.ptp(found) > 0.1  # else the comparison would mean nothing


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (noise(64, 63), "pixels must be at least 64 a side, got 63 x 64"),
        (noise(64, 64).astype(np.float32), r"must be uint8 \(H, W, 3\), got float32 \(64, 64, 3\)"),
        (noise(1, 64, 64), r"must be uint8 \(H, W, 3\), got uint8 \(1, 64, 64, 3\)"),
    ],
)
def test_invalid_pixels_are_rejected(
    exported: Path, pixels: NDArray[np.uint8], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        load_scorer(exported / "crack.onnx").score(pixels)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no.onnx", "no.onnx is missing: run `make export`, or give another model file"),
        ("no.safetensors", "no.safetensors is missing: run `dvc repro`, or give another model"),
        ("a.pt", "a.pt must be a .onnx or .safetensors file, got '.pt'"),
        ("b.onnx", "b.onnx is not a model of this project, or of an older version"),
        ("empty.onnx", "empty.onnx is not a model of this project, or of an older version"),
        ("b.safetensors", "b.safetensors is not a model of this project"),
    ],
)
def test_files_that_cannot_be_loaded_are_one_line_errors(
    tmp_path: Path, name: str, message: str
) -> None:
    for present in ("a.pt", "b.onnx", "b.safetensors"):
        (tmp_path / present).write_bytes(b"something else, of a certain length")
    (tmp_path / "empty.onnx").touch()
    with pytest.raises(DataError, match=message) as caught:
        load_scorer(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_model_without_photo_side_is_a_one_line_error(tmp_path: Path) -> None:
    path = save_network(tmp_path, random_cracknet())
    model, config = load_model(path)
    del config["photo_side"]
    save_model(path, model, config)
    with pytest.raises(DataError, match="of another version, without photo_side: run `dvc repro`"):
        load_scorer(path, tmp_path / "decision.json")


def test_an_export_beside_another_decision_is_a_one_line_error(
    exported: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(exported / "crack.onnx", tmp_path))
    assert load_scorer(path) == load_scorer(exported / "crack.onnx")  # it contains its own decision
    save_network(tmp_path, network("dataset", 96), size=96)
    with pytest.raises(
        DataError, match=r"other weights than those that .*decision.json belongs to"
    ):
        load_scorer(path)


def test_a_model_without_its_decision_is_a_one_line_error(exported: Path, tmp_path: Path) -> None:
    path = exported / "crack.safetensors"
    with pytest.raises(DataError, match="run `dvc repro`, or copy it together with .*crack.safe"):
        load_scorer(path, tmp_path / "decision.json")


def test_a_foreign_onnx_file_is_a_one_line_error(exported: Path, tmp_path: Path) -> None:
    import onnx

    proto = onnx.load(exported / "crack.onnx")
    del proto.metadata_props[:]
    onnx.save(proto, tmp_path / "theirs.onnx")
    with pytest.raises(DataError, match="theirs.onnx is not a model of this project"):
        load_scorer(tmp_path / "theirs.onnx")


def test_model_notebook_is_rejected(tmp_path: Path) -> None:
    path = save_network(tmp_path, NotebookNet(*GREY, dropout=0.1))
    with pytest.raises(
        DataError, match="holds model notebook, which takes photos of one size only"
    ):
        load_scorer(path)


@pytest.mark.parametrize(
    ("missing", "file", "message"),
    [
        ("torch", "crack.safetensors", "needs torch: run `pip install -e "),
        ("onnxruntime", "crack.onnx", "needs onnxruntime: run `pip install onnxruntime`"),
    ],
)
def test_a_missing_library_is_a_one_line_error(
    exported: Path, missing: str, file: str, message: str
) -> None:
    """In a new process, in which importing it fails."""
    path = exported / file
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from pathlib import Path; from surface_crack.scoring.scorer import load_scorer\n"
        f"try: load_scorer(Path({str(path)!r}))\nexcept Exception as error: print(repr(error))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert message in done.stdout
    assert done.stdout.startswith("DataError(")


def test_importing_the_package_loads_neither_library() -> None:
    code = (
        "import sys, surface_crack.scoring\n"
        "print({'torch', 'onnxruntime', 'scipy', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_the_metadata_of_the_onnx_file(exported: Path) -> None:
    session = onnxruntime.InferenceSession(exported / "crack.onnx")
    metadata = session.get_modelmeta().custom_metadata_map
    model, _ = load_model(exported / "crack.safetensors")
    assert json.loads(metadata.pop("mean")) == model.mean.flatten().tolist()
    assert json.loads(metadata.pop("std")) == model.std.flatten().tolist()
    assert metadata == {
        "classes": '["negative", "positive"]',
        "data_digest": "of nothing",
        "image_size": "64",
        "licence": "MIT",
        "model": "cracknet",
        "normalise": "dataset",
        "photo_side": "227",
        "rule": "for tests",
        "sources": '["walls"]',
        "temperature": "0.8",
        "threshold": "0.4",
        "weights": digest_of(exported / MODEL),
    }
    (given,), (made,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape) == (
        *("pixels", "tensor(uint8)"),
        ["batch", "height", "width", 3],
    )
    assert (made.name, made.type, made.shape) == (
        *("probability", "tensor(float)"),
        ["batch", "rows", "columns"],
    )
    (answer,) = session.run(None, {"pixels": noise(3, 80, 72)})
    assert answer.shape == (3, 3, 2)
