"""A TLS context that notices renewed certificates: what lies in its files counts for every new connection."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from schemas.errors import SetupError
from streams.log import get_logger

_log = get_logger(__name__)

Stamp = tuple[tuple[int, int, int], ...]
"""What tells two states of some files apart."""


class ReloadingContext(ssl.SSLContext):
    """A client's context that checks certificates and host names, and reads its files again when they have changed.

    It looks at each handshake, so a connection that is open lives on with what it began with. Files that do not fit together
    (one of two is written) leave the last good ones in place, and the next handshake looks again. An authority that is
    taken out of the CA file stays trusted until the process ends: OpenSSL only adds.
    """

    _ca: Path | None
    _cert: Path | None
    _key: Path | None
    _password: Callable[[], str | None]
    _seen: Stamp

    def __new__(cls, *_: object, **__: object) -> ReloadingContext:
        """A context for clients."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(
        self,
        ca: Path | None,
        cert: Path | None = None,
        key: Path | None = None,
        password: Callable[[], str | None] = lambda: None,
    ) -> None:
        """``ca`` None stands for the machine's authorities. Raises ``SetupError`` where a file cannot be used."""
        self.minimum_version = ssl.TLSVersion.TLSv1_2
        self._ca, self._cert, self._key, self._password = ca, cert, key, password
        if ca is None:
            self.load_default_certs()
        self._seen = self._stamp()
        try:
            self._load(self)
        except (OSError, ValueError) as error:  # an SSLError is an OSError
            raise SetupError(f"the TLS files cannot be used ({self._names()}): {_why(error)}") from error

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """As the base class, with the certificates of now: asyncio calls it for each connection."""
        self._look()
        return super().wrap_bio(*args, **kwargs)

    def _look(self) -> None:
        try:
            now = self._stamp()
            if now == self._seen:
                return
            # Tried on another context first: half of a pair would leave this one with neither.
            self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
            self._load(self)
        except (OSError, ValueError, SetupError) as error:
            _log.warning("renewed certificates cannot be used; the last good ones stay", files=self._names(), error=_why(error))
            return
        self._seen = now
        _log.info("certificates read again", files=self._names())

    def _load(self, context: ssl.SSLContext) -> None:
        if self._ca is not None:
            context.load_verify_locations(self._ca)
        if self._cert is not None:
            context.load_cert_chain(self._cert, self._key, password=lambda: self._password() or "")

    def _stamp(self) -> Stamp:
        found = (path.stat() for path in (self._ca, self._cert, self._key) if path is not None)
        return tuple((facts.st_ino, facts.st_mtime_ns, facts.st_size) for facts in found)

    def _names(self) -> str:
        return ", ".join(str(path) for path in (self._ca, self._cert, self._key) if path is not None) or "the machine's own"


def _why(error: Exception) -> str:
    return getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
