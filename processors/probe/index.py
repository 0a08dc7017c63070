"""The index of one object: its streams, and where its video may be cut. What a plan is made from."""

from __future__ import annotations

from schemas.plan import StreamFacts, Wire


class KeyFrame(Wire):
    """A key frame at which a stream may be cut.

    ``pts`` and ``dts`` are raw ticks of its packet, ``frame`` is its number in presentation order counted from the
    stream's first frame. From ``settled_dts`` on no packet is shown before it: leading pictures of an open GOP, which
    belong to the segment before, lie between ``dts`` and ``settled_dts``.
    """

    pts: int
    dts: int
    frame: int
    settled_dts: int


class VideoIndex(Wire):
    """What the packets of a video stream say.

    ``frames`` counts the pictures that a decoder gives for an undamaged stream; ``None`` where packets do not tell.
    ``undecodable`` counts those before the first key frame that no decoder can give; they are not among ``frames``.
    ``key_frames`` are those after the first one, in order, thinned evenly above 8192. ``median_gop`` is in ticks.
    ``distrust`` says why the index cannot be trusted for cutting: the stream is then one segment.
    """

    frames: int | None
    undecodable: int = 0
    first_pts: int | None
    end_pts: int | None
    median_gop: int | None = None
    key_frames: tuple[KeyFrame, ...] = ()
    distrust: str | None = None

    @property
    def trusted(self) -> bool:
        """Whether the stream may be cut at its key frames."""
        return self.distrust is None


class IndexedStream(StreamFacts):
    """One stream as the container describes it, with the index of its pictures if they are to be analysed."""

    index_of_video: VideoIndex | None = None


class MediaIndex(Wire):
    """One version of one object: container and streams. Durations in seconds, bit rates in bits a second."""

    uri: str
    version: str
    size: int | None
    container: str
    duration: float | None = None
    bit_rate: int | None = None
    streams: tuple[IndexedStream, ...]
