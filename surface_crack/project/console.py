"""Entry point of every program of the project: logging, exit codes, one-line error messages."""

import errno
import logging
import os
import sys
from collections.abc import Callable

from tqdm.contrib.logging import logging_redirect_tqdm

from surface_crack.project.errors import SurfaceCrackError
from surface_crack.project.signals import Interrupted, interruptible
from surface_crack.project.streams import flush_streams, protect_streams

EXIT_USER = 1  # user error, reported in one line
FIXES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "free some disk space"),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "make it readable and writable"),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "raise the limit (`ulimit -n`)"),
}


def run(name: str, main: Callable[[], None], memory_params: str = "") -> None:
    """Run `main`; an error that the user can fix becomes a one-line message and exit code 1.

    `memory_params` names the params to lower when memory runs out.
    """
    protect_streams()
    logging.basicConfig(level=logging.INFO, format=f"{name}: %(message)s", stream=sys.stderr)
    log = logging.getLogger(name)
    try:
        with interruptible(), logging_redirect_tqdm():  # log lines go above a progress bar
            try:
                main()
            except SystemExit as stop:  # from `--help`, or a usage error
                if stop.code:
                    raise
            flush_streams()
    except Interrupted as interrupted:
        log.error("%s", interrupted)
        os._exit(interrupted.code)  # do not wait for threads that still run
    except (SurfaceCrackError, OSError, MemoryError, RuntimeError) as error:
        if not (message := user_message(error, memory_params)):
            raise
        log.error("error: %s", message)
        sys.exit(EXIT_USER)


def user_message(error: Exception, memory_params: str = "") -> str:
    """One line that says what went wrong and how to fix it; '' for a bug in this project."""
    if isinstance(error, SurfaceCrackError):
        return str(error)
    if isinstance(error, MemoryError) or "allocate memory" in str(error):  # torch: a RuntimeError
        lower = f", or lower {memory_params}" if memory_params else ""
        return f"out of memory: close other programs{lower}"
    if isinstance(error, OSError) and error.errno is not None:
        fix = FIXES.get(error.errno, "fix this")
        file = f"{error.filename}: " if error.filename else ""
        return f"{file}{error.strerror}: {fix}, then run the command again"
    return ""
