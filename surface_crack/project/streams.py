"""Keep working when a standard stream is closed or its reader has gone.

A program may start with some of them closed (`2>&-`, a cron wrapper, Windows' pythonw), and a
reader may exit early (`| head`, a closed terminal). Output then goes to os.devnull. Lost output is
an error, reported at the end, only if the reader still exists, as with a full disk.
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


def protect_streams() -> None:
    """Make the three standard streams exist and accept all writes.

    Call it before opening any file that stays open: the file could get the descriptor of a closed
    stream, and with it the output meant for that stream.
    """
    for number in range(3):
        _open_if_closed(number)
    if sys.stdin is None:
        sys.stdin = _new_stream(0)
    sys.stdout = _protected(sys.stdout or _new_stream(1), 1)
    sys.stderr = _protected(sys.stderr or _new_stream(2), 2)


def flush_streams() -> None:
    """Flush. Raises OSError if any output was lost, unless its reader had gone."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        if isinstance(raw := _raw(stream), _ProtectedStream) and raw.error:
            raise raw.error


class _ProtectedStream(io.FileIO):
    """The raw layer of a standard stream, which all output passes: print, logging, progress bars,
    help, and Python's own flush at exit.
    """

    error: OSError | None = None  # the first failed write whose reader still exists

    def __init__(self, number: int) -> None:
        super().__init__(number, "w", closefd=False)

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            number = self.fileno()
            if not self.error and not _reader_gone(error, number):
                self.error = OSError(error.errno, error.strerror, NAMES[number])
            with suppress(OSError):
                _redirect_to_devnull(number)
            return memoryview(data).nbytes


def _reader_gone(error: OSError, number: int) -> bool:
    if isinstance(error, BrokenPipeError | ConnectionResetError):
        return True
    if error.errno == errno.EIO:  # a closed terminal; for a file it means a broken disk
        return stat.S_ISCHR(os.fstat(number).st_mode)
    return os.name == "nt" and error.errno == errno.EINVAL  # a broken pipe on Windows


def _open_if_closed(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        with suppress(OSError):  # pythonw has no descriptors to replace
            _redirect_to_devnull(number)


def _redirect_to_devnull(number: int) -> None:
    """Point a standard stream at os.devnull, also for child processes."""
    null = os.open(os.devnull, os.O_RDWR)
    if null == number:
        os.set_inheritable(number, True)
    else:
        os.dup2(null, number)
        os.close(null)


def _protected(stream: TextIO, number: int) -> TextIO:
    """The stream over a `_ProtectedStream`; unchanged unless it is a plain file of that number."""
    if type(stream) is not io.TextIOWrapper or type(raw := _raw(stream)) is not io.FileIO:
        return stream  # protected already, replaced by a test, or a Windows console
    if raw.fileno() != number:
        return stream
    with suppress(OSError):  # nothing has been written so far
        stream.flush()
    protected = _ProtectedStream(number)
    unbuffered = stream.buffer is raw  # `python -u`
    return io.TextIOWrapper(
        protected if unbuffered else io.BufferedWriter(protected),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _raw(stream: TextIO) -> object:
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)


def _new_stream(number: int) -> TextIO:
    """A stream that Python did not create, because its descriptor was closed."""
    mode: Literal["r", "w"] = "w" if number else "r"
    try:
        return os.fdopen(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False)
    except OSError:  # pythonw has no such descriptors
        return Path(os.devnull).open(mode, encoding="utf-8", errors="backslashreplace")
