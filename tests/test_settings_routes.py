"""The routes of the settings on a server like ComfyUI's: what they answer, what they refuse, and where keys end up."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import quote, urlsplit

import pack
import pytest
import requests
from aiohttp import web
from canary import APP_KEY, APP_SECRET, PASSWORD, Search
from cartoonize_pack.nodes import _comfy, settings_routes
from cartoonize_pack.utils.config import load
from cartoonize_pack.utils.profile_entry import MAX_BYTES
from cartoonize_pack.utils.service.server import stop_embedded
from cartoonize_pack.utils.steps import Step
from pytest_httpserver import HTTPServer
from route_server import added, in_comfyui, serving

PREFIX = "/portrait_cartoonize"
ENTRY = {
    "create_url": "https://api.example/batch",
    "result_url": "https://api.example/result/{task_id}",
    "app_key": APP_KEY,
    "app_secret": APP_SECRET,
}
CHANGES = [
    ("PUT", "/profiles/studio"),
    ("DELETE", "/profiles/studio"),
    ("POST", "/profiles/local/test"),
    ("POST", "/hosts/local/test"),
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where the routes answer."""

    def add() -> None:
        for method, path, handler in settings_routes.ROUTES:
            _comfy.add_route(path, handler, method)

    with serving(added(add)) as url:
        yield url


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The state folder of a ComfyUI that listens to this machine alone; the embedded server is stopped afterwards."""
    listening(monkeypatch, "127.0.0.1")
    folder = Path(os.environ["CARTOONIZE_HOME"])
    yield folder
    stop_embedded(folder)


def listening(monkeypatch: pytest.MonkeyPatch, addresses: str) -> None:
    """Let ComfyUI say that it listens there."""
    for name, attributes in (("comfy", {}), ("comfy.cli_args", {"args": SimpleNamespace(listen=addresses)})):
        module = ModuleType(name)
        module.__dict__.update(attributes)
        monkeypatch.setitem(sys.modules, name, module)


def ask(address: str, method: str, path: str, body: object = None, **headers: str | None) -> requests.Response:
    """What the page is answered; headers that are None are left out."""
    page = {"Origin": address, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}
    given = {**page, **{name.replace("_", "-"): value for name, value in headers.items()}}
    sent = {name: value for name, value in given.items() if value is not None}
    data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
    return requests.request(method, f"{address}{PREFIX}{path}", data=data, headers=sent, timeout=20)


def problem(reply: requests.Response, status: int) -> str:
    """The words of a refusal."""
    assert reply.status_code == status, reply.text
    assert list(reply.json()) == ["problem"]
    assert reply.headers["Cache-Control"] == "no-store"
    return str(reply.json()["problem"])


def put(address: str, name: str = "studio", **changed: object) -> requests.Response:
    """An entry of the page."""
    return ask(address, "PUT", f"/profiles/{quote(name, safe='')}", {**ENTRY, **changed})


# What there is


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_the_page_is_told_what_there_is(address: str, home: Path, prefix: str) -> None:
    """As its contract has it, and not to be kept by anybody."""
    reply = requests.get(f"{address}{prefix}{PREFIX}/overview", timeout=10)
    assert reply.status_code == 200
    assert reply.headers["Cache-Control"] == "no-store"
    found = reply.json()
    assert (found["auto"], found["problem"], found["may_add"], found["why_not"]) == ("local", "", True, "")
    assert [row["name"] for row in found["profiles"]] == ["local", "local-anime", "local-manga"]
    assert [row["name"] for row in found["hosts"]] == ["local", "comfyui"]
    assert not home.exists()


@pytest.mark.parametrize("addresses", ["0.0.0.0,::", "", "127.0.0.1,192.168.1.5"])
def test_the_page_is_told_why_it_may_not_add(address: str, monkeypatch: pytest.MonkeyPatch, addresses: str) -> None:
    """Where others can reach ComfyUI; the operator may permit it."""
    listening(monkeypatch, addresses)
    found = ask(address, "GET", "/overview").json()
    assert not found["may_add"]
    assert "can be reached from other machines" in found["why_not"]
    assert "can be reached from other machines" in problem(put(address), 403)
    monkeypatch.setenv("CARTOONIZE_KEYS_FROM_BROWSER", "1")
    assert ask(address, "GET", "/overview").json()["may_add"]
    assert put(address).status_code == 200


def test_without_comfyui_nobody_knows_who_listens(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So no key is taken."""
    monkeypatch.setitem(sys.modules, "comfy.cli_args", None)
    assert "can be reached from other machines" in problem(put(address), 403)


def test_a_broken_file_is_told_in_the_overview_and_stops_entries(address: str, home: Path) -> None:
    """It may describe the very profile; nothing is written then."""
    home.mkdir(mode=0o700)
    (home / "config.toml").write_text("[profiles")
    assert "config.toml is not valid TOML" in ask(address, "GET", "/overview").json()["problem"]
    assert "config.toml is not valid TOML" in problem(put(address), 409)
    assert not (home / "profiles.json").exists()


# Keys going in


def test_a_profile_is_added_replaced_and_removed(address: str, home: Path) -> None:
    """It can be used at once, and only its owner can read the file."""
    assert put(address).json() == {"ok": True}
    assert load().profile("studio").app_secret.reveal() == APP_SECRET
    assert stat.S_IMODE((home / "profiles.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    row = ask(address, "GET", "/overview").json()["profiles"][-1]
    assert (row["name"], row["ready"], row["removable"]) == ("studio", True, True)
    assert put(address, app_secret="another").json() == {"ok": True}
    assert load().profile("studio").app_secret.reveal() == "another"
    assert ask(address, "DELETE", "/profiles/studio", {}).json() == {"ok": True}
    assert not load().added
    assert "No profile 'studio' was added" in problem(ask(address, "DELETE", "/profiles/studio"), 404)


def test_names_that_are_taken_are_told(address: str, home: Path) -> None:
    """With where they are described."""
    home.mkdir(mode=0o700)
    (home / "config.toml").write_text('[profiles.studio]\napp_key = "k"\n')
    for method, name in (("PUT", "studio"), ("PUT", "local"), ("DELETE", "studio"), ("DELETE", "env")):
        words = problem(ask(address, method, f"/profiles/{name}", ENTRY if method == "PUT" else {}), 409)
        assert ("config.toml" in words) == (name == "studio")


def test_what_is_wrong_with_an_entry_is_told(address: str, home: Path) -> None:
    """In the words of the entry; the file is not even made."""
    assert "app_secret not set" in problem(put(address, app_secret=""), 400)
    assert "field that is not known" in problem(put(address, allow_http=True), 400)
    assert "An entry is a JSON object" in problem(ask(address, "PUT", "/profiles/studio", b"{"), 400)
    assert "An entry is a JSON object" in problem(ask(address, "PUT", "/profiles/studio", b""), 400)
    assert "A profile's name has" in problem(put(address, "../../x"), 400)
    assert not (home / "profiles.json").exists()


@pytest.mark.parametrize(("sent", "status"), [(1, 408), (MAX_BYTES, 408), (MAX_BYTES + 1, 400)])
def test_an_entry_that_does_not_end_is_ended(
    address: str, monkeypatch: pytest.MonkeyPatch, sent: int, status: int
) -> None:
    """ComfyUI itself takes a hundred megabytes and waits for ever; what is too long is not read to its end."""
    monkeypatch.setattr(settings_routes, "_BODY_S", 0.1)
    parts = urlsplit(address)
    lines = [
        f"PUT {PREFIX}/profiles/studio HTTP/1.1", f"Host: {parts.netloc}", f"Origin: {address}",
        "Content-Type: application/json", "Content-Length: 90000000", "", " " * sent,
    ]  # fmt: skip
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall("\r\n".join(lines).encode())
        with connection.makefile("rb") as reply:
            assert f" {status} ".encode() in reply.readline()


@pytest.mark.parametrize(("method", "path"), [change for change in CHANGES if change[0] != "PUT"])
def test_requests_without_fields_take_none(address: str, method: str, path: str) -> None:
    """Nobody believes that something else was done."""
    assert "takes no fields" in problem(ask(address, method, path, {"force": True}), 400)


# Who may ask

STRANGERS: dict[str, dict[str, str | None]] = {
    "another site": {"Origin": "https://evil.example", "Sec_Fetch_Site": "cross-site"},
    "another port": {"Origin": "http://127.0.0.1:9", "Sec_Fetch_Site": "same-site"},
    "a file": {"Origin": "null", "Sec_Fetch_Site": None},
    "nobody": {"Origin": None, "Sec_Fetch_Site": None},
    "a form": {"Content_Type": "application/x-www-form-urlencoded"},
    "a text": {"Content_Type": "text/plain"},
    "packed": {"Content_Encoding": "gzip"},
}


@pytest.mark.parametrize(("method", "path"), CHANGES)
@pytest.mark.parametrize("headers", STRANGERS.values(), ids=STRANGERS)
def test_pages_of_elsewhere_change_and_start_nothing(
    address: str, home: Path, method: str, path: str, headers: dict[str, str | None]
) -> None:
    """Whatever they can send; what they send is not even read."""
    problem(ask(address, method, path, ENTRY, **headers), 403)
    assert not home.exists()


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_name_that_leads_here_is_nobodys_page(address: str, home: Path, method: str) -> None:
    """DNS rebinding: its origin is its host, and both are not ours. Trials cost nothing, so they are answered."""
    there = {"Host": "evil.example:8188", "Origin": "http://evil.example:8188"}
    words = problem(ask(address, method, "/profiles/studio", ENTRY if method == "PUT" else {}, **there), 403)
    assert "may be somebody else's name for this machine" in words
    assert not home.exists()
    assert not ask(address, "GET", "/overview", **there).json()["may_add"]
    assert ask(address, "POST", "/profiles/none/test", {}, **there).status_code == 200


def test_a_script_says_that_it_is_one(address: str) -> None:
    """No browser sends that header for a page of elsewhere without asking the server first."""
    script = {"Origin": None, "Sec_Fetch_Site": None, "X_Portrait_Cartoonize": "1"}
    assert ask(address, "PUT", "/profiles/studio", ENTRY, **script).json() == {"ok": True}


# Trials


def test_a_profile_is_tried(address: str) -> None:
    """The embedded service needs nothing; each step is told."""
    reply = ask(address, "POST", "/profiles/local/test", {}).json()
    assert reply["ok"]
    assert [(step["step"], step["ok"]) for step in reply["steps"]] == [
        ("configuration", True),
        ("service", True),
        ("image host", True),
    ]


def test_a_profile_that_was_added_is_tried(
    address: str, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the keys that were entered; an echo of them is in no answer."""
    monkeypatch.setenv("CARTOONIZE_ALLOW_HTTP", "1")
    url = httpserver.url_for("")
    assert put(address, create_url=f"{url}/batch", result_url=f"{url}/result/{{task_id}}").status_code == 200
    for answer in ({"code": 5, "msg": f"no task for {APP_SECRET}"}, {"code": 401, "msg": "who are you"}):
        httpserver.expect_ordered_request(re.compile("/result/[0-9a-f]{32}")).respond_with_json(answer)
    reply = ask(address, "POST", "/profiles/studio/test", {})
    steps = {step["step"]: step for step in reply.json()["steps"]}
    assert "refused with code 5: no task for [key]" in steps["service"]["words"]
    assert steps["key pair"]["words"].startswith("accepted")
    assert not Search().look("answer", reply.text)
    assert [request.authorization.password for request, _ in httpserver.log] == [APP_SECRET, "nobody"]


def test_a_host_is_tried(address: str) -> None:
    """With a picture that is uploaded, fetched and deleted."""
    reply = ask(address, "POST", "/hosts/local/test", {}).json()
    assert reply["ok"]
    assert [step["step"] for step in reply["steps"]] == ["upload", "fetch without credentials", "delete"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/profiles/none/test", "There is no profile 'none' on this machine"),
        ("/hosts/none/test", "There is no image host 'none' on this machine"),
        ("/hosts/comfyui/test", "The image host 'comfyui' is not ready: public_url"),
    ],
)
def test_what_cannot_be_tried_is_a_step_that_failed(address: str, path: str, words: str) -> None:
    """The page shows it like any other."""
    reply = ask(address, "POST", path, {}).json()
    assert not reply["ok"]
    (step,) = reply["steps"]
    assert (step["step"], step["ok"]) == ("configuration", False)
    assert words in step["words"]


def test_one_trial_of_a_thing_at_a_time_and_never_on_the_loop(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """ComfyUI's page is answered meanwhile; one that is stuck is answered in time, and keeps its place."""
    inside, leave, threads = threading.Event(), threading.Event(), []

    def stuck(config: object, name: str) -> Iterator[Step]:
        threads.append(threading.current_thread().name)
        inside.set()
        leave.wait(10)
        yield Step("service", True, "at last")

    monkeypatch.setattr("cartoonize_pack.utils.profile_trial.steps", stuck)
    replies: list[requests.Response] = []
    first = threading.Thread(target=lambda: replies.append(ask(address, "POST", "/profiles/local/test", {})))
    first.start()
    try:
        assert inside.wait(10)
        assert "A test of the profile local is running" in problem(
            ask(address, "POST", "/profiles/local/test", {}), 409
        )
        monkeypatch.setattr(settings_routes, "_PROFILE_TRIAL_S", 0.05)
        late = ask(address, "POST", "/profiles/studio/test", {}).json()
        assert (late["ok"], late["steps"][0]["step"]) == (False, "end")
        assert "is running" in problem(ask(address, "POST", "/profiles/studio/test", {}), 409)
        assert ask(address, "GET", "/overview").status_code == 200
    finally:
        leave.set()
        first.join()
    assert replies[0].json() == {"ok": True, "steps": [{"step": "service", "ok": True, "words": "at last"}]}
    assert threads == ["cartoonize-trial"] * 2


def test_the_disk_is_not_waited_for_on_the_loop(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for the overview, nor for what is written."""
    threads = []
    real = os.stat

    def watched(path: Any, *args: Any, **kwargs: Any) -> os.stat_result:
        if "config.toml" in str(path):
            threads.append(threading.current_thread().name)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", watched)
    assert ask(address, "GET", "/overview").status_code == 200
    assert put(address).status_code == 200
    assert ask(address, "DELETE", "/profiles/none").status_code == 404
    monkeypatch.undo()
    assert len(threads) >= 3
    assert set(threads) == {"cartoonize-settings"}


def test_what_a_step_says_is_redacted(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever wrote it: a library's words may hold the keys that the machine has."""
    assert put(address).status_code == 200
    found = [Step("service", True, f"hello {APP_SECRET}")]
    monkeypatch.setattr("cartoonize_pack.utils.profile_trial.steps", lambda config, name: found)
    (step,) = ask(address, "POST", "/profiles/studio/test", {}).json()["steps"]
    assert step == {"step": "service", "ok": True, "words": "hello [key]"}


# No key in any answer, log or error


def leaky(address: str) -> Iterator[requests.Response]:
    """Requests that hold keys where they may be and where they may not, and all that can fail."""
    yield put(address)
    yield put(address, app_secret=PASSWORD)
    yield put(address, APP_SECRET)
    yield put(address, APP_KEY)
    yield put(address, "a b", app_key=[APP_KEY], app_secret={"x": APP_SECRET})
    for field in (*ENTRY, "host", APP_SECRET):
        yield put(address, **{field: APP_SECRET})
        yield put(address, **{field: f"{APP_SECRET}\n{APP_KEY}"})
        yield put(address, **{field: [APP_SECRET]})
    yield put(address, create_url=f"https://{APP_KEY}:{APP_KEY}@api.example/")
    yield put(address, result_url=f"https://api.example/{APP_KEY}?key={APP_KEY}")
    yield ask(address, "PUT", "/profiles/studio", json.dumps(ENTRY)[:-1].encode())
    yield ask(address, "PUT", "/profiles/studio", json.dumps([ENTRY]).encode())
    yield ask(address, "PUT", "/profiles/studio", json.dumps(ENTRY).encode() + b" " * MAX_BYTES)
    yield ask(address, "PUT", "/profiles/local", ENTRY)
    yield ask(address, "PUT", "/profiles/studio", ENTRY, Origin="https://evil.example")
    yield ask(address, "PUT", "/profiles/studio", ENTRY, Content_Type="text/plain")
    yield ask(address, "DELETE", "/profiles/studio", ENTRY)
    yield ask(address, "POST", "/profiles/studio/test", ENTRY)
    yield ask(address, "POST", f"/profiles/{APP_KEY}/test", {})
    yield ask(address, "POST", f"/hosts/{quote(APP_SECRET, safe='')}/test", {})
    yield ask(address, "DELETE", f"/profiles/{APP_KEY}", {})
    yield ask(address, "GET", "/overview")


def test_no_answer_log_or_file_but_one_holds_a_key(
    address: str, home: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever was sent, and whatever became of it."""
    caplog.set_level(logging.DEBUG)
    search = Search()
    hits = [hit for reply in leaky(address) for hit in search.look("answer", reply.text + str(reply.headers))]
    ours = [record for record in caplog.records if not record.name.startswith("urllib3")]  # that is who asks here
    texts = [f"{record.getMessage()} {record.exc_text or ''}" for record in ours]
    hits += search.look("log", "\n".join(texts)) + search.look("terminal", "".join(capfd.readouterr()))
    hits += search.folder(home, leave_out=[home / "profiles.json"])
    assert not hits
    assert search.file(home / "profiles.json")
    assert search.texts > 30


def test_what_fails_within_is_told_without_its_reason(
    address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The reason is in the log, redacted: aiohttp's own logger knows no keys."""

    def broken(*_: object) -> None:
        raise RuntimeError(f"cannot keep {APP_SECRET}")

    monkeypatch.setattr("cartoonize_pack.utils.added_profiles.put", broken)
    words = problem(put(address), 500)
    assert words == "Internal error: RuntimeError. ComfyUI's log has the rest."
    assert "cannot keep [key]" in caplog.text
    assert not Search().look("log", caplog.text)


# How the routes get there


def test_loading_the_pack_adds_all_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods and paths are a contract with the page; a second copy of the pack adds nothing."""
    routes = web.RouteTableDef()
    monkeypatch.setitem(sys.modules, "server", in_comfyui(routes))
    for name in ("cartoonize_pack_with_routes", "cartoonize_pack_again"):
        pack.load(name)
        for module in [module for module in sys.modules if module.partition(".")[0] == name]:
            monkeypatch.delitem(sys.modules, module)
    found = [(route.method, route.path) for route in routes if isinstance(route, web.RouteDef)]
    assert sorted(found) == sorted(
        [
            ("GET", f"{PREFIX}/pictures/{{name}}"),
            ("GET", f"{PREFIX}/overview"),
            ("POST", f"{PREFIX}/profiles/{{name}}/test"),
            ("POST", f"{PREFIX}/hosts/{{name}}/test"),
            ("PUT", f"{PREFIX}/profiles/{{name}}"),
            ("DELETE", f"{PREFIX}/profiles/{{name}}"),
        ]
    )
    web.Application().add_routes(routes)


def test_where_comfyui_listens_is_asked_of_comfyui(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several addresses stand in one argument; an empty one is all of them."""
    for given, expected in (("127.0.0.1", ("127.0.0.1",)), ("0.0.0.0,::", ("0.0.0.0", "::")), ("", ("",))):
        listening(monkeypatch, given)
        assert _comfy.listens_at() == expected
    monkeypatch.setitem(sys.modules, "comfy.cli_args", None)
    assert _comfy.listens_at() == ()
