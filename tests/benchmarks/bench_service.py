"""A service under more work than it takes, for longer than in the test suite: what became of every submission.

python tests/benchmarks/bench_service.py [--seconds N] [--clients N] [--real N]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import pack

pack.load()
from load import campaign  # noqa: E402  # the pack has no import name before it is loaded


def main() -> int:
    """Print the counts; the exit code is 1 if anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--real", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        result = campaign(Path(home) / "home", options.seconds, options.clients, options.real)
    print(result.report())
    for wrong in result.wrong:
        print(wrong)
    return 1 if result.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
