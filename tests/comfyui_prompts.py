"""API-format prompts for tests and benchmarks in a real ComfyUI."""

from __future__ import annotations

from typing import Any

Prompt = dict[str, Any]


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    """One node of a prompt."""
    return {"class_type": class_type, "inputs": inputs}


def chain(image: list[Any], profile: str = "auto", **poll: Any) -> Prompt:
    """The three nodes behind an image link; the results are output 0 and 1 of "poll"."""
    return {
        "url": node("CartoonizeImageToURL", images=image, host="auto", format="auto", out_of_limits="fit"),
        "submit": node("CartoonizeSubmit", image_urls=["url", 0], priority=1, profile=profile, variation=0),
        "poll": node(
            "CartoonizePollResult",
            **{
                "task_id": ["submit", 0], "timeout": 60, "on_failure": "error", "sizes": "match first",
                "profile": profile, **poll,
            },
        ),
    }  # fmt: skip


def empty_image(width: int = 300, height: int = 260, batch: int = 1, color: int = 0) -> dict[str, Any]:
    """A plain picture; another colour makes ComfyUI forget what it cached."""
    return node("EmptyImage", width=width, height=height, batch_size=batch, color=color)


def beside_local_work(remote: Prompt, last_remote: list[Any], local_s: tuple[float, float], color: int) -> Prompt:
    """Remote nodes and two steps of local work that both start from "load" and meet in "join"."""
    return {
        "load": empty_image(color=color),
        **remote,
        "local1": node("TestLocalWork", image=["load", 0], seconds=local_s[0]),
        "local2": node("TestLocalWork", image=["local1", 0], seconds=local_s[1]),
        "join": node("ImageBatch", image1=last_remote, image2=["local2", 0]),
        "show": node("PreviewImage", images=["join", 0]),
    }


def in_order(prompt: Prompt, first: tuple[str, ...]) -> Prompt:
    """The same prompt, its JSON starting with the named nodes."""
    return {name: prompt[name] for name in (*first, *(n for n in prompt if n not in first))}
