"""Upload events in every form that they come in."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from schemas.errors import WireError
from schemas.uploads import UNKNOWN_TIME, Ignored, Upload, Uploads, parse_upload

TIME = "2026-03-04T05:06:07.890Z"


def record(key: str = "a.mov", event: str = "ObjectCreated:Put", **more: Any) -> dict[str, Any]:
    thing = {"key": key, "size": 9, "eTag": "e1", "sequencer": "0055AED6DCD90281E5"} | more
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventTime": TIME,
        "eventName": event,
        "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": "in", "arn": "arn:aws:s3:::in"}, "object": thing},
    }


def one(value: Any, headers: Any = None, **more: Any) -> Upload:
    parsed = parse_upload(orjson.dumps(value), headers, **more)
    assert isinstance(parsed, Uploads) and len(parsed) == 1
    return parsed[0]


def test_an_s3_record() -> None:
    upload = one({"Records": [record("films/Der+Gro%C3%9Fe%2B1.mov", versionId="v3")]})
    assert (upload.uri, upload.version, upload.time) == ("s3://in/films/Der Große+1.mov", "v3", TIME)
    assert upload.tasks is None and upload.priority == "normal"


def test_a_minio_notification() -> None:
    value = {"EventName": "s3:ObjectCreated:Put", "Key": "in/a.mov", "Records": [record(event="s3:ObjectCreated:Put")]}
    upload = one(value, [("content-type", b"application/json")])
    assert (upload.uri, upload.version) == ("s3://in/a.mov", "e1")


def test_ids_of_records_are_deterministic_and_apart() -> None:
    records = [record(), record("b.mov"), record(eTag="e2"), record(sequencer="1"), record(versionId="v")]
    first = parse_upload(orjson.dumps({"Records": records}))
    again = parse_upload(orjson.dumps({"Records": records[::-1]}), position="t/0/7")
    assert isinstance(first, Uploads) and isinstance(again, Uploads)
    assert [u.id for u in first] == [u.id for u in again][::-1]
    assert len({u.id for u in first}) == 5


def test_what_is_no_upload_is_passed_over_and_counted() -> None:
    gone = [record(event="ObjectRemoved:Delete"), record(event="s3:ObjectRemoved:DeleteMarkerCreated"), record("folder/")]
    assert parse_upload(orjson.dumps({"Records": gone})) == Ignored("no record of a new object", 3)
    mixed = parse_upload(orjson.dumps({"Records": [*gone, record()]}))
    assert isinstance(mixed, Uploads) and len(mixed) == 1 and mixed.ignored == 3
    test_event = {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": TIME,
        "Bucket": "in",
        "RequestId": "x",
        "HostId": "y",
    }
    assert parse_upload(orjson.dumps(test_event)) == Ignored("test event")


def test_a_plain_object() -> None:
    body = {"uri": "/x.mov", "tasks": ["loudness", "shots", "shots"], "profiles": ["p"], "priority": "urgent", "extra": 1}
    upload = one(
        {**body, "correlation": {"delivery_id": "D-88", "house": {"id": 4}}}, position="media.uploads/0/12", received=TIME
    )
    assert (upload.uri, upload.id, upload.time) == ("/x.mov", "media.uploads/0/12", TIME)
    assert (upload.tasks, upload.profiles, upload.priority) == (("loudness", "shots"), ("p",), "urgent")
    assert upload.correlation.model_dump(exclude_none=True) == {"delivery_id": "D-88", "house": {"id": 4}}


def test_a_plain_object_without_a_position_is_known_by_its_value() -> None:
    assert one({"uri": "/x"}).id == one({"uri": "/x"}).id != one({"uri": "/y"}).id
    assert one({"uri": "/x"}).time == UNKNOWN_TIME


def test_a_binary_cloud_event() -> None:
    headers = {"ce_specversion": b"1.0", "ce_id": b"E-1", "ce_type": b"t", "ce_source": b"/s", "ce_time": TIME.encode()}
    upload = one({"uri": "s3://in/a"}, headers, position="t/0/1", received="2020-01-01T00:00:00Z")
    assert (upload.id, upload.time) == ("E-1", TIME)
    del headers["ce_time"]
    assert one({"uri": "s3://in/a"}, list(headers.items()), received=TIME).time == TIME


@pytest.mark.parametrize("headers", [{"content-type": b"application/cloudevents+json; charset=UTF-8"}, None])
def test_a_structured_cloud_event(headers: dict[str, bytes] | None) -> None:
    event = {"specversion": "1.0", "id": "E-2", "type": "t", "source": "/s", "time": TIME, "data": {"uri": "https://h/x"}}
    assert (one(event, headers).id, one(event, headers).uri) == ("E-2", "https://h/x")
    del event["data"]
    event["data_base64"] = base64.b64encode(orjson.dumps({"Records": [record()]})).decode()
    assert one(event, headers).uri == "s3://in/a.mov"


GOOGLE = {
    "specversion": "1.0",
    "id": "7401", "type": "google.cloud.storage.object.v1.finalized", "time": TIME,
    "source": "//storage.googleapis.com/projects/_/buckets/in", "subject": "objects/films/Der Große+1.mov",
    "data": {"kind": "storage#object", "bucket": "in", "name": "films/Der Große+1.mov", "generation": "1587627537231057",
             "etag": "CJH…", "size": "9", "timeCreated": TIME},
}  # fmt: skip
AZURE = {
    "specversion": "1.0", "id": "9aeb0fdf", "type": "Microsoft.Storage.BlobCreated", "time": TIME,
    "source": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/acct",
    "subject": "/blobServices/default/containers/in/blobs/films/Der Große+1%.mov",
    "data": {"api": "PutBlockList", "eTag": "0x8D4BCC2E4835CD0", "contentLength": 9, "blobType": "BlockBlob",
             "url": "https://acct.blob.core.windows.net/in/films/Der%20Gro%C3%9Fe%2B1%25.mov", "sequencer": "0001"},
}  # fmt: skip


def binary(event: dict[str, Any]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The same CloudEvent in binary mode."""
    return event["data"], {f"ce_{name}": str(value).encode() for name, value in event.items() if name != "data"}


def test_google_s_cloud_events() -> None:
    upload = one(GOOGLE)
    assert (upload.uri, upload.version, upload.time) == ("gs://in/films/Der Große+1.mov", "1587627537231057", TIME)
    assert one(*binary(GOOGLE)) == upload
    for kind in ("deleted", "archived", "metadataUpdated"):
        event = GOOGLE | {"type": f"google.cloud.storage.object.v1.{kind}"}
        assert parse_upload(orjson.dumps(event)) == Ignored("no event of a new object")


def test_google_s_notifications_by_way_of_pub_sub() -> None:
    """As a connector hands them on (the data, with attributes as headers), and as a push subscription does."""
    attributes = {"eventType": "OBJECT_FINALIZE", "payloadFormat": "JSON_API_V1", "bucketId": "in", "objectId": "a b.mov",
                  "objectGeneration": "7"}  # fmt: skip
    body = {"kind": "storage#object", "bucket": "in", "name": "a b.mov", "generation": "7", "timeCreated": TIME}
    upload = one(body, {name: value.encode() for name, value in attributes.items()})
    assert (upload.uri, upload.version, upload.time) == ("gs://in/a b.mov", "7", TIME)
    data = base64.b64encode(orjson.dumps(body)).decode()
    push = {"message": {"attributes": attributes, "data": data, "messageId": "1"}, "subscription": "projects/p/subscriptions/s"}
    assert one(push) == upload
    assert one({**push, "message": {"attributes": attributes}}).uri == upload.uri
    assert parse_upload(orjson.dumps(body), {"eventType": b"OBJECT_DELETE"}) == Ignored("no event of a new object")
    folder = {**body, "name": "films/"}
    assert parse_upload(orjson.dumps(folder)) == Ignored("no event of a new object")


def test_azure_s_cloud_events() -> None:
    upload = one(AZURE)
    assert upload.uri == "az://in@acct.blob.core.windows.net/films/Der Große+1%.mov"
    assert (upload.version, upload.time) == ("0x8D4BCC2E4835CD0", TIME)
    assert one(*binary(AZURE)) == upload
    without = {name: value for name, value in AZURE.items() if name != "subject"}
    assert one(without) == upload
    event = AZURE | {"type": "Microsoft.Storage.BlobDeleted"}
    assert parse_upload(orjson.dumps(event)) == Ignored("no event of a new object")


def test_an_event_that_a_store_tells_twice_is_one() -> None:
    for event in (GOOGLE, AZURE):
        assert one(event).id == one(event | {"id": "another"}).id
        other = event | {"data": event["data"] | {"generation": "8", "eTag": "0x9"}}
        assert one(other).id != one(event).id


@pytest.mark.parametrize(
    "event",
    [
        GOOGLE | {"data": {"bucket": "in"}},
        GOOGLE | {"data": {"bucket": 5, "name": "x"}},
        AZURE | {"data": {}},
        AZURE | {"data": {"url": 5}},
        AZURE | {"subject": "x", "data": {"url": "https://acct/in"}},
        {"message": {"attributes": {"eventType": "OBJECT_FINALIZE"}, "data": "%%"}, "subscription": "s"},
        {"message": {"attributes": {"eventType": "OBJECT_FINALIZE"}, "data": "W10="}, "subscription": "s"},
    ],
)
def test_stores_events_that_name_no_object_are_wire_errors(event: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        parse_upload(orjson.dumps(event))


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"not json",
        b"[]",
        b'"text"',
        b"{}",
        b'{"uri": ""}',
        b'{"uri": 5}',
        b'{"uri": "x", "tasks": "shots"}',
        b'{"uri": "x", "tasks": [1]}',
        b'{"uri": "x", "profiles": {"a": 1}}',
        b'{"uri": "x", "priority": "high"}',
        b'{"uri": "x", "version": 3}',
        b'{"uri": "x", "correlation": "D-88"}',
        b'{"uri": "x", "correlation": {"delivery_id": 5}}',
        b'{"uri": "x", "correlation": {"note": "' + b"x" * 20_000 + b'"}}',
        b'{"uri": "' + b"x" * 9000 + b'"}',
        b'{"Records": {}}',
        b'{"Records": [5]}',
        b'{"Records": [{}]}',
        b'{"Records": [{"eventName": "ObjectCreated:Put"}]}',
        b'{"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": ""}, "object": {"key": "x"}}}]}',
        b'{"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "b"}, "object": {"key": "%FF"}}}]}',
        b'{"specversion": "1.0", "type": "t", "data": {"uri": "x"}}',
        b'{"specversion": "1.0", "id": "x", "data": "text"}',
        b'{"specversion": "1.0", "id": "x", "data_base64": "%%"}',
        b'{"specversion": "1.0", "id": "x", "time": "yesterday", "data": {"uri": "x"}}',
        b'{"specversion": "1.0", "id": "x", "time": "2026-01-01T00:00:00", "data": {"uri": "x"}}',
    ],
)
def test_what_cannot_be_parsed_raises_wire_error(value: bytes | None) -> None:
    with pytest.raises(WireError):
        parse_upload(value)
