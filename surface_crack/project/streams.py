"""Standard streams that are closed, or that nobody reads any more, do not end the work.

A program may start with some of them closed (`2>&-`, a cron wrapper, Windows' pythonw), and a
reader may leave before the end (`| head`, a terminal that is gone). What is written to them then
goes to os.devnull. It is an error, at the end, only where a reader waits in vain: a full disk.
"""

import errno
import io
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

NAMES = {1: "standard output", 2: "standard error"}


def steady() -> None:
    """From now on the standard streams are there, and take whatever is written.

    To be called before any file is opened for long: the first one would get the number of a closed
    stream, and with it what is meant for that.
    """
    for number in range(3):
        _keep_open(number)
    if sys.stdin is None:
        sys.stdin = _made(0)
    sys.stdout = _steady(sys.stdout or _made(1), 1)
    sys.stderr = _steady(sys.stderr or _made(2), 2)


def finish() -> None:
    """Write what is left. Raises OSError if any of it was lost, unless its reader had left."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        if isinstance(raw := _raw(stream), _Steady) and raw.lost:
            raise raw.lost


class _Steady(io.FileIO):
    """A standard stream below its buffer, where each kind of writing ends: print, log, progress
    bar, help, and what Python itself does when it exits.
    """

    lost: OSError | None = None  # why a reader that is there did not get all

    def __init__(self, number: int) -> None:
        super().__init__(number, "w", closefd=False)

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            number = self.fileno()
            if not self.lost and not _reader_left(error, number):
                self.lost = OSError(error.errno, error.strerror, NAMES[number])
            with suppress(OSError):
                _connect(number)
            return memoryview(data).nbytes


def _reader_left(error: OSError, number: int) -> bool:
    if isinstance(error, BrokenPipeError | ConnectionResetError):
        return True
    if error.errno == errno.EIO:  # of a terminal; of a file it means a broken disk
        return stat.S_ISCHR(os.fstat(number).st_mode)
    return os.name == "nt" and error.errno == errno.EINVAL  # what Windows calls a broken pipe


def _keep_open(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        with suppress(OSError):  # pythonw has none to replace
            _connect(number)


def _connect(number: int) -> None:
    """Let a standard stream lead to os.devnull, for the programs that this one starts, too."""
    null = os.open(os.devnull, os.O_RDWR)
    if null == number:
        os.set_inheritable(number, True)
    else:
        os.dup2(null, number)
        os.close(null)


def _steady(stream: TextIO, number: int) -> TextIO:
    """The same with `_Steady` below its buffer; what is no plain file of that number stays."""
    if type(stream) is not io.TextIOWrapper or type(raw := _raw(stream)) is not io.FileIO:
        return stream  # done already; a test's; a console of Windows
    if raw.fileno() != number:
        return stream
    with suppress(OSError):  # nothing was written so far
        stream.flush()
    steady = _Steady(number)
    unbuffered = stream.buffer is raw  # `python -u`
    return io.TextIOWrapper(
        steady if unbuffered else io.BufferedWriter(steady),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _raw(stream: TextIO) -> object:
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)


def _made(number: int) -> TextIO:
    """A stream that Python did not make, since its number was closed."""
    mode: Literal["r", "w"] = "w" if number else "r"
    try:
        return os.fdopen(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False)
    except OSError:  # pythonw has no such numbers
        return Path(os.devnull).open(mode, encoding="utf-8", errors="backslashreplace")
