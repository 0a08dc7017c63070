"""The answers over HTTP, and the metrics: names as Prometheus wants them, labels that stay few."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from schemas.errors import PortTaken, SetupError
from streams.guard import Outcome
from streams.health import Health
from streams.metrics import Aggregating, Decoding, GpuMemory, Inferring, Planning
from streams.probes import ProbeServer
from streams.record import Record
from streams.vitals import Vitals

UNITS = ("_seconds", "_bytes", "_records", "_total", "_info", "_frames", "_samples")
PLAIN = {"dailies_live", "dailies_ready", "dailies_broker_reachable", "dailies_assets_in_flight"}
PLAIN |= {"dailies_jobs_active", "dailies_budget_waiting_workers"}


def get(server: ProbeServer, path: str) -> tuple[int, str]:
    host, port = server.address
    try:
        with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def values(text: str) -> dict[tuple[str, ...], float]:
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(s.name, *s.labels.values()): s.value for s in samples}


@pytest.fixture
def vitals() -> Vitals:
    return Vitals(Health(10), role="planner")


@pytest.fixture
def server(vitals: Vitals) -> Iterator[ProbeServer]:
    with ProbeServer(vitals, "127.0.0.1", 0) as server:
        yield server


def test_probes_say_why_not(server: ProbeServer, vitals: Vitals) -> None:
    status, body = get(server, "/ready")
    assert (status, json.loads(body)["reason"]) == (503, "it is loading, connecting or recovering its tables")
    assert get(server, "/live")[0] == 200
    vitals.health.ready()
    status, body = get(server, "/ready?verbose")
    assert (status, json.loads(body)["ok"], json.loads(body)["reason"]) == (200, True, None)
    assert get(server, "/tables")[0] == 404


def test_metrics_tell_what_happened(server: ProbeServer, vitals: Vitals) -> None:
    vitals.settled(Record("media.uploads", 0, 0, None, b""), Outcome.DONE)
    vitals.settled(Record("media.uploads", 0, 1, None, b""), Outcome.DEAD_LETTER)
    vitals.retried("media.uploads")
    vitals.dead_lettered()
    vitals.saw({"media.uploads": 7}, away=True)
    found = values(get(server, "/metrics")[1])
    assert (
        found["dailies_acks_total", "done", "media.uploads"] == 1 == found["dailies_acks_total", "dead_letter", "media.uploads"]
    )
    assert found["dailies_retries_total", "media.uploads"] == 1 == found["dailies_dead_letters_total",]
    assert found["dailies_lag_records", "media.uploads"] == 7
    assert found["dailies_broker_reachable",] == 0 == found["dailies_ready",]
    assert found["dailies_live",] == 1
    assert found["process_resident_memory_bytes",] > 1 << 20
    vitals.saw({}, away=False)
    assert values(get(server, "/metrics")[1])["dailies_lag_records", "media.uploads"] == 0, "its partitions went away"


def test_answers_come_while_another_client_hangs(server: ProbeServer) -> None:
    with socket.create_connection(server.address) as hanging:
        hanging.sendall(b"GET /live")
        assert get(server, "/live")[0] == 200


def test_answers_come_while_the_main_thread_is_busy(server: ProbeServer) -> None:
    found: list[int] = []
    asking = threading.Thread(target=lambda: found.append(get(server, "/live")[0]))
    asking.start()
    deadline = time.monotonic() + 30
    while not found and time.monotonic() < deadline:
        sum(range(1000))
    asking.join()
    assert found == [200]


def test_a_port_that_is_taken_is_named(server: ProbeServer) -> None:
    with pytest.raises(PortTaken, match="DAILIES_HEALTH_PORT"):
        ProbeServer(Vitals(), *server.address)
    with pytest.raises(SetupError, match="DAILIES_HEALTH_BIND"):
        ProbeServer(Vitals(), "192.0.2.1", 0)


def test_a_server_on_every_address_is_reached_on_this_machine() -> None:
    with ProbeServer(Vitals(), "0.0.0.0", 0) as server:
        assert server.address[0] == "127.0.0.1"
        assert get(server, "/live")[0] == 200


def test_every_metric_has_a_text_and_a_name_with_its_unit() -> None:
    registry = Vitals().registry
    Planning(registry)
    Decoding(registry).budget(lambda: 4, lambda: 3, lambda: 0)
    Inferring(registry)
    Aggregating(registry)
    GpuMemory(registry, lambda: {"allocated": 1, "reserved": 2})
    ours = [family for family in registry.collect() if family.name.startswith("dailies_")]
    assert len(ours) > 20
    for family in ours:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert family.documentation.endswith("."), family.name
        assert name in PLAIN or name.endswith(UNITS) or family.type == "info", name
        assert all("asset" not in label and "run" not in label for sample in family.samples for label in sample.labels)


def test_the_oldest_asset_ages() -> None:
    registry, now = CollectorRegistry(), 1000.0
    metrics = Aggregating(registry, now=lambda: now)
    assert registry.get_sample_value("dailies_oldest_asset_age_seconds") == 0
    metrics.in_flight([900.0, 400.0, 999.0])
    assert registry.get_sample_value("dailies_oldest_asset_age_seconds") == 600
    assert registry.get_sample_value("dailies_assets_in_flight") == 3
    now = 1100.0
    assert registry.get_sample_value("dailies_oldest_asset_age_seconds") == 700
    metrics.in_flight([])
    assert registry.get_sample_value("dailies_oldest_asset_age_seconds") == 0


def test_gpu_memory_is_read_when_asked() -> None:
    registry, held = CollectorRegistry(), {"allocated": 5, "reserved": 8}
    GpuMemory(registry, lambda: held)
    held["allocated"] = 6
    assert registry.get_sample_value("dailies_gpu_memory_bytes", {"kind": "allocated"}) == 6
    assert registry.get_sample_value("dailies_gpu_memory_bytes", {"kind": "reserved"}) == 8
