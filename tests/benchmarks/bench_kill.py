"""2,000 runs killed with SIGKILL and started again: how often was something paid twice, decided by itself, or lost.

python tests/benchmarks/bench_kill.py [--kills N] [--seed N]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import pack

pack.load()
from kill_campaign import campaign  # noqa: E402  # the pack has no import name before it is loaded


def main() -> int:
    """Print the counts; the exit code is 1 if anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=2)
    options = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as home:
        result = campaign(Path(home) / "home", options.kills, options.seed)
    print(f"{result.report()}\n{time.monotonic() - start:.0f} s")
    for wrong in result.wrong:
        print(wrong)
    return 1 if result.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
