"""What the producer calls delivered is in Kafka, also where a broker comes back between two records."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from streams.local.broker import Broker
from streams.producer import Deliveries, make_producer
from tests.lab import Lab, wait_for

pytestmark = pytest.mark.kafka

HOST = "127.0.0.1"
PRODUCE, METADATA = 0, 3
NOT_LEADER = 6
WITHHELD_SECONDS = 1.0
"""How long the first record waits for a second to overtake it."""

Frame = bytes


class Returning:
    """A broker as it is when it comes back: it refuses the first record and takes a second one that is under way already.

    A proxy in front of a real one. The first produce request does not reach it and is answered, in the form of Kafka's
    protocol, with "not the leader", as a partition does that is not online yet; metadata name the proxy, not the broker.
    """

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.port = int(bootstrap.rpartition(":")[2])
        self.topic = topic
        self.withheld = threading.Event()
        self.overtaken = False
        self._listener = socket.create_server((HOST, 0))
        self._sockets = [self._listener]
        self._first = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._begin(self._accept)

    @property
    def bootstrap(self) -> str:
        return f"{HOST}:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        for end in self._sockets:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        for thread in self._threads:
            thread.join()

    def _begin(self, target: object, *args: object) -> None:
        self._threads.append(threading.Thread(target=target, args=args, daemon=True))  # type: ignore[arg-type]
        self._threads[-1].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._sockets.append(client)
                self._begin(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        """Requests of one connection, one after the other, in their order."""
        with socket.create_connection((HOST, self.port)) as broker, suppress(OSError):
            while request := _frame(client):
                if _key(request) == PRODUCE and self._first.acquire(blocking=False):
                    self._refuse(client, broker, request)
                else:
                    client.sendall(_framed(self._asked(broker, request)))

    def _refuse(self, client: socket.socket, broker: socket.socket, first: Frame) -> None:
        self.withheld.set()
        client.settimeout(WITHHELD_SECONDS)
        try:
            second = _frame(client)
        except TimeoutError:
            second = b""
        client.settimeout(None)
        answers = [_not_leader(first, self.topic)]
        if second:
            self.overtaken = _key(second) == PRODUCE
            answers.append(self._asked(broker, second))
        client.sendall(b"".join(map(_framed, answers)))

    def _asked(self, broker: socket.socket, request: Frame) -> Frame:
        broker.sendall(_framed(request))
        answer = _frame(broker)
        if _key(request) == METADATA:
            name = HOST.encode()
            own = int(self.bootstrap.rpartition(":")[2])
            answer = answer.replace(name + struct.pack(">i", self.port), name + struct.pack(">i", own))
        return answer


def _frame(end: socket.socket) -> Frame:
    """The next request or answer without its length; empty at the end."""
    head = end.recv(4, socket.MSG_WAITALL)
    return end.recv(struct.unpack(">i", head)[0], socket.MSG_WAITALL) if len(head) == 4 else b""


def _framed(frame: Frame) -> bytes:
    return struct.pack(">i", len(frame)) + frame


def _key(request: Frame) -> int:
    return int(struct.unpack_from(">h", request)[0])


def _not_leader(request: Frame, topic: str) -> Frame:
    """The answer to a produce request, version 9 to 12, of one topic and one partition, whose number stands behind the name."""
    version, correlation = struct.unpack_from(">hi", request, 2)
    assert 9 <= version <= 12, "the form of the answer is another one"
    partition = struct.unpack_from(">i", request, request.index(topic.encode()) + len(topic) + 1)[0]
    name = bytes([len(topic) + 1]) + topic.encode()
    of_partition = struct.pack(">ihqqq", partition, NOT_LEADER, -1, -1, -1) + b"\x01" + b"\x00" + b"\x00"
    of_topic = name + b"\x02" + of_partition + b"\x00"
    return struct.pack(">i", correlation) + b"\x00" + b"\x02" + of_topic + struct.pack(">i", 0) + b"\x00"


@pytest.mark.parametrize("in_flight", [None, 5])
def test_what_is_called_delivered_is_there(kafka: Broker, tmp_path: Path, in_flight: int | None) -> None:
    """With several requests under way, as is the client's default, a record is lost that it calls delivered."""
    lab = Lab(kafka.bootstrap, tmp_path)
    topic = lab.topic("delivered")
    broker = Returning(kafka.bootstrap, topic.name)
    try:
        overrides = {} if in_flight is None else {"max.in.flight": in_flight}
        deliveries = Deliveries(make_producer(broker.bootstrap, **overrides))
        deliveries.produce(topic.name, key=b"k", value=b"first", headers={}, token=1)
        wait_for(broker.withheld.is_set, "the first record")
        deliveries.produce(topic.name, key=b"k", value=b"second", headers={}, token=2)
        assert set(deliveries.flush_all(60)) == {1, 2}
    finally:
        broker.close()
    assert broker.overtaken == (in_flight is not None)
    there = [record.value for record in lab.read(topic)]
    assert there == ([b"first", b"second"] if in_flight is None else [b"second"])
