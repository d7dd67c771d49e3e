"""Manifests: check that files in data/ and models/ come from the same run.

A stage whose outputs are combined with those of other stages writes a manifest to data/manifests/:
the SHA-256 of each file that it read and wrote. DVC keeps the files of a finished run consistent,
but a `dvc repro` that stops half-way leaves files of two runs. Code that reads several of these
files outside of DVC checks the manifests first.
"""

import hashlib
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from surface_crack.project import paths
from surface_crack.project.errors import DataError
from surface_crack.project.files import read_json, write_json

TRAIN, VAL, TEST = (paths.SPLIT / f"{name}.csv" for name in ("train", "val", "test"))
READ = {  # inputs by stage, of the files in MADE
    "prepare": (),
    "group": (paths.IMAGES, paths.INDEX),
    "split": (paths.IMAGES, paths.INDEX, paths.GROUPS, paths.NEAR_DUPLICATES),
    "train": (paths.IMAGES, TRAIN, VAL, paths.STATISTICS),
}
MADE = {  # outputs by stage
    "prepare": (paths.IMAGES, paths.INDEX),
    "group": (paths.GROUPS, paths.NEAR_DUPLICATES),
    "split": (TRAIN, VAL, TEST, paths.VAL_SOURCES, paths.STATISTICS),
    "train": (paths.MODEL, paths.LOGITS),
}


def digest_of(path: Path) -> str:
    """SHA-256 of the file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def manifest_path(stage: str) -> Path:
    return paths.MANIFESTS / f"{stage}.json"


def write_manifest(stage: str) -> None:
    """Record the digests of a stage's inputs and outputs, as its last step."""
    files = {"read": READ[stage], "made": MADE[stage]}
    content = {
        kind: {path.as_posix(): digest_of(path) for path in of_kind}
        for kind, of_kind in files.items()
    }
    write_json(manifest_path(stage), content)


def recorded_digest(stage: str, path: Path) -> str:
    """SHA-256 of an output as the stage wrote it. Raises DataError if its manifest is missing."""
    return str(_manifest(stage)["made"][path.as_posix()])


def check_same_run(stages: Collection[str], files: Collection[Path]) -> None:
    """Raises DataError unless each of `files` is what each of `stages` read or wrote.

    `stages` must include every stage that wrote one of the files.
    """
    for path in files:
        if not path.exists():
            raise DataError(f"{path} is missing: run `dvc repro`")
    for path, mismatch in _mismatches(stages, files):
        raise DataError(f"{path} {mismatch}: the files come from two runs; run `dvc repro`")


def mismatches(ignored: Collection[str]) -> list[tuple[Path, str]]:
    """(file, what is wrong) of the existing files that differ from a manifest, but for `ignored`.

    Raises DataError for a file that is not a manifest.
    """
    manifests = {stage: manifest_path(stage) for stage in MADE}
    stages = [
        stage
        for stage, path in manifests.items()
        if path.exists() and path.as_posix() not in ignored
    ]
    files = {path for stage in stages for path in READ[stage] + MADE[stage] if path.exists()}
    return [
        (path, mismatch)
        for path, mismatch in _mismatches(stages, files)
        if path.as_posix() not in ignored
    ]


def _mismatches(stages: Collection[str], files: Collection[Path]) -> Iterator[tuple[Path, str]]:
    digest = cache(digest_of)
    for stage in stages:
        manifest = _manifest(stage)
        for kind in ("made", "read"):
            for name, expected in manifest[kind].items():
                path = Path(name)
                if path in files and digest(path) != expected:
                    yield path, f"is not the file that the stage {stage} {kind}"


def _manifest(stage: str) -> dict[str, Any]:
    path = manifest_path(stage)
    content = read_json(path)
    for kind, files in (("read", READ[stage]), ("made", MADE[stage])):
        digests = content.get(kind)
        if not isinstance(digests, dict) or set(digests) != {file.as_posix() for file in files}:
            raise DataError(f"{path} does not list its stage's files: run `dvc repro --force`")
    return content
