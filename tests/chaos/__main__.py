"""``python -m tests.chaos --seed S --runs N [--fault NAME]… [--keep]``: runs the matrix and prints what it found.

Run number i has the seed S + i, so that any one is run again alone with ``--seed`` and ``--runs 1``. Exit status 1 if anything
was violated, 2 if a needed tool is missing.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from streams import log
from streams.settings import Settings
from tests.chaos.faults import FAULTS
from tests.chaos.matrix import Matrix, table, usable
from tests.chaos.rig import Rig
from tests.tools import REQUIRE_ENV


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="seed of the first run (default 1)")
    parser.add_argument("--runs", type=int, default=100, help="how many runs (default 100)")
    parser.add_argument("--fault", action="append", default=[], metavar="NAME", help=f"only these: {', '.join(FAULTS)}")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs, topics and scripts")
    options = parser.parse_args()
    log.configure(Settings(log_level="error"))
    logging.getLogger(log.CLIENT_LOGGER).setLevel(logging.CRITICAL)  # that the broker goes away is what this is for
    folder = Path(tempfile.mkdtemp(prefix="dailies-chaos-"))
    began = time.monotonic()
    with Rig(folder) as rig:
        names, skipped = usable(options.fault, rig)
        if skipped:
            print(f"skipped, toxiproxy is not built (scripts/install-test-tools.sh): {', '.join(skipped)}")
            if os.environ.get(REQUIRE_ENV) == "1" or not names:
                return 2
        matrix = Matrix(folder, rig, say=lambda line: print(line, flush=True))
        matrix.quiet(options.seed)
        for seed in range(options.seed, options.seed + options.runs):
            matrix.faulted(seed, names)
        late = matrix.finish()
        matrix.close()
    print(f"\n{table(matrix.results)}\n\n{time.monotonic() - began:.0f} s")
    for violation in late:
        print(f"at the end: {violation}")
    broken = [result for result in matrix.results if result.violations]
    chosen = "".join(f" --fault {name}" for name in options.fault)
    for result in broken:
        again = f"python -m tests.chaos --seed {result.seed} --runs 1{chosen} --keep"
        print(f"seed {result.seed} ({', '.join(result.faults)}): {len(result.violations)} violations. Again: {again}")
    if options.keep or broken or late:
        print(f"kept: {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if broken or late else 0


if __name__ == "__main__":
    sys.exit(main())
