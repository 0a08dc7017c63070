"""Reactions: what is said of an asset's findings while it is still in progress, in an order that survives a restart.

Three sources, one log:

- a lane's fold, as the contiguous prefix grows: ``new``, ``update``, ``end``, ``withdrawn``, each numbered in its lane;
- a chunk ahead of the prefix, for an interval that begins and ends inside it (:func:`ahead`): said at once, and again
  only if the prefix sees it otherwise. If the prefix has no such finding when it gets there, it is ``merged`` into the one
  that covers it, or ``withdrawn``;
- the end of the run, which ends what is open and says what only the end could know.

So at the end the reactions, read in order, amount to the findings of the final event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from processors import profiles
from processors.aggregate import Aggregate, Heard, LaneKey
from processors.assemble import decoding_findings, finding, makers, measurement, opinion
from processors.findings import FindingDraft, FoldEvent, Phase
from processors.lane import Place
from processors.presentations import presentations
from processors.profiles import Profile
from processors.tasks.base import FoldRun, RunningFold
from schemas.cell import CellResult, CellStatus
from schemas.chunk import hop_edge
from schemas.errors import ProfileError
from schemas.events import Finding, Measurement
from schemas.ids import finding_id, identity
from schemas.reactions import Reaction, RuleReaction, Watermark

STANDING = ("new", "update", "end")
"""Phases after which there is a finding."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A reaction with its key in the log: the same event of the run has the same key, however often it is folded."""

    key: tuple[str | int, ...]
    reaction: Reaction

    @property
    def id(self) -> str:
        """The deterministic ``ce_id``."""
        return identity("reaction", self.reaction.run, *self.key)

    @property
    def about(self) -> str:
        """What it is about: the finding's id, else the key itself."""
        return self.reaction.finding.id if self.reaction.finding is not None else identity(*self.key)


class Said(NamedTuple):
    """The last word on a finding."""

    key: tuple[str | int, ...]
    phase: str
    finding: Finding


@dataclass(slots=True)
class ReactionLog:
    """What has been said of each finding of one run. ``last`` is by finding id."""

    aggregate: Aggregate
    last: dict[str, Said] = field(default_factory=dict)
    seq: int = 0
    _heard: dict[LaneKey, int] = field(default_factory=dict)
    _decoded: set[str] = field(default_factory=set)
    _crossed: set[tuple[str | int, ...]] = field(default_factory=set)
    _early: dict[str, tuple[LaneKey, Place]] = field(default_factory=dict)
    _judges: list[Profile] | None = None

    def restore(self, entries: Iterable[Entry]) -> None:
        """Continue after a restart: the last entry of every finding, in any order."""
        for entry in entries:
            self._note(entry)

    def _note(self, entry: Entry) -> None:
        self.seq = max(self.seq, entry.reaction.seq)
        found = entry.reaction.finding
        if found is None:
            self._crossed.add(entry.key)
            return
        self.last[found.id] = Said(entry.key, entry.reaction.phase, found)
        match entry.key:
            case ("lane", str(stream), str(task), int(ordinal)):
                self._heard[stream, task] = max(ordinal, self._heard.get((stream, task), 0))
            case ("early", str(stream), str(task), int(segment), int(n), _):
                self._early[found.id] = (stream, task), (segment, n)

    def hear(self, heard: Heard) -> list[Entry]:
        """An event of a lane's fold. Nothing, if it is known."""
        lane, number, event = heard
        if number <= self._heard.get(lane, 0):
            return []
        self._heard[lane] = number
        found, phase = self._finding(lane, event), event.phase
        known = self.last.get(found.id)
        if known is None or known.phase not in STANDING:
            return [] if phase is Phase.WITHDRAWN else [self._say(("lane", *lane, number), phase.value, found)]
        whole = known.phase == "end"
        if phase in (Phase.NEW, Phase.UPDATE) and (whole or known.finding == found):
            return []
        if phase is Phase.END and whole and known.finding == found:
            return []
        return [self._say(("lane", *lane, number), "update" if phase is Phase.NEW else phase.value, found)]

    def ahead(self, result: CellResult) -> list[Entry]:
        """What is certain from a result that lies ahead of the prefix: intervals that begin and end inside it."""
        key = result.key
        lane = self.aggregate.lanes.get((key.stream, key.task))
        if lane is None or result.status is not CellStatus.OK or (key.segment, key.n) <= lane.at:
            return []
        entries = []
        where: LaneKey = (key.stream, key.task)
        for number, event in enumerate(inside(lane.run, result)):
            found = self._finding(where, event)
            if found.id not in self.last:
                entries.append(self._say(("early", *where, key.segment, key.n, number), "end", found))
        return entries

    def decoded(self, stream: str) -> list[Entry]:
        """What decoding itself found, once every job of a stream has ended."""
        if stream in self._decoded or not self.aggregate.streams[stream].settled:
            return []
        self._decoded.add(stream)
        new = [found for found in decoding_findings(self.aggregate, stream) if found.id not in self.last]
        return [self._say(("decoded", found.id), "end", found) for found in new]

    def passed(self, lane: LaneKey) -> list[Entry]:
        """The prefix of a lane has grown: what was said ahead of it and turned out otherwise."""
        of = self.aggregate.lanes[lane]
        passed = [name for name, (at, place) in self._early.items() if at == lane and place < of.at]
        if not passed:
            return []
        clock = self.aggregate.streams[of.stream].plan.clock
        asset, mine = self.aggregate.plan.asset.id, opinion(lane[1])
        seen = {finding_id(asset, of.stream, code, clock.event_time(start), opinion=mine) for code, start in of.run.findings}
        known = [said.finding for said in self.last.values()]
        for name in passed:
            del self._early[name]
        return [self._resolve(name, known) for name in passed if name not in seen]

    def close(self, findings: Sequence[Finding]) -> list[Entry]:
        """The run ends with these findings: say what is not said yet, and take back what is not among them."""
        entries = []
        final = {f.id: f for f in findings}
        for name, known in list(self.last.items()):
            if name not in final and known.phase in STANDING:
                entries.append(self._resolve(name, findings))
        for found in findings:
            before = self.last.get(found.id)
            if before is None or before.phase != "end" or before.finding != found:
                entries.append(self._say(("end", found.id), "end", found))
        return entries

    def _resolve(self, name: str, others: Sequence[Finding]) -> Entry:
        """Merged into the finding that covers it, else withdrawn."""
        mine = self.last[name].finding
        cover = next((f for f in others if f.id != name and _covers(f, mine) and self._stands(f.id)), None)
        if cover is not None:
            return self._say(("merged", name), "merged", mine, merged_into=cover.id)
        return self._say(("withdrawn", name), "withdrawn", mine)

    def _stands(self, name: str) -> bool:
        known = self.last.get(name)
        return known is None or known.phase in STANDING

    def crossed(self, key: LaneKey) -> list[Entry]:
        """The figures of a lane so far that can only get worse and cross a limit: each rule once."""
        lane = self.aggregate.lanes[key]
        fold = lane.run.fold
        if not isinstance(fold, RunningFold):
            return []
        programmes = presentations(self.aggregate.plan)
        entries = []
        for draft in fold.so_far(lane.run.stream, lane.run.state):
            figure = measurement(programmes, key[0], draft, makers(self.aggregate.plan)[key[1]])
            for profile in self._profiles():
                rules = profiles.react_to_figure(profile, figure)
                name = ("figure", *key, draft.id, profile.name)
                if rules and name not in self._crossed:
                    entries.append(self._say_figure(name, figure, rules))
        return entries

    def _say_figure(self, key: tuple[str | int, ...], figure: Measurement, rules: tuple[RuleReaction, ...]) -> Entry:
        about = {"phase": "new", "finding": None, "measurement": figure, "merged_into": None, "rules": rules}
        return self._publish(key, figure.stream, about)

    def _profiles(self) -> list[Profile]:
        """The profiles that the plan carries, or names: without those that cannot be had here."""
        if self._judges is None:
            self._judges = []
            for name in self.aggregate.plan.profiles:
                with suppress(ProfileError):
                    self._judges.append(profiles.planned(self.aggregate.plan, name))
        return self._judges

    def _finding(self, lane: LaneKey, event: FoldEvent) -> Finding:
        plan = self.aggregate.plan
        return finding(plan, lane[0], event.finding, makers(plan)[lane[1]], opinion=opinion(lane[1]))

    def _say(self, key: tuple[str | int, ...], phase: str, found: Finding, merged_into: str | None = None) -> Entry:
        rules = () if phase in ("withdrawn", "merged") else self._rules(found)
        return self._publish(key, found.stream, {"phase": phase, "finding": found, "merged_into": merged_into, "rules": rules})

    def _publish(self, key: tuple[str | int, ...], stream: str, about: Mapping[str, Any]) -> Entry:
        plan = self.aggregate.plan
        head: dict[str, Any] = {"asset": plan.asset, "correlation": plan.correlation, "run": plan.run, "seq": self.seq + 1}
        mark = Watermark(clock=stream, contiguous_to=self.aggregate.contiguous_to(stream))
        entry = Entry(key, Reaction(**head, watermark=mark, **about))
        self._note(entry)
        return entry

    def _rules(self, found: Finding) -> tuple[RuleReaction, ...]:
        loaded = self._profiles()
        others: list[Finding] = []
        if any(rule.scope == "programme" and rule.code == found.code for profile in loaded for rule in profile.rules):
            others = [said.finding for name, said in self.last.items() if name != found.id and self._stands(name)]
        return tuple(rule for profile in loaded for rule in profiles.react(profile, found, others))


def inside(run: FoldRun, result: CellResult) -> list[FoldEvent]:
    """The findings that begin and end inside one result, as a fold that sees nothing else finds them."""
    signals = result.signals()
    events = FoldRun.begin(run.fold, run.stream).step(signals).events
    audio = run.stream.audio

    def begins(draft: FindingDraft) -> bool:
        if audio is not None:
            return draft.start > hop_edge(audio.rate, signals.first_row)
        return draft.start_row is not None and draft.start_row > signals.first_row

    return [event for event in events if event.phase is Phase.END and begins(event.finding)]


def _covers(outer: Finding, inner: Finding) -> bool:
    same = (outer.stream, outer.code) == (inner.stream, inner.code)
    return same and outer.start <= inner.start and inner.end <= outer.end


def encode(entry: Entry) -> Mapping[str, Any]:
    """An entry as a JSON object."""
    return {"key": list(entry.key), "reaction": entry.reaction.model_dump(mode="json")}


def decode(body: Mapping[str, Any]) -> Entry:
    """The inverse of :func:`encode`."""
    return Entry(tuple(body["key"]), Reaction.model_validate(body["reaction"]))
