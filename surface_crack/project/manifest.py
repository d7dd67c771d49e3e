"""Which files in data/ and models/ are of one run: checkable from the files themselves.

Each stage whose files others join with those of other stages leaves a manifest in data/manifests/:
the SHA-256 of what it read and of what it made. DVC keeps the files of a run together by itself,
but a `dvc repro` that stops half-way leaves files of two runs behind. Whoever reads several of them
outside of DVC checks them first.
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
READ = {  # by stage, of the files below
    "prepare": (),
    "group": (paths.IMAGES, paths.INDEX),
    "split": (paths.IMAGES, paths.INDEX, paths.GROUPS, paths.NEAR_DUPLICATES),
    "train": (paths.IMAGES, TRAIN, VAL, paths.STATISTICS),
}
MADE = {
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
    """What a stage does last."""
    files = {"read": READ[stage], "made": MADE[stage]}
    content = {
        kind: {path.as_posix(): digest_of(path) for path in of_kind}
        for kind, of_kind in files.items()
    }
    write_json(manifest_path(stage), content)


def made_by(stage: str, path: Path) -> str:
    """The digest of a file as the stage made it. Raises DataError if its manifest is missing."""
    return str(_manifest(stage)["made"][path.as_posix()])


def check_one_run(stages: Collection[str], files: Collection[Path]) -> None:
    """Raises DataError unless each of `files` is what each of `stages` read or made.

    Name all stages that made one of the files.
    """
    for path in files:
        if not path.exists():
            raise DataError(f"{path} is missing: run `dvc repro`")
    for path, misfit in _misfits(stages, files):
        raise DataError(f"{path} {misfit}: files of two runs are here; run `dvc repro`")


def misfits(but_for: Collection[str]) -> list[tuple[Path, str]]:
    """(file, what is wrong with it) of all that is here and has a manifest, but for these paths.

    Raises DataError for a manifest that is none.
    """
    manifests = {stage: manifest_path(stage) for stage in MADE}
    stages = [
        stage
        for stage, path in manifests.items()
        if path.exists() and path.as_posix() not in but_for
    ]
    files = {path for stage in stages for path in READ[stage] + MADE[stage] if path.exists()}
    return [
        (path, misfit) for path, misfit in _misfits(stages, files) if path.as_posix() not in but_for
    ]


def _misfits(stages: Collection[str], files: Collection[Path]) -> Iterator[tuple[Path, str]]:
    digest = cache(digest_of)
    for stage in stages:
        manifest = _manifest(stage)
        for kind in ("made", "read"):
            for name, wanted in manifest[kind].items():
                path = Path(name)
                if path in files and digest(path) != wanted:
                    yield path, f"is not the file that the stage {stage} {kind}"


def _manifest(stage: str) -> dict[str, Any]:
    path = manifest_path(stage)
    content = read_json(path)
    for kind, files in (("read", READ[stage]), ("made", MADE[stage])):
        named = content.get(kind)
        if not isinstance(named, dict) or set(named) != {file.as_posix() for file in files}:
            raise DataError(f"{path} does not name the files of its stage: run `dvc repro --force`")
    return content
