"""Download of data sets from a server on 127.0.0.1: checks, resume, mirrors, RAR to zip."""

import hashlib
import io
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from random import Random

import pytest

from surface_crack.download.archive import download, fetch
from surface_crack.download.data_sets import ALLOWED_HOSTS, DATA_SETS, DataSet, RemoteFile
from surface_crack.download.http import Rules
from surface_crack.project.errors import DownloadError
from tests.support.makers import write_folder
from tests.support.server import LOCAL, Site, page, redirect, status

NOISE = Random(0).randbytes(400_000)  # one "photo" that needs several reads
IMAGES = {"Negative/1.jpg": NOISE, "Negative/2.jpg": b"two", "Positive/1.jpg": b"crack"}


def zipped(images: dict[str, bytes]) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name, content in images.items():
            archive.writestr(name, content)
    return memory.getvalue()


ARCHIVE = zipped(IMAGES)
HALF = len(ARCHIVE) // 2


def toy(*mirrors: tuple[RemoteFile, ...] | RemoteFile | str) -> DataSet:
    """A data set of two negatives and one positive; a mirror may be given as a single URL."""
    files = [RemoteFile((mirror,)) if isinstance(mirror, str) else mirror for mirror in mirrors]
    return DataSet(
        name="toy",
        negative=("Negative",),
        positive=("Positive",),
        counts=(2, 1),
        mirrors=tuple((file,) if isinstance(file, RemoteFile) else file for file in files),
        by_hand="https://example.org/toy",
        disk_mb=1,
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def failure(dataset: DataSet, folder: Path, rules: Rules = LOCAL) -> str:
    """The one-line error of a failing download; no archive and no folder may be left."""
    with pytest.raises(DownloadError) as caught:
        fetch(dataset, folder, rules)
    message = str(caught.value)
    assert "\n" not in message
    for path in folder.iterdir():
        assert path.is_file()
        assert re.fullmatch(r"toy-[0-9a-f]{8}\.part(-tag)?", path.name)
    return message


# --- success ---


def test_a_good_file_is_kept_unchanged_without_leftovers(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = site.file(ARCHIVE)
    digest = hashlib.sha256(ARCHIVE).hexdigest()
    remote = RemoteFile((site.url("/a"),), len(ARCHIVE), digest)
    archive = fetch(toy(remote), tmp_path / "new" / "raw", LOCAL)
    assert archive == tmp_path / "new/raw/toy.zip"
    assert archive.read_bytes() == ARCHIVE
    assert names(archive.parent) == ["toy.zip"]


def test_a_second_call_does_not_ask_the_server(site: Site, tmp_path: Path) -> None:
    (tmp_path / "toy.zip").write_bytes(ARCHIVE)  # fetched earlier, or saved by hand
    assert fetch(toy(site.url("/a")), tmp_path, LOCAL) == tmp_path / "toy.zip"
    assert site.requests == []


def test_an_existing_file_with_other_contents_is_not_touched(site: Site, tmp_path: Path) -> None:
    (tmp_path / "toy.zip").write_bytes(zipped({"Negative/1.jpg": b"", "Positive/1.jpg": b""}))
    with pytest.raises(DownloadError, match=r"exists but has 1 .* Negative, not 2: delete it"):
        fetch(toy(site.url("/a")), tmp_path, LOCAL)
    assert names(tmp_path) == ["toy.zip"]
    assert site.requests == []


# --- broken connections ---


def test_the_next_run_resumes_a_partial_download(site: Site, tmp_path: Path) -> None:
    dataset = toy(site.url("/a"))
    site.answers["/a"] = site.stalled(ARCHIVE, HALF)
    message = failure(dataset, tmp_path)
    (part,) = tmp_path.glob("*.part")
    assert part.stat().st_size == HALF
    assert f"Run again to resume {part.name} in {tmp_path}" in message
    site.requests.clear()
    site.answers["/a"] = site.file(ARCHIVE)
    assert fetch(dataset, tmp_path, LOCAL).read_bytes() == ARCHIVE
    assert [request.range for request in site.requests] == [f"bytes={HALF}-"]


def test_a_complete_file_of_a_mirror_is_not_downloaded_twice(site: Site, tmp_path: Path) -> None:
    dataset = toy((RemoteFile((site.url("/a"),)), RemoteFile((site.url("/b"),))))
    site.answers["/a"] = site.file(ARCHIVE)
    assert "HTTP 404" in failure(dataset, tmp_path)
    whole = zipped({"Negative/1.jpg": b"", "Positive/1.jpg": b""})
    site.answers["/b"] = site.file(whole)
    failure(dataset, tmp_path)  # too many images now, but /a was not sent a second time
    assert site.sent == [len(ARCHIVE), len(whole)]


def test_ctrl_c_keeps_the_part_file(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = site.stalled(ARCHIVE, HALF)
    code = (
        "import sys; from pathlib import Path\n"
        "from surface_crack.download.archive import download\n"
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # if ignored
    )
    code += "download('metu', Path(sys.argv[1]), sys.argv[2])"
    command = [sys.executable, "-c", code, str(tmp_path), site.url("/a")]
    most = HALF - io.DEFAULT_BUFFER_SIZE  # that much may still be in the write buffer
    deadline = time.monotonic() + 20
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while sum(path.stat().st_size for path in tmp_path.glob("*.part")) < most:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert "KeyboardInterrupt" in process.stderr.read()
    assert [path.suffix for path in sorted(tmp_path.iterdir())] == [".part", ".part-tag"]
    (part,) = tmp_path.glob("metu-*.part")
    assert part.stat().st_size >= most
    assert ARCHIVE.startswith(part.read_bytes())


# --- responses that are not the expected archive ---


@pytest.mark.parametrize("code", [403, 404, 500])
def test_an_http_error_is_reported_with_the_manual_download(
    site: Site, tmp_path: Path, code: int
) -> None:
    site.answers["/d/a.zip"] = status(code)
    message = failure(toy(site.url("/d/a.zip")), tmp_path)
    assert f"{site.address}/.../a.zip answered HTTP {code}" in message
    assert message.endswith(
        f"By hand: save the zip from https://example.org/toy as {tmp_path / 'toy.zip'} "
        "and run again to check it"
    )
    assert names(tmp_path) == []


def test_an_html_page_is_refused(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = page
    assert "sent an HTML page" in failure(toy(site.url("/a")), tmp_path)
    assert names(tmp_path) == []


def test_another_file_type_is_refused(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = site.file(b"\x1f\x8b\x08 a tar.gz")
    assert r"starting with b'\x1f\x8b" in failure(toy(site.url("/a")), tmp_path)


def test_a_wrong_size_is_refused_before_the_body(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = site.stalled(ARCHIVE, HALF)
    message = failure(toy(RemoteFile((site.url("/a"),), size=7)), tmp_path)
    assert f"has the size in bytes {len(ARCHIVE)} instead of 7" in message
    assert names(tmp_path) == []


def test_a_wrong_size_without_content_length_is_refused_at_the_end(
    site: Site, tmp_path: Path
) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)  # no Content-Length
        handler.end_headers()
        handler.wfile.write(ARCHIVE[:HALF])

    site.answers["/a"] = answer
    remote = RemoteFile((site.url("/a"),), size=len(ARCHIVE))
    assert f"{HALF} instead of {len(ARCHIVE)}" in failure(toy(remote), tmp_path)
    assert "is not a zip" in failure(toy(site.url("/a")), tmp_path)
    assert names(tmp_path) == []


def test_a_wrong_hash_is_refused(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = site.file(ARCHIVE)
    remote = RemoteFile((site.url("/a"),), len(ARCHIVE), "0" * 64)
    digest = hashlib.sha256(ARCHIVE).hexdigest()
    message = failure(toy(remote), tmp_path)
    assert f"has the SHA-256 {digest} instead of {'0' * 64}" in message
    assert names(tmp_path) == []


def test_a_damaged_zip_is_refused_without_a_known_hash(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = site.file(ARCHIVE.replace(b"crack", b"creck"))
    assert "is damaged (Positive/1.jpg)" in failure(toy(site.url("/a")), tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("images", "complaint"),
    [
        ({**IMAGES, "Positive/2.jpg": b""}, "has 2 image(s) in Positive, not 1"),
        ({**IMAGES, "Negative/3.jpg": b""}, "has 3 image(s) in Negative, not 2"),
        ({"Positive/1.jpg": b""}, "has 0 image(s) in Negative, not 2"),
        ({**IMAGES, "Unsure/3.jpg": b""}, "folder 'Unsure'"),
    ],
)
def test_wrong_image_counts_are_refused(
    site: Site, tmp_path: Path, images: dict[str, bytes], complaint: str
) -> None:
    site.answers["/a"] = site.file(zipped(images))
    assert complaint in failure(toy(site.url("/a")), tmp_path)
    assert names(tmp_path) == []


def test_a_full_disk_is_reported(site: Site, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    dataset = toy(site.url("/a"), site.url("/b"))
    site.answers["/a"] = site.stalled(ARCHIVE, 100)
    failure(dataset, tmp_path)
    (part,) = tmp_path.glob("*.part")
    part.unlink()
    part.symlink_to("/dev/full")  # the real error, from the kernel
    site.answers["/a"] = site.answers["/b"] = site.file(ARCHIVE)
    with pytest.raises(DownloadError, match=r"\(No space left on device\): toy needs about 1 MB"):
        fetch(dataset, tmp_path, LOCAL)
    assert not (tmp_path / "toy.zip").exists()
    assert site.requests[-1].path == "/a"  # the next mirror would not fit, either


def test_a_folder_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match="raw is a file, or is below one: give another"):
        fetch(toy(), tmp_path / "file" / "raw", LOCAL)


# --- allowed hosts and schemes ---


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://huggingface.co/a", True),
        ("https://HuggingFace.co:443/a", True),
        ("https://us.aws.cdn.hf.co/a", True),
        ("https://cas-bridge.xethub.hf.co/a", True),
        ("https://digitalcommons.usu.edu/a", True),
        ("http://huggingface.co/a", False),
        ("ftp://huggingface.co/a", False),
        ("file:///etc/passwd", False),
        ("https://evilhf.co/a", False),
        ("https://hf.co.evil.org/a", False),
        ("https://evil.org/hf.co", False),
        ("https://hf.co@evil.org/a", False),
        ("https://evil.org#.hf.co", False),
        ("https://s3.eu-west-1.amazonaws.com/other-bucket", False),
        ("https:///a", False),
        ("https://[hf.co/a", False),
    ],
)
def test_only_https_urls_of_listed_hosts_are_allowed(url: str, allowed: bool) -> None:
    if allowed:
        Rules(ALLOWED_HOSTS).check(url)
    else:
        with pytest.raises(DownloadError):
            Rules(ALLOWED_HOSTS).check(url)


@pytest.mark.parametrize("dataset", DATA_SETS.values(), ids=lambda dataset: dataset.name)
def test_every_known_url_is_allowed(dataset: DataSet) -> None:
    for mirror in dataset.mirrors:
        for remote in mirror:
            for url in remote.urls:
                Rules(ALLOWED_HOSTS).check(url)


def test_no_request_is_sent_to_a_host_off_the_list(site: Site, tmp_path: Path) -> None:
    dataset, rules = toy(site.url("/a")), Rules(ALLOWED_HOSTS)
    assert "must start with https://" in failure(dataset, tmp_path, rules)
    rules = replace(rules, schemes=("http",))
    assert "127.0.0.1 is not a known host" in failure(dataset, tmp_path, rules)
    assert site.requests == []


def test_a_redirect_off_the_list_is_not_followed(site: Site, tmp_path: Path) -> None:
    """Not even after a redirect within the list."""
    elsewhere = site.url("/c").replace("127.0.0.1", "localhost")
    site.answers |= {"/a": redirect(site.url("/b")), "/b": redirect(elsewhere)}
    site.answers["/c"] = site.file(ARCHIVE)
    message = failure(toy(site.url("/a")), tmp_path)
    assert "b redirects to a forbidden address: localhost is not a known host" in message
    assert [request.path for request in site.requests] == ["/a", "/b"]
    site.answers["/b"] = redirect("ftp://127.0.0.1/c")
    assert "redirects to a forbidden address: an address must start" in failure(
        toy(site.url("/a")), tmp_path
    )


def test_a_url_given_by_the_user_may_have_any_host(site: Site, tmp_path: Path) -> None:
    site.answers["/a"] = redirect(site.url("/b").replace("127.0.0.1", "localhost"))
    site.answers["/b"] = site.file(ARCHIVE)
    with pytest.raises(DownloadError, match=r"has 2 image\(s\) in Negative, not 20,000"):
        download("metu", tmp_path, site.url("/a"))
    assert [request.path for request in site.requests] == ["/a", "/b"]


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.org/a.zip", "metu.zip", "https://[::1"]
)
def test_a_url_given_by_the_user_must_be_http(tmp_path: Path, url: str) -> None:
    with pytest.raises(DownloadError, match="must start with https://, got"):
        download("metu", tmp_path, url)


def test_an_unknown_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"must be one of metu, sdnet, got 'METU'"):
        download("METU", tmp_path)


@pytest.fixture
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Path]]:
    """An HTTPS server and its self-signed certificate."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to create a certificate")
    pem = tmp_path_factory.mktemp("tls") / "site.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1"
    command += f" -addext subjectAltName=IP:127.0.0.1 -keyout {pem}.key -out {pem}"
    subprocess.run(command.split(), check=True, capture_output=True)
    both = pem.with_name("both.pem")
    both.write_bytes(Path(f"{pem}.key").read_bytes() + pem.read_bytes())
    with closing(Site(both)) as site:
        yield site, pem


def test_a_redirect_from_https_to_http_is_refused(
    site: Site, secure: tuple[Site, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    safe, pem = secure
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    site.answers["/b"] = site.file(ARCHIVE)
    safe.answers["/a"] = redirect(site.url("/b"))
    with pytest.raises(
        DownloadError, match=r"redirects to a forbidden address: .* must start with https://"
    ):
        download("metu", tmp_path, f"https://{safe.address}/a")
    assert len(safe.requests) == 1
    assert site.requests == []


def test_an_unknown_certificate_is_refused(secure: tuple[Site, Path], tmp_path: Path) -> None:
    safe, _ = secure
    safe.answers["/a"] = safe.file(ARCHIVE)
    with pytest.raises(DownloadError, match="CERTIFICATE_VERIFY_FAILED"):
        download("metu", tmp_path, f"https://{safe.address}/a")
    assert safe.requests == []


# --- several mirrors, several files ---


def test_the_next_mirror_is_tried(site: Site, tmp_path: Path) -> None:
    (tmp_path / "metu-01234567.part").touch()  # of another data set
    site.answers["/a"] = site.stalled(ARCHIVE, HALF)
    site.answers["/b"] = site.file(ARCHIVE)
    archive = fetch(toy(site.url("/a"), site.url("/b")), tmp_path, LOCAL)
    assert archive.read_bytes() == ARCHIVE
    assert names(tmp_path) == ["metu-01234567.part", "toy.zip"]  # the first mirror's half is gone


def test_the_error_has_the_reason_of_every_mirror(site: Site, tmp_path: Path) -> None:
    site.answers.update({"/a": status(403), "/b": page})
    message = failure(toy(site.url("/a"), site.url("/b"), site.url("/c")), tmp_path)
    positions = [message.index(reason) for reason in ("HTTP 403", "HTML page", "HTTP 404")]
    assert positions == sorted(positions)


PAIRS = {**IMAGES, "Positive/2.jpg": b"gap"}


def in_two_files(site: Site, *second: str) -> DataSet:
    """PAIRS in two unsorted zips with system files; `second`: alternative names of the second."""
    train = {f"data/train/{name}": PAIRS[name] for name in ("Positive/1.jpg", "Negative/1.jpg")}
    rest = {f"val/{name}": PAIRS[name] for name in ("Positive/2.jpg", "Negative/2.jpg")}
    clutter = {"val/notes.txt": b"", "__MACOSX/val/Negative/._2.jpg": b""}
    site.answers["/train.zip"] = site.file(zipped(train))
    site.answers["/val.zip"] = site.file(zipped({**rest, **clutter}))
    urls = tuple(site.url(path) for path in second or ["/val.zip"])
    dataset = toy((RemoteFile((site.url("/train.zip"),)), RemoteFile(urls)))
    return replace(dataset, counts=(2, 2))


def contents(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as file:
        assert all(info.compress_type == zipfile.ZIP_STORED for info in file.infolist())
        assert all(info.date_time == (1980, 1, 1, 0, 0, 0) for info in file.infolist())
        return {name: file.read(name) for name in file.namelist()}


def test_a_mirror_of_several_files_becomes_one_zip(site: Site, tmp_path: Path) -> None:
    archive = fetch(in_two_files(site), tmp_path, LOCAL)
    assert list(contents(archive).items()) == sorted(PAIRS.items())
    assert names(tmp_path) == ["toy.zip"]


def test_alternative_file_names_are_tried_after_404(site: Site, tmp_path: Path) -> None:
    dataset = in_two_files(site, "/validation.zip", "/valid.zip", "/val.zip")
    assert contents(fetch(dataset, tmp_path, LOCAL)) == PAIRS
    asked = [request.path for request in site.requests]
    assert asked == ["/train.zip", "/validation.zip", "/valid.zip", "/val.zip"]


def test_alternative_file_names_are_tried_after_404_only(site: Site, tmp_path: Path) -> None:
    dataset = in_two_files(site, "/validation.zip", "/val.zip")
    site.answers["/validation.zip"] = status(403)
    assert "HTTP 403" in failure(dataset, tmp_path)


def test_clashing_names_in_two_files_keep_their_paths(site: Site, tmp_path: Path) -> None:
    dataset = in_two_files(site)
    site.answers["/val.zip"] = site.file(zipped({"Negative/1.jpg": b"a", "Positive/1.jpg": b"b"}))
    found = contents(fetch(dataset, tmp_path, LOCAL))
    assert found["1/data/train/Negative/1.jpg"] == NOISE
    assert found["2/Negative/1.jpg"] == b"a"
    assert len(found) == 4


def test_damage_in_one_of_several_files_is_refused(site: Site, tmp_path: Path) -> None:
    dataset = in_two_files(site)
    content = zipped({"Negative/2.jpg": b"two", "Positive/2.jpg": b"crack"})
    site.answers["/val.zip"] = site.file(content.replace(b"crack", b"creck"))
    assert "is damaged (Positive/2.jpg" in failure(dataset, tmp_path)
    assert names(tmp_path) == []


# --- RAR ---


def rar(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """A RAR4 archive, stored. Layout: https://codedread.github.io/bitjs/docs/unrar.html"""

    def block(kind: int, flags: int, fields: bytes) -> bytes:
        head = struct.pack("<BHH", kind, flags, 7 + len(fields)) + fields
        return struct.pack("<H", zlib.crc32(head) & 0xFFFF) + head

    entries = [(name, 0o100644, content) for name, content in files.items()]
    entries[:0] = [(name, 0o120777, to.encode()) for name, to in (links or {}).items()]
    archive = b"Rar!\x1a\x07\x00" + block(0x73, 0, bytes(6))
    for name, mode, content in entries:
        size, crc, unix, stored, year_1980 = len(content), zlib.crc32(content), 3, 0x30, 0x210000
        fields = (size, size, unix, crc, year_1980, 20, stored, len(name), mode)
        head = struct.pack("<IIBIIBBHI", *fields) + name.replace("/", "\\").encode()
        archive += block(0x74, 0x8000, head) + content
    return archive + block(0x7B, 0x4000, b"")


TOOLS = pytest.mark.parametrize(
    "tool",
    [
        pytest.param(
            tool, marks=pytest.mark.skipif(not shutil.which(tool), reason=f"no {tool} here")
        )
        for tool in ("bsdtar", "unar")
    ],
)


def only(tool: str | None, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set PATH to a folder that has `tool` and nothing else."""
    folder.mkdir()
    if tool is not None:
        (folder / tool).symlink_to(str(shutil.which(tool)))
        for helper in ("lsar",):
            if found := shutil.which(helper):
                (folder / helper).symlink_to(found)
    monkeypatch.setenv("PATH", str(folder))


@TOOLS
def test_a_rar_and_a_zip_mirror_give_the_same_zip(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    dataset = in_two_files(site)
    merged = fetch(dataset, tmp_path / "merged", LOCAL)
    only(tool, tmp_path / "bin", monkeypatch)
    content = rar(PAIRS)
    site.answers["/a"] = site.file(content)
    remote = RemoteFile((site.url("/a"),), len(content), hashlib.sha256(content).hexdigest())
    original = fetch(replace(dataset, mirrors=((remote,),)), tmp_path / "raw", LOCAL)
    assert contents(original) == PAIRS
    assert original.read_bytes() == merged.read_bytes()
    assert names(tmp_path / "raw") == ["toy.zip"]


@TOOLS
def test_a_rar_saved_by_hand_is_converted_to_a_zip(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    only(tool, tmp_path / "bin", monkeypatch)
    folder = write_folder(tmp_path / "raw", {"toy.zip": rar(IMAGES)})
    archive = fetch(toy(site.url("/a")), folder, LOCAL)
    assert contents(archive) == IMAGES
    assert names(folder) == ["toy.zip"]
    assert site.requests == []


@TOOLS
def test_a_rar_cannot_write_or_read_outside_the_temporary_folder(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    only(tool, tmp_path / "bin", monkeypatch)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "9.jpg").write_bytes(b"secret")
    inside = {"Negative/1.jpg": b"1", "Positive/1.jpg": b"3", "Negative/2.jpg": b"2"}
    outside = ("../../../evil/Negative/8.jpg", f"{tmp_path}/evil/Negative/8.jpg", "way/out.jpg")
    links = {
        "way": str(tmp_path / "secret"),
        "Negative/9.jpg": str(tmp_path / "secret" / "9.jpg"),
        "Positive": "../../../secret",
    }
    site.answers["/a"] = site.file(rar({**inside, **dict.fromkeys(outside, b"evil")}, links))
    folder = tmp_path / "raw"
    try:
        archive = fetch(toy(site.url("/a")), folder, LOCAL)
    except DownloadError:
        assert all(path.suffix in {".part", ".part-tag"} for path in folder.iterdir())
    else:
        assert b"secret" not in contents(archive).values()
    assert names(tmp_path) == ["bin", "raw", "secret"]
    assert names(tmp_path / "secret") == ["9.jpg"]


@TOOLS
def test_links_in_a_rar_are_not_followed(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    only(tool, tmp_path / "bin", monkeypatch)
    (tmp_path / "9.jpg").write_bytes(b"secret")
    two = {"Negative/1.jpg": b"1", "Positive/1.jpg": b"3"}
    site.answers["/a"] = site.file(rar(two, {"Negative/9.jpg": str(tmp_path / "9.jpg")}))
    assert "has 1 image(s) in Negative, not 2" in failure(toy(site.url("/a")), tmp_path / "raw")


@TOOLS
def test_a_rar_that_cannot_be_unpacked_is_reported(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    only(tool, tmp_path / "bin", monkeypatch)
    site.answers["/a"] = site.file(rar(IMAGES)[:HALF])
    assert f"could not be unpacked ({tool}: " in failure(toy(site.url("/a")), tmp_path / "raw")


def test_the_next_tool_is_tried_after_a_failure(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian's 7z, for example, lists a RAR but cannot decode it."""
    only(None, tmp_path / "bin", monkeypatch)
    for tool, script in {
        "bsdtar": "echo rubbish > $5/rubbish; echo Unsupported in $5 >&2; exit 2",
        "7z": "exit 3",
    }.items():
        (tmp_path / "bin" / tool).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / tool).chmod(0o755)
    site.answers["/a"] = site.file(rar(IMAGES))
    message = failure(toy(site.url("/a")), tmp_path / "raw")
    assert f"(bsdtar: Unsupported in {tmp_path}/raw/.toy-" in message
    assert "; 7z: no reason given)" in message
    assert "Run again to resume toy-" in message  # once another tool is installed


def test_a_missing_rar_tool_is_reported_before_the_download(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(None, tmp_path / "bin", monkeypatch)
    site.answers["/a"] = site.stalled(rar(IMAGES), 1000)
    site.answers["/b"] = site.file(ARCHIVE)
    message = failure(toy(site.url("/a")), tmp_path / "raw")
    assert "is a RAR archive and none of bsdtar, unar, 7zz, 7z is installed" in message
    assert "apt install libarchive-tools" in message
    assert names(tmp_path / "raw") == []
    assert fetch(toy(site.url("/a"), site.url("/b")), tmp_path / "raw", LOCAL).exists()
