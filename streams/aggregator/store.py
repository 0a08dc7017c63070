"""A run's state in the durable table: one small value per plan, manifest, unfolded cell and lane checkpoint.

Keys are ``asset/run/kind/…``. A lane's fold state lives in memory; the table holds its last checkpoint and the cells that
came after it, so that a restart folds those again and is where it was. Values never grow with the asset: what grows (a
fold's journal, its findings) is written once per checkpoint under its own number.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import asdict

import orjson
from pydantic import ValidationError

from processors.aggregate import Aggregate, JobKey
from processors.lane import Lane
from processors.reactions import Entry, decode, encode
from schemas.cell import CellResult
from schemas.errors import WireError
from schemas.manifest import JobFailed, Manifest
from schemas.plan import Plan
from streams.aggregator.repair import Issued

Table = MutableMapping[str, bytes]

FORMAT = b"1"
"""The version of what is kept of a run under way. A run that another one has kept is not continued; it is planned anew.

A change of a key or a value is a new version where one release could not read what the other has written.
"""

UNNAMED_FORMAT = b"1"
"""That of a run without a word on it."""


class OtherFormat(WireError):
    """What is kept of a run was written by another version of this program."""


@contextmanager
def _reading(run: str) -> Iterator[None]:
    try:
        yield
    except OtherFormat:
        raise
    except (WireError, ValidationError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise OtherFormat(f"the state of run {run} is not of this version: {error}") from error


def encode_cell(result: CellResult) -> bytes:
    """A cell result as one value: its headers as a length-prefixed JSON object, then its value."""
    head = orjson.dumps({name: value.decode() for name, value in result.headers().items()})
    return len(head).to_bytes(4, "big") + head + result.value


def decode_cell(data: bytes) -> CellResult:
    """The inverse of :func:`encode_cell`. Raises ``WireError``."""
    length = int.from_bytes(data[:4], "big")
    try:
        head = {name: value.encode() for name, value in orjson.loads(data[4 : 4 + length]).items()}
    except (ValueError, AttributeError) as error:
        raise WireError(f"not a stored cell: {error}") from error
    return CellResult.from_message(head, data[4 + length :])


def generation_of(table: Table) -> int:
    """What changes when a table changes by other means than being written here; see :class:`streams.durable.DurableTable`."""
    return int(getattr(table, "generation", 0))


class RunStore:
    """Runs in the table. Keeps an index of keys by run, built at first use, and again after :meth:`forget` or where the table's
    ``generation`` has changed.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._generation = generation_of(table)
        self._index: dict[str, set[str]] | None = None
        self._oldest: str | None = None
        """No run that is known here was closed before; None: not looked yet."""
        self._created: dict[str, str] = {}

    def forget(self) -> None:
        """The table changed under us (partitions came or went): look again."""
        self._index = None
        self._oldest = None
        self._created.clear()

    def _runs(self) -> dict[str, set[str]]:
        if self._generation != (generation := generation_of(self._table)):
            self.forget()
            self._generation = generation
        if self._index is None:
            self._index = {}
            for key in self._table:
                self._index.setdefault("/".join(key.split("/", 2)[:2]), set()).add(key)
        return self._index

    def _keys(self, run: str) -> set[str]:
        return self._runs().setdefault(run, set())

    def _put(self, run: str, name: str, value: bytes) -> None:
        self._keys(run).add(f"{run}/{name}")
        self._table[f"{run}/{name}"] = value

    def _remove(self, run: str, name: str) -> None:
        self._keys(run).discard(f"{run}/{name}")
        self._table.pop(f"{run}/{name}", None)

    def closed(self, run: str) -> str | None:
        """The final event's id of a run that is closed."""
        value = self._table.get(f"{run}/closed")
        return None if value is None else str(orjson.loads(value)["ce_id"])

    def close(self, run: str, ce_id: str, at: str) -> None:
        """Keep the final event's id; drop everything else, of which a crash may leave some."""
        self._drop(run)
        self._created.pop(run, None)
        self._put(run, "closed", orjson.dumps({"ce_id": ce_id, "at": at}))

    def _drop(self, run: str) -> None:
        for key in sorted(self._keys(run)):
            self._table.pop(key, None)
        self._keys(run).clear()

    def open_runs(self, asset: str | None = None) -> list[str]:
        """The runs under way, of one asset or of all."""
        runs = [run for run in self._runs() if self.has_plan(run)]
        return [run for run in runs if asset is None or run.startswith(f"{asset}/")]

    def created(self, run: str) -> str:
        """The time of a run's plan (RFC 3339). Raises ``KeyError`` if its plan is not known."""
        if run not in self._created:
            self._created[run] = orjson.loads(self._table[f"{run}/plan"])["created"]
        return self._created[run]

    def expire(self, before: str, *, like: str, same: Callable[[str, str], bool]) -> None:
        """Forget runs closed before an RFC 3339 time, if ``same(key, like's key)``: only those may be written just now."""
        if self._oldest is not None and self._oldest >= before:
            return  # a look at every closed run at each closing would take longer with each
        left: list[str] = []
        for run in list(self._runs()):
            key = f"{run}/closed"
            value = self._table.get(key)
            if value is None:
                continue
            at = str(orjson.loads(value)["at"])
            if at < before and same(key, f"{like}/closed"):
                self._drop(run)
                self._runs().pop(run, None)
            else:
                left.append(at)
        self._oldest = min(left, default=None)

    def has_plan(self, run: str) -> bool:
        """Whether the run is under way: its plan is known, so that its jobs were issued, and it is not closed."""
        return f"{run}/plan" in self._table and f"{run}/closed" not in self._table

    def put_plan(self, run: str, plan: Plan) -> None:
        """Keep the plan: from now on the run is under way."""
        self._put(run, "format", FORMAT)
        self._put(run, "plan", plan.model_dump_json().encode())

    def put_manifest(self, run: str, manifest: Manifest) -> None:
        """Keep a job's manifest."""
        self._put(run, f"manifest/{manifest.stream}/{manifest.segment}", manifest.to_bytes())

    def put_failure(self, run: str, failure: JobFailed) -> None:
        """Keep why a job failed."""
        self._put(run, f"failed/{failure.stream}/{failure.segment}", failure.model_dump_json().encode())

    def put_issued(self, run: str, job: JobKey, issued: Issued) -> None:
        """Keep where a job was last published."""
        self._put(run, f"issued/{job[0]}/{job[1]}", orjson.dumps(asdict(issued)))

    def issued(self, run: str) -> dict[JobKey, Issued]:
        """Where each job was last published. Raises ``OtherFormat``."""
        found = {}
        with _reading(run):
            for key in self._keys_of(run, "issued"):
                *_, stream, segment = key.split("/")
                found[stream, int(segment)] = Issued(**orjson.loads(self._table[key]))
        return found

    def put_reaction(self, run: str, entry: Entry, cause: str) -> None:
        """Keep a reaction before it is published: in the outbox until it is, and as the last word on what it is about."""
        body = orjson.dumps({"cause": cause, **encode(entry)})
        self._put(run, f"outbox/{entry.reaction.seq:08d}", body)
        self._put(run, f"reaction/{entry.about}", body)

    def published(self, run: str, entry: Entry) -> None:
        """A reaction is in Kafka."""
        self._remove(run, f"outbox/{entry.reaction.seq:08d}")

    def outbox(self, run: str) -> list[tuple[Entry, str]]:
        """Reactions that may not have been published, in order, each with its cause. Raises ``OtherFormat``."""
        with _reading(run):
            bodies = [orjson.loads(self._table[key]) for key in self._keys_of(run, "outbox")]
            return [(decode(body), body["cause"]) for body in bodies]

    def reactions(self, run: str) -> list[Entry]:
        """The last word on everything so far. Raises ``OtherFormat``."""
        with _reading(run):
            return [decode(orjson.loads(self._table[key])) for key in self._keys_of(run, "reaction")]

    def mark(self, run: str, name: str) -> None:
        """Keep that something was done once for this run."""
        self._put(run, f"mark/{name}", b"1")

    def marked(self, run: str, name: str) -> bool:
        """Whether it was."""
        return f"{run}/mark/{name}" in self._keys(run)

    def put_other(self, run: str, job: JobKey, said: str) -> None:
        """Keep that a worker of another version has answered for a job."""
        self._put(run, f"other/{job[0]}/{job[1]}", said.encode())

    def put_cell(self, run: str, result: CellResult) -> None:
        """Keep a cell until a checkpoint holds what it was folded into."""
        self._put(run, _cell_name(result), encode_cell(result))

    async def put_checkpoint(self, run: str, lane: Lane, persist: Callable[[], Awaitable[None]]) -> None:
        """Write a lane's checkpoint and drop the cells that it covers.

        The state counts the parts that have grown, so it comes when they are durable. A part that no state counts is written
        again after a crash, perhaps with more in it.
        """
        covered = list(lane.fresh_folded())
        state, grown = lane.checkpoint()
        name = f"{lane.stream}/{lane.task.name}"
        self._put(run, f"grown/{name}/{lane.parts:06d}", grown)
        await persist()
        self._put(run, f"lane/{name}", state)
        for segment, n, digest in covered:
            self._remove(run, f"cell/{name}/{segment}/{n}/{digest}")

    def plan(self, run: str) -> Plan | None:
        """The run's plan, if it is known. Raises ``OtherFormat`` for one that cannot be read."""
        if not self.has_plan(run):
            return None
        with _reading(run):
            return Plan.model_validate_json(self._table[f"{run}/plan"])

    def raw_plan(self, run: str) -> bytes:
        """The run's plan as it is kept."""
        return self._table[f"{run}/plan"]

    def load(self, run: str) -> Aggregate | None:
        """The run as it was, its results not yet folded; None if its plan is not known. Raises ``OtherFormat``."""
        plan = self.plan(run)
        if plan is None:
            return None
        if (written := self._table.get(f"{run}/format", UNNAMED_FORMAT)) != FORMAT:
            raise OtherFormat(f"the state of run {run} has the format {written.decode()}, and this is {FORMAT.decode()}")
        with _reading(run):
            return self._load(run, plan)

    def _load(self, run: str, plan: Plan) -> Aggregate:
        aggregate = Aggregate(plan)
        for (stream, task), lane in aggregate.lanes.items():
            state = self._table.get(f"{run}/lane/{stream}/{task}")
            if state is not None:
                parts = self._keys_of(run, f"grown/{stream}/{task}")
                lane.restore(state, {int(key.rpartition("/")[2]): self._table[key] for key in parts})
        for value in self._values(run, "manifest"):
            aggregate.add_manifest(Manifest.model_validate_json(value))
        for value in self._values(run, "failed"):
            aggregate.fail_job(JobFailed.model_validate_json(value))
        for value in self._values(run, "cell"):
            result = decode_cell(value)
            if (said := aggregate.other_version(result)) is not None:  # it came before the plan
                aggregate.others[result.key.stream, result.key.segment] = said
            aggregate.add_cell(result)
        for key in self._keys_of(run, "other"):
            *_, stream, segment = key.split("/")
            aggregate.others[stream, int(segment)] = self._table[key].decode()
        return aggregate

    def _keys_of(self, run: str, kind: str) -> list[str]:
        start = f"{run}/{kind}/"
        return [key for key in sorted(self._keys(run)) if key.startswith(start)]

    def _values(self, run: str, kind: str) -> Iterator[bytes]:
        return (self._table[key] for key in self._keys_of(run, kind))


def _cell_name(result: CellResult) -> str:
    key = result.key
    return f"cell/{key.stream}/{key.task}/{key.segment}/{key.n}/{result.digest}"
