"""Health on a real stack: every role answers, figures move, a role that hangs says so, and one that is stopped is replaced."""

from __future__ import annotations

import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from schemas.events import ContentMetadata
from streams import topics
from streams.client import Follower
from streams.local.broker import Broker
from streams.local.state import ProcessState, running
from streams.producer import make_producer
from tests.kafka import BrokerFactory
from tests.lab import Lab
from tests.prometheus import Prometheus
from tests.sound import tone_file
from tests.stack import Stack, options
from tests.waiting import until

pytestmark = pytest.mark.kafka

LOUDNESS = ("loudness",)
WATCHDOG_SECONDS = 8


def get(url: str) -> tuple[int, str]:
    """Status and body; status 0 without an answer."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, repr(error)


def metrics(url: str) -> dict[str, float]:
    """Each metric's value, summed over its labels."""
    status, body = get(f"{url}/metrics")
    assert status == 200
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(body):
        assert family.type != "unknown", family.name
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack"), {"DAILIES_WATCHDOG_SECONDS": str(WATCHDOG_SECONDS)}) as found:
        yield found


def process(stack: Stack, name: str) -> ProcessState:
    state = running(stack.data_dir)
    assert state is not None
    return next(process for process in state.processes if process.name == name)


def health(stack: Stack, name: str) -> str:
    url = process(stack, name).health
    assert url is not None
    return url


def test_every_role_is_ready_and_its_figures_move(stack: Stack, tmp_path: Path) -> None:
    entries = json.loads(stack.dailies("status", "--json").stdout)
    roles = {entry["name"]: entry["health"] for entry in entries if entry["role"] != "kafka"}
    assert len(roles) == 5
    for name, url in roles.items():
        assert url == health(stack, name)
        for path in ("/live", "/ready"):
            status, body = get(url + path)
            assert (status, json.loads(body)["phase"]) == (200, "ready"), name
    before = {name: metrics(url) for name, url in roles.items()}
    (event,) = stack.ingest(tone_file(tmp_path / "moves.wav", 20), options=options(LOUDNESS))
    assert event.run.status == "complete"
    after = {name: metrics(url) for name, url in roles.items()}

    def moved(name: str, metric: str) -> float:
        return after[name][metric] - before[name].get(metric, 0.0)

    chunks = event.coverage.chunks.expected
    assert moved("planner-1", "dailies_plans_total") == moved("planner-1", "dailies_probe_seconds_count") == 1
    assert moved("decoder-1", "dailies_decoded_samples_total") == 20 * 48_000
    assert moved("decoder-1", "dailies_decode_seconds_count") == 1
    assert moved("decoder-1", "dailies_decode_cpu_seconds_total") > 0
    produced, read = "dailies_produced_{}_total", "dailies_read_{}_total"
    assert moved("decoder-1", produced.format("chunks")) == moved("inference-signals-1", read.format("chunks")) == chunks
    assert moved("decoder-1", produced.format("bytes")) == moved("inference-signals-1", read.format("bytes")) > 0
    assert moved("inference-signals-1", "dailies_inference_seconds_count") == chunks
    assert moved("aggregator-1", "dailies_final_events_total") == 1
    assert moved("aggregator-1", "dailies_acks_total") > chunks
    assert after["decoder-1"]["dailies_budget_bytes"] == 4 << 30
    assert {"dailies_assets_in_flight", "dailies_oldest_asset_age_seconds"} <= set(after["aggregator-1"])
    for name, found in after.items():
        assert found["dailies_live"] == found["dailies_ready"] == found["dailies_broker_reachable"] == 1
        assert found["dailies_dead_letters_total"] == 0
        assert any(metric == "dailies_lag_records" for metric in found), name
        assert "dailies_gpu_memory_bytes" not in found


def test_prometheus_scrapes_every_role_and_alerts_fire(stack: Stack, tmp_path: Path) -> None:
    state = running(stack.data_dir)
    assert state is not None
    targets = {found.name.removesuffix("-1"): found.health for found in state.processes if found.health}
    with Prometheus(tmp_path / "prometheus", targets) as prometheus:
        until(lambda: prometheus.query("up == 1").keys() == targets.keys(), "every role is scraped")
        assert prometheus.query("dailies_ready == 1").keys() == targets.keys()
        assert prometheus.query("workload:dailies_lag_records:sum").keys() <= targets.keys()
        until(lambda: not prometheus.firing(), "nothing is wrong")
        producer = make_producer(stack.bootstrap)
        producer.produce(topics.UPLOADS.name, b"no upload event")
        producer.flush()
        prometheus.await_alert("DailiesDeadLetters", "planner")
        os.kill(stack.pid("planner-1"), signal.SIGSTOP)
        prometheus.await_alert("DailiesRoleMissing", "planner")
        os.kill(stack.pid("planner-1"), signal.SIGCONT)


def test_a_stopped_role_is_replaced_and_the_asset_completes(stack: Stack, tmp_path: Path) -> None:
    stopped = {name: stack.pid(name) for name in ("decoder-1", "aggregator-1")}
    for pid in stopped.values():
        os.kill(pid, signal.SIGSTOP)
    upload = stack.start("ingest", str(tone_file(tmp_path / "stopped.wav", 10)), "--wait", "--json", *options(LOUDNESS))
    for name, pid in stopped.items():
        until(lambda name=name, pid=pid: process(stack, name).pid not in (None, pid), f"another {name}")
        assert process(stack, name).restarts == 1
        assert "it gives no answer" in (process(stack, name).problem or "")
    out, errors = upload.communicate(timeout=120)
    assert upload.returncode == 0, errors.decode()[-2000:]
    assert ContentMetadata.model_validate_json(out).run.status == "complete"
    log = (stack.data_dir / "logs" / "supervisor.log").read_text()
    assert all(f"{pid}" in log for pid in stopped.values()), log


def test_a_handler_that_hangs_is_no_life(kafka: Broker, tmp_path: Path) -> None:
    lab = Lab(kafka.bootstrap, tmp_path)
    topic = lab.topic("hangs")
    try:
        worker = lab.start("hangs", group=lab.name("hangs"), topic=topic.name, patience=2.0)
        state = tmp_path / f"{worker.pid}.state"
        until(lambda: state.exists() and b"ready" in state.read_bytes(), "the worker is ready")
        found = json.loads(state.read_bytes())
        url = f"http://{found['host']}:{found['port']}"
        lab.send(topic, [(None, b"quick")])
        until(lambda: metrics(url).get("dailies_acks_total") == 1, "the first record")
        lab.send(topic, [(None, b"waits"), (None, b"never read")])
        until(lambda: get(f"{url}/live")[0] == 503, "it is not alive")
        assert "records wait, and for" in json.loads(get(f"{url}/live")[1])["reason"]
        assert metrics(url)["dailies_silence_seconds"] > 1
        (tmp_path / "go on").touch()
        until(lambda: get(f"{url}/live")[0] == 200, "it lives again")
        lab.send(topic, [(None, b"blocks the loop")])
        until(lambda: "the loop has not turned" in get(f"{url}/live")[1], "its loop is seen to stand")
        assert metrics(url)["dailies_acks_total"] == 3, "metrics are not answered"
    finally:
        lab.end()


def test_a_broker_that_is_away_makes_nobody_dead(new_broker: BrokerFactory, tmp_path: Path) -> None:
    broker = new_broker()
    lab = Lab(broker.bootstrap, tmp_path)
    topic = lab.topic("away")
    try:
        worker = lab.start("hangs", group=lab.name("away"), topic=topic.name, patience=2.0)
        state = tmp_path / f"{worker.pid}.state"
        until(lambda: state.exists() and b"ready" in state.read_bytes(), "the worker is ready")
        url = f"http://127.0.0.1:{json.loads(state.read_bytes())['port']}"
        lab.send(topic, [(None, b"waits")])
        until(lambda: metrics(url).get("dailies_lag_records"), "there is work")
        follower = Follower(broker.bootstrap)
        broker.kill()
        until(lambda: metrics(url)["dailies_broker_reachable"] == 0, "it is seen to be away")
        until(lambda: follower.step([]) or follower.away, "who follows an upload knows that it is away")
        assert json.loads(get(f"{url}/ready")[1])["reason"] == "the broker is out of reach"
        silent = metrics(url)["dailies_last_ack_age_seconds"]
        until(lambda: metrics(url)["dailies_last_ack_age_seconds"] > silent + 2, "its patience is over")
        assert get(f"{url}/live")[0] == 200
        broker.start()
        (tmp_path / "go on").touch()
        until(lambda: get(f"{url}/ready")[0] == 200, "the broker is back")
        until(lambda: follower.step([]) or not follower.away, "who follows an upload knows that it is back")
        follower.close()
        until(lambda: metrics(url).get("dailies_acks_total") == 1, "the work is done")
    finally:
        lab.end()
