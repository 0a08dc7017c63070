"""Web sources by byte ranges, with every name resolved, every address checked and every redirect judged by the policy.

The connection goes to the address that was checked, so a name that changes its address in between gains nothing.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from email.message import Message
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from processors.objects import RangedSource
from processors.policy import WEB_PORTS, SourcePolicy, to_uri
from schemas.errors import SourceChanged, SourceMissing, SourceRefused, Unprocessable

TIMEOUT_SECONDS = 30.0
REDIRECTS = 5
MOVED = {301, 302, 303, 307, 308}
GONE = {401, 403, 404, 410, 451}


class Part(NamedTuple):
    """An answer: the bytes, the size of the whole and its version."""

    data: bytes
    size: int
    version: str


class WebSource(RangedSource):
    """An object on a web server that answers byte ranges."""

    def __init__(self, uri: str, policy: SourcePolicy) -> None:
        self._reader = _Reader(uri, policy)
        first = self._reader.get(0, 1)
        super().__init__(uri, first.size, first.version, self._fetch)

    def _fetch(self, start: int, end: int) -> bytes:
        try:
            part = self._reader.get(start, end)
        except (OSError, http.client.HTTPException):  # idle connections are dropped: once more, on a new one
            self._reader.close()
            part = self._reader.get(start, end)
        if part.version != self.version:
            raise SourceChanged(f"{self.uri} changed while it was read")
        return part.data

    def changed(self) -> bool:
        """Whether the server now has another version."""
        self._reader.close()
        try:
            return self._reader.get(0, 1).version != self.version
        except SourceMissing:
            return True

    def close(self) -> None:
        """Close the connection."""
        self._reader.close()
        super().close()


class _Reader:
    """Byte ranges of one URI. The connection of the last redirect's target is kept for as long as it lasts."""

    def __init__(self, uri: str, policy: SourcePolicy) -> None:
        self.uri = uri
        self.policy = policy
        self._target = uri
        self._connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        """Forget the connection and where redirects led."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self._target = None, self.uri

    def get(self, start: int, end: int) -> Part:
        for _ in range(REDIRECTS + 1):
            response = self._ask(start, end)
            if response.status not in MOVED:
                return self._part(response, start, end)
            target = to_uri(urljoin(self._target, response.headers.get("Location", "")))
            self.close()
            self.policy.check(target)
            self._target = target
        raise SourceRefused(f"{self.uri}: more than {REDIRECTS} redirects")

    def _ask(self, start: int, end: int) -> http.client.HTTPResponse:
        parts = urlsplit(self._target)
        if self._connection is None:
            self._connection = _connect(parts.scheme, parts.hostname or "", parts.port, self.policy)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        headers = {"Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity", "User-Agent": "dailies"}
        self._connection.request("GET", path, headers=headers)
        return self._connection.getresponse()

    def _part(self, response: http.client.HTTPResponse, start: int, end: int) -> Part:
        headers, status = response.headers, response.status
        span, _, total = (headers.get("Content-Range") or "").partition("/")
        if status == 206 and total.isdigit() and span.startswith(f"bytes {start}-"):
            wanted = min(end, int(total)) - start
            data = response.read(wanted)
            if len(data) != wanted:
                raise ConnectionError(f"{self.uri}: {len(data)} bytes of {wanted} came")
            return Part(data, int(total), _version(headers, int(total)))
        self.close()
        if (status == 416 and total == "0") or (status == 200 and headers.get("Content-Length") == "0"):
            return Part(b"", 0, _version(headers, 0))
        if status in GONE:
            raise SourceMissing(f"{self.uri}: the server answers {status} {response.reason}")
        if status >= 400:
            raise ConnectionError(f"{self.uri}: the server answers {status} {response.reason}")
        raise Unprocessable(f"{self.uri}: the server does not give byte ranges (status {status})", reason="no_ranges")


def _version(headers: Message, size: int) -> str:
    version = headers.get("x-amz-version-id")
    if version and version != "null":
        return version
    etag = headers.get("ETag")
    return etag.strip('"') if etag else f"{headers.get('Last-Modified')}-{size}"


def _connect(scheme: str, host: str, port: int | None, policy: SourcePolicy) -> http.client.HTTPConnection:
    port = port or WEB_PORTS[scheme]
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    connection.sock = _socket(host, port, policy)
    connection.auto_open = 0  # it may never connect by itself: that would resolve the name again, unchecked
    if scheme == "https":
        try:
            connection.sock = ssl.create_default_context().wrap_socket(connection.sock, server_hostname=host)
        except ssl.SSLCertVerificationError as error:
            raise SourceRefused(f"{host}: {error.verify_message}") from error
        connection.default_port = WEB_PORTS["https"]
    return connection


def _socket(host: str, port: int, policy: SourcePolicy) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
            raise
        raise SourceMissing(f"there is no host {host}: {error}") from error
    for *_, address in found:
        policy.check_address(host, str(address[0]))
    failure: OSError | None = None
    for family, kind, protocol, _, address in found:
        connection = socket.socket(family, kind, protocol)
        connection.settimeout(TIMEOUT_SECONDS)
        try:
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure or ConnectionError(f"no address of {host} answers")
