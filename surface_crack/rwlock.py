"""DVC's list of files that are being read and written, mended where a kill left half of it."""

import json
import logging
from contextlib import suppress
from pathlib import Path

log = logging.getLogger("surface-crack")
LIST = Path(".dvc/tmp/rwlock")


def mend_rwlock() -> None:
    """Remove the list if it is no JSON, for then `dvc repro` refuses to start.

    DVC writes it in place, and behind a guard: who holds that, and still finds half a list, has no
    writer to wait for.
    """
    if not _is_broken():
        return
    from dvc.lock import LockError, make_lock

    guard = make_lock(str(LIST.with_suffix(".lock")), tmp_dir=str(LIST.parent))
    with suppress(LockError), guard:
        if _is_broken():
            LIST.unlink()
            log.info("%s was cut off by a kill: removed", LIST)


def _is_broken() -> bool:
    try:
        json.loads(LIST.read_bytes())
    except FileNotFoundError:
        return False
    except ValueError:
        return True
    return False
