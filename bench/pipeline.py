"""Time and memory of the pipeline, stage by stage and as a whole.

    python -m bench.pipeline metu.zip
    python -m bench.pipeline metu.zip --photos 2500 5000 10000 40000

Runs the stages one by one in a copy of the project, then `dvc repro` from scratch in another copy.
With --photos, the stages run on that many windows of the photos instead (see bench/windows.py), and
the table shows the cost per additional photo, which excludes start-up and plotting and should not
depend on the number of photos. Linux only: memory is read from /proc every hundredth of a second.
Total memory includes the pages of mapped files, which the system can reclaim; private memory
does not.
"""

import re
import subprocess
import sys
import time
from collections.abc import Set
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import yaml

from bench.machine import arguments, machine, publish, seconds, spread, table
from bench.windows import make_archives
from surface_crack.project.files import read_json
from tests.support.project import OWN, Project, new_project

EPOCHS = 2  # with --photos; further epochs cost the same as the second one


class Run(NamedTuple):
    seconds: float
    all: float  # peak of total memory, MB
    private: float  # peak of private memory, MB


Runs = dict[str, list[Run]]  # of each stage


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("raw", type=Path)
    parser.add_argument("--photos", type=int, nargs="+", help="at least two numbers")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    raw = options.raw.resolve()
    with TemporaryDirectory(prefix="surface-crack-") as name:
        folder = Path(name)
        if options.photos:
            archives = make_archives(raw, sorted(options.photos), folder)
            projects = {
                count: new_project(folder / str(count), OWN, raw=archive, epochs=EPOCHS)
                for count, archive in archives.items()
            }
            runs = run_stages(projects, options.rounds, leave_out={"sample"})
            growth_report(runs, write=options.write)
        else:
            projects = {0: new_project(folder / "stages", OWN, raw=raw)}
            runs = run_stages(projects, options.rounds)
            again = [new_project(folder / f"{n}", OWN, raw=raw) for n in range(options.rounds)]
            repro = [seconds(partial(project.dvc, "repro")) for project in again]
            photos = read_json(again[0].root / "metrics/data.json")["photos"]
            report(photos, runs[0], repro, write=options.write)


def run_stages(
    projects: dict[int, Project], rounds: int, leave_out: Set[str] = frozenset()
) -> dict[int, Runs]:
    """Run all stages of each project, alternating between projects, `rounds` times."""
    runs: dict[int, Runs] = {count: {} for count in projects}
    for _ in range(rounds):
        for count, project in projects.items():
            stages = yaml.safe_load((project.root / "dvc.yaml").read_text())["stages"]
            for name in [name for name in stages if name not in leave_out]:
                runs[count].setdefault(name, []).append(run(stages[name]["cmd"], project.root))
    return runs


def run(command: str, folder: Path) -> Run:
    """Run `python ...` in `folder`."""
    peak = {"VmHWM": 0.0, "RssAnon": 0.0}
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *command.split()[1:]], cwd=folder, stderr=subprocess.PIPE, text=True
    )
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        text = status.read_text()
        for name in peak:  # missing once the process has ended
            if found := re.search(rf"{name}:\s+(\d+) kB", text):
                peak[name] = max(peak[name], int(found[1]) / 1000)
        time.sleep(0.01)
    took = time.perf_counter() - start
    _, messages = process.communicate()
    assert process.returncode == 0, f"{command}\n{messages}"
    return Run(took, *peak.values())


def report(photos: int, runs: Runs, repro: list[float], *, write: bool) -> None:
    rows: list[list[object]] = [
        [name, spread([run.seconds for run in of_stage]), *memory(of_stage)]
        for name, of_stage in runs.items()
    ]
    rows.append(["all, by `dvc repro`", spread(repro), "", ""])
    text = f"{photos:,} photos; seconds: median (min to max) of {len(repro)} runs."
    columns = ["stage", "seconds", "memory, MB", "private, MB"]
    publish(
        "pipeline", "\n\n".join([machine("torch", "dvc"), text, table(columns, rows)]), write=write
    )


def memory(runs: list[Run]) -> list[str]:
    return [f"{max(sizes):,.0f}" for sizes in zip(*(run[1:] for run in runs), strict=True)]


def growth_report(runs: dict[int, Runs], *, write: bool) -> None:
    counts = list(runs)
    rows, sizes = [], []
    for name in runs[counts[0]]:
        took = {count: median(run.seconds for run in runs[count][name]) for count in counts}
        more = [1000 * (took[b] - took[a]) / (b - a) for a, b in pairwise(counts)]
        rows.append([name, *(f"{took[n]:.2f}" for n in counts), *(f"{x:.3f}" for x in more)])
        sizes.append([name, *(" / ".join(memory(runs[count][name])) for count in counts)])
    photos = [f"{count:,}" for count in counts]
    steps = [f"{a:,} to {b:,}, ms" for a, b in pairwise(counts)]
    rounds = len(next(iter(runs[counts[0]].values())))
    lines = [
        machine("torch", "dvc"),
        f"Seconds (median of {rounds} runs) by number of photos, with {EPOCHS} epochs; then the "
        "cost of each additional photo:",
        table(["stage", *photos, *steps], rows),
        "Peak memory, MB, total / private:",
        table(["stage", *photos], sizes),
    ]
    publish("growth", "\n\n".join(lines), write=write)


if __name__ == "__main__":
    main()
