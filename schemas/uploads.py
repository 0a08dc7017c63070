"""What arrives on media.uploads: object stores' notifications (S3, MinIO, Google, Azure), CloudEvents, plain ``{"uri": …}``."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import unquote_plus

import orjson
from pydantic import Field, ValidationError

from schemas import clouds
from schemas.cloudevents import as_mapping
from schemas.errors import WireError
from schemas.ids import identity
from schemas.plan import Correlation, Reanalysis, Wire
from schemas.types import EventType
from schemas.versions import expect_type

STRUCTURED = "application/cloudevents+json"
UNKNOWN_TIME = "1970-01-01T00:00:00Z"
"""The time of an event that has none, where the caller knows none either: always the same, so that ids stay the same."""
MAX_URI = 8192
MAX_CORRELATION_BYTES = 16_384

RawHeaders = Mapping[str, bytes] | Iterable[tuple[str, bytes | str | None]] | None


Name = Annotated[str, Field(min_length=1)]


class UploadData(Wire):
    """The data of an upload event that is no bucket notification.

    ``tasks`` and ``profiles`` absent, null or empty stand for the default ones; ``version`` is a hint. The same object asked
    for twice is one run and one answer, unless ``reanalysis`` names another cause. Unknown fields are passed over.
    """

    uri: str = Field(min_length=1, max_length=MAX_URI)
    version: str | None = None
    tasks: tuple[Name, ...] | None = None
    profiles: tuple[Name, ...] | None = None
    priority: Literal["normal", "urgent"] | None = None
    correlation: Correlation | None = None
    reanalysis: Reanalysis | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """One object that is to be analysed.

    ``id`` names the event (``ce_id``), ``time`` is its RFC 3339 time. ``version`` is a hint: what the object store said that
    it wrote. ``tasks`` and ``profiles`` None stand for the default ones.
    """

    uri: str
    id: str
    time: str
    version: str | None = None
    tasks: tuple[str, ...] | None = None
    profiles: tuple[str, ...] | None = None
    priority: Literal["normal", "urgent"] = "normal"
    correlation: Correlation = field(default_factory=Correlation)
    reanalysis: Reanalysis | None = None


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message that is well formed and asks for nothing: ``count`` records that name no new object."""

    reason: str
    count: int = 1


class Uploads(list[Upload]):
    """The uploads of one message; ``ignored`` records beside them (deletions, folders) were passed over."""

    ignored: int = 0


@dataclass(frozen=True, slots=True)
class _Envelope:
    """What is known of an event from outside its data."""

    id: str
    time: str
    type: str = ""
    subject: str | None = None


def parse_upload(
    value: bytes | None, headers: RawHeaders = None, *, position: str | None = None, received: str | None = None
) -> Uploads | Ignored:
    """The uploads that a message names.

    ``position`` (topic, partition and offset) is the id of an event that has none of its own, else a hash of its value
    is; ``received`` (RFC 3339) is the time of one without. Raises ``WireError`` if it is none of the known forms.
    """
    known = as_mapping(headers)
    _expect_upload(known.get("ce_type"))
    body = _json(value)
    envelope = _Envelope(position or identity("upload", value), _time(received or UNKNOWN_TIME))
    content_type = known.get("content-type", b"").decode(errors="replace").partition(";")[0].strip().lower()
    if content_type == STRUCTURED or (isinstance(body, dict) and "specversion" in body and "ce_id" not in known):
        body, envelope = _structured(body, envelope)
    elif "ce_id" in known:
        kind, subject = (known.get(name, b"").decode(errors="replace") for name in ("ce_type", "ce_subject"))
        envelope = _envelope(known["ce_id"].decode(errors="replace"), known.get("ce_time"), envelope, kind, subject or None)
    if not isinstance(body, dict):
        raise WireError("an upload event's data is not a JSON object")
    if "Records" in body or body.get("Event") == "s3:TestEvent":
        return _notification(body, envelope)
    if clouds.is_azure(envelope.type):
        return _stored(clouds.azure(envelope.type, body, envelope.subject), envelope)
    if clouds.is_google(envelope.type, body):
        attributes = {name: value.decode(errors="replace") for name, value in known.items()}
        return _stored(clouds.google(envelope.type, body, attributes), envelope)
    return Uploads([_plain(body, envelope)])


def _expect_upload(kind: bytes | None) -> None:
    """Of our own types only the one version that is known; what others call theirs is their matter."""
    if kind is not None and kind.startswith(b"media.upload."):
        expect_type(kind, EventType.UPLOAD)


def _json(value: bytes | None) -> Any:
    try:
        return orjson.loads(value or b"")
    except orjson.JSONDecodeError as error:
        raise WireError(f"not JSON: {error}") from error


def _stored(found: clouds.Found, envelope: _Envelope) -> Uploads | Ignored:
    """The object that another cloud's store has told of. It is known by what it is: stores tell of one thing more than once."""
    if found is None:
        return Ignored("no event of a new object")
    time = _time(found.time) if found.time else envelope.time
    return Uploads([Upload(uri=found.uri, id=identity(*found.parts), time=time, version=found.version)])


def _envelope(
    id: object, time: bytes | str | None, fallback: _Envelope, kind: str = "", subject: str | None = None
) -> _Envelope:
    if not isinstance(id, str) or not id:
        raise WireError("a CloudEvent without an id")
    if isinstance(time, bytes):
        time = time.decode(errors="replace")
    return _Envelope(id, _time(time) if time else fallback.time, kind, subject)


def _structured(event: Any, fallback: _Envelope) -> tuple[Any, _Envelope]:
    if not isinstance(event, dict):
        raise WireError("a structured CloudEvent is not a JSON object")
    _expect_upload(str(event.get("type")).encode("utf-8", "replace"))
    subject = event.get("subject")
    kind = str(event.get("type") or "")
    envelope = _envelope(event.get("id"), event.get("time"), fallback, kind, subject if isinstance(subject, str) else None)
    if "data_base64" not in event:
        return event.get("data"), envelope
    try:
        return _json(base64.b64decode(event["data_base64"], validate=True)), envelope
    except (binascii.Error, TypeError, ValueError) as error:
        raise WireError(f"data_base64: {error}") from error


def _time(text: object) -> str:
    """The text, if it is an RFC 3339 time with an offset."""
    try:
        if isinstance(text, str) and datetime.fromisoformat(text).tzinfo is not None:
            return text
    except ValueError as error:
        raise WireError(f"not an RFC 3339 time: {text!r}") from error
    raise WireError(f"not an RFC 3339 time with an offset: {text!r}")


def _plain(body: dict[str, Any], envelope: _Envelope) -> Upload:
    if len(orjson.dumps(body.get("correlation"))) > MAX_CORRELATION_BYTES:
        raise WireError(f"correlation is longer than {MAX_CORRELATION_BYTES} bytes: it travels in every event")
    try:
        asked = UploadData.model_validate({name: value for name, value in body.items() if value or name == "uri"})
    except ValidationError as error:
        first = error.errors()[0]
        raise WireError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    return Upload(
        uri=asked.uri,
        id=envelope.id,
        time=envelope.time,
        version=asked.version,
        tasks=_unique(asked.tasks),
        profiles=_unique(asked.profiles),
        priority=asked.priority or "normal",
        correlation=asked.correlation or Correlation(),
        reanalysis=asked.reanalysis,
    )


def _unique(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return tuple(dict.fromkeys(names)) if names else None


def _notification(body: dict[str, Any], envelope: _Envelope) -> Uploads | Ignored:
    """Records of created objects; all others (deletions, access, tags, folder markers) ask for nothing."""
    if "Records" not in body:
        return Ignored("test event")
    records = body["Records"]
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise WireError("Records is not a list of objects")
    found = [upload for record in records if (upload := _record(record, envelope)) is not None]
    if not found:
        return Ignored("no record of a new object", len(records))
    uploads = Uploads(found)
    uploads.ignored = len(records) - len(found)
    return uploads


def _record(record: dict[str, Any], envelope: _Envelope) -> Upload | None:
    name = str(record.get("eventName", "")).removeprefix("s3:")
    if not name:
        raise WireError("a record without an eventName")
    if not name.startswith("ObjectCreated:"):
        return None
    try:
        bucket, object_ = record["s3"]["bucket"]["name"], record["s3"]["object"]
        key = unquote_plus(object_["key"], errors="strict")
        etag, version, sequencer = (object_.get(field) or "" for field in ("eTag", "versionId", "sequencer"))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise WireError(f"not an S3 record: {error!r}") from error
    if not isinstance(bucket, str) or not bucket or not key:
        raise WireError("an S3 record without a bucket or a key")
    if key.endswith("/"):
        return None
    return Upload(
        uri=f"s3://{bucket}/{key}",
        id=identity("s3", bucket, key, sequencer, etag, version),
        time=_time(record["eventTime"]) if "eventTime" in record else envelope.time,
        version=str(version) if version not in ("", "null") else str(etag).strip('"') or None,
    )
