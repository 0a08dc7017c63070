"""From a finished aggregate to the one final event: coverage, times, findings, measurements, verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import av

from processors import profiles, tasks
from processors.aggregate import Aggregate, LaneKey
from processors.coverage import coverage, ending
from processors.decode_findings import CODES, decode_findings
from processors.findings import VOCABULARY, FindingDraft, MeasurementDraft
from processors.mismatch import FINDINGS as FILE_FINDINGS
from processors.mismatch import Light, file_findings
from processors.presentations import presentation_of, presentations
from processors.rejudge import rejudge
from processors.spans import span_fields
from processors.stream_figures import stream_figures
from processors.tasks.base import Outcome
from processors.technical import light_levels, technical
from schemas.errors import ProfileError
from schemas.events import (
    AssetCoverage,
    ChunkCoverage,
    ContentMetadata,
    Finding,
    Measurement,
    Producer,
    Run,
    Shot,
    SignalsRef,
    Tracks,
    Verdict,
)
from schemas.ids import finding_id
from schemas.plan import NoPlan, Plan
from schemas.technical import ActiveArea, Presentation, Technical
from schemas.versions import order

DECODER = "p0"
DECODER_LOOKS_FOR = tuple(sorted({*CODES, *FILE_FINDINGS}))


def metadata(aggregate: Aggregate, *, dataref: str | None) -> ContentMetadata:
    """The final event of a run of which everything is accounted for."""
    plan = aggregate.plan
    outcomes = aggregate.finish()
    by = makers(plan)
    covered = coverage(aggregate)
    status, reason = ending(aggregate, covered.gaps)
    facts: dict[str, dict[str, Any]] = {}
    for (stream, _), outcome in outcomes.items():
        facts.setdefault(stream, {}).update(outcome.facts)
    programmes = presentations(plan)
    measurements = [
        _measurement(programmes, key, draft, by[key[1]], covered) for key, o in outcomes.items() for draft in o.measurements
    ]
    measurements += [_measurement(programmes, (name, ""), draft, DECODER, covered) for name, draft in stream_figures(aggregate)]
    about = technical(aggregate, facts, measurements, programmes)
    findings = _findings(aggregate, by, light_levels(measurements))
    event = ContentMetadata(
        asset=plan.asset,
        correlation=plan.correlation,
        run=Run(
            id=plan.run,
            status=status,
            reason=reason,
            plan_version=plan.plan_version,
            caused_by=plan.caused_by,
            code=plan.code,
        ),
        coverage=covered,
        clocks={s.id: s.clock for s in plan.streams if s.decision == "analysed"},
        technical=about,
        measurements=tuple(sorted(measurements, key=lambda m: (m.stream, m.id, m.channel if m.channel is not None else -1))),
        tracks=Tracks(shots=_shots(plan, outcomes, by)),
        findings=findings,
        producers=_producers(aggregate, by),
        signals=SignalsRef(dataref=dataref),
    )
    return event.model_copy(update={"verdicts": _verdicts(plan, event)})


def makers(plan: Plan) -> dict[str, str]:
    """The producer id of each task."""
    return {task.name: f"p{i}" for i, task in enumerate(plan.tasks, start=1)}


def unprocessable(no_plan: NoPlan) -> ContentMetadata:
    """The final event of an asset for which there is no plan."""
    return ContentMetadata(
        asset=no_plan.asset,
        correlation=no_plan.correlation,
        run=Run(
            id=no_plan.run,
            status="unprocessable",
            reason=f"{no_plan.reason}: {no_plan.message}",
            plan_version=no_plan.plan_version,
            caused_by=no_plan.caused_by,
            code=no_plan.code,
        ),
        coverage=AssetCoverage(video_frames=None, streams={}, chunks=ChunkCoverage(expected=0, ok=0, failed=0, skipped=0)),
        clocks={},
        technical=Technical(container=None, duration=None),
    )


def _verdicts(plan: Plan, event: ContentMetadata) -> tuple[Verdict, ...]:
    return tuple(_verdict(plan, name, event) for name in plan.profiles)


def _verdict(plan: Plan, name: str, event: ContentMetadata) -> Verdict:
    try:
        profile = profiles.planned(plan, name)
    except ProfileError as error:
        # A plan of another version must not keep the asset open.
        digest = next((data.sha256 for data in plan.judged_by if data.name == name), "")
        return Verdict(profile=name, profile_sha256=digest, outcome="not_evaluated", reason=str(error), rules=())
    return rejudge(profile, event)


def _findings(aggregate: Aggregate, by: Mapping[str, str], light: Light) -> tuple[Finding, ...]:
    found = [
        finding(aggregate.plan, stream, event.finding, by[task], opinion=opinion(task))
        for (stream, task), lane in aggregate.lanes.items()
        for event in lane.run.final_findings()
    ]
    for name in aggregate.streams:
        found += decoding_findings(aggregate, name)
    found += [finding(aggregate.plan, name, draft, DECODER) for name, draft in file_findings(aggregate, light)]
    unique = {f.id: f for f in found}
    return tuple(sorted(unique.values(), key=lambda f: (f.start_seconds, f.stream, f.code, f.id)))


def decoding_findings(aggregate: Aggregate, stream: str) -> list[Finding]:
    """What decoding itself found in a stream of which all jobs have ended."""
    plan = aggregate.plan
    return [finding(plan, stream, d, DECODER) for d in decode_findings(aggregate.streams[stream], plan.container)]


def opinion(task: str) -> str | None:
    """The task's name if it is the second to speak of its codes: its findings then have ids of their own."""
    return task if tasks.task(task).spec.second_opinion else None


def finding(plan: Plan, stream: str, draft: FindingDraft, by: str, *, opinion: str | None = None) -> Finding:
    """A draft with its id, its words and its times. ``opinion`` names the task where another is the first to speak of it."""
    clock = plan.stream(stream).clock
    term = VOCABULARY[draft.code]
    start, end = clock.event_time(draft.start), clock.event_time(draft.end)
    area = None if draft.area is None else ActiveArea(x=draft.area[0], y=draft.area[1], w=draft.area[2], h=draft.area[3])
    return Finding(
        **span_fields(stream, clock, start, end, draft.start_row, draft.end_row),
        id=finding_id(plan.asset.id, stream, draft.code, start, opinion=opinion),
        code=draft.code,
        category=term.category,
        term=term.term,
        ebu_qc=term.ebu_qc,
        stream=stream,
        area=area,
        channels=draft.channels,
        value=draft.value,
        unit=draft.unit,
        text=draft.text,
        by=by,
    )


def measurement(programmes: Sequence[Presentation], stream: str, draft: MeasurementDraft, by: str) -> Measurement:
    """A draft with its maker, whatever the rest of the asset is like.

    One that is of a stream's whole programme names the presentation that the stream is part of.
    """
    programme = draft.presentation is not None
    return Measurement(
        id=draft.id,
        stream=stream,
        presentation=presentation_of(programmes, stream, draft.channel) if programme else None,
        channel=draft.channel,
        value=draft.value,
        unit=draft.unit,
        reliable=draft.reliable and draft.value is not None,
        reason=draft.reason,
        method=draft.method,
        by=by,
    )


def _measurement(
    programmes: Sequence[Presentation], key: LaneKey, draft: MeasurementDraft, by: str, covered: AssetCoverage
) -> Measurement:
    stream, _ = key
    figure = measurement(programmes, stream, draft, by)
    if covered.streams[stream].analysed == 0:
        nothing = {"value": None, "reliable": False, "reason": "nothing of this stream was analysed"}
        return figure.model_copy(update=nothing)
    if any(gap.stream == stream for gap in covered.gaps):
        return figure.model_copy(update={"reliable": False})
    return figure


def _shots(plan: Plan, outcomes: Mapping[LaneKey, Outcome], by: Mapping[str, str]) -> tuple[Shot, ...]:
    shots = []
    for (stream, task), outcome in outcomes.items():
        clock = plan.stream(stream).clock
        for s in outcome.shots:
            start, end = clock.event_time(s.start), clock.event_time(s.end)
            shots.append(
                Shot(
                    **span_fields(stream, clock, start, end, s.start_frame, s.end_frame),
                    transition_in=s.transition_in,
                    transition_out=s.transition_out,
                    confidence=s.confidence,
                    by=by[task],
                )
            )
    return tuple(shots)


def _producers(aggregate: Aggregate, by: Mapping[str, str]) -> tuple[Producer, ...]:
    decoding = sum(sum(m.seconds.values()) for state in aggregate.streams.values() for _, m in sorted(state.manifests.items()))
    found = [
        Producer(
            id=DECODER,
            name="decode",
            version=aggregate.plan.code,
            runtime=f"PyAV {av.__version__}",
            seconds=round(decoding, 6),
            looks_for=DECODER_LOOKS_FOR,
        )
    ]
    for task in aggregate.plan.tasks:
        lanes = [lane for (_, name), lane in aggregate.lanes.items() if name == task.name]
        spec = tasks.task(task.name).spec
        ran = sorted({version for lane in lanes for version in lane.tally.versions}, key=order) or [task.version]
        found.append(
            Producer(
                id=by[task.name],
                name=task.name,
                version=ran[-1],
                versions=tuple(ran) if len(ran) > 1 else (),
                params=task.params,
                weights_sha256=spec.weights_sha256,
                runtime=next((lane.tally.runtime for lane in lanes if lane.tally.runtime), "none"),
                seconds=round(sum(lane.tally.seconds for lane in lanes), 6),
                looks_for=tuple(sorted(spec.findings)),
            )
        )
    return tuple(found)
