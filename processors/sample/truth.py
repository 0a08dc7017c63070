"""What is known of the sample before anything is measured."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from processors.sample import programme, sound
from processors.sample.programme import PARTS, RATE
from processors.sample.scenes import HEIGHT, WIDTH


class _Known(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Transition(_Known):
    """From one shot to the next: a cut at frame ``start`` (the new shot's first), or a dissolve over ``[start, end)``."""

    start: int
    end: int
    kind: Literal["cut", "gradual"]

    @property
    def centre(self) -> int:
        """The frame that counts as the new shot's first."""
        return (self.start + self.end) // 2 if self.kind == "gradual" else self.start


class Stretch(_Known):
    """A stretch of time, half-open, in seconds; ``note`` says what it is."""

    start: float
    end: float
    note: str = ""


class Text(Stretch):
    """What can be read in the picture."""

    text: str


class Truth(_Known):
    """The sample's contents.

    ``static`` are all stretches of 2 s and more in which no pixel changes: freezes, and bars, slate and black, which are
    no faults. ``letterbox`` lists where there are ``letterbox_lines`` of black at top and bottom.
    """

    width: int
    height: int
    frame_rate: int
    frames: int
    sample_rate: int
    samples: int
    transitions: tuple[Transition, ...]
    black: tuple[Stretch, ...]
    static: tuple[Stretch, ...]
    letterbox: tuple[Stretch, ...]
    letterbox_lines: int
    silence: tuple[Stretch, ...]
    clipping: tuple[Stretch, ...]
    integrated_lufs: float
    text: tuple[Text, ...]

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(self.model_dump_json(indent=1) + "\n")

    def still(self, note: str) -> tuple[Stretch, ...]:
        """The static stretches of one kind: ``bars``, ``slate``, ``freeze`` or ``black``."""
        return tuple(s for s in self.static if s.note == note)

    @classmethod
    def read(cls, path: Path) -> Truth:
        """The inverse of :meth:`write`."""
        return cls.model_validate_json(path.read_bytes())


def truth_path(path: Path) -> Path:
    """Where the truth of a sample lies: ``sample.truth.json`` beside ``sample.mov``."""
    return path.with_suffix(".truth.json")


def know(heard: sound.Sound) -> Truth:
    """The truth, from the programme's list and its sound."""
    by_name = {part.name: part for part in PARTS}
    whole = {name: _stretch(by_name[name].first, by_name[name].end, name) for name in ("bars", "slate", "black")}
    freezes = tuple(_stretch(*part.freeze, "freeze") for part in PARTS if part.freeze)
    boxed = [part for part in PARTS if part.letterbox]
    return Truth(
        width=WIDTH,
        height=HEIGHT,
        frame_rate=RATE,
        frames=programme.FRAMES,
        sample_rate=sound.RATE,
        samples=len(heard.samples),
        transitions=tuple(
            Transition(
                start=part.first - part.dissolve // 2,
                end=part.first + part.dissolve // 2,
                kind="gradual" if part.dissolve else "cut",
            )
            for part in PARTS[1:]
        ),
        black=(whole["black"],),
        static=(whole["bars"], whole["slate"], *freezes, whole["black"]),
        letterbox=(_stretch(boxed[0].first, boxed[-1].end),),
        letterbox_lines=programme.LETTERBOX_LINES,
        silence=tuple(Stretch(start=a, end=b) for a, b in sound.SILENCES),
        clipping=(Stretch(start=heard.clipped[0], end=heard.clipped[1]),),
        integrated_lufs=heard.integrated,
        text=tuple(_texts()),
    )


def _stretch(first: int, end: int, note: str = "") -> Stretch:
    return Stretch(start=first / RATE, end=end / RATE, note=note)


def _texts() -> list[Text]:
    found = []
    for part in PARTS:
        lines = {"slate": programme.SLATE, "credits": programme.CREDITS}.get(part.name, ())
        span = (part.first, part.end)
        if part.text:
            lines, span = (programme.BURNT_IN,), part.text
        found += [Text(start=span[0] / RATE, end=span[1] / RATE, text=line, note=part.name) for line in lines]
    return found
