"""Run a stage under a lock, so that two processes never write the same files."""

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

LOCK_TIMEOUT = 5.0  # seconds; a stage whose dvc was killed ends within two


def run_stage(name: str, main: Callable[[], None]) -> None:
    """Run `main` with `console.run`, holding the lock of this stage."""

    def locked() -> None:
        with stage_lock(name):
            try:
                main()
            except ParamsError as error:  # DVC has already deleted the stage's outputs
                raise ParamsError(
                    f"{error}: correct it and run `dvc repro`; DVC restores the outputs"
                ) from None

    run(name, locked, "image_size or batch_size")


@contextmanager
def stage_lock(name: str) -> Iterator[None]:
    """Hold the lock of the stage `name`. Raises StageError if another process holds it.

    The operating system releases the lock when its holder dies, so it cannot become stale.
    """
    file = paths.STATE / f"{name}.lock"
    file.parent.mkdir(exist_ok=True)
    lock = FileLock(file, timeout=LOCK_TIMEOUT, poll_interval=0.1, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        raise StageError(
            f"the stage {name} is already running here, in {_holder(file)}: wait for it or stop it"
        ) from None
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        logging.getLogger(name).warning(
            "this file system has no locks: make sure that no other stage runs here"
        )
    try:
        file.write_text(f"{os.getpid()}\n", encoding="ascii")
        yield
    finally:
        file.unlink(missing_ok=True)  # while we hold it; filelock allows for that
        lock.release()


def _holder(file: Path) -> str:
    try:
        number = int(file.read_text(encoding="ascii"))
        return f"process {number} ({' '.join(psutil.Process(number).cmdline())})"
    except (OSError, ValueError, psutil.Error):
        return "another process"
