"""Nodes that only the tests put into ComfyUI: local work, and the twin of the chain whose nodes await their work."""

import asyncio
import gc
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor

_POOL = ThreadPoolExecutor(4)


def _note(line):
    with open(os.environ["TEST_MOMENTS"], "a") as file:
        file.write(f"{line}\n")


class _Moments(logging.Handler):
    """Notes when ComfyUI ended an interrupted prompt, by the clock that all processes share."""

    def emit(self, record):
        if record.getMessage() == "Processing interrupted":
            _note(f"over {time.monotonic():.4f}")


def _tell_collection(phase, info, begin=[0.0]):  # noqa: B006  # remembers when the collection began
    if phase == "start":
        begin[0] = time.monotonic()
    elif info["generation"] == 2 and time.monotonic() - begin[0] > 0.05:
        _note(f"collection {time.monotonic() - begin[0]:.3f}")


if "TEST_MOMENTS" in os.environ:
    logging.getLogger().addHandler(_Moments())
    gc.callbacks.append(_tell_collection)


class LocalWork:
    """Holds ComfyUI's loop like a sampler does."""

    CATEGORY = "tests"
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"image": ("IMAGE",), "seconds": ("FLOAT", {"default": 1.0})}}

    def run(self, image, seconds):
        time.sleep(seconds)
        return (image,)


class AwaitingStep(LocalWork):
    """Remote work of so many seconds in a pool of its own, awaited: how a chain of ordinary async nodes behaves."""

    async def run(self, image, seconds):
        await asyncio.wrap_future(_POOL.submit(time.sleep, seconds))
        return (image,)


class ImageList:
    """Two batches as one ComfyUI list."""

    CATEGORY = "tests"
    RETURN_TYPES = ("IMAGE",)
    OUTPUT_IS_LIST = (True,)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"first": ("IMAGE",), "second": ("IMAGE",)}}

    def run(self, first, second):
        return ([first, second],)


NODE_CLASS_MAPPINGS = {"TestLocalWork": LocalWork, "TestAwaitingStep": AwaitingStep, "TestImageList": ImageList}
