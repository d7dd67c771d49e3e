"""Are the bytes still those that DVC recorded, and all of one run: `surface-crack verify`.

DVC takes a cached object for good as long as its mode is right, and an output as long as its time
and size are; bytes that rotted on the disk show only to someone who reads them all.
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
from surface_crack.project.manifest import digest_of, misfits

LOCKS = (Path("dvc.lock"), Path("stages/optional/dvc.lock"))


class Finding(NamedTuple):
    what: str  # one line: which file, and what is wrong
    mend: str  # the commands that mend it, in order


class Verified(NamedTuple):
    outputs: int  # hashed and compared
    objects: int  # of the cache, likewise
    missing: list[str]  # outputs that are not here, as in a fresh clone: no damage
    damaged: list[Finding]


class Recorded(NamedTuple):
    """A file that DVC keeps."""

    lock: Path  # records it
    digest: str  # MD5 of its bytes
    again: str  # the command that puts it into the cache again


def verify() -> Verified:
    """Read every output, metric and plot of the lock files, what `dvc add` tracks below data/, and
    every object of DVC's cache; and look whether what data/ and models/ hold is of one run.

    Raises DataError if there is no dvc.lock, or one that is none.
    """
    if not LOCKS[0].exists():
        raise DataError(f"{LOCKS[0]} is missing here: run `dvc repro` in the project's root folder")
    cache = _cache()
    recorded = dict([*_outputs(LOCKS[0]), *_outputs(LOCKS[1]), *_added(cache)])
    objects = sorted(path for path in cache.glob("[0-9a-f][0-9a-f]/*") if path.is_file())
    progress = tqdm(total=len(recorded) + len(objects), unit="file", desc="verify", disable=None)
    rotten = {}
    for file in objects:
        digest = file.parent.name + file.name
        if not _is(file, digest):
            rotten[digest] = file
        progress.update()
    missing, changed = [], {}
    for name, (lock, digest, again) in recorded.items():
        folder = digest.endswith(".dir")
        if not (Path(name).is_dir() if folder else Path(name).is_file()):
            missing.append(name)
        elif not folder and not _is(Path(name), digest):
            kept = (cache / digest[:2] / digest[2:]).exists() and digest not in rotten
            changed[name] = _changed(name, lock, again, kept=kept)
        progress.update()
    progress.close()
    damaged = [_rotten(file, digest, recorded, changed) for digest, file in rotten.items()]
    damaged += changed.values()
    damaged += _of_two_runs(changed)
    return Verified(len(recorded) - len(missing), len(objects), missing, damaged)


def _of_two_runs(changed: Collection[str]) -> Iterator[Finding]:
    """Files that are what DVC recorded, each by itself, but not of one run, as when `dvc repro`
    stopped half-way.
    """
    try:
        for path, misfit in misfits(changed):
            yield Finding(f"{path} {misfit}: files of two runs are here", "dvc repro")
        pair = paths.DECISION, paths.MODEL
        both = all(path.exists() and path.as_posix() not in changed for path in pair)
        if both and read_json(paths.DECISION).get("weights") != digest_of(paths.MODEL):
            what = f"{paths.DECISION} was made for other weights than those in {paths.MODEL}"
            yield Finding(what, "dvc repro")
    except DataError as error:  # that is a finding, too, and hides no other
        what, _, _ = str(error).partition(": run ")
        yield Finding(what, "dvc repro --force")


def _changed(name: str, lock: Path, again: str, *, kept: bool) -> Finding:
    """The bytes of a file here are others; `kept`: the cache has the right ones."""
    quoted = shlex.quote(name)
    if kept:
        mend = f"dvc checkout --force {quoted}"
    elif lock in LOCKS:
        mend = f"rm -f {quoted} && {again}"
    else:
        mend = f"put the original in its place, then {again}"
    return Finding(f"{name}: not what {lock} records", mend)


def _rotten(
    file: Path, digest: str, recorded: Mapping[str, Recorded], changed: Collection[str]
) -> Finding:
    """The bytes of an object of the cache are others."""
    owners = [name for name, entry in recorded.items() if entry.digest == digest]
    what = f"{file} ({', '.join(owners) or 'of another run'}): its bytes are not those of its name"
    # A file here that changed, too, must not take the object's place.
    again = [recorded[name].again for name in owners if name not in changed]
    mend = [f"rm -f {shlex.quote(str(file))}", *again[:1]]
    return Finding(what, " && ".join(mend))


def _outputs(lock: Path) -> Iterator[tuple[str, Recorded]]:
    """Path and record of each output in the lock file. All lie below the project's root."""
    again = "dvc repro" if lock == LOCKS[0] else f"dvc repro {lock.with_suffix('.yaml')}"
    if lock.exists():
        with _written_by_dvc(lock, "`dvc repro`"):
            stages = yaml.safe_load(lock.read_text(encoding="utf-8"))["stages"].values()
            for out in (out for stage in stages for out in stage.get("outs", [])):
                yield out["path"], Recorded(lock, out["md5"], again)


def _added(cache: Path) -> Iterator[tuple[str, Recorded]]:
    """Path and record of each file below data/ that `dvc add` tracks, itself or with its folder."""
    for lock in sorted(path for path in Path("data").rglob("*.dvc") if path.is_file()):
        with _written_by_dvc(lock, "`dvc add`"):
            for out in yaml.safe_load(lock.read_text(encoding="utf-8"))["outs"]:
                path, digest = (lock.parent / out["path"]).as_posix(), out["md5"]
                again = f"dvc add {shlex.quote(path)}"
                listing = cache / digest[:2] / digest[2:]
                yield path, Recorded(lock, digest, again)
                if digest.endswith(".dir") and listing.is_file() and _is(listing, digest):
                    for file in json.loads(listing.read_text(encoding="utf-8")):
                        yield f"{path}/{file['relpath']}", Recorded(lock, file["md5"], again)


@contextmanager
def _written_by_dvc(lock: Path, command: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        raise DataError(
            f"{lock} is not what DVC writes: `git checkout -- {lock}`, or {command}"
        ) from None


def _cache() -> Path:
    """Where DVC keeps objects; a project may keep them elsewhere, or share them."""
    if not find_spec("dvc"):
        raise ModuleNotFoundError("No module named 'dvc'", name="dvc")
    asked = subprocess.run(
        [sys.executable, "-m", "dvc", "cache", "dir"], capture_output=True, text=True, check=False
    )
    if asked.returncode:
        told = asked.stderr.strip().rpartition("\n")[2] or f"exit code {asked.returncode}"
        raise DataError(f"`dvc cache dir` failed: {told}")
    return Path(asked.stdout.strip()) / "files/md5"


def _is(path: Path, digest: str) -> bool:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest() == digest.removesuffix(".dir")
