"""Certificates made for a test by openssl: an authority, what it issues, and a handshake with what it issued."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.tools import require_tool

_CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]


@dataclass(frozen=True)
class Pair:
    """PEM files: a certificate, its private key, and both in one as Kafka's keystore wants them."""

    certificate: Path
    key: Path
    both: Path


class Authority:
    """A self-signed authority in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.certificate = folder / "ca.crt"
        self._key = folder / "ca.key"
        self._run(
            "req",
            "-x509",
            *_CURVE,
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=tests",
            "-keyout",
            self._key,
            "-out",
            self.certificate,
        )

    @staticmethod
    def _run(*arguments: object) -> None:
        subprocess.run([require_tool("openssl"), *map(str, arguments)], check=True, capture_output=True)

    def issue(self, name: str, *, password: str | None = None) -> Pair:
        """A certificate of ``name`` (its CN, for clients) and of localhost (for servers). The key may have a password."""
        key, asked, made, both = (self.folder / f"{name}.{end}" for end in ("key", "csr", "crt", "pem"))
        encrypted = ["-nodes"] if password is None else ["-passout", f"pass:{password}"]
        self._run("req", *_CURVE, *encrypted, "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                  "-keyout", key, "-out", asked)  # fmt: skip
        self._run("x509", "-req", "-in", asked, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-days", "2",
                  "-copy_extensions", "copy", "-out", made)  # fmt: skip
        both.write_bytes(key.read_bytes() + made.read_bytes())
        return Pair(made, key, both)

    def seen(self, client: ssl.SSLContext) -> str:
        """The client's name, as a server of this authority sees it in a handshake. Raises what the handshake raises."""
        pair = self.issue("server")
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(pair.certificate, pair.key)
        server.load_verify_locations(self.certificate)
        server.verify_mode = ssl.CERT_REQUIRED
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        ours = client.wrap_bio(down, up, server_hostname="localhost")
        theirs = server.wrap_bio(up, down, server_side=True)
        done: set[ssl.SSLObject] = set()
        while len(done) < 2:
            for side in (ours, theirs):
                try:
                    side.do_handshake()
                    done.add(side)
                except ssl.SSLWantReadError:
                    continue
        subject = theirs.getpeercert()
        assert subject
        return str(dict(pair[0] for pair in subject["subject"])["commonName"])
