"""Figures drawn with matplotlib's default settings, whatever the user's own are: same bytes."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from surface_crack.project.files import atomic_write

TRAIN, VALIDATION, CRACK = "#4c78a8", "#f58518", "#b3261e"
CAPTION_LETTERS = 31  # per caption line in a gallery; longer ones would overlap
HOT = np.array([220, 20, 20])  # red of the heat maps


def _save(figure: Figure, path: Path) -> None:
    with atomic_write(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # file names in other scripts
        FigureCanvasAgg(figure)
        figure.savefig(temporary, format="png", metadata={"Software": None})


def curves(history: pd.DataFrame, path: Path) -> None:
    """Plot loss and accuracy per epoch. `history` has the columns of history.csv."""
    with mpl.rc_context(mpl.rcParamsDefault):
        figure = Figure(figsize=(10, 4), dpi=100, layout="constrained")
        left, right = figure.subplots(1, 2)
        for axes, name, label in (
            (left, "loss", "loss (cross-entropy, nats)"),
            (right, "accuracy", "accuracy (%)"),
        ):
            scale = 100 if name == "accuracy" else 1
            for subset, colour in (("train", TRAIN), ("val", VALIDATION)):
                values = scale * history[f"{subset}_{name}"]
                title = {"train": "training", "val": "validation"}[subset]
                axes.plot(history["epoch"], values, "o-", color=colour, ms=3, label=title)
            axes.set_title(name.capitalize())
            axes.set_xlabel("epoch")
            axes.set_ylabel(label)
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid(alpha=0.3)
            axes.legend()
        _save(figure, path)


def robustness(
    found: Mapping[str, Any],
    disturbances: Mapping[str, tuple[str, tuple[int, ...]]],
    sources: str,
    path: Path,
) -> None:
    """Plot accuracy and recall against disturbance strength.

    `found` is the content of metrics/robustness.json, `sources` names where the photos are from.
    """
    with mpl.rc_context(mpl.rcParamsDefault):
        figure = Figure(figsize=(12, 6), dpi=100, layout="constrained")
        grid = figure.subplots(2, len(disturbances) // 2, sharey=True, squeeze=False)
        for (kind, (unit, strengths)), axes in zip(disturbances.items(), grid.flat, strict=True):
            for name, colour, marker in (("accuracy", TRAIN, "o"), ("recall", CRACK, "s")):
                plain = 100 * found["undisturbed"][name]
                axes.axhline(plain, color=colour, ls=":", lw=1.5)
                values = [100 * found[kind][str(strength)][name] for strength in strengths]
                places = range(len(strengths))
                axes.plot(places, values, marker=marker, color=colour, ms=5, label=name)
            axes.set_xticks(places, [str(strength) for strength in strengths])
            axes.set_xlim(-0.3, len(strengths) - 0.7)
            axes.set_ylim(-3, 103)
            axes.set_title(kind)
            axes.set_xlabel(unit)
            axes.grid(alpha=0.3)
        for axes in grid[:, 0]:
            axes.set_ylabel("accuracy, recall (%)")
        grid[0, 0].legend(loc="lower left")
        figure.suptitle(
            f"Disturbed test photos: {found['undisturbed']['photos']} ({sources}). "
            "Dotted: undisturbed. Accuracy below recall means false positives"
        )
        _save(figure, path)


def gallery(
    photos: Sequence[NDArray[np.uint8]],
    captions: Sequence[str],
    title: str,
    path: Path,
    columns: int = 6,
) -> None:
    """Draw uint8 (S, S, 3) photos with a caption each under one title; without photos the title."""
    rows = max(1, -(-len(photos) // columns))
    with mpl.rc_context(mpl.rcParamsDefault):
        figure = Figure(figsize=(2 * columns, 0.6 + 2.4 * rows), dpi=100, layout="constrained")
        figure.suptitle(title, fontsize=12)
        for place, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
            axes.axis("off")
            if place < len(photos):
                axes.imshow(photos[place], interpolation="nearest")
                axes.set_title(captions[place], fontsize=8, parse_math=False)
        _save(figure, path)


def heat_overlay(
    photo: NDArray[np.uint8], heat: NDArray[np.float32], scale: float
) -> NDArray[np.uint8]:
    """Overlay a heat map (S, S) in red on the grey photo, uint8 (S, S, 3).

    Opacity is heat / scale: heat of `scale` or more is solid red.
    """
    share = np.clip(heat / scale, 0, 1)[..., None]
    grey = photo.mean(axis=2, keepdims=True)
    mixed: NDArray[np.float64] = np.rint(grey * (1 - share) + HOT * share)
    return mixed.astype(np.uint8)


def heat_gallery(
    photos: NDArray[np.uint8],
    heat: NDArray[np.float32],
    captions: Sequence[str],
    title: str,
    path: Path,
) -> None:
    """Draw each photo of uint8 (n, S, S, 3) beside its overlay with the heat map of (n, S, S).

    All share one scale, so that a photo without evidence for a crack stays grey.
    """
    scale = float(heat.max(initial=0)) or 1.0
    pairs = [
        picture
        for photo, heat_map in zip(photos, heat, strict=True)
        for picture in (photo, heat_overlay(photo, heat_map, scale))
    ]
    gallery(pairs, [text for caption in captions for text in (caption, "")], title, path)
