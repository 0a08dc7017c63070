"""Which URIs may be read, and how they are written: one normal form, so that one object has one identity."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from schemas.errors import SourceRefused, Unprocessable

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://|(file):/")
WEB_PORTS = {"http": 80, "https": 443}
ELSEWHERE = {
    "gs": "Google Cloud Storage is read through its S3 interface: set DAILIES_S3_ENDPOINTS to "
    '{"gs": "https://storage.googleapis.com"} and the AWS_… variables to an HMAC key',
    "az": 'Azure Blob Storage is read through a gateway that speaks S3: set DAILIES_S3_ENDPOINTS to {"az": "https://…"}',
}
"""Schemes that upload events may bring and that nothing here reads by itself, with what to do about it."""
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class SourcePolicy:
    """What may be read.

    ``schemes`` are the allowed URI schemes. ``roots`` are folders or URI prefixes that a source must lie under; empty:
    anywhere. ``private_addresses`` lets web sources be on private, loopback and link-local addresses. ``endpoints`` are schemes
    (``gs``, ``az``) with the URL of a store that speaks S3 and holds their objects; ``s3`` itself may be one of them, and what
    is named there is allowed. JSON-able by ``dataclasses.asdict``; :meth:`from_json` is the inverse.
    """

    schemes: tuple[str, ...] = ("file", "s3", "https")
    roots: tuple[str, ...] = ()
    private_addresses: bool = False
    endpoints: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> SourcePolicy:
        """The inverse of ``dataclasses.asdict``, from lists or tuples."""
        endpoints = tuple((str(scheme), str(url)) for scheme, url in body.get("endpoints", ()))
        return cls(tuple(body["schemes"]), tuple(body["roots"]), bool(body.get("private_addresses", False)), endpoints)

    def check(self, uri: str) -> None:
        """Raise ``SourceRefused`` if a normalised URI may not be read. Of a file only the scheme: its real path is
        what counts (:meth:`check_path`). ``Unprocessable`` (``backend_missing``) says of other clouds' schemes what to set.
        """
        scheme = uri.partition(":")[0]
        mapped = scheme in dict(self.endpoints)
        if scheme in ELSEWHERE and not mapped:
            raise Unprocessable(f"{uri}: {ELSEWHERE[scheme]}", reason="backend_missing")
        if scheme not in self.schemes and not mapped:
            raise SourceRefused(f"the scheme of {uri} is not allowed; allowed are {', '.join(self.schemes)}")
        if scheme != "file" and self.roots and not any(_under(uri, to_uri(root)) for root in self.roots):
            raise SourceRefused(f"{uri} is not under an allowed root")

    def check_path(self, real: str) -> None:
        """Raise ``SourceRefused`` if a real path (no symbolic link left in it) is not under an allowed root."""
        if self.roots and not any(Path(real).is_relative_to(root) for root in self._folders()):
            raise SourceRefused(f"{real} is not under an allowed root")

    def check_address(self, host: str, address: str) -> None:
        """Raise ``SourceRefused`` if a host's address is not a public one and only those are allowed."""
        if not self.private_addresses and not is_public(ipaddress.ip_address(address.partition("%")[0])):
            raise SourceRefused(f"{host} is at {address}, which is not a public address")

    def _folders(self) -> list[str]:
        uris = (to_uri(root) for root in self.roots)
        return [os.path.realpath(to_path(uri)) for uri in uris if uri.startswith("file:")]


def is_public(address: Address) -> bool:
    """Whether an address is reachable from everywhere; an address that carries another one is judged by both."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None and not is_public(inner):
            return False
        if address.ipv4_mapped:
            return True
    return address.is_global and not address.is_multicast


def to_uri(path_or_uri: str) -> str:
    """The normal form of a URI or a plain path (which becomes an absolute ``file:`` URI).

    ``s3://bucket/key`` takes the key as it is, without percent-encoding. Raises ``SourceRefused`` if it is malformed.
    """
    try:
        match = SCHEME.match(path_or_uri)
        if match is None:
            return _file_uri(path_or_uri)
        scheme = (match[1] or match[2]).lower()
        if scheme == "file":
            return _file_uri(to_path(path_or_uri))
        if scheme in WEB_PORTS:
            return _web_uri(urlsplit(path_or_uri))
        rest = path_or_uri[match.end() :]
        _no_dots(rest)
        return f"{scheme}://{rest}"
    except ValueError as error:
        raise SourceRefused(f"not a usable URI: {path_or_uri!r}: {error}") from error


def to_path(uri: str) -> str:
    """The path of a ``file:`` URI. Raises ``ValueError`` if it names another machine."""
    rest = uri[len("file:") :]
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        if host not in ("", "localhost"):
            raise ValueError(f"{host} is another machine")
        rest = slash + path
    return unquote(rest, errors="surrogateescape")


def _file_uri(path: str) -> str:
    if not path or "\0" in path:
        raise ValueError("an empty path, or one with a NUL")
    return Path(os.path.abspath(path)).as_uri()  # noqa: PTH100  (Path.resolve would follow links: the name is the identity)


def _web_uri(parts: SplitResult) -> str:
    if parts.username is not None or parts.password is not None:
        raise ValueError("credentials in it would travel in every event")
    if not parts.hostname or any(ord(c) <= 0x20 or c == "\x7f" for c in urlunsplit(parts)):
        raise ValueError("no host, or a control character or space in it")
    _no_dots(unquote(parts.path))
    scheme = parts.scheme.lower()
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = "" if parts.port in (None, WEB_PORTS[scheme]) else f":{parts.port}"
    return urlunsplit((scheme, host + port, parts.path or "/", parts.query, ""))


def _no_dots(path: str) -> None:
    """Servers and clients differ in what they make of ``..``: no such path is ever sent."""
    if not {".", ".."}.isdisjoint(re.split(r"[/\\]", path)):
        raise ValueError("a '.' or '..' in the path")


def _under(uri: str, root: str) -> bool:
    if uri.startswith("http"):
        uri, root = (unquote(text.partition("?")[0]) for text in (uri, root))
    return uri == root or uri.startswith(root.rstrip("/") + "/")
