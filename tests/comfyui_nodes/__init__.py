"""Nodes that only the tests put into ComfyUI: local work, and the twin of the chain whose nodes await their work."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

_POOL = ThreadPoolExecutor(4)


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
