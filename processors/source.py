"""The one way to open media: ``open_source(uri, policy)``. FFmpeg itself opens no file and no socket.

Files are read through a plain descriptor, objects through :mod:`processors.s3`, and web resources through
:mod:`processors.web`, because fsspec's own web file system resolves names and follows redirects out of our sight.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path

from processors.container import open_container, open_headers
from processors.policy import SourcePolicy, to_path, to_uri
from processors.waiting import Sign
from schemas.errors import SourceMissing, SourceRefused

__all__ = ["Source", "SourcePolicy", "open_container", "open_headers", "open_source", "to_uri"]

MISSING = {errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ENXIO, errno.EISDIR}


class Source(io.RawIOBase):
    """A readable, seekable object of bytes for ``av.open``.

    ``uri`` is the normal form, ``version`` what tells two states of the object apart (version id, else etag, else size
    and mtime, else last-modified and length), ``size`` is in bytes.
    """

    uri: str
    version: str
    size: int | None

    def changed(self) -> bool:
        """Whether the object at the URI is no longer what was opened. Raises ``OSError`` if that cannot be asked."""
        raise NotImplementedError

    def while_waiting(self, sign: Sign) -> None:
        """Call ``sign`` now and then while a network is waited on; a local file waits on none."""


def open_source(uri: str, policy: SourcePolicy) -> Source:
    """Open an object for reading.

    Raises ``SourceRefused`` (the policy forbids it), ``SourceMissing`` (nothing there, or not readable),
    ``Unprocessable`` (``backend_missing``, ``no_ranges``), and ``OSError`` for what may pass, such as a lost connection.
    """
    uri = to_uri(uri)
    policy.check(uri)
    scheme = uri.partition(":")[0]
    if scheme == "file":
        return _open_file(uri, policy)
    if scheme in ("http", "https"):
        from processors.web import WebSource

        return WebSource(uri, policy)
    endpoint = dict(policy.endpoints).get(scheme)
    if scheme == "s3" or endpoint is not None:
        from processors.s3 import open_object

        return open_object(uri, endpoint=endpoint)
    raise SourceRefused(f"{uri}: sources are read from file, s3 and https, not from {scheme}")


class FileSource(io.FileIO, Source):
    """A local file. Reads go straight to the descriptor: PyAV has a buffer of its own."""

    def __init__(self, descriptor: int, uri: str) -> None:
        super().__init__(descriptor, "rb")
        facts = os.fstat(descriptor)
        self.uri = uri
        self.name = Path(to_path(uri)).name  # what FFmpeg sees: its extension helps to tell raw streams apart
        self.size = facts.st_size
        self.version = _version(facts)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move. A place that no file has, as damaged headers name it, is ``-EINVAL``: FFmpeg goes on from that as it sees fit,
        while an exception would end its reading of the file.
        """
        try:
            return super().seek(offset, whence)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return -errno.EINVAL

    def changed(self) -> bool:
        """Whether the file was written to, or another one lies at its path."""
        try:
            there = Path(to_path(self.uri)).stat()
        except FileNotFoundError:
            return True
        return {_version(there), _version(os.fstat(self.fileno()))} != {self.version}


def _version(facts: os.stat_result) -> str:
    return f"{facts.st_size}-{facts.st_mtime_ns}"


def _open_file(uri: str, policy: SourcePolicy) -> FileSource:
    """Open the real file behind a path, if that lies under an allowed root.

    What was opened is checked again, since a link may have been put in between. Opening does not block on a pipe.
    """
    real = os.path.realpath(to_path(uri))
    policy.check_path(real)
    try:
        descriptor = os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise SourceRefused(f"{real} became a symbolic link") from error
        if error.errno in MISSING:
            raise SourceMissing(f"{uri}: {error.strerror}") from error
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise SourceRefused(f"{uri} is not a regular file")
        opened = Path(f"/proc/self/fd/{descriptor}")
        if policy.roots and opened.exists():
            policy.check_path(str(opened.readlink()))
        return FileSource(descriptor, uri)
    except BaseException:
        os.close(descriptor)
        raise
