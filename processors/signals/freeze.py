"""Which frames stand still, compared with the first frame of their run, found segment by segment and yet exactly.

The definition is FFmpeg's freezedetect: a frame is *frozen* if its mean absolute difference to the *reference*, over all
planes, is at most 0.001 of 2^depth; a frame that is not becomes the new reference, and a run is a reference with the
frozen frames after it. The reference may lie arbitrarily far back, and segments are decoded apart from each other, so one
rule bounds how far: presentation time is divided into *cells* of 10 s; a reference older than the previous cell is replaced
by the run's first frame in the latest cell before this one (its *mark*). The rule depends on presentation time alone, so
whole-file analysis and any cutting follow it alike. How far marks may drift from the run's first frame is checked by
their signatures, where runs are joined (:mod:`processors.signals.freeze_runs`).

A segment starts with its first frame as a fresh reference. Past its end it continues its own chain beside the fresh chain
that the next segment computes, until the two are in one state: at the first moving frame, or after two cells at the
latest. Up to there its own chain is the true one; this *extension* travels with its last rows.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from processors.signals.difference import Signature, plane_sads, relative, sad

CELL_SECONDS = 10
NOISE = 0.001
"""A frame is frozen up to this mean absolute difference, relative to 2^depth (freezedetect's ``noise``)."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One frame's planes, kept for comparison. ``samples`` counts those of all planes, ``row`` is the frame's number and
    ``cell`` its 10 s cell of presentation time.
    """

    planes: tuple[NDArray[Any], ...]
    geometry: tuple[object, ...]
    bit_depth: int
    samples: int
    row: int
    cell: int


class Compare(Protocol):
    """Gives the sum of absolute differences of two pictures of one geometry."""

    def __call__(self, a: Picture, b: Picture) -> int:
        """The sum of absolute differences over all planes."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Where a chain stands: the picture to compare with, the run's first picture in the newest cell, and that cell."""

    reference: Picture
    mark: Picture
    cell: int

    @classmethod
    def begin(cls, picture: Picture) -> Chain:
        """A chain whose run begins with this picture."""
        return cls(picture, picture, picture.cell)

    def same(self, other: Chain) -> bool:
        """Whether two chains will agree on every further frame."""
        return self.reference is other.reference and self.mark is other.mark and self.cell == other.cell

    def see(self, picture: Picture, compare: Compare) -> Chain:
        """The chain after the next picture. It begins anew (its reference is the picture) unless the picture is frozen."""
        if picture.geometry != self.reference.geometry:
            return Chain.begin(picture)
        entering = picture.cell != self.cell
        reference = self.reference
        if entering and not picture.cell - 1 <= reference.cell <= picture.cell:
            reference = self.mark
        if not is_frozen(compare(reference, picture), picture):
            return Chain.begin(picture)
        return Chain(reference, picture if entering else self.mark, picture.cell)


def is_frozen(total: int, picture: Picture) -> bool:
    """Whether a sum of absolute differences is small enough for a freeze."""
    return relative(total, picture.samples, picture.bit_depth) <= NOISE


def difference(a: Picture, b: Picture) -> int:
    """The sum of absolute differences of two pictures of one geometry."""
    return sad(a.planes, b.planes)


class Memo:
    """Compares each pair of pictures once: chains ask for the same ones. Forgets with every new picture."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, ...]] = {}
        self._newest: Picture | None = None

    def __call__(self, a: Picture, b: Picture) -> int:
        """The sum of absolute differences of an earlier picture ``a`` to the newest, ``b``."""
        return sum(self.planes(a, b))

    def planes(self, a: Picture, b: Picture) -> tuple[int, ...]:
        """The same plane by plane."""
        if b is not self._newest:
            self._known, self._newest = {}, b
        if a.row not in self._known:
            self._known[a.row] = plane_sads(a.planes, b.planes)
        return self._known[a.row]


@dataclass(frozen=True, slots=True)
class Mark:
    """A run's first picture in a new cell, with the signatures of it and of the reference that it was compared with."""

    row: int
    at: Signature
    reference: Signature

    @classmethod
    def of(cls, picture: Picture, reference: Picture) -> Mark:
        """The mark that a picture is."""
        depth = picture.bit_depth
        return cls(picture.row, Signature.of(picture.planes, depth), Signature.of(reference.planes, depth))


@dataclass(frozen=True, slots=True)
class FrozenRows:
    """For rows from ``row`` on: whether each is frozen, and the marks among them."""

    row: int
    frozen: NDArray[np.bool_]
    marks: tuple[Mark, ...] = ()

    @property
    def end(self) -> int:
        """One past the last row."""
        return self.row + len(self.frozen)

    def since(self, row: int) -> FrozenRows:
        """The part from a row on."""
        row = min(max(row, self.row), self.end)
        return FrozenRows(row, self.frozen[row - self.row :], tuple(m for m in self.marks if m.row >= row))

    def to_json(self) -> dict[str, Any]:
        """A JSON object; the inverse is :meth:`from_json`."""
        bits = base64.b64encode(np.packbits(self.frozen).tobytes()).decode()
        return {"row": self.row, "rows": len(self.frozen), "bits": bits, "marks": [asdict(m) for m in self.marks]}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> FrozenRows:
        """The inverse of :meth:`to_json`."""
        packed = np.frombuffer(base64.b64decode(body["bits"]), np.uint8)
        marks = (Mark(m["row"], Signature.from_json(m["at"]), Signature.from_json(m["reference"])) for m in body["marks"])
        return cls(body["row"], np.unpackbits(packed, count=body["rows"]).astype(bool), tuple(marks))


class Tracker:
    """Follows a segment's chain, and past its end the two chains until they are one."""

    def __init__(self) -> None:
        self.settled = False
        """Whether no further frame can change what this segment says of the frames after it."""
        self._row: int | None = None
        self._chain: Chain | None = None
        self._fresh: Chain | None = None
        self._frozen: list[bool] = []
        self._marks: list[Mark] = []
        self._after_row = 0
        self._after: list[bool] = []
        self._after_marks: list[Mark] = []

    def own(self, picture: Picture, compare: Compare) -> None:
        """See the segment's next frame."""
        frozen, mark = self._advance(picture, compare)
        self._frozen.append(frozen)
        self._marks += mark
        self._after_row = picture.row + 1

    def past(self, picture: Picture, compare: Compare) -> None:
        """See the next frame after the segment's end."""
        if self.settled:
            return
        after_hole = self._is_after_hole(picture)
        frozen, mark = self._advance(picture, compare)
        if self._fresh is None or after_hole:
            self._fresh = Chain.begin(picture)
        else:
            self._fresh = self._fresh.see(picture, compare)
        self.settled = self._chain is None or self._chain.same(self._fresh)
        if not self.settled:
            self._after.append(frozen)
            self._after_marks += mark

    def pictures(self) -> set[Picture]:
        """The pictures that later frames may be compared with."""
        chains = [c for c in (self._chain, self._fresh) if c is not None]
        return {c.reference for c in chains} | {c.mark for c in chains}

    def take(self, row: int, rows: int) -> FrozenRows:
        """What is known of the next own rows, and forget it."""
        end = row + rows
        taken = FrozenRows(row, np.array(self._frozen[:rows], bool), tuple(m for m in self._marks if m.row < end))
        self._frozen, self._marks = self._frozen[rows:], [m for m in self._marks if m.row >= end]
        return taken

    def extension(self) -> FrozenRows:
        """What this segment says of the rows after its end; empty where the next segment finds the same by itself."""
        return FrozenRows(self._after_row, np.array(self._after, bool), tuple(self._after_marks))

    def _is_after_hole(self, picture: Picture) -> bool:
        """Whether frames before this one are lost: no run reaches across, so that all chains begin anew."""
        return self._row is not None and picture.row != self._row + 1

    def _advance(self, picture: Picture, compare: Compare) -> tuple[bool, list[Mark]]:
        before = None if self._is_after_hole(picture) else self._chain
        self._row = picture.row
        self._chain = Chain.begin(picture) if before is None else before.see(picture, compare)
        frozen = before is not None and self._chain.reference is not picture
        marked = frozen and self._chain.mark is picture
        return frozen, [Mark.of(picture, self._chain.reference)] if marked else []
