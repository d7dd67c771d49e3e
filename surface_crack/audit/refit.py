"""The train stage on other rows: for folds, and to compare what networks learn from where.

Each training is `python -m stages.train` itself, in a folder that looks to it like the project's,
so that its network is the one that `dvc repro` would make of these rows.
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
    """The model file in `folder` of a network trained on the packed photos `train`.

    `train` and `val` are rows of images.npy, `labels` (N,) are those of all its photos. Raises
    TrainingError if training does, RuntimeError for a bug in it.
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
    """The stage of the current folder's code, on the files in `folder`."""
    log = folder / "log.txt"
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(
            [sys.executable, "-m", "stages.train"],
            cwd=folder,
            env=os.environ
            | {"PYTHONPATH": str(Path.cwd()), "DVC_STAGE": "train"},  # ends when we do
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        text = log.read_text(encoding="utf-8", errors="replace").strip()
        _, told, reason = text.rpartition("train: error: ")
        if told:
            raise TrainingError(reason.partition("\n")[0])
        if done.returncode != 1:  # that of a traceback
            raise TrainingError(f"training was ended from outside, with code {done.returncode}")
        raise RuntimeError(f"training failed:\n{text}")


def predict_calibrated(file: Path, val: Subset, held_out: Subset) -> NDArray[np.float64]:
    """Probability of a crack of the photos `held_out`, by the network in `file`.

    Its temperature is fitted to `val`, so that probabilities of several folds compare.
    """
    model, _ = load_model(file)
    model.to(pick_device())
    temperature = fit_temperature(predict(model, val), val.labels)
    return probabilities(predict(model, held_out), temperature)
