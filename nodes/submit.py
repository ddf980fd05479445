"""Submit Cartoonize: one paid submission of up to 20 links."""

from __future__ import annotations

from typing import Any

from ..utils.backend import connect
from ..utils.config import AUTO
from ..utils.contract import Limits
from ..utils.monitor import Monitor
from ..utils.submission import lines, submit
from . import _comfy

_ON_CANCEL = (
    "The submission may have been sent; if it is accepted, its task id follows in this log. Paste it into Poll Result "
    "instead of submitting again."
)


class CartoonizeSubmit:
    """Submit links as one task and return its id; a graph may end here and be polled another day."""

    CATEGORY = _comfy.CATEGORY
    DESCRIPTION = (
        "Submits up to 20 image links as one task and returns its id for Poll Result. A graph may end here: paste the "
        "id into Poll Result another day. The submission is sent once and never repeated by itself."
    )
    SEARCH_ALIASES = ["cartoonize", "cartoon", "anime", "manga", "portrait", "stylize"]
    INPUT_IS_LIST = True
    OUTPUT_NODE = True
    RETURN_TYPES = ("STRING",)
    RETURN_NAMES = ("task_id",)
    OUTPUT_TOOLTIPS = ("The id of the task, for Poll Result.",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """Return the inputs; names and order are part of saved graphs."""
        limits = Limits()
        return {
            "required": {
                "image_urls": (
                    "STRING",
                    {
                        "default": "",
                        "multiline": True,
                        "tooltip": "One link per line: from Image to URL, or public links of your own.",
                    },
                ),
                "priority": (
                    "INT",
                    {
                        "default": 1,
                        "min": limits.min_priority,
                        "max": limits.max_priority,
                        "tooltip": "Tasks of a higher priority are done first.",
                    },
                ),
                "profile": (
                    _comfy.profile_names(),
                    {
                        "default": AUTO,
                        "tooltip": "Which service and style. 'local-anime' and 'local-manga' draw on this machine "
                        "without an account; 'auto' is the configured default.",
                    },
                ),
                "variation": (
                    "INT",
                    {
                        "default": 0,
                        "min": 0,
                        "max": 2**31 - 1,
                        "tooltip": "Change it for a fresh result of the same images: that is a new, paid task.",
                    },
                ),
            }
        }

    @classmethod
    def VALIDATE_INPUTS(cls, profile: list[str | None]) -> bool | str:
        """Accept a profile of this machine; one from somebody else's workflow gets a sentence, not a red box."""
        return _comfy.check_profile(_comfy.only(profile))

    async def run(
        self, image_urls: list[str], priority: list[int], profile: list[str], variation: list[int]
    ) -> dict[str, Any]:
        """Return the task id."""

        def work(monitor: Monitor) -> str:
            backend = connect(_comfy.load_config(), _comfy.only(profile))
            return submit(backend, lines("\n".join(image_urls)), _comfy.only(priority), monitor)

        task_id = _comfy.run_at_once(work, _ON_CANCEL)
        return {"ui": {"text": [task_id]}, "result": (task_id,)}
