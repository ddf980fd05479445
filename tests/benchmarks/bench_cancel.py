"""Cancel at random moments in a real ComfyUI: how long until the prompt is over, and until the next one is done.

Between two prompts ComfyUI collects garbage, at most every 10 s, and nothing of it runs meanwhile, its page's messages
included: that is in the second figure, and its longest is printed.

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
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Try:
    """Seconds from Cancel to the end of the prompt, and to that of the next one; and what the node was doing."""

    over_s: float
    next_s: float
    doing: str


def noted(comfy: ComfyUI, what: str) -> list[float]:
    """What the test nodes noted inside ComfyUI."""
    file = comfy.folder / "moments"
    lines = file.read_text().splitlines() if file.exists() else []
    return [float(line.removeprefix(what)) for line in lines if line.startswith(what)]


def one_try(comfy: ComfyUI, events: Events, seed: int, moment_s: float) -> Try | None:
    """Press Cancel at a moment of a prompt; None if it was over, or in one of ComfyUI's own nodes."""

    def queue(graph: Prompt) -> str:
        return json.loads(comfy.post("/prompt", {"prompt": graph, "client_id": events.client_id}))["prompt_id"]

    said = len(comfy.log())
    prompt_id = queue(prompt(seed, one_node=seed % 2 == 1))
    following = queue({"load": empty_image(64, 64, color=seed), "show": node("PreviewImage", images=["load", 0])})
    time.sleep(moment_s)
    pressed = time.monotonic()
    comfy.post("/interrupt", {"prompt_id": prompt_id})
    _, how = events.end_of(prompt_id)
    next_ended, next_how = events.end_of(following)
    assert next_how == "execution_success"
    doing = re.findall(r"Cancelled while: ([^0-9\n.]*)", comfy.log()[said:])
    if how == "execution_success" or not doing:
        return None
    assert how == "execution_interrupted", how
    return Try(noted(comfy, "over")[-1] - pressed, next_ended - pressed, doing[0].strip(", "))


def main() -> None:
    """Print medians and maxima, and what was going on."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tries", type=int, default=50)
    tries, moments = parser.parse_args().tries, random.Random(5)
    service, done = SlowService(task_s=2.0), list[Try]()
    with tempfile.TemporaryDirectory() as folder, service.running():
        environment = {**service.environment, "TEST_MOMENTS": f"{folder}/moments"}
        with running(Path(folder), environment) as comfy, listening(comfy) as events:
            seed = 0
            while len(done) < tries:
                seed += 1
                found = one_try(comfy, events, seed, moments.uniform(0.0, LONGEST_S))
                done += [found] if found else []
            collections = noted(comfy, "collection")
    for name, values in (("prompt is over", [t.over_s for t in done]), ("next one is done", [t.next_s for t in done])):
        print(f"Cancel until the {name:17} median {statistics.median(values):.3f} s, maximum {max(values):.3f} s")
    print(f"ComfyUI's own garbage collections meanwhile: longest {max(collections, default=0.0):.3f} s")
    print(f"{len(done)} tries; Cancel came while the node was:")
    for doing, times in Counter(t.doing for t in done).most_common():
        print(f"{times:4}  {doing:40} longest {max(t.over_s for t in done if t.doing == doing):.3f} s")


if __name__ == "__main__":
    main()
