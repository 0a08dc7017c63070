"""Which channels belong together: by labels, by layout, or by inference that is told as such."""

from __future__ import annotations

from typing import Any

import pytest

from processors.presentations import presentation_of, presentations
from schemas.clock import Clock
from schemas.plan import AssetRef, AudioFormat, ChannelLabel, Plan, StreamPlan


def sound(n: int, channels: int = 1, *, layout: str | None = None, names: tuple[str, ...] = (), **facts: Any) -> StreamPlan:
    return StreamPlan(
        **{
            "id": f"a{n}",
            "index": n + 1,
            "kind": "audio",
            "codec": "pcm_s24le",
            "decision": "analysed",
            "clock": Clock(tick=(1, 48000)),
            "layout_source": "declared" if layout else "inferred",
            "audio": AudioFormat(rate=48000, channels=channels, layout=layout or f"{channels} channels", channel_names=names),
            **facts,
        }
    )


def plan(*streams: StreamPlan, container: str = "mxf") -> Plan:
    return Plan(
        run="r",
        asset=AssetRef(id="a", uri="file:///x", version="1"),
        caused_by="u",
        created="2026-01-01T00:00:00Z",
        code="1",
        container=container,
        streams=streams,
        tasks=(),
        jobs=(),
    )


Told = tuple[str, list[tuple[str, tuple[int, ...]]], str | None, str]


def told(*streams: StreamPlan, container: str = "mxf") -> list[Told]:
    found = presentations(plan(*streams, container=container))
    return [(p.id, [(part.stream, part.channels) for part in p.streams], p.layout, p.source) for p in found]


def test_a_declared_layout_is_a_presentation() -> None:
    film = sound(0, 6, layout="5.1(side)", names=("FL", "FR", "FC", "LFE", "SL", "SR"), codec="eac3", language="en")
    described = sound(1, 2, layout="stereo", names=("FL", "FR"), codec="aac", language="de")
    assert told(film, described, container="mov,mp4") == [
        ("p0", [("a0", (0, 1, 2, 3, 4, 5))], "5.1(side)", "layout"),
        ("p1", [("a1", (0, 1))], "stereo", "layout"),
    ]
    assert [p.language for p in presentations(plan(film, described))] == ["en", "de"]


@pytest.mark.parametrize(("channels", "layout"), [(1, "mono"), (2, "stereo"), (16, "16 channels")])
def test_channels_without_names_stay_together(channels: int, layout: str) -> None:
    assert told(sound(0, channels), container="wav") == [("p0", [("a0", tuple(range(channels)))], layout, "inferred")]


def test_unlabelled_tracks_are_pairs() -> None:
    found = presentations(plan(*(sound(n) for n in range(8))))
    assert [[part.stream for part in p.streams] for p in found] == [["a0", "a1"], ["a2", "a3"], ["a4", "a5"], ["a6", "a7"]]
    assert {(p.layout, p.source) for p in found} == {("stereo", "inferred")}
    assert "pairs" in found[0].reason


def test_what_is_unlike_is_no_pair() -> None:
    streams = (sound(0, language="en"), sound(1, language="de"), sound(2, language="de"), sound(3))
    assert told(*streams) == [
        ("p0", [("a0", (0,))], "mono", "inferred"),
        ("p1", [("a1", (0,)), ("a2", (0,))], "stereo", "inferred"),
        ("p2", [("a3", (0,))], "mono", "inferred"),
    ]
    assert [p[2] for p in told(sound(0), sound(1), container="mpegts")] == ["mono", "mono"]
    assert [p[2] for p in told(sound(0, codec="aac"), sound(1, codec="aac"))] == ["mono", "mono"]
    assert [p[2] for p in told(sound(0), sound(1, 2), sound(2))] == ["mono", "stereo", "mono"]


def test_tracks_that_name_their_positions() -> None:
    names = ("FL", "FR", "FC", "LFE", "SL", "SR", "FL", "FR")
    streams = [sound(n, layout=f"1 channels ({name})", names=(name,)) for n, name in enumerate(names)]
    assert told(*streams, container="mov") == [
        ("p0", [(f"a{n}", (0,)) for n in range(6)], "5.1(side)", "layout"),
        ("p1", [("a6", (0,)), ("a7", (0,))], "stereo", "layout"),
    ]


def label(symbol: str, group: str | None, soundfield: str | None = None, channel: int = 0, **more: Any) -> ChannelLabel:
    return ChannelLabel(channel=channel, symbol=symbol, group=group, soundfield=soundfield, **more)


def test_labels_join_tracks_and_part_them() -> None:
    left, right = (sound(n, labels=(label(s, "g", "sgST", language="fr"),)) for n, s in enumerate(("chL", "chR")))
    symbols = ("chL", "chR", "chC", "chLFE", "chLs", "chRs")
    inside = [label(s, "m", "sg51", n) for n, s in enumerate(symbols)] + [label("chM1", "d", "sgM", 6)]
    whole = sound(2, 8, labels=tuple(inside))
    assert told(left, right, whole) == [
        ("p0", [("a0", (0,)), ("a1", (0,))], "stereo", "mca"),
        ("p1", [("a2", (0, 1, 2, 3, 4, 5))], "5.1", "mca"),
        ("p2", [("a2", (6,))], "mono", "mca"),
        ("p3", [("a2", (7,))], None, "inferred"),
    ]
    first = presentations(plan(left, right, whole))[0]
    assert (first.language, first.reason) == ("fr", "labelled chL chR")


def test_labels_beyond_the_channels_and_unknown_groups() -> None:
    odd = sound(0, 2, labels=(label("chHI", "h", "sgHI"), label("chVIN", None, channel=1), label("chX", "h", None, 9)))
    assert told(odd) == [("p0", [("a0", (0,))], "sgHI", "mca"), ("p1", [("a0", (1,))], None, "mca")]


def test_a_figure_names_the_presentation_that_its_stream_is_part_of() -> None:
    found = presentations(plan(sound(0), sound(1), sound(2, 2, labels=(label("chL", "a"), label("chR", "b", channel=1)))))
    assert [presentation_of(found, "a0", None), presentation_of(found, "a1", 0)] == ["p0", "p0"]
    assert presentation_of(found, "a2", None) is None
    assert [presentation_of(found, "a2", 0), presentation_of(found, "a2", 1)] == ["p1", "p2"]
    assert presentation_of(found, "a9", None) is None
