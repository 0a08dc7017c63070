"""Containers, opened so that FFmpeg reads the one object that it is given and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import av
import av.error
from av.container import InputContainer

from processors.limits import MediaLimits
from schemas.errors import SourceRefused, Unprocessable

if TYPE_CHECKING:
    from processors.source import Source

BUFFER_BYTES = 256 << 10
"""One Python call per so many bytes; more would only be thrown away at every seek."""
MOST_COUNTED = 64
"""How many times the limit of streams is looked at to see that it is exceeded."""
GENPTS = 0x1
"""AVFMT_FLAG_GENPTS: PyAV sets it, and then missing timestamps look as if they were there, wrong ones among them."""

DEFAULT = MediaLimits()

FORMATS = (
    *("mov", "matroska", "mxf", "mpegts", "mpeg", "avi", "flv", "asf", "ogg", "gxf", "lxf", "wtv", "nut", "rm", "dv"),
    *("wav", "w64", "aiff", "caf", "au", "flac", "mp3", "aac", "ac3", "eac3", "dts", "dtshd", "truehd", "mlp", "amr"),
    *("ape", "wv", "tak", "tta", "dsf", "iff", "ivf", "obu", "h264", "hevc", "vvc", "m4v", "mpegvideo", "vc1", "dnxhd"),
    *("cavsvideo", "dirac", "yuv4mpegpipe", "ac4", "loas"),
)
"""The demuxers that may be used. No playlist (hls, dash, concat, imf, sdp): such a file names others; no image sequence."""

# mov: no data references to other files; every format: no protocol has this name
OPTIONS = {
    "format_whitelist": ",".join(FORMATS),
    "protocol_whitelist": "none",
    "enable_drefs": "0",
    "use_absolute_path": "0",
}

# FFmpeg opens decoders and parsers to learn what headers do not say, and what these find replaces what headers do say
HEADERS_ONLY = {"codec_whitelist": "none", "fflags": "noparse+nofillin", "probesize": "32", "analyzeduration": "0"}


def open_container(source: Source, limits: MediaLimits = DEFAULT) -> InputContainer:
    """Open a source as a media container. Close it before the source.

    Raises ``Unprocessable``: ``empty``, ``not_media`` where no allowed demuxer reads it, or ``too_many_streams``.
    """
    container = _open(source, OPTIONS, limits)
    for stream in container.streams:
        if stream.type == "video" and stream.codec_context is not None:
            stream.codec_context.options = {"max_pixels": str(limits.decoder_pixels)}
    return container


def open_headers(source: Source, limits: MediaLimits = DEFAULT) -> InputContainer:
    """As :func:`open_container`, but its streams' parameters are those that the container's headers state and nothing else.

    Nothing of the streams themselves is looked at: such a container is not for demuxing.
    """
    return _open(source, OPTIONS | HEADERS_ONLY, limits)


def _open(source: Source, options: dict[str, str], limits: MediaLimits) -> InputContainer:
    if source.size == 0:
        raise Unprocessable(f"{source.uri} is empty", reason="empty")
    try:
        container = _read(source, options, limits, streams=4 * limits.streams)
    except av.error.MemoryError:  # also FFmpeg's word for more streams than it was allowed
        _check_count(source, limits)
        raise
    except av.error.FFmpegError as error:
        raise Unprocessable(f"{source.uri} is not media that can be read: {error}", reason="not_media") from error
    container.flags &= ~GENPTS
    if len(container.streams) > limits.streams:
        container.close()
        raise _too_many(source, limits)
    return container


def _read(source: Source, options: dict[str, str], limits: MediaLimits, *, streams: int) -> InputContainer:
    source.seek(0)
    return av.open(
        source,
        mode="r",
        options={"max_pixels": str(limits.decoder_pixels)},
        container_options=options | {"max_streams": str(streams)},
        buffer_size=BUFFER_BYTES,
        io_open=_refuse,
        metadata_errors="replace",
    )


def _check_count(source: Source, limits: MediaLimits) -> None:
    with _read(source, OPTIONS | HEADERS_ONLY, limits, streams=MOST_COUNTED * limits.streams) as container:
        count = len(container.streams)
    if count > limits.streams:
        raise _too_many(source, limits)


def _too_many(source: Source, limits: MediaLimits) -> Unprocessable:
    return Unprocessable(f"{source.uri} has more than the limit of {limits.streams} streams", reason="too_many_streams")


def _refuse(url: str, flags: int, options: dict[str, Any]) -> NoReturn:
    raise SourceRefused(f"the file asks for another one: {url!r}")
