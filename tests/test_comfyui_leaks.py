"""No key in what a real ComfyUI keeps, shows or sends: pictures, history, queue, messages, log, database, requests.

Runs when COMFYUI_PATH names a ComfyUI (and COMFYUI_PYTHON the Python it runs with); skipped otherwise. ComfyUI logs at
DEBUG, its keys are canaries, once in config.toml and once in the environment, and the servers repeat them in all that
they say. tests/test_leaks.py does the same, and more, without a ComfyUI.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import canary
import pytest
from canary import APP_KEY, APP_SECRET, Hit, Search, png_chunks, png_texts
from comfyui_host import ComfyUI, running
from comfyui_prompts import Prompt, chain, empty_image, node
from leaky_servers import PATIENCE_S, RESET, Answer, Asked, Respond, Servers, as_json

pytestmark = pytest.mark.skipif("COMFYUI_PATH" not in os.environ, reason="COMFYUI_PATH does not name a ComfyUI")
STRANGE_KEY = "sk-proj-Zq4Wn8RtLx2Vb7Kc5Ym3"  # of some vendor; this machine has never read it
BESIDE_KEY = "sk-proj-Ja6Te9QpGu1Ds8Hf4Ni7"  # another one, for what is looked at by itself
ASKED = (
    "/history", "/queue", "/object_info", "/prompt", "/system_stats", "/settings", "/internal/logs",
    "/internal/logs/raw", "/userdata?dir=.&recurse=true", "/api/jobs", "/features",
)  # fmt: skip

LOG_PACK = """
import logging, pathlib
handler = logging.FileHandler(pathlib.Path(__file__).parents[2] / "debug.log", encoding="utf-8")
logging.getLogger().addHandler(handler)
logging.getLogger().setLevel(logging.DEBUG)  # not every ComfyUI does as --verbose says
NODE_CLASS_MAPPINGS = {}
"""


@dataclass
class Left:
    """What one ComfyUI has left behind."""

    folder: Path
    replies: list[str] = field(default_factory=list)  # to POST /prompt, the refusals included
    answers: list[str] = field(default_factory=list)  # to all that can be asked
    messages: list[str | bytes] = field(default_factory=list)  # to a page, and to somebody without a name
    received: list[tuple[str, bytes]] = field(default_factory=list)
    uploaded: list[bytes] = field(default_factory=list)
    beside: list[str | bytes] = field(default_factory=list)  # of a run that only a part of was refused
    runs: int = 0
    failures: int = 0


# --- a page that listens ----------------------------------------------------------------------------------------------


@contextmanager
def listening(comfy: ComfyUI, *queries: str) -> Iterator[list[str | bytes]]:
    """All messages to websockets that are opened with these queries."""
    messages: list[str | bytes] = []
    ready, loop = threading.Semaphore(0), asyncio.new_event_loop()
    ended = asyncio.Event()

    async def listen(query: str) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{comfy.url}/ws{query}", max_msg_size=0) as socket,
        ):
            ready.release()
            closing = asyncio.ensure_future(ended.wait())
            while not closing.done():
                receiving = asyncio.ensure_future(socket.receive())
                await asyncio.wait([receiving, closing], return_when=asyncio.FIRST_COMPLETED)
                if receiving.done() and isinstance(receiving.result().data, (str, bytes)):
                    messages.append(receiving.result().data)
                elif receiving.done():
                    break
                else:
                    receiving.cancel()
            closing.cancel()

    async def listen_to_all() -> None:
        await asyncio.gather(*map(listen, queries))

    thread = threading.Thread(target=loop.run_until_complete, args=(listen_to_all(),))
    thread.start()
    try:
        for _ in queries:
            assert ready.acquire(timeout=PATIENCE_S)
        yield messages
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


# --- what is done -----------------------------------------------------------------------------------------------------


def saved(images: list[Any], prefix: str) -> dict[str, Any]:
    """A picture in the output folder, as PNG also where JPEG is the custom."""
    return node("SaveImage", images=images, filename_prefix=prefix, filename_suffix="png")


class Machine:
    """A running ComfyUI with canaries for keys, and servers that repeat them."""

    def __init__(self, comfy: ComfyUI, servers: Servers, left: Left) -> None:
        self.comfy, self.servers, self.left = comfy, servers, left
        self._colors = iter(range(1, 1000))

    def graph(self, host: str = "auto", count: int = 1, **poll: Any) -> Prompt:
        """The three nodes behind a picture that no other run had, and before one that is saved."""
        prompt = {"load": empty_image(color=next(self._colors), batch=count), **chain(["load", 0], **poll)}
        prompt["url"]["inputs"]["host"] = host
        return prompt | {
            "save": saved(["poll", 0], "leaks"),
            "report": node("PreviewAny", source=["poll", 4]),
            "links": node("PreviewAny", source=["poll", 3]),
        }

    def send(self, prompt: Prompt) -> dict[str, Any]:
        """Post a prompt as the page does: with its workflow, which goes into the pictures."""
        nodes = [
            {"id": n, "type": entry["class_type"], "widgets_values": list(entry["inputs"].values())}
            for n, entry in enumerate(prompt.values(), 1)
        ]
        body = {
            "prompt": prompt,
            "client_id": "page",
            "extra_data": {"extra_pnginfo": {"workflow": {"nodes": nodes, "extra": {"names": list(prompt)}}}},
        }
        try:
            reply = self.comfy.post("/prompt", body).decode()
        except AssertionError as error:
            reply = str(error)
        self.left.replies.append(reply)
        return json.loads(reply)

    def run(self, prompt: Prompt, says: str = "") -> None:
        """Run a prompt to its end: success, or an error that says this."""
        queued = self.send(prompt)
        assert queued.get("prompt_id"), queued
        entry = self.comfy.wait(queued["prompt_id"], timeout_s=30)
        told = json.dumps(entry["status"]["messages"])
        self.left.runs += 1
        self.left.failures += bool(says)
        assert entry["status"]["status_str"] == ("error" if says else "success"), told
        assert says in told

    def refused(self, prompt: Prompt, says: str) -> None:
        """Post a prompt that must not be run."""
        reply = self.send(prompt)
        self.left.failures += 1
        assert "prompt_id" not in reply
        assert says in json.dumps(reply)

    def ask(self) -> None:
        """Ask for all that can be asked."""
        for path in ASKED:
            try:
                with urllib.request.urlopen(self.comfy.url + path, timeout=30) as reply:
                    self.left.answers.append(reply.read().decode())
            except urllib.error.HTTPError as error:  # another version has no such path
                with error:
                    self.left.answers.append(error.read().decode())


def refusing(machine: Machine) -> None:
    """Each way in which the service refuses a submission, or says nothing of use."""
    service = machine.servers.service
    cases: Mapping[str, Answer] = {
        "did not accept the key pair": service.refuses(401),
        "does not let the key pair": service.refuses(403),
        "refused with code": service.refuses(200),
        "too many requests": service.refuses(429),
        "may have been accepted and charged": service.refuses(500),
        "no usable answer came back": RESET,
        "is not JSON": Answer(200, service.repeats.encode()),
        "should be a task id": service.created(f"t-{APP_KEY}"),
        "answered with a redirect": Answer(307, headers={"Location": f"{machine.servers.stranger.url}/{APP_KEY}"}),
    }
    for says, answer in cases.items():
        service.on_create = lambda asked, answer=answer: answer
        machine.run(machine.graph(), says)
    service.forget_answers()


def failing(machine: Machine) -> None:
    """Each way in which a task, or a picture of it, comes to nothing."""
    service = machine.servers.service
    cases: Mapping[str, Answer] = {
        "does not know this task": service.refuses(404),
        "refused with code": service.refuses(200),
        "Not finished after": service.told("2", wait_time="9"),
        "failed": service.told("4", service.failure()),
        "returned 2 results": service.finished("3", "fine", "fine"),
        "answered HTTP 410": service.told("3", service.picture("gone.png")),
        "is not a picture of the accepted kinds": service.told("3", service.picture("page.png")),
    }
    for says, answer in cases.items():
        service.on_result = lambda asked, answer=answer: answer
        machine.run(machine.graph(timeout=1), says)
    service.on_result = lambda asked: service.finished("3", "fine", "failed")
    machine.run(machine.graph(count=2), "1 of 2 images")
    machine.run(machine.graph(count=2, on_failure="skip"))
    service.forget_answers()


def cancelled(machine: Machine) -> None:
    """Cancel while the service is asked; the queue is looked at meanwhile."""
    asked = threading.Event()

    def respond(request: Asked) -> Answer:
        asked.set()
        return machine.servers.service.told("2", wait_time="30")

    machine.servers.service.on_result = respond
    queued = machine.send(machine.graph())
    assert asked.wait(PATIENCE_S)
    machine.ask()
    machine.comfy.post("/interrupt", {})
    entry = machine.comfy.wait(queued["prompt_id"], timeout_s=30)
    assert entry["status"]["messages"][-1][0] == "execution_interrupted"
    machine.left.runs += 1
    machine.servers.service.forget_answers()


def hosting(machine: Machine) -> None:
    """What image hosts refuse, and what they have nothing to do with."""
    servers = machine.servers
    for host, answer, says in (
        ("dav", Answer(403, servers.dav.repeats.encode()), "does not let these credentials"),
        ("album", Answer(401, servers.album.repeats.encode()), "does not accept the credentials"),
        ("album", as_json({"you sent": servers.album.repeats}), "is not in the host's reply"),
        ("dav", Answer(307, headers={"Location": f"{servers.stranger.url}/here"}), "has moved"),
    ):
        respond: Respond = lambda asked, answer=answer: answer  # noqa: E731  # of this round
        servers.named(host).respond = respond
        machine.run(machine.graph(host), says)
        servers.named(host).respond = servers.named(host).fine


def strange(machine: Machine) -> None:
    """Workflows from elsewhere, which are refused before anything runs."""
    machine.refused(machine.graph(profile="studio-2"), "There is no profile 'studio-2'")
    machine.refused(machine.graph(profile="unready"), "is not ready")
    machine.refused(machine.graph("attic"), "There is no image host 'attic'")


def pasted(machine: Machine) -> None:
    """A key in each text widget, as it is and in a header, of this machine and of a vendor."""
    for text in (APP_SECRET, STRANGE_KEY, f"Authorization: {canary.basic(APP_KEY, APP_SECRET)}"):
        for name, widget in (("url", "host"), *(("submit", name) for name in ("image_urls", "profile", "report"))):
            prompt = machine.graph()
            prompt[name]["inputs"][widget] = text
            machine.refused(prompt, f"{widget} holds what looks like")
        for widget in ("task_id", "profile"):
            prompt = machine.graph()
            prompt["poll"]["inputs"] |= {"task_id": "task", widget: text}
            del prompt["submit"], prompt["url"], prompt["load"]  # a task of another day
            machine.refused(prompt, f"{widget} holds what looks like")


def beside(machine: Machine) -> None:
    """A key in a widget of Poll Result, beside two outputs that nothing is wrong with: Submit, and a picture."""
    prompt = machine.graph()
    prompt["poll"]["inputs"]["profile"] = BESIDE_KEY
    prompt["other"] = saved(["load", 0], "beside")
    queued = machine.send(prompt)
    if "prompt_id" in queued:
        machine.comfy.wait(queued["prompt_id"], timeout_s=30)
        machine.left.beside = [json.dumps(machine.comfy.get(f"/history/{queued['prompt_id']}"))]
        machine.left.beside += [path.read_bytes() for path in (machine.left.folder / "output").glob("beside*")]


def broken(machine: Machine) -> None:
    """A config.toml that cannot be read, and one with a key of the wrong type."""
    path = machine.left.folder / "user" / "__portrait_cartoonize" / "config.toml"
    good = path.read_text()
    secret = f"app_secret = {json.dumps(APP_SECRET)}"
    for line, says in (
        (f'app_secret = "{APP_SECRET}', "is not valid TOML"),
        (f'app_secret = ["{APP_SECRET}"]', "app_secret must be a str"),
        (f'app_secrett = "{APP_SECRET}"', "unknown key 'app_secrett'"),
    ):
        path.write_text(good.replace(secret, line))
        machine.refused(machine.graph(), says)
        machine.ask()
    path.write_text(good)


def success(machine: Machine) -> None:
    """Each kind of host, and the same again."""
    for host in ("auto", "album", "dav"):
        prompt = machine.graph(host)
        machine.run(prompt)
        machine.run(prompt | {"again": node("PreviewAny", source=["submit", 0])})


# --- both machines ----------------------------------------------------------------------------------------------------


def with_a_file(servers: Servers, folder: Path) -> Left:
    """Keys in config.toml."""
    home = folder / "user" / "__portrait_cartoonize"
    home.mkdir(parents=True, mode=0o700)
    (home / "config.toml").write_text(servers.configuration())
    (home / "config.toml").chmod(0o600)
    works = (success, refusing, failing, cancelled, hosting, strange, pasted, broken, beside)
    return left_by(servers, folder, {}, works)


def with_variables(servers: Servers, folder: Path) -> Left:
    """Keys in the environment."""
    environment = {
        "CREATE_URL": f"{servers.service.url}/batch",
        "RESULT_URL": f"{servers.service.url}/result/{{task_id}}",
        "APP_KEY": APP_KEY,
        "APP_SECRET": APP_SECRET,
        "ALLOW_HTTP": "1",
        "ALLOW_HOSTS": "127.0.0.1",
        "CHECK_LINKS": "0",
        "HOST": "local",
        "PUBLIC_URL": servers.pictures.url,
    }
    works = (lambda machine: machine.run(machine.graph()), refusing, failing)
    return left_by(servers, folder, {f"CARTOONIZE_{name}": value for name, value in environment.items()}, works)


def left_by(
    servers: Servers, folder: Path, environment: Mapping[str, str], works: Iterable[Callable[[Machine], None]]
) -> Left:
    """What a ComfyUI leaves behind that has done some works."""
    servers.forget()
    left = Left(folder)
    pack = folder / "custom_nodes" / "log-of-the-tests"
    pack.mkdir(parents=True)
    (pack / "__init__.py").write_text(LOG_PACK)
    with running(folder, environment, "--verbose", "DEBUG") as comfy:
        with listening(comfy, "?clientId=page", "") as messages:
            machine = Machine(comfy, servers, left)
            for work in works:
                work(machine)
            machine.ask()
        left.messages = messages
    left.received = [(server.name, data) for server in servers.everywhere for data in server.received()]
    left.uploaded = [file for server in servers.everywhere for file in server.files.values()]
    return left


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Left]:
    """One with a file, and one with variables."""
    with Servers().running() as servers:
        return {
            make.__name__: make(servers, tmp_path_factory.mktemp(make.__name__))
            for make in (with_a_file, with_variables)
        }


# --- where it is looked for -------------------------------------------------------------------------------------------


def files(search: Search, left: Left) -> list[Hit]:
    """All below ComfyUI's folder, but the files that are there to hold keys."""
    home = left.folder / "user" / "__portrait_cartoonize"
    return search.folder(left.folder, [home / "config.toml", home / "links.key"])


PLACES: dict[str, Callable[[Search, Left], Iterable[Hit]]] = {
    "files": files,
    "replies": lambda search, left: [hit for text in left.replies for hit in search.look("POST /prompt", text)],
    "answers": lambda search, left: [hit for text in left.answers for hit in search.look("GET", text)],
    "messages": lambda search, left: [hit for text in left.messages for hit in search.look("websocket", text)],
    "requests": lambda search, left: [hit for name, data in left.received for hit in search.look(name, data)],
    "uploads": lambda search, left: [hit for file in left.uploaded for hit in search.look("uploaded", file)],
}
SEARCH = Search(canary.CANARIES | {"key of a vendor": STRANGE_KEY})


MACHINES = ("with_a_file", "with_variables")


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("place", PLACES)
def test_no_key_is_found(machines: dict[str, Left], place: str, machine: str) -> None:
    """In any spelling, nor half of one."""
    found = {(hit.where, hit.key): hit for hit in PLACES[place](SEARCH, machines[machine])}
    assert not found, "\n".join(map(str, found.values()))


@pytest.mark.parametrize("machine", MACHINES)
def test_there_was_something_to_find(machines: dict[str, Left], machine: str) -> None:
    """Pictures with the workflow in them, an error report, a log at DEBUG, databases, messages to both listeners."""
    left = machines[machine]
    pictures = [path.read_bytes() for path in (left.folder / "output").glob("leaks_*.png")]
    assert pictures
    for picture in pictures:
        texts = b"".join(png_texts(picture))
        assert b"CartoonizeSubmit" in texts
        assert b"widgets_values" in texts
    log = (left.folder / "debug.log").read_text()
    assert "http://127.0.0.1:" in log  # what urllib3 says at DEBUG
    assert "Traceback" in log
    assert list(left.folder.rglob("*.sqlite3"))
    said = "".join(message for message in left.messages if isinstance(message, str))
    assert "execution_error" in said
    assert '"executed"' in said
    assert "current_inputs" in "".join(left.answers)


@pytest.mark.parametrize("machine", MACHINES)
def test_uploaded_pictures_have_pixels_and_nothing_else(machines: dict[str, Left], machine: str) -> None:
    """No workflow, no time, no name of a program."""
    for picture in machines[machine].uploaded:
        assert {kind for kind, _ in png_chunks(picture)} <= {b"IHDR", b"IDAT", b"IEND"}


def test_a_stranger_was_not_asked(machines: dict[str, Left]) -> None:
    """Neither the service nor a host can send a request of ours elsewhere."""
    assert [name for left in machines.values() for name, _ in left.received if name == "stranger"] == []


def test_a_key_beside_a_sound_output_is_not_saved_either(machines: dict[str, Left]) -> None:
    """A refused node keeps only what hangs on it from running: the others save the whole workflow, without the key."""
    assert machines["with_a_file"].beside[1:]  # a picture was saved
    found = [hit for text in machines["with_a_file"].beside for hit in Search({"key": BESIDE_KEY}).look("", text)]
    assert not found, "\n".join(map(str, found))


def test_what_was_looked_at(machines: dict[str, Left], record_property: Callable[[str, object], None]) -> None:
    """The figures are printed at the end of the run, see conftest."""
    search = Search(SEARCH.canaries)
    hits = [hit for left in machines.values() for look in PLACES.values() for hit in look(search, left)]
    runs, failures = (sum(getattr(left, name) for left in machines.values()) for name in ("runs", "failures"))
    messages = sum(len(left.messages) for left in machines.values())
    record_property(
        "counts",
        f"canary in ComfyUI: {len(machines)} starts, {runs} runs, {failures} failures and refusals, {messages} "
        f"messages, {search.texts:,} files and texts ({search.size / 1e6:.1f} MB) searched, {len(hits)} hits",
    )
