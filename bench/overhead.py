"""Overhead of `dvc repro` with nothing to do, of imports and of `--help`.

    python -m bench.overhead

Compares a small finished run of the pipeline with a baseline repository of as many trivial stages,
each of which reads one small file. `dvc repro` has nothing to do in either, so the baseline is the
overhead of DVC itself. Everything is measured once per round, alternately.
"""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from bench.machine import arguments, in_turn, machine, publish, ratio, spread, table
from tests.support.project import BIN, ROOT, Project, new_project

OURS, EMPTY = "`dvc repro`, nothing to do", "the same with as many empty stages"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    stages = list(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])
    with TemporaryDirectory(prefix="surface-crack-") as name:
        folder = Path(name)
        ours = new_project(folder / "ours", sample_photos=120, epochs=1, image_size=48, lr=0.01)
        empty = empty_project(folder / "empty", len(stages))
        for project in (ours, empty):
            project.dvc("repro")
            project.commit("done")
        work: dict[str, Callable[[], object]] = {
            OURS: partial(ours.dvc, "repro"),
            EMPTY: partial(empty.dvc, "repro"),
            "`surface-crack --help`": partial(run, BIN / "surface-crack", "--help"),
            "`python -c pass`": partial(run, sys.executable, "-c", "pass"),
            "import surface_crack": partial(run, sys.executable, "-c", "import surface_crack"),
        }
        for stage in stages:
            command = f"import stages.{stage}"
            work[command] = partial(run, sys.executable, "-c", command)
        times = in_turn(work, options.rounds)
    lines = [
        machine("dvc", "torch"),
        f"Seconds, median (min to max) of {options.rounds} rounds; each in a new process.",
        table(["", "seconds"], [[name, spread(took)] for name, took in times.items()]),
        f"`dvc repro` with nothing to do takes {ratio(times[OURS], times[EMPTY])} times as long as "
        "with as many empty stages.",
    ]
    publish("overhead", "\n\n".join(lines), write=options.write)


def run(*command: str | Path) -> None:
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def empty_project(root: Path, count: int) -> Project:
    """A repository of `count` stages in a chain: each copies the output of the one before."""
    root.mkdir()
    (root / "0.txt").write_text("nothing\n")
    stages = {
        f"stage{n}": {
            "cmd": f"cp {n - 1}.txt {n}.txt",
            "deps": [f"{n - 1}.txt"],
            "outs": [f"{n}.txt"],
        }
        for n in range(1, count + 1)
    }
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    project = Project(root)
    project.git("init", "-q", "-b", "main")
    project.dvc("init", "-q")
    project.dvc("config", "core.analytics", "false")
    project.dvc("config", "core.check_update", "false")
    project.commit("start")
    return project


if __name__ == "__main__":
    main()
