"""Flashes after ITU-R BT.1702-3, guideline 1: how many in a second, over more than a quarter of the screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.findings import MeasurementDraft
from processors.signals.flash_fold import LUMINANCE, RED, Judged
from processors.signals.flash_places import Places
from processors.signals.intervals import Rows, least_ticks
from schemas.clock import Clock

MOST_CHANGES = 6
"""Opposing changes in a second, two to a flash. With the seventh a fourth flash has begun: more than three."""
METHOD = "ITU-R BT.1702-3 on the proxy: changes of 20 cd/m² and more, or to and from saturated red; SDR white 200 cd/m²"


_PREFIX = {LUMINANCE: "luminance_", RED: "red_"}
_LAST_RISE, _LAST_FALL = "last_rise", "last_fall"


class Bt1702Model:
    """The recommendation's model for :class:`~processors.signals.flash_fold.FlashFold`. Patterns are not looked for."""

    unit = "flashes/s"

    def start(self) -> dict[str, Any]:
        """Nothing seen yet."""
        return {"peak": dict.fromkeys(_PREFIX, 0)}

    def restart(self, state: dict[str, Any]) -> dict[str, Any]:
        """Keep the highest values alone."""
        return {"peak": state["peak"]}

    def step(
        self, clock: Clock, state: dict[str, Any], rows: Rows, arrays: Mapping[str, NDArray[Any]]
    ) -> tuple[dict[str, Any], Judged]:
        """See consecutive rows, all with one grid."""
        cells = {name: arrays[name].reshape(len(rows), -1) for name in ("nits", "red", "rise", "fall")}
        nits, red = cells["nits"].astype(np.float32), cells["red"].astype(np.float32)
        seen = _LAST_RISE in state
        luminance = Places.of_state(_PREFIX[LUMINANCE], state) if seen else Places.begin(nits[0])
        reds = Places.of_state(_PREFIX[RED], state) if seen else Places.begin(red[0])
        rise = np.concatenate([[state[_LAST_RISE] if seen else cells["rise"][0]], cells["rise"]])
        fall = np.concatenate([[state[_LAST_FALL] if seen else cells["fall"][0]], cells["fall"]])
        second, changes = least_ticks(clock, 1.0), np.zeros((2, len(rows)), np.int64)
        for k, now in enumerate(rows.start.tolist()):
            if k or seen:
                luminance.see_luminance(now, nits[k], rise[k], fall[k], hdr=bool(arrays["hdr"][k]))
                reds.see_red(now, red[k])
            changes[:, k] = luminance.most(now, second), reds.most(now, second)
        most = dict(zip(_PREFIX, changes, strict=True))
        peak = {code: max(state["peak"][code], int(counted.max())) for code, counted in most.items()}
        after = luminance.to_state(_PREFIX[LUMINANCE]) | reds.to_state(_PREFIX[RED])
        after |= {"peak": peak, _LAST_RISE: rise[-1], _LAST_FALL: fall[-1]}
        return after, {code: (counted > MOST_CHANGES, counted / 2) for code, counted in most.items()}

    def text(self, code: str, peak: float) -> str:
        """What a finding says."""
        kind = "Flashes to or from saturated red" if code == RED else "Flashes of 20 cd/m² or more"
        return (
            f"{kind} over more than 25 % of the screen: {peak:g} in a second (limit 3). "
            "Screening after ITU-R BT.1702-3, no certificate"
        )

    def measurements(self, clock: Clock, state: dict[str, Any], reason: str | None) -> tuple[MeasurementDraft, ...]:
        """The most flashes in a second over more than a quarter of the screen; half a flash is one change."""
        return tuple(
            MeasurementDraft(
                id=f"{code}_rate",
                value=None if reason else state["peak"][code] / 2,
                unit=self.unit,
                method=METHOD,
                reliable=reason is None,
                reason=reason,
            )
            for code in _PREFIX
        )
