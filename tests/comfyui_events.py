"""What ComfyUI tells its page over the websocket while a prompt runs: status texts, bars, pictures, the end."""

from __future__ import annotations

import asyncio
import json
import struct
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from comfyui_host import ComfyUI
from comfyui_prompts import Prompt

_TEXT = 3  # BinaryEventTypes.TEXT
_ENDS = ("execution_success", "execution_error", "execution_interrupted")
SETTLING_S = 0.2  # the last messages are on their way


@dataclass
class Events:
    """Everything that one page was told, with the moment it arrived."""

    client_id: str
    texts: list[tuple[float, str, str]] = field(default_factory=list)  # when, node, text
    bars: list[tuple[float, str, float]] = field(default_factory=list)  # when, node, share
    messages: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    ends: dict[str, tuple[float, str]] = field(default_factory=dict)  # of prompts by their ids: when, and how

    def texts_of(self, node_id: str) -> list[str]:
        """The texts of a node, in order."""
        return [text for _, node, text in self.texts if node == node_id]

    def shares_of(self, node_id: str) -> list[float]:
        """How far the bar of a node was, in order."""
        return [share for _, node, share in self.bars if node == node_id]

    def take(self, message: aiohttp.WSMessage) -> None:
        """Note one message."""
        now = time.monotonic()
        if message.type is aiohttp.WSMsgType.BINARY:
            kind, length = struct.unpack(">II", message.data[:8])
            if kind == _TEXT:
                node = message.data[8 : 8 + length].decode()
                self.texts.append((now, node, message.data[8 + length :].decode()))
        elif message.type is aiohttp.WSMsgType.TEXT:
            event = json.loads(message.data)
            self.messages.append((event["type"], event.get("data") or {}))
            if event["type"] in _ENDS:
                self.ends[event["data"]["prompt_id"]] = (now, event["type"])
            if event["type"] == "progress":
                data = event["data"]
                self.bars.append((now, data["node"], data["value"] / data["max"]))

    def end_of(self, prompt_id: str, timeout_s: float = 120.0) -> tuple[float, str]:
        """Wait for the end of a prompt and return when it was told, and how it ended."""
        end = time.monotonic() + timeout_s
        while prompt_id not in self.ends:
            assert time.monotonic() < end, f"prompt {prompt_id} did not end in {timeout_s} s"
            time.sleep(0.02)
        return self.ends[prompt_id]

    def wait_for(self, name: str, timeout_s: float = 60.0) -> dict[str, Any]:
        """Wait for a message of that name and return its data."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            for found, data in self.messages:
                if found == name:
                    return data
            time.sleep(0.01)
        raise AssertionError(f"no {name} in {timeout_s} s")


@contextmanager
def listening(comfy: ComfyUI) -> Iterator[Events]:
    """Listen as a page does until the block ends."""
    events, ready, loop = Events(uuid.uuid4().hex), threading.Event(), asyncio.new_event_loop()

    async def listen() -> None:
        address = f"{comfy.url}/ws?clientId={events.client_id}"
        async with aiohttp.ClientSession() as session, session.ws_connect(address, max_msg_size=0) as socket:
            async for message in socket:
                events.take(message)
                ready.set()

    def run() -> None:
        asyncio.set_event_loop(loop)
        task = loop.create_task(listen())
        stop.append(lambda: loop.call_soon_threadsafe(task.cancel))
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            pass
        finally:
            loop.close()

    stop: list[Any] = []
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield events
    finally:
        stop[0]()
        thread.join(20)


def run_listening(comfy: ComfyUI, prompt: Prompt) -> Events:
    """Run a prompt to its end as a page does, and return what it was told."""
    with listening(comfy) as events:
        answer = json.loads(comfy.post("/prompt", {"prompt": prompt, "client_id": events.client_id}))
        comfy.wait(answer["prompt_id"])
        time.sleep(SETTLING_S)
    return events
