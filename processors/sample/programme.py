"""What happens when in the sample: the list of its parts, and the picture of each frame."""

from __future__ import annotations

from dataclasses import dataclass

from processors.sample import cards
from processors.sample.scenes import Look, Picture, Scene

RATE = 25
FRAMES = 60 * RATE
LETTERBOX_LINES = 92
"""1280 by 536: 2.39 to 1."""

SLATE = ("DAILIES SAMPLE", "THE QUIET HARBOUR", "SCENE 12  TAKE 3", "1280X720  25P  REC.709", "STEREO  48 KHZ")
BURNT_IN = "SOMEWHERE IN THE NORTH"
CREDITS = (
    "THE QUIET HARBOUR",
    "DIRECTED BY NOBODY",
    "WRITTEN BY A SEED",
    "PHOTOGRAPHY BY NOISE",
    "SOUND BY SINES",
    "EDITED BY FRAME NUMBER",
    "THE END",
)


@dataclass(frozen=True, slots=True)
class Part:
    """One shot. ``dissolve`` frames of it (an even number), centred on its first one, are a dissolve from the part before."""

    name: str
    first: int
    end: int
    look: Look | None = None
    dissolve: int = 0
    letterbox: bool = False
    freeze: tuple[int, int] | None = None
    text: tuple[int, int] | None = None


_HARBOUR = Look((40, 140, 118), (205, 120, 126), speed=(2.2, 0.0), horizon=0.45, figures=3)
_FOREST = Look((30, 118, 124), (150, 96, 118), speed=(-1.6, 0.5), columns=True, scale=8, detail=0.7)
_CITY = Look((28, 132, 126), (80, 140, 124), speed=(0.8, 0.0), lights=26, scale=6)
_DESERT = Look((90, 104, 146), (220, 108, 142), speed=(-2.8, 0.3), horizon=0.35, scale=3)
_RIVER = Look((50, 150, 108), (190, 136, 116), speed=(1.4, 1.9), scale=10, detail=0.65, figures=2)
_STREET = Look((40, 126, 132), (180, 122, 134), speed=(3.0, 0.0), columns=True, figures=7, scale=5)
_SNOW = Look((150, 132, 124), (222, 128, 128), speed=(0.5, -2.0), zoom=1.002, scale=5, figures=4)
_CAVE = Look((28, 122, 138), (90, 106, 150), speed=(0.0, 0.6), zoom=1.004, lights=9, scale=7, detail=0.7)
_CANYON = Look((50, 110, 152), (185, 104, 156), speed=(1.8, -0.4), scale=6, columns=True)
_PLAIN = Look((70, 112, 120), (215, 116, 122), speed=(-2.4, 0.0), horizon=0.5, figures=5)
_MEADOW = Look((45, 92, 116), (185, 88, 122), speed=(1.2, 0.7), turn=0.05, scale=12, detail=0.75)
_MARKET = Look((50, 128, 140), (210, 118, 150), speed=(-1.0, 0.2), figures=12, scale=9)
_STORM = Look((32, 136, 122), (130, 140, 122), speed=(4.0, 1.2), turn=-0.06, horizon=0.6, lights=3)

PARTS: tuple[Part, ...] = (
    Part("bars", 0, 125),
    Part("slate", 125, 200),
    Part("harbour", 200, 285, _HARBOUR),
    Part("forest", 285, 350, _FOREST),
    Part("city", 350, 440, _CITY),
    Part("desert", 440, 525, _DESERT, dissolve=24),
    Part("river", 525, 665, _RIVER, freeze=(555, 630)),
    Part("street", 665, 745, _STREET, text=(675, 735)),
    Part("black", 745, 820),
    Part("snow", 820, 900, _SNOW),
    Part("cave", 900, 970, _CAVE),
    Part("canyon", 970, 1060, _CANYON, letterbox=True),
    Part("plain", 1060, 1140, _PLAIN, letterbox=True),
    Part("meadow", 1140, 1220, _MEADOW),
    Part("market", 1220, 1300, _MARKET, dissolve=24),
    Part("storm", 1300, 1360, _STORM),
    Part("credits", 1360, FRAMES),
)


class Programme:
    """The sample's pictures, by frame number."""

    def __init__(self) -> None:
        self._scenes = {p.name: Scene(number, p.look) for number, p in enumerate(PARTS) if p.look}
        self._cards = {"bars": cards.bars(), "slate": cards.slate(SLATE), "black": Picture.plain(cards.BLACK)}

    def draw(self, frame: int) -> Picture:
        """The picture of one frame, 0 to 1499."""
        index = next(n for n, p in enumerate(PARTS) if p.first <= frame < p.end)
        part = PARTS[index]
        later = PARTS[index + 1] if index + 1 < len(PARTS) else None
        if part.dissolve and frame < part.first + part.dissolve // 2:
            return self._mix(PARTS[index - 1], part, frame)
        if later and later.dissolve and frame >= later.first - later.dissolve // 2:
            return self._mix(part, later, frame)
        return self._shot(part, frame)

    def _mix(self, before: Part, after: Part, frame: int) -> Picture:
        share = (frame - (after.first - after.dissolve // 2) + 0.5) / after.dissolve
        return self._shot(before, frame).mix(self._shot(after, frame), share)

    def _shot(self, part: Part, frame: int) -> Picture:
        if part.name in self._cards:
            return self._cards[part.name]
        if part.name == "credits":
            return cards.roll(CREDITS, frame - part.first, part.end - part.first)
        picture = self._scenes[part.name].draw(_moment(part, frame))
        if part.text and part.text[0] <= frame < part.text[1]:
            picture = cards.burn(picture, BURNT_IN)
        return cards.letterbox(picture, LETTERBOX_LINES) if part.letterbox else picture


def _moment(part: Part, frame: int) -> int:
    """Time stands still in a freeze and goes on behind it; a dissolve begins before its part."""
    number = frame - part.first + part.dissolve // 2
    if part.freeze is None:
        return number
    start, end = part.freeze
    return number - max(0, min(frame, end - 1) - start)
