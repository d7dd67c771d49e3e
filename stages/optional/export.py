"""Optional stage: export the model to one ONNX file, for machines without PyTorch.

reads   models/crack.safetensors     the network that `train` kept
        models/decision.json         temperature and threshold, chosen on the validation set
        data/prepared/images.npy     pixels
        data/split/val.csv           rows of the photos on which ONNX Runtime is compared to PyTorch
        data/manifests/prepare.json, split.json, train.json     checked: all files are of one run
writes  models/crack.onnx            pixels to calibrated probabilities; the decision as metadata
        metrics/export.json          largest difference from PyTorch

The graph includes normalisation, pooling and temperature scaling; batch size, height and width are
dynamic.
"""

import logging
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from surface_crack.dataset import Subset, load_split
from surface_crack.evaluation.calibration import read_decision
from surface_crack.network.cracknet import CrackNet
from surface_crack.network.model_file import load_model
from surface_crack.network.training import EVAL_BATCH, predict
from surface_crack.project import paths
from surface_crack.project.errors import DataError
from surface_crack.project.files import write_bytes, write_json
from surface_crack.project.manifest import check_same_run
from surface_crack.project.stage import run_stage
from surface_crack.scoring.dense import Patches
from surface_crack.scoring.scorer import Scorer, load_scorer, refuse_notebook, step_of

log = logging.getLogger("export")
for exporter in ("onnx_ir", "onnxscript"):  # they log each node that they remove
    logging.getLogger(exporter).setLevel(logging.WARNING)
GRIDS = ((1, 1), (2, 3), (7, 4), (20, 25))  # rows and columns of photos per large test image
CROPPED = 13  # pixels cut off at the right and bottom, so that patches do not tile the image
MAX_DIFFERENCE = 1e-3  # of two probabilities; more cannot be rounding


def main() -> None:
    try:
        from surface_crack.scoring.onnx_file import metadata_of, onnx_bytes
    except ModuleNotFoundError as error:
        raise DataError(
            f"{error.name} is missing: run `pip install -e .[pipeline,export]`"
        ) from None

    model, config = load_model(paths.MODEL)
    refuse_notebook(paths.MODEL, config)
    check_same_run(
        ("prepare", "split", "train"), (paths.IMAGES, paths.SPLIT / "val.csv", paths.MODEL)
    )
    val = load_split("val")
    assert isinstance(model, CrackNet)
    decision = read_decision(paths.DECISION, paths.MODEL)
    context = len(model.context)
    step = step_of(config["image_size"], normalise=model.by, context=context)
    scores = Patches(model, config["image_size"], step, decision.temperature)
    metadata = metadata_of(config, decision)
    content = onnx_bytes(scores, metadata)
    with TemporaryDirectory(prefix="surface-crack-") as folder:
        file = Path(folder) / paths.ONNX.name
        file.write_bytes(content)
        exported, own = load_scorer(file), load_scorer(paths.MODEL)
    probability = decision.probabilities(predict(model, val))  # as `evaluate` does
    ours = np.concatenate(
        [
            exported.run(val.images[val.rows[start : start + EVAL_BATCH]]).ravel()
            for start in range(0, len(val), EVAL_BATCH)
        ]
    )
    photos = large_photos(val, config["seed"])
    difference = {
        "validation": float(np.abs(ours - probability).max()),
        "whole_photos": max(largest_difference(exported, own, photo) for photo in photos),
    }
    if max(difference.values()) > MAX_DIFFERENCE:
        raise DataError(
            f"ONNX Runtime and PyTorch differ by {max(difference.values()):.2g}: install the "
            "versions in constraints.txt"
        )
    write_bytes(paths.ONNX, content)  # only after the check: `inspect` uses this file
    numbers = {"bytes": len(content), "photos": len(val), "whole_photos": len(photos)}
    largest = {name: float(f"{x:.1e}") for name, x in difference.items()}
    write_json(paths.METRICS / "export.json", {**numbers, "largest_difference": largest})
    log.info(
        "%s, %.0f kB: P(crack) of %d photos and all patches of %d large images differs by at most "
        "%.1e",
        *(paths.ONNX, numbers["bytes"] / 1000, len(val), len(photos), max(difference.values())),
    )


def large_photos(subset: Subset, seed: int) -> list[NDArray[np.uint8]]:
    """Build large images, uint8 (H, W, 3), from grids of photos drawn at random from the set."""
    draw = np.random.default_rng(seed)
    photos = []
    for rows, columns in GRIDS:
        drawn = subset.images[draw.choice(subset.rows, (rows, columns))]  # (rows, columns, S, S, 3)
        large = np.concatenate(np.concatenate(drawn, axis=1), axis=1)
        photos.append(large if rows * columns == 1 else large[:-CROPPED, :-CROPPED])
    return photos


def largest_difference(one: Scorer, other: Scorer, photo: NDArray[np.uint8]) -> float:
    return float(np.abs(one.score(photo) - other.score(photo)).max())


if __name__ == "__main__":
    run_stage("export", main)
