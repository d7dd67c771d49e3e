"""Train for one epoch, predict, and score. stages/train.py has the training loop."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from surface_crack.dataset import Subset
from surface_crack.project.errors import TrainingError

EVAL_BATCH = 64  # photos per forward pass without gradients; limits memory


class LossAndAccuracy(NamedTuple):
    loss: float  # mean cross-entropy, nats per photo
    accuracy: float  # at a threshold of 0.5


def pick_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def pick_precision(wanted: str, device: torch.device) -> torch.dtype:
    """'fp32', 'bf16', or 'auto': bf16 where the hardware supports its matrix products."""
    if wanted == "auto":
        if device.type == "cuda":
            supported = torch.cuda.is_bf16_supported(including_emulation=False)
        else:  # AMX; older versions of torch cannot tell: fp32 is the safe choice
            query: Callable[[], dict[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
            supported = bool(query().get("amx_bf16"))
        return torch.bfloat16 if supported else torch.float32
    return {"fp32": torch.float32, "bf16": torch.bfloat16}[wanted]


def make_optimizer(
    name: str, model: nn.Module, lr: float, weight_decay: float
) -> torch.optim.Optimizer:
    """AdamW, Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101; Adam for the notebook."""
    if name == "notebook":
        return torch.optim.Adam(model.parameters(), lr, fused=True)
    return torch.optim.AdamW(model.parameters(), lr, weight_decay=weight_decay, fused=True)


def lr_factor(step: int, steps: int, warmup: float) -> float:
    """Fraction of the peak learning rate at `step` of `steps`: linear warm-up, then half a cosine.

    As the one-cycle policy of Smith & Topin 2017, https://arxiv.org/abs/1708.07120, but with
    constant momentum.
    """
    rise = warmup * steps
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.5 + 0.5 * math.cos(math.pi * (step - rise) / (steps - rise))


def steps_per_epoch(photos: int, size: int) -> int:
    """Batches per epoch. A single remaining photo joins the last batch: batch norm needs two."""
    return max(1, math.ceil((photos - 1) / size))


def batches(subset: Subset, rows: NDArray[np.int64], size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield uint8 photos (B, 3, S, S) and float32 labels (B,) of `subset`, in the order `rows`.

    Packed photos are (S, S, 3), so the permuted batch is channels_last without a copy.
    """
    last = steps_per_epoch(len(rows), size) - 1
    for step in range(last + 1):
        chosen = rows[step * size : (step + 1) * size if step < last else None]
        images = torch.from_numpy(subset.images[subset.rows[chosen]]).permute(0, 3, 1, 2)
        yield images, torch.from_numpy(subset.labels[chosen]).float()


def train_epoch(
    model: nn.Module,
    subset: Subset,
    batch_size: int,
    optimizer: torch.optim.Optimizer,
    *,
    shuffle: np.random.Generator,
    label_smoothing: float,
    precision: torch.dtype,
    augment: Callable[[Tensor], Tensor],
    after_step: Callable[[], None],
) -> LossAndAccuracy:
    """Train on each photo of `subset` once.

    The returned scores are of augmented photos, while the weights change, so they lag behind. The
    loss is without label smoothing, so that it is comparable with the validation loss.
    """
    model.train()
    device = next(model.parameters()).device
    loss_sum = torch.zeros((), device=device)  # on the device, to avoid a sync at each step
    correct = torch.zeros((), device=device)
    for images, labels in batches(subset, shuffle.permutation(len(subset)), batch_size):
        images, labels = images.to(device), labels.to(device)
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            logits = model(augment(images))
        target = labels * (1 - label_smoothing) + label_smoothing / 2
        loss = binary_cross_entropy_with_logits(logits, target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        after_step()
        plain = binary_cross_entropy_with_logits(logits.detach(), labels)
        loss_sum += plain * len(labels)
        correct += ((logits.detach() > 0) == (labels > 0.5)).sum()
    return LossAndAccuracy(loss_sum.item() / len(subset), correct.item() / len(subset))


def check_finite(name: str, loss: float, lr: float) -> None:
    """Raises TrainingError if the `name` loss (training or validation) is NaN or infinite."""
    if not math.isfinite(loss):
        raise TrainingError(
            f"the {name} loss became {loss}: lower lr in params.yaml (now {lr:g} at its peak)"
        )


@torch.inference_mode()
def predict(model: nn.Module, subset: Subset) -> NDArray[np.float32]:
    """Logits (n,) of the photos in `subset`, in its order, in fp32."""
    model.eval()
    device = next(model.parameters()).device
    rows = np.arange(len(subset))
    logits = [model(images.to(device)).cpu() for images, _ in batches(subset, rows, EVAL_BATCH)]
    return torch.cat(logits).numpy()


def loss_and_accuracy(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> LossAndAccuracy:
    """Cross-entropy and accuracy of logits (n,) against labels (n,) of 0 and 1."""
    signed = np.where(labels == 1, logits, -logits).astype(np.float64)
    return LossAndAccuracy(float(np.logaddexp(0, -signed).mean()), float((signed > 0).mean()))
