"""Cancel at random moments in a real ComfyUI: how long until the prompt has ended, and until the next one is done.

Eight noisy pictures are encoded, uploaded, submitted, waited for and fetched; the service takes its time with every
answer, so that the moments fall into all of these steps, requests in flight included.

    COMFYUI_PATH=… COMFYUI_PYTHON=… python tests/benchmarks/bench_cancel.py [--tries N]
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from comfyui_host import ComfyUI, running
from comfyui_prompts import Prompt, chain, empty_image, node
from scripted_service import ScriptedService

LONGEST_S = 9.0  # about as long as a prompt takes
LOOK_S = 0.005


class SlowService(ScriptedService):
    """Takes a second for every submission and picture, and most of a second for each question."""

    def create(self, body: dict[str, object]) -> dict[str, object]:
        """Accept a task, slowly."""
        time.sleep(1.0)
        return super().create(body)

    def result(self, task_id: str) -> dict[str, object]:
        """Tell a task's state, slowly."""
        time.sleep(0.7)
        return super().result(task_id)

    def _picture(self, task_id: str, index: int) -> bytes:
        time.sleep(1.0)
        return super()._picture(task_id, index)


def prompt(seed: int, one_node: bool) -> Prompt:
    """Noise nobody has uploaded before, on its way through the nodes."""
    source = {
        "load": empty_image(1600, 1600, batch=8),
        "noise": node("ImageAddNoise", image=["load", 0], seed=seed, strength=0.5),
    }
    if not one_node:
        return {**source, **chain(["noise", 0])}
    widgets = {"profile": "auto", "on_failure": "error", "sizes": "match first", "timeout": 60, "variation": 0}
    return {**source, "portrait": node("CartoonizePortrait", images=["noise", 0], **widgets)}


def ended(comfy: ComfyUI, prompt_id: str) -> str:
    """Wait for the end of a prompt and return the last of its messages."""
    while not (entry := comfy.get(f"/history/{prompt_id}").get(prompt_id)):
        time.sleep(LOOK_S)
    return str(entry["status"]["messages"][-1][0])


def one_try(comfy: ComfyUI, seed: int, moment_s: float) -> tuple[float, float, str] | None:
    """Return seconds to the end, seconds to the end of the next prompt, and what it was doing; None if it was over."""
    prompt_id = comfy.queue(prompt(seed, one_node=seed % 2 == 1))
    following = comfy.queue({"load": empty_image(64, 64, color=seed), "show": node("PreviewImage", images=["load", 0])})
    while not comfy.get("/queue")["queue_running"]:
        time.sleep(LOOK_S)
    time.sleep(moment_s)
    said = comfy.log().count("Cancelled while")
    pressed = time.monotonic()
    comfy.post("/interrupt", {"prompt_id": prompt_id})
    message = ended(comfy, prompt_id)
    end_s = time.monotonic() - pressed
    assert ended(comfy, following) == "execution_success"
    next_s = time.monotonic() - pressed
    doing = re.findall(r"Cancelled while: ([^0-9\n]*)", comfy.log())[said:]
    if message == "execution_success" or not doing:  # over already, or in one of ComfyUI's own nodes
        return None
    assert message == "execution_interrupted", message
    return end_s, next_s, doing[0].strip()


def main() -> None:
    """Print medians and maxima, and what was going on."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tries", type=int, default=50)
    tries, moments = parser.parse_args().tries, random.Random(5)
    service, measured = SlowService(task_s=2.0), list[tuple[float, float, str]]()
    with tempfile.TemporaryDirectory() as folder, service.running():
        with running(Path(folder), service.environment) as comfy:
            seed = 0
            while len(measured) < tries:
                seed += 1
                found = one_try(comfy, seed, moments.uniform(0.0, LONGEST_S))
                measured += [found] if found else []
    for name, values in (
        ("the end of the prompt", [m[0] for m in measured]),
        ("the next prompt's", [m[1] for m in measured]),
    ):
        print(f"Cancel to {name:24} median {statistics.median(values):.3f} s, maximum {max(values):.3f} s")
    print(f"{len(measured)} tries; Cancel came while the node was:")
    for doing, times in Counter(m[2] for m in measured).most_common():
        print(f"{times:4}  {doing}")


if __name__ == "__main__":
    main()
