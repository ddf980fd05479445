"""The service against its own description, and against requests that somebody has damaged.

Schemathesis reads /openapi.json and makes requests that it allows, and ones that it does not allow. How long all of
this searches is said in fuzzing.py; nothing is fetched meanwhile, because nobody draws. What was found is kept in
tests/corpus/service, as requests byte by byte ({pair} is the right Authorization) with the statuses that are right.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cartoonize_pack.utils.secret import Secret
from cartoonize_pack.utils.service.limits import ServiceLimits
from cartoonize_pack.utils.service.openapi import description
from cartoonize_pack.utils.service.server import Options, Server
from fuzzing import edited, kept, tries
from hypothesis import given
from hypothesis import strategies as st
from serve_process import KEYS
from test_service import call
from wire import AUTHORIZATION, HOST, Wire, check_refusal, get, post

EVERYTHING = 10**9
PAIR = AUTHORIZATION.removeprefix(b"Authorization: ").strip()
CHECKS = {
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    "negative_data_rejection", "positive_data_acceptance", "unsupported_method", "ignored_auth",
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that takes everything, quickly ends what rests, and draws nothing."""
    limits = ServiceLimits(
        max_queued_images=EVERYTHING, requests_per_s=EVERYTHING, burst=EVERYTHING,
        max_connections=1000, max_connections_each=1000, head_s=0.5, body_s=0.5, idle_s=0.5,
    )  # fmt: skip
    key, secret = Secret(KEYS[0]), Secret(KEYS[1])
    server = Server(Options(tmp_path_factory.mktemp("home"), app_key=key, app_secret=secret, workers=1, limits=limits))
    server._workers.start = lambda: None  # type: ignore[method-assign]
    server.start()
    yield server
    server.stop()


def test_the_description_is_what_is_served(server: Server) -> None:
    """To everybody, because it is no secret how to ask."""
    reply = call("GET", f"{server.base_url}/openapi.json", auth=None)
    assert reply.json() == json.loads(json.dumps(description()))


def test_the_service_keeps_to_its_own_description(server: Server) -> None:
    """All checks of schemathesis, on every operation: what is allowed is accepted, all else is refused as described."""
    schemathesis = pytest.importorskip("schemathesis")
    from schemathesis.config import SchemathesisConfig
    from schemathesis.engine import events, from_schema

    search = tries(10)
    settings = {
        "seed": 1,
        "continue-on-failure": True,
        "generation": {"max-examples": search.max_examples, "deterministic": search.derandomize, "database": "none"},
        "auth": {"basic": {"username": KEYS[0], "password": KEYS[1]}},
        # a body that is too large is refused for that, whatever else is wrong with it
        "checks": {"negative_data_rejection": {"expected-statuses": [400, 401, 404, 405, 413]}},
    }
    if not search.derandomize:
        del settings["seed"]
    schema = schemathesis.openapi.from_url(
        f"{server.base_url}/openapi.json", config=SchemathesisConfig.from_dict(settings)
    )
    wrong: list[str] = []
    checks, statuses = Counter[str](), Counter[int]()
    for event in from_schema(schema).execute():
        if isinstance(event, (events.NonFatalError, events.FatalError)):
            wrong.append(str(event.__dict__ if hasattr(event, "__dict__") else event))
        if not isinstance(event, events.ScenarioFinished):
            continue
        for nodes in event.recorder.checks.values():
            for node in nodes:
                checks[node.name] += 1
                if node.failure_info is not None:
                    wrong.append(f"{event.label}: {node.failure_info.failure}\n{node.failure_info.code_sample}")
        statuses += Counter(
            interaction.response.status_code
            for interaction in event.recorder.interactions.values()
            if interaction.response is not None
        )
    assert wrong == []
    assert checks.keys() >= CHECKS
    assert statuses.keys() >= {200, 400, 401, 404, 405}
    assert max(statuses) < 500
    assert call("GET", f"{server.base_url}/openapi.json").status_code == 200


BODY = json.dumps({"images": ["https://a.test/b.png?c=d", "http://[2001:db8::1]:81/e.jpg"], "priority": 3}).encode()
_CHUNKS = b"%x\r\n%b\r\n%x;name=value\r\n%b\r\n0\r\nTrailer: x\r\n\r\n" % (20, BODY[:20], len(BODY) - 20, BODY[20:])
REQUESTS = [
    post(b"/v1/anime/batch", BODY, AUTHORIZATION, b"Content-Type: application/json\r\n"),
    post(b"/v1/manga/batch", BODY, AUTHORIZATION, b"Accept: */*\r\nUser-Agent: x\r\n") * 2,
    post(b"/v1/anime/batch", BODY, AUTHORIZATION, b"Expect: 100-continue\r\nConnection: close\r\n"),
    b"POST /v1/anime/batch HTTP/1.1\r\n" + HOST + AUTHORIZATION + b"Transfer-Encoding: chunked\r\n\r\n" + _CHUNKS,
    get(b"/v1/anime/result/6a4eab77-be30-430a-bf0e-3048042a34ef?x=y", AUTHORIZATION, b"Cookie: a=b\r\n"),
    get(b"http://127.0.0.1:80/v1/anime/result/%C3%A9", AUTHORIZATION),
    get(b"/files/" + b"a" * 43 + b".png", b"Range: bytes=0-99\r\nIf-None-Match: \"x\"\r\n"),
    get(b"/openapi.json", b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n") * 3,
    b"HEAD /openapi.json HTTP/1.0\r\n\r\n",
]  # fmt: skip


@tries(6)
@given(requests=st.lists(edited(REQUESTS), min_size=25, max_size=25))
def test_a_damaged_request_is_no_error_of_the_service(server: Server, requests: list[bytes]) -> None:
    """Bytes changed, left out, repeated, put in and cut: whatever comes of it, others are served."""
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(server.base_url)) for _ in requests]
        for wire, data in zip(wires, requests, strict=True):
            wire.send(data)
        answers = [wire.read() for wire in wires]
    for data, answer in zip(requests, answers, strict=True):
        assert not any(answer.startswith(b"HTTP/%b 5" % version) for version in (b"0.9", b"1.0", b"1.1")), data
        assert b"\nHTTP/1.1 5" not in answer, data
        assert b"Traceback" not in answer, data
    assert call("GET", f"{server.base_url}/v1/anime/result/x").status_code == 404


def _rows() -> Iterator[Any]:
    for parameter in kept("service"):
        (path,) = parameter.values
        is_reported = json.loads(path.read_text("utf-8")).get("reported", False)
        marks = [pytest.mark.xfail(reason="reported", strict=True)] if is_reported else []
        yield pytest.param(path, id=path.stem, marks=marks)


@pytest.mark.parametrize("path", list(_rows()))
def test_what_was_found_stays_mended(server: Server, path: Path) -> None:
    """Each file is a request, how it was found, and what may be answered."""
    row = json.loads(path.read_text("utf-8"))
    with Wire(server.base_url) as wire:
        reply = wire.send(row["request"].encode().replace(b"{pair}", PAIR)).reply()
    assert reply is not None
    assert reply.status in row["statuses"]
    if reply.headers["Content-Type"].startswith("application/json") and reply.status != 200:
        check_refusal(reply.status, reply.headers, reply.data)
