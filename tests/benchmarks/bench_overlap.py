"""Remote work beside local work in a real ComfyUI: this pack's chain in many orders, and a chain of awaiting nodes.

5 s of remote work in three nodes, and 1 + 4 s of a local node that holds ComfyUI's loop as a sampler does. Then a task
and a real sampler that take the same time each, beside awaiting and blocking nodes.

    COMFYUI_PATH=… COMFYUI_PYTHON=… python tests/benchmarks/bench_overlap.py [--orders N]
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from comfyui_events import SETTLING_S, run_listening
from comfyui_host import ComfyUI, running
from comfyui_prompts import Prompt, beside_local_work, chain, empty_image, in_order, node
from scripted_service import ScriptedService

REMOTE_S = 5.0
LOCAL_S = (1.0, 4.0)
SAMPLER_S = 10.0  # about
CHECKPOINT = "random.safetensors"


def seconds(comfy: ComfyUI, prompt: Prompt) -> float:
    """Wall time of a prompt, from queueing to its entry in the history."""
    start = time.monotonic()
    comfy.run(prompt)
    return time.monotonic() - start


def awaiting_chain(remote_s: float) -> Prompt:
    """The same three steps, each an ordinary async node."""

    def step(image: list[Any], wait_s: float) -> dict[str, Any]:
        return node("TestAwaitingStep", image=image, seconds=wait_s)

    return {"url": step(["load", 0], 0.1), "submit": step(["url", 0], 0.1), "poll": step(["submit", 0], remote_s)}


def sampler(steps: int, seed: int) -> Prompt:
    """A real sampler on a small random checkpoint, ending in an image."""
    return {
        "model": node("CheckpointLoaderSimple", ckpt_name=CHECKPOINT),
        "words": node("CLIPTextEncode", text="portrait", clip=["model", 1]),
        "latent": node("EmptyLatentImage", width=256, height=256, batch_size=1),
        "sample": node(
            "KSampler", model=["model", 0], positive=["words", 0], negative=["words", 0], latent_image=["latent", 0],
            seed=seed, steps=steps, cfg=1.0, sampler_name="euler", scheduler="normal", denoise=1.0,
        ),
        "local": node("VAEDecode", samples=["sample", 0], vae=["model", 2]),
    }  # fmt: skip


def blocking_chain(remote_s: float) -> Prompt:
    """The same three steps, each an ordinary node that blocks while it waits."""

    def step(image: list[Any], wait_s: float) -> dict[str, Any]:
        return node("TestLocalWork", image=image, seconds=wait_s)

    return {"url": step(["load", 0], 0.1), "submit": step(["url", 0], 0.1), "poll": step(["submit", 0], remote_s)}


def beside_sampler(remote: Prompt, steps: int, seed: int) -> Prompt:
    """Remote nodes beside the sampler; both meet in "join"."""
    return {
        "load": empty_image(color=1000 + seed), **remote, **sampler(steps, seed),  # a picture nobody has submitted yet
        "join": node("ImageBatch", image1=["poll", 0], image2=["local", 0]),
        "show": node("PreviewImage", images=["join", 0]),
    }  # fmt: skip


def measure_sampler(comfy: ComfyUI, service: ScriptedService) -> None:
    """Print how a task of T seconds goes together with a sampler of T seconds."""

    def alone_s(steps: int, seed: int) -> float:
        return seconds(comfy, {**sampler(steps, seed), "show": node("PreviewImage", images=["local", 0])})

    alone_s(1, 1)  # loads the model
    steps = max(2, round(SAMPLER_S / (alone_s(8, 2) / 8)))
    local_s = service.task_s = alone_s(steps, 3)
    print(f"\na task of {local_s:.1f} s beside a KSampler of {local_s:.1f} s ({steps} steps)")
    begin = time.monotonic()
    events = run_listening(comfy, beside_sampler(chain(["load", 0]), steps, 4))
    rows = [("this pack", time.monotonic() - begin - SETTLING_S)]
    rows.append(("awaiting nodes", seconds(comfy, beside_sampler(awaiting_chain(local_s), steps, 5))))
    rows.append(("blocking nodes", seconds(comfy, beside_sampler(blocking_chain(local_s), steps, 6))))
    for name, wall_s in rows:
        print(f"{name:40} {wall_s:6.2f} s   {wall_s / local_s:.2f}")
    gaps = [later[0] - earlier[0] for earlier, later in itertools.pairwise(t for t in events.texts if t[1] == "poll")]
    print(f"status texts of Poll Result meanwhile: {len(gaps) + 1}, longest silence {max(gaps):.1f} s")


def main() -> None:
    """Print seconds and their ratio to the longer of the two."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--orders", type=int, default=24, help="orders of the prompt's JSON to try, of 24")
    orders = list(itertools.permutations(("url", "submit", "poll", "local1")))[: parser.parse_args().orders]
    service = ScriptedService(task_s=REMOTE_S)
    longer = max(REMOTE_S, sum(LOCAL_S))
    with tempfile.TemporaryDirectory() as folder, service.running():
        checkpoints = Path(folder, "models", "checkpoints")
        checkpoints.mkdir(parents=True)
        script = Path(__file__).parents[1] / "comfyui_checkpoint.py"
        python = os.environ.get("COMFYUI_PYTHON", sys.executable)
        subprocess.run([python, script, os.environ["COMFYUI_PATH"], checkpoints / CHECKPOINT], check=True)
        with running(Path(folder), service.environment) as comfy:
            measured = []
            for color, first in enumerate(orders):
                prompt = beside_local_work(chain(["load", 0]), ["poll", 0], LOCAL_S, color)
                measured.append(seconds(comfy, in_order(prompt, first)))
                print(f"{' > '.join(first):40} {measured[-1]:6.2f} s   {measured[-1] / longer:.2f}", flush=True)
            print(
                f"{'worst of ' + str(len(orders)) + ' orders':40} {max(measured):6.2f} s   {max(measured) / longer:.2f}"
            )
            awaiting = seconds(comfy, beside_local_work(awaiting_chain(REMOTE_S), ["poll", 0], LOCAL_S, len(orders)))
            print(f"{'awaiting nodes':40} {awaiting:6.2f} s   {awaiting / longer:.2f}")
            measure_sampler(comfy, service)


if __name__ == "__main__":
    main()
