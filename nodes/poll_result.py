"""Poll Result: waits for a task, and brings its pictures back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..utils.choices import Sizes
from . import _comfy, _waiting, _widgets

if TYPE_CHECKING:
    from ..utils.monitor import Monitor
    from ._recipes import Finished


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
    OUTPUT_NODE = True
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
        from ..utils.config import AUTO
        from . import _choices

        return {
            "required": {
                "task_id": (
                    "STRING",
                    {"default": "", "tooltip": "From Submit Cartoonize, or pasted; several tasks, one per line."},
                ),
                "timeout": _widgets.timeout(),
                "on_failure": _widgets.on_failure(),
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
        from . import _choices

        return _choices.check_profile(_comfy.only(profile), task_id=task_id)

    async def run(
        self,
        task_id: list[str],
        timeout: list[int],
        on_failure: list[str],
        sizes: list[str],
        profile: list[str],
        originals: list[Any] | None = None,
    ) -> dict[str, Any]:
        """Return batch, list, mask, links and report; the pictures are shown on the node."""

        def work(monitor: Monitor) -> Finished:
            from ..utils import pasted_keys
            from ..utils.references import lines, parse_references
            from . import _recipes

            pasted_keys.check(task_id="\n".join(task_id), profile=_comfy.only(profile))
            wishes = _recipes.Wishes.of(_comfy.only(timeout), _comfy.only(on_failure), _comfy.only(sizes))
            tasks = parse_references(lines("\n".join(task_id)))
            return _recipes.pictures_of(tasks, _comfy.only(profile), wishes, monitor, originals)

        done = await _waiting.run_beside(work, "Run asks again.")
        result = (
            _comfy.tensor_or_block(done.batch and done.batch.images, done.why_none),
            [_comfy.tensor_or_block(single, None) for single in done.singles],
            _comfy.tensor_or_block(done.batch and done.batch.masks, done.why_none),
            done.links,
            done.report,
        )
        return {"ui": done.preview, "result": result}
