"""Recall, false positives and speed of the near-duplicate search.

    python -m bench.near_duplicates metu.zip sdnet.zip

Recall: altered copies of photos (twelve kinds of alteration) are added to all photos, and each
should be found as a near-duplicate of its original. False positives: the archives show different
scenes, so every pair across archives is wrong. Missed pairs: a wider search, with four times the
candidates and a looser second filter, counts pairs that the usual one misses. Speed: random windows
of the photos serve as any number of different photos.
"""

import argparse
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from surface_crack.photos.decode import decode
from surface_crack.photos.listing import Photo, class_labels, list_photos
from surface_crack.photos.packing import Row, pack
from surface_crack.photos.reader import Limits, Reader
from surface_crack.project.params import check_params
from surface_crack.splitting import near_duplicates
from surface_crack.splitting.near_duplicates import find_near_duplicates
from tests.support.makers import ALTERATIONS

SIZE = 64
ALTERED = 200  # photos per kind of alteration
COUNTS = (12_500, 25_000, 50_000, 100_000)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("archives", nargs="+", type=Path)
    photos, images, source = read(parser.parse_args().archives)
    recall(photos, images)
    false_positives_and_missed(images, source)
    scaling(images)


def read(archives: list[Path]) -> tuple[list[Photo], NDArray[np.uint8], NDArray[np.int64]]:
    """(photos, their pixels, index of the archive) without exact duplicates."""
    p = check_params()
    photos: list[Photo] = []
    parts: list[NDArray[np.uint8]] = []
    source: list[int] = []
    for number, archive in enumerate(archives):
        listing = list_photos(archive, class_labels(p.negative, p.positive))
        with TemporaryDirectory() as folder:
            target = Path(folder) / "images.npy"
            results = pack(listing.photos, SIZE, target, Limits(p.max_pixels, p.max_bytes))
            rows = [row for row in results if isinstance(row, Row)]
            assert len(rows) == len(listing.photos), "a photo cannot be read"
            first = sorted({row.sha256: n for n, row in reversed(list(enumerate(rows)))}.values())
            parts.append(np.load(target)[first])
        photos += [listing.photos[n] for n in first]
        source += [number] * len(first)
        print(
            f"{archive.name}: {len(first)} photos, {len(rows) - len(first)} exact duplicates left "
            "out"
        )
    return photos, np.concatenate(parts), np.array(source)


def recall(photos: list[Photo], images: NDArray[np.uint8]) -> None:
    chosen = np.random.default_rng(0).permutation(len(photos))[: ALTERED * len(ALTERATIONS)]
    names = [list(ALTERATIONS)[n % len(ALTERATIONS)] for n in range(len(chosen))]
    p = check_params()
    with Reader(p.max_bytes) as reader:
        originals = [Image.open(BytesIO(reader.read(photos[n]))) for n in chosen]
        altered = [
            decode(ALTERATIONS[name](image), SIZE, p.max_pixels).pixels
            for image, name in zip(originals, names, strict=True)
        ]
    everything = np.concatenate([images, altered])
    found = {
        tuple(pair)
        for pair in find_near_duplicates(everything, np.arange(len(everything))).pairs.tolist()
    }
    hit = np.array([(n, len(images) + k) in found for k, n in enumerate(chosen.tolist())])
    print(f"\nrecall among {len(everything)} photos:")
    for name in ALTERATIONS:
        of_name = hit[np.array(names) == name]
        print(f"  {name:22}{of_name.sum():4} of {len(of_name)}  {100 * of_name.mean():6.1f} %")


def false_positives_and_missed(images: NDArray[np.uint8], source: NDArray[np.int64]) -> None:
    every = np.arange(len(images))
    usual = find_near_duplicates(images, every)
    across = source[usual.pairs[:, 0]] != source[usual.pairs[:, 1]]
    wrong = np.unique(usual.pairs[across])
    with wider_search():
        more = find_near_duplicates(images, every)
    print(f"\n{len(usual.pairs)} pairs, {across.sum()} of them across archives: ", end="")
    print(f"{len(wrong)} of {len(images)} photos in a wrong pair")
    extra = {*map(tuple, more.pairs.tolist())} - {*map(tuple, usual.pairs.tolist())}
    print(f"a wider search finds {len(extra)} more pairs")
    counts = np.histogram(more.similarity, np.arange(0.6, 1.01, 0.05))
    print("similarities:", ", ".join(f"{low:.2f}: {n}" for n, low in zip(*counts, strict=False)))


@contextmanager
def wider_search() -> Iterator[None]:
    before = near_duplicates.NEIGHBOURS, near_duplicates.MIN_CORRELATION
    near_duplicates.NEIGHBOURS, near_duplicates.MIN_CORRELATION = 40, 0.4
    yield
    near_duplicates.NEIGHBOURS, near_duplicates.MIN_CORRELATION = before


def scaling(images: NDArray[np.uint8]) -> None:
    print("\nphotos   seconds   per 1,000   peak memory, MB")
    rng = np.random.default_rng(0)
    for count in COUNTS:
        cut = np.empty((count, SIZE, SIZE, 3), np.uint8)
        for n in range(count):
            side = int(rng.integers(28, 40))
            top, left = rng.integers(0, SIZE - side, 2)
            window = Image.fromarray(images[n % len(images)][top : top + side, left : left + side])
            cut[n] = np.asarray(window.resize((SIZE, SIZE), Image.Resampling.BICUBIC))
        start = time.perf_counter()
        find_near_duplicates(cut, np.arange(count))
        took = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"{count:6}   {took:7.1f}   {1000 * took / count:9.2f}   {peak:9}")


if __name__ == "__main__":
    main()
