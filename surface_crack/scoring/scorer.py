"""Load a trained model and score pixels, by PyTorch or ONNX Runtime.

    scorer = load_scorer(Path("models/crack.onnx"))
    probability = scorer.score(pixels)

Each library is imported only when a file needs it.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from surface_crack.project import paths
from surface_crack.project.errors import DataError, one_line
from surface_crack.project.files import read_json
from surface_crack.project.geometry import CONTEXT_STRIDE, HALO, NORMALISE, STRIDE

if TYPE_CHECKING:
    from surface_crack.network.cracknet import CrackNet

Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
BLOCK_SIDE = 2304  # side of the largest block scored at once, pixels: bounds memory
BATCH = 32  # patches scored at once if each is normalised by itself
STRINGS = (  # keys stored as text in an ONNX file's metadata; all others are JSON
    *("data_digest", "licence", "model", "normalise", "rule", "weights"),
)


@dataclass(frozen=True)
class Scorer:
    """A network with its calibration and threshold. "Model pixels" are those of its input."""

    patch: int  # side of a patch, model pixels
    photo_side: float  # side of the training photos, in their own pixels; each became a patch
    step: int  # model pixels from one patch to the next
    dense: bool  # all patches in one pass; otherwise each is cut out and normalised by itself
    halo: int  # model pixels around a patch that affect its score, a multiple of step
    temperature: float  # divisor of the logits, applied by `run`
    threshold: float  # calibrated probability from which a patch is positive
    rule: str  # how the threshold was chosen, as text
    weights: str  # SHA-256 of the .safetensors file
    data_digest: str  # of the training run's data set
    sources: tuple[str, ...]  # names of its folder or archives
    mean: tuple[float, ...]  # of the training pixels, RGB
    std: tuple[float, ...]
    run: Run = field(repr=False, compare=False)  # uint8 (B, H, W, 3) -> (B, rows, columns)

    def score(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Calibrated P(crack) (rows, columns) of the patches of uint8 (H, W, 3) model pixels.

        Row i, column j is the patch that starts at (i * step, j * step); only whole patches are
        scored. Large arrays are scored block by block, with the same result. Raises ValueError if
        the pixels are smaller than a patch or not uint8 RGB.
        """
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise ValueError(f"pixels must be uint8 (H, W, 3), got {pixels.dtype} {pixels.shape}")
        height, width, _ = pixels.shape
        if min(height, width) < self.patch:
            raise ValueError(f"pixels must be at least {self.patch} a side, got {width} x {height}")
        rows, columns = ((side - self.patch) // self.step + 1 for side in (height, width))
        score = self._dense if self.dense else self._one_by_one
        return score(pixels, rows, columns)

    def _dense(self, pixels: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.float32]:
        """Score in blocks that overlap by a patch less a step plus the halo, to avoid seams."""
        probability = np.empty((rows, columns), np.float32)
        around = self.halo // self.step  # patches whose pixels affect those of the block
        at_once = max(1, (max(BLOCK_SIDE, 2 * self.patch) - self.patch) // self.step + 1)
        tall, wide = (even_block(count, at_once) for count in (rows, columns))
        for i, j in product(range(0, rows, tall), range(0, columns, wide)):
            i_end, j_end = min(i + tall, rows), min(j + wide, columns)
            top, bottom = max(i - around, 0), min(i_end + around, rows)
            left, right = max(j - around, 0), min(j_end + around, columns)
            block = pixels[self._span(top, bottom), self._span(left, right)]
            scores = self.run(block[None])[0]
            probability[i:i_end, j:j_end] = scores[i - top : i_end - top, j - left : j_end - left]
        return probability

    def _span(self, first: int, end: int) -> slice:
        """The pixels of the patches from `first` up to but not including `end`."""
        return slice(first * self.step, (end - 1) * self.step + self.patch)

    def _one_by_one(
        self, pixels: NDArray[np.uint8], rows: int, columns: int
    ) -> NDArray[np.float32]:
        places = list(product(range(rows), range(columns)))
        scores: list[NDArray[np.float32]] = []
        for start in range(0, len(places), BATCH):
            cut = [
                pixels[self._span(i, i + 1), self._span(j, j + 1)]
                for i, j in places[start : start + BATCH]
            ]
            scores.append(self.run(np.stack(cut)).reshape(-1))
        return np.concatenate(scores).reshape(rows, columns)


def even_block(count: int, at_most: int) -> int:
    """Size of equal blocks of `count` items, at most `at_most` each."""
    return math.ceil(count / math.ceil(count / at_most))


def load_scorer(path: Path, decision: Path | None = None, *, threads: int | None = None) -> Scorer:
    """Load a .onnx file, or a .safetensors file of the stage `train` with its `decision`.

    `decision` defaults to decision.json beside the model. An ONNX file contains its decision; a
    decision.json beside it must be of the same weights. `threads` limits the threads of one call of
    `score` (None: one per core); PyTorch applies it to the whole process. Raises DataError if a
    file is missing or not of this project, if model and decision are of different weights, if the
    network takes photos of one size only, or if a library is missing.
    """
    decision = decision or path.with_name(paths.DECISION.name)
    if not path.exists():
        raise DataError(f"{path} is missing: run {_command_for(path)}, or give another model file")
    if path.suffix == ".onnx":
        return _from_onnx(path, decision, threads)
    if path.suffix == ".safetensors":
        return _from_safetensors(path, decision, threads)
    raise DataError(f"{path} must be a .onnx or .safetensors file, got {path.suffix!r}")


def step_of(patch: int, *, normalise: str, context: int) -> int:
    """Model pixels from one patch to the next: the network's stride, or half a patch."""
    stride = CONTEXT_STRIDE if context or normalise == "local" else STRIDE
    return patch // 2 // stride * stride if normalise == "photo" else stride


def refuse_notebook(path: Path, config: Mapping[str, Any]) -> None:
    """Raise DataError if the network takes photos of one size only."""
    if config["model"] == "notebook":
        raise DataError(
            f"{path} holds model notebook, which takes photos of one size only: set "
            "model: cracknet in params.yaml and run `dvc repro`"
        )


def pixel_values(model: "CrackNet") -> dict[str, list[float]]:
    """`mean` and `std` of the training pixels, RGB."""
    return {"mean": model.mean.flatten().tolist(), "std": model.std.flatten().tolist()}


def _from_safetensors(path: Path, decision_path: Path, threads: int | None) -> Scorer:
    try:
        import torch

        from surface_crack.evaluation.calibration import read_decision
        from surface_crack.network.cracknet import CrackNet
        from surface_crack.network.model_file import load_model
        from surface_crack.scoring.dense import Patches
    except ModuleNotFoundError as error:
        missing = str(error.name).split(".")[0]
        raise DataError(
            f'{path} needs {missing}: run `pip install -e ".[pipeline]"` in a clone of the '
            "project, or give the .onnx file that `make export` writes"
        ) from None
    model, config = load_model(path)
    refuse_notebook(path, config)
    assert isinstance(model, CrackNet)
    decision = read_decision(decision_path, path)
    if threads:
        torch.set_num_threads(threads)
    patch: int = config["image_size"]
    step = step_of(patch, normalise=model.by, context=len(model.context))
    scores = Patches(model, patch, step, decision.temperature)

    @torch.inference_mode()
    def run(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        answer: NDArray[np.float32] = scores(torch.tensor(pixels)).numpy()
        return answer

    values = {**config, **pixel_values(model)}
    return _scorer(path, values | asdict(decision), run)


def _from_onnx(path: Path, decision: Path, threads: int | None) -> Scorer:
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise DataError(f"{path} needs onnxruntime: run `pip install onnxruntime`") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3  # errors only, which also raise exceptions
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        values = {
            key: text if key in STRINGS else json.loads(text)
            for key, text in session.get_modelmeta().custom_metadata_map.items()
        }
    except Exception as error:  # ONNX Runtime's exceptions have no common base class
        raise _invalid_model(path, error) from None

    def run(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        (answer,) = session.run(None, {"pixels": pixels})
        return np.asarray(answer, np.float32)

    scorer = _scorer(path, values, run)
    if decision.exists() and read_json(decision).get("weights") != scorer.weights:
        raise DataError(
            f"{path} was exported from other weights than those that {decision} belongs to: run "
            "`make export`, or copy both files from one run"
        )
    return scorer


def _scorer(path: Path, values: Mapping[str, Any], run: Run) -> Scorer:
    """Build a scorer from the values stored with the model. Raises DataError if one is missing."""
    try:
        normalise = values["normalise"]
        if normalise not in NORMALISE:
            raise ValueError(f"normalise {normalise!r}")
        return Scorer(
            patch=int(values["image_size"]),
            photo_side=float(values["photo_side"]),
            step=step_of(
                int(values["image_size"]),
                normalise=normalise,
                context=int(values.get("context", 0)),
            ),
            dense=normalise != "photo",
            halo=HALO if normalise == "local" else 0,
            temperature=float(values["temperature"]),
            threshold=float(values["threshold"]),
            rule=str(values["rule"]),
            weights=str(values["weights"]),
            data_digest=str(values["data_digest"]),
            sources=tuple(map(str, values["sources"])),
            mean=tuple(map(float, values["mean"])),
            std=tuple(map(float, values["std"])),
            run=run,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _invalid_model(path, error) from None


def _invalid_model(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path} is not a model of this project, or of an older version ({one_line(error)}): run "
        f"{_command_for(path)}"
    )


def _command_for(path: Path) -> str:
    return "`make export`" if path.suffix == ".onnx" else "`dvc repro`"
