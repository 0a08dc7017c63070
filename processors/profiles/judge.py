"""The judge: a profile's rules applied to measurements and findings. Facts in, outcomes out; it measures nothing itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Literal, NamedTuple

from processors.profiles.model import Condition, Profile, Rule
from schemas.events import AssetCoverage, Finding, Measurement, Outcome, RuleResult, Status, Verdict
from schemas.reactions import RuleReaction
from schemas.technical import Technical

_ORDER: dict[Outcome, int] = {"fail": 0, "review": 1, "not_evaluated": 2, "pass": 3}
_ONLY_WORSE_MEASUREMENTS = frozenset(
    {
        "loudness.true_peak",
        "loudness.max_momentary",
        "loudness.max_short_term",
        "audio.peak",
        "video.max_cll",
        "video.max_fall",
    }
)
_ONLY_WORSE_FINDINGS = frozenset(
    {
        "video.black",
        "video.flash_frame",
        "video.flash.luminance",
        "video.flash.red",
        "video.decode_error",
        "video.timestamp_gap",
        "audio.decode_error",
        "audio.timestamp_gap",
        "audio.clipping",
    }
)
_LEADER = ("video.bars", "video.slate")
_LEADER_CODES = (*_LEADER, "video.black")
_LEADER_JOIN_SECONDS = 0.5
_NOT_ANALYSED = "the asset was not analysed"
_PARTIAL = "not everything was analysed"


def judge(
    profile: Profile,
    *,
    measurements: Sequence[Measurement],
    findings: Sequence[Finding],
    coverage: AssetCoverage,
    technical: Technical,
    status: Status,
    examined: Collection[str] | None = None,
) -> Verdict:
    """What the profile says about an asset.

    One result per rule and analysed stream, or presentation, of the rule's kind; a rule on the asset as a whole, or one
    that finds no such stream, gives one. A measurement that is missing, null, unreliable or in another unit is
    ``not_evaluated``, with the reason. On partial coverage nothing passes; what is violated already still counts, except
    figures over the whole of a stream that was not seen whole. ``examined`` holds the finding codes that the run's tasks
    look for: a rule on another code is not evaluated (``None``: all were looked for). The verdict's outcome is the worst
    of all that is not advice: fail, review, not_evaluated, pass.
    """
    case = _Case(measurements, findings, coverage, technical, status, examined)
    rules = tuple(result for rule in profile.rules for result in case.apply(rule))
    whole: Outcome = "pass" if status == "complete" else "not_evaluated"
    worst = min((r.outcome for r in rules if r.severity != "info"), key=_ORDER.__getitem__, default=whole)
    return Verdict(profile=profile.name, profile_sha256=profile.sha256, outcome=worst, layers=profile.layers, rules=rules)


def react(profile: Profile, finding: Finding, findings: Sequence[Finding] = ()) -> tuple[RuleReaction, ...]:
    """The profile's rules on one finding as it comes; ``findings`` are the others so far.

    A rule that is not violated is ``not_evaluated`` here: nothing passes before the end.
    """
    return tuple(_react(rule, finding, findings) for rule in profile.rules if rule.code == finding.code)


def react_to_figure(profile: Profile, figure: Measurement) -> tuple[RuleReaction, ...]:
    """The profile's rules that a figure so far breaks for good: it can only rise, and is above an upper limit already."""
    if figure.value is None or not figure.reliable or finality(figure.id) == "provisional":
        return ()
    about = [rule for rule in profile.rules if rule.code == figure.id and rule.unit == figure.unit]
    # Where a rule applies may be known at the end alone.
    known = [rule for rule in about if rule.limit is not None and rule.when is None]
    broken = [rule for rule in known if figure.value > (rule.limit or 0.0) and _excess(rule, figure.value) > 0]
    where = _Unit(figure.stream, figure.presentation)
    return tuple(_reaction(_result(rule, where, rule.outcome, figure.value), final=True) for rule in broken)


def finality(code: str) -> Literal["irrevocable", "provisional"]:
    """Whether a violation can still vanish: ``irrevocable`` for what can only get worse, such as a true peak."""
    return "irrevocable" if code in _ONLY_WORSE_MEASUREMENTS | _ONLY_WORSE_FINDINGS else "provisional"


class _Unit(NamedTuple):
    """What there is one result of: a stream, a presentation with the first of its streams, or the asset as a whole."""

    stream: str | None
    presentation: str | None = None

    def __str__(self) -> str:
        return self.presentation or self.stream or "the asset"


_ASSET = _Unit(None)


class _Case:
    """Everything the rules are applied to."""

    def __init__(
        self,
        measurements: Sequence[Measurement],
        findings: Sequence[Finding],
        coverage: AssetCoverage,
        technical: Technical,
        status: Status,
        examined: Collection[str] | None,
    ) -> None:
        self.status, self.examined = status, examined
        self.streams = [(s.id, s.kind) for s in technical.streams if s.decision == "analysed"]
        self.partial = {g.stream for g in coverage.gaps} | {
            name for name, c in coverage.streams.items() if c.missing or c.failed or not c.analysed
        }
        self.parts = {p.id: [part.stream for part in p.streams] for p in technical.presentations}
        self.figures: dict[str, list[Measurement]] = {}
        self.found: dict[str, list[Finding]] = {}
        for m in measurements:
            self.figures.setdefault(m.id, []).append(m)
        for f in findings:
            self.found.setdefault(f.code, []).append(f)
        leader = [f for code in _LEADER_CODES for f in self.found.get(code, ())]
        self.starts = {stream: _programme_start(leader, stream) for stream in {f.stream for f in leader}}

    def apply(self, rule: Rule) -> Iterable[RuleResult]:
        """The rule's results, one by one."""
        if self.status == "unprocessable":
            return [_result(rule, _ASSET, "not_evaluated", reason=_NOT_ANALYSED)]
        if rule.kind is None and rule.on_finding:
            return [self._on_findings(rule, _ASSET)]
        units = self._units(rule)
        if not units:
            return [
                _result(rule, _ASSET, "not_evaluated", reason=f"there is no analysed {rule.kind or 'picture or sound'} stream")
            ]
        one = self._on_findings if rule.on_finding else self._on_measurement
        return [one(rule, unit) for unit in units]

    def _units(self, rule: Rule) -> list[_Unit]:
        streams = [_Unit(name) for name, kind in self.streams if rule.kind in (None, kind)]
        if rule.per == "stream":
            return streams
        analysed = {unit.stream for unit in streams}
        units = [_Unit(parts[0], name) for name, parts in self.parts.items() if analysed.intersection(parts)]
        alone = analysed.difference(*self.parts.values())
        return units + [unit for unit in streams if unit.stream in alone]

    def _of(self, code: str, unit: _Unit) -> list[Measurement]:
        figures = self.figures.get(code, ())
        if unit.presentation is not None:
            return [m for m in figures if m.presentation == unit.presentation]
        return [m for m in figures if m.stream == unit.stream]

    def _on_measurement(self, rule: Rule, unit: _Unit) -> RuleResult:
        """The worst of the unit's figures of that id (there may be one for each presentation or channel)."""
        if rule.when is not None and (result := self._beside(rule, rule.when, unit)) is not None:
            return result
        results = [self._figure(rule, m, unit) for m in self._of(rule.code, unit)]
        if not results:
            return _result(rule, unit, "not_evaluated", reason="not measured")
        return min(results, key=lambda r: (_ORDER[r.outcome], -_excess(rule, r.measured)))

    def _beside(self, rule: Rule, when: Condition, unit: _Unit) -> RuleResult | None:
        """The result of a rule that does not apply to a unit, or of which that is not known; None if it does."""
        figures = self._of(when.code, unit)
        unknown = (
            "not measured" if not figures else next((_unknown(m, when.unit) for m in figures if _unknown(m, when.unit)), None)
        )
        if unknown is not None:
            return _result(rule, unit, "not_evaluated", reason=f"{when.code}: {unknown}")
        if all(m.value is not None and when.holds(m.value) for m in figures):
            return None
        if any(map(self._partial, figures)):
            return _result(rule, unit, "not_evaluated", reason=f"{_PARTIAL} of {unit}")
        measured = ", ".join(f"{m.value:g}" for m in figures)
        return self._kept(rule, unit, None, reason=f"does not apply: it is for {when}, and measured is {measured}")

    def _figure(self, rule: Rule, m: Measurement, unit: _Unit) -> RuleResult:
        where = _Unit(m.stream, m.presentation)
        if m.value is None or (unknown := _unknown(m, rule.unit)) is not None:
            return _result(rule, where, "not_evaluated", m.value, reason=m.reason if m.value is None else unknown)
        if _excess(rule, m.value) > 0:
            if finality(rule.code) == "provisional" and self._partial(m):
                return _result(rule, where, "not_evaluated", m.value, reason=f"{_PARTIAL} of {where}")
            return _result(rule, where, rule.outcome, m.value)
        return self._kept(rule, where, m.value)

    def _partial(self, m: Measurement) -> bool:
        """Whether a figure is of something that was not seen whole."""
        return not self.partial.isdisjoint([m.stream, *self.parts.get(m.presentation or "", ())])

    def _on_findings(self, rule: Rule, unit: _Unit) -> RuleResult:
        seen = [f for f in self.found.get(rule.code, ()) if unit.stream in (None, f.stream)]
        if rule.scope == "programme":
            seen = [f for f in seen if f.end_seconds > self.starts.get(f.stream, 0.0)]
        bad = [f for f in seen if _violates(rule, f)]
        if bad:
            measured = float(len(bad)) if rule.op == "none" else _largest(bad, rule.unit)
            return _result(rule, unit, rule.outcome, measured, findings=tuple(f.id for f in bad))
        if self.examined is not None and rule.code not in self.examined:
            return _result(rule, unit, "not_evaluated", reason="no task of this run looks for it")
        return self._kept(rule, unit, 0.0 if rule.op == "none" or not seen else _largest(seen, rule.unit))

    def _kept(self, rule: Rule, unit: _Unit, measured: float | None, *, reason: str | None = None) -> RuleResult:
        if self.status != "complete":
            return _result(rule, unit, "not_evaluated", measured, reason=_PARTIAL)
        return _result(rule, unit, "pass", measured, reason=reason)


def _unknown(m: Measurement, unit: str | None) -> str | None:
    """Why a figure says nothing; None if it does."""
    if m.value is None:
        return m.reason
    if not m.reliable:
        return m.reason or "the measurement is not reliable"
    return f"measured in {m.unit}, not in {unit}" if m.unit != unit else None


def _excess(rule: Rule, value: float | None) -> float:
    """How far a value is beyond the limit and its tolerance: positive where the rule is violated."""
    # Decimal limits in binary: −23.2 lies on the limit of −23 ± 0.2, whatever the last bit says.
    slack = 1e-9
    tolerance = rule.tolerance or 0.0
    if value is not None and rule.values:
        return min(abs(value - one) for one in rule.values) - tolerance - slack
    if value is None or rule.limit is None:
        return float("-inf")
    if rule.op == "within":
        return abs(value - rule.limit) - tolerance - slack
    beyond = value - rule.limit if rule.op == "<=" else rule.limit - value
    return beyond - tolerance - slack


def _size(finding: Finding, unit: str | None) -> float | None:
    """A finding's value in the rule's unit; its length where that is asked for in seconds and the value is something else."""
    if finding.unit == unit and finding.value is not None:
        return finding.value
    return finding.end_seconds - finding.start_seconds if unit == "s" else None


def _violates(rule: Rule, finding: Finding) -> bool:
    if rule.op == "none":
        return True
    size = _size(finding, rule.unit)
    # A finding of unknown size is not known to keep within the limit; a person decides.
    return size is None or _excess(rule, size) > 0


def _largest(findings: Sequence[Finding], unit: str | None) -> float | None:
    sizes = (_size(f, unit) for f in findings)
    return max((size for size in sizes if size is not None), default=None)


def _programme_start(findings: Sequence[Finding], stream: str) -> float:
    """Seconds from the start of the asset to the end of its leader: bars and slate with the black between and after them.

    Black alone at the head is no leader: 0 then.
    """
    leader = sorted((f for f in findings if f.stream == stream and f.code in _LEADER_CODES), key=lambda f: f.start_seconds)
    edge, marked = 0.0, False
    for finding in leader:
        if finding.start_seconds > edge + _LEADER_JOIN_SECONDS:
            break
        edge = max(edge, finding.end_seconds)
        marked = marked or finding.code in _LEADER
    return edge if marked else 0.0


def _result(
    rule: Rule,
    unit: _Unit,
    outcome: Outcome,
    measured: float | None = None,
    *,
    reason: str | None = None,
    findings: tuple[str, ...] = (),
) -> RuleResult:
    return RuleResult(
        rule=rule.id,
        code=rule.code,
        stream=unit.stream,
        presentation=unit.presentation,
        op=rule.op,
        limit=rule.limit,
        values=rule.values,
        tolerance=rule.tolerance,
        measured=measured,
        unit="count" if rule.op == "none" else rule.unit,
        outcome=outcome,
        severity=rule.severity,
        overridable=rule.overridable,
        reason=reason,
        findings=findings,
    )


def _react(rule: Rule, finding: Finding, findings: Sequence[Finding]) -> RuleReaction:
    scoped, where = rule.scope == "programme", _Unit(finding.stream)
    if scoped and finding.end_seconds <= _programme_start([*findings, finding], finding.stream):
        result = _result(rule, where, "not_evaluated", reason="it lies in the leader")
    elif _violates(rule, finding):
        measured = 1.0 if rule.op == "none" else _size(finding, rule.unit)
        result = _result(rule, where, rule.outcome, measured, findings=(finding.id,))
    else:
        result = _result(rule, where, "not_evaluated", _size(finding, rule.unit), reason="within the limit so far")
    # Bars or slate behind a black at the head may still make a leader of it.
    certain = finality(rule.code) == "irrevocable" and not (scoped and finding.start_seconds <= _LEADER_JOIN_SECONDS)
    return _reaction(result, final=certain and result.outcome == rule.outcome)


def _reaction(result: RuleResult, *, final: bool) -> RuleReaction:
    action: dict[Outcome, Literal["hold", "review", "none"]] = {"fail": "hold", "review": "review"}
    advice = result.severity == "info"
    return RuleReaction(
        **result.model_dump(),
        finality="irrevocable" if final else "provisional",
        suggested_action="none" if advice else action.get(result.outcome, "none"),
    )
