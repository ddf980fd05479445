"""`portrait-cartoonize serve` as a process of its own, started and killed by tests."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import child_process

KEYS = ("key", "secret-of-the-tests")
SERVE = """
from cartoonize_pack.utils.cli import main
sys.exit(main(["serve", *sys.argv[1:]]))
"""


@contextmanager
def serving(home: Path, *arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Yield the process and its base address; it is killed at the end if it still runs."""
    values = {
        **os.environ,
        "CARTOONIZE_HOME": str(home),
        "CARTOONIZE_APP_KEY": KEYS[0],
        "CARTOONIZE_APP_SECRET": KEYS[1],
        **environment,
    }
    # Standard error is a pipe that nobody reads, and the pace of tests is not that of people.
    log = ["--access-log", str(home / "access.log"), "--rate", "1000"]
    command = child_process.command(SERVE, "--port", "0", *log, *arguments)
    pipe, tests = subprocess.PIPE, Path(__file__).parent
    child = subprocess.Popen(command, cwd=tests, env=values, stdout=pipe, stderr=pipe, text=True)
    assert child.stdout is not None
    try:
        found = re.search(r"create (http://[^/]+)/v1", child.stdout.readline())
        assert found is not None, child.communicate()[1]
        yield child, found[1]
    finally:
        child.kill()
        child.communicate()
