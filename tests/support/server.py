"""A real HTTP server on 127.0.0.1 that can misbehave: cut, stall, redirect, lie."""

import re
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

from surface_crack.download.http import Rules

TAG = '"v1"'
LOCAL = Rules(hosts=("127.0.0.1",), schemes=("http",), timeout=0.3)


class Received(NamedTuple):
    """One request."""

    path: str
    range: str
    if_range: str
    agent: str


class Site:
    """A server: the answer of each path, the requests received, the body bytes sent."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        self.requests: list[Received] = []
        self.sent: list[int] = []
        self.closing = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                names = ("Range", "If-Range", "User-Agent")
                headers = (self.headers.get(name, "") for name in names)
                site.requests.append(Received(self.path, *headers))
                site.answers.get(self.path, status(404))(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.address = f"127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def url(self, path: str) -> str:
        return f"http://{self.address}{path}"

    def close(self) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def body(self, handler: BaseHTTPRequestHandler, content: bytes) -> None:
        self.sent.append(len(content))
        handler.wfile.write(content)

    def file(
        self, content: bytes, *, cut: int | None = None, tag: str = TAG, ranges: bool = True
    ) -> Callable[[BaseHTTPRequestHandler], None]:
        """Serve `content`; with `cut`, the first answer ends after so many bytes."""
        cuts = [] if cut is None else [cut]

        def answer(handler: BaseHTTPRequestHandler) -> None:
            start = int(re.findall(r"\d+", handler.headers.get("Range", "bytes=0-"))[0])
            fresh = handler.headers.get("If-Range", tag) == tag
            if not ranges or not fresh:
                start = 0
            if ranges and start >= len(content):
                handler.send_response(416)
                handler.send_header("Content-Range", f"bytes */{len(content)}")
                handler.end_headers()
                return
            partial = ranges and fresh and "Range" in handler.headers
            handler.send_response(206 if partial else 200)
            if partial:
                end = f"{len(content) - 1}/{len(content)}"
                handler.send_header("Content-Range", f"bytes {start}-{end}")
            handler.send_header("ETag", tag)
            handler.send_header("Content-Length", str(len(content) - start))
            handler.end_headers()
            self.body(handler, content[start : cuts.pop() if cuts else None])

        return answer

    def stalled(self, content: bytes, after: int) -> Callable[[BaseHTTPRequestHandler], None]:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            self.body(handler, content[:after])
            self.closing.wait(60)  # longer than any test waits, even on a busy machine

        return answer


def status(code: int) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda handler: handler.send_error(code)


def redirect(url: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", url)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def page(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/zip")  # wrong on purpose
    handler.end_headers()
    handler.wfile.write(b"\n<!DOCTYPE html><title>Are you a robot?</title>")
