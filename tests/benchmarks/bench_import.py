"""How long ComfyUI waits for the pack: for its import, beside what is loaded anyway, and for each list of nodes.

python tests/benchmarks/bench_import.py [--runs N]     with COMFYUI_PATH also in that ComfyUI
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import pack
from comfyui_host import running

TESTS = Path(__file__).parents[1]
HOST = "import asyncio, logging, numpy, PIL.Image, requests, aiohttp.web"  # loaded by ComfyUI before any pack
# As in ComfyUI, which has loaded folder_paths long before; outside of it every look for it would be paid.
FOLDERS = """
import sys, tempfile, types
folders = sys.modules["folder_paths"] = types.ModuleType("folder_paths")
user = tempfile.mkdtemp()
folders.get_system_user_directory = lambda name: f"{user}/__{name}"
"""
NODES = f"{FOLDERS}\nnodes = pack.load().NODE_CLASS_MAPPINGS.values()"
ASKED = "[node.INPUT_TYPES() for node in nodes]"
SCRIPT = """
import time
{before}
start = time.perf_counter()
{measured}
print(time.perf_counter() - start)
"""


def seconds(before: str, measured: str, runs: int) -> float:
    """The median over fresh processes, after one that fills the file cache."""
    script = SCRIPT.format(before=before, measured=measured)
    times = [
        float(subprocess.run([sys.executable, "-c", script], cwd=TESTS, capture_output=True, check=True).stdout)
        for _ in range(runs + 1)
    ]
    return statistics.median(times[1:])


def in_comfyui() -> None:
    """Print what a real ComfyUI says of the pack's import, and how long its server takes for the pack's nodes."""

    def median_s(path: str) -> float:
        times = []
        for _ in range(200):
            begin = time.perf_counter()
            comfy.get(path)
            times.append(time.perf_counter() - begin)
        return statistics.median(times)

    with tempfile.TemporaryDirectory() as folder, running(Path(folder), {}) as comfy:
        comfy.get("/object_info")
        said = re.findall(r"([0-9.]+) seconds: \S*/portrait-cartoonize$", comfy.log(), re.MULTILINE)
        floor = median_s("/object_info/EmptyImage")
        added = sum(median_s(f"/object_info/{node}") - floor for node in pack.load().NODE_CLASS_MAPPINGS)
    print(f"\nComfyUI's own words at its start: {said[0]} seconds")
    print(f"the pack's nodes in /object_info, asked one by one, above a node of ComfyUI's each: {added * 1e3:.2f} ms")


def main() -> None:
    """Print the medians and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    host = seconds("", HOST, runs)
    pack = seconds(f"{HOST}\nimport pack", "pack.load()", runs)
    alone = seconds("import pack", "pack.load()", runs)
    first = seconds(f"{HOST}\nimport pack\n{NODES}", ASKED, runs)
    each = seconds(f"{HOST}\nimport pack\n{NODES}\n{ASKED}", f"for _ in range(100):\n    {ASKED}", runs) / 100
    print(f"median of {runs} fresh processes")
    print(f"what ComfyUI has loaded anyway (numpy, Pillow, aiohttp)   {host * 1e3:7.1f} ms   1.00")
    print(f"the pack after it                                         {pack * 1e3:7.1f} ms   {pack / host:.2f}")
    print(f"the pack in a bare Python                                 {alone * 1e3:7.1f} ms   {alone / host:.2f}")
    print(f"its inputs in /object_info, the first time                {first * 1e3:7.1f} ms   {first / host:.2f}")
    print(f"its inputs in /object_info, each further time             {each * 1e3:7.2f} ms   {each / host:.4f}")
    if "COMFYUI_PATH" in os.environ:
        in_comfyui()


if __name__ == "__main__":
    main()
