"""Are the bytes still those that DVC recorded: `surface-crack verify`.

DVC takes a cached object for good as long as its mode is right, and an output as long as its time
and size are; bytes that rotted on the disk show only to someone who reads them all.
"""

import hashlib
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml
from tqdm import tqdm

from surface_crack.errors import DataError

LOCKS = (Path("dvc.lock"), Path("stages/optional/dvc.lock"))


class Finding(NamedTuple):
    what: str  # one line: which file, and what is wrong
    mend: str  # the commands that mend it, in order


class Verified(NamedTuple):
    outputs: int  # hashed and compared
    objects: int  # of the cache, likewise
    missing: list[str]  # outputs that are not here, as in a fresh clone: no damage
    damaged: list[Finding]


def verify() -> Verified:
    """Read every output, metric and plot of the lock files, and every object of DVC's cache.

    Raises DataError if there is no dvc.lock, or one that is none.
    """
    recorded = {name: md5 for lock in LOCKS for name, md5 in _recorded(lock)}
    optional = {name for name, _ in _recorded(LOCKS[1])}
    cache = _cache()
    objects = sorted(path for path in cache.glob("[0-9a-f][0-9a-f]/*") if path.is_file())
    progress = tqdm(total=len(recorded) + len(objects), unit="file", desc="verify", disable=None)
    damaged, missing, rotten = [], [], set()
    for file in objects:
        digest = file.parent.name + file.name
        if _md5(file) != digest.removesuffix(".dir"):
            rotten.add(digest)
            of = [name for name, md5 in recorded.items() if md5 == digest] or ["of another run"]
            what = f"{file} ({', '.join(of)}): its bytes are not those of its name"
            damaged.append(Finding(what, f"rm -f {shlex.quote(str(file))} && dvc repro"))
        progress.update()
    for name, digest in recorded.items():
        if not Path(name).is_file():
            missing.append(name)
        elif _md5(Path(name)) != digest:
            quoted = shlex.quote(name)
            kept = (cache / digest[:2] / digest[2:]).exists() and digest not in rotten
            lock = LOCKS[1] if name in optional else LOCKS[0]
            again = f"dvc repro {lock.with_suffix('.yaml')}" if name in optional else "dvc repro"
            mend = f"dvc checkout --force {quoted}" if kept else f"rm -f {quoted} && {again}"
            damaged.append(Finding(f"{name}: not what {lock} records", mend))
        progress.update()
    progress.close()
    return Verified(len(recorded) - len(missing), len(objects), missing, damaged)


def _recorded(lock: Path) -> Iterator[tuple[str, str]]:
    """(path, MD5) of each output in the lock file. All lie below the project's root."""
    if not LOCKS[0].exists():
        raise DataError(f"{LOCKS[0]} is missing here: run `dvc repro` in the project's root folder")
    if lock.exists():
        try:
            stages = yaml.safe_load(lock.read_text(encoding="utf-8"))["stages"].values()
            for out in (out for stage in stages for out in stage.get("outs", [])):
                yield out["path"], out["md5"]
        except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
            raise DataError(
                f"{lock} is not what DVC writes: `git checkout -- {lock}`, or `dvc repro`"
            ) from None


def _cache() -> Path:
    """Where DVC keeps objects; a project may keep them elsewhere, or share them."""
    asked = subprocess.run(
        [sys.executable, "-m", "dvc", "cache", "dir"], capture_output=True, text=True, check=False
    )
    if asked.returncode:
        told = asked.stderr.strip().rpartition("\n")[2] or f"exit code {asked.returncode}"
        raise DataError(f"`dvc cache dir` failed: {told}")
    return Path(asked.stdout.strip()) / "files/md5"


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
