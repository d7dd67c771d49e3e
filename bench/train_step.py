"""Training throughput, and how much of it data loading and augmentation cost.

    python -m bench.train_step

Uses random photos of `image_size` in a memory-mapped file, as in the pipeline. "Ready batch" is the
network alone (forward, backward, optimiser) on one batch in memory; "whole loop" is `train_epoch`,
which also loads and augments the photos. Also measures variants of the ready batch, and a large
matrix product, the upper limit for any network on this machine.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor, nn

from bench.machine import arguments, machine, publish, seconds, spread, table
from surface_crack.dataset import Subset
from surface_crack.network.augment import augment
from surface_crack.network.model import build_model
from surface_crack.network.training import make_optimizer, pick_device, pick_precision, train_epoch
from surface_crack.project.params import Params, check_params

PHOTOS = 4096
STEPS = 40  # on the ready batch, per round
ROUNDS = 7
SIDE = 2048  # rows and columns of the matrices


def main() -> None:
    options = arguments(__doc__).parse_args()
    p = check_params()
    with TemporaryDirectory(prefix="surface-crack-") as folder:
        subset = random_photos(Path(folder) / "images.npy", p.image_size)
        ways: dict[str, Callable[[], float]] = {
            "ready batch, as trained: channels_last, fused AdamW": ready_batch(p, subset),
            "whole loop": whole_loop(p, subset),
            "ready batch, fp32": ready_batch(p, subset, precision=torch.float32),
            "ready batch, not channels_last": ready_batch(
                p, subset, layout=torch.contiguous_format
            ),
            "ready batch, AdamW not fused": ready_batch(p, subset, fused=False),
        }
        if shutil.which("c++"):
            ways["ready batch, torch.compile"] = ready_batch(p, subset, compiled=True)
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for way in ways.values():
            way()  # warm-up
        for _ in range(ROUNDS):
            for name, way in ways.items():
                rates[name].append(way())
    ready, loop = (median(rates[name]) for name in list(ways)[:2])
    lines = [
        machine("torch") + f", {torch.get_num_threads()} threads, batches of {p.batch_size}",
        "",
        table(
            ("", "photos per second", "relative to the ready batch"),
            [(k, spread(v, "{:.0f}"), f"{median(v) / ready:.2f}") for k, v in rates.items()],
        ),
        "",
        f"The whole loop reaches {100 * loop / ready:.0f} % of the rate with a ready batch.",
        f"Matrix product, {SIDE} x {SIDE}: {peak(torch.float32)} fp32, "
        f"{peak(torch.bfloat16)} bf16.",
    ]
    publish("train_step", "\n".join(lines), write=options.write)


def random_photos(path: Path, size: int) -> Subset:
    rng = np.random.default_rng(0)
    np.save(path, rng.integers(0, 256, (PHOTOS, size, size, 3), np.uint8))
    labels = rng.integers(0, 2, PHOTOS)
    return Subset(np.load(path, mmap_mode="r"), rng.permutation(PHOTOS), labels)


def network(p: Params) -> nn.Module:
    grey = (127.0,) * 3, (50.0,) * 3
    model = build_model(p.model, *grey, dropout=p.dropout, width=p.width, normalise=p.normalise)
    return model.to(pick_device()).train()


def ready_batch(
    p: Params,
    subset: Subset,
    *,
    precision: torch.dtype | None = None,
    layout: torch.memory_format = torch.channels_last,
    fused: bool = True,
    compiled: bool = False,
) -> Callable[[], float]:
    """A function that measures photos per second over STEPS steps on one batch."""
    precision = precision or pick_precision(p.precision, pick_device())
    model = network(p).to(memory_format=layout)
    optimizer = torch.optim.AdamW(model.parameters(), p.lr, fused=fused)
    called = torch.compile(model) if compiled else model
    pixels = torch.from_numpy(subset.images[: p.batch_size]).permute(0, 3, 1, 2)
    images = pixels.to(pick_device()).contiguous(memory_format=layout)
    labels = torch.from_numpy(subset.labels[: p.batch_size]).float().to(pick_device())

    def step() -> Tensor:
        with torch.autocast(images.device.type, precision, enabled=precision != torch.float32):
            logits = called(images)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    def steps() -> float:
        return [step() for _ in range(STEPS)][-1].item()  # item() waits for the GPU

    return lambda: STEPS * len(images) / seconds(steps)


def whole_loop(p: Params, subset: Subset) -> Callable[[], float]:
    """A function that measures photos per second over one epoch of `train_epoch`."""
    model = network(p).to(memory_format=torch.channels_last)
    optimizer = make_optimizer(p.model, model, p.lr, p.weight_decay)
    shuffle, augment_rng = np.random.default_rng(0), torch.Generator().manual_seed(0)
    light = {"brightness": p.brightness, "contrast": p.contrast, "gamma": p.gamma}

    def augmented(images: Tensor) -> Tensor:
        return augment(images, augment_rng, flips=p.flips, **light)

    def epoch() -> None:
        train_epoch(
            model,
            subset,
            p.batch_size,
            optimizer,
            shuffle=shuffle,
            label_smoothing=p.label_smoothing,
            precision=pick_precision(p.precision, pick_device()),
            augment=augmented,
            after_step=lambda: None,
        )

    return lambda: len(subset) / seconds(epoch)


def peak(kind: torch.dtype) -> str:
    """Operations per second of a matrix product, best of ten runs."""
    one = torch.randn(SIDE, SIDE, device=pick_device()).to(kind)
    best = min(seconds(lambda: one @ one) for _ in range(10))
    return f"{2 * SIDE**3 / best / 1e9:.0f} GFLOP/s"


if __name__ == "__main__":
    main()
