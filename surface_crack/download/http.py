"""The bytes of one address, over HTTP, into a `.part` file that a broken line does not cost.

writes  <folder>/<stem>-<8 hex digits>.part      what has arrived; the next request goes on from it
        <folder>/<stem>-<8 hex digits>.part-tag  which version of the file that is a piece of

Ranges and validators follow RFC 9110, sections 13.1.5 and 14.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import IO, cast
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from tqdm import tqdm

from surface_crack.project.errors import DownloadError, one_line

TIMEOUT = 30.0  # seconds to connect, and for a read that brings nothing
ATTEMPTS = 4  # requests for one file, as long as each of them brings something
CHUNK = 1 << 18  # bytes
HEAD = 6  # bytes that show what a file is
# Some hosts answer 403 to "Python-urllib".
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) surface-crack"

# Called with the first HEAD bytes of a file and with where they come from. Raises DownloadError
# if the rest need not be fetched.
CheckHead = Callable[[bytes, str], None]


class StatusError(DownloadError):
    """The server answered with an error. `total`: bytes in the file, where a 416 says it."""

    def __init__(self, message: str, code: int, total: int | None) -> None:
        super().__init__(message)
        self.code, self.total = code, total


class _BrokenError(DownloadError):
    """The line went dead: what has arrived is good, and another request may bring the rest."""


@dataclass(frozen=True)
class Rules:
    """Where a request may go, redirects included."""

    hosts: tuple[str, ...] | None  # each with its subdomains; None: the user named the address
    schemes: tuple[str, ...] = ("https",)
    timeout: float = TIMEOUT  # seconds

    def check(self, url: str) -> None:
        """Raises DownloadError unless `url` has an allowed scheme and host."""
        try:
            scheme, host = urlsplit(url).scheme, urlsplit(url).hostname
        except ValueError:
            scheme, host = "", None
        if scheme not in self.schemes or not host:
            raise DownloadError(f"an address must start with {self.schemes[-1]}://, got {url!r}")
        if self.hosts is not None and not any(f".{host}".endswith(f".{h}") for h in self.hosts):
            raise DownloadError(f"{host} is not a known host of this data (--url lifts the list)")


def fetch_url(
    url: str, size: int | None, archive: Path, rules: Rules, check_head: CheckHead
) -> Path:
    """All that the server has at `url`, in as many requests as it takes, as a `.part` of `archive`.

    `size` in bytes, if known, is compared with what the server announces, before the body.
    Raises StatusError for an HTTP error, DownloadError for what else the server, the line, `rules`
    or `check_head` object to, and OSError if the disk does. Each time, as after a
    KeyboardInterrupt, what has arrived is kept.
    """
    digest = hashlib.sha256(url.encode()).hexdigest()[:8]  # so each address has its own file
    part = archive.with_name(f"{archive.stem}-{digest}.part")
    for attempt in range(1, ATTEMPTS + 1):
        before = _bytes_in(part)
        try:
            _receive(url, part, size, rules, check_head)
            break
        except _BrokenError:
            if attempt == ATTEMPTS or _bytes_in(part) <= before:
                raise
    return part


def discard(part: Path) -> None:
    """Delete a `.part` that is of no use, and its validator."""
    part.unlink(missing_ok=True)
    _tag_file(part).unlink(missing_ok=True)


def leftovers(archive: Path) -> list[Path]:
    """Every `.part` and `.part-tag` of `archive`, whichever address it came from."""
    return sorted(archive.parent.glob(f"{archive.stem}-????????.part*"))


def short_url(url: str) -> str:
    """Host and file name, for messages."""
    address = urlsplit(url)
    return f"{address.netloc}/.../{PurePosixPath(address.path).name}"


def _receive(url: str, part: Path, size: int | None, rules: Rules, check_head: CheckHead) -> None:
    """One request, for what `part` still lacks."""
    offset = _bytes_in(part)
    try:
        response = _open(url, offset, _tag_file(part), rules)
    except StatusError as error:
        if error.code != 416 or offset == 0:
            raise
        if error.total == offset:
            return  # it was whole already
        # There is no such place in the file, so this is no piece of it: from the start.
        offset, response = 0, _open(url, 0, _tag_file(part), rules)
    source = short_url(url)
    with response:
        start, total = _extent(response, offset, source)
        if size is not None and total is not None and total != size:
            raise DownloadError(f"{source} has the size in bytes {total} instead of {size}")
        pieces = _pieces(response, source)
        head = next(pieces, b"")
        if start == 0:  # `part` is begun anew only once the answer is seen to be what we want
            if len(head) < HEAD:
                raise _BrokenError(f"{source} broke off after {len(head)} bytes")
            check_head(head, source)
            _tag_file(part).write_text(_validator(response.headers), encoding="latin-1")
        _write(chain([head], pieces), start, total, part, source)
    if total is not None and _bytes_in(part) < total:
        raise _BrokenError(f"{source} broke off at {_bytes_in(part):,} of {total:,} bytes")


def _write(pieces: Iterable[bytes], start: int, total: int | None, part: Path, source: str) -> None:
    """Append `pieces` to `part`, or begin it anew where they start at byte 0."""
    with (
        part.open("ab" if start else "wb") as file,
        tqdm(
            total=total, initial=start, desc=source, unit="B", unit_scale=True, disable=None
        ) as bar,
    ):
        for piece in pieces:
            file.write(piece)
            bar.update(len(piece))


def _pieces(response: HTTPResponse, source: str) -> Iterator[bytes]:
    """The body as it arrives. `read1` hands out what is there, so a stall loses nothing of it."""
    try:
        piece = response.read(HEAD)
        while piece:
            yield piece
            piece = response.read1(CHUNK)
    except (OSError, HTTPException) as error:
        raise _BrokenError(f"{source} broke off ({_reason(error)})") from None


class _CheckedRedirects(HTTPRedirectHandler):
    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        try:
            self.rules.check(newurl)
        except DownloadError as error:
            fp.close()
            message = f"{short_url(req.full_url)} redirects elsewhere: {error}"
            raise DownloadError(message) from None
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(url: str, offset: int, tag_file: Path, rules: Rules) -> HTTPResponse:
    rules.check(url)
    # A plain GET of SDNET2018 was seen to fail where a range request worked: always ask for one.
    headers = {"User-Agent": USER_AGENT, "Accept": "*/*", "Range": f"bytes={offset}-"}
    if offset and tag_file.exists() and (tag := tag_file.read_text(encoding="latin-1")):
        headers["If-Range"] = tag
    opener = build_opener(_CheckedRedirects(rules))
    try:
        response = opener.open(Request(url, headers=headers), timeout=rules.timeout)
    except HTTPError as error:
        with error:
            total = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", ""))
            message = f"{short_url(url)} answered HTTP {error.code} {error.reason}"
            raise StatusError(message, error.code, int(total[1]) if total else None) from None
    except (OSError, HTTPException, ValueError) as error:
        raise _BrokenError(f"{short_url(url)} cannot be reached ({_reason(error)})") from None
    return cast(HTTPResponse, response)


def _extent(response: HTTPResponse, offset: int, source: str) -> tuple[int, int | None]:
    """(first byte of the answer, bytes in the whole file or None if the server does not say)."""
    if response.status != 206:  # the server knows no ranges, or the file has changed: all of it
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    said = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", said)
    if match is None or int(match[1]) != offset:
        raise DownloadError(f"{source} sent the range {said!r} when asked for bytes {offset}-")
    return offset, None if match[2] == "*" else int(match[2])


def _validator(headers: HTTPMessage) -> str:
    """What `If-Range` may name: a strong ETag, or else the date of the last change."""
    tag = headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")


def _bytes_in(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _tag_file(part: Path) -> Path:
    """Where the validator of `part` is kept."""
    return part.with_suffix(".part-tag")


def _reason(error: Exception) -> str:
    """One line: urllib wraps the error that matters in another."""
    inner = getattr(error, "reason", error)  # of some errors a text
    return one_line(inner if isinstance(inner, Exception) else error)
