"""A profile applied to a final event: what was measured and found stands in it, so nothing is decoded again."""

from __future__ import annotations

from processors import profiles
from processors.profiles import Profile
from schemas.events import ContentMetadata, Producer, Verdict


def rejudge(profile: Profile, event: ContentMetadata) -> Verdict:
    """What a profile says of an asset by its final event alone: the verdict that its run would have had with this profile."""
    return profiles.judge(
        profile,
        measurements=event.measurements,
        findings=event.findings,
        coverage=event.coverage,
        technical=event.technical,
        status=event.run.status,
        examined=examined(event),
    )


def examined(event: ContentMetadata) -> frozenset[str]:
    """The finding codes that the run's tasks looked for, whether or not they found one.

    Of an event that does not say so, those that its decoder and its tasks look for here; what a task of another version
    looked for is not known, and so not looked for.
    """
    said = frozenset(code for producer in event.producers for code in producer.looks_for)
    return said or frozenset(code for producer in event.producers for code in _here(producer))


def _here(producer: Producer) -> tuple[str, ...]:
    from processors import assemble, tasks  # these bring the decoder, which an event that says it does without

    if producer.name == "decode":
        return assemble.DECODER_LOOKS_FOR
    task = tasks.registry().get(producer.name)
    return task.spec.findings if task is not None and {producer.version, *producer.versions} == {task.spec.version} else ()
