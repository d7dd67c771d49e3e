"""Training time and accuracy, compared with the network of the notebook.

    python -m bench.time_to_accuracy metu.zip --epochs 4 8 16

This project: the train stage with the settings of params.yaml, from packed photos to the model
file, including validation and writing, once per seed and number of epochs; then the accuracy on
that seed's test set. The notebook: 15 epochs of its network on the same training photos. As that
takes an hour or more, its time is extrapolated from the rate over a few steps, without validation.
Imports are excluded on both sides.
"""

from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory

import numpy as np
import torch

from bench.machine import arguments, machine, publish, seconds, spread, table
from bench.runs import inside, new_folder, run_stages, set_params
from stages import train
from surface_crack.dataset import Subset, load_split
from surface_crack.network.model import build_model
from surface_crack.network.model_file import load_model
from surface_crack.network.training import loss_and_accuracy, make_optimizer, predict, train_epoch
from surface_crack.project import paths
from surface_crack.project.geometry import NOTEBOOK_SIZE
from surface_crack.project.params import check_params

EPOCHS = 15  # in the notebook
ROUNDS = 3  # measurements of the notebook's rate, interleaved with the seeds of this project


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("raw", type=Path, help="zip or folder of labelled photos")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--epochs", type=int, nargs="+", help="default: epochs in params.yaml")
    parser.add_argument("--steps", type=int, default=6, help="steps of the notebook, per round")
    options = parser.parse_args()
    lengths = options.epochs or [check_params().epochs]
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])  # triggers lazy imports of torch
    with TemporaryDirectory(prefix="surface-crack-") as folder:
        ours, notebook = Path(folder) / "ours", Path(folder) / "notebook"
        for place, changed in ((ours, {}), (notebook, {"image_size": NOTEBOOK_SIZE})):
            new_folder(place, options.raw.resolve(), changed)
            run_stages(place, "prepare", "group", "split")
        rates: dict[str, list[float]] = {"fp32": [], "bf16": []}
        runs: dict[int, list[tuple[float, float]]] = {epochs: [] for epochs in lengths}
        photos = 0
        for number, seed in enumerate(options.seeds):
            with inside(ours):
                for epochs, found in runs.items():
                    found.append(trained(seed, epochs))
                photos = len(load_split("train"))
            if number < ROUNDS:
                with inside(notebook):
                    for precision, measured in rates.items():
                        measured.append(rate_of_notebook(options.steps, precision))
    whole = {name: EPOCHS * photos / median(measured) for name, measured in rates.items()}
    rows = []
    for epochs, found in runs.items():
        times, right = [t for t, _ in found], [100 * share for _, share in found]
        factors = [f"{notebooks / median(times):.0f}" for notebooks in whole.values()]
        accuracy = f"{mean(right):.2f} ({min(right):.2f} to {max(right):.2f}) %"
        rows.append([epochs, spread(times, "{:.1f}"), accuracy, *factors])
    columns = ["epochs", "seconds of training", "accuracy on the test set"]
    lines = [
        machine("torch") + f", {torch.get_num_threads()} threads",
        f"{photos:,} training photos, {len(options.seeds)} seeds: median of the seconds, mean of "
        "the accuracy (min to max).",
        table([*columns, *(f"speed-up over the notebook, {name}" for name in whole)], rows),
        *(
            f"The notebook's network, {name}: {spread(measured, '{:.0f}')} photos/s, so "
            f"{whole[name]:,.0f} s for its {EPOCHS} epochs."
            for name, measured in rates.items()
        ),
    ]
    publish("time_to_accuracy", "\n\n".join(lines), write=options.write)


def trained(seed: int, epochs: int) -> tuple[float, float]:
    """(seconds of the train stage, accuracy on the test set), in the current folder."""
    set_params(Path.cwd(), {"seed": seed, "epochs": epochs})
    run_stages(Path.cwd(), "split")
    took = seconds(train.main)
    model, _ = load_model(paths.MODEL)
    test = load_split("test")
    return took, loss_and_accuracy(predict(model, test), test.labels).accuracy


def rate_of_notebook(steps: int, precision: str) -> float:
    """Training photos per second of the notebook's network."""
    train_set, size = load_split("train"), 32
    count = steps * size
    few = Subset(train_set.images, train_set.rows[:count], train_set.labels[:count])
    model = build_model(
        "notebook", (127.0,) * 3, (50.0,) * 3, dropout=0.5, width=0, normalise="dataset"
    ).to(memory_format=torch.channels_last)
    optimizer = make_optimizer("notebook", model, lr=1e-3, weight_decay=0)

    def epoch(photos: Subset) -> None:
        train_epoch(
            model,
            photos,
            size,
            optimizer,
            shuffle=np.random.default_rng(0),
            label_smoothing=0,
            precision={"fp32": torch.float32, "bf16": torch.bfloat16}[precision],
            augment=lambda images: images,
            after_step=lambda: None,
        )

    epoch(Subset(train_set.images, few.rows[:size], few.labels[:size]))  # warm-up
    return len(few) / seconds(lambda: epoch(few))


if __name__ == "__main__":
    main()
