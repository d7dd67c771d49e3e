"""Speed of decoding photos, with every installed decoder, and of packing in `prepare`.

    python -m bench.decoding metu.zip

Decoders get bytes in memory and discard their output; packing also reads, checks, resizes, hashes
and writes. OpenCV and PyTurboJPEG are measured if installed. There are as many threads or processes
as cores; processes return resized pixels, as packing would need them.
"""

import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory

import numpy as np
import simplejpeg
from PIL import Image

from bench.machine import arguments, in_turn, machine, publish, ratio, spread, table
from surface_crack.photos.decode import decode
from surface_crack.photos.listing import Photo, class_labels, list_photos
from surface_crack.photos.packing import CHUNK, pack
from surface_crack.photos.reader import Limits, Reader
from surface_crack.project.params import check_params
from surface_crack.threads import cores

P = check_params()
SIZE, LIMITS = P.image_size, Limits(P.max_pixels, P.max_bytes)
CONTENTS: list[bytes] = []  # JPEG files; each process loads its own
Pool = ThreadPoolExecutor | ProcessPoolExecutor


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("raw", type=Path)
    parser.add_argument("--photos", type=int, default=4000, help="number, evenly spaced")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    load(options.raw, options.photos)
    own = options.raw, options.photos
    with (
        TemporaryDirectory(prefix="surface-crack-") as folder,
        ThreadPoolExecutor(cores()) as threads,
        ProcessPoolExecutor(cores(), get_context("spawn"), load, own) as processes,
    ):
        pools: dict[str, Pool] = {"threads": threads, "processes": processes}
        work: dict[str, Callable[[], object]] = {
            f"{name}, {kind}": partial(decode_all, pool, name)
            for name in [*full(), *SMALL]
            for kind, pool in pools.items()
        }
        for name, photos in stores(Path(folder)).items():
            work[name] = partial(pack_all, photos, Path(folder) / "images.npy")
        times = in_turn(work, options.rounds)
    report(times, write=options.write)


def load(raw: Path, count: int) -> None:
    """Read `count` JPEGs into this process."""
    photos = list_photos(raw, class_labels(P.negative, P.positive), P.exclude).photos
    chosen = np.unique(np.linspace(0, len(photos) - 1, count).astype(int))
    with Reader(LIMITS.max_bytes) as reader:
        contents = [reader.read(photos[n]) for n in chosen]
    CONTENTS[:] = [content for content in contents if content.startswith(b"\xff\xd8")]


@cache
def full() -> dict[str, Callable[[bytes], object]]:
    """Decoders of a whole JPEG at full resolution, by name."""
    found: dict[str, Callable[[bytes], object]] = {
        "simplejpeg": lambda content: simplejpeg.decode_jpeg(content, "RGB"),
        "Pillow": lambda content: Image.open(BytesIO(content)).load(),
    }
    if find_spec("torchvision"):
        torch, io = import_module("torch"), import_module("torchvision.io")
        torch.set_num_threads(1)
        found["torchvision"] = lambda content: io.decode_jpeg(
            torch.frombuffer(bytearray(content), dtype=torch.uint8)
        )
    if find_spec("cv2"):
        cv2 = import_module("cv2")
        cv2.setNumThreads(1)
        found["OpenCV"] = lambda content: cv2.imdecode(np.frombuffer(content, np.uint8), 1)
    with suppress(ImportError, RuntimeError):  # not installed, or without the library it wraps
        found["PyTurboJPEG"] = import_module("turbojpeg").TurboJPEG().decode
    return found


def drafted(content: bytes) -> object:
    image = Image.open(BytesIO(content))
    image.draft("RGB", (SIZE, SIZE))
    return np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR))


SMALL: dict[str, Callable[[bytes], object]] = {
    "`decode`, ours": lambda content: decode(content, SIZE, LIMITS.max_pixels).pixels,
    "Pillow, draft mode and resize": drafted,
    "simplejpeg, scaled without resize": lambda content: simplejpeg.decode_jpeg(
        content, "RGB", min_height=SIZE, min_width=SIZE
    ),
}


def decode_all(pool: Pool, name: str) -> None:
    starts = range(0, len(CONTENTS), CHUNK)
    done = pool.map(decode_some, [name] * len(starts), starts)
    assert sum(map(len, done)) == len(CONTENTS)


def decode_some(name: str, start: int) -> Sequence[object]:
    contents = CONTENTS[start : start + CHUNK]
    if name in SMALL:
        return [SMALL[name](content) for content in contents]
    for content in contents:
        full()[name](content)
    return range(len(contents))


def stores(folder: Path) -> dict[str, list[Photo]]:
    """Write the photos to a stored zip and to a folder, and list both."""
    (folder / "raw/positive").mkdir(parents=True)
    with zipfile.ZipFile(folder / "raw.zip", "w") as archive:
        for number, content in enumerate(CONTENTS):
            archive.writestr(f"positive/{number:06}.jpg", content)
            (folder / f"raw/positive/{number:06}.jpg").write_bytes(content)
    labels = {"positive": 1}
    return {
        "`pack` from a zip": list_photos(folder / "raw.zip", labels).photos,
        "`pack` from a folder": list_photos(folder / "raw", labels).photos,
    }


def pack_all(photos: list[Photo], target: Path) -> None:
    assert len(list(pack(photos, SIZE, target, LIMITS))) == len(CONTENTS)


def report(times: dict[str, list[float]], *, write: bool) -> None:
    rates = {
        name: spread([len(CONTENTS) / t for t in took], "{:,.0f}") for name, took in times.items()
    }
    rows = [
        [pixels, name, rates[f"{name}, threads"], rates[f"{name}, processes"]]
        for pixels, names in (("all", full()), (SIZE, SMALL))
        for name in names
    ]
    from_zip, from_folder = packing = list(times)[-2:]
    rows += [[SIZE, name, rates[name], ""] for name in packing]
    everything = [name for name in times if name.rpartition(", ")[0] in full()]
    fastest = min(everything, key=lambda name: median(times[name]))
    size = mean(map(len, CONTENTS)) / 1000
    lines = [
        machine("pillow", "simplejpeg"),
        f"Photos per second, median (min to max) of {len(times[fastest])} rounds; "
        f"{len(CONTENTS):,} JPEGs of {size:.1f} kB on average.",
        table(["pixels", "", "threads", "processes"], rows),
        f"The fastest decoder of all pixels is {fastest}. `pack` from a zip reaches "
        f"{ratio(times[fastest], times[from_zip])} of its rate, and "
        f"{ratio(times[from_folder], times[from_zip])} of the rate from a folder.",
    ]
    publish("decoding", "\n\n".join(lines), write=write)


if __name__ == "__main__":
    main()
