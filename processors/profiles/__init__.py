"""Delivery profiles: limits as data (TOML), and the judge that applies them to what was measured.

A profile file::

    name = "ebu-r128"
    title = "EBU R 128 programme loudness"
    reference = "EBU R 128 (2023)"

    [[rules]]
    id = "programme-loudness"          # unique in the profile
    code = "loudness.integrated"       # a measurement id or a finding code
    op = "within"                      # <=, >=, within (limit ± tolerance), none (no such finding)
    limit = -23.0
    tolerance = 0.2                    # optional; widens <= and >= too
    unit = "LUFS"
    outcome = "fail"                   # when violated: fail or review
    severity = "major"                 # info, minor, major, blocker
    overridable = true
    scope = "asset"                    # or "programme": without the leader of bars and slate
"""

from __future__ import annotations

from processors.profiles.judge import finality, judge, react, react_to_figure
from processors.profiles.model import Profile, Rule, load, load_named, names

__all__ = ["Profile", "Rule", "finality", "judge", "load", "load_named", "names", "react", "react_to_figure"]
