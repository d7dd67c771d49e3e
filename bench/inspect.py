"""How fast whole photos are scored, and how far two ways of scoring them differ.

    python -m bench.inspect models/crack.onnx photo.jpg [photo.jpg ...]

For each photo, in one process with one model:

1. From file to scores, by phase: reading and decoding (libjpeg makes it smaller where the network
   needs no more), scaling to model pixels, scoring densely.
2. Tiles at every half patch, cut and scored one by one, against the dense pass at the same places:
   tiles of the scaled photo, so that only scoring differs, and tiles of the photo itself at its
   full size, each scaled by itself, as `prepare` and `evaluate` would, from the file on.

At last a made-up photo of 100 megapixels, in a process of its own, for the peak of its memory.
Medians of --repeat runs with their range. A patch has an even number of photo pixels, so that half
of one is a whole number. --cpu counts processor time, which other programs disturb less; it says
how long you wait only with --threads 1.
"""

import argparse
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from surface_crack import paths
from surface_crack.console import run
from surface_crack.decode import resized, whole
from surface_crack.photo_scores import mirrored, scale_of, scaled, score_photo
from surface_crack.scorer import Scorer, load_scorer
from surface_crack.threads import cores

Out = TypeVar("Out")
LARGE = (11_600, 8_700)  # pixels: 100.9 million


@dataclass(frozen=True)
class Stopwatch:
    repeat: int
    cpu: bool  # processor time; else elapsed

    def __call__(self, work: Callable[[], Out]) -> tuple[Out, list[float]]:
        """(what it gives, seconds of each run after a first one)."""
        clock = time.process_time if self.cpu else time.perf_counter
        out, seconds = work(), []
        for _ in range(self.repeat):
            start = clock()
            out = work()
            seconds.append(clock() - start)
        return out, seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model", type=Path, help=".onnx or .safetensors")
    parser.add_argument("photos", type=Path, nargs="*")
    parser.add_argument("--decision", type=Path, default=paths.DECISION)
    parser.add_argument("--threads", type=int, help="default: as many as there are cores")
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--cpu", action="store_true", help="processor time")
    parser.add_argument("--peak", type=Path, help=argparse.SUPPRESS)  # the process of its own
    a = parser.parse_args()
    scorer = load_scorer(a.model, a.decision, threads=a.threads)
    if a.peak:
        score_file(scorer, a.peak)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
        return
    print(f"{machine(a.model, a.threads)}, {'processor' if a.cpu else 'elapsed'} time")
    print(f"patches of {scorer.patch} model pixels = {even(scorer)} photo pixels\n")
    for photo in a.photos:
        compare(scorer, photo, Stopwatch(a.repeat, a.cpu))
    for kind in ("JPEG", "PNG"):
        print(f"100 megapixels, {kind}: {peak(a, kind)} MB at the peak")


def machine(model: Path, threads: int | None) -> str:
    """What the numbers belong to."""
    info = Path("/proc/cpuinfo")
    names = [x for x in info.read_text().splitlines() if "model name" in x] if info.exists() else []
    name = names[0].split(":")[1].strip() if names else platform.processor()
    library = "onnxruntime" if model.suffix == ".onnx" else "torch"
    version = import_module(library).__version__
    used = threads or cores()
    return f"{name}, {os.cpu_count()} cores, {used} threads, {library} {version}, {model.name}"


def even(scorer: Scorer) -> int:
    """Side of a patch, photo pixels."""
    return 2 * round(scorer.photo_side / 2)


def score_file(scorer: Scorer, path: Path) -> NDArray[np.float32]:
    photo = whole(path.read_bytes(), scale_of(scorer, even(scorer)))
    size = photo.width, photo.height
    return score_photo(scorer, photo.image, even(scorer), size).probability


def compare(scorer: Scorer, path: Path, timed: Stopwatch) -> None:
    scale = scale_of(scorer, even(scorer))
    opened, decoding = timed(lambda: whole(path.read_bytes(), scale))
    size = opened.width, opened.height
    pixels, scaling = timed(lambda: scaled(opened.image, scale, size))
    padded = mirrored(pixels, scorer.patch, scorer.step)
    dense, scoring = timed(lambda: scorer.score(padded))
    _, together = timed(lambda: score_file(scorer, path))
    print(f"{path.name}: {size[0]} x {size[1]} pixels, {dense.shape[0]} x {dense.shape[1]} scores")
    for name, seconds in (
        ("decode", decoding),
        ("scale", scaling),
        ("score", scoring),
        ("file to scores", together),
    ):
        print(f"  {name:<18}{shown(seconds)}")

    each = scorer.patch // 2 // scorer.step  # scores from one tile to the next
    tiles, cutting = timed(lambda: one_by_one(scorer, padded))
    tell("tiles of the scaled photo", cutting, scoring, np.abs(tiles - dense[::each, ::each]))

    tiles, cutting = timed(lambda: from_photo(scorer, whole(path.read_bytes()).image))
    full = score_photo(scorer, whole(path.read_bytes()).image, even(scorer)).probability
    there = full[::each, ::each][: tiles.shape[0], : tiles.shape[1]]
    tell("tiles of the photo, from file to scores", cutting, together, np.abs(tiles - there))


def one_by_one(scorer: Scorer, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    size, step = scorer.patch, scorer.patch // 2
    rows, columns = ((side - size) // step + 1 for side in pixels.shape[:2])
    return np.array(
        [
            [
                scorer.score(pixels[i * step : i * step + size, j * step : j * step + size])[0, 0]
                for j in range(columns)
            ]
            for i in range(rows)
        ],
        np.float32,
    )


def from_photo(scorer: Scorer, image: Image.Image) -> NDArray[np.float32]:
    """Whole tiles only: the photo ends where the last one does."""
    side = even(scorer)
    rows, columns = ((full - side) // (side // 2) + 1 for full in (image.height, image.width))

    def tile(row: int, column: int) -> np.float32:
        left, top = column * side // 2, row * side // 2
        cut = image.crop((left, top, left + side, top + side))
        answer: np.float32 = scorer.score(resized(cut, scorer.patch))[0, 0]
        return answer

    return np.array([[tile(i, j) for j in range(columns)] for i in range(rows)], np.float32)


def tell(
    name: str, tiles: list[float], dense: list[float], difference: NDArray[np.float32]
) -> None:
    factor = median(tiles) / median(dense)
    print(f"  {name}: {shown(tiles)}, dense {shown(dense)}, {factor:.1f} times faster")
    print(
        f"    P differs by {difference.mean():.5f} on average, {difference.max():.4f} at most, by "
        f"more than 0.01 in {(difference > 0.01).mean():.2%}"
    )


def peak(a: argparse.Namespace, kind: str) -> int:
    """Megabytes of a process that scores a photo of LARGE pixels."""
    coarse = np.random.default_rng(0).integers(0, 256, (87, 116, 3), np.uint8)
    content = BytesIO()
    Image.fromarray(coarse).resize(LARGE, Image.Resampling.BICUBIC).save(content, kind)
    path = Path(f"peak.{kind.lower()}")
    path.write_bytes(content.getvalue())
    try:
        command = [sys.executable, "-m", "bench.inspect", str(a.model), "--peak", str(path)]
        command += ["--decision", str(a.decision)]
        command += ["--threads", str(a.threads)] if a.threads else []
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    finally:
        path.unlink()


def shown(seconds: list[float]) -> str:
    return f"{median(seconds):.3f} s ({min(seconds):.3f} to {max(seconds):.3f})"


if __name__ == "__main__":
    run("inspect", main)
