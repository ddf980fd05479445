"""Requests and answers of the service, as the API document has them; pure."""

from __future__ import annotations

import json

from ..contract import Limits, TaskStatus, build_request
from ..errors import InputError
from .states import ImageState, TaskState

_IMAGE_STATUS = {
    "queued": TaskStatus.WAITING,
    "running": TaskStatus.IN_PROGRESS,
    "done": TaskStatus.COMPLETE,
    "failed": TaskStatus.FAILED,
}


def parse_body(body: bytes) -> tuple[list[str], int]:
    """Return links and priority of a create request; raises InputError naming what is wrong."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        msg = "the body is not JSON"
        raise InputError(msg) from error
    if not isinstance(data, dict):
        msg = "the body must be an object with images and priority"
        raise InputError(msg)
    links, priority = data.get("images"), data.get("priority")
    if not isinstance(links, list) or not all(isinstance(link, str) for link in links):
        msg = "images must be a list of links"
        raise InputError(msg)
    if isinstance(priority, float) and priority.is_integer():  # the same number for JSON
        priority = int(priority)
    build_request(links, priority, Limits())  # type: ignore[arg-type]  # it checks the type of priority itself
    return links, priority  # type: ignore[return-value]


def place(state: TaskState) -> str:
    """Return the place of a waiting task in words, which a node shows; the API document leaves `msg` open."""
    return f"{_ordinal(state.ahead + 1)} in line" if state.status is TaskStatus.WAITING and state.ahead else ""


def shown(state: TaskState, base_url: str) -> dict[str, object]:
    """Return the `data` of a result reply; numbers are strings, as documented."""
    return {
        "status": str(state.status.value),
        "wait_time": str(state.wait_time_s),
        "list": [_shown_image(image, base_url) for image in state.images],
    }


def _shown_image(image: ImageState, base_url: str) -> dict[str, str]:
    url = "" if image.result is None else f"{base_url}/files/{image.result}"
    return {"image_result": url, "status": str(_IMAGE_STATUS[image.state].value), "reason": image.reason}


def _ordinal(number: int) -> str:
    """Return 1st, 2nd, 3rd, 4th, … 11th."""
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
