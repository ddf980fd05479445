"""Poll Result: waits for a task, and brings its pictures back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..utils import pasted_keys
from ..utils.backend import connect
from ..utils.batches import Batch, Sizes, make_batch, split
from ..utils.collection import collect
from ..utils.config import AUTO
from ..utils.images import from_float
from ..utils.monitor import Monitor, count
from ..utils.outcomes import OnFailure, describe, settle
from ..utils.references import lines, parse_references
from ..utils.report import write_report
from . import _choices, _comfy

_NO_BATCH = "The pictures have different sizes and 'sizes' is 'list only': connect image_list of Poll Result instead."


@dataclass(frozen=True)
class _Finished:
    """What the node hands on, still without torch; a single is None where an image has no picture."""

    batch: Batch | None
    why_none: str  # what stops the nodes behind a batch that there is not
    singles: list[NDArray[np.float32] | None]
    links: str
    report: str


class CartoonizePollResult:
    """Wait for tasks and return their pictures as a batch and as a list; waiting costs nothing and can be repeated."""

    CATEGORY = _comfy.CATEGORY
    DESCRIPTION = (
        "Waits for tasks and returns their pictures, in the order of the images. Waiting costs nothing: after Cancel, "
        "a timeout or a restart run again. Pictures are kept, so running again needs no network. Other branches of the "
        "graph go on meanwhile."
    )
    SEARCH_ALIASES = ["cartoonize result", "cartoon", "anime", "manga", "portrait", "download"]
    INPUT_IS_LIST = True
    RETURN_TYPES = ("IMAGE", "IMAGE", "MASK", "STRING", "STRING")
    RETURN_NAMES = ("images", "image_list", "mask", "result_urls", "report")
    OUTPUT_IS_LIST = (False, True, False, False, False)
    OUTPUT_TOOLTIPS = (
        "All pictures as one batch; 'sizes' says what happens to different sizes.",
        "The pictures one by one, each at its own size and in the place of its image; with on_failure 'skip' the nodes "
        "behind it leave out the places of images without a result.",
        "Where the pictures of the batch are transparent or padded.",
        "The links of the results, one per line.",
        "JSON: one entry for each input image, with its status and, if it failed, the reason. Connect it to a second "
        "Submit Cartoonize to submit only the failed ones again.",
    )
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """Return the inputs; names and order are part of saved graphs."""
        return {
            "required": {
                "task_id": (
                    "STRING",
                    {"default": "", "tooltip": "From Submit Cartoonize, or pasted; several tasks, one per line."},
                ),
                "timeout": (
                    "INT",
                    {
                        "default": 600,
                        "min": 1,
                        "max": 86400,
                        "tooltip": "Seconds to wait for each task. The task goes on afterwards; run again to continue.",
                    },
                ),
                "on_failure": (
                    [choice.value for choice in OnFailure],
                    {
                        "default": OnFailure.ERROR.value,
                        "tooltip": "Images without a result: stop with their reasons, leave them out, or put the "
                        "original in their place.",
                    },
                ),
                "sizes": (
                    [choice.value for choice in Sizes],
                    {
                        "default": Sizes.MATCH_FIRST.value,
                        "tooltip": "Different sizes in one batch: scale and crop to the first, pad to the largest "
                        "(see mask), or no batch, only image_list.",
                    },
                ),
                "profile": (
                    _choices.profile_names(),
                    {"default": AUTO, "tooltip": "The profile that the task was submitted with."},
                ),
            },
            "optional": {
                "originals": ("IMAGE", {"tooltip": "The submitted images, for on_failure 'original'."}),
            },
        }

    @classmethod
    def VALIDATE_INPUTS(cls, profile: list[str | None], task_id: list[str | None]) -> bool | str:
        """Accept a profile of this machine, and ids without keys; what is wrong is a sentence, not a red box."""
        return _choices.check_profile(_comfy.only(profile), task_id=task_id)

    async def run(
        self,
        task_id: list[str],
        timeout: list[int],
        on_failure: list[str],
        sizes: list[str],
        profile: list[str],
        originals: list[Any] | None = None,
    ) -> tuple[Any, ...]:
        """Return batch, list, mask, links and report."""

        def work(monitor: Monitor) -> _Finished:
            pasted_keys.check(task_id="\n".join(task_id), profile=_comfy.only(profile))
            backend = connect(_comfy.load_config(), _comfy.only(profile))
            spare = None if originals is None else _comfy.image_arrays(originals)
            tasks = parse_references(lines("\n".join(task_id)))
            collection = collect(backend, tasks, timeout_s=_comfy.only(timeout), monitor=monitor)
            choice = OnFailure(_comfy.only(on_failure))
            # else a broken original would cost a finished task
            needed = spare if choice is OnFailure.ORIGINAL else None
            places = settle(
                collection,
                choice,
                None if needed is None else [from_float(a, f"original {n}") for n, a in enumerate(needed, 1)],
            )
            pictures = [picture for picture in places if picture is not None]
            monitor.report(1, 1, f"{len(pictures)} of {count(len(collection.outcomes), 'picture')}")
            batch = make_batch(pictures, Sizes(_comfy.only(sizes))) if pictures else None
            singles = iter(split(batch, pictures))
            return _Finished(
                batch=batch,
                why_none=_NO_BATCH if pictures else describe(collection),
                singles=[None if picture is None else next(singles) for picture in places],
                links="\n".join(outcome.url for outcome in collection.outcomes),
                report=write_report(collection, backend.profile.name, None if spare is None else len(spare)),
            )

        ids = ", ".join(lines("\n".join(task_id)))
        done = await _comfy.run_beside(work, f"The tasks go on, and Run continues with them: {ids}")
        return (
            _comfy.to_tensor(done.batch.images) if done.batch else _comfy.blocked(done.why_none),
            [_comfy.blocked(None) if single is None else _comfy.to_tensor(single) for single in done.singles],
            _comfy.to_tensor(done.batch.masks) if done.batch else _comfy.blocked(done.why_none),
            done.links,
            done.report,
        )
