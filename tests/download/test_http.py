"""One address over HTTP: what is asked, what is kept when the line breaks, where it may lead."""

from http.server import BaseHTTPRequestHandler
from pathlib import Path
from random import Random

import pytest

from surface_crack.download import http
from surface_crack.download.http import Rules, StatusError, discard, fetch_url, leftovers
from surface_crack.project.errors import DownloadError
from tests.support.server import LOCAL, TAG, Site, page, redirect, status

CONTENT = b"good" + Random(0).randbytes(400_000)  # takes several reads
HALF = len(CONTENT) // 2


def only_good(head: bytes, source: str) -> None:
    if not head.startswith(b"good"):
        raise DownloadError(f"{source} gave {head!r}")


def get(site: Site, folder: Path, size: int | None = None, rules: Rules = LOCAL) -> bytes:
    """The content of /a, as far as the `.part` tells."""
    part = fetch_url(site.url("/a"), size, folder / "toy.zip", rules, only_good)
    assert part.parent == folder
    assert part.match("toy-????????.part")
    return part.read_bytes()


def failure(site: Site, folder: Path, size: int | None = None, rules: Rules = LOCAL) -> str:
    with pytest.raises(DownloadError) as caught:
        get(site, folder, size, rules)
    return str(caught.value)


def kept(folder: Path) -> bytes:
    """What a `.part` in `folder` holds, and b"" if there is none."""
    assert {path.suffix for path in folder.iterdir()} <= {".part", ".part-tag"}
    return b"".join(path.read_bytes() for path in folder.glob("*.part"))


def test_a_good_file(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = site.file(CONTENT)
    assert get(site, tmp_path, len(CONTENT)) == CONTENT
    # SDNET2018 wants a range even for the whole file, Mendeley an agent that is no "Python-urllib"
    assert [asked.range for asked in site.asked] == ["bytes=0-"]
    assert site.asked[0].agent.startswith("Mozilla/5.0")


def test_each_address_has_its_own_part(site: Site, tmp_path: Path) -> None:
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


# --- broken lines ---


def test_a_cut_connection_is_resumed_with_the_rest_only(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = site.file(CONTENT, cut=HALF)
    assert get(site, tmp_path) == CONTENT
    assert [asked.range for asked in site.asked] == ["bytes=0-", f"bytes={HALF}-"]
    assert [asked.if_range for asked in site.asked] == ["", TAG]
    assert site.sent == [HALF, len(CONTENT) - HALF]


def test_a_stall_keeps_every_byte_for_the_next_call(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = site.stalled(CONTENT, HALF)
    message = failure(site, tmp_path)
    assert "broke off (" in message
    assert "timed out" in message
    assert len(site.asked) == 2  # the second brought nothing new, so there was no third
    assert kept(tmp_path) == CONTENT[:HALF]
    site.asked.clear()
    site.answers["/a"] = site.file(CONTENT)
    assert get(site, tmp_path) == CONTENT
    assert [asked.range for asked in site.asked] == [f"bytes={HALF}-"]


def test_a_file_that_changed_in_between_is_fetched_anew(site: Site, tmp_path: Path) -> None:
    first = site.file(b"good old" + CONTENT, cut=HALF, tag='"v0"')

    def answer(handler: BaseHTTPRequestHandler) -> None:
        site.answers["/a"] = site.file(CONTENT)
        first(handler)

    site.answers["/a"] = answer
    assert get(site, tmp_path) == CONTENT
    assert site.asked[1].if_range == '"v0"'
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
def test_the_validator_is_a_strong_one(
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
    assert site.asked[1].if_range == validator
    assert site.asked[1].range == "bytes=100-"


def test_a_server_without_ranges_sends_all_of_it_again(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = site.file(CONTENT, cut=HALF, ranges=False)
    assert get(site, tmp_path) == CONTENT
    assert site.sent == [HALF, len(CONTENT)]


def test_a_part_that_was_whole_already_is_not_fetched_again(site: Site, tmp_path: Path) -> None:
    """416 with the very size: the last run was stopped after the last byte."""
    site.answers["/a"] = site.file(CONTENT)
    assert get(site, tmp_path) == get(site, tmp_path) == CONTENT
    assert len(site.asked) == 2
    assert site.sent == [len(CONTENT)]


def test_a_part_longer_than_the_file_is_fetched_anew(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = site.stalled(CONTENT + CONTENT, len(CONTENT) + 1)
    failure(site, tmp_path)
    site.answers["/a"] = site.file(CONTENT)
    assert get(site, tmp_path) == CONTENT


def test_a_robot_check_in_the_middle_does_not_cost_the_part(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = site.stalled(CONTENT, HALF)
    failure(site, tmp_path)
    site.answers["/a"] = page
    assert failure(site, tmp_path) == rf"{site.address}/.../a gave b'\n<!DOC'"
    assert kept(tmp_path) == CONTENT[:HALF]


def test_a_range_that_was_not_asked_for_is_refused(site: Site, tmp_path: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 7-{len(CONTENT) - 1}/{len(CONTENT)}")
        handler.end_headers()
        handler.wfile.write(CONTENT[7:])

    site.answers["/a"] = answer
    assert "when asked for bytes 0-" in failure(site, tmp_path)
    assert kept(tmp_path) == b""


def test_a_line_that_breaks_every_time_is_given_up(site: Site, tmp_path: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        site.file(CONTENT, cut=int(handler.headers["Range"][6:-1]) + 1000)(handler)

    site.answers["/a"] = answer
    assert f"broke off at 4,000 of {len(CONTENT):,} bytes" in failure(site, tmp_path)
    assert len(site.asked) == http.ATTEMPTS


def test_a_line_that_breaks_at_once_is_not_taken_for_a_wrong_file(
    site: Site, tmp_path: Path
) -> None:
    site.answers["/a"] = site.file(CONTENT, cut=3)
    assert "broke off after 3 bytes" in failure(site, tmp_path)


def test_no_server_at_all(tmp_path: Path) -> None:
    site = Site()
    site.close()
    assert "cannot be reached (" in failure(site, tmp_path)


# --- other answers ---


def test_an_http_error_has_its_code(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = status(403)
    with pytest.raises(StatusError, match=r"/\.\.\./a answered HTTP 403 Forbidden$") as caught:
        get(site, tmp_path)
    assert caught.value.code == 403
    assert len(site.asked) == 1


def test_what_the_head_check_refuses_is_not_written(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = site.stalled(b"a bad file", 7)
    assert failure(site, tmp_path) == f"{site.address}/.../a gave b'a bad '"
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_size_is_refused_before_the_body(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = site.stalled(CONTENT, HALF)
    message = failure(site, tmp_path, size=7)
    assert f"has the size in bytes {len(CONTENT)} instead of 7" in message
    assert list(tmp_path.iterdir()) == []


# --- where a request may go ---


def test_a_redirect_on_the_list_is_followed(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = redirect("/b")
    site.answers["/b"] = site.file(CONTENT, cut=HALF)
    assert get(site, tmp_path) == CONTENT
    assert [asked.range for asked in site.asked if asked.path == "/b"][1] == f"bytes={HALF}-"


def test_a_redirect_to_another_host_is_refused(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = redirect(site.url("/b").replace("127.0.0.1", "localhost"))
    message = failure(site, tmp_path)
    assert "redirects elsewhere: localhost is not a known host of this data (--url" in message
    assert [asked.path for asked in site.asked] == ["/a"]


def test_what_the_rules_forbid_is_not_even_asked(site: Site, tmp_path: Path) -> None:
    assert "must start with https://" in failure(site, tmp_path, rules=Rules(None))
    rules = Rules(("example.org",), schemes=("http",))
    assert "127.0.0.1 is not a known host" in failure(site, tmp_path, rules=rules)
    assert site.asked == []
