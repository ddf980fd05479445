"""A machine full of canaries: its state folder, its servers, and all that a run of the pack leaves behind there."""

from __future__ import annotations

import copy
import io
import json
import logging
import pickle
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import canary
import numpy as np
import pytest
from cartoonize_pack import NODE_CLASS_MAPPINGS
from cartoonize_pack.utils import client, pictures, reachability, redaction, sending, tasks
from cartoonize_pack.utils.addresses import Policy
from cartoonize_pack.utils.backend import connect, open_host
from cartoonize_pack.utils.cli import main
from cartoonize_pack.utils.config import load
from cartoonize_pack.utils.errors import CartoonizeError
from cartoonize_pack.utils.hosting import exchange
from cartoonize_pack.utils.private_files import write_private
from cartoonize_pack.utils.service import server
from cartoonize_pack.utils.threads import THREAD_NAME
from leaky_servers import PATIENCE_S, Answer, Asked, Servers
from node_calls import DEFAULTS, IMAGE_TO_URL, POLL, SUBMIT, batch, execute
from scripted_service import png
from stand_in_host import StandInHost

LINK = "https://images.test/1.png"
_TESTS = str(Path(__file__).parent)


@dataclass
class Run:
    """What one run left behind, and where a key may be in it."""

    errors: list[BaseException] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)  # of nodes, what they show included
    progress: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    terminal: list[str] = field(default_factory=list)
    widgets: list[str] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)  # with the values of all variables
    objects: list[str] = field(default_factory=list)  # as debuggers and error reports show them
    pickles: list[bytes] = field(default_factory=list)
    received: dict[str, list[bytes]] = field(default_factory=dict)  # by the servers, without what is theirs
    uploaded: list[bytes] = field(default_factory=list)
    folder: Path = Path()


class World:
    """One machine, on which one run happens; the servers are those of all runs."""

    def __init__(self, servers: Servers, folder: Path, page: StandInHost, patch: pytest.MonkeyPatch) -> None:
        self.servers, self.service, self.page, self.patch = servers, servers.service, page, patch
        self.run = Run(folder=folder)
        self.home = folder / "home"
        self.home.mkdir(parents=True, mode=0o700)
        patch.setenv("CARTOONIZE_HOME", str(self.home))
        write_private(self.home / "links.key", canary.LINKS_KEY.encode())
        self.describe()

    def configure(self, text: str | bytes) -> None:
        """Write another config.toml."""
        write_private(self.home / "config.toml", text.encode() if isinstance(text, str) else text)

    def describe(self, *more: str, **options: str) -> World:
        """Write the usual config.toml with further lines; see `Servers.configuration`."""
        self.configure(self.servers.configuration(*more, **options))
        return self

    # the nodes, the main path

    def call(self, node: type, **inputs: Any) -> Any:
        """Run a node, and keep what it hands on and shows; arrays are pictures, and hold no text."""
        result = execute(node, **inputs)
        self.run.outputs.append(repr(_without_arrays(result)))
        return result

    def urls(self, host: str = "dav", count: int = 1, **inputs: Any) -> str:
        """Image to URL."""
        return str(self.call(IMAGE_TO_URL, images=batch(count), host=host, **inputs)[0])

    def submit(self, links: str = LINK, **inputs: Any) -> str:
        """Submit Cartoonize."""
        return str(self.call(SUBMIT, image_urls=links, **inputs)["result"][0])

    def poll(self, task_id: str = "task-x", **inputs: Any) -> Any:
        """Poll Result; time is short here."""
        return self.call(POLL, task_id=task_id, **{"timeout": 5, **inputs})

    def chain(self, host: str = "dav", count: int = 1, **inputs: Any) -> Any:
        """All three."""
        profile = inputs.get("profile", "auto")
        return self.poll(self.submit(self.urls(host, count), profile=profile), **inputs)

    def command(self, *arguments: str) -> None:
        """The command line; what it says of a failure stands for the error."""
        out, told = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(told):
            code = main(arguments)
        self.run.terminal += [out.getvalue(), told.getvalue()]
        if code:
            raise Failed(told.getvalue() or out.getvalue())

    def photo(self) -> str:
        """A photo on the disk."""
        path = self.run.folder / "photo.png"
        path.write_bytes(png())
        return str(path)

    # what the service does

    def creates(self, *answers: Answer | Callable[[Asked], Answer]) -> World:
        """Let the service answer submissions so, the last one again and again."""
        self.service.on_create = _one_after_the_other(answers)
        return self

    def tells(self, *answers: Answer | Callable[[Asked], Answer]) -> World:
        """Let the service answer questions about tasks so."""
        self.service.on_result = _one_after_the_other(answers)
        return self


class Failed(AssertionError):
    """A command that ended with another code than 0."""


def _one_after_the_other(answers: tuple[Answer | Callable[[Asked], Answer], ...]) -> Callable[[Asked], Answer]:
    left = list(answers)

    def respond(asked: Asked) -> Answer:
        answer = left.pop(0) if len(left) > 1 else left[0]
        return answer if isinstance(answer, Answer) else answer(asked)

    return respond


# --- a run ------------------------------------------------------------------------------------------------------------


def run_of(work: Callable[[World], object], servers: Servers, folder: Path, *, with_locals: bool = True) -> Run:
    """What some work leaves behind, on a machine of its own, in a process that has seen no key before.

    Without locals where a key is the input of a node, and so in variables by rights.
    """
    page = StandInHost()
    servers.forget()
    with pytest.MonkeyPatch.context() as patch, taped() as log:
        page.install(patch)
        patch.setattr(redaction, "_known", redaction._Known())  # other tests, too, have read keys
        patch.setattr(server, "secrets", SimpleNamespace(token_urlsafe=lambda count: canary.EMBEDDED_KEY))
        _without_waits(patch)
        world = World(servers, folder, page, patch)
        run = world.run
        try:
            work(world)
        except BaseException as error:  # noqa: BLE001  # Cancel's is no Exception
            run.errors = list(_chain(error))
            run.tracebacks = _traceback(error) if with_locals else []
        for each in servers.everywhere:
            each.released.set()
        server.stop_embedded(world.home)
        _wait_for_threads()
        is_new = servers.is_new((world.home / "config.toml").read_bytes())
        run.widgets = list(_widgets()) if is_new else []
        for thing in [*run.errors, *(_objects() if is_new else ())]:
            run.objects += [repr(thing), str(thing), f"{thing!a}", f"{thing}"]
            run.pickles += [] if isinstance(thing, Policy) else list(_pickles(thing))
    run.log, run.progress = log, page.texts
    run.received = {each.name: each.received() for each in servers.everywhere}
    run.uploaded = [file for each in servers.everywhere for file in each.files.values()]
    return run


def _without_waits(patch: pytest.MonkeyPatch) -> None:
    for module, name, value in (
        (sending, "RETRY_WAITS_S", (0.0, 0.0)),
        (sending, "MAX_RETRY_AFTER_S", 0.0),
        (client, "QUICK_WAIT_S", 0.0),
        (exchange, "RETRY_WAITS_S", (0.0,)),
        (reachability, "RETRY_WAITS_S", (0.0,)),
        (pictures, "DOWNLOAD_RETRY_WAITS_S", (0.0,)),
        (tasks, "MIN_WAIT_S", 0.01),
    ):
        patch.setattr(module, name, value)
    patch.setattr(client.Client.__init__, "__defaults__", (0.5,))  # for one call


def _wait_for_threads() -> None:
    end = time.monotonic() + PATIENCE_S
    for thread in threading.enumerate():
        if thread.name.startswith(THREAD_NAME):
            thread.join(max(0.0, end - time.monotonic()))


@contextmanager
def taped() -> Iterator[list[str]]:
    """Keep all that is logged anywhere in this process meanwhile, from DEBUG on, as handlers see it."""
    lines: list[str] = []

    class Tape(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{self.format(record)}\n{record.__dict__!r}")

    tape = Tape()
    tape.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
    loggers = [logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    before = [(logger, logger.level, logger.disabled) for logger in [logging.root, *loggers]]
    deaf = [logging.root, *(logger for logger in loggers if not logger.propagate)]
    for logger, level, _ in before:
        logger.disabled = False
        logger.setLevel(logging.DEBUG if level or logger is logging.root else logging.NOTSET)
    for logger in deaf:
        logger.addHandler(tape)
    try:
        yield lines
    finally:
        for logger in deaf:
            logger.removeHandler(tape)
        for logger, level, disabled in before:
            logger.setLevel(level)
            logger.disabled = disabled


# --- what is looked at ------------------------------------------------------------------------------------------------


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those behind it, as Python shows them."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _traceback(error: BaseException) -> list[str]:
    """A traceback with the values of variables, as error trackers take it; not those of the tests, which know keys."""
    with np.printoptions(threshold=10, edgeitems=1):
        shown = traceback.TracebackException(type(error), error, error.__traceback__, capture_locals=True)
    part: traceback.TracebackException | None = shown
    while part is not None:
        part.stack[:] = [frame for frame in part.stack if not frame.filename.startswith(_TESTS)]
        part = part.__cause__ or (None if part.__suppress_context__ else part.__context__)
    return list(shown.format())


def _widgets() -> Iterator[str]:
    """What ComfyUI tells the page of the nodes, and how they judge the widgets' values."""
    for node in NODE_CLASS_MAPPINGS.values():
        yield json.dumps(node.INPUT_TYPES())
        values = {name: [value] for name, value in DEFAULTS[node].items()}
        for name in ("VALIDATE_INPUTS", "IS_CHANGED"):
            if check := getattr(node, name, None):
                names = check.__code__.co_varnames[1 : check.__code__.co_argcount]
                yield str(check(**{name: values.get(name, [""]) for name in names}))


def _objects() -> Iterator[object]:
    """Whatever holds the configuration."""
    with suppress(CartoonizeError):
        config = load()
        yield config
        yield from config.profiles.values()
        yield from config.hosts.values()
        backend = connect(config, "studio")
        yield from (backend, backend.policy, backend.journal, backend.results, backend.uploads)
        with backend.client() as opened:
            yield opened
        for name in ("dav", "album", "bucket"):
            with suppress(CartoonizeError):
                target = open_host(config, name, backend.profile)
                yield from (target, target.host, target.place, vars(target.host).get("_exchange"))


def _pickles(thing: object) -> Iterator[bytes]:
    """What can be written to a file of an object, in whatever way."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with suppress(Exception):
            yield pickle.dumps(thing, protocol)
    with suppress(Exception):
        yield repr(copy.deepcopy(thing)).encode()
    with suppress(Exception):
        yield json.dumps(thing, default=str).encode()


def _without_arrays(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return f"a picture of {value.shape}"
    if isinstance(value, dict):
        return {name: _without_arrays(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_arrays(inner) for inner in value]
    return vars(value) if hasattr(value, "message") else value
