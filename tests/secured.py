"""A real Kafka that lets nobody do anything unasked: SASL_SSL with SCRAM, mutual TLS, Kafka's authorizer, our ACLs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from streams.acls import acls, flat
from streams.local.broker import Broker
from streams.local.ports import free_ports
from streams.local.properties import Tunnel
from streams.secure import Cluster, Security
from streams.settings import Settings
from tests.certificates import Authority, Pair
from tests.tools import end_all

OWNER = "owner"
"""A super user, for what one user alone does."""
STRANGER = "stranger"
"""Who can log in and has no rule."""

SCRAM, MUTUAL = "TUNNEL0", "TUNNEL1"


@dataclass
class Secured:
    """The broker, and what each role needs to reach it: by its password, or by its certificate."""

    broker: Broker
    authority: Authority
    folder: Path
    ports: dict[str, int]
    made: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def password(self, role: str) -> Path:
        """The file with a role's password."""
        path = self.folder / f"{role}.password"
        if not path.exists():
            path.write_text(f"secret-of-{role}\n")
        return path

    def pair(self, role: str) -> Pair:
        """A role's certificate."""
        return self.authority.issue(role)

    def environment(self, role: str, *, mutual: bool = False) -> dict[str, str]:
        """The variables that a deployment sets."""
        common = {
            "DAILIES_BOOTSTRAP": f"localhost:{self.ports[MUTUAL if mutual else SCRAM]}",
            "DAILIES_KAFKA_CA_FILE": str(self.authority.certificate),
        }
        if mutual:
            pair = self.pair(role)
            files = {"DAILIES_KAFKA_CERT_FILE": str(pair.certificate), "DAILIES_KAFKA_KEY_FILE": str(pair.key)}
            return common | files | {"DAILIES_KAFKA_SECURITY_PROTOCOL": "SSL"}
        return common | {
            "DAILIES_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "DAILIES_KAFKA_SASL_USERNAME": role,
            "DAILIES_KAFKA_SASL_PASSWORD_FILE": str(self.password(role)),
        }

    def cluster(self, role: str, *, mutual: bool = False, **options: Any) -> Cluster:
        """The cluster as a role reaches it; ``options`` are settings that differ."""
        given = {name.removeprefix("DAILIES_").lower(): value for name, value in self.environment(role, mutual=mutual).items()}
        settings = Settings(**{**given, **options})
        return Cluster(cast(str, settings.bootstrap), Security.of(settings))

    def command(self, role: str, *arguments: str, mutual: bool = False, **more: str) -> tuple[list[str], dict[str, str]]:
        """A command line of Dailies and its environment, as a role."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("DAILIES_")}
        own = {"DAILIES_DATA_DIR": str(self.folder / "data"), **self.environment(role, mutual=mutual), **more}
        return [sys.executable, "-m", "streams.cli", *arguments], clean | own

    def dailies(self, role: str, *arguments: str, mutual: bool = False) -> subprocess.CompletedProcess[str]:
        """A command to its end."""
        command, environment = self.command(role, *arguments, mutual=mutual)
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

    def start(self, role: str, *arguments: str, mutual: bool = False, **more: str) -> subprocess.Popen[bytes]:
        """A process in the background; its log is ``ROLE.log``."""
        command, environment = self.command(role, *arguments, mutual=mutual, **more)
        log = (self.folder / f"{role}.log").open("ab")
        self.made.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))
        return self.made[-1]

    def end(self) -> None:
        """Ends what is left of these."""
        end_all(self.made)

    def prepare(self) -> None:
        """Users with passwords and the table of ACLs, made by the super user that the loopback listener takes everybody for."""
        client = AdminClient({"bootstrap.servers": self.broker.bootstrap})
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        names = [*acls(), STRANGER, OWNER]
        upserts = [UserScramCredentialUpsertion(n, info, self.password(n).read_text().strip().encode()) for n in names]
        _done(client.alter_user_scram_credentials(upserts).values())
        _done(client.create_acls(list(_bindings())).values())


def _bindings() -> Iterator[AclBinding]:
    for role, operation, rule in flat():
        yield AclBinding(
            ResourceType[rule.resource.upper()],
            rule.name,
            ResourcePatternType.PREFIXED if rule.prefix else ResourcePatternType.LITERAL,
            f"User:{role}",
            "*",
            AclOperation[operation.name],
            AclPermissionType.ALLOW,
        )


def _done(futures: Any) -> None:
    for future in futures:
        cast(Future[Any], future).result()


def _properties(authority: Authority) -> dict[str, str]:
    broker = authority.issue("broker")
    shared = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(broker.both),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.certificate),
    }
    scram = {"sasl.enabled.mechanisms": "SCRAM-SHA-512"}
    scram["scram-sha-512.sasl.jaas.config"] = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    mutual = {"ssl.client.auth": "required", "ssl.principal.mapping.rules": "RULE:^CN=([^,]+).*$/$1/"}
    return {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        # Who comes by the plain loopback listener, the controller and the test itself among them.
        "super.users": f"User:ANONYMOUS;User:{OWNER}",
        **{f"listener.name.{SCRAM.lower()}.{key}": value for key, value in (shared | scram).items()},
        **{f"listener.name.{MUTUAL.lower()}.{key}": value for key, value in (shared | mutual).items()},
    }


@contextmanager
def secured_broker(folder: Path) -> Iterator[Secured]:
    """A broker with its users and rules, without topics."""
    authority = Authority(folder / "ca")
    scram, mutual = free_ports(2)
    tunnels = [Tunnel(scram, f"localhost:{scram}", "SASL_SSL"), Tunnel(mutual, f"localhost:{mutual}", "SSL")]
    with Broker(folder / "kafka", tunnels=tunnels, properties=_properties(authority)) as broker:
        found = Secured(broker, authority, folder, {SCRAM: scram, MUTUAL: mutual})
        found.prepare()
        try:
            yield found
        finally:
            found.end()


def refused(error: KafkaException) -> str:
    """The name of Kafka's error."""
    return str(error.args[0].name())


def outcome(future: Future[Any]) -> str | None:
    """What an administrator's request was refused with; None if it was done."""
    try:
        future.result()
    except KafkaException as error:
        return refused(error)
    return None


ROLES: Sequence[str] = tuple(acls())
