"""The native picture task on synthetic frames: its signals, its figures, and its protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from processors.signals.keeper import Keeper
from processors.signals.light import pq_to_nits
from processors.tasks import decode_task
from processors.tasks.base import FoldRun, StreamContext, StreamEnd
from processors.tasks.native_picture import TASK
from schemas.cell import Signals
from tests.picture import CLOCK, FRAME, HEIGHT, WIDTH, Shots, analyse, column, decoded, flat, folded, job, native


def test_the_task_is_registered() -> None:
    assert decode_task("native-picture") is TASK


def test_signals_of_known_pictures() -> None:
    half_black = flat(200)
    half_black[0][: HEIGHT // 2] = 16
    illegal = flat(100)
    illegal[0][0, :10], illegal[1][0, :5], illegal[2][0, :3] = 240, 10, 241
    arrays = analyse([native(p, i) for i, p in enumerate((half_black, illegal, flat(16)))])[0].arrays
    assert arrays["black_ratio"].tolist() == [0.5, 0.0, 1.0]
    assert arrays["luma_mean"][0] == 108
    assert arrays["luma_max"].tolist() == [200, 240, 16]
    samples = HEIGHT * WIDTH * 3 // 2
    assert arrays["out_of_range"].tolist() == [0.0, 18 / samples, 0.0]
    assert (
        arrays["diff"][0] == sum(abs(a.astype(int) - b).sum() for a, b in zip(half_black, illegal, strict=True)) / samples / 256
    )
    assert np.isnan(arrays["diff"][2]) and np.isnan(arrays["luma_diff"][2])
    luma = [np.abs(a[0].astype(int) - b[0]).mean() / 256 for a, b in ((half_black, illegal), (illegal, flat(16)))]
    assert arrays["luma_diff"][:2].tolist() == luma
    assert arrays["area"].tolist() == [[HEIGHT // 2, HEIGHT, 0, WIDTH], [0, HEIGHT, 0, WIDTH], [-1, -1, -1, -1]]
    assert arrays["flat"].tolist() == [False, False, True]
    assert np.isnan(arrays["light_max"]).all()


def test_levels_are_in_eight_bit_codes_at_any_depth() -> None:
    ten = [(p.astype(np.uint16) << 2) + 1 for p in flat(90)]
    arrays = analyse([native(ten, 0, depth=10)])[0].arrays
    assert (arrays["luma_mean"][0], arrays["luma_max"][0]) == (90.25, 90.25)


def test_there_is_no_legal_range_on_full_range_and_rgb() -> None:
    frames = [native(flat(3), 0, full_range=True), native([flat(3)[0]] * 3, 1, model="rgb")]
    signals = analyse(frames)
    assert np.isnan(column(signals, "out_of_range")).all()
    assert np.isnan(column(signals, "diff")).all(), "the geometry changes"
    assert "video.out_of_range_ratio" not in {m.id for m in folded(signals)[1].measurements}


def test_light_is_measured_on_pq_alone_and_over_the_active_area() -> None:
    planes = [p.astype(np.uint16) << 2 for p in flat(100)]
    planes[0][:30] = planes[0][-30:] = 64
    frames = [native(planes, i, depth=10, transfer="smpte2084", matrix="bt2020nc") for i in range(3)]
    measured = {m.id: m.value for m in folded(analyse(frames))[1].measurements}
    level = measured["video.max_cll"]
    assert level == pytest.approx(pq_to_nits(np.array([(400 - 64) / 876]))[0])
    assert measured["video.max_fall"] == pytest.approx(level)


def test_measurements_of_nothing_and_of_something() -> None:
    _, outcome = folded([])
    assert {m.id: (m.value, m.reason is None) for m in outcome.measurements} == {
        "video.frames": (0.0, True),
        "video.luma_mean": (None, False),
    }
    _, outcome = folded(analyse(Shots().still(flat(50), 2).still(flat(100), 2).frames))
    assert {m.id: m.value for m in outcome.measurements} == {
        "video.frames": 4.0,
        "video.luma_mean": 75.0,
        "video.out_of_range_ratio": 0.0,
    }


def test_the_protocol_of_the_analyser() -> None:
    shots = Shots().moving(5).still(flat(90), 5)
    analyser = TASK.open(job())
    assert not analyser.hungry() and analyser.ready() == 0
    for frame in shots.frames[:4]:
        analyser.feed(frame, owned=True)
    assert analyser.hungry() and analyser.ready() == 3
    with pytest.raises(ValueError, match="4 rows asked for where 3 are ready"):
        analyser.take(4)
    analyser.feed(shots.frames[4], owned=False)
    assert not analyser.hungry() and analyser.ready() == 4
    arrays, observations = analyser.take(4)
    assert not np.isnan(arrays["diff"]).any() and observations == ()


def test_a_still_picture_keeps_the_analyser_hungry_for_at_most_two_cells() -> None:
    analyser = TASK.open(job())
    for k in range(20):
        analyser.feed(native(flat(90), k), owned=True)
    fed = 20
    while analyser.hungry():
        assert analyser.ready() == 19
        analyser.feed(native(flat(90), fed), owned=False)
        fed += 1
    assert fed * FRAME <= 20_000 + FRAME
    _, observations = analyser.take(20)
    assert [o["kind"] for o in observations] == ["freeze", "freeze_extension"]
    assert len(str(observations)) < 20_000


def test_close_leaves_the_last_difference_open() -> None:
    analyser = TASK.open(job())
    for frame in Shots().moving(3).frames:
        analyser.feed(frame, owned=True)
    analyser.close()
    assert not analyser.hungry() and analyser.ready() == 3
    assert np.isnan(analyser.take(3)[0]["diff"]).tolist() == [False, False, True]


def test_events_come_as_soon_as_they_are_certain() -> None:
    shots = Shots().still(flat(16), 60).moving(10).still(flat(180), 80).moving(5)
    run = FoldRun.begin(TASK.fold, StreamContext("v0", "video", CLOCK))
    heard: list[tuple[str, str, int]] = []
    for part in analyse(shots.frames, chunk=lambda: 1):
        step = run.step(part)
        heard += [(e.phase.value, e.finding.code, run.next_row) for e in step.events]
    told = [h for h in heard if h[0] != "update"]
    assert told == [
        ("new", "video.black", 51),
        ("end", "video.black", 61),
        ("new", "video.freeze", 121),
        ("end", "video.freeze", 151),
    ]
    assert all(e.phase != "new" for e in run.finish(StreamEnd(run.next_row, 155 * FRAME)).events)


def test_the_state_stays_small() -> None:
    run = FoldRun.begin(TASK.fold, StreamContext("v0", "video", CLOCK))
    shots = Shots().still(flat(150), 700)
    sizes = []
    for part in analyse(shots.frames, cuts=(50, 120, 130, 400), chunk=lambda: 10):
        run.step(part)
        sizes.append(len(str(run.state)))
    assert max(sizes) < 40_000


def test_decoded_pictures_are_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for frame in Shots().moving(4).frames:
            stacked = np.concatenate([p.reshape(-1) for p in frame.planes]).reshape(HEIGHT * 3 // 2, WIDTH)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(stacked, format="yuv420p")))
        container.mux(stream.encode())
    frames, _ = decoded(path)
    keeper = Keeper()
    held = [keeper.keep(frame, i, 0, set()) for i, frame in enumerate(frames)]
    assert all(p.planes[0] is f.planes[0] for p, f in zip(held, frames, strict=True))
    plain = native(flat(9), 0)
    first = keeper.keep(plain, 4, 0, set())
    assert first.planes[0] is not plain.planes[0] and (first.planes[0] == plain.planes[0]).all()
    assert keeper.keep(plain, 5, 0, {first}).planes[0] is not first.planes[0]
    assert keeper.keep(plain, 6, 0, set()).planes[0] is first.planes[0]


def test_signals_survive_the_wire() -> None:
    parts = analyse(Shots().still(flat(150), 60).frames, chunk=lambda: 25)
    assert [Signals.from_bytes(p.to_bytes()).to_bytes() for p in parts] == [p.to_bytes() for p in parts]
