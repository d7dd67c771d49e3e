"""Compare all outputs and DVC's cache with the recorded digests: `surface-crack verify`.

DVC trusts a cached object by its file mode, and an output by its modification time and size, so
corrupted bytes show only when every file is read.
"""

import hashlib
import json
import shlex
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import yaml
from tqdm import tqdm

from surface_crack.project import paths
from surface_crack.project.errors import DataError
from surface_crack.project.files import read_json
from surface_crack.project.manifest import digest_of, mismatches

LOCKS = (Path("dvc.lock"), Path("stages/optional/dvc.lock"))


class Finding(NamedTuple):
    problem: str  # one line: which file, and what is wrong
    fix: str  # the commands that fix it, in order


class Result(NamedTuple):
    outputs: int  # number of outputs that were hashed and compared
    objects: int  # number of objects in the cache, likewise
    missing: list[str]  # outputs that do not exist here, as in a fresh clone: not damage
    damaged: list[Finding]


class Record(NamedTuple):
    """A file that DVC tracks."""

    lock: Path  # the lock or .dvc file that records it
    digest: str  # MD5 of its content
    restore: str  # the command that puts it into the cache again


def verify() -> Result:
    """Hash every output, metric and plot of the lock files, what `dvc add` tracks below data/, and
    every object of DVC's cache; and check that the files in data/ and models/ come from one run.

    Raises DataError if dvc.lock is missing or invalid.
    """
    if not LOCKS[0].exists():
        raise DataError(f"{LOCKS[0]} is missing here: run `dvc repro` in the project's root folder")
    cache = _cache()
    recorded = dict([*_outputs(LOCKS[0]), *_outputs(LOCKS[1]), *_dvc_added(cache)])
    objects = sorted(path for path in cache.glob("[0-9a-f][0-9a-f]/*") if path.is_file())
    progress = tqdm(total=len(recorded) + len(objects), unit="file", desc="verify", disable=None)
    corrupt = {}
    for file in objects:
        digest = file.parent.name + file.name
        if not _matches(file, digest):
            corrupt[digest] = file
        progress.update()
    missing, changed = [], {}
    for name, (lock, digest, restore) in recorded.items():
        folder = digest.endswith(".dir")
        if not (Path(name).is_dir() if folder else Path(name).is_file()):
            missing.append(name)
        elif not folder and not _matches(Path(name), digest):
            cached = (cache / digest[:2] / digest[2:]).exists() and digest not in corrupt
            changed[name] = _changed_file(name, lock, restore, cached=cached)
        progress.update()
    progress.close()
    damaged = [_corrupt_object(file, digest, recorded, changed) for digest, file in corrupt.items()]
    damaged += changed.values()
    damaged += _mixed_runs(changed)
    return Result(len(recorded) - len(missing), len(objects), missing, damaged)


def _mixed_runs(changed: Collection[str]) -> Iterator[Finding]:
    """Files that each match DVC's record but come from different runs, as after a `dvc repro` that
    stopped half-way.
    """
    try:
        for path, mismatch in mismatches(changed):
            yield Finding(f"{path} {mismatch}: the files come from two runs", "dvc repro")
        pair = paths.DECISION, paths.MODEL
        both = all(path.exists() and path.as_posix() not in changed for path in pair)
        if both and read_json(paths.DECISION).get("weights") != digest_of(paths.MODEL):
            problem = f"{paths.DECISION} was made for other weights than those in {paths.MODEL}"
            yield Finding(problem, "dvc repro")
    except DataError as error:  # report it as a finding, so that it hides no other
        problem, _, _ = str(error).partition(": run ")
        yield Finding(problem, "dvc repro --force")


def _changed_file(name: str, lock: Path, restore: str, *, cached: bool) -> Finding:
    """An output with the wrong content; `cached`: the cache has the right one."""
    quoted = shlex.quote(name)
    if cached:
        fix = f"dvc checkout --force {quoted}"
    elif lock in LOCKS:
        fix = f"rm -f {quoted} && {restore}"
    else:
        fix = f"put the original in its place, then {restore}"
    return Finding(f"{name}: not what {lock} records", fix)


def _corrupt_object(
    file: Path, digest: str, recorded: Mapping[str, Record], changed: Collection[str]
) -> Finding:
    """A cached object with the wrong content."""
    owners = [name for name, entry in recorded.items() if entry.digest == digest]
    owner = ", ".join(owners) or "of another run"
    problem = f"{file} ({owner}): its content does not match the digest in its name"
    # An output that has changed as well must not replace the object.
    restore = [recorded[name].restore for name in owners if name not in changed]
    fix = [f"rm -f {shlex.quote(str(file))}", *restore[:1]]
    return Finding(problem, " && ".join(fix))


def _outputs(lock: Path) -> Iterator[tuple[str, Record]]:
    """Path and record of each output in a lock file; paths are relative to the project's root."""
    restore = "dvc repro" if lock == LOCKS[0] else f"dvc repro {lock.with_suffix('.yaml')}"
    if lock.exists():
        with _invalid_as_data_error(lock, "`dvc repro`"):
            stages = yaml.safe_load(lock.read_text(encoding="utf-8"))["stages"].values()
            for out in (out for stage in stages for out in stage.get("outs", [])):
                yield out["path"], Record(lock, out["md5"], restore)


def _dvc_added(cache: Path) -> Iterator[tuple[str, Record]]:
    """Path and record of each file below data/ that `dvc add` tracks, itself or with its folder."""
    for lock in sorted(path for path in Path("data").rglob("*.dvc") if path.is_file()):
        with _invalid_as_data_error(lock, "`dvc add`"):
            for out in yaml.safe_load(lock.read_text(encoding="utf-8"))["outs"]:
                path, digest = (lock.parent / out["path"]).as_posix(), out["md5"]
                restore = f"dvc add {shlex.quote(path)}"
                listing = cache / digest[:2] / digest[2:]
                yield path, Record(lock, digest, restore)
                if digest.endswith(".dir") and listing.is_file() and _matches(listing, digest):
                    for file in json.loads(listing.read_text(encoding="utf-8")):
                        yield f"{path}/{file['relpath']}", Record(lock, file["md5"], restore)


@contextmanager
def _invalid_as_data_error(lock: Path, command: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        raise DataError(
            f"{lock} is not a file that DVC wrote: run `git checkout -- {lock}`, or {command}"
        ) from None


def _cache() -> Path:
    """The folder of DVC's cached objects, which the project may have moved or shared."""
    if not find_spec("dvc"):
        raise ModuleNotFoundError("No module named 'dvc'", name="dvc")
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "cache", "dir"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}"
        raise DataError(f"`dvc cache dir` failed: {reason}")
    return Path(done.stdout.strip()) / "files/md5"


def _matches(path: Path, digest: str) -> bool:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest() == digest.removesuffix(".dir")
