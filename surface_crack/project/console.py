"""How every program of the project starts and ends: logging, exit codes, no stray tracebacks."""

import errno
import logging
import os
import sys
from collections.abc import Callable

from tqdm.contrib.logging import logging_redirect_tqdm

from surface_crack.project.errors import SurfaceCrackError
from surface_crack.project.signals import Interrupted, interruptible
from surface_crack.project.streams import finish, steady

EXIT_USER = 1  # a mistake of the user's, explained in one line
FIXES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "make room"),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "make it readable and writable"),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "raise the limit (`ulimit -n`)"),
}


def run(name: str, main: Callable[[], None], lower: str = "") -> None:
    """Run `main`, and leave with a one-line message where the user can mend what went wrong.

    `lower` names the params with which it takes less memory.
    """
    steady()
    logging.basicConfig(level=logging.INFO, format=f"{name}: %(message)s", stream=sys.stderr)
    log = logging.getLogger(name)
    try:
        with interruptible(), logging_redirect_tqdm():  # log lines go above a progress bar
            try:
                main()
            except SystemExit as asked_for:  # after `--help`, or a mistake in the command
                if asked_for.code:
                    raise
            finish()
    except Interrupted as interrupted:
        log.error("%s", interrupted)
        os._exit(interrupted.code)  # threads may still be at work: nobody waits for them
    except (SurfaceCrackError, OSError, MemoryError, RuntimeError) as error:
        if not (message := explained(error, lower)):
            raise
        log.error("error: %s", message)
        sys.exit(EXIT_USER)


def explained(error: Exception, lower: str = "") -> str:
    """What the user can do about it, in one line; '' for what must be a bug of ours."""
    if isinstance(error, SurfaceCrackError):
        return str(error)
    if isinstance(error, MemoryError) or "allocate memory" in str(error):  # torch: a RuntimeError
        return "out of memory: close other programs" + (f", or lower {lower}" if lower else "")
    if isinstance(error, OSError) and error.errno is not None:
        fix = FIXES.get(error.errno, "put it right")
        file = f"{error.filename}: " if error.filename else ""
        return f"{file}{error.strerror}: {fix}, then give the command again"
    return ""
