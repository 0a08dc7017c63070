"""Verdicts for people: the limits that are crossed, by how much, and the findings that cross them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.text import Text

from processors.profiles.model import allowed, shown
from schemas.events import ContentMetadata, Finding, Outcome, RuleResult, Verdict
from streams.looks.printable import safe
from streams.looks.timeline import name_of, when

STYLE: Mapping[Outcome, str] = {"pass": "green", "fail": "red", "review": "yellow", "not_evaluated": "dim"}
MOST_FINDINGS = 20
"""Findings that are listed of one rule; of more the number is told."""


def limit(rule: RuleResult) -> str:
    """What a rule allows, in words, without the unit."""
    return allowed(rule.op, rule.limit, rule.values, rule.tolerance, None)


def judged(event: ContentMetadata, verdicts: Sequence[Verdict]) -> Text:
    """An asset's verdicts: each with the rules that do not pass, and what it was in the event."""
    before = {verdict.profile: verdict.outcome for verdict in event.verdicts}
    findings = {f.id: f for f in event.findings}
    text = Text(f"{safe(name_of(event))}  {event.asset.id}")
    for verdict in verdicts:
        was = before.get(verdict.profile, verdict.outcome)
        text.append("\n  ").append(verdict.outcome, STYLE[verdict.outcome]).append(f" by {safe(verdict.profile)}")
        text.append(f", was {was}" if was != verdict.outcome else "").append(f"  sha256 {verdict.profile_sha256[:12]}", "dim")
        for line in _lines(verdict, findings):
            text.append("\n").append(line)
    return text


def _lines(verdict: Verdict, findings: Mapping[str, Finding]) -> Iterator[Text]:
    if verdict.reason:
        yield Text(f"    {safe(verdict.reason)}")
    passed = sum(rule.outcome == "pass" for rule in verdict.rules)
    for rule in verdict.rules:
        if rule.outcome != "pass":
            yield _line(rule)
            yield from _named(rule, findings)
    if passed:
        yield Text(f"    pass: {passed} of {len(verdict.rules)}", "dim")


def _line(rule: RuleResult) -> Text:
    line = Text("    ").append(rule.outcome, STYLE[rule.outcome])
    where = " ".join(filter(None, (rule.stream, rule.presentation)))
    line.append(f" {safe(rule.rule)} ({rule.severity}{', advice' if rule.severity == 'info' else ''})")
    line.append(f" {where}" if where else "").append(f": {safe(rule.code)}")
    if rule.outcome == "not_evaluated":
        return line.append(f", {safe(rule.reason or '')}", "dim")
    unit = shown(rule.unit and safe(rule.unit))
    measured = "of unknown size" if rule.measured is None else f"{rule.measured:.6g}{unit}"
    return line.append(f" {measured}, allowed {limit(rule)}{'' if rule.op == 'none' else unit}")


def _named(rule: RuleResult, findings: Mapping[str, Finding]) -> Iterator[Text]:
    for name in rule.findings[:MOST_FINDINGS]:
        found = findings.get(name)
        yield Text(f"      {safe(when(found))}  {safe(found.text)}  " if found else "      ").append(name[:12], "dim")
    if len(rule.findings) > MOST_FINDINGS:
        yield Text(f"      and {len(rule.findings) - MOST_FINDINGS} more", "dim")
