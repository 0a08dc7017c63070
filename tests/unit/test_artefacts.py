"""The task artefacts: the weights that it names, scores that depend on one still alone, findings where something is wrong."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from processors import profiles
from processors.analyse import analyse
from processors.findings import VOCABULARY
from processors.profiles.model import MEASUREMENTS
from processors.sample.scenes import Look, Picture, Scene
from processors.signals.artefact_fold import FIELDS_MEANT, NO_STILL, NOT_JUDGED
from processors.tasks.artefacts import ARTEFACTS, DETECTORS, TASK, WEIGHTS_SHA256
from processors.tasks.base import StreamContext
from schemas.cell import Signals
from schemas.errors import SetupError
from schemas.events import ContentMetadata
from scripts.artefacts import defects, recipe
from scripts.artefacts.pictures import Planes
from tests import stills

NAMES = tuple(a.name for a in ARTEFACTS)
CLIP_SECONDS, CLIP_RATE, CLIP_SIZE = 8, 5, (512, 288)
BAD = (3, 5)
"""The seconds of the clip that are spoilt."""


def signals(first: int, **scores: list[float]) -> Signals:
    """Stills from a second on; classes that are not given score nothing."""
    rows = len(next(iter(scores.values())))
    pts = stills.SECOND * np.arange(first, first + rows, dtype=np.int64)
    return Signals(first, rows, {"pts": pts} | {n: np.array(scores.get(n, [0.0] * rows)) for n in NAMES})


def spans(*parts: Signals, seconds: float, name: str, stream: StreamContext = stills.STREAM) -> list[tuple[float, float]]:
    run = stills.folded(parts, stream)
    run.finish(stills.end(seconds))
    code = f"video.artefact.{name}"
    found = [e.finding for e in run.final_findings() if e.finding.code == code]
    return [(f.start / stills.SECOND, f.end / stills.SECOND) for f in found]


def test_what_the_task_declares() -> None:
    assert (TASK.spec.rendition, TASK.spec.group, TASK.spec.where, TASK.spec.halo) == ("stills", "networks", "agent", 0)
    assert TASK.spec.weights_sha256 == WEIGHTS_SHA256
    assert set(TASK.spec.findings) <= set(VOCABULARY)
    assert {f"{code}_share" for code in TASK.spec.findings} <= MEASUREMENTS
    assert set(DETECTORS) == set(NAMES)


def test_no_profile_of_dailies_stops_a_delivery_for_them() -> None:
    """They are wrong too often for that: see the model card."""
    rules = [rule for name in profiles.names() for rule in profiles.load_named(name).rules]
    assert any(rule.code.startswith("video.") for rule in rules)
    grave = {rule.id for rule in rules if rule.code.startswith("video.artefact.") and rule.severity in ("major", "blocker")}
    assert not grave


def test_the_weights_are_those_that_are_named() -> None:
    from processors.models.artefacts import WEIGHTS, Artefacts

    data = WEIGHTS.read_bytes()
    assert hashlib.sha256(data).hexdigest() == WEIGHTS_SHA256
    assert len(data) < 1_000_000
    with pytest.raises(SetupError, match="SHA-256"):
        Artefacts("cpu", "0" * 64)
    with pytest.raises(SetupError, match="missing"):
        Artefacts("cpu", WEIGHTS_SHA256, WEIGHTS.with_name("none.safetensors"))


def test_the_model_card_is_of_these_weights() -> None:
    card = (Path(__file__).parents[2] / "docs" / "models" / "artefacts.md").read_text()
    assert WEIGHTS_SHA256 in card
    for name, detector in DETECTORS.items():
        assert f"| {name} | {detector.by} | {detector.threshold:.4g} |" in card, f"the card has no row of {name}'s detector"


def test_loading_leaves_the_process_as_it_was() -> None:
    import torch

    torch.manual_seed(7)
    before = torch.get_rng_state()
    TASK.load("cpu")
    assert torch.equal(before, torch.get_rng_state())


def test_scores_are_the_same_each_time_and_for_each_still_alone() -> None:
    pictures = [stills.sample_still(second) for second in (9, 19, 30)]
    together = stills.runner()(stills.chunk(pictures))
    again = stills.runner()(stills.chunk(pictures))
    alone = [stills.runner()(stills.chunk([picture], k)) for k, picture in enumerate(pictures)]
    for name in ("pts", *NAMES):
        np.testing.assert_array_equal(together.arrays[name], again.arrays[name])
        np.testing.assert_array_equal(together.arrays[name], np.concatenate([a.arrays[name] for a in alone]))


def test_the_gpu_gives_the_same() -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    chunk = stills.chunk([stills.sample_still(second) for second in (9, 19)])
    on_cpu, on_gpu = stills.runner()(chunk), TASK.load("cuda")(chunk)
    for name in NAMES:
        np.testing.assert_allclose(on_gpu.arrays[name], on_cpu.arrays[name], atol=1e-4)


def test_a_picture_too_small_is_not_judged() -> None:
    small = Picture(np.full((48, 80), 90, np.uint8), np.full((24, 40), 128, np.uint8), np.full((24, 40), 128, np.uint8))
    found = stills.runner()(stills.chunk([small]))
    assert all(np.isnan(found.arrays[name]).all() for name in NAMES)
    figures = stills.folded([found]).finish(stills.end(1)).measurements
    assert {m.reason for m in figures} == {NOT_JUDGED}
    assert {m.value for m in figures} == {None}


@pytest.mark.parametrize("second", [2, 6, 9, 15, 23, 28, 31, 38, 44, 53, 57])
def test_nothing_is_found_in_the_sample(second: int) -> None:
    """Bars, slate, scenes with grain, burnt-in words, black, letterbox, credits."""
    found = stills.runner()(stills.chunk([stills.sample_still(second)]))
    over = {name: float(found.arrays[name][0]) for name in NAMES if found.arrays[name][0] > 0.5}
    assert not over


@pytest.mark.long
def test_nothing_is_found_in_the_rendered_sample(programme: tuple[Path, Any]) -> None:
    event = analyse(str(programme[0]), code="test", tasks_wanted=["artefacts"], profiles=[], device="cpu")
    assert event.run.status == "complete"
    assert [f.code for f in event.findings] == []
    assert {m.value for m in event.measurements} == {0.0}


def render(path: Path, *, hurt: bool = False, streaks: bool = False) -> Path:
    """A pan over texture in MPEG-2; for two seconds packets are overwritten in places, or pictures have a tape's dropouts."""
    scene = Scene(7, Look((40, 110, 120), (210, 140, 130), speed=(14.0, 3.0), scale=8, detail=0.8, figures=6))
    rng = np.random.default_rng(12)
    width, height = CLIP_SIZE
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg2video", rate=CLIP_RATE, options={"qmin": "3", "qmax": "3", "g": "5", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(CLIP_SECONDS * CLIP_RATE):
            spoilt = BAD[0] * CLIP_RATE <= number < BAD[1] * CLIP_RATE
            planes = recipe.crop(scene.draw(number).planes, 0, 0, width, height)
            planes = defects.dropouts(rng, planes) if streaks and spoilt else planes
            flat = np.concatenate([p.reshape(-1) for p in planes]).reshape(height * 3 // 2, width)
            frame = av.VideoFrame.from_ndarray(flat, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, CLIP_RATE)
            for packet in stream.encode(frame):
                container.mux(_damaged(packet, rng) if hurt and spoilt else packet)
        container.mux(stream.encode(None))
    return path


def _damaged(packet: Any, rng: np.random.Generator) -> Any:
    data = bytearray(bytes(packet))
    for start in rng.integers(len(data) // 8, len(data) - 40, 12):
        data[start : start + 24] = rng.integers(0, 256, 24, dtype=np.uint8).tobytes()
    made = av.Packet(bytes(data))
    made.pts, made.dts, made.time_base, made.stream = packet.pts, packet.dts, packet.time_base, packet.stream
    made.is_keyframe = packet.is_keyframe
    return made


def found_in(path: Path) -> ContentMetadata:
    return analyse(str(path), code="test", tasks_wanted=["artefacts"], profiles=[], device="cpu")


def stills_of(path: Path) -> dict[int, Planes]:
    """The picture of each whole second, as FFmpeg's decoder conceals it."""
    found: dict[int, Planes] = {}
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            y, u, v = (np.frombuffer(p, np.uint8).reshape(p.height, p.line_size)[:, : p.width].copy() for p in frame.planes)
            found.setdefault(int(frame.time or 0), (y, u, v))
    return found


def test_damage_that_shows_is_found_and_nothing_beside_it(tmp_path: Path) -> None:
    """Packets of two seconds are damaged, which leaves seams in the still of one of them; the other is concealed well."""
    hurt, well = render(tmp_path / "hurt.mkv", hurt=True), render(tmp_path / "well.mkv")
    seams = {second: defects.seams(right, stills_of(hurt)[second]) for second, right in stills_of(well).items()}
    assert [second for second, count in seams.items() if count >= recipe.LEAST_DAMAGE] == [BAD[0]]
    event = found_in(hurt)
    found = [f for f in event.findings if f.code == "video.artefact.macroblocks"]
    assert [(f.start_seconds, f.end_seconds) for f in found] == [(BAD[0], BAD[0] + 1)]
    assert found[0].value is not None and found[0].value > 0.5
    assert {f.code for f in event.findings if f.code.startswith("video.artefact")} == {"video.artefact.macroblocks"}
    (share,) = [m for m in event.measurements if m.id == "video.artefact.macroblocks_share"]
    assert share.value == 1 / CLIP_SECONDS
    producer = next(p for p in event.producers if p.name == "artefacts")
    assert producer.weights_sha256 == WEIGHTS_SHA256


def test_a_stretch_of_dropouts_is_found_and_nothing_beside_it(tmp_path: Path) -> None:
    event = found_in(render(tmp_path / "streaks.mkv", streaks=True))
    assert [(f.code, f.start_seconds, f.end_seconds) for f in event.findings] == [("video.artefact.dropout", *BAD)]


def test_the_same_clip_undamaged_has_no_finding(tmp_path: Path) -> None:
    assert not found_in(render(tmp_path / "well.mkv")).findings


def test_runs_of_stills_are_findings() -> None:
    parts = signals(0, macroblocks=[0, 0.9, 0.7, 0, 0, 0.6])
    assert spans(parts, seconds=5.5, name="macroblocks") == [(1, 3), (5, 5.5)]


def test_what_a_whole_programme_would_have_needs_several_stills() -> None:
    least = next(a.stills for a in ARTEFACTS if a.name == "upscaled")
    assert least > 1
    assert spans(signals(0, upscaled=[0.9] * (least - 1) + [0.0]), seconds=least, name="upscaled") == []
    assert spans(signals(0, upscaled=[0.9] * least + [0.0]), seconds=least + 1, name="upscaled") == [(0, least)]


def test_a_hole_ends_a_finding() -> None:
    parts = (signals(0, dropout=[0.0, 0.9]), signals(4, dropout=[0.9, 0.0]))
    assert spans(*parts, seconds=6, name="dropout") == [(1, 2), (4, 5)]


def test_a_score_at_the_limit_is_none_and_nan_is_none() -> None:
    assert spans(signals(0, dropout=[0.5, float("nan"), 0.5]), seconds=3, name="dropout") == []


def test_combs_of_an_interlaced_stream_are_meant() -> None:
    combs = signals(0, combing=[0.9] * 6)
    assert spans(combs, seconds=6, name="combing") == [(0, 6)]
    fields = StreamContext("v0", "video", stills.CLOCK, field_order="top first")
    assert spans(combs, seconds=6, name="combing", stream=fields) == []
    run = stills.folded([combs], fields)
    (share,) = [m for m in run.finish(stills.end(6)).measurements if m.id == "video.artefact.combing_share"]
    assert (share.value, share.reason) == (None, FIELDS_MEANT)


def test_shares_are_of_the_stills_that_were_judged() -> None:
    run = stills.folded([signals(0, dropout=[0.9, float("nan"), 0.1, 0.2])])
    shares = {m.id: m.value for m in run.finish(stills.end(4)).measurements}
    assert shares["video.artefact.dropout_share"] == pytest.approx(1 / 3)
    assert shares["video.artefact.timecode_share"] == 0


def test_a_stream_without_a_still_has_reasons() -> None:
    assert {m.reason for m in stills.folded([]).finish(stills.end(0)).measurements} == {NO_STILL}
