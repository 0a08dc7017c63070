"""A short seeded form of the matrix, on a small workload: one fault of each of a few kinds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.faults import chosen
from tests.chaos.matrix import Matrix
from tests.chaos.rig import Rig
from tests.chaos.workload import SMALL

SEED = 3
FAULTS = ("sigkill:aggregator", "redeliver", "sigterm:decoder")


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    folder = tmp_path_factory.mktemp("chaos")
    with Rig(folder) as rig:
        matrix = Matrix(folder, rig, assets=SMALL)
        yield matrix
        matrix.close()


@pytest.mark.kafka
@pytest.mark.timeout(900)
def test_faults_change_nothing(matrix: Matrix) -> None:
    assert matrix.quiet(SEED).violations == []
    for number, name in enumerate(FAULTS):
        result = matrix.faulted(SEED + number, chosen([name]))
        assert result.faults == (name,)
        assert result.violations == []
    assert matrix.finish() == []
