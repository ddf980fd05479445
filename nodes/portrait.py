"""Cartoonize Portrait: the whole way in one node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..utils.choices import Sizes
from . import _comfy, _waiting, _widgets

if TYPE_CHECKING:
    from ..utils.monitor import Monitor
    from ._recipes import Finished


class CartoonizePortrait:
    """Turn portraits into cartoons: upload, submit, wait and fetch; for a graph that needs nothing in between."""

    CATEGORY = _comfy.CATEGORY
    DESCRIPTION = (
        "Turns portraits into anime or manga: Image to URL, Submit Cartoonize and Poll Result in one node. The same "
        "work is paid for once: after Cancel, a timeout or a restart run again, and it continues. Other branches of "
        "the graph go on meanwhile."
    )
    SEARCH_ALIASES = ["cartoonize", "cartoon", "anime", "manga", "portrait", "stylize", "avatar"]
    INPUT_IS_LIST = True
    OUTPUT_NODE = True
    RETURN_TYPES = ("IMAGE", "MASK", "STRING")
    RETURN_NAMES = ("images", "mask", "report")
    OUTPUT_TOOLTIPS = (
        "All pictures as one batch; 'sizes' says what happens to different sizes.",
        "Where the pictures of the batch are transparent or padded.",
        "JSON: one entry for each input image, with its status and, if it failed, the reason.",
    )
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """Return the inputs; names and order are part of saved graphs."""
        from ..utils.config import AUTO
        from . import _choices

        return {
            "required": {
                "images": ("IMAGE", {"tooltip": "The portraits: a batch, or a list of batches of any sizes."}),
                "profile": (
                    _choices.profile_names(),
                    {
                        "default": AUTO,
                        "tooltip": "Which service and style. 'local-anime' and 'local-manga' draw on this machine "
                        "without an account; 'auto' is the configured default. The images go to the image host that "
                        "is configured for it.",
                    },
                ),
                "on_failure": _widgets.on_failure(),
                "sizes": (
                    [Sizes.MATCH_FIRST.value, Sizes.PAD.value],
                    {
                        "default": Sizes.MATCH_FIRST.value,
                        "tooltip": "Different sizes in one batch: scale and crop to the first, or pad to the largest "
                        "(see mask).",
                    },
                ),
                "timeout": _widgets.timeout(),
                "variation": _widgets.variation(),
            }
        }

    @classmethod
    def VALIDATE_INPUTS(cls, profile: list[str | None]) -> bool | str:
        """Accept a profile of this machine; one from somebody else's workflow gets a sentence, not a red box."""
        from . import _choices

        return _choices.check_profile(_comfy.only(profile))

    async def run(
        self,
        images: list[Any],
        profile: list[str],
        on_failure: list[str],
        sizes: list[str],
        timeout: list[int],
        variation: list[int],
    ) -> dict[str, Any]:
        """Return batch, mask and report; the pictures are shown on the node."""

        def work(monitor: Monitor) -> Finished:
            from . import _recipes

            wishes = _recipes.Wishes.of(_comfy.only(timeout), _comfy.only(on_failure), _comfy.only(sizes))
            return _recipes.cartoons_of(images, _comfy.only(profile), _comfy.only(variation), wishes, monitor)

        done = await _waiting.run_beside(work, "Nothing was submitted.")
        result = (
            _comfy.tensor_or_block(done.batch and done.batch.images, done.why_none),
            _comfy.tensor_or_block(done.batch and done.batch.masks, done.why_none),
            done.report,
        )
        return {"ui": done.preview, "result": result}
