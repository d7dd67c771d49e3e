"""Run the train stage on other rows: for cross-validation, and to compare training sets.

Each training is `python -m stages.train` in a temporary folder laid out like the project, so that
its network is the one that `dvc repro` would give for these rows.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from surface_crack.dataset import Subset, read_images, read_index
from surface_crack.evaluation.calibration import fit_temperature, probabilities
from surface_crack.network.model_file import load_model
from surface_crack.network.training import pick_device, predict
from surface_crack.project import paths
from surface_crack.project.errors import TrainingError
from surface_crack.project.files import write_csv, write_json, write_text
from surface_crack.project.params import PARAMS, PIPELINE, Params
from surface_crack.splitting.statistics import photo_side, pixel_statistics


def refit(
    folder: Path,
    train: NDArray[np.int64],
    val: NDArray[np.int64],
    labels: NDArray[np.int64],
    params: Params,
) -> Path:
    """Train a network on the packed photos `train` and return its model file in `folder`.

    `train` and `val` are rows of images.npy, `labels` (N,) those of all its photos. Raises
    TrainingError if training fails, RuntimeError if it crashes because of a bug.
    """
    for name, rows in (("train", train), ("val", val)):
        of_part = zip(rows.tolist(), labels[rows].tolist(), strict=True)
        write_csv(folder / paths.SPLIT / f"{name}.csv", ("row", "label"), of_part)
    mean, std = pixel_statistics(read_images(), train)
    index = read_index()
    side = photo_side(index[["width", "height"]].to_numpy(), train)
    statistics = {"mean": mean, "std": std, "data_digest": "refit", "photo_side": side}
    statistics["sources"] = sorted(set(index["source"][train]))
    write_json(folder / paths.STATISTICS, statistics)
    images = folder / paths.IMAGES
    images.parent.mkdir(parents=True, exist_ok=True)
    images.unlink(missing_ok=True)
    images.symlink_to(paths.IMAGES.resolve())
    plain = {key: list(x) if isinstance(x, tuple) else x for key, x in vars(params).items()}
    write_text(folder / PARAMS, yaml.safe_dump(plain, sort_keys=False))
    write_text(folder / PIPELINE, PIPELINE.read_text(encoding="utf-8"))
    _train(folder)
    return folder / paths.MODEL


def _train(folder: Path) -> None:
    """Run the train stage, with the code in the current folder, on the files in `folder`."""
    log = folder / "log.txt"
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(
            [sys.executable, "-m", "stages.train"],
            cwd=folder,
            env=os.environ
            | {"PYTHONPATH": str(Path.cwd()), "DVC_STAGE": "train"},  # ends with this process
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        text = log.read_text(encoding="utf-8", errors="replace").strip()
        _, has_message, reason = text.rpartition("train: error: ")
        if has_message:
            raise TrainingError(reason.partition("\n")[0])
        if done.returncode != 1:  # 1 is a traceback
            raise TrainingError(f"training was killed, with exit code {done.returncode}")
        raise RuntimeError(f"training failed:\n{text}")


def predict_calibrated(file: Path, val: Subset, held_out: Subset) -> NDArray[np.float64]:
    """Return P(crack) (n,) of the photos `held_out` from the network in `file`.

    Its temperature is fitted to `val`, so that probabilities of different folds are comparable.
    """
    model, _ = load_model(file)
    model.to(pick_device())
    temperature = fit_temperature(predict(model, val), val.labels)
    return probabilities(predict(model, held_out), temperature)
