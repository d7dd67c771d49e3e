"""How a process ends before its time: by Ctrl-C, by SIGTERM, or because its dvc is gone.

A stage calls `guard` before its heavy imports, from when on each of the three ends it with one
line within two seconds; `surface_crack.project.console.run` lets it tidy up first.
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

WORDS: dict[int, str] = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
GRACE = 1.5  # seconds for tidying up; compiled code that does not listen is not waited for
POLL = 0.4  # seconds between two looks at the parent


class Interrupted(KeyboardInterrupt):
    """The process is to end; the message says why. `code` is its exit code, as shells have it."""

    def __init__(self, number: int) -> None:
        super().__init__("its dvc is gone: stopping" if orphaned() else WORDS[number])
        self.code = 128 + number


def started_by() -> list[int]:
    """The processes between a stage and its dvc, from its parent to dvc itself; none without DVC.

    Most shells replace themselves by the command. One that does not is a link of this chain.
    """
    if "DVC_STAGE" not in os.environ:
        return []
    import psutil  # which DVC needs, too

    chain = [os.getppid()]
    with suppress(psutil.Error):  # whoever has ended by now
        while (command := psutil.Process(chain[-1]).cmdline())[-1:]:
            if not command[-1].startswith("python -m stages."):
                break
            chain.append(psutil.Process(chain[-1]).ppid())
        if chain == [1] and not any(word in "".join(command) for word in ("python", "dvc")):
            return [0]  # the system took the stage over while it was starting
    return chain


STARTED_BY = started_by()


def orphaned() -> bool:
    """Is one of the processes gone that started this one?"""
    if not STARTED_BY:
        return False
    import psutil

    with suppress(psutil.Error):  # the next look will tell
        parents = [os.getppid(), *(psutil.Process(number).ppid() for number in STARTED_BY[:-1])]
        return parents != STARTED_BY
    return False


def guard() -> None:
    """From now on SIGINT, SIGTERM and the death of the parent end this process with one line.

    `interruptible` blocks get GRACE seconds to tidy up. Whatever the shell told to ignore (`nohup`,
    a background job) stays ignored.
    """
    for number in WORDS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: leave(number))
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)  # as `set_wakeup_fd` wants it
    signal.set_wakeup_fd(theirs.fileno())
    threading.Thread(target=_watch, args=(ours, theirs), daemon=True).start()


def _watch(signals: socket.socket, _: socket.socket) -> None:
    """A thread of its own: Python's handlers wait until compiled code returns, this does not."""
    while True:
        if select.select([signals], [], [], POLL)[0]:
            (number,) = signals.recv(1)
            if number in WORDS:
                time.sleep(GRACE)
                leave(number)
        elif orphaned():
            os.kill(os.getpid(), signal.SIGTERM)


def leave(number: int) -> None:
    """End at once, with one line, unless standard error takes none just now."""
    try:
        stage = sys.orig_argv[-1].rpartition(".")[2]  # of `python -m stages.train`
        line = f"{stage}: {Interrupted(number)}\n".encode()
        if os.name == "nt" or select.select([], [2], [], 0)[1]:  # else a full pipe: it would wait
            os.write(2, line)
    finally:
        os._exit(128 + number)


@contextmanager
def interruptible() -> Iterator[None]:
    """In the block SIGINT and SIGTERM raise Interrupted, once, so that it can tidy up."""

    def interrupt(number: int, _: FrameType | None) -> None:
        for other in before:
            signal.signal(other, signal.SIG_IGN)
        raise Interrupted(number)

    before = {number: signal.getsignal(number) for number in WORDS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
