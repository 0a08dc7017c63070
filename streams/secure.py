"""How to reach a cluster: its addresses, and TLS and SASL for both Kafka clients from one set of settings.

Every client of Dailies is made of :func:`connection` (confluent-kafka), or of ``streams.app.make_app``, which takes the same
:class:`Security` (Faust, that is aiokafka). Secrets stay inside: no ``repr`` and no message has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr

from schemas.errors import SetupError
from streams.settings import Settings
from streams.tls import ReloadingContext

DEFAULT_MECHANISM = "SCRAM-SHA-512"

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]


@dataclass(frozen=True)
class Security:
    """How clients prove who they are, and how they know the brokers.

    ``password`` and ``key_password`` are read from their files when a client is made, so that a new client has new ones.
    """

    protocol: Protocol = "PLAINTEXT"
    mechanism: str | None = None
    username: str | None = None
    given_password: SecretStr | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    key_password_file: Path | None = None

    @classmethod
    def of(cls, settings: Settings) -> Security:
        """What the settings say. Raises ``SetupError`` where they contradict each other, or a file cannot be read."""
        protocol = settings.kafka_security_protocol
        made = cls(
            protocol,
            (settings.kafka_sasl_mechanism or DEFAULT_MECHANISM) if "SASL" in protocol else settings.kafka_sasl_mechanism,
            settings.kafka_sasl_username,
            settings.kafka_sasl_password,
            settings.kafka_sasl_password_file,
            settings.kafka_ca_file,
            settings.kafka_cert_file,
            settings.kafka_key_file,
            settings.kafka_key_password_file,
        )
        made._check()
        return made

    @property
    def sasl(self) -> bool:
        """Whether clients log in with a name and a password."""
        return self.protocol.startswith("SASL")

    @property
    def tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.protocol.endswith("SSL")

    def password(self) -> str:
        """The password as it is now."""
        return _secret(self.password_file) if self.given_password is None else self.given_password.get_secret_value()

    def key_password(self) -> str | None:
        """What the private key is encrypted with, if it is."""
        return None if self.key_password_file is None else _secret(self.key_password_file)

    @cached_property
    def context(self) -> ReloadingContext:
        """TLS for aiokafka: one context for all of a process's clients; it takes renewed certificates by itself."""
        return ReloadingContext(self.ca_file, self.cert_file, self.key_file, self.key_password)

    def _check(self) -> None:
        if self.sasl:
            self._check_login()
        elif extra := _named(sasl_mechanism=self.mechanism, sasl_username=self.username, sasl_password=self.given_password,
                             sasl_password_file=self.password_file):  # fmt: skip
            raise SetupError(
                f"{_and(extra)} {_is(extra)} set, but DAILIES_KAFKA_SECURITY_PROTOCOL is {self.protocol}: set it to SASL_SSL "
                f"(or SASL_PLAINTEXT), or take {_it(extra)} away."
            )
        files = {"ca_file": self.ca_file, "cert_file": self.cert_file, "key_file": self.key_file}
        files["key_password_file"] = self.key_password_file
        if not self.tls and (extra := _named(**files)):
            raise SetupError(
                f"{_and(extra)} {_is(extra)} set, but DAILIES_KAFKA_SECURITY_PROTOCOL is {self.protocol}, which encrypts "
                f"nothing: set it to {'SASL_SSL' if self.sasl else 'SSL'}, or take {_it(extra)} away."
            )
        if (self.cert_file is None) != (self.key_file is None):
            there, missing = ("CERT", "KEY") if self.key_file is None else ("KEY", "CERT")
            raise SetupError(
                f"DAILIES_KAFKA_{there}_FILE needs DAILIES_KAFKA_{missing}_FILE: a certificate and its key go together."
            )
        if self.key_password_file is not None and self.key_file is None:
            raise SetupError("DAILIES_KAFKA_KEY_PASSWORD_FILE is set without DAILIES_KAFKA_KEY_FILE: name the key too.")
        for name, path in {**files, "sasl_password_file": self.password_file}.items():
            _readable(name, path)
        if self.tls:
            _ = self.context

    def _check_login(self) -> None:
        if not self.username:
            raise SetupError(f"{self.protocol} needs a user: set DAILIES_KAFKA_SASL_USERNAME.")
        if (self.given_password is None) == (self.password_file is None):
            raise SetupError(
                f"{self.protocol} needs one password: set either DAILIES_KAFKA_SASL_PASSWORD_FILE or "
                f"DAILIES_KAFKA_SASL_PASSWORD, and not {'both' if self.password_file else 'neither'}."
            )


PLAIN = Security()
"""No encryption and no login: the local stack's own broker on loopback."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster as clients reach it: ``host:port``, several with commas, and how to speak with it."""

    servers: str
    security: Security = PLAIN

    def __str__(self) -> str:
        return self.servers

    @property
    def approach(self) -> str:
        """Where, by which protocol and as whom: for errors of who gets no answer."""
        if self.security.protocol == "PLAINTEXT":
            return self.servers
        who = f" as {self.security.username}" if self.security.sasl else f" with {self.security.cert_file or 'no certificate'}"
        return f"{self.servers} by {self.security.protocol}{who}"


Bootstrap = str | Cluster
"""A cluster, or only the bootstrap servers of one that asks for nothing."""


def cluster(bootstrap: Bootstrap) -> Cluster:
    """The cluster meant."""
    return bootstrap if isinstance(bootstrap, Cluster) else Cluster(bootstrap)


def connection(bootstrap: Bootstrap) -> dict[str, Any]:
    """The settings of a confluent-kafka client that say where the cluster is and how to speak with it.

    Certificates and passwords are read when the client is made: it does not look again.
    """
    there = cluster(bootstrap)
    security = there.security
    found: dict[str, Any] = {"bootstrap.servers": there.servers}
    if security.protocol != "PLAINTEXT":
        found["security.protocol"] = security.protocol
    if security.sasl:
        found |= {
            "sasl.mechanism": security.mechanism,
            "sasl.username": security.username,
            "sasl.password": security.password(),
        }
    files = {
        "ssl.ca.location": security.ca_file,
        "ssl.certificate.location": security.cert_file,
        "ssl.key.location": security.key_file,
    }
    found |= {name: str(path) for name, path in files.items() if path is not None}
    if (password := security.key_password()) is not None:
        found["ssl.key.password"] = password
    return found


def _secret(path: Path | None) -> str:
    assert path is not None
    try:
        return path.read_text().rstrip("\r\n")
    except OSError as error:
        raise SetupError(f"cannot read the secret in {path}: {error.strerror}") from error


def _readable(name: str, path: Path | None) -> None:
    if path is None:
        return
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise SetupError(f"DAILIES_KAFKA_{name.upper()} names {path}, which cannot be read: {error.strerror}.") from error


def _named(**values: object) -> list[str]:
    return [f"DAILIES_KAFKA_{name.upper()}" for name, value in values.items() if value is not None]


def _and(names: list[str]) -> str:
    return " and ".join(names)


def _is(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _it(names: list[str]) -> str:
    return "it" if len(names) == 1 else "them"
