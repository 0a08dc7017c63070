"""Sources that are read by byte ranges through a cache of blocks; S3 objects through fsspec."""

from __future__ import annotations

import errno
import io
from collections.abc import Callable
from typing import Any, cast

import fsspec
from fsspec.caching import BlockCache

from processors.source import Source
from processors.waiting import Sign, signs_of_life
from schemas.errors import SourceMissing, Unprocessable

BLOCK_BYTES = 4 << 20
BLOCKS = 8


class RangedSource(Source):
    """A source of ``size`` bytes that ``fetch(start, end)`` gives in pieces; at most 32 MiB of them are kept."""

    def __init__(self, uri: str, size: int, version: str, fetch: Callable[[int, int], bytes]) -> None:
        super().__init__()
        self.uri = uri
        self.name = uri.partition("?")[0].rpartition("/")[2]
        self.size = size
        self._size = size
        self.version = version
        self._at = 0
        self._fetch_part = fetch
        self._sign: Sign | None = None
        self._cache = BlockCache(BLOCK_BYTES, self._missing, size, BLOCKS)

    def while_waiting(self, sign: Sign) -> None:
        """Call ``sign`` now and then while an answer is waited for."""
        self._sign = sign

    def _missing(self, start: int, end: int) -> bytes:
        with signs_of_life(self._sign):
            return self._fetch_part(start, min(end, self._size))

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """The position in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; before the start it gives ``-EINVAL``, for which see :meth:`FileSource.seek`."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            return -errno.EINVAL
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Up to ``size`` bytes; none at the end."""
        end = self._size if size is None or size < 0 else min(self._size, self._at + size)
        data = cast(bytes, self._cache._fetch(self._at, end))
        self._at += len(data)
        return data


class _S3Source(RangedSource):
    def __init__(self, uri: str, filesystem: Any) -> None:
        self._files = filesystem
        info = self._info(uri)
        key = {"version_id": info["VersionId"]} if _real_version(info) else {}
        path = uri.partition("://")[2]
        super().__init__(
            uri, int(info["size"]), _version(info), lambda start, end: filesystem.cat_file(path, start=start, end=end, **key)
        )

    def _info(self, uri: str) -> dict[str, Any]:
        try:
            info: dict[str, Any] = self._files.info(uri.partition("://")[2])
        except (FileNotFoundError, PermissionError) as error:
            raise SourceMissing(f"{uri}: {error}") from error
        if info["type"] != "file":
            raise SourceMissing(f"{uri} is not an object")
        return info

    def changed(self) -> bool:
        """Whether the key now holds another version."""
        self._files.invalidate_cache()
        try:
            return _version(self._info(self.uri)) != self.version
        except SourceMissing:
            return True


def _real_version(info: dict[str, Any]) -> bool:
    return info.get("VersionId") not in (None, "", "null")


def _version(info: dict[str, Any]) -> str:
    if _real_version(info):
        return str(info["VersionId"])
    etag = str(info.get("ETag") or "").strip('"')
    return etag or f"{info.get('LastModified')}-{info['size']}"


def open_object(uri: str) -> RangedSource:
    """Open an S3 object. Endpoint and credentials are fsspec's and AWS's own settings (``AWS_*``, ``FSSPEC_S3_*``).

    Raises ``SourceMissing``, and ``Unprocessable`` (``backend_missing``) where the package for S3 is not installed.
    """
    scheme = uri.partition(":")[0]
    try:
        filesystem = fsspec.filesystem(scheme)
    except ImportError as error:
        raise Unprocessable(f"{scheme}: sources cannot be read here: {error}", reason="backend_missing") from error
    return _S3Source(uri, filesystem)
