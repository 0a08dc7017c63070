"""The faults: each one is done to a running stack and undone again. Which, when and how long comes from a seed."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from streams import topics
from streams.topics import MAX_MESSAGE_BYTES, Topic
from tests.chaos.rig import ROLES, Rig

REFUSED_BYTES = 300
"""A topic's limit while it rejects: every record with content is larger."""

STOPPED_SECONDS = (1.0, 8.0)
NETWORK_SECONDS = (1.5, 6.0)
FULL_SECONDS = (1.0, 5.0)


class Uploads(Protocol):
    """What a fault may do to the uploads of a run."""

    def redeliver(self) -> int:
        """Send everything that was sent once more; how many."""

    def reorder(self) -> int:
        """Send everything that is still to come at once, the last first; how many."""


@dataclass(slots=True)
class Scene:
    """What faults act on, and what they note for their undoing."""

    rig: Rig
    uploads: Uploads
    notes: dict[str, Any] = field(default_factory=dict)


class Fault(Protocol):
    """A fault of a name; ``seconds`` is how long it lasts at least and at most."""

    name: str
    seconds: tuple[float, float]

    def inject(self, scene: Scene, rng: random.Random) -> str:
        """Do it; what was done, for the script."""

    def heal(self, scene: Scene) -> str:
        """Undo it; what was done."""


@dataclass(frozen=True, slots=True)
class Signalled:
    """A process is killed, or asked to end; the supervisor starts it again."""

    name: str
    role: str
    number: signal.Signals
    seconds: tuple[float, float] = (0.0, 0.0)

    def inject(self, scene: Scene, rng: random.Random) -> str:
        return f"{self.number.name} to {scene.rig.send(self.role, self.number)}"

    def heal(self, scene: Scene) -> str:
        return "the supervisor starts it again"


@dataclass(frozen=True, slots=True)
class Stopped:
    """A process stands still, and goes on as if nothing had been."""

    name: str
    role: str
    seconds: tuple[float, float] = STOPPED_SECONDS

    def inject(self, scene: Scene, rng: random.Random) -> str:
        scene.notes[self.name] = scene.rig.send(self.role, signal.SIGSTOP)
        return f"SIGSTOP to {scene.notes[self.name]}"

    def heal(self, scene: Scene) -> str:
        scene.rig.send_to(scene.notes[self.name], signal.SIGCONT)
        return f"SIGCONT to {scene.notes[self.name]}"


@dataclass(frozen=True, slots=True)
class Joined:
    """One more process of a role joins, takes its share, and leaves, in order or killed."""

    name: str
    role: str
    seconds: tuple[float, float] = (5.0, 10.0)

    def inject(self, scene: Scene, rng: random.Random) -> str:
        scene.notes[self.name] = rng.choice([signal.SIGTERM, signal.SIGKILL])
        return f"joined as {scene.rig.join(self.role)}"

    def heal(self, scene: Scene) -> str:
        number: signal.Signals = scene.notes[self.name]
        scene.rig.leave(self.role, number)
        return f"left by {number.name}"


@dataclass(frozen=True, slots=True)
class Poisoned:
    """The network is slow, resets connections, lets nothing through, or refuses them."""

    name: str
    kind: str
    attributes: Mapping[str, int] = field(default_factory=dict)
    seconds: tuple[float, float] = NETWORK_SECONDS

    def inject(self, scene: Scene, rng: random.Random) -> str:
        assert scene.rig.network is not None
        names = list(ROLES) if rng.random() < 0.5 else [rng.choice(ROLES)]
        if self.kind == "sever":
            scene.rig.network.sever(names, severed=True)
        else:
            scene.rig.network.poison(names, self.kind, self.attributes)
        return f"{self.kind} {dict(self.attributes)} for {', '.join(names)}"

    def heal(self, scene: Scene) -> str:
        assert scene.rig.network is not None
        scene.rig.network.heal()
        return "the network is whole"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A topic takes no records of any size to speak of."""

    name: str
    topics: tuple[Topic, ...]
    seconds: tuple[float, float] = FULL_SECONDS

    def inject(self, scene: Scene, rng: random.Random) -> str:
        for topic in self.topics:
            scene.rig.configure(topic, "max.message.bytes", str(REFUSED_BYTES))
        return f"{REFUSED_BYTES} bytes at most"

    def heal(self, scene: Scene) -> str:
        for topic in self.topics:
            scene.rig.configure(topic, "max.message.bytes", str(MAX_MESSAGE_BYTES))
        return f"{MAX_MESSAGE_BYTES} bytes at most"


@dataclass(frozen=True, slots=True)
class DiskFull:
    """No file of a process can grow, as on a full disk: attempts, sidecars, logs; of Kafka, its data."""

    name: str
    role: str
    seconds: tuple[float, float] = FULL_SECONDS

    def inject(self, scene: Scene, rng: random.Random) -> str:
        scene.notes[self.name] = pid = scene.rig.pid(self.role)
        scene.rig.limit_files(pid, 0)
        return f"files of {pid} cannot grow"

    def heal(self, scene: Scene) -> str:
        scene.rig.limit_files(scene.notes[self.name], -1)
        return f"files of {scene.notes[self.name]} can grow"


@dataclass(frozen=True, slots=True)
class Resent:
    """Upload events come again, or in another order."""

    name: str
    how: Callable[[Uploads], int]
    seconds: tuple[float, float] = (0.0, 0.0)

    def inject(self, scene: Scene, rng: random.Random) -> str:
        return f"{self.how(scene.uploads)} uploads"

    def heal(self, scene: Scene) -> str:
        return "nothing to undo"


@dataclass(frozen=True, slots=True)
class Deleted:
    """Chunks are deleted before inference has read them."""

    name: str
    topics: tuple[Topic, ...]
    seconds: tuple[float, float] = (1.0, 3.0)

    def inject(self, scene: Scene, rng: random.Random) -> str:
        scene.notes[self.name] = scene.rig.send("inference", signal.SIGSTOP)
        return f"SIGSTOP to {scene.notes[self.name]}"

    def heal(self, scene: Scene) -> str:
        deleted = sum(scene.rig.delete_all(topic) for topic in self.topics)
        scene.rig.send_to(scene.notes[self.name], signal.SIGCONT)
        return f"records of {deleted} partitions deleted; SIGCONT to {scene.notes[self.name]}"


CHUNKS = tuple(topics.CHUNKS.values())

_ALL: tuple[Fault, ...] = (
    *(Signalled(f"sigkill:{role}", role, signal.SIGKILL) for role in ROLES),
    *(Signalled(f"sigterm:{role}", role, signal.SIGTERM) for role in ROLES),
    *(Stopped(f"sigstop:{role}", role) for role in (*ROLES, "kafka")),
    *(Stopped(f"zombie:{role}", role, (11.0, 14.0)) for role in (*ROLES, "kafka")),
    *(Joined(f"join:{role}", role) for role in ROLES),
    Signalled("bounce", "kafka", signal.SIGKILL),
    Poisoned("latency", "latency", {"latency": 150, "jitter": 100}),
    Poisoned("reset", "reset_peer", {"timeout": 100}),
    Poisoned("partition", "timeout", {"timeout": 0}),
    Poisoned("severed", "sever"),
    Rejected("reject:assets", (topics.ASSETS,)),
    Rejected("reject:segments", (topics.SEGMENTS,)),
    Rejected("reject:chunks", CHUNKS),
    Rejected("reject:inferences", (topics.INFERENCES,)),
    Rejected("reject:reactions", (topics.REACTIONS,)),
    Rejected("reject:metadata", (topics.METADATA,)),
    Rejected("reject:changelog", (topics.AGGREGATOR_CHANGELOG,)),
    *(DiskFull(f"disk:{role}", role) for role in (*ROLES, "kafka")),
    Resent("redeliver", lambda uploads: uploads.redeliver()),
    Resent("reorder", lambda uploads: uploads.reorder()),
    Deleted("delete-chunk", CHUNKS),
)

FAULTS: dict[str, Fault] = {fault.name: fault for fault in _ALL}

NEEDS_NETWORK = frozenset({"latency", "reset", "partition", "severed"})


@dataclass(frozen=True, slots=True)
class Step:
    """One fault of a run: from when and for how long, in seconds; ``seed`` decides what it leaves open."""

    at: float
    seconds: float
    fault: str
    seed: str


def chosen(names: Sequence[str]) -> list[str]:
    """The faults of some names; a name without its role stands for all roles. Raises ``ValueError`` for an unknown one."""
    found = [name for name in FAULTS if not names or name in names or name.partition(":")[0] in names]
    if unknown := [n for n in names if n not in FAULTS and not any(f.startswith(f"{n}:") for f in FAULTS)]:
        raise ValueError(f"no fault is called {', '.join(unknown)}; there are {', '.join(FAULTS)}")
    return found


def plan_faults(seed: int, names: Sequence[str], spread: float) -> list[Step]:
    """One to three faults of a run. One of a kind and no two on one process's life at a time: each undoes its own."""
    rng = random.Random(f"{seed}/faults")
    # The first goes through all in turn, so that a long matrix has each of them equally often.
    order = random.Random("order").sample(list(names), len(names))
    picked = [order[seed % len(order)]]
    for name in rng.sample(order, len(order)):
        if len(picked) < rng.choice((1, 2, 2, 3)) and not any(_clash(name, other) for other in picked):
            picked.append(name)
    steps = []
    for number, name in enumerate(picked):
        low, high = FAULTS[name].seconds
        steps.append(Step(rng.uniform(0.2, spread), rng.uniform(low, high), name, f"{seed}/{number}"))
    return sorted(steps, key=lambda step: step.at)


def _clash(one: str, other: str) -> bool:
    """Two that undo each other's undoing: of one kind, or both holding one process still."""
    kinds = {one.partition(":")[0], other.partition(":")[0]}
    roles = {"inference" if name == "delete-chunk" else name.partition(":")[2] for name in (one, other)}
    network = {one, other} <= NEEDS_NETWORK
    return len(kinds) == 1 or network or (len(roles) == 1 and kinds <= {"sigstop", "zombie", "delete-chunk", "disk"})
