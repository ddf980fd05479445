"""Cancel at random moments in a real ComfyUI: how long until the prompt has ended, and until the next one is done.

Eight noisy pictures are encoded, uploaded, submitted, waited for and fetched; the service takes its time with every
answer, so that the moments fall into all of these steps, requests in flight included.

    COMFYUI_PATH=… COMFYUI_PYTHON=… python tests/benchmarks/bench_cancel.py [--tries N]
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from comfyui_events import Events, listening
from comfyui_host import ComfyUI, running
from comfyui_prompts import Prompt, chain, empty_image, node
from scripted_service import ScriptedService

LONGEST_S = 9.0  # about as long as a prompt takes


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


def one_try(comfy: ComfyUI, events: Events, seed: int, moment_s: float) -> tuple[float, float, str] | None:
    """Return seconds to the end, seconds to the end of the next prompt, and what it was doing; None if it was over."""

    def queue(graph: Prompt) -> str:
        return json.loads(comfy.post("/prompt", {"prompt": graph, "client_id": events.client_id}))["prompt_id"]

    said = comfy.log().count("Cancelled while")
    prompt_id = queue(prompt(seed, one_node=seed % 2 == 1))
    following = queue({"load": empty_image(64, 64, color=seed), "show": node("PreviewImage", images=["load", 0])})
    time.sleep(moment_s)
    pressed = time.monotonic()
    comfy.post("/interrupt", {"prompt_id": prompt_id})
    ended, how = events.end_of(prompt_id)
    next_ended, next_how = events.end_of(following)
    assert next_how == "execution_success"
    doing = re.findall(r"Cancelled while: ([^0-9\n]*)", comfy.log())[said:]
    if how == "execution_success" or not doing:  # over already, or in one of ComfyUI's own nodes
        return None
    assert how == "execution_interrupted", how
    return ended - pressed, next_ended - pressed, doing[0].strip()


def main() -> None:
    """Print medians and maxima, and what was going on."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tries", type=int, default=50)
    tries, moments = parser.parse_args().tries, random.Random(5)
    service, measured = SlowService(task_s=2.0), list[tuple[float, float, str]]()
    with tempfile.TemporaryDirectory() as folder, service.running():
        with running(Path(folder), service.environment) as comfy, listening(comfy) as events:
            seed = 0
            while len(measured) < tries:
                seed += 1
                found = one_try(comfy, events, seed, moments.uniform(0.0, LONGEST_S))
                measured += [found] if found else []
    for name, values in (
        ("the end of the prompt", [m[0] for m in measured]),
        ("the next prompt's", [m[1] for m in measured]),
    ):
        print(f"Cancel to {name:24} median {statistics.median(values):.3f} s, maximum {max(values):.3f} s")
    print(f"{len(measured)} tries; Cancel came while the node was:")
    for doing, times in Counter(m[2] for m in measured).most_common():
        print(f"{times:4}  {doing:40} longest {max(m[0] for m in measured if m[2] == doing):.3f} s")


if __name__ == "__main__":
    main()
