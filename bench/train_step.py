"""What a training step costs, and what of that is not the network's own arithmetic.

    python -m bench.train_step

Made-up photos of `image_size`, in a file mapped into memory as in the pipeline. "Ready batch" is
the network alone, forward, back and optimiser, on one batch that is there already; "whole loop" is
`train_epoch`, which picks the photos, changes their light and turns them. Then what else was tried
on a ready batch, and a large matrix product, the limit of all arithmetic here.
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
STEPS = 40  # per round, on the ready batch
ROUNDS = 7
SIDE = 2048  # of the matrices


def main() -> None:
    options = arguments(__doc__).parse_args()
    p = check_params()
    with TemporaryDirectory(prefix="surface-crack-") as folder:
        part = made_up(Path(folder) / "images.npy", p.image_size)
        ways: dict[str, Callable[[], float]] = {
            "ready batch, as trained: channels_last, fused AdamW": ready_batch(p, part),
            "whole loop": whole_loop(p, part),
            "ready batch, fp32": ready_batch(p, part, precision=torch.float32),
            "ready batch, not channels_last": ready_batch(p, part, layout=torch.contiguous_format),
            "ready batch, AdamW not fused": ready_batch(p, part, fused=False),
        }
        if shutil.which("c++"):
            ways["ready batch, torch.compile"] = ready_batch(p, part, compiled=True)
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for way in ways.values():
            way()  # warms up
        for _ in range(ROUNDS):
            for name, way in ways.items():
                rates[name].append(way())
    ready, loop = (median(rates[name]) for name in list(ways)[:2])
    lines = [
        machine("torch") + f", {torch.get_num_threads()} threads, batches of {p.batch_size}",
        "",
        table(
            ("", "photos per second", "to the ready batch"),
            [(k, spread(v, "{:.0f}"), f"{median(v) / ready:.2f}") for k, v in rates.items()],
        ),
        "",
        f"The loop reaches {100 * loop / ready:.0f} % of the network alone.",
        f"Matrix product, {SIDE} a side: {peak(torch.float32)} fp32, {peak(torch.bfloat16)} bf16.",
    ]
    publish("train_step", "\n".join(lines), write=options.write)


def made_up(path: Path, size: int) -> Subset:
    draw = np.random.default_rng(0)
    np.save(path, draw.integers(0, 256, (PHOTOS, size, size, 3), np.uint8))
    labels = draw.integers(0, 2, PHOTOS)
    return Subset(np.load(path, mmap_mode="r"), draw.permutation(PHOTOS), labels)


def network(p: Params) -> nn.Module:
    grey = (127.0,) * 3, (50.0,) * 3
    model = build_model(p.model, *grey, dropout=p.dropout, width=p.width, normalise=p.normalise)
    return model.to(pick_device()).train()


def ready_batch(
    p: Params,
    part: Subset,
    *,
    precision: torch.dtype | None = None,
    layout: torch.memory_format = torch.channels_last,
    fused: bool = True,
    compiled: bool = False,
) -> Callable[[], float]:
    """A measurement: photos per second over STEPS steps."""
    precision = precision or pick_precision(p.precision, pick_device())
    model = network(p).to(memory_format=layout)
    optimizer = torch.optim.AdamW(model.parameters(), p.lr, fused=fused)
    called = torch.compile(model) if compiled else model
    pixels = torch.from_numpy(part.images[: p.batch_size]).permute(0, 3, 1, 2)
    images = pixels.to(pick_device()).contiguous(memory_format=layout)
    labels = torch.from_numpy(part.labels[: p.batch_size]).float().to(pick_device())

    def step() -> Tensor:
        with torch.autocast(images.device.type, precision, enabled=precision != torch.float32):
            logits = called(images)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    def steps() -> float:
        return [step() for _ in range(STEPS)][-1].item()  # which waits for a GPU

    return lambda: STEPS * len(images) / seconds(steps)


def whole_loop(p: Params, part: Subset) -> Callable[[], float]:
    model = network(p).to(memory_format=torch.channels_last)
    optimizer = make_optimizer(p.model, model, p.lr, p.weight_decay)
    shuffle, draw = np.random.default_rng(0), torch.Generator().manual_seed(0)
    light = {"brightness": p.brightness, "contrast": p.contrast, "gamma": p.gamma}

    def changed(images: Tensor) -> Tensor:
        return augment(images, draw, flips=p.flips, **light)

    def epoch() -> None:
        train_epoch(
            model,
            part,
            p.batch_size,
            optimizer,
            shuffle=shuffle,
            label_smoothing=p.label_smoothing,
            precision=pick_precision(p.precision, pick_device()),
            augment=changed,
            after_step=lambda: None,
        )

    return lambda: len(part) / seconds(epoch)


def peak(kind: torch.dtype) -> str:
    """Arithmetic per second of a matrix product, best of some."""
    one = torch.randn(SIDE, SIDE, device=pick_device()).to(kind)
    best = min(seconds(lambda: one @ one) for _ in range(10))
    return f"{2 * SIDE**3 / best / 1e9:.0f} GFLOP/s"


if __name__ == "__main__":
    main()
