"""Attempts on disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from streams.attempts import AttemptLedger


def test_attempts_are_counted_per_key_until_done(tmp_path: Path) -> None:
    ledger = AttemptLedger(tmp_path / "a", 3)
    assert [ledger.begin("x"), ledger.begin("x"), ledger.begin("y/z\nw"), ledger.begin("x")] == [1, 2, 1, 3]
    ledger.done("x")
    ledger.done("never begun")
    assert [ledger.begin("x"), ledger.begin("y/z\nw")] == [1, 2]
    ledger.done("x")
    ledger.done("y/z\nw")
    assert list((tmp_path / "a").iterdir()) == []


def test_an_attempt_outlives_a_process_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from streams.attempts import AttemptLedger\n"
        "AttemptLedger(Path(sys.argv[1]), 3).begin('job'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    for _ in range(2):
        process = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, env={**os.environ})
        assert process.returncode == -signal.SIGKILL
    assert AttemptLedger(tmp_path, 3).begin("job") == 3


def test_an_attempt_that_was_ended_from_outside_is_taken_back(tmp_path: Path) -> None:
    ledger = AttemptLedger(tmp_path, 3)
    ledger.withdraw("never begun")
    assert [ledger.begin("x"), ledger.begin("x")] == [1, 2]
    ledger.withdraw("x")
    assert ledger.begin("x") == 2
    ledger.withdraw("x")
    ledger.withdraw("x")
    assert list(tmp_path.iterdir()) == []
