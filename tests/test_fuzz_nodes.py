"""Fuzzing the inputs of the nodes, called as ComfyUI calls them: they succeed, or say what is wrong and what it costs.

Widgets get what ComfyUI lets through, links what other nodes may send. The only server is one of this process that
counts what it is asked; nobody else may be.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cartoonize_pack.utils import pictures
from cartoonize_pack.utils.config import LOCAL_STYLES, load
from cartoonize_pack.utils.embedded import embedded_service
from cartoonize_pack.utils.errors import CartoonizeError
from cartoonize_pack.utils.service.server import stop_embedded
from cartoonize_pack.utils.threads import THREAD_NAME
from fuzzing import altered, edited, is_readable, json_values, kept, long_texts, texts, told, tries, urlish
from hypothesis import given
from hypothesis import strategies as st
from node_calls import DEFAULTS, IMAGE_TO_URL, POLL, SUBMIT, execute
from scripted_service import ScriptedService, png

pytestmark = [pytest.mark.usefixtures("host", "quick"), pytest.mark.filterwarnings("ignore::UserWarning:PIL")]
NODES = {"ImageToURL": IMAGE_TO_URL, "Submit": SUBMIT, "PollResult": POLL}
NOTHING_PAID = re.compile(r"nothing was (sent|submitted|accepted|charged)", re.IGNORECASE)
LONGEST_TEXT = 50_000  # of an error about a hundred links or tasks
SMALL = png(40, 30)


class Tensor:
    """The few methods of a tensor that the nodes use, over an array of any type."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def detach(self) -> Tensor:
        """Itself."""
        return self

    def cpu(self) -> Tensor:
        """Itself."""
        return self

    def float(self) -> np.ndarray:
        """The values as 32-bit floats, which is what torch does."""
        with np.errstate(all="ignore"):
            return self._values.astype(np.float32)


class AnyService(ScriptedService):
    """Answers what a test tells it, whatever that is; tasks that it does not know have failed."""

    def __init__(self) -> None:
        super().__init__()
        self._http.RequestHandlerClass.disable_nagle_algorithm = True  # 0.04 s an answer
        self.created: Any = None
        self.answer: Any = None

    def reset(self) -> None:
        """Forget what was told and submitted."""
        self.created = self.answer = self.file = None
        self.failed = {}
        self.submissions.clear()
        self._created.clear()

    def create(self, body: dict[str, object]) -> Any:
        """Accept a task, and say so in other words if there are any."""
        created = super().create(body)
        return created if self.created is None else self.created[0]

    def result(self, task_id: str) -> Any:
        """Tell what was told, else the state of the task."""
        if self.answer is not None:
            return self.answer[0]
        return super().result(task_id) if task_id in self._created else {"status": "4", "list": None}

    def _picture(self, task_id: str, index: int) -> bytes:
        return self.file if self.file is not None else SMALL


class Network:
    """Lets connections to some ports of this machine through, and remembers every other attempt."""

    def __init__(self) -> None:
        self.ports: set[int] = set()
        self.strangers: list[object] = []
        self.looked_up: list[object] = []

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stand in front of the sockets and the resolver."""
        connect, look_up = socket.socket.connect, socket.getaddrinfo

        def guarded_connect(this: socket.socket, address: Any) -> None:
            if this.family in (socket.AF_INET, socket.AF_INET6) and not self._is_known(*address[:2]):
                self.strangers.append(address)
                raise ConnectionRefusedError
            connect(this, address)

        def guarded_look_up(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
            if self._is_known(host, int(port or 0)):
                return look_up(host, port, *args, **kwargs)
            self.looked_up.append(host)
            raise socket.gaierror(socket.EAI_NONAME, "no names here")

        monkeypatch.setattr(socket.socket, "connect", guarded_connect)
        monkeypatch.setattr(socket, "getaddrinfo", guarded_look_up)

    def _is_known(self, host: object, port: int) -> bool:
        return host == "127.0.0.1" and port in self.ports


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    """Nobody but those whom a test allows can be asked."""
    network = Network()
    network.install(monkeypatch)
    return network


class CarelessConnection(sqlite3.Connection):
    """A database that does not wait for the disk: nobody cuts the power here."""

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        """Execute a statement, but for the one that asks for waiting."""
        return super().execute(sql.replace("synchronous=FULL", "synchronous=OFF"), *values)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the disk nor a picture that does not come is waited for."""
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=CarelessConnection))
    monkeypatch.setattr(pictures, "DOWNLOAD_RETRY_WAITS_S", ())


@pytest.fixture
def remote(network: Network, monkeypatch: pytest.MonkeyPatch) -> Iterator[AnyService]:
    """A counting service that costs money, as the default profile."""
    service = AnyService()
    for name, value in service.environment.items():
        monkeypatch.setenv(name, value)
    network.ports.add(int(service.url.rpartition(":")[2]))
    with service.running():
        yield service


@pytest.fixture
def homes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Iterator[Path]]:
    """A new state folder every time, so that no case depends on those before it."""

    def new() -> Iterator[Path]:
        for number in count():
            home = tmp_path / f"home {number}"
            monkeypatch.setenv("CARTOONIZE_HOME", str(home))
            yield home
            shutil.rmtree(home, ignore_errors=True)

    return new()


class Case:
    """One service, one network, one empty state folder: what a node does there is held to what it says."""

    def __init__(self, service: AnyService, network: Network, homes: Iterator[Path]) -> None:
        self.service = service
        self._network = network
        next(homes)
        service.reset()
        network.strangers.clear()
        network.looked_up.clear()

    def run(self, node: type, inputs: Mapping[str, Any]) -> Any:
        """Return the result, None if the node raised an error of the pack that is fit to be shown and true."""
        paid = len(self.service.submissions)
        try:
            return execute(node, **inputs)
        except CartoonizeError as error:
            text = told(error, LONGEST_TEXT)
            if NOTHING_PAID.search(text):
                assert len(self.service.submissions) == paid
            return None
        finally:
            end_sweeping()
            assert self._network.strangers == []
            assert node is POLL or self._network.looked_up == []  # Poll Result asks where links of results lead to


def end_sweeping() -> None:
    """Wait until nobody tidies up the uploads behind a finished run any more."""
    for thread in threading.enumerate():
        if thread.name == f"{THREAD_NAME}sweep":
            thread.join()


@pytest.fixture
def new_case(remote: AnyService, network: Network, homes: Iterator[Path]) -> Any:
    """Makes a case for each tried value."""
    return lambda: Case(remote, network, homes)


# --- values -----------------------------------------------------------------------------------------------------------

DTYPES = ["float32", "float16", "float64", "uint8", "int64", "bool"]
FILLS = [0.0, 0.5, 1.0, -1.0, 2.0, 1e30, float("nan"), float("inf"), float("-inf")]


def image(shape: list[int], dtype: str, fill: float, *, one: float | None = None, layout: str = "plain") -> Tensor:
    """A tensor of one value, perhaps with another one at its end, laid out in memory in some way."""
    values = np.full(shape, fill)
    if one is not None and values.size:
        values.flat[-1] = one
    with np.errstate(all="ignore"):
        values = values.astype(dtype)
    if layout == "turned":
        values = values.T
    elif layout == "backwards":
        values = np.flip(values)
    elif layout == "one for all" and values.size:
        values = np.broadcast_to(values.flat[-1], shape)
    return Tensor(values)


sides = st.sampled_from([0, 1, 2, 3, 5, 30, 257])
shapes = st.tuples(st.integers(0, 3), sides, sides, st.sampled_from([0, 1, 2, 3, 3, 3, 4, 5])).map(list) | st.lists(
    st.sampled_from([0, 1, 2, 3, 4, 20]), max_size=5
)
tensors = st.builds(
    image, shapes, st.sampled_from(DTYPES), st.sampled_from(FILLS), one=st.none() | st.sampled_from(FILLS),
    layout=st.sampled_from(["plain", "turned", "backwards", "one for all"]),
)  # fmt: skip
no_tensors = st.none() | st.sampled_from(
    ["", "x", 5, b"", {"samples": 1}, [], [1, 2], [[1.0], [1.0, 2.0]], object(), np.ones((1, 2, 2, 3), np.uint8)]
)
batches = st.lists(tensors | no_tensors, max_size=3) | tensors.map(lambda tensor: [tensor])

profile_names = st.sampled_from(["auto", "", "env", None]) | texts | urlish | long_texts
host_names = st.sampled_from(["auto", "", "local", "comfyui", None]) | texts | urlish | long_texts
link_lines = st.sampled_from(
    ["https://images.test/17.png", "https://images.test/18.png?sig=hunter2", "http://127.0.0.1/a.png", "http://[", "",
     "http://h.example/a?sig=1&b=\ud800", "file:///etc/passwd", "https://me:hunter2@h.example/a@b", "http://℀/"]
)  # fmt: skip
link_texts = st.lists(link_lines | urlish, max_size=4).map("\n".join) | long_texts
string_links = st.lists(link_texts, max_size=2) | link_texts
ints = st.sampled_from([-1, 0, 1, 9, 10, 2**31, 2**63, 2**64 - 1, -(2**70), True])  # from a link, which has no limits

REPORT = {
    "profile": "env",
    "tasks": ["task-1", "task-2@1,2"],
    "images": [
        {"link": "https://images.test/17.png", "may_retry": True, "width": None},
        {"link": "", "may_retry": True, "width": None},
    ],
}
reports = st.just("") | texts | altered(REPORT).map(json.dumps) | st.just(json.dumps(REPORT)) | long_texts


# --- kept cases -------------------------------------------------------------------------------------------------------


def revived(value: Any) -> Any:
    """An input as a file of the corpus has it: {"shape": …, "dtype": …, "fill": …} or {"repeat": [text, times]}."""
    if isinstance(value, dict) and "shape" in value:
        return image(value["shape"], value["dtype"], float(value["fill"]))
    if isinstance(value, dict) and "repeat" in value:
        return value["repeat"][0] * value["repeat"][1]
    return [revived(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("path", kept("nodes"))
def test_kept_inputs_are_taken_or_refused(path: Path, new_case: Any) -> None:
    """Cases that were found once, or are known to break nodes, with what the service answers to them."""
    case, found = new_case(), json.loads(path.read_text("utf-8"))
    for name in ("created", "answer"):
        setattr(case.service, name, with_own_links(found.get(name), case.service.url))
    for inputs in found["inputs"]:
        inputs = {name: revived(value) for name, value in inputs.items()}
        case.run(NODES[found["node"]], inputs)
        check_before_the_run(NODES[found["node"]], inputs)


def check_before_the_run(node: Any, inputs: Mapping[str, Any]) -> None:
    """What ComfyUI asks before a run is answered: True or words, and a text that tells when to run again."""
    given_inputs = {name: value if isinstance(value, list) else [value] for name, value in inputs.items()}
    known = {name: [value] for name, value in DEFAULTS[node].items()} | given_inputs
    asked = node.VALIDATE_INPUTS.__func__.__code__
    names = asked.co_varnames[1 : asked.co_argcount]
    verdict = node.VALIDATE_INPUTS(**{name: known[name] for name in names if name in known})
    assert verdict is True or (isinstance(verdict, str) and verdict and is_readable(verdict))
    if hasattr(node, "IS_CHANGED"):
        assert isinstance(node.IS_CHANGED(**known), str)


# --- any inputs -------------------------------------------------------------------------------------------------------


@given(
    images=batches,
    host=host_names,
    fmt=st.sampled_from(["auto", "png", "jpeg"]),
    limits=st.sampled_from(["fit", "error"]),
)
@tries(35)
def test_image_to_url_takes_any_images_or_says_why_not(
    new_case: Any, images: list[Any], host: str | None, fmt: str, limits: str
) -> None:
    """One link an image, in lines, and nothing is paid in any case."""
    case = new_case()
    result = case.run(IMAGE_TO_URL, {"images": images, "host": host, "format": fmt, "out_of_limits": limits})
    assert case.service.submissions == []
    if result is not None:
        assert all(link.startswith("http://127.0.0.1:9/") for link in result[0].split("\n"))


@given(urls=string_links, priority=st.integers(0, 9) | ints, profile=profile_names | st.just("env"),
       variation=st.integers(0, 2**31 - 1) | ints, report=reports)  # fmt: skip
@tries(25)
def test_submit_takes_any_links_or_says_why_not(
    new_case: Any, urls: Any, priority: int, profile: str | None, variation: int, report: str
) -> None:
    """A task for each line of the result; running again pays nothing more, whatever was given."""
    case = new_case()
    inputs = {"image_urls": urls, "priority": priority, "profile": profile, "variation": variation, "report": report}
    result = case.run(SUBMIT, inputs)
    if result is not None:
        paid = len(case.service.submissions)
        assert case.run(SUBMIT, inputs) == result
        assert len(case.service.submissions) == paid


@given(report=altered(REPORT).map(json.dumps) | st.just(json.dumps(REPORT)), priority=st.integers(0, 9))
@tries(12)
def test_a_report_submits_what_it_says_or_nothing(new_case: Any, report: str, priority: int) -> None:
    """With the links that belong to it."""
    case = new_case()
    links = "https://images.test/17.png\nhttps://images.test/18.png?sig=hunter2"
    case.run(SUBMIT, {"image_urls": links, "priority": priority, "report": report})
    assert sum(len(body["images"]) for body in case.service.submissions) <= 2  # type: ignore[arg-type]


task_lines = st.sampled_from(["task-1", "task-1@1", "task-2@2,1", "task-1@1,1", "task-1@999999", "@", "task-9"])
task_texts = st.lists(task_lines | texts | urlish, max_size=3).map("\n".join) | long_texts.map(
    lambda text: " ".join(text.splitlines())  # one line: each task that there may be is asked for
)


@given(task_id=st.lists(task_texts, max_size=2) | task_texts, timeout=st.integers(1, 86400),
       on_failure=st.sampled_from(["error", "skip", "original"]),
       sizes=st.sampled_from(["match first", "pad", "list only"]), profile=st.just("auto") | profile_names,
       originals=st.just([]) | batches, paid=st.integers(0, 2), failed=st.sets(st.integers(0, 1)))  # fmt: skip
@tries(15)
def test_poll_result_takes_any_tasks_or_says_why_not(new_case: Any, paid: int, failed: set[int], **inputs: Any) -> None:
    """Those that there are, others, and originals of any kind; asking pays nothing."""
    case = new_case()
    case.service.failed = {("task-1", index): "too dark" for index in failed}
    for number in range(paid):
        links = f"https://images.test/{number}.png\nhttps://images.test/9{number}.png"
        assert case.run(SUBMIT, {"image_urls": links}) is not None
    if not inputs["originals"]:
        del inputs["originals"]
    result = case.run(POLL, inputs)
    assert len(case.service.submissions) == paid
    if result is not None:
        check_result(result)


def check_result(result: Any) -> None:
    """What Poll Result hands on fits together."""
    images, singles, mask, links, report = result
    assert all(hasattr(single, "message") or (single.ndim == 4 and single.dtype == np.float32) for single in singles)
    if not hasattr(images, "message"):
        assert images.dtype == mask.dtype == np.float32
        assert images.shape[:3] == mask.shape
        assert images.shape[3] == 3
        assert 0 <= images.min() <= images.max() <= 1
    assert isinstance(links, str)
    assert json.loads(report)["results"] == len(json.loads(report)["images"])


# --- any service ------------------------------------------------------------------------------------------------------


@given(created=json_values | st.fixed_dictionaries({"task_id": texts | urlish | st.integers()}))
@tries(10)
def test_whatever_the_service_says_to_a_submission_it_is_sent_once(new_case: Any, created: object) -> None:
    """A task, or an unknown outcome, which is not tried again by itself."""
    case = new_case()
    case.service.created = [created]
    for _ in range(2):
        case.run(SUBMIT, {"image_urls": "https://images.test/17.png"})
    assert len(case.service.submissions) == 1


OVER = [3, "3", "4", 4.0, 5, 6, 7, "08", -1, 10**17, True, None, "x", [], {}]
pictures_of_a_task = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "image_result": st.sampled_from(["OWN", "OWN?sig=hunter2", "", None, "http://[", "file:///etc/passwd"])
            | st.builds("OWN{}".format, texts | urlish)
            | urlish,
            "status": st.sampled_from(OVER),
            "reason": st.none() | texts | json_values,
        },
    )
    | json_values,
    max_size=3,
)
answers = st.fixed_dictionaries(
    {"status": st.sampled_from(OVER)}, optional={"list": pictures_of_a_task | json_values, "wait_time": json_values}
)


def with_own_links(value: Any, url: str) -> Any:
    """The answer with OWN as a link of the service itself."""
    return json.loads(json.dumps(value).replace('"OWN', f'"{url}/file/task-1/0.png'))


@given(answer=answers, on_failure=st.sampled_from(["error", "skip", "original"]), file=st.none() | edited(
    [SMALL, SMALL[:60], b"<html>"]))  # fmt: skip
@tries(12)
def test_whatever_the_service_says_of_a_task_poll_result_ends(
    new_case: Any, answer: Any, on_failure: str, file: bytes | None
) -> None:
    """With pictures, or with an error that can be shown; a second run is told the same."""
    case = new_case()
    case.run(SUBMIT, {"image_urls": "https://images.test/17.png"})
    case.service.answer, case.service.file = [with_own_links(answer, case.service.url)], file
    results = [case.run(POLL, {"task_id": "task-1", "timeout": 1, "on_failure": on_failure}) for _ in range(2)]
    assert (results[0] is None) == (results[1] is None)
    for result in results:
        if result is not None:
            check_result(result)
    assert len(case.service.submissions) == 1


@given(file=edited([png(300, 300), png(300, 300)[:70], png(), b"BM", b"\xff\xd8\xff", b"GIF89a", b"<html>password"]),
       name=st.sampled_from(["0.png", "1.png?sig=1", "2.png?sig=1&se=x", "3.png#x"]))  # fmt: skip
@tries(12)
def test_links_are_paid_for_only_if_they_lead_to_pictures(
    new_case: Any, monkeypatch: pytest.MonkeyPatch, file: bytes, name: str
) -> None:
    """When links are checked, whatever lies behind them."""
    case = new_case()
    monkeypatch.setenv("CARTOONIZE_CHECK_LINKS", "1")
    case.service.file = file
    result = case.run(SUBMIT, {"image_urls": f"{case.service.url}/file/task-1/{name}"})
    assert len(case.service.submissions) == (result is not None)
    assert result is None or file[:2] in (b"\x89P", b"BM", b"\xff\xd8")


# --- the embedded service ---------------------------------------------------------------------------------------------


@given(profile=st.sampled_from(sorted(LOCAL_STYLES)), urls=string_links, variation=ints, task_id=task_texts)
@tries(3)
def test_the_embedded_service_takes_anything_or_says_why_not(
    network: Network, homes: Iterator[Path], profile: str, urls: Any, variation: int, task_id: str
) -> None:
    """Submitted and asked for as with any other service; it fetches nothing of this machine."""
    home = next(homes)
    try:
        network.ports = {int(embedded_service(load()).base_url.rpartition(":")[2])}
        for node, inputs in (
            (SUBMIT, {"image_urls": urls, "variation": variation}),
            (POLL, {"task_id": task_id, "timeout": 1}),
        ):
            try:
                execute(node, profile=profile, **inputs)
            except CartoonizeError as error:
                told(error, LONGEST_TEXT)
    finally:
        stop_embedded(home)
        end_sweeping()
    assert network.strangers == []


# --- before a run -----------------------------------------------------------------------------------------------------

maybe = st.none() | texts | urlish | long_texts


@given(name=maybe | host_names, urls=maybe, task_id=maybe, report=maybe)
@tries(20)
def test_what_comfyui_asks_before_a_run_is_always_answered(
    network: Network, name: str | None, urls: str | None, task_id: str | None, report: str | None
) -> None:
    """A linked input is None; nobody else is asked for an answer."""
    check_before_the_run(IMAGE_TO_URL, {"images": None, "host": name})
    check_before_the_run(SUBMIT, {"image_urls": urls, "profile": name, "report": report})
    check_before_the_run(POLL, {"task_id": task_id, "profile": name, "originals": None})
    assert network.strangers == network.looked_up == []
