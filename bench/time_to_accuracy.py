"""How long training takes, and how much longer the network of the notebook would.

    python -m bench.time_to_accuracy metu.zip --epochs 4 8 16

Ours: the train stage with the settings of params.yaml, from packed photos to the model file, its
validation and files included, once per seed and number of epochs; then the accuracy on that seed's
test part. The notebook's: 15 epochs of its network over the same training photos. That takes an
hour and more, so its rate is measured over some steps of the same run, and multiplied out;
validation is not counted. Imports are left out on both sides.
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

EPOCHS = 15  # of the notebook
ROUNDS = 3  # of measuring its rate; the seeds of ours are spread between them


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("raw", type=Path, help="zip or folder of labelled photos")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--epochs", type=int, nargs="+", help="default: those of params.yaml")
    parser.add_argument("--steps", type=int, default=6, help="of the notebook's network, per round")
    options = parser.parse_args()
    lengths = options.epochs or [check_params().epochs]
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])  # imports half of torch, once
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
    columns = ["epochs", "seconds of training", "accuracy on the test part"]
    lines = [
        machine("torch") + f", {torch.get_num_threads()} threads",
        f"{photos:,} training photos, {len(options.seeds)} seeds: median of the seconds, mean of "
        "the accuracy (least to most).",
        table([*columns, *(f"to the notebook's, {name}" for name in whole)], rows),
        *(
            f"The notebook's network, {name}: {spread(measured, '{:.0f}')} photos/s, so "
            f"{whole[name]:,.0f} s for its {EPOCHS} epochs."
            for name, measured in rates.items()
        ),
    ]
    publish("time_to_accuracy", "\n\n".join(lines), write=options.write)


def trained(seed: int, epochs: int) -> tuple[float, float]:
    """(seconds of the train stage, accuracy on the test part), in the current folder."""
    set_params(Path.cwd(), {"seed": seed, "epochs": epochs})
    run_stages(Path.cwd(), "split")
    took = seconds(train.main)
    model, _ = load_model(paths.MODEL)
    test = load_split("test")
    return took, loss_and_accuracy(predict(model, test), test.labels).accuracy


def rate_of_notebook(steps: int, precision: str) -> float:
    """Photos per second."""
    part, size = load_split("train"), 32
    few = Subset(part.images, part.rows[: steps * size], part.labels[: steps * size])
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

    epoch(Subset(part.images, few.rows[:size], few.labels[:size]))  # warms up
    return len(few) / seconds(lambda: epoch(few))


if __name__ == "__main__":
    main()
