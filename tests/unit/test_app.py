"""The app factory's settings, and that keys land where other clients put them."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiokafka.partitioner import DefaultPartitioner, murmur2

from schemas.errors import SetupError
from streams.app import BUFFERED_CHUNKS, make_app
from streams.deadletters import DeadLetters
from streams.durable import DurableTable
from streams.flow import Consumer, Transport
from streams.guard import Guard
from streams.settings import Settings
from streams.topics import AGGREGATOR_APP, AGGREGATOR_CHANGELOG, AGGREGATOR_TABLE, MAX_MESSAGE_BYTES

KAFKAS_OWN = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}
"""From org.apache.kafka.common.utils.UtilsTest."""


@pytest.mark.parametrize(("key", "hashed"), KAFKAS_OWN.items())
def test_fausts_partitioner_is_kafkas(key: bytes, hashed: int) -> None:
    assert murmur2(key) & 0xFFFFFFFF == hashed & 0xFFFFFFFF
    partitions = list(range(8))
    assert DefaultPartitioner()(key, partitions, partitions) == (hashed & 0x7FFFFFFF) % 8


def test_settings_are_ours(tmp_path: Path) -> None:
    app = make_app("g", Settings(data_dir=tmp_path), bootstrap="one:1, two:2", stream_buffer_maxsize=BUFFERED_CHUNKS)
    conf = app.conf
    assert [str(url) for url in conf.broker_consumer] == ["kafka://one:1", "kafka://two:2"]
    assert isinstance(app.transport, Transport) and app.transport.Consumer is Consumer
    assert (conf.id, conf.stream_buffer_maxsize, conf.broker_commit_every, conf.broker_commit_interval) == ("g", 4, 1, 1.0)
    assert conf.stream_wait_empty and not conf.topic_allow_declare and conf.topic_disable_leader and not conf.autodiscover
    assert not conf.web_enabled and conf.web_bind == "127.0.0.1"
    assert conf.producer_max_request_size == MAX_MESSAGE_BYTES and conf.producer_acks == -1
    assert conf.producer_request_timeout == 60.0 and conf.consumer_auto_offset_reset == "earliest"
    assert Path(conf.datadir) == tmp_path / "faust" / "g"
    assert conf.table_standby_replicas == 0


def test_the_aggregators_changelog_is_the_declared_topic(tmp_path: Path) -> None:
    app = make_app(AGGREGATOR_APP, Settings(data_dir=tmp_path), bootstrap="one:1")
    table = app.Table(AGGREGATOR_TABLE, key_type=str, value_type=bytes, partitions=AGGREGATOR_CHANGELOG.partitions)
    assert isinstance(table, DurableTable)
    assert table.changelog_topic_name == AGGREGATOR_CHANGELOG.name and AGGREGATOR_CHANGELOG.compact


def test_a_table_that_would_never_recover_is_refused(tmp_path: Path) -> None:
    app = make_app("g", Settings(data_dir=tmp_path), bootstrap="one:1")
    letters = DeadLetters(app)
    Guard(app, "test", letters, tables=(app.Table("managed", key_type=str, value_type=bytes, partitions=1),))
    stray: DurableTable[str, bytes] = DurableTable(app, name="stray", key_type=str, value_type=bytes, partitions=1)
    with pytest.raises(SetupError, match="stray is unknown"):
        Guard(app, "test", letters, tables=(stray,))
