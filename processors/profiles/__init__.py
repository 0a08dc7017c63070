"""Delivery profiles: limits as data (TOML) in layers, and the judge that applies them to what was measured.

A profile file::

    name = "ebu-r128"
    title = "EBU R 128 programme loudness"
    reference = "EBU R 128 (2023)"

    [[rules]]
    id = "programme-loudness"          # unique in the profile
    code = "loudness.integrated"       # a measurement id or a finding code
    op = "within"                      # <=, >=, within (limit ± tolerance), one_of (values ± tolerance), none (no such finding)
    limit = -23.0
    tolerance = 0.2                    # optional; widens <=, >= and one_of too
    unit = "LUFS"
    outcome = "fail"                   # when violated: fail or review
    severity = "major"                 # info (advice: decides no verdict), minor, major, blocker
    overridable = true                 # false: no layer above may ask for less
    scope = "asset"                    # or "programme": without the leader of bars and slate
    per = "presentation"               # one result of each presentation of the sound; else of each "stream"
    when = { code = "…", op = "<", limit = 0.15, unit = "1" }   # optional: only where this measurement is so

Another file may extend it, by name or by relative path: rules of the same id replace fields, others are added, ``disable``
takes away. ``docs/profiles.md`` says it at length.
"""

from __future__ import annotations

from processors.profiles.file import Problem
from processors.profiles.judge import finality, judge, react, react_to_figure
from processors.profiles.layers import is_path
from processors.profiles.model import Profile, Rule
from processors.profiles.planned import carried, planned
from processors.profiles.shelf import Shelf, load, load_named, names, several

__all__ = [
    "Problem",
    "Profile",
    "Rule",
    "Shelf",
    "carried",
    "finality",
    "is_path",
    "judge",
    "load",
    "load_named",
    "names",
    "planned",
    "react",
    "react_to_figure",
    "several",
]
