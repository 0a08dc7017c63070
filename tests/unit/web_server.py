"""A small web server for tests: byte ranges, versions, redirects and ways to misbehave. Plain or with TLS."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Site:
    """What the server says. ``pages`` are bodies, ``moved`` redirects, ``status`` forced answers, by path."""

    pages: dict[str, bytes] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    status: dict[str, int] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    drop_after: int | None = None
    """Close each connection after so many answers, without saying so."""
    delays: dict[int, float] = field(default_factory=dict)
    """Seconds before an answer, by its number."""
    asked: list[str] = field(default_factory=list)
    base: str = ""


@contextmanager
def serve(site: Site, certificate: tuple[Path, Path] | None = None) -> Iterator[Site]:
    """Serve until the context ends; ``site.base`` is the address."""

    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        answers = 0

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            site.asked.append(f"{self.path} {self.headers.get('Range')}")
            ended.wait(site.delays.get(len(site.asked) - 1, 0.0))
            if self.path in site.moved:
                self._answer(302, b"", {"Location": site.moved[self.path]})
            elif self.path in site.status:
                self._answer(site.status[self.path], b"no")
            elif self.path not in site.pages:
                self._answer(404, b"nothing here")
            else:
                self._page(site.pages[self.path])

        def _page(self, body: bytes) -> None:
            if not site.ranges:
                self._answer(200, body)
                return
            low, high = (int(x) for x in self.headers["Range"].removeprefix("bytes=").split("-"))
            if low >= len(body):
                self._answer(416, b"", {"Content-Range": f"bytes */{len(body)}"})
                return
            part = body[low : high + 1]
            self._answer(206, part, {"Content-Range": f"bytes {low}-{low + len(part) - 1}/{len(body)}"})

        def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, text in {**site.headers, **(headers or {}), "Content-Length": str(len(body))}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(body)
            self.answers += 1
            if site.drop_after is not None and self.answers >= site.drop_after:
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    host = "localhost" if certificate else "127.0.0.1"
    site.base = f"{scheme}://{host}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        ended.set()
        server.shutdown()
        thread.join()
        server.server_close()
