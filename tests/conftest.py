"""Loads the pack as ComfyUI does, and gives every test a clean environment."""

from __future__ import annotations

import gc
import hashlib
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pack
import pytest
from fake_clock import Clock
from pytest_httpserver import HTTPServer
from scripted_service import ScriptedService
from stand_in_host import StandInHost

pack.load()


def pytest_configure(config: pytest.Config) -> None:
    """Where Python is told to leave no bytecode beside the sources, it goes into pytest's cache.

    Else every worker of every run rewrites all tests, and every child (see child_process) compiles the pack.
    """
    cache = getattr(config, "cache", None)
    if sys.dont_write_bytecode and cache is not None:
        sys.pycache_prefix, sys.dont_write_bytecode = str(cache.mkdir("bytecode")), False


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Of several workers each begins with another share of the files, and then finds the others' bytecode."""
    gc.disable()  # nothing of what is made now ends before the tests do
    worker = getattr(session.config, "workerinput", None)
    if worker is not None:
        number, workers = int(worker["workerid"].removeprefix("gw")), worker["workercount"]
        for path in sorted(Path(__file__).parent.glob("test_*.py"))[number::workers]:
            with suppress(Exception, pytest.skip.Exception):  # collection says what is wrong with it
                importlib.import_module(path.stem)
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(10_000, 20, 20)  # looked through more rarely than usual: the tests make many small things
        gc.enable()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that tests have left as the property "counts", whichever process they ran in."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, figures in report.user_properties:
                if name == "counts" and report.when == "call":
                    terminalreporter.write_line(f"\n{report.nodeid}\n{figures}")


def _folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """State folders that are not there yet: most tests need none, and a tmp_path for each takes longer."""
    folder = tmp_path_factory.mktemp("homes")
    for number in count():
        (folder / str(number)).mkdir()
        yield folder / str(number) / "home"


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    return _folders(tmp_path_factory)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, _homes: Iterator[Path]) -> None:
    """No configuration of the person who runs the tests reaches them."""
    for name in [n for n in os.environ if n.startswith("CARTOONIZE_") or n.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    has_folder = "tmp_path" in request.fixturenames
    home = request.getfixturevalue("tmp_path") / "home" if has_folder else next(_homes)
    monkeypatch.setenv("CARTOONIZE_HOME", str(home))


@pytest.fixture
def api(httpserver: HTTPServer) -> Iterator[HTTPServer]:
    """A scripted service: fails the test on requests nobody expected and on expected ones nobody made."""
    httpserver.no_handler_status_code = 404
    yield httpserver
    httpserver.check()
    assert not httpserver.ordered_handlers, "expected requests that were never made"


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInHost]:
    """The names of ComfyUI that the nodes touch; the embedded service is stopped afterwards."""
    from cartoonize_pack.utils.service.server import stop_embedded

    host = StandInHost()
    host.install(monkeypatch)
    yield host
    stop_embedded(Path(os.environ["CARTOONIZE_HOME"]))


_flattened: dict[bytes, Any] = {}


@pytest.fixture
def flattened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture drawn before, in another style or with another stage broken, is not flattened again.

    Flattening is a third of the work of a drawing; what it gives depends on nothing but its planes.
    """
    from cartoonize_pack.utils.service.engine import sketch

    original = sketch.l0_smooth

    def remembered(planes: Any, weight: Any) -> Any:
        key = hashlib.sha256(repr((planes.shape, weight.shape)).encode() + planes.tobytes() + weight.tobytes()).digest()
        if key not in _flattened:
            _flattened[key] = original(planes, weight)
        return _flattened[key].copy()

    monkeypatch.setattr(sketch, "l0_smooth", remembered)


@pytest.fixture
def clock() -> Clock:
    """Time that stands still until the test moves it."""
    return Clock()


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedService]:
    """A counting service that is the default profile."""
    service = ScriptedService()
    for name, value in service.environment.items():
        monkeypatch.setenv(name, value)
    with service.running():
        yield service
