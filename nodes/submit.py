"""Submit Cartoonize: links become tasks, each paid for once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _comfy, _waiting, _widgets

if TYPE_CHECKING:
    from ..utils.monitor import Monitor
    from ..utils.references import TaskRef


class CartoonizeSubmit:
    """Submit links and return their tasks, one a line; a graph may end here and be polled another day."""

    CATEGORY = _comfy.CATEGORY
    DESCRIPTION = (
        "Submits image links, 20 to a task, and returns the task ids for Poll Result. The same work is paid for once: "
        "after Cancel, a crash or a restart Run continues with the task that was accepted. A graph may end here: paste "
        "the ids into Poll Result another day."
    )
    SEARCH_ALIASES = ["cartoonize", "cartoon", "anime", "manga", "portrait", "stylize"]
    INPUT_IS_LIST = True
    OUTPUT_NODE = True
    RETURN_TYPES = ("STRING",)
    RETURN_NAMES = ("task_id",)
    OUTPUT_TOOLTIPS = ("The ids of the tasks, one per line, for Poll Result.",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """Return the inputs; names and order are part of saved graphs."""
        from ..utils.config import AUTO
        from ..utils.contract import Limits
        from . import _choices

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
                    _choices.profile_names(),
                    {
                        "default": AUTO,
                        "tooltip": "Which service and style. 'local-anime' and 'local-manga' draw on this machine "
                        "without an account; 'auto' is the configured default.",
                    },
                ),
                "variation": _widgets.variation(),
            },
            "optional": {
                "report": (
                    "STRING",
                    {
                        "forceInput": True,
                        "tooltip": "From Poll Result, with the same image_urls: only the images that failed there are "
                        "submitted once more, and the task ids bring the other results along.",
                    },
                ),
            },
        }

    @classmethod
    def VALIDATE_INPUTS(
        cls, profile: list[str | None], image_urls: list[str | None], report: list[str | None] | None = None
    ) -> bool | str:
        """Accept a profile of this machine, and texts without keys; what is wrong is a sentence, not a red box."""
        from . import _choices

        return _choices.check_profile(_comfy.only(profile), image_urls=image_urls, report=report)

    async def run(
        self,
        image_urls: list[str],
        priority: list[int],
        profile: list[str],
        variation: list[int],
        report: list[str] | None = None,
    ) -> dict[str, Any]:
        """Return the tasks, one a line."""

        def work(monitor: Monitor) -> list[TaskRef]:
            from ..utils.references import lines
            from ..utils.submission import Request
            from . import _recipes

            request = Request(
                links=tuple(lines("\n".join(image_urls))),
                priority=_comfy.only(priority),
                variation=_comfy.only(variation),
                report=_comfy.only(report) if report else "",
            )
            return _recipes.tasks_of(request, _comfy.only(profile), monitor)

        tasks = "\n".join(map(str, _waiting.run_at_once(work, "Nothing was sent yet.")))
        return {"ui": {"text": [tasks]}, "result": (tasks,)}
