"""Download one URL over HTTP into a `.part` file, with resume after a broken connection.

writes  <folder>/<stem>-<8 hex digits>.part      bytes received so far; the next request resumes
        <folder>/<stem>-<8 hex digits>.part-tag  validator: the version of the file they belong to

Range requests and validators follow RFC 9110, sections 13.1.5 and 14.
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

TIMEOUT = 30.0  # seconds, to connect and for each read
ATTEMPTS = 4  # requests for one file, as long as each of them brings new bytes
CHUNK = 1 << 18  # bytes
HEAD = 6  # bytes that identify the file type
# Some hosts answer 403 to "Python-urllib".
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) surface-crack"

# Called with the first HEAD bytes of a file and their source. Raises DownloadError if the rest
# need not be downloaded.
CheckHead = Callable[[bytes, str], None]


class StatusError(DownloadError):
    """The server answered with an HTTP error. `total`: file size in bytes, if a 416 states it."""

    def __init__(self, message: str, code: int, total: int | None) -> None:
        super().__init__(message)
        self.code, self.total = code, total


class _BrokenError(DownloadError):
    """The connection broke: the bytes so far are good, and another request may get the rest."""


@dataclass(frozen=True)
class Rules:
    """Allowed hosts and schemes of a request and its redirects."""

    hosts: tuple[str, ...] | None  # each with its subdomains; None: any (the user gave the URL)
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
            raise DownloadError(f"{host} is not a known host of this data (--url allows any host)")


def fetch_url(
    url: str, size: int | None, archive: Path, rules: Rules, check_head: CheckHead
) -> Path:
    """Download `url` completely, in up to ATTEMPTS requests, into a `.part` next to `archive`.

    `size` in bytes, if known, is compared with what the server announces, before the body.
    Raises StatusError for an HTTP error, DownloadError for any other failure of the server, the
    connection, `rules` or `check_head`, and OSError for disk errors. In each case, and after a
    KeyboardInterrupt, the bytes received so far are kept.
    """
    digest = hashlib.sha256(url.encode()).hexdigest()[:8]  # so that each URL has its own file
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
    """Delete a useless `.part` and its validator."""
    part.unlink(missing_ok=True)
    _tag_file(part).unlink(missing_ok=True)


def leftovers(archive: Path) -> list[Path]:
    """Every `.part` and `.part-tag` of `archive`, from any URL."""
    return sorted(archive.parent.glob(f"{archive.stem}-????????.part*"))


def short_url(url: str) -> str:
    """Host and file name, for messages."""
    address = urlsplit(url)
    return f"{address.netloc}/.../{PurePosixPath(address.path).name}"


def _receive(url: str, part: Path, size: int | None, rules: Rules, check_head: CheckHead) -> None:
    """Send one request for the missing bytes of `part`."""
    offset = _bytes_in(part)
    try:
        response = _open(url, offset, _tag_file(part), rules)
    except StatusError as error:
        if error.code != 416 or offset == 0:
            raise
        if error.total == offset:
            return  # already complete
        # The part is longer than the file, so it belongs to another version: start over.
        offset, response = 0, _open(url, 0, _tag_file(part), rules)
    source = short_url(url)
    with response:
        start, total = _extent(response, offset, source)
        if size is not None and total is not None and total != size:
            raise DownloadError(f"{source} has the size in bytes {total} instead of {size}")
        pieces = _pieces(response, source)
        head = next(pieces, b"")
        if start == 0:  # `part` is overwritten only after the head has been checked
            if len(head) < HEAD:
                raise _BrokenError(f"{source} broke off after {len(head)} bytes")
            check_head(head, source)
            _tag_file(part).write_text(_validator(response.headers), encoding="latin-1")
        _write(chain([head], pieces), start, total, part, source)
    if total is not None and _bytes_in(part) < total:
        raise _BrokenError(f"{source} broke off at {_bytes_in(part):,} of {total:,} bytes")


def _write(pieces: Iterable[bytes], start: int, total: int | None, part: Path, source: str) -> None:
    """Append `pieces` to `part`; overwrite it if they start at byte 0."""
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
    """The body as it arrives. `read1` returns what is available, so a stall loses nothing."""
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
            message = f"{short_url(req.full_url)} redirects to a forbidden address: {error}"
            raise DownloadError(message) from None
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(url: str, offset: int, tag_file: Path, rules: Rules) -> HTTPResponse:
    rules.check(url)
    # A plain GET of SDNET2018 has failed where a range request worked: always send a range.
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
    """(first byte of the response, size of the whole file or None if the server does not say)."""
    if response.status != 206:  # no range support, or the file has changed: the whole file
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    content_range = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", content_range)
    if match is None or int(match[1]) != offset:
        raise DownloadError(f"{source} sent the range {content_range!r}, asked for bytes {offset}-")
    return offset, None if match[2] == "*" else int(match[2])


def _validator(headers: HTTPMessage) -> str:
    """The value for `If-Range`: a strong ETag, or else Last-Modified."""
    tag = headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")


def _bytes_in(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _tag_file(part: Path) -> Path:
    """The file with the validator of `part`."""
    return part.with_suffix(".part-tag")


def _reason(error: Exception) -> str:
    """The cause in one line: urllib wraps the error that matters in another."""
    inner = getattr(error, "reason", error)  # a string for some errors
    return one_line(inner if isinstance(inner, Exception) else error)
