"""How every program of the project starts and ends: logging, exit codes, no stray tracebacks."""

import logging
import sys
from collections.abc import Callable

from tqdm.contrib.logging import logging_redirect_tqdm

from surface_crack.errors import SurfaceCrackError

EXIT_USER = 1  # a mistake of the user's, explained in one line
EXIT_INTERRUPTED = 130  # 128 + SIGINT, the shell's convention


def run(name: str, main: Callable[[], None]) -> None:
    """Run `main`, and leave with a one-line message where the user can mend what went wrong."""
    logging.basicConfig(level=logging.INFO, format=f"{name}: %(message)s", stream=sys.stderr)
    try:
        with logging_redirect_tqdm():  # log lines go above a progress bar, not through it
            main()
    except SurfaceCrackError as error:
        logging.getLogger(name).error("error: %s", error)
        sys.exit(EXIT_USER)
    except KeyboardInterrupt:
        logging.getLogger(name).error("interrupted")
        sys.exit(EXIT_INTERRUPTED)
