"""Stage 5: train the network and keep the weights of the best or the last epoch.

reads   data/prepared/images.npy     uint8 (N, S, S, 3), memory-mapped
        data/split/train.csv, val.csv       rows and labels; the test set is not read
        data/split/statistics.json   pixel mean and std, data digest, original size of
                                     the photos and their sources
        the model file in `init`     initial weights; none by default
writes  models/crack.safetensors     kept weights, with the params of the training
        data/trained/logits.csv      row, label, logit of the validation set, by these weights
        data/manifests/train.json    digests of inputs and outputs, to detect mixed runs
        metrics/train.json           the epoch of the kept weights and its scores
        plots/history.csv            one row per epoch, rewritten after each

The best epoch is the one with the lowest validation loss, in fp32. The learning rate schedule spans
all `epochs`; after `patience` epochs without improvement, training stops. With `keep: last` all
epochs are run and the weights of the last one are kept.

An interrupted training resumes after its last finished epoch, and its result is byte-identical to
that of an uninterrupted one: see surface_crack/network/resume.py. `surface-crack fresh` discards
the checkpoint.
"""

import logging
import os

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic CUDA

import numpy as np
import torch
from tqdm import tqdm

from surface_crack.dataset import load_split
from surface_crack.network.augment import augment
from surface_crack.network.init import init_file, load_initial_weights
from surface_crack.network.model import build_model
from surface_crack.network.model_file import load_model, save_model
from surface_crack.network.resume import Training, load_state, save_state, training_key
from surface_crack.network.training import (
    check_finite,
    loss_and_accuracy,
    lr_factor,
    make_optimizer,
    pick_device,
    pick_precision,
    predict,
    steps_per_epoch,
    train_epoch,
)
from surface_crack.project import paths
from surface_crack.project.errors import TrainingError
from surface_crack.project.files import read_json, write_csv, write_json
from surface_crack.project.geometry import NOTEBOOK_SIZE
from surface_crack.project.labels import CLASSES
from surface_crack.project.manifest import digest_of, write_manifest
from surface_crack.project.params import read_params
from surface_crack.project.stage import run_stage

log = logging.getLogger("train")
COLUMNS = ("epoch", "train_loss", "val_loss", "train_accuracy", "val_accuracy", "lr")


def main() -> None:
    p = read_params("train")
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(p.seed)  # weights and dropout
    shuffle = np.random.default_rng(p.seed)  # batch order
    augment_rng = torch.Generator().manual_seed(p.seed)

    train, val = load_split("train"), load_split("val")
    image_size = train.images.shape[1]
    if p.model == "notebook" and image_size != NOTEBOOK_SIZE:
        raise TrainingError(
            f"model notebook needs photos of {NOTEBOOK_SIZE} pixels, got {image_size}: "
            f"set image_size: {NOTEBOOK_SIZE} in params.yaml"
        )
    statistics = read_json(paths.STATISTICS)
    device = pick_device()
    precision = pick_precision(p.precision, device)
    model = build_model(
        p.model,
        statistics["mean"],
        statistics["std"],
        dropout=p.dropout,
        width=p.width,
        normalise=p.normalise,
        context=p.context,
    )
    start = init_file(p.init)
    if start:
        load_initial_weights(model, start, {**vars(p), "image_size": image_size})
        log.info("initial weights: %s", start)
    model.to(device).to(memory_format=torch.channels_last)
    parameters = sum(weights.numel() for weights in model.parameters())
    log.info("%s, %d parameters, %s on %s", p.model, parameters, precision, device.type)

    optimizer = make_optimizer(p.model, model, p.lr, p.weight_decay)
    steps = steps_per_epoch(len(train), p.batch_size) * p.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: lr_factor(step, steps, p.warmup)
    )
    training = Training(model, optimizer, schedule, shuffle, augment_rng)

    # Resume from the checkpoint, if it is one of this training.
    settings = {**vars(p), "precision": str(precision), "device": str(device)}
    data = [paths.IMAGES, paths.SPLIT / "train.csv", paths.SPLIT / "val.csv", paths.STATISTICS]
    data += [start] if start else []
    key = training_key(settings, data)
    history: list[tuple[float, ...]] = []
    kept: dict[str, float] = {}
    if saved := load_state(paths.RESUME, key):
        training.restore(saved["training"], paths.MODEL)
        history, kept = saved["history"], saved["kept"]
        write_csv(paths.HISTORY, COLUMNS, history)
        log.info("resuming an interrupted training after epoch %d", len(history))

    progress = tqdm(
        total=steps, initial=schedule.last_epoch, unit="step", desc="train", disable=None
    )

    def after_step() -> None:
        schedule.step()
        progress.update()

    config = {
        **vars(p),
        "classes": list(CLASSES),
        "data_digest": statistics["data_digest"],
        "image_size": image_size,
        "photo_side": statistics["photo_side"],
        "sources": statistics["sources"],
    }
    if start:
        config["init_weights"] = digest_of(start)

    for epoch in range(len(history) + 1, p.epochs + 1):
        if kept and epoch - kept["epoch"] > p.patience:
            log.info("validation loss has not improved for %d epochs: stopping", p.patience)
            break
        rate = optimizer.param_groups[0]["lr"]
        train_score = train_epoch(
            model,
            train,
            p.batch_size,
            optimizer,
            shuffle=shuffle,
            label_smoothing=p.label_smoothing,
            precision=precision,
            augment=lambda images: augment(
                images,
                augment_rng,
                flips=p.flips,
                brightness=p.brightness,
                contrast=p.contrast,
                gamma=p.gamma,
            ),
            after_step=after_step,
        )
        val_score = loss_and_accuracy(predict(model, val), val.labels)
        check_finite("training", train_score.loss, p.lr)
        check_finite("validation", val_score.loss, p.lr)
        row = (train_score.loss, val_score.loss, train_score.accuracy, val_score.accuracy)
        history.append((epoch, *(round(number, 6) for number in row), float(f"{rate:.4g}")))
        write_csv(paths.HISTORY, COLUMNS, history)  # atomic, so it can be watched
        if p.keep == "last" or not kept or val_score.loss < kept["val_loss"]:
            kept = {"epoch": epoch, "val_loss": val_score.loss, "val_accuracy": val_score.accuracy}
            save_model(paths.MODEL, model, config)
        log.info(
            "epoch %2d/%d  loss %.4f, validation %.4f  accuracy %.2f %%, validation %.2f %%%s",
            *(epoch, p.epochs, *row[:2], 100 * row[2], 100 * row[3]),
            "  (kept)" if kept["epoch"] == epoch else "",
        )
        state = {"training": training.state(paths.MODEL), "history": history, "kept": kept}
        save_state(paths.RESUME, key, state)
    progress.close()

    # Score the validation set with the kept weights, for the stage calibrate.
    model, _ = load_model(paths.MODEL)
    logits = predict(model.to(device), val)
    write_csv(
        paths.LOGITS, ("row", "label", "logit"), zip(val.rows, val.labels, logits, strict=True)
    )
    write_json(
        paths.METRICS / "train.json",
        {
            "best_epoch": kept["epoch"],
            "epochs_run": len(history),
            "parameters": parameters,
            "precision": str(precision).removeprefix("torch."),
            "val_accuracy": round(kept["val_accuracy"], 6),
            "val_loss": round(kept["val_loss"], 6),
        },
    )
    write_manifest("train")
    paths.RESUME.unlink()


if __name__ == "__main__":
    run_stage("train", main)
