"""Remote work beside local work in a real ComfyUI: this pack's chain in many orders, and a chain of awaiting nodes.

5 s of remote work in three nodes, and 1 + 4 s of a local node that holds ComfyUI's loop as a sampler does. Also the
seconds from Cancel to the end of the prompt.

    COMFYUI_PATH=… COMFYUI_PYTHON=… python tests/benchmarks/bench_overlap.py [--orders N]
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from comfyui_host import ComfyUI, running
from comfyui_prompts import Prompt, beside_local_work, chain, empty_image, in_order, node
from scripted_service import ScriptedService

REMOTE_S = 5.0
LOCAL_S = (1.0, 4.0)


def seconds(comfy: ComfyUI, prompt: Prompt) -> float:
    """Wall time of a prompt, from queueing to its entry in the history."""
    start = time.monotonic()
    comfy.run(prompt)
    return time.monotonic() - start


def awaiting_chain() -> Prompt:
    """The same three steps, each an ordinary async node."""

    def step(image: list[Any], wait_s: float) -> dict[str, Any]:
        return node("TestAwaitingStep", image=image, seconds=wait_s)

    return {"url": step(["load", 0], 0.1), "submit": step(["url", 0], 0.1), "poll": step(["submit", 0], REMOTE_S)}


def cancel_s(comfy: ComfyUI, service: ScriptedService, color: int) -> float:
    """Seconds from Cancel to the end of a prompt that waits for a long task."""
    service.task_s = 60.0
    prompt = {"load": empty_image(color=color), **chain(["load", 0]), "show": node("PreviewImage", images=["poll", 0])}
    prompt_id = comfy.queue(prompt)
    time.sleep(2.0)
    start = time.monotonic()
    comfy.post("/interrupt", {})
    comfy.wait(prompt_id)
    return time.monotonic() - start


def main() -> None:
    """Print seconds and their ratio to the longer of the two."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--orders", type=int, default=24, help="orders of the prompt's JSON to try, of 24")
    orders = list(itertools.permutations(("url", "submit", "poll", "local1")))[: parser.parse_args().orders]
    service = ScriptedService(task_s=REMOTE_S)
    longer = max(REMOTE_S, sum(LOCAL_S))
    with tempfile.TemporaryDirectory() as folder, service.running():
        with running(Path(folder), service.environment) as comfy:
            measured = []
            for color, first in enumerate(orders):
                prompt = beside_local_work(chain(["load", 0]), ["poll", 0], LOCAL_S, color)
                measured.append(seconds(comfy, in_order(prompt, first)))
                print(f"{' > '.join(first):40} {measured[-1]:6.2f} s   {measured[-1] / longer:.2f}", flush=True)
            print(
                f"{'worst of ' + str(len(orders)) + ' orders':40} {max(measured):6.2f} s   {max(measured) / longer:.2f}"
            )
            awaiting = seconds(comfy, beside_local_work(awaiting_chain(), ["poll", 0], LOCAL_S, len(orders)))
            print(f"{'awaiting nodes':40} {awaiting:6.2f} s   {awaiting / longer:.2f}")
            cancels = [cancel_s(comfy, service, 1000 + i) for i in range(5)]
            print(f"Cancel to the end of the prompt, worst of 5: {max(cancels):.2f} s")


if __name__ == "__main__":
    main()
