"""Stop a process early: on Ctrl-C, on SIGTERM, or when the dvc that started it has died.

A stage calls `install_handlers` before its heavy imports. From then on each of the three stops it
with one line, within two seconds; in `surface_crack.project.console.run` it can clean up first.
"""

import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

MESSAGES: dict[int, str] = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
GRACE = 1.5  # seconds for cleaning up; compiled code that does not react is killed
POLL = 0.4  # seconds between two checks of the parent process


class Interrupted(KeyboardInterrupt):
    """The process must stop; the message says why. `code` is the exit code, 128 + signal."""

    def __init__(self, number: int) -> None:
        super().__init__("its dvc has died: stopping" if orphaned() else MESSAGES[number])
        self.code = 128 + number


def ancestors() -> list[int]:
    """Process ids from a stage's parent up to its dvc; empty if DVC did not start it.

    Most shells exec the command. One that stays as a parent process is part of this chain.
    """
    if "DVC_STAGE" not in os.environ:
        return []
    import psutil  # a dependency of DVC, so it is installed

    chain = [os.getppid()]
    with suppress(psutil.Error):  # a process that has already ended
        while (command := psutil.Process(chain[-1]).cmdline())[-1:]:
            if not command[-1].startswith("python -m stages."):
                break
            chain.append(psutil.Process(chain[-1]).ppid())
        if chain == [1] and not any(word in "".join(command) for word in ("python", "dvc")):
            return [0]  # dvc died while the stage was starting, and init adopted it
    return chain


ANCESTORS = ancestors()


def orphaned() -> bool:
    """Whether a process between this one and its dvc has died."""
    if not ANCESTORS:
        return False
    import psutil

    with suppress(psutil.Error):  # the next check will tell
        parents = [os.getppid(), *(psutil.Process(number).ppid() for number in ANCESTORS[:-1])]
        return parents != ANCESTORS
    return False


def install_handlers() -> None:
    """Let SIGINT, SIGTERM and the death of the parent stop this process with one line.

    `interruptible` blocks get GRACE seconds to clean up. Signals that the shell set to be ignored
    (`nohup`, a background job) stay ignored.
    """
    for number in MESSAGES:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: exit_now(number))
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)  # required by `set_wakeup_fd`
    signal.set_wakeup_fd(theirs.fileno())
    threading.Thread(target=_watch, args=(ours, theirs), daemon=True).start()


def _watch(signals: socket.socket, _: socket.socket) -> None:
    """Thread body. Python's signal handlers wait until compiled code returns; this does not."""
    while True:
        if select.select([signals], [], [], POLL)[0]:
            (number,) = signals.recv(1)
            if number in MESSAGES:
                time.sleep(GRACE)
                exit_now(number)
        elif orphaned():
            os.kill(os.getpid(), signal.SIGTERM)


def exit_now(number: int) -> None:
    """Print one line and exit at once; skip the line if standard error would block."""
    try:
        stage = sys.orig_argv[-1].rpartition(".")[2]  # of `python -m stages.train`
        line = f"{stage}: {Interrupted(number)}\n".encode()
        if (
            os.name == "nt" or select.select([], [2], [], 0)[1]
        ):  # writing to a full pipe would block
            os.write(2, line)
    finally:
        os._exit(128 + number)


@contextmanager
def interruptible() -> Iterator[None]:
    """Within the block, the first SIGINT or SIGTERM raises Interrupted, so that it can clean up."""

    def interrupt(number: int, _: FrameType | None) -> None:
        for other in before:
            signal.signal(other, signal.SIG_IGN)
        raise Interrupted(number)

    before = {number: signal.getsignal(number) for number in MESSAGES}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
