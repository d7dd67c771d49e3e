"""Shared by the benchmarks: machine description, timing, medians, tables in docs/performance.md."""

import argparse
import platform
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median

from surface_crack.project.files import write_text
from surface_crack.threads import cores

PAGE = Path("docs/performance.md")


def arguments(description: str | None) -> argparse.ArgumentParser:
    """An argument parser with `--write`, which all published benchmarks have."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help=f"write the tables to {PAGE}")
    return parser


def machine(*packages: str) -> str:
    """`Intel(R) Xeon(R), 2 cores, Python 3.11.7, torch 2.14.1`"""
    names = [f"{name} {version(name)}" for name in packages]
    python = f"Python {platform.python_version()}"
    return ", ".join([_processor(), f"{cores()} cores", python, *names])


def _processor() -> str:
    """The processor's name on Linux; elsewhere only its family."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.machine()
    found = re.search(r"model name\s*:\s*(.+)", text)
    return " ".join(found[1].split()) if found else platform.machine()


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_turn(work: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each function in each round, after a warm-up round that does not count.

    They run alternately, so that other load on the machine affects all of them.
    """
    times: dict[str, list[float]] = {name: [] for name in work}
    for number in range(rounds + 1):
        for name, function in work.items():
            took = seconds(function)
            if number:
                times[name].append(took)
    return times


def ratio(over: Sequence[float], under: Sequence[float]) -> str:
    """`median (min to max)` of the ratios of two measurements from the same rounds."""
    return spread([a / b for a, b in zip(over, under, strict=True)])


def spread(values: Sequence[float], form: str = "{:.2f}") -> str:
    """`median (min to max)`"""
    return "{} ({} to {})".format(*map(form.format, (median(values), min(values), max(values))))


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def publish(name: str, text: str, *, write: bool) -> None:
    """Print; with `write`, also replace the text between the markers of that name in the page."""
    command = " ".join(["python -m", f"bench.{Path(sys.argv[0]).stem}", *sys.argv[1:]])
    text = f"`{command.removesuffix(' --write')}`\n\n{text}"
    print(f"\n{text}", flush=True)
    if write:
        page = PAGE.read_text(encoding="utf-8")
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, _, rest = page.partition(start)
        _, found, after = rest.partition(end)
        assert found, f"{PAGE} has no markers for {name}"
        write_text(PAGE, f"{before}{start}\n{text}\n{end}{after}")
