"""One epoch forward and back, and scores without gradients. The story is in stages/train.py."""

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

EVAL_BATCH = 64  # photos per pass without gradients: bounds memory


class Score(NamedTuple):
    loss: float  # mean cross-entropy, nats per photo
    accuracy: float  # share of photos on the right side of probability 0.5


def pick_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def pick_precision(wanted: str, device: torch.device) -> torch.dtype:
    """'fp32', 'bf16', or 'auto': bf16 where the hardware multiplies matrices of it."""
    if wanted == "auto":
        if device.type == "cuda":
            good = torch.cuda.is_bf16_supported(including_emulation=False)
        else:  # AMX; older torch cannot tell, and then fp32 is the safe answer
            abilities: Callable[[], dict[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
            good = bool(abilities().get("amx_bf16"))
        return torch.bfloat16 if good else torch.float32
    return {"fp32": torch.float32, "bf16": torch.bfloat16}[wanted]


def make_optimizer(
    name: str, model: nn.Module, lr: float, weight_decay: float
) -> torch.optim.Optimizer:
    """AdamW, Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101; the notebook had Adam."""
    if name == "notebook":
        return torch.optim.Adam(model.parameters(), lr, fused=True)
    return torch.optim.AdamW(model.parameters(), lr, weight_decay=weight_decay, fused=True)


def lr_factor(step: int, steps: int, warmup: float) -> float:
    """Share of the peak learning rate at `step` of `steps`: a straight rise, then half a cosine.

    Like one cycle of Smith & Topin 2017, https://arxiv.org/abs/1708.07120, momentum left alone.
    """
    rise = warmup * steps
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.5 + 0.5 * math.cos(math.pi * (step - rise) / (steps - rise))


def steps_per_epoch(photos: int, size: int) -> int:
    """Batches of `size`. One photo left over joins the last: a batch of one has no variance."""
    return max(1, math.ceil((photos - 1) / size))


def batches(part: Subset, rows: NDArray[np.int64], size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """uint8 (B, 3, S, S) and float32 labels (B,) of the part's photos `rows`, in that order.

    Packed photos are (S, S, 3), so the permuted batch is channels_last without a copy.
    """
    last = steps_per_epoch(len(rows), size) - 1
    for step in range(last + 1):
        chosen = rows[step * size : (step + 1) * size if step < last else None]
        images = torch.from_numpy(part.images[part.rows[chosen]]).permute(0, 3, 1, 2)
        yield images, torch.from_numpy(part.labels[chosen]).float()


def train_epoch(
    model: nn.Module,
    part: Subset,
    batch_size: int,
    optimizer: torch.optim.Optimizer,
    *,
    shuffle: np.random.Generator,
    label_smoothing: float,
    precision: torch.dtype,
    augment: Callable[[Tensor], Tensor],
    after_step: Callable[[], None],
) -> Score:
    """One pass over the part.

    The score is that of the augmented photos while the weights move, so it lags behind; its loss
    leaves label smoothing out, so that it compares with that of the validation part.
    """
    model.train()
    device = next(model.parameters()).device
    loss_sum = torch.zeros((), device=device)  # kept on the device: no waiting at each step
    right = torch.zeros((), device=device)
    for images, labels in batches(part, shuffle.permutation(len(part)), batch_size):
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
        right += ((logits.detach() > 0) == (labels > 0.5)).sum()
    return Score(loss_sum.item() / len(part), right.item() / len(part))


def check_finite(part: str, loss: float, lr: float) -> None:
    """Raises TrainingError if the loss of this part is no longer a number."""
    if not math.isfinite(loss):
        raise TrainingError(
            f"the {part} loss became {loss}: lower lr in params.yaml (now {lr:g} at its peak)"
        )


@torch.inference_mode()
def predict(model: nn.Module, part: Subset) -> NDArray[np.float32]:
    """Logits (n,) of the part's photos, in its order, in fp32."""
    model.eval()
    device = next(model.parameters()).device
    every = np.arange(len(part))
    logits = [model(images.to(device)).cpu() for images, _ in batches(part, every, EVAL_BATCH)]
    return torch.cat(logits).numpy()


def score(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> Score:
    """Cross-entropy and accuracy of logits (n,) against labels (n,) of 0 and 1."""
    signed = np.where(labels == 1, logits, -logits).astype(np.float64)
    return Score(float(np.logaddexp(0, -signed).mean()), float((signed > 0).mean()))
