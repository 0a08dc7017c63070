"""A role's answers over HTTP: ``/live``, ``/ready``, ``/metrics``. In threads of their own: a role that hangs still answers."""

from __future__ import annotations

import errno
import socket
import socketserver
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Self

import orjson
from prometheus_client.exposition import choose_encoder

from schemas.errors import PortTaken, SetupError
from streams.health import Answer
from streams.vitals import Vitals

REQUEST_SECONDS = 5.0
"""How long a client may be silent."""

ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where a server that listens on every address is reached from the same machine."""


class ProbeServer:
    """Serves one process's vitals from its construction until it is closed. Port 0 is any free one.

    Raises:
        PortTaken: another program listens there.
        SetupError: the address is none of this machine's.
    """

    def __init__(self, vitals: Vitals, bind: str, port: int) -> None:
        handler = type("Handler", (_Handler,), {"vitals": vitals})
        family = type("Server", (_Server,), {"address_family": socket.AF_INET6 if ":" in bind else socket.AF_INET})
        try:
            self._server = family((bind, port), handler)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(f"port {port} is in use: give this role another one (DAILIES_HEALTH_PORT), or 0") from error
            raise SetupError(f"cannot answer probes at {bind!r}, port {port} (DAILIES_HEALTH_BIND): {error}") from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="probes", daemon=True)
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port where this machine reaches it."""
        host, port = self._server.server_address[:2]
        return ANYWHERE.get(host, host), port

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(socketserver.ThreadingTCPServer):
    # Not http.server's: that one looks its own name up in the DNS when it starts.
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True


class _Handler(BaseHTTPRequestHandler):
    vitals: Vitals
    timeout = REQUEST_SECONDS

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/live":
                self._answer(self.vitals.health.live())
            case "/ready":
                self._answer(self.vitals.health.readiness())
            case "/metrics":
                encode, content_type = choose_encoder(self.headers.get("Accept", ""))
                self._send(HTTPStatus.OK, encode(self.vitals.registry), content_type)
            case _:
                self._send(HTTPStatus.NOT_FOUND, b"there are /live, /ready and /metrics\n", "text/plain")

    def _answer(self, answer: Answer) -> None:
        status = HTTPStatus.OK if answer.ok else HTTPStatus.SERVICE_UNAVAILABLE
        self._send(status, orjson.dumps(answer.body()), "application/json")

    def _send(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a line for each probe would drown the role's own."""
