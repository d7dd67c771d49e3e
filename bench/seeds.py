"""Test scores of the pipeline with other seeds and settings: the tables of docs/results.md.

    python -m bench.seeds metu.zip --seeds 0 1 2 --vary group_by=nothing,near-duplicates,appearance
    python -m bench.seeds metu.zip --seeds 0 --vary lr=0.0001,0.001,0.01,0.1

Runs the stages for each value and each seed in a temporary folder, with all other settings from
params.yaml. Every run is in the table.
"""

import argparse
import sys
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from bench.machine import machine, table
from bench.runs import inside, new_folder, run_stages, set_params
from surface_crack.project import paths
from surface_crack.project.files import read_json
from surface_crack.project.params import RULES

COLUMNS = (
    *("seed", "accuracy", "mistakes", "recall", "precision", "accuracy at 0.5", "ROC AUC"),
    *("loss", "ECE", "threshold"),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("raw", type=Path, help="zip or folder of labelled photos")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="KEY=VALUE", help="params of all runs"
    )
    parser.add_argument("--vary", default="", metavar="KEY=VALUE,VALUE", help="a param to vary")
    options = parser.parse_args()
    key, _, values = options.vary.partition("=")
    fixed = dict(parsed(*text.partition("=")[::2]) for text in options.set)
    varied = [dict([parsed(key, value)]) for value in values.split(",")] if key else [{}]
    rows, averages = [], []
    with TemporaryDirectory(prefix="surface-crack-") as name:
        folder = Path(name) / "run"
        new_folder(folder, options.raw.resolve(), fixed)
        for changed in varied:
            set_params(folder, changed)
            run_stages(folder, "prepare", "group")
            found = [scores(folder, seed) for seed in options.seeds]
            label = list(changed.values())
            rows += [
                [*label, seed, *row(one)] for seed, one in zip(options.seeds, found, strict=True)
            ]
            averages.append([*label, *map(average, ("accuracy", "ece", "roc_auc"), [found] * 3)])
            print(table([*changed, *COLUMNS], rows[-len(found) :]), file=sys.stderr)
    print(f"\n{machine('torch', 'dvc')}\n\n{table([*varied[0], *COLUMNS], rows)}")
    print(f"\n{table([*varied[0], 'accuracy', 'ECE', 'ROC AUC'], averages)}")


def parsed(key: str, value: str) -> tuple[str, Any]:
    return key, RULES[key].parse(yaml.safe_load(value))


def scores(folder: Path, seed: int) -> dict[str, Any]:
    set_params(folder, {"seed": seed})
    run_stages(folder, "split", "train", "calibrate", "evaluate")
    with inside(folder):
        return read_json(paths.METRICS / "evaluate.json")


def row(found: dict[str, Any]) -> list[str]:
    def per_cent(name: str) -> str:
        return f"{100 * found[name]:.2f} %"

    low, high = (100 * found["ci95"]["accuracy"][end] for end in ("low", "high"))
    return [
        f"{per_cent('accuracy')} ({low:.2f} to {high:.2f})",
        f"{found['mistakes']} of {found['photos']:,}",
        per_cent("recall"),
        per_cent("precision"),
        f"{100 * found['at_half']['accuracy']:.2f} %",
        f"{found['roc_auc']:.5f}",
        f"{found['loss']:.4f}",
        per_cent("ece"),
        f"{found['threshold']:.3g}",
    ]


def average(name: str, found: list[dict[str, Any]]) -> str:
    values = [one[name] for one in found]
    if name == "roc_auc":
        return f"{mean(values):.4f} ({min(values):.4f} to {max(values):.4f})"
    return f"{100 * mean(values):.2f} % ({100 * min(values):.2f} to {100 * max(values):.2f})"


if __name__ == "__main__":
    main()
