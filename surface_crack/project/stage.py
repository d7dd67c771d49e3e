"""How a stage runs: once at a time in its project, so that no two write the same files."""

import errno
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from surface_crack.project import paths
from surface_crack.project.console import run
from surface_crack.project.errors import ParamsError, StageError

PATIENCE = 5.0  # seconds; a stage whose dvc was killed ends within two


def run_stage(name: str, main: Callable[[], None]) -> None:
    """`console.run`, while no other process runs this stage here."""

    def locked() -> None:
        with alone(name):
            try:
                main()
            except ParamsError as error:  # by now DVC has deleted what the stage makes
                raise ParamsError(
                    f"{error}: correct it and run `dvc repro`; DVC restores the outputs"
                ) from None

    run(name, locked, "image_size or batch_size")


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Hold the lock of the stage `name`. Raises StageError if another process keeps it.

    The system drops the lock when its holder dies, however that may be, so none is ever stale.
    """
    file = paths.STATE / f"{name}.lock"
    file.parent.mkdir(exist_ok=True)
    lock = FileLock(file, timeout=PATIENCE, poll_interval=0.1, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        raise StageError(
            f"the stage {name} is running here already, by {_holder(file)}: wait for it or end it"
        ) from None
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        logging.getLogger(name).warning("this disk knows no locks: see that nothing else runs here")
    try:
        file.write_text(f"{os.getpid()}\n", encoding="ascii")
        yield
    finally:
        file.unlink(missing_ok=True)  # while it is ours; filelock looks for that
        lock.release()


def _holder(file: Path) -> str:
    try:
        number = int(file.read_text(encoding="ascii"))
        return f"process {number} ({' '.join(psutil.Process(number).cmdline())})"
    except (OSError, ValueError, psutil.Error):
        return "another process"
