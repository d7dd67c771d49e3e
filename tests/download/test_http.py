"""Download of one URL over HTTP: requests, resume, redirects."""

from http.server import BaseHTTPRequestHandler
from pathlib import Path
from random import Random

import pytest

from surface_crack.download import http
from surface_crack.download.http import Rules, StatusError, discard, fetch_url, leftovers
from surface_crack.project.errors import DownloadError
from tests.support.server import LOCAL, TAG, Site, page, redirect, status

CONTENT = b"good" + Random(0).randbytes(400_000)  # needs several reads
HALF = len(CONTENT) // 2


def only_good(head: bytes, source: str) -> None:
    if not head.startswith(b"good"):
        raise DownloadError(f"{source} gave {head!r}")


def get(site: Site, folder: Path, size: int | None = None, rules: Rules = LOCAL) -> bytes:
    """Download /a and return the content of its `.part`."""
    part = fetch_url(site.url("/a"), size, folder / "toy.zip", rules, only_good)
    assert part.parent == folder
    assert part.match("toy-????????.part")
    return part.read_bytes()


def failure(site: Site, folder: Path, size: int | None = None, rules: Rules = LOCAL) -> str:
    with pytest.raises(DownloadError) as caught:
        get(site, folder, size, rules)
    return str(caught.value)


def kept(folder: Path) -> bytes:
    """Content of the `.part` in `folder`, b"" if there is none."""
    assert {path.suffix for path in folder.iterdir()} <= {".part", ".part-tag"}
    return b"".join(path.read_bytes() for path in folder.glob("*.part"))


def test_a_good_file_is_downloaded(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = site.file(CONTENT)
    assert get(site, tmp_path, len(CONTENT)) == CONTENT
    # SDNET2018 needs a range even for the whole file, Mendeley another agent than "Python-urllib"
    assert [request.range for request in site.requests] == ["bytes=0-"]
    assert site.requests[0].agent.startswith("Mozilla/5.0")


def test_each_url_has_its_own_part_file(site: Site, tmp_path: Path) -> None:
    archive = tmp_path / "toy.zip"
    site.answers.update({"/a": site.file(CONTENT), "/b": site.file(b"good one")})
    a, b = (fetch_url(site.url(path), None, archive, LOCAL, only_good) for path in ("/a", "/b"))
    assert (a.read_bytes(), b.read_bytes()) == (CONTENT, b"good one")
    (tmp_path / "metu-01234567.part").touch()  # of another archive
    assert set(leftovers(archive)) == {
        path for part in (a, b) for path in (part, part.with_suffix(".part-tag"))
    }
    discard(a)
    discard(b)
    assert leftovers(archive) == []
    assert [path.name for path in tmp_path.iterdir()] == ["metu-01234567.part"]


# --- broken connections ---


def test_after_a_cut_connection_only_the_rest_is_requested(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = site.file(CONTENT, cut=HALF)
    assert get(site, tmp_path) == CONTENT
    assert [request.range for request in site.requests] == ["bytes=0-", f"bytes={HALF}-"]
    assert [request.if_range for request in site.requests] == ["", TAG]
    assert site.sent == [HALF, len(CONTENT) - HALF]


def test_a_stall_keeps_every_byte_for_the_next_call(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = site.stalled(CONTENT, HALF)
    message = failure(site, tmp_path)
    assert "broke off (" in message
    assert "timed out" in message
    assert len(site.requests) == 2  # the second brought nothing new, so there was no third
    assert kept(tmp_path) == CONTENT[:HALF]
    site.requests.clear()
    site.answers["/a"] = site.file(CONTENT)
    assert get(site, tmp_path) == CONTENT
    assert [request.range for request in site.requests] == [f"bytes={HALF}-"]


def test_a_file_that_changed_meanwhile_is_downloaded_from_the_start(
    site: Site, tmp_path: Path
) -> None:
    first = site.file(b"good old" + CONTENT, cut=HALF, tag='"v0"')

    def answer(handler: BaseHTTPRequestHandler) -> None:
        site.answers["/a"] = site.file(CONTENT)
        first(handler)

    site.answers["/a"] = answer
    assert get(site, tmp_path) == CONTENT
    assert site.requests[1].if_range == '"v0"'
    assert site.sent == [HALF, len(CONTENT)]


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({"ETag": '"a"', "Last-Modified": "Mon"}, '"a"'),
        ({"ETag": 'W/"a"', "Last-Modified": "Mon"}, "Mon"),  # If-Range takes no weak tag
        ({"ETag": 'W/"a"'}, ""),
        ({}, ""),
    ],
)
def test_the_validator_is_a_strong_etag_or_the_date(
    site: Site, tmp_path: Path, headers: dict[str, str], validator: str
) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        for name, value in {**headers, "Content-Length": "99999"}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(CONTENT[:100])
        site.answers["/a"] = status(503)

    site.answers["/a"] = answer
    assert "HTTP 503" in failure(site, tmp_path)
    assert site.requests[1].if_range == validator
    assert site.requests[1].range == "bytes=100-"


def test_without_range_support_the_whole_file_is_sent_again(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = site.file(CONTENT, cut=HALF, ranges=False)
    assert get(site, tmp_path) == CONTENT
    assert site.sent == [HALF, len(CONTENT)]


def test_a_complete_part_is_not_downloaded_again(site: Site, tmp_path: Path) -> None:
    """416 with the same size: the last run was stopped after the last byte."""
    site.answers["/a"] = site.file(CONTENT)
    assert get(site, tmp_path) == get(site, tmp_path) == CONTENT
    assert len(site.requests) == 2
    assert site.sent == [len(CONTENT)]


def test_a_part_longer_than_the_file_is_downloaded_again(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = site.stalled(CONTENT + CONTENT, len(CONTENT) + 1)
    failure(site, tmp_path)
    site.answers["/a"] = site.file(CONTENT)
    assert get(site, tmp_path) == CONTENT


def test_a_bot_check_during_a_resume_does_not_destroy_the_part(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = site.stalled(CONTENT, HALF)
    failure(site, tmp_path)
    site.answers["/a"] = page
    assert failure(site, tmp_path) == rf"{site.address}/.../a gave b'\n<!DOC'"
    assert kept(tmp_path) == CONTENT[:HALF]


def test_a_wrong_range_is_refused(site: Site, tmp_path: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 7-{len(CONTENT) - 1}/{len(CONTENT)}")
        handler.end_headers()
        handler.wfile.write(CONTENT[7:])

    site.answers["/a"] = answer
    assert "asked for bytes 0-" in failure(site, tmp_path)
    assert kept(tmp_path) == b""


def test_a_connection_that_always_breaks_is_given_up(site: Site, tmp_path: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        site.file(CONTENT, cut=int(handler.headers["Range"][6:-1]) + 1000)(handler)

    site.answers["/a"] = answer
    assert f"broke off at 4,000 of {len(CONTENT):,} bytes" in failure(site, tmp_path)
    assert len(site.requests) == http.ATTEMPTS


def test_a_connection_that_breaks_at_once_is_not_reported_as_a_wrong_file(
    site: Site, tmp_path: Path
) -> None:
    site.answers["/a"] = site.file(CONTENT, cut=3)
    assert "broke off after 3 bytes" in failure(site, tmp_path)


def test_an_unreachable_server_is_reported(tmp_path: Path) -> None:
    site = Site()
    site.close()
    assert "cannot be reached (" in failure(site, tmp_path)


# --- other responses ---


def test_an_http_error_has_its_code(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = status(403)
    with pytest.raises(StatusError, match=r"/\.\.\./a answered HTTP 403 Forbidden$") as caught:
        get(site, tmp_path)
    assert caught.value.code == 403
    assert len(site.requests) == 1


def test_a_file_refused_by_the_head_check_is_not_written(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = site.stalled(b"a bad file", 7)
    assert failure(site, tmp_path) == f"{site.address}/.../a gave b'a bad '"
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_size_is_refused_before_the_body(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = site.stalled(CONTENT, HALF)
    message = failure(site, tmp_path, size=7)
    assert f"has the size in bytes {len(CONTENT)} instead of 7" in message
    assert list(tmp_path.iterdir()) == []


# --- allowed hosts and schemes ---


def test_a_redirect_to_a_listed_host_is_followed(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = redirect("/b")
    site.answers["/b"] = site.file(CONTENT, cut=HALF)
    assert get(site, tmp_path) == CONTENT
    assert [request.range for request in site.requests if request.path == "/b"][
        1
    ] == f"bytes={HALF}-"


def test_a_redirect_to_another_host_is_refused(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = redirect(site.url("/b").replace("127.0.0.1", "localhost"))
    message = failure(site, tmp_path)
    assert (
        "redirects to a forbidden address: localhost is not a known host of this data (--url"
        in message
    )
    assert [request.path for request in site.requests] == ["/a"]


def test_no_request_is_sent_against_the_rules(site: Site, tmp_path: Path) -> None:
    assert "must start with https://" in failure(site, tmp_path, rules=Rules(None))
    rules = Rules(("example.org",), schemes=("http",))
    assert "127.0.0.1 is not a known host" in failure(site, tmp_path, rules=rules)
    assert site.requests == []
