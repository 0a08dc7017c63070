"""The shot task: official windows whatever the chunks, no trace left in the process, a fold that covers every frame once."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from processors.findings import ShotDraft
from processors.tasks.shots import TASK, windows
from schemas.cell import Signals
from schemas.errors import SetupError
from tests import thumbs

Probabilities = NDArray[np.float32]


def signals(first: int, single: Any, many: Any = None) -> Signals:
    one = np.asarray(single, np.float32)
    hot = one if many is None else np.asarray(many, np.float32)
    pts = thumbs.PTS_STEP * np.arange(first, first + len(one), dtype=np.int64)
    return Signals(first, len(one), {"pts": pts, "single": one, "many_hot": hot})


def shots(*parts: Signals, rows: int | None = None) -> tuple[ShotDraft, ...]:
    total = parts[-1].end_row if rows is None else rows
    run = thumbs.folded(parts)
    return run.finish(thumbs.end(total)).shots


def peaks(length: int, *where: int, height: float = 0.9) -> Probabilities:
    found = np.full(length, 0.01, np.float32)
    found[list(where)] = height
    return found


def test_what_the_task_declares() -> None:
    assert TASK.spec.halo == 99
    assert (TASK.spec.rendition, TASK.spec.group, TASK.spec.where) == ("thumbs", "networks", "agent")


@pytest.mark.parametrize("count", [1, 24, 50, 100, 130])
def test_windows_are_the_packages_own(count: int) -> None:
    """The package pads 25 frames before, and behind up to the grid and 25 more."""
    behind = 25 + 50 - (count % 50 if count % 50 else 50)
    padded = [0] * 25 + list(range(count)) + [count - 1] * behind
    official = [padded[at : at + 100] for at in range(0, len(padded) - 99, 50)]
    assert windows(0, count, 0, count).tolist() == official


def test_windows_in_the_middle_see_their_chunk_alone() -> None:
    found = windows(230, 299, 300, 450)
    assert found.shape == (3, 100)
    assert found[0].tolist() == list(range(45, 145))
    assert found.max() < 299


def test_signals_equal_the_packages_own_prediction() -> None:
    import torch

    frames = thumbs.pans([40, 20])
    found = thumbs.runner()(thumbs.chunk(frames, 0, 60, 0))
    network = thumbs.runner().network._network  # type: ignore[attr-defined]
    single, many = network.predict_frames(torch.from_numpy(frames), quiet=True)
    np.testing.assert_allclose(found.arrays["single"], single.numpy(), atol=1e-6)
    np.testing.assert_allclose(found.arrays["many_hot"], many.numpy(), atol=1e-6)
    assert (found.first_row, found.rows) == (0, 60)
    assert found.arrays["pts"].tolist() == [thumbs.PTS_STEP * k for k in range(60)]


def test_signals_are_the_same_however_the_chunks_are_cut() -> None:
    frames = thumbs.pans([60, 50])
    whole = thumbs.runner()(thumbs.chunk(frames, 0, len(frames), 0))
    parts = [thumbs.runner()(c) for c in thumbs.chunks(frames, (37, 61))]
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(np.concatenate([p.arrays[name] for p in parts]), array)
    assert shots(*parts) == shots(whole)
    assert [s.start_frame for s in shots(whole)] == [0, 60]
    assert shots(whole)[1].transition_in == "cut"


def test_a_fresh_chunk_off_the_grid_starts_with_its_own_first_frame() -> None:
    frames = thumbs.pans([80, 70])
    found = thumbs.runner()(thumbs.chunk(frames, 20, 130, 3, fresh=True))
    assert (found.first_row, found.end_row) == (20, 150)
    assert found.arrays["single"].shape == (130,)
    assert [s.start_frame for s in shots(found)] == [20, 80]


def test_a_chunk_that_ends_in_the_halo_of_the_one_before_has_no_rows() -> None:
    frames = thumbs.pans([120])
    found = thumbs.runner()(thumbs.chunk(frames, 100, 20, 1))
    assert (found.first_row, found.rows) == (120, 0)
    assert found.arrays["single"].dtype == np.float32


def test_loading_leaves_the_process_as_it_was() -> None:
    import torch

    torch.manual_seed(7)
    random.seed(7)
    np.random.seed(7)
    before = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())  # type: ignore[index, union-attr]
    flags = (torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark)
    TASK.load("cpu")
    after = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())  # type: ignore[index, union-attr]
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    assert flags == (
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
    )
    assert flags[0] is False


def test_other_weights_are_refused() -> None:
    from processors.models.transnet import TransNet

    with pytest.raises(SetupError, match="SHA-256"):
        TransNet("cpu", "0" * 64, threads=1)


def test_the_gpu_gives_the_same() -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    frames = thumbs.pans([70, 80, 60])
    on_cpu = thumbs.runner()(thumbs.chunk(frames, 0, 210, 0))
    on_gpu = TASK.load("cuda")(thumbs.chunk(frames, 0, 210, 0))
    for name in ("single", "many_hot"):
        np.testing.assert_allclose(on_gpu.arrays[name], on_cpu.arrays[name], atol=1e-4)


def test_a_stream_without_boundaries_is_one_shot() -> None:
    (only,) = shots(signals(0, peaks(40)))
    assert only == ShotDraft(0, 40 * thumbs.PTS_STEP, 0, 40, None, None, None)


def test_a_cut_ends_a_shot_with_its_most_probable_frame() -> None:
    single = peaks(40, 10)
    single[9] = 0.6
    first, second = shots(signals(0, single))
    assert (first.end_frame, second.start_frame) == (11, 11)
    assert (first.end, second.end) == (11 * thumbs.PTS_STEP, 40 * thumbs.PTS_STEP)
    assert (first.transition_in, first.transition_out, second.transition_in, second.transition_out) == (
        None,
        "cut",
        "cut",
        None,
    )
    assert first.confidence == second.confidence == pytest.approx(0.9)


def test_confidence_is_that_of_the_less_certain_boundary() -> None:
    single = peaks(60, 10)
    single[30] = 0.7
    assert [round(s.confidence or 0, 3) for s in shots(signals(0, single))] == [0.9, 0.7, 0.7]


@pytest.mark.parametrize(("width", "kind"), [(1, "cut"), (3, "cut"), (4, "gradual"), (20, "gradual")])
def test_the_many_hot_head_tells_cut_from_gradual(width: int, kind: str) -> None:
    many = peaks(80, *range(40 - width // 2, 40 - width // 2 + width))
    first, second = shots(signals(0, peaks(80, 40), many))
    assert (first.transition_out, second.transition_in, second.start_frame) == (kind, kind, 41)


def test_a_wide_run_over_two_cuts_makes_neither_gradual() -> None:
    found = shots(signals(0, peaks(80, 40, 46), peaks(80, *range(38, 50))))
    assert [s.transition_in for s in found] == [None, "cut", "cut"]


def test_runs_at_either_end_are_no_boundaries() -> None:
    assert len(shots(signals(0, peaks(40, 0, 1)))) == 1
    assert len(shots(signals(0, peaks(40, 38, 39)))) == 1
    assert len(shots(signals(0, np.ones(40)))) == 1


def test_a_hole_ends_a_shot_and_begins_one() -> None:
    found = shots(signals(0, peaks(50, 20)), signals(100, peaks(50, 30)), rows=150)
    assert [(s.start_frame, s.end_frame) for s in found] == [(0, 21), (21, 50), (100, 131), (131, 150)]
    assert [(s.transition_in, s.transition_out) for s in found] == [(None, "cut"), ("cut", None), (None, "cut"), ("cut", None)]
    assert found[1].end == 50 * thumbs.PTS_STEP
    assert found[2].start == 100 * thumbs.PTS_STEP


def test_runs_at_a_hole_are_no_boundaries() -> None:
    found = shots(signals(0, peaks(50, 49)), signals(100, peaks(50, 0)), rows=150)
    assert [(s.start_frame, s.end_frame) for s in found] == [(0, 50), (100, 150)]


def test_rows_lost_at_the_end() -> None:
    (only,) = shots(signals(0, peaks(50)), rows=80)
    assert (only.end_frame, only.end) == (50, 50 * thumbs.PTS_STEP)


def test_a_stream_of_nothing_has_no_shots() -> None:
    assert shots(signals(0, [])) == ()


def test_the_state_stays_small_and_plain() -> None:
    run = thumbs.folded([signals(50 * k, peaks(50, 10, 30)) for k in range(40)])
    assert set(run.state) == {"part", "next", "pts", "duration", "hot"}
    assert all(isinstance(v, int | bool | list) for v in run.state.values())
