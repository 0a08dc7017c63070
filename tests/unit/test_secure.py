"""How clients are told to reach a cluster: both alike, secrets unseen, contradictions in words."""

from __future__ import annotations

import io
import ssl
from pathlib import Path
from typing import Any, cast

import pytest

from schemas.errors import SetupError
from streams import log
from streams.app import make_app
from streams.cli import common
from streams.connect import admin_client
from streams.local.state import bootstrap_of
from streams.producer import make_producer
from streams.secure import Cluster, Security, connection
from streams.settings import Settings
from tests.certificates import Authority

ROOT = Path(__file__).parents[2]
SECRET = "correct-horse-battery"
LOGIN = {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_username": "decoder", "kafka_sasl_password": SECRET}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def secured(**options: Any) -> Cluster:
    return Cluster("one:1,two:2", Security.of(Settings(**options)))


def test_plain_servers_ask_for_nothing(tmp_path: Path) -> None:
    assert connection("one:1") == connection(secured()) | {"bootstrap.servers": "one:1"} == {"bootstrap.servers": "one:1"}
    assert make_app("g", Settings(data_dir=tmp_path), bootstrap="one:1").conf.broker_credentials is None


def test_both_clients_are_told_the_same(tmp_path: Path, authority: Authority) -> None:
    there = secured(**LOGIN, kafka_ca_file=authority.certificate)
    assert connection(there) == {
        "bootstrap.servers": "one:1,two:2",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "decoder",
        "sasl.password": SECRET,
        "ssl.ca.location": str(authority.certificate),
    }
    app = make_app("g", Settings(data_dir=tmp_path), bootstrap=there)
    conf = app.conf
    assert [str(url) for url in conf.broker_consumer] == ["kafka://one:1", "kafka://two:2"]
    for given in (conf.broker_credentials, cast(Any, app.producer).credentials):
        assert (given.protocol.value, given.mechanism.value) == ("SASL_SSL", "SCRAM-SHA-512")
        assert (given.username, given.password) == ("decoder", SECRET)
        assert given.ssl_context.verify_mode is ssl.CERT_REQUIRED and given.ssl_context.check_hostname


def test_mutual_tls(tmp_path: Path, authority: Authority) -> None:
    pair = authority.issue("planner", password="key-" + SECRET)
    secret = tmp_path / "password"
    secret.write_text(f"key-{SECRET}\n")
    files = {"kafka_ca_file": authority.certificate, "kafka_cert_file": pair.certificate, "kafka_key_file": pair.key}
    there = secured(kafka_security_protocol="SSL", **files, kafka_key_password_file=secret)
    assert connection(there)["ssl.key.password"] == f"key-{SECRET}"
    assert connection(there)["ssl.certificate.location"] == str(pair.certificate)
    given = make_app("g", Settings(data_dir=tmp_path), bootstrap=there).conf.broker_credentials
    assert given.protocol.value == "SSL" and given.context is there.security.context
    with pytest.raises(SetupError, match="the TLS files cannot be used"):
        secret.write_text("another")
        secured(kafka_security_protocol="SSL", **files, kafka_key_password_file=secret)
    other = authority.issue("other")
    with pytest.raises(SetupError, match="the TLS files cannot be used"):
        secured(kafka_security_protocol="SSL", **files | {"kafka_key_file": other.key})


def test_the_clients_take_what_they_are_told(authority: Authority) -> None:
    pair = authority.issue("client")
    there = secured(**LOGIN, kafka_ca_file=authority.certificate, kafka_cert_file=pair.certificate, kafka_key_file=pair.key)
    admin_client(there)
    make_producer(there)


def test_every_client_is_made_of_a_connection() -> None:
    """The local broker's training run aside, which speaks with the broker that it has just started."""
    named = {path.name for path in (ROOT / "streams").rglob("*.py") if '"bootstrap.servers"' in path.read_text()}
    assert named == {"secure.py", "aot.py"}


def test_who_gets_no_answer_is_told_how_he_asked(authority: Authority) -> None:
    assert secured().approach == "one:1,two:2"
    assert secured(**LOGIN).approach == "one:1,two:2 by SASL_SSL as decoder"
    assert secured(kafka_security_protocol="SSL").approach == "one:1,two:2 by SSL with no certificate"
    pair = authority.issue("me")
    mutual = secured(kafka_security_protocol="SSL", kafka_cert_file=pair.certificate, kafka_key_file=pair.key)
    assert mutual.approach.endswith("me.crt")


def test_a_password_comes_from_its_file_when_a_client_is_made(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text(f"{SECRET}\n")
    there = secured(
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_sasl_username="u",
        kafka_sasl_password_file=secret,
        kafka_sasl_mechanism="PLAIN",
    )
    assert (connection(there)["sasl.password"], connection(there)["sasl.mechanism"]) == (SECRET, "PLAIN")
    secret.write_text("renewed")
    assert connection(there)["sasl.password"] == "renewed"
    secret.unlink()
    with pytest.raises(SetupError, match="cannot read the secret"):
        connection(there)


def test_secrets_are_seen_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in LOGIN.items():
        monkeypatch.setenv(f"DAILIES_{name.upper()}", value)
    settings = Settings(data_dir=tmp_path, bootstrap="localhost:1")
    there = bootstrap_of(settings)
    assert connection(there)["sasl.password"] == SECRET
    out = io.StringIO()
    log.configure(settings.model_copy(update={"log_level": "debug"}), role="decoder", stream=out)
    app = make_app("g", settings, bootstrap=there)
    log.get_logger("x").info("made", settings=settings, cluster=there, credentials=app.conf.broker_credentials)
    seen = out.getvalue() + repr(settings) + str(settings) + settings.model_dump_json() + repr(there) + str(there)
    assert "made" in seen and SECRET not in seen


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kafka_security_protocol": "SASL_SSL", "kafka_sasl_password": "p"}, "set DAILIES_KAFKA_SASL_USERNAME"),
        ({"kafka_security_protocol": "SASL_SSL", "kafka_sasl_username": "u"}, "and not neither"),
        (LOGIN | {"kafka_sasl_password_file": "/dev/null"}, "and not both"),
        ({"kafka_sasl_username": "u"}, "DAILIES_KAFKA_SASL_USERNAME is set, but DAILIES_KAFKA_SECURITY_PROTOCOL is PLAINTEXT"),
        ({"kafka_security_protocol": "SSL", "kafka_sasl_password": "p"}, "set it to SASL_SSL"),
        ({"kafka_ca_file": "/dev/null"}, "encrypts nothing: set it to SSL"),
        (LOGIN | {"kafka_security_protocol": "SASL_PLAINTEXT", "kafka_ca_file": "/dev/null"}, "set it to SASL_SSL"),
        ({"kafka_security_protocol": "SSL", "kafka_cert_file": "/dev/null"}, "KAFKA_CERT_FILE needs DAILIES_KAFKA_KEY_FILE"),
        ({"kafka_security_protocol": "SSL", "kafka_key_file": "/dev/null"}, "KAFKA_KEY_FILE needs DAILIES_KAFKA_CERT_FILE"),
        ({"kafka_security_protocol": "SSL", "kafka_key_password_file": "/dev/null"}, "name the key too"),
        ({"kafka_security_protocol": "SSL", "kafka_ca_file": "/no/such"}, "names /no/such, which cannot be read"),
        ({"kafka_security_protocol": "SSL", "kafka_ca_file": "/dev/null"}, "the TLS files cannot be used"),
    ],
)  # fmt: skip
def test_contradictions_are_said_with_what_to_do(options: dict[str, str], said: str) -> None:
    with pytest.raises(SetupError) as caught:
        Security.of(Settings(**options))
    assert said in str(caught.value)
    assert SECRET not in str(caught.value)


def test_security_without_a_cluster_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no cluster is named"):
        bootstrap_of(common.settings(data_dir=tmp_path, **LOGIN))


def test_renewed_certificates_count_for_new_connections(tmp_path: Path, authority: Authority) -> None:
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    first, second = authority.issue("first"), authority.issue("second")
    for source, target in ((first.certificate, certificate), (first.key, key)):
        target.write_bytes(source.read_bytes())
    files = {"kafka_ca_file": authority.certificate, "kafka_cert_file": certificate, "kafka_key_file": key}
    context = secured(kafka_security_protocol="SSL", **files).security.context
    assert authority.seen(context) == "first"
    certificate.write_bytes(second.certificate.read_bytes())
    assert authority.seen(context) == "first"  # the key does not fit yet: the last good pair stays
    key.write_bytes(second.key.read_bytes())
    assert authority.seen(context) == "second"
    key.unlink()
    assert authority.seen(context) == "second"


def test_a_broker_of_another_authority_is_not_spoken_with(tmp_path: Path, authority: Authority) -> None:
    stranger = Authority(tmp_path / "stranger")
    context = secured(kafka_security_protocol="SSL", kafka_ca_file=stranger.certificate).security.context
    with pytest.raises(ssl.SSLCertVerificationError):
        authority.seen(context)
