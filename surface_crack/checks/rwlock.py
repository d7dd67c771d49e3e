"""Repair DVC's rwlock, its list of files in use, after a kill left it truncated."""

import json
import logging
import os
from contextlib import suppress
from pathlib import Path

log = logging.getLogger("surface-crack")
RWLOCK = Path(".dvc/tmp/rwlock")  # below DVC's root: the current folder or a parent


def repair_rwlock() -> None:
    """Remove the rwlock if it is not valid JSON, because `dvc repro` would refuse to start.

    DVC writes it in place, holding a lock. So if it is still truncated while we hold that lock,
    nobody is writing it.
    """
    here = Path.cwd()
    roots = [folder for folder in (here, *here.parents) if (folder / RWLOCK.parts[0]).is_dir()]
    if not roots or not _is_broken(path := roots[0] / RWLOCK):
        return
    from dvc.lock import LockError, make_lock

    lock = make_lock(str(path.with_suffix(".lock")), tmp_dir=str(path.parent))
    with suppress(LockError), lock:
        if _is_broken(path):
            path.unlink()
            log.info("%s was truncated by a kill: removed", os.path.relpath(path))


def _is_broken(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except FileNotFoundError:
        return False
    except ValueError:
        return True
    return False
