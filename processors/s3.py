"""Objects of S3 and of stores that speak its protocol, through s3fs: byte ranges of one version, never of two.

Credentials, region and endpoint are AWS's and fsspec's own settings (``AWS_*``, ``FSSPEC_S3_*``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import fsspec
from fsspec.asyn import sync

from processors.objects import RangedSource, patiently
from schemas.errors import SourceChanged, SourceMissing, SourceRefused, Unprocessable

CONNECT_SECONDS, READ_SECONDS = 5, 30
ATTEMPTS = 2
"""Of one request, by the client itself; beyond them :func:`processors.objects.patiently` goes on."""

VERSION_ID = re.compile(r"\?versionId=([A-Za-z0-9._~-]{1,1024})\Z")
"""How a URI names one version of an object. A key that ends like this cannot be named."""

BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
CREDENTIALS = (
    "AccessDenied",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "Forbidden",
    "401",
    "403",
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a store says of an object: ``etag`` as it stands in headers, with quotes; ``version_id`` None without versions."""

    size: int
    etag: str | None
    version_id: str | None
    modified: str

    @classmethod
    def of(cls, answer: dict[str, Any]) -> Facts:
        """From the answer to ``HeadObject``."""
        version = answer.get("VersionId")
        known = version if version not in (None, "", "null") else None
        return cls(int(answer["ContentLength"]), answer.get("ETag") or None, known, str(answer.get("LastModified")))

    @property
    def version(self) -> str:
        """What tells two states of the object apart. The etag of a multipart upload is no digest, and is as good for that."""
        return self.version_id or (self.etag or "").strip('"') or f"{self.modified}-{self.size}"


class S3Source(RangedSource):
    """One version of an object: the one that ``s3://bucket/key?versionId=…`` names, else the newest one at opening."""

    def __init__(self, uri: str, filesystem: Any) -> None:
        path, self._pinned = split(uri)
        bucket, _, key = path.partition("/")
        self._files = filesystem
        self._object = {"Bucket": bucket, "Key": key}
        if not bucket or not key:
            raise SourceMissing(f"{uri} names no object: s3://BUCKET/KEY is needed")
        self.uri = uri
        self._facts = patiently(self._head)
        super().__init__(uri, self._facts.size, self._facts.version, self._part)
        self.name = key.rpartition("/")[2]

    def changed(self) -> bool:
        """Whether the key now holds another version; where the URI names a version, whether that is gone."""
        try:
            return patiently(self._head).version != self.version
        except SourceMissing:
            return True

    def _head(self) -> Facts:
        version = {"VersionId": self._pinned} if self._pinned else {}
        try:
            return Facts.of(self._ask("head_object", **version))
        except SourceChanged as error:
            raise SourceMissing(str(error)) from error

    def _part(self, start: int, end: int) -> bytes:
        return patiently(lambda: self._range(start, end))

    def _range(self, start: int, end: int) -> bytes:
        asked = {"Range": f"bytes={start}-{end - 1}"}
        if self._facts.version_id is not None:
            asked["VersionId"] = self._facts.version_id
        if self._facts.etag is not None:
            asked["IfMatch"] = self._facts.etag
        try:
            answer = self._ask("get_object", **asked)
        except SourceMissing as error:
            raise SourceChanged(f"{self.uri} went away while it was read: {error}") from error
        data: bytes = answer["Body"]
        if len(data) != end - start:
            raise ConnectionError(f"{self.uri}: {len(data)} bytes of {end - start} came")
        return data

    def _ask(self, method: str, **arguments: str) -> dict[str, Any]:
        """One request, its body read. Raises ``Unprocessable`` in its kinds, ``ConnectionError`` for what may pass."""
        try:
            answer: dict[str, Any] = sync(self._files.loop, _asked, self._files, method, {**self._object, **arguments})
        except Exception as error:
            raise self._meaning(error) from error
        return answer

    def _meaning(self, error: Exception) -> Exception:
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            NoCredentialsError,
            ParamValidationError,
            PartialCredentialsError,
        )

        cause = error if isinstance(error, ClientError) else error.__cause__
        if isinstance(cause, ClientError):
            return self._refusal(cause.response)
        if isinstance(error, NoCredentialsError | PartialCredentialsError):
            return Unprocessable(
                f"{self.uri}: there are no credentials for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the "
                "process a role",
                reason="no_credentials",
            )
        if isinstance(error, ParamValidationError | ValueError):
            return SourceRefused(f"{self.uri}: not a bucket and key that can be asked for: {error}")
        if isinstance(error, OSError | BotoCoreError) or type(error).__module__.startswith(("aiohttp", "fsspec")):
            return ConnectionError(f"{self.uri}: {type(error).__name__}: {error}")
        return error

    def _refusal(self, response: dict[str, Any]) -> Exception:
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
        told = response.get("Error", {})
        said = f"{self.uri}: the store answers {status} {told.get('Code', '')} {told.get('Message', '')}".rstrip()
        if status in BUSY or status == 0 or told.get("Code") in ("SlowDown", "RequestTimeout"):
            return ConnectionError(said)
        if status in (412, 416):
            return SourceChanged(f"{self.uri} was overwritten while it was read")
        if told.get("Code") in CREDENTIALS:
            said += ": the credentials do not allow it, or there is no such object"
        return SourceMissing(said)


async def _asked(files: Any, method: str, arguments: dict[str, str]) -> dict[str, Any]:
    answer: dict[str, Any] = await files._call_s3(method, **arguments)
    if "Body" in answer:
        async with answer["Body"] as body:
            answer["Body"] = await body.read()
    return answer


def split(uri: str) -> tuple[str, str | None]:
    """``bucket/key`` and the version id that a URI names, if it does."""
    path = uri.partition("://")[2]
    found = VERSION_ID.search(path)
    return (path, None) if found is None else (path[: found.start()], found[1])


def open_object(uri: str, *, endpoint: str | None = None) -> S3Source:
    """Open an object; ``endpoint`` is the URL of a store that speaks S3, by default what AWS's settings say.

    Raises ``SourceMissing``, and ``Unprocessable``: ``no_credentials``, or ``backend_missing`` where s3fs is not installed.
    """
    try:
        options = {
            "config_kwargs": {
                "connect_timeout": CONNECT_SECONDS,
                "read_timeout": READ_SECONDS,
                "retries": {"total_max_attempts": ATTEMPTS},
            }
        }
        filesystem = fsspec.filesystem("s3", **options, **({} if endpoint is None else {"endpoint_url": endpoint}))
    except ImportError as error:
        raise Unprocessable(f"{uri} cannot be read here: {error}", reason="backend_missing") from error
    filesystem.retries = 1
    return S3Source(uri, filesystem)
