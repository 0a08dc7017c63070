"""What Google's and Azure's object stores say of new objects, read from their events: as CloudEvents, and Pub/Sub's own form.

Sources: Google's ``google.cloud.storage.object.v1`` events and Pub/Sub notifications for Cloud Storage; Azure's Blob Storage as
an Event Grid source (CloudEvents v1.0 schema).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson

from schemas.errors import WireError

GOOGLE = "google.cloud.storage.object.v1."
GOOGLE_NEW = f"{GOOGLE}finalized"
PUBSUB_NEW = "OBJECT_FINALIZE"
AZURE = "Microsoft.Storage."
AZURE_NEW = f"{AZURE}BlobCreated"
AZURE_SUBJECT = "/blobServices/default/containers/"


@dataclass(frozen=True, slots=True)
class NewObject:
    """An object that a store has taken in. ``version`` is what the store calls it: a generation, or an etag.

    ``parts`` are what is the same in each telling of it. ``time`` is RFC 3339, None where the event has none.
    """

    uri: str
    version: str | None
    parts: tuple[str, ...]
    time: str | None


Found = NewObject | None
"""A new object, or None where the event tells of something else."""


def is_google(kind: str, body: Mapping[str, Any]) -> bool:
    """Whether an event of this type, or with this body, is one of Cloud Storage."""
    return kind.startswith(GOOGLE) or body.get("kind") == "storage#object" or _is_push(body)


def is_azure(kind: str) -> bool:
    """Whether an event of this type is one of Azure's stores."""
    return kind.startswith(AZURE)


def google(kind: str, body: Mapping[str, Any], attributes: Mapping[str, Any]) -> Found:
    """A Cloud Storage event. ``attributes`` are a Pub/Sub message's, which connectors hand on as headers.

    Raises ``WireError`` where it names no object.
    """
    if _is_push(body):
        message = body["message"]
        attributes, body = message.get("attributes") or {}, _decoded(message.get("data"))
    told = str(attributes.get("eventType") or "")
    if (told and told != PUBSUB_NEW) or (kind.startswith(GOOGLE) and kind != GOOGLE_NEW):
        return None
    bucket = body.get("bucket") or attributes.get("bucketId")
    name = body.get("name") or attributes.get("objectId")
    if not isinstance(bucket, str) or not isinstance(name, str) or not bucket or not name:
        raise WireError("a Cloud Storage event without a bucket or a name")
    if name.endswith("/"):
        return None
    generation = str(body.get("generation") or attributes.get("objectGeneration") or "")
    time = body.get("timeCreated")
    parts = ("gs", bucket, name, generation)
    return NewObject(f"gs://{bucket}/{name}", generation or None, parts, time if isinstance(time, str) else None)


def azure(kind: str, body: Mapping[str, Any], subject: str | None) -> Found:
    """A Blob Storage event: ``az://CONTAINER@ACCOUNT.blob.core.windows.net/NAME``, since containers are an account's own.

    The name is taken from the subject, where it stands as it is; the URL's is percent-encoded. Raises ``WireError`` where the
    event names no blob.
    """
    if kind != AZURE_NEW:
        return None
    try:
        url = urlsplit(body["url"])
        host, path = url.hostname or "", unquote(url.path, errors="strict")
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise WireError(f"not a Blob Storage event: {error!r}") from error
    container, _, name = path.lstrip("/").partition("/")
    if subject is not None and subject.startswith(AZURE_SUBJECT):
        container, _, name = subject.removeprefix(AZURE_SUBJECT).partition("/blobs/")
    if not host or not container or not name:
        raise WireError("a Blob Storage event without an account, a container or a name")
    if name.endswith("/"):
        return None
    etag, sequencer = (str(body.get(field) or "") for field in ("eTag", "sequencer"))
    parts = ("az", host, container, name, sequencer, etag)
    return NewObject(f"az://{container}@{host}/{name}", etag.strip('"') or None, parts, None)


def _is_push(body: Mapping[str, Any]) -> bool:
    message = body.get("message")
    return isinstance(message, dict) and "subscription" in body and isinstance(message.get("attributes", {}), dict)


def _decoded(data: Any) -> dict[str, Any]:
    if not data:
        return {}
    try:
        found = orjson.loads(base64.b64decode(data, validate=True))
    except (binascii.Error, TypeError, ValueError) as error:
        raise WireError(f"a Pub/Sub message whose data is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise WireError("a Pub/Sub message whose data is no JSON object")
    return found
