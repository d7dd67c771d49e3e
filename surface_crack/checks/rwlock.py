"""DVC's list of files that are being read and written, mended where a kill left half of it."""

import json
import logging
import os
from contextlib import suppress
from pathlib import Path

log = logging.getLogger("surface-crack")
LIST = Path(".dvc/tmp/rwlock")  # here, or in the folder above that DVC takes for its root


def mend_rwlock() -> None:
    """Remove the list if it is no JSON, for then `dvc repro` refuses to start.

    DVC writes it in place, and behind a guard: who holds that, and still finds half a list, has no
    writer to wait for.
    """
    here = Path.cwd()
    roots = [folder for folder in (here, *here.parents) if (folder / LIST.parts[0]).is_dir()]
    if not roots or not _is_broken(path := roots[0] / LIST):
        return
    from dvc.lock import LockError, make_lock

    guard = make_lock(str(path.with_suffix(".lock")), tmp_dir=str(path.parent))
    with suppress(LockError), guard:
        if _is_broken(path):
            path.unlink()
            log.info("%s was cut off by a kill: removed", os.path.relpath(path))


def _is_broken(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except FileNotFoundError:
        return False
    except ValueError:
        return True
    return False
