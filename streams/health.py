"""Whether a role lives and whether it is ready: the rules alone, apart from where figures come from and who asks.

Not alive is a role that has work and does none: records wait, and for ``patience`` seconds nothing was settled and nothing
gave a sign of life; or its loop has not turned for as long. A restart must be able to cure it, so what lies outside of the
process (the broker is away, partitions are moved) makes a role not ready, and holds the clock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

PATIENCE_SECONDS = 300.0


class Phase(StrEnum):
    """Where a role is in its life."""

    STARTING = "starting"
    """It loads, connects, or recovers its tables. Silence is not judged: only a loop that has begun to turn must go on."""
    READY = "ready"
    """It has been given its partitions (perhaps none)."""
    STOPPING = "stopping"
    """It finishes what it has begun."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a probe: yes or no, why not, and what it rests on (JSON values)."""

    ok: bool
    reason: str | None
    facts: Mapping[str, object]

    def body(self) -> dict[str, object]:
        """The answer as a JSON object."""
        return {"ok": self.ok, "reason": self.reason, **self.facts}


class Health:
    """What a role is known to do. Any thread may tell and any may ask; nothing here waits for the role's own loop.

    ``clock`` gives monotonic seconds.
    """

    def __init__(self, patience: float = PATIENCE_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self.patience = patience
        self._clock = clock
        self._lock = threading.Lock()
        self._phase = Phase.STARTING
        self._begun = self._acked = self._excused = clock()
        self._beat: float | None = None
        self._signs: dict[str, float] = {}
        self._lag: Mapping[str, int] = {}
        self._away = self._moving = False

    @property
    def phase(self) -> Phase:
        """Where the role is in its life."""
        return self._phase

    @property
    def lag(self) -> Mapping[str, int]:
        """Records that wait, by topic, when it was last looked at."""
        return self._lag

    @property
    def away(self) -> bool:
        """Whether the broker was out of reach when it was last looked at."""
        return self._away

    def ready(self) -> None:
        """The role has its partitions and its tables: from now on silence counts."""
        with self._lock:
            self._phase, self._excused = Phase.READY, self._clock()

    def stopping(self) -> None:
        """The role was asked to end."""
        self._phase = Phase.STOPPING

    def beat(self) -> None:
        """The loop has turned. It is not watched before its first beat, since loading a model may hold it up."""
        self._beat = self._clock()

    def acked(self) -> None:
        """A message was settled, or a job."""
        with self._lock:
            self._acked = self._clock()

    def sign(self, who: str, allow: float = 0.0) -> None:
        """Work under way gave a sign of life. Its next one may take ``allow`` seconds more than the patience.

        ``who`` names the place of the work (a worker, an agent), so that another's sign does not shorten what is allowed. A
        wait that some other limit ends (a child's wall clock) is allowed for by that limit.
        """
        with self._lock:
            self._signs[who] = self._clock() + allow

    def saw(self, lag: Mapping[str, int], *, away: bool, moving: bool = False) -> None:
        """The consumer was looked at: records that wait, by topic; is the broker out of reach; are partitions on the move."""
        with self._lock:
            self._lag, self._away, self._moving = dict(lag), away, moving
            if away or moving or not any(lag.values()):
                self._excused = self._clock()

    @property
    def ack_age(self) -> float:
        """Seconds since anything was settled; before the first, since the process began."""
        return self._clock() - self._acked

    @property
    def silence(self) -> float:
        """Seconds in which there was work and no sign of it; 0 while there is none, or more time is allowed."""
        with self._lock:
            if not any(self._lag.values()):
                return 0.0
            return max(0.0, self._clock() - max(self._acked, self._excused, *self._signs.values()))

    def live(self) -> Answer:
        """Whether the role lives."""
        held = 0.0 if self._beat is None else self._clock() - self._beat
        waiting, silence = sum(self._lag.values()), self.silence
        reason = None
        if held > self.patience:
            reason = f"the loop has not turned for {held:.0f} s"
        elif self._phase is Phase.READY and waiting and silence > self.patience:
            reason = f"{waiting} records wait, and for {silence:.0f} s nothing was done"
        return self._answer(reason)

    def readiness(self) -> Answer:
        """Whether the role takes part in the work."""
        if self._phase is Phase.STARTING:
            return self._answer("it is loading, connecting or recovering its tables")
        if self._phase is Phase.STOPPING:
            return self._answer("it is stopping")
        if self._away:
            return self._answer("the broker is out of reach")
        if self._moving:
            return self._answer("partitions are being moved, or tables recovered")
        return self._answer(None)

    def _answer(self, reason: str | None) -> Answer:
        facts = {
            "phase": self._phase.value,
            "lag": dict(self._lag),
            "ack_age_seconds": round(self.ack_age, 3),
            "uptime_seconds": round(self._clock() - self._begun, 3),
        }
        return Answer(reason is None, reason, facts)
