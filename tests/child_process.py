"""Python in a process of its own, for tests about several processes and about killed ones.

It finds the pack's utils under the tests' name for them. The nodes are left out, they take half a second to load.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOAD = """
import sys
sys.dont_write_bytecode, sys.pycache_prefix = {bytecode}
import os, time, types
from pathlib import Path
import pack
package = sys.modules["cartoonize_pack"] = types.ModuleType("cartoonize_pack")
package.__path__ = [str(pack.ROOT)]
"""


def command(script: str, *arguments: object) -> list[str]:
    """What runs a script, which finds its arguments in `sys.argv[1:]`."""
    load = LOAD.format(bytecode=(sys.dont_write_bytecode, sys.pycache_prefix))  # as here, see conftest
    return [sys.executable, "-c", load + script, *map(str, arguments)]


def output_of(script: str, *arguments: object) -> str:
    """What a script prints, run to its end; its failure is the test's."""
    done = subprocess.run(command(script, *arguments), cwd=Path(__file__).parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextmanager
def running(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Yield a process that has printed its first line, "ready"; it is killed at the end if it still runs."""
    pipe = subprocess.PIPE
    child = subprocess.Popen(
        command(script, *arguments), cwd=Path(__file__).parent, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )
    assert child.stdout is not None
    try:
        first = child.stdout.readline()
        assert first == "ready\n", first + child.communicate()[1]
        yield child
    finally:
        child.kill()
        child.communicate()


def killed(child: subprocess.Popen[str]) -> None:
    """Kill a process as the system does when memory is short: it cleans up nothing."""
    child.kill()
    child.wait()
