"""Flashes after ITU-R BT.1702-3: how many in a second, over more than a quarter of the screen; and regular patterns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from processors.findings import MeasurementDraft
from processors.signals import flash_patterns
from processors.signals.flash_fold import LUMINANCE, RED, Judged
from processors.signals.flash_places import Places, Windows
from processors.signals.intervals import Rows
from schemas.clock import Clock

MOST_CHANGES = 6
"""Opposing changes in a second, two to a flash. With the seventh a fourth flash has begun: more than three."""
METHOD = "ITU-R BT.1702-3 on the proxy: changes of 20 cd/m² and more, or to and from saturated red; SDR white 200 cd/m²"
PATTERN_METHOD = "ITU-R BT.1702-3 on the proxy: greatest share of a frame with more than five pairs of even stripes"

_PREFIX = {LUMINANCE: "luminance_", RED: "red_"}
_RISE, _FALL = "rise", "fall"


class Bt1702Model:
    """The recommendation's model for :class:`~processors.signals.flash_fold.FlashFold`."""

    units: ClassVar[Mapping[str, str]] = {LUMINANCE: "flashes/s", RED: "flashes/s", flash_patterns.PATTERN: "ratio"}

    def start(self) -> dict[str, Any]:
        """Nothing seen yet."""
        return {"peak": dict.fromkeys(_PREFIX, 0), "pattern": flash_patterns.nothing_yet()}

    def restart(self, state: dict[str, Any]) -> dict[str, Any]:
        """Keep the highest values alone."""
        pattern = flash_patterns.nothing_yet() | {"peak": state["pattern"]["peak"]}
        return {"peak": state["peak"], "pattern": pattern}

    def step(
        self, clock: Clock, state: dict[str, Any], rows: Rows, arrays: Mapping[str, NDArray[Any]]
    ) -> tuple[dict[str, Any], Judged]:
        """See consecutive rows, all with one grid."""
        cells = {name: arrays[name].reshape(len(rows), -1) for name in ("nits", "red", "rise", "fall")}
        nits, red = cells["nits"].astype(np.float32), cells["red"].astype(np.float32)
        seen = _RISE in state
        luminance = Places.of_state(_PREFIX[LUMINANCE], state) if seen else Places.begin(nits[0])
        reds = Places.of_state(_PREFIX[RED], state) if seen else Places.begin(red[0])
        # What rises towards a row is a signal of the row before it.
        rise, fall = ([state[name] if seen else cells[name][0], *cells[name]] for name in (_RISE, _FALL))

        def see_luminance(k: int, now: int) -> None:
            luminance.see_luminance(now, nits[k], rise[k], fall[k], windows, hdr=bool(arrays["hdr"][k]))

        def see_red(k: int, now: int) -> None:
            reds.see_red(now, red[k], windows)

        new, windows = 0 if seen else 1, Windows.of(clock)
        changes = {LUMINANCE: _follow(luminance, see_luminance, rows, new, windows)}
        no_red = not (red.any() or reds.high.any() or reds.way.any())
        changes[RED] = np.zeros(len(rows), np.int64) if no_red else _follow(reds, see_red, rows, new, windows)
        after = luminance.to_state(_PREFIX[LUMINANCE]) | reds.to_state(_PREFIX[RED])
        after |= {
            _RISE: rise[-1],
            _FALL: fall[-1],
            "peak": {code: max(state["peak"][code], int(counted.max())) for code, counted in changes.items()},
        }
        after["pattern"], crossed, share = flash_patterns.step(clock, state["pattern"], rows, arrays)
        judged = {code: (counted > MOST_CHANGES, counted / 2) for code, counted in changes.items()}
        return after, judged | {flash_patterns.PATTERN: (crossed, share)}

    def text(self, code: str, peak: float) -> str:
        """What a finding says."""
        if code == flash_patterns.PATTERN:
            return (
                f"A regular pattern of stripes over {peak:.0%} of the screen (limits: 40 % standing still, 25 % reversing). "
                "Screening after ITU-R BT.1702-3, no certificate"
            )
        kind = "Flashes to or from saturated red" if code == RED else "Flashes of 20 cd/m² or more"
        return (
            f"{kind} over more than 25 % of the screen: {peak:g} in a second (limit 3). "
            "Screening after ITU-R BT.1702-3, no certificate"
        )

    def measurements(self, clock: Clock, state: dict[str, Any], reason: str | None) -> tuple[MeasurementDraft, ...]:
        """The most flashes in a second over more than a quarter of the screen (half a flash is one change), and the greatest
        share of it that a regular pattern takes.
        """
        area = None if reason else state["pattern"]["peak"]
        pattern = MeasurementDraft(
            f"{flash_patterns.PATTERN}_area", area, "ratio", PATTERN_METHOD, reliable=reason is None, reason=reason
        )
        flashes = tuple(
            MeasurementDraft(
                id=f"{code}_rate",
                value=None if reason else state["peak"][code] / 2,
                unit=self.units[code],
                method=METHOD,
                reliable=reason is None,
                reason=reason,
            )
            for code in _PREFIX
        )
        return (*flashes, pattern)


def _follow(places: Places, see: Callable[[int, int], None], rows: Rows, new: int, windows: Windows) -> NDArray[np.int64]:
    """The changes in the second up to each row; rows from ``new`` on are seen, those before are what the places begin with."""
    most = []
    for k, now in enumerate(rows.start.tolist()):
        if k >= new:
            see(k, now)
        most.append(places.most(now, windows))
    return np.array(most, np.int64)
