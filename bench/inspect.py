"""Speed of inspecting whole photos, and differences between dense and tiled scoring.

    python -m bench.inspect photo.jpg [photo.jpg ...]

For each photo and model, in one process and on one thread, as in `surface-crack inspect`:

1. The time from the file to overlay and rows on disk, with its share of decoding, resizing,
   scoring, drawing and writing.
2. The dense pass against half-overlapping tiles, cut and scored one by one at the same places:
   tiles of the resized photo, so that only scoring differs, and tiles of the full-size photo, each
   resized by itself as in `prepare` and `evaluate`, including decoding.

Finally the peak memory for a synthetic photo of 100 megapixels, in a separate process. A patch has
an even number of photo pixels, so that half a patch is a whole number.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.machine import arguments, in_turn, machine, publish, ratio, spread, table
from surface_crack.inspection.inputs import list_inputs
from surface_crack.inspection.overlay import draw_pictures
from surface_crack.inspection.photo import Settings, inspect_decoded, inspect_photo
from surface_crack.inspection.records import photo_record, write_record
from surface_crack.photos.decode import decode_photo, resized
from surface_crack.project import paths
from surface_crack.scoring.score_map import pad_mirrored, scale_of, scaled, score_photo
from surface_crack.scoring.scorer import Scorer, load_scorer

LARGE = (11_600, 8_700)  # pixels: 100.9 million
ALL, DENSE, TILES = "file to overlay and rows", "file to scores, densely", "tiles of the photo"
SCORE, CUT = "score densely", "tiles of the scaled photo"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("photos", type=Path, nargs="*")
    parser.add_argument("--models", type=Path, nargs="+", default=[paths.ONNX, paths.MODEL])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peak", type=Path, help=argparse.SUPPRESS)  # in the separate process
    options = parser.parse_args()
    scorers = {path: load(path) for path in options.models}
    if options.peak:
        score_file(next(iter(scorers.values())), options.peak)
        status = Path("/proc/self/status").read_text(encoding="ascii")
        print(re.findall(r"VmHWM:\s+(\d+) kB", status)[0])
        return
    lines = [
        machine("pillow", "simplejpeg", "onnxruntime", "torch") + ", one thread per photo",
        f"Seconds, median (min to max) of {options.rounds} rounds; speed-ups are ratios of these.",
    ]
    for model, scorer in scorers.items():
        columns = [measured(scorer, path, options.rounds) for path in options.photos]
        lines += [
            f"{model.name}, patches of {scorer.patch} model pixels, {even(scorer)} photo pixels:",
            table(
                ["", *(path.name for path in options.photos)],
                [[key, *(column[key] for column in columns)] for key in columns[0]],
            ),
        ]
    peaks = [
        [kind, *(f"{peak(model, kind):,.0f} MB" for model in scorers)] for kind in ("JPEG", "PNG")
    ]
    lines += [
        f"Peak memory of a process that scores {LARGE[0]} x {LARGE[1]} pixels:",
        table(["", *(model.name for model in scorers)], peaks),
    ]
    publish("inspect", "\n\n".join(lines), write=options.write)


def load(model: Path) -> Scorer:
    return load_scorer(model, model.with_name(paths.DECISION.name), threads=1)


def even(scorer: Scorer) -> int:
    """Side of a patch in photo pixels, an even number."""
    return 2 * round(scorer.photo_side / 2)


def score_file(scorer: Scorer, path: Path) -> NDArray[np.float32]:
    photo = decode_photo(path.read_bytes(), scale_of(scorer, even(scorer)))
    size = photo.width, photo.height
    return score_photo(scorer, photo.image, even(scorer), size).probability


def measured(scorer: Scorer, path: Path, rounds: int) -> dict[str, str]:
    """Time per phase, and comparison of the dense pass with tiles, as the column of a table."""
    content = path.read_bytes()
    settings = Settings(scorer.threshold, even(scorer))
    scale = scale_of(scorer, even(scorer))
    photo, large = decode_photo(content, scale), decode_photo(content).image
    size = photo.width, photo.height
    pixels = scaled(photo.image, scale, size)
    padded = pad_mirrored(pixels, scorer.patch, scorer.step)
    found = inspect_decoded(scorer, photo, settings)
    pictures = draw_pictures(found, photo.image, settings)
    with TemporaryDirectory(prefix="surface-crack-") as folder:
        out = Path(folder)
        item = list_inputs([path], out)[0]

        def write() -> None:
            write_record(out, photo_record(item, "", found, pictures), pictures)

        def everything() -> None:
            result, opened = inspect_photo(scorer, path.read_bytes(), settings)
            drawn = draw_pictures(result, opened.image, settings)
            write_record(out, photo_record(item, "", result, drawn), drawn)

        work: dict[str, Callable[[], object]] = {
            "decode": lambda: decode_photo(path.read_bytes(), scale),
            "scale to model pixels": lambda: scaled(photo.image, scale, size),
            SCORE: lambda: scorer.score(padded),
            "scores to regions": lambda: inspect_decoded(scorer, photo, settings),
            "draw": lambda: draw_pictures(found, photo.image, settings),
            "save pictures and rows": write,
            ALL: everything,
            DENSE: lambda: score_file(scorer, path),
            CUT: lambda: one_by_one(scorer, padded),
            TILES: lambda: from_photo(scorer, decode_photo(path.read_bytes()).image),
        }
        times = in_turn(work, rounds)
    rest = [a - b - c for a, b, c in zip(*(times[key] for key in list(work)[3:0:-1]), strict=True)]
    times["scores to regions"] = rest
    stride = scorer.patch // 2 // scorer.step  # dense scores from one tile to the next
    dense = scorer.score(padded)
    of_scaled = np.abs(one_by_one(scorer, padded) - dense[::stride, ::stride])
    tiles = from_photo(scorer, large)
    full = score_photo(scorer, large, even(scorer)).probability[::stride, ::stride]
    of_photo = np.abs(tiles - full[: tiles.shape[0], : tiles.shape[1]])
    return {
        "pixels": f"{size[0]} x {size[1]}",
        "scores": f"{dense.shape[0]} x {dense.shape[1]}",
        **{key: spread(took, "{:.3f}") for key, took in times.items()},
        f"speed-up of dense over {CUT}": ratio(times[CUT], times[SCORE]),
        f"difference in probability from {CUT}: mean, max": difference(of_scaled),
        f"speed-up of dense over {TILES}": ratio(times[TILES], times[DENSE]),
        f"difference in probability from {TILES}: mean, max": difference(of_photo),
    }


def difference(of: NDArray[np.float32]) -> str:
    return f"{of.mean():.5f}, {of.max():.4f}"


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
    """Cut, resize and score whole tiles only; pixels beyond the last tile are left out."""
    side = even(scorer)
    rows, columns = ((full - side) // (side // 2) + 1 for full in (image.height, image.width))

    def tile(row: int, column: int) -> np.float32:
        left, top = column * side // 2, row * side // 2
        cut = image.crop((left, top, left + side, top + side))
        answer: np.float32 = scorer.score(resized(cut, scorer.patch))[0, 0]
        return answer

    return np.array([[tile(i, j) for j in range(columns)] for i in range(rows)], np.float32)


def peak(model: Path, kind: str) -> float:
    """Peak memory of a process that scores a photo of LARGE pixels, in megabytes."""
    coarse = np.random.default_rng(0).integers(0, 256, (87, 116, 3), np.uint8)
    content = BytesIO()
    Image.fromarray(coarse).resize(LARGE, Image.Resampling.BICUBIC).save(content, kind)
    with TemporaryDirectory(prefix="surface-crack-") as folder:
        path = Path(folder) / f"peak.{kind.lower()}"
        path.write_bytes(content.getvalue())
        command = [
            sys.executable,
            "-m",
            "bench.inspect",
            "--models",
            str(model),
            "--peak",
            str(path),
        ]
        return int(subprocess.check_output(command, text=True)) / 1000


if __name__ == "__main__":
    main()
