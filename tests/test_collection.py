"""Finished tasks -> pictures in input order: against a real local server, a real journal and a real results store."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cartoonize_pack.utils import collection as collection_module
from cartoonize_pack.utils import pictures as pictures_module
from cartoonize_pack.utils.addresses import Policy
from cartoonize_pack.utils.backend import Backend
from cartoonize_pack.utils.collection import collect
from cartoonize_pack.utils.config import Config, Profile, Secret
from cartoonize_pack.utils.errors import (
    Cancelled,
    CartoonizeError,
    ContractError,
    DeadlineError,
    InputError,
    ServiceError,
    TaskFailedError,
)
from cartoonize_pack.utils.hosting.uploads import Uploads
from cartoonize_pack.utils.images import Header
from cartoonize_pack.utils.journal import Journal
from cartoonize_pack.utils.monitor import Monitor, Progress
from cartoonize_pack.utils.outcomes import Collection, OnFailure, Outcome, settle
from cartoonize_pack.utils.records import State
from cartoonize_pack.utils.references import TaskRef, parse_references
from cartoonize_pack.utils.report import write_report
from cartoonize_pack.utils.results import ResultStore
from cartoonize_pack.utils.work import Work
from PIL import Image
from pytest_httpserver import HTTPServer
from sample_outcomes import filled, png, sizes, values
from werkzeug import Request, Response

PRIVATE = "https://10.11.12.13/a.png"  # an address of a local network, refused before anything is sent
FAILED = {"image_result": "", "status": "4", "reason": "no face found"}


def half_a_picture() -> bytes:
    """The first half of a file whose pixels do not compress."""
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(7).integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(stream, "PNG")
    return stream.getvalue()[:1500]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The state folder."""
    return tmp_path / "home"


@pytest.fixture
def backend(api: HTTPServer, home: Path) -> Backend:
    """A profile of the scripted service, whose own address is the one exception to public addresses."""
    base = api.url_for("/").rstrip("/")
    profile = Profile(
        "test",
        create_url=f"{base}/batch",
        result_url=f"{base}/result/{{task_id}}",
        app_key=Secret("key"),
        app_secret=Secret("secret"),
        allow_http=True,
    )
    policy = Policy(allow_http=True, own_address=base)
    uploads = Uploads(Config(home, {}, profile.name))
    return Backend(profile, policy, Journal(home), ResultStore(home, 10**9), uploads)


def reopened(backend: Backend, home: Path) -> Backend:
    """The same backend as another process has it."""
    return replace(backend, journal=Journal(home), results=ResultStore(home, 10**9))


def submitted(backend: Backend, task_id: str, images: int) -> None:
    """Let the journal know a task of so many images."""
    links = tuple(f"https://p.example/{task_id}/{n}.png?signature=hunter2" for n in range(1, images + 1))
    work = Work(links, tuple(range(1, images + 1)), hashlib.sha256(task_id.encode()).hexdigest())
    backend.journal.settle(backend.journal.begin(work, backend.profile, 0), task_id)


def answers(api: HTTPServer, task_id: str, *items: object, status: object = "3", **more: object) -> None:
    """Answer one question about a task like this."""
    data = {"status": status, "wait_time": "0", "list": list(items)}
    api.expect_oneshot_request(f"/result/{task_id}", method="GET").respond_with_json(
        {"code": 0, "msg": "", "data": data, **more}
    )


def in_progress(api: HTTPServer, task_id: str) -> None:
    """Answer every question about a task like this, until `answers` says something else."""
    data = {"status": "2", "wait_time": "30"}
    api.expect_request(f"/result/{task_id}", method="GET").respond_with_json({"code": 0, "data": data})


def picture_at(api: HTTPServer, path: str, data: bytes, status: int = 200, content_type: str = "image/png") -> str:
    """A link of the service behind which this lies."""
    api.expect_request(path).respond_with_data(data, status=status, content_type=content_type)
    return f"{api.url_for(path)}?signature=hunter2"


def result(api: HTTPServer, path: str, value: int) -> dict[str, str]:
    """A finished picture of one colour, as an entry of an answer."""
    return {"image_result": picture_at(api, path, png(value)), "status": "3", "reason": ""}


def asked(api: HTTPServer) -> list[str]:
    """The paths of all requests so far."""
    return [request.path for request, _ in api.log]


def collected(backend: Backend, *rows: str, timeout_s: float = 5.0, monitor: Monitor | None = None) -> Collection:
    """What collect() makes of these tasks, given as people paste them."""
    return collect(backend, parse_references(rows), timeout_s=timeout_s, monitor=monitor or Monitor())


def gather(backend: Backend, *rows: str, timeout_s: float = 5.0, monitor: Monitor | None = None) -> list[Outcome]:
    """The outcomes of these tasks, all of which are assigned."""
    collection = collected(backend, *rows, timeout_s=timeout_s, monitor=monitor)
    assert collection.unassigned == ()
    return list(collection.outcomes)


def gather_all(backend: Backend, *rows: str) -> list[Outcome]:
    """The outcomes of these tasks, and behind them what belongs to nobody."""
    collection = collected(backend, *rows)
    return [*collection.outcomes, *collection.unassigned]


def colours(outcomes: list[Outcome] | tuple[Outcome, ...]) -> list[int | None]:
    """The colour of each picture, None where there is none."""
    return values([outcome.picture for outcome in outcomes])


def stored(home: Path) -> list[Path]:
    """Every file of the results store."""
    return sorted(path for path in (home / "results").rglob("*") if path.is_file())


# One task


def test_every_picture_of_a_finished_task_is_fetched_in_order(api: HTTPServer, backend: Backend) -> None:
    """Pixels, sizes, links and states of each; progress ends at the end."""
    links = [picture_at(api, f"/r/{i}.png", png(10 * i, width=6 + i)) for i in (1, 2)]
    answers(api, "t1", *[{"image_result": link, "status": "3", "reason": ""} for link in links])
    monitor = Monitor()
    outcomes = gather(backend, "t1", monitor=monitor)
    assert [(o.task_id, o.index, o.status, o.reason, o.url) for o in outcomes] == [
        ("t1", 0, "complete", "", links[0]),
        ("t1", 1, "complete", "", links[1]),
    ]
    assert sizes([o.picture for o in outcomes]) == [(7, 4), (8, 4)]
    assert colours(outcomes) == [10, 20]
    assert (monitor.progress.done, monitor.progress.total) == (2, 2)


def test_every_picture_is_kept_as_the_bytes_that_came(api: HTTPServer, backend: Backend, home: Path) -> None:
    """The outcome names the file, relative to the state folder."""
    answers(api, "t1", result(api, "/r/1.png", 10), FAILED, result(api, "/r/3.png", 30))
    first, failed, third = gather(backend, "t1")
    assert (home / first.file).read_bytes() == png(10)
    assert (home / third.file).read_bytes() == png(30)
    assert failed.file == ""
    assert len(stored(home)) == 2


def test_an_outcome_names_the_submitted_link_where_the_journal_knows_it(api: HTTPServer, backend: Backend) -> None:
    """Without its query; a task of another machine has none."""
    submitted(backend, "t1", 2)
    answers(api, "t1", result(api, "/r/1.png", 10), FAILED)
    answers(api, "t2", result(api, "/r/2.png", 20))
    assert [o.link for o in gather(backend, "t1", "t2")] == [
        "https://p.example/t1/1.png",
        "https://p.example/t1/2.png",
        "",
    ]


def test_the_key_pair_goes_to_the_service_and_not_to_the_result_links(api: HTTPServer, backend: Backend) -> None:
    """Results lie with somebody else."""
    answers(api, "t1", result(api, "/r/1.png", 10))
    gather(backend, "t1")
    sent = {request.path: request.headers.get("Authorization", "") for request, _ in api.log}
    assert sent["/result/t1"].startswith("Basic ")
    assert sent["/r/1.png"] == ""


def test_a_task_is_watched_until_it_is_done(api: HTTPServer, backend: Backend) -> None:
    """In progress, then complete."""
    link = picture_at(api, "/r/1.png", png(10))
    answers(api, "t1", status="2")
    answers(api, "t1", {"image_result": link})
    (outcome,) = gather(backend, "t1")
    assert outcome.picture is not None
    assert outcome.status == "complete"


def test_a_picture_that_failed_keeps_its_place_and_its_reason(api: HTTPServer, backend: Backend) -> None:
    """Its neighbours are fetched."""
    links = [picture_at(api, f"/r/{i}.png", png(10 * i)) for i in (1, 3)]
    answers(
        api,
        "t1",
        {"image_result": links[0], "status": "3"},
        FAILED,
        {"image_result": links[1], "status": "3"},
        {"status": 7},
        {"image_result": "", "status": "6"},
        {"image_result": links[0], "status": "5", "reason": "withdrawn"},
    )
    outcomes = gather(backend, "t1")
    assert [o.picture is not None for o in outcomes] == [True, False, True, False, False, False]
    assert [o.index for o in outcomes] == [0, 1, 2, 3, 4, 5]
    assert (outcomes[1].status, outcomes[1].reason) == ("failed", "no face found")
    assert "7" in outcomes[3].reason
    assert outcomes[4].reason == "no result (timed out)"
    assert (outcomes[5].status, outcomes[5].reason) == ("closed", "withdrawn")


@pytest.mark.parametrize(
    ("item", "task_status", "may_retry"),
    [
        ({"image_result": "", "status": "4"}, "3", True),
        ({"image_result": None, "status": "6"}, "3", True),
        ({"status": 7}, "3", True),
        ({"image_result": ""}, "4", True),
        ({"image_result": "", "status": "3"}, "3", False),
        ({"image_result": "", "status": "5"}, "3", False),
        ({"image_result": "", "status": "5"}, "4", False),
        ({"image_result": "", "status": "4"}, "5", False),
    ],
    ids=[
        "failed",
        "timed out",
        "undocumented",
        "no word",
        "complete without a link",
        "closed",
        "closed, of a failed task",
        "closed task",
    ],
)
def test_only_what_the_service_ended_without_a_result_may_be_tried_again(
    api: HTTPServer, backend: Backend, item: object, task_status: str, may_retry: bool
) -> None:
    """What it calls complete or closed may have been charged."""
    answers(api, "t1", item, status=task_status)
    (outcome,) = gather(backend, "t1")
    assert outcome.may_retry is may_retry
    assert outcome.reason


@pytest.mark.parametrize("status", ["4", "5", "6"])
def test_a_failed_task_with_a_list_gives_the_reasons_of_its_pictures(
    api: HTTPServer, backend: Backend, status: str
) -> None:
    """One outcome a picture, so that the policy can decide."""
    answers(api, "t1", {"status": "4", "reason": "too dark"}, {"status": "4", "reason": "no face"}, status=status)
    assert [(o.reason, o.picture) for o in gather(backend, "t1")] == [("too dark", None), ("no face", None)]


@pytest.mark.parametrize("status", [7, "99", 0, -1])
def test_an_undocumented_status_of_a_task_is_final_and_its_pictures_are_had(
    api: HTTPServer, backend: Backend, status: object
) -> None:
    """Waiting for ever would be worse; what has no result says which status it was."""
    answers(api, "t1", {"image_result": picture_at(api, "/r/1.png", png(10))}, {"image_result": None}, status=status)
    first, second = gather(backend, "t1")
    assert first.picture is not None
    assert f"undocumented status {status}" in second.reason
    assert second.may_retry


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("4", "failed"),
        ("5", "closed"),
        ("6", "timed out"),
        ("3", "complete"),
        (7, "undocumented status 7"),
        (0, "undocumented status 0"),
    ],
)
def test_a_task_that_ends_without_pictures_is_an_error(
    api: HTTPServer, backend: Backend, status: object, words: str
) -> None:
    """Task, state, the service's words, what is known of the charge, and the next step."""
    answers(api, "t1", status=status, msg="insufficient balance")
    with pytest.raises(TaskFailedError) as caught:
        gather(backend, "t1")
    for expected in ("t1", f"without pictures: {words}", "insufficient balance", "charged", "variation"):
        assert expected in str(caught.value)


@pytest.mark.parametrize("data", [{"status": 4}, {"status": 4, "list": None}], ids=["missing", "null"])
def test_a_failed_task_with_no_list_at_all_is_the_same_error(
    api: HTTPServer, backend: Backend, data: dict[str, object]
) -> None:
    """Services leave the list out on failure."""
    api.expect_ordered_request("/result/t1").respond_with_json({"code": 0, "data": data})
    with pytest.raises(TaskFailedError, match=r"t1 ended without pictures: failed\. Whether"):
        gather(backend, "t1")


@pytest.mark.parametrize(
    ("status", "items", "state"),
    [
        ("3", [{"image_result": PRIVATE, "status": "3"}], State.DONE),
        ("3", [FAILED], State.DONE),
        ("3", [], State.ACCEPTED),
        ("4", [FAILED], State.FAILED),
        ("4", [], State.FAILED),
        ("6", [], State.FAILED),
        ("5", [], State.DONE),
    ],
)
def test_the_journal_learns_how_a_task_ended(
    api: HTTPServer, backend: Backend, status: str, items: list[object], state: State
) -> None:
    """Only what failed may be sent again by itself: not what is merely not fetched, nor what may yet be listed."""
    submitted(backend, "t1", 1)
    answers(api, "t1", *items, status=status)
    gather(backend, "t1")
    (record,) = backend.journal.submissions()
    assert record.state is state


# Links


@pytest.mark.parametrize(
    ("data", "http_status", "words"),
    [
        (b"gone", 404, "HTTP 404"),
        (b"expired", 403, "HTTP 403"),
        (b"gone", 410, "may have expired"),
        (b"<html>Sign in</html>", 200, "not a picture"),
        (b"", 200, "is empty"),
        (half_a_picture(), 200, "damaged or cut short"),
    ],
    ids=["expired 404", "expired 403", "expired 410", "a web page", "nothing", "cut short"],
)
def test_a_result_that_cannot_be_fetched_does_not_cost_the_others(
    api: HTTPServer, backend: Backend, data: bytes, http_status: int, words: str
) -> None:
    """It is finished and paid for: the reason says so and how to go on, and shows no signature."""
    bad, good = picture_at(api, "/r/1.png", data, http_status), picture_at(api, "/r/2.png", png(20))
    answers(api, "t1", {"image_result": bad, "status": "3"}, {"image_result": good, "status": "3"})
    first, second = gather(backend, "t1")
    assert first.picture is None
    assert first.status == "complete"
    assert first.url == bad
    assert not first.may_retry
    for expected in ("finished, but not downloaded", words, "'tasks resume t1'", "costs nothing more"):
        assert expected in first.reason
    assert "hunter2" not in first.reason
    assert second.picture is not None


@pytest.mark.parametrize(
    "data", [b"<html>Sign in</html>", b"", half_a_picture()], ids=["a web page", "nothing", "cut short"]
)
def test_what_is_no_whole_picture_is_not_kept(api: HTTPServer, backend: Backend, home: Path, data: bytes) -> None:
    """The next run asks for a fresh link, and gets the picture."""
    answers(api, "t1", {"image_result": picture_at(api, "/r/1.png", data)})
    assert colours(gather(backend, "t1")) == [None]
    assert stored(home) == []
    answers(api, "t1", result(api, "/r/fresh.png", 10))
    assert colours(gather(backend, "t1")) == [10]
    assert len(stored(home)) == 1


def test_a_picture_that_cannot_be_fetched_takes_nothing_from_another_process(
    api: HTTPServer, backend: Backend, home: Path
) -> None:
    """It may have had more luck with the same picture at the same moment: the next run finds that."""

    def gone_here_but_not_there(request: Request) -> Response:
        there = reopened(backend, home)
        there.results.put(there.profile.task_address, "t1", 0, png(10), Header("PNG", 6, 4))
        return Response("", status=404)

    api.expect_request("/r/1.png").respond_with_handler(gone_here_but_not_there)
    answers(api, "t1", {"image_result": api.url_for("/r/1.png"), "status": "3"})
    assert colours(gather(backend, "t1")) == [None]
    assert len(stored(home)) == 1
    assert colours(gather(backend, "t1")) == [10]
    assert asked(api) == ["/result/t1", "/r/1.png"]


def test_a_damaged_picture_takes_nothing_from_another_process(api: HTTPServer, backend: Backend, home: Path) -> None:
    """What came damaged is not kept, what somebody else stored whole is."""

    def half_here_but_whole_there(request: Request) -> Response:
        there = reopened(backend, home)
        there.results.put(there.profile.task_address, "t1", 0, png(10), Header("PNG", 6, 4))
        return Response(half_a_picture(), content_type="image/png")

    api.expect_request("/r/1.png").respond_with_handler(half_here_but_whole_there)
    answers(api, "t1", {"image_result": api.url_for("/r/1.png"), "status": "3"})
    assert colours(gather(backend, "t1")) == [None]
    assert [path.read_bytes() for path in stored(home)] == [png(10)]


def test_a_picture_that_is_too_large_for_this_version_is_kept(
    api: HTTPServer, backend: Backend, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is whole and paid for: it is not fetched at every run, and a version that can read it has it."""
    answers(api, "t1", result(api, "/r/1.png", 10), {"image_result": picture_at(api, "/r/2.png", png(20, 3, 4))})
    with monkeypatch.context() as patch:
        patch.setattr(collection_module, "MAX_PIXELS", 6 * 4 - 1)
        for _ in range(2):
            first, second = gather(backend, "t1")
            assert first.picture is None
            assert "result 1" in first.reason
            assert not first.may_retry
            assert colours([second]) == [20]
            assert len(stored(home)) == 2
    assert colours(gather(reopened(backend, home), "t1")) == [10, 20]
    assert sorted(asked(api)) == ["/r/1.png", "/r/2.png", "/result/t1"]


@pytest.mark.parametrize(
    "link",
    [
        PRIVATE,
        "ftp://r.example/a.png",
        "a.png",
        "file:///etc/passwd",
        "https://me:word@r.example/a.png",
        "https://[r.example/a.png",
        "https://10.11.12.13:99999/a.png",
        "https://10.11.12.13:web/a.png",
    ],
)
def test_a_link_that_must_not_or_cannot_be_fetched_does_not_cost_the_others(
    api: HTTPServer, backend: Backend, link: str
) -> None:
    """Whatever the service writes into one link, the other pictures arrive."""
    answers(api, "t1", {"image_result": link}, result(api, "/r/2.png", 20))
    first, second = gather(backend, "t1")
    assert first.picture is None
    assert "not downloaded" in first.reason
    assert second.picture is not None


def test_a_blip_in_a_download_is_tried_again(
    api: HTTPServer, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The picture is paid for; one bad answer does not cost it."""
    monkeypatch.setattr(pictures_module, "DOWNLOAD_RETRY_WAITS_S", (0.0, 0.0))
    for status in (503, 500):
        api.expect_oneshot_request("/r/1.png").respond_with_data("", status=status)
    answers(api, "t1", result(api, "/r/1.png", 10))
    (outcome,) = gather(backend, "t1")
    assert outcome.picture is not None


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_result_that_is_gone_is_asked_for_once(api: HTTPServer, backend: Backend, status: int) -> None:
    """Asking again would not help."""
    answers(api, "t1", {"image_result": picture_at(api, "/r/1.png", b"", status=status), "status": "3"})
    (outcome,) = gather(backend, "t1")
    assert f"HTTP {status}" in outcome.reason
    assert asked(api).count("/r/1.png") == 1


# Once is enough


@pytest.mark.parametrize("images", [None, 3], ids=["task of another machine", "task of the journal"])
def test_a_finished_task_is_not_asked_about_again(
    api: HTTPServer, backend: Backend, home: Path, images: int | None
) -> None:
    """Its answer and its pictures are here: no request at all, also after a restart."""
    if images:
        submitted(backend, "t1", images)
    answers(api, "t1", result(api, "/r/1.png", 10), FAILED, result(api, "/r/3.png", 30))
    first = gather(backend, "t1")
    requests = len(api.log)
    for again in (gather(backend, "t1"), gather(reopened(backend, home), "t1")):
        assert colours(again) == [10, None, 30]
        assert [replace(o, picture=None, url="") for o in again] == [replace(o, picture=None, url="") for o in first]
        assert [o.url for o in again] == [o.url.partition("?")[0] for o in first]
    assert len(api.log) == requests == 3


@pytest.mark.parametrize(
    ("images", "first"),
    [(None, []), (2, []), (2, ["/r/1.png"])],
    ids=["empty list, task of another machine", "empty list", "short list"],
)
def test_a_complete_task_whose_list_is_short_is_asked_once_more(
    api: HTTPServer, backend: Backend, home: Path, images: int | None, first: list[str]
) -> None:
    """Some services call a task complete before its list is: the next run has the rest, and then it is remembered."""
    if images:
        submitted(backend, "t1", images)
    answers(api, "t1", *[result(api, path, 10) for path in first], status="3")
    if images:
        assert colours(gather_all(backend, "t1")) == [None, None, *[10 for _ in first]]
        assert [record.state for record in backend.journal.submissions()] == [State.ACCEPTED]
    else:
        with pytest.raises(TaskFailedError, match="t1 ended without pictures: complete"):
            gather(backend, "t1")
    answers(api, "t1", result(api, "/r/1.png", 10), result(api, "/r/2.png", 20))
    assert colours(gather(reopened(backend, home), "t1")) == [10, 20]
    before = len(api.log)
    assert colours(gather(backend, "t1")) == [10, 20]
    assert len(api.log) == before
    if images:
        assert [record.state for record in backend.journal.submissions()] == [State.DONE]


def test_results_of_a_short_list_are_not_taken_for_those_of_the_whole_one(
    api: HTTPServer, backend: Backend, home: Path
) -> None:
    """Which is whose was not known: the second of two may turn out to be the third of three, somebody else's face."""
    submitted(backend, "t1", 3)
    answers(api, "t1", result(api, "/r/1.png", 10), result(api, "/r/3.png", 30))
    collection = collected(backend, "t1")
    assert colours(collection.outcomes) == [None, None, None]
    assert colours(collection.unassigned) == [10, 30]
    answers(api, "t1", *[result(api, f"/r/{n}.png", 10 * n) for n in (1, 2, 3)])
    assert colours(gather(reopened(backend, home), "t1")) == [10, 20, 30]
    assert colours(gather(backend, "t1")) == [10, 20, 30]


def test_a_retry_whose_list_is_short_is_asked_once_more(api: HTTPServer, backend: Backend) -> None:
    """Its line says how many images it was for, also on another machine."""
    answers(api, "t1", FAILED, FAILED)
    answers(api, "r1", result(api, "/r/1.png", 10))
    assert colours(collected(backend, "t1", "r1@1,2").outcomes) == [None, None]
    answers(api, "r1", result(api, "/r/1.png", 10), result(api, "/r/2.png", 20))
    assert colours(gather(backend, "t1", "r1@1,2")) == [10, 20]


@pytest.mark.parametrize("status", ["4", "5", "6", 7])
def test_a_failed_task_is_not_asked_about_again(api: HTTPServer, backend: Backend, home: Path, status: object) -> None:
    """Its error is the same, word for word, also after a restart."""
    answers(api, "t1", status=status, msg="see https://r.example/help?signature=hunter2")
    texts = []
    for opened in (backend, backend, reopened(backend, home)):
        with pytest.raises(TaskFailedError) as caught:
            gather(opened, "t1")
        texts.append(str(caught.value))
    assert texts[0] == texts[1] == texts[2]
    assert "hunter2" not in texts[0]
    assert asked(api) == ["/result/t1"]


def test_a_task_in_progress_is_asked_about_again(api: HTTPServer, backend: Backend) -> None:
    """Only a final answer is remembered."""
    in_progress(api, "t1")
    with pytest.raises(DeadlineError):
        gather(backend, "t1", timeout_s=0.01)
    answers(api, "t1", result(api, "/r/1.png", 10))
    assert colours(gather(backend, "t1")) == [10]


def test_another_service_is_asked_about_a_task_of_the_same_id(api: HTTPServer, backend: Backend) -> None:
    """Ids of two services have nothing to do with each other."""
    answers(api, "t1", result(api, "/r/1.png", 10))
    gather(backend, "t1")
    other = replace(backend, profile=replace(backend.profile, result_url=api.url_for("/other/{task_id}")))
    data = {"status": 3, "list": [result(api, "/r/2.png", 20)]}
    api.expect_oneshot_request("/other/t1").respond_with_json({"code": 0, "data": data})
    assert colours(gather(other, "t1")) == [20]
    assert colours(gather(backend, "t1")) == [10]


@pytest.mark.parametrize(
    "harm", [lambda path: path.write_bytes(b"damaged"), lambda path: path.unlink()], ids=["damaged", "deleted"]
)
def test_a_picture_that_is_damaged_or_deleted_is_fetched_anew(
    api: HTTPServer, backend: Backend, home: Path, harm: Callable[[Path], object]
) -> None:
    """The service is asked once, for a fresh link: the journal's has no query; the others stay as they are."""
    answers(api, "t1", *[result(api, f"/r/{n}.png", 10 * n) for n in (1, 2, 3)])
    outcomes = gather(backend, "t1")
    harm(home / outcomes[1].file)
    before = len(api.log)
    answers(api, "t1", *[result(api, f"/fresh/{n}.png", 10 * n) for n in (1, 2, 3)])
    again = gather(reopened(backend, home), "t1")
    assert colours(again) == [10, 20, 30]
    assert [o.reason for o in again] == ["", "", ""]
    assert asked(api)[before:] == ["/result/t1", "/fresh/2.png"]
    assert api.log[-1][0].query_string == b"signature=hunter2"
    assert colours(gather(backend, "t1")) == [10, 20, 30]
    assert len(api.log) == before + 2


GONE_ANSWERS: dict[str, tuple[int, dict[str, object]]] = {
    "unknown by now": (404, {"msg": "no such task"}),
    "closed": (200, {"code": 0, "data": {"status": "5", "list": []}}),
    "closed, with empty links": (200, {"code": 0, "data": {"status": "5", "list": [{"status": "5"}, {"status": "5"}]}}),
    "another number of results": (200, {"code": 0, "data": {"status": "3", "list": [{"image_result": PRIVATE}]}}),
    "refused": (200, {"code": 490027, "msg": "the account is closed"}),
    "nonsense": (200, {"code": "x"}),
}


def one_lost_one_kept(api: HTTPServer, backend: Backend, home: Path, name: str) -> tuple[list[Outcome], list[Outcome]]:
    """The outcomes of two finished pictures, and those after the first was damaged and the service answers so."""
    answers(api, "t1", result(api, "/r/1.png", 10), result(api, "/r/2.png", 20))
    before = gather(backend, "t1")
    (home / before[0].file).write_bytes(b"damaged")
    status, answer = GONE_ANSWERS[name]
    api.expect_oneshot_request("/result/t1").respond_with_json(answer, status=status)
    return before, gather(backend, "t1")


@pytest.mark.parametrize("images", [None, 2], ids=["task of another machine", "task of the journal"])
@pytest.mark.parametrize("name", list(GONE_ANSWERS))
def test_a_damaged_picture_that_the_service_has_no_more_is_reported(
    api: HTTPServer, backend: Backend, home: Path, name: str, images: int | None
) -> None:
    """With a reason, never as one to submit again by itself; nothing is fetched over links that are not its own."""
    if images:
        submitted(backend, "t1", images)
    _, (lost, kept) = one_lost_one_kept(api, backend, home, name)
    assert lost.picture is None
    assert lost.status == "complete"
    assert "not kept here any more" in lost.reason
    assert not lost.may_retry
    assert colours([kept]) == [20]
    assert asked(api)[3:] == ["/result/t1"]


@pytest.mark.parametrize("name", list(GONE_ANSWERS))
def test_a_kept_picture_is_delivered_as_before_beside_one_that_is_gone(
    api: HTTPServer, backend: Backend, home: Path, name: str
) -> None:
    """It has no reason to show, and its link stays."""
    (_, before), (_, kept) = one_lost_one_kept(api, backend, home, name)
    assert (kept.status, kept.reason, kept.file) == ("complete", "", before.file)
    assert kept.url == before.url.partition("?")[0]


def test_a_damaged_picture_whose_fresh_link_is_dead_is_reported(api: HTTPServer, backend: Backend, home: Path) -> None:
    """The others are delivered; it may still be had another day."""
    answers(api, "t1", result(api, "/r/1.png", 10), result(api, "/r/2.png", 20))
    (home / gather(backend, "t1")[0].file).write_bytes(b"damaged")
    dead = {"image_result": picture_at(api, "/dead/1.png", b"", status=404)}
    answers(api, "t1", dead, result(api, "/r/2.png", 20))
    lost, kept = gather(backend, "t1")
    assert lost.picture is None
    assert "finished, but not downloaded" in lost.reason
    assert "HTTP 404" in lost.reason
    assert not lost.may_retry
    assert colours([kept]) == [20]


def test_a_partly_fetched_task_goes_on_with_what_is_missing(
    api: HTTPServer, backend: Backend, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept is not fetched twice; the service is asked once for fresh links."""
    monkeypatch.setattr(pictures_module, "DOWNLOAD_RETRY_WAITS_S", (0.0,))
    bad = picture_at(api, "/r/2.png", b"", status=503)
    answers(api, "t1", result(api, "/r/1.png", 10), {"image_result": bad}, result(api, "/r/3.png", 30))
    assert colours(gather(backend, "t1")) == [10, None, 30]
    before = len(api.log)
    answers(api, "t1", *[result(api, f"/fresh/{n}.png", 10 * n) for n in (1, 2, 3)])
    assert colours(gather(reopened(backend, home), "t1")) == [10, 20, 30]
    assert asked(api)[before:] == ["/result/t1", "/fresh/2.png"]


@pytest.mark.parametrize(("style", "state"), [("anime", State.FAILED), (None, State.ACCEPTED)])
def test_only_the_embedded_service_may_draw_a_forgotten_task_anew(
    api: HTTPServer, backend: Backend, style: str | None, state: State
) -> None:
    """There it costs nothing; a service that costs money may know the task under another profile."""
    backend = replace(backend, profile=replace(backend.profile, style=style))
    submitted(backend, "t1", 1)
    api.expect_oneshot_request("/result/t1").respond_with_json({"msg": "no such task"}, status=404)
    with pytest.raises(ServiceError, match="^Task t1: "):
        gather(backend, "t1")
    (record,) = backend.journal.submissions()
    assert record.state is state


# Several tasks


def test_several_tasks_are_merged_in_their_order(api: HTTPServer, backend: Backend) -> None:
    """One running index over all of them; each picture keeps its task."""
    items = [result(api, f"/r/{i}.png", 10 * i) for i in range(4)]
    answers(api, "b", *items[:2])
    answers(api, "a", {"status": "4", "reason": "too dark"})
    answers(api, "c", *items[2:])
    outcomes = gather(backend, "b", "a", "c")
    assert [path for path in asked(api) if "/result/" in path] == ["/result/b", "/result/a", "/result/c"]
    assert [(o.task_id, o.index) for o in outcomes] == [("b", 0), ("b", 1), ("a", 2), ("c", 3), ("c", 4)]
    assert colours(outcomes) == [0, 10, None, 20, 30]


def test_the_collection_names_its_tasks(api: HTTPServer, backend: Backend) -> None:
    """As they were given, so that a report can go on from them."""
    answers(api, "t1", FAILED)
    answers(api, "r1", result(api, "/r/1.png", 10))
    assert collected(backend, "t1", "r1@1").tasks == (TaskRef("t1"), TaskRef("r1", (1,)))


@pytest.mark.parametrize("got", [1, 3, 4])
def test_results_in_another_number_than_images_are_nobodys_and_shift_nobody(
    api: HTTPServer, backend: Backend, got: int
) -> None:
    """All images of that task are unknown, its results are handed on apart, and later tasks keep their places."""
    for task_id, images in (("t1", 1), ("t2", 2), ("t3", 1)):
        submitted(backend, task_id, images)
    answers(api, "t1", result(api, "/r/1.png", 10))
    answers(api, "t2", *[result(api, f"/x/{n}.png", 100 + n) for n in range(got)])
    answers(api, "t3", result(api, "/r/3.png", 30))
    collection = collected(backend, "t1", "t2", "t3")
    assert colours(collection.outcomes) == [10, None, None, 30]
    assert [(o.task_id, o.index, o.status) for o in collection.outcomes] == [
        ("t1", 0, "complete"),
        ("t2", 1, "unknown"),
        ("t2", 2, "unknown"),
        ("t3", 3, "complete"),
    ]
    reason = collection.outcomes[1].reason
    assert f"{got} result" in reason
    assert "2 images" in reason
    assert not any(o.may_retry for o in collection.outcomes)
    assert colours(collection.unassigned) == [100 + n for n in range(got)]
    assert {o.task_id for o in collection.unassigned} == {"t2"}
    assert all(o.file for o in collection.unassigned)
    assert len(json.loads(write_report(collection, "test", None))["unassigned"]) == got


def test_as_many_results_as_a_task_of_another_machine_has_are_its_images(api: HTTPServer, backend: Backend) -> None:
    """Nothing is known that would speak against it."""
    answers(api, "t1", *[result(api, f"/r/{n}.png", n) for n in range(3)])
    assert colours(gather(backend, "t1")) == [0, 1, 2]


@pytest.mark.parametrize(("status", "may_retry"), [("4", True), ("6", True), ("3", False), ("5", False), (7, True)])
def test_a_known_task_that_ended_with_an_empty_list_failed_for_each_of_its_images(
    api: HTTPServer, backend: Backend, status: object, may_retry: bool
) -> None:
    """They keep their places, so that skip and original work."""
    submitted(backend, "t1", 2)
    submitted(backend, "t2", 1)
    answers(api, "t1", status=status, msg="insufficient balance")
    answers(api, "t2", result(api, "/r/2.png", 20))
    collection = collected(backend, "t1", "t2")
    assert [o.index for o in collection.outcomes] == [0, 1, 2]
    for outcome in collection.outcomes[:2]:
        assert "Task t1 ended without pictures" in outcome.reason
        assert "insufficient balance" in outcome.reason
        assert outcome.may_retry is may_retry
    originals = [filled(value=v) for v in (101, 102, 103)]
    assert values(settle(collection, OnFailure.SKIP, None)) == [None, None, 20]
    assert values(settle(collection, OnFailure.ORIGINAL, originals)) == [101, 102, 20]


@pytest.mark.parametrize("got", [0, 1], ids=["empty list", "another number"])
def test_the_submitted_link_is_named_where_no_result_is_the_images_own(
    api: HTTPServer, backend: Backend, got: int
) -> None:
    """This machine knows it, whatever the service returned."""
    submitted(backend, "t1", 2)
    answers(api, "t1", *[result(api, "/r/1.png", 10)] * got, status="3")
    assert [o.link for o in collected(backend, "t1").outcomes] == [
        "https://p.example/t1/1.png",
        "https://p.example/t1/2.png",
    ]


# Retries


def test_a_retry_takes_the_places_of_what_had_failed(api: HTTPServer, backend: Backend) -> None:
    """Over all tasks above it, however many there are."""
    submitted(backend, "r1", 2)
    answers(api, "t1", result(api, "/r/1.png", 10), FAILED)
    answers(api, "t2", result(api, "/r/3.png", 30), FAILED, result(api, "/r/5.png", 50))
    answers(api, "r1", result(api, "/r/2.png", 20), result(api, "/r/4.png", 40))
    outcomes = gather(backend, "t1", "t2", "r1@2,4")
    assert colours(outcomes) == [10, 20, 30, 40, 50]
    assert [o.index for o in outcomes] == [0, 1, 2, 3, 4]
    assert [o.task_id for o in outcomes] == ["t1", "r1", "t2", "r1", "t2"]
    assert [o.link for o in outcomes] == ["", "https://p.example/r1/1.png", "", "https://p.example/r1/2.png", ""]


def test_a_retry_that_failed_keeps_the_newer_reason(api: HTTPServer, backend: Backend) -> None:
    """And a further one goes on from there; the submitted link stays known."""
    submitted(backend, "t1", 2)
    answers(api, "t1", FAILED, FAILED)
    answers(api, "r1", {"status": "4", "reason": "too dark"}, {"status": "6", "reason": "too slow"})
    answers(api, "r2", result(api, "/r/2.png", 20))
    first, second = gather(backend, "t1", "r1@1,2")
    assert [(o.task_id, o.reason, o.status) for o in (first, second)] == [
        ("r1", "too dark", "failed"),
        ("r1", "too slow", "timed out"),
    ]
    assert first.link == "https://p.example/t1/1.png"
    first, second = gather(backend, "t1", "r1@1,2", "r2@2")
    assert (first.task_id, first.reason, first.may_retry) == ("r1", "too dark", True)
    assert colours([second]) == [20]


def test_a_retry_never_replaces_a_picture_that_is_there(api: HTTPServer, backend: Backend) -> None:
    """Neither by another one nor by a failure."""
    answers(api, "t1", result(api, "/r/1.png", 10), result(api, "/r/2.png", 20))
    answers(api, "r1", result(api, "/r/3.png", 30), FAILED)
    assert colours(gather(backend, "t1", "r1@1,2")) == [10, 20]


@pytest.mark.parametrize("status", ["4", "5"])
def test_a_retry_that_brought_nothing_at_all_is_no_error(api: HTTPServer, backend: Backend, status: str) -> None:
    """The line says how many images it was for, also on another machine."""
    answers(api, "t1", result(api, "/r/1.png", 10), FAILED, FAILED)
    answers(api, "r1", status=status, msg="insufficient balance")
    outcomes = gather(backend, "t1", "r1@2,3")
    assert colours(outcomes) == [10, None, None]
    assert all("insufficient balance" in o.reason for o in outcomes[1:])


@pytest.mark.parametrize("got", [1, 3])
def test_a_retry_with_another_number_of_results_is_assigned_to_nobody(
    api: HTTPServer, backend: Backend, got: int
) -> None:
    """Not even where it would be the right number for some of the places."""
    answers(api, "t1", result(api, "/r/1.png", 10), FAILED, FAILED)
    answers(api, "r1", *[result(api, f"/x/{n}.png", 100 + n) for n in range(got)])
    collection = collected(backend, "t1", "r1@2,3")
    assert colours(collection.outcomes) == [10, None, None]
    assert [o.status for o in collection.outcomes] == ["complete", "unknown", "unknown"]
    assert colours(collection.unassigned) == [100 + n for n in range(got)]


@pytest.mark.parametrize("rows", [("t1", "r1@3"), ("r1@1", "t1")], ids=["beyond the end", "nothing above"])
def test_a_retry_of_an_image_that_is_not_there_is_refused(
    api: HTTPServer, backend: Backend, home: Path, rows: tuple[str, ...]
) -> None:
    """The line and the number of images are named; the pictures are kept all the same."""
    answers(api, "t1", result(api, "/r/1.png", 10), FAILED)
    answers(api, "r1", result(api, "/r/2.png", 20))
    with pytest.raises(InputError, match=r"r1@[13] is for image [13], but the tasks above it have only [20] images"):
        gather(backend, *rows)
    assert len(stored(home)) == 2


# What does not come in time, or not at all


def test_the_deadline_names_the_task_and_how_to_go_on(api: HTTPServer, backend: Backend) -> None:
    """Nothing is lost: the same task id continues, and waiting is not charged."""
    in_progress(api, "t1")
    monitor = Monitor()
    with pytest.raises(DeadlineError) as caught:
        gather(backend, "t1", timeout_s=0.05, monitor=monitor)
    for words in (
        "t1",
        "0.05 s",
        "in progress",
        "Continue with this task id",
        "'tasks resume t1'",
        "costs nothing more",
    ):
        assert words in str(caught.value)
    assert "charges for it once" in str(caught.value)
    assert monitor.progress == Progress(0, 1, "in progress, asking again in 30 s\ntask t1")


@pytest.mark.parametrize("rows", [("slow", "t2", "t3"), ("t2", "slow", "t3"), ("t3", "t2", "slow")])
def test_one_task_that_is_late_does_not_cost_the_others(
    api: HTTPServer, backend: Backend, home: Path, rows: tuple[str, ...]
) -> None:
    """They are stored, the error names all, and the next run asks for the late one only."""
    in_progress(api, "slow")
    answers(api, "t2", result(api, "/r/2.png", 20), result(api, "/r/4.png", 40))
    answers(api, "t3", result(api, "/r/3.png", 30), FAILED)
    with pytest.raises(DeadlineError) as caught:
        gather(backend, *rows, timeout_s=0.01)
    first, *others = str(caught.value).splitlines()
    assert first.startswith("Task slow: Not finished")
    assert "costs nothing" in first
    assert "Task t2: complete, 2 pictures stored." in others
    assert "Task t3: complete, 1 picture stored." in others
    assert len(stored(home)) == 3
    before = len(api.log)
    answers(api, "slow", result(api, "/r/1.png", 10))
    expected = {"slow": [10], "t2": [20, 40], "t3": [30, None]}
    assert colours(gather(backend, *rows)) == sum((expected[row] for row in rows), [])
    assert asked(api)[before:] == ["/result/slow", "/r/1.png"]


def test_behind_a_late_task_the_others_are_asked_once(api: HTTPServer, backend: Backend) -> None:
    """The waits do not add up: what is finished is stored, and that is all."""
    for task_id in ("t1", "t2", "t3"):
        in_progress(api, task_id)
    with pytest.raises(DeadlineError) as caught:
        gather(backend, "t1", "t2", "t3", timeout_s=0.2)
    assert [asked(api).count(f"/result/{task_id}") for task_id in ("t2", "t3")] == [1, 1]
    assert all(f"Task {task_id}: Not finished" in str(caught.value) for task_id in ("t1", "t2", "t3"))


def test_several_tasks_that_cannot_be_had_are_all_named(api: HTTPServer, backend: Backend, home: Path) -> None:
    """The first one decides what kind of error it is."""
    answers(api, "t1", status="4", msg="insufficient balance")
    api.expect_oneshot_request("/result/t2").respond_with_json({"msg": "no such task"}, status=404)
    in_progress(api, "t3")
    answers(api, "t4", result(api, "/r/4.png", 40))
    with pytest.raises(TaskFailedError) as caught:
        gather(backend, "t1", "t2", "t3", "t4", timeout_s=0.01)
    first, *others = str(caught.value).splitlines()
    assert first.startswith("Task t1 ended without pictures")
    for words in ("Task t2: ", "Task t3: Not finished", "Task t4: complete, 1 picture stored."):
        assert any(row.startswith(words) for row in others)
    assert "no such task" in str(caught.value)
    assert others[-1] == "To have their pictures now, leave out the tasks that have none."
    assert len(stored(home)) == 1


def test_where_no_task_has_pictures_nothing_is_to_be_left_out(api: HTTPServer, backend: Backend) -> None:
    """The next step must be one that helps."""
    for task_id in ("t1", "t2"):
        answers(api, task_id, status="4")
    with pytest.raises(TaskFailedError) as caught:
        gather(backend, "t1", "t2")
    assert "Task t2 ended without pictures" in str(caught.value)
    assert "leave out" not in str(caught.value)


def test_a_refusal_of_the_service_passes_with_its_words(api: HTTPServer, backend: Backend) -> None:
    """The code stays readable for programs."""
    api.expect_ordered_request("/result/t1").respond_with_json({"code": 490027, "msg": "insufficient balance"})
    with pytest.raises(ServiceError, match="insufficient balance") as caught:
        gather(backend, "t1")
    assert caught.value.code == 490027


def test_nonsense_from_the_service_passes_as_a_broken_contract(api: HTTPServer, backend: Backend) -> None:
    """A proxy's page in place of JSON."""
    api.expect_ordered_request("/result/t1").respond_with_data("<html>", content_type="text/html")
    with pytest.raises(ContractError, match="<html>"):
        gather(backend, "t1")


@pytest.mark.parametrize("status", [401, 403, 404, 200])
def test_every_error_about_a_task_names_it(api: HTTPServer, backend: Backend, status: int) -> None:
    """Whoever reads it another day can paste the id; asking is free, and the error says so."""
    api.expect_ordered_request("/result/t1").respond_with_data("<html>", status=status)
    with pytest.raises(ServiceError, match="^Task t1: ") as caught:
        gather(backend, "t1")
    assert "costs nothing" in str(caught.value)


def test_a_task_asked_for_at_the_wrong_service_names_the_right_profile(api: HTTPServer, backend: Backend) -> None:
    """The journal knows with which one it was submitted."""
    studio = replace(backend.profile, name="studio", result_url="https://studio.example/{task_id}")
    submitted(replace(backend, profile=studio), "t1", 1)
    for task_id in ("t1", "t2"):
        api.expect_oneshot_request(f"/result/{task_id}").respond_with_json({}, status=404)
    with pytest.raises(ServiceError, match="This machine submitted it with profile 'studio'"):
        gather(backend, "t1")
    with pytest.raises(ServiceError) as caught:
        gather(backend, "t2")
    assert "This machine" not in str(caught.value)
    assert backend.journal.submissions()[0].state is State.ACCEPTED


SIGNED = "see https://r.example/help?signature=hunter2"
ERROR_ANSWERS: dict[str, tuple[int, dict[str, object]]] = {
    "unknown": (404, {"msg": SIGNED}),
    "key pair": (401, {"msg": SIGNED}),
    "refused": (200, {"code": 1, "msg": SIGNED}),
    "in trouble": (500, {"msg": SIGNED}),
    "failed": (200, {"code": 0, "msg": SIGNED, "data": {"status": "4"}}),
    "late": (200, {"code": 0, "msg": SIGNED, "data": {"status": "2", "wait_time": "9"}}),
    "broken contract": (200, {"code": 0, "data": {"status": SIGNED}}),
}


@pytest.mark.parametrize("name", list(ERROR_ANSWERS))
def test_no_error_shows_a_signature_and_each_names_task_and_next_step(
    api: HTTPServer, backend: Backend, name: str
) -> None:
    """It is read in logs and pasted into forums."""
    status, answer = ERROR_ANSWERS[name]
    api.expect_request("/result/t1").respond_with_json(answer, status=status)
    with pytest.raises(CartoonizeError) as caught:
        gather(backend, "t1", timeout_s=0.01)
    text = str(caught.value)
    assert "hunter2" not in text
    assert text.startswith("Task t1")
    assert "costs nothing" in text or "variation" in text


def test_neither_report_nor_journal_holds_a_signature(api: HTTPServer, backend: Backend, home: Path) -> None:
    """Of submitted links, of results, and of what the service says about them; nor do the reasons."""
    submitted(backend, "t1", 4)
    answers(
        api,
        "t1",
        result(api, "/r/1.png", 10),
        {"image_result": picture_at(api, "/r/2.png", b"", status=404)},
        {"status": "4", "reason": f"cannot load, {SIGNED}"},
        {"image_result": f"{PRIVATE}?signature=hunter2#hunter2"},
        msg=SIGNED,
    )
    collection = collected(backend, "t1")
    assert colours(collection.outcomes) == [10, None, None, None]
    assert "hunter2" not in write_report(collection, "test", None)
    assert all("hunter2" not in path.read_bytes().decode("latin-1") for path in home.rglob("*") if path.is_file())
    with pytest.raises(TaskFailedError) as caught:
        settle(collection, OnFailure.ERROR, None)
    assert "hunter2" not in str(caught.value)


def test_neither_report_nor_journal_holds_a_key_that_the_service_echoes(
    api: HTTPServer, backend: Backend, home: Path
) -> None:
    """In its message, in a picture's reason, in the words of a refusal."""
    key, secret = "app-key-0123456789", "secret-9876543210"
    profile = replace(backend.profile, app_key=Secret(key), app_secret=Secret(secret))
    backend = replace(backend, profile=profile)
    encoded = base64.b64encode(f"{key}:{secret}".encode()).decode()
    echo = f"no face for {key}, {secret} or {encoded}"
    submitted(backend, "t1", 1)
    answers(api, "t1", {"status": "4", "reason": echo}, status="4", msg=echo)
    api.expect_request("/result/t2").respond_with_json({"msg": echo}, status=401)
    collection = collected(backend, "t1")
    with pytest.raises(ServiceError) as caught:
        gather(backend, "t2")
    texts = [collection.outcomes[0].reason, write_report(collection, "test", None), str(caught.value)]
    texts += [path.read_bytes().decode("latin-1") for path in home.rglob("journal.sqlite3*")]
    assert len(texts) == 4
    for text in texts:
        assert "no face for [key], [key] or [key]" in text
        assert not any(hidden in text for hidden in (key, secret, encoded))


def test_without_a_task_id_there_is_nothing_to_wait_for(backend: Backend) -> None:
    """Nothing is sent; the message says where an id comes from."""
    with pytest.raises(InputError, match=r"no task id.*Submit Cartoonize"):
        gather(backend)


@pytest.mark.parametrize("task_id", ["../batch", "a/b", "a b", ""])
def test_a_task_id_that_could_change_the_address_is_never_sent(api: HTTPServer, backend: Backend, task_id: str) -> None:
    """Pasted text becomes part of an address only if it looks like an id, also if nobody has parsed it."""
    with pytest.raises(InputError, match="Not a task id"):
        collect(backend, [TaskRef(task_id)], timeout_s=1, monitor=Monitor())
    assert asked(api) == []


def test_cancel_before_the_start_sends_nothing(api: HTTPServer, backend: Backend) -> None:
    """Cancelled, and nobody was asked."""
    monitor = Monitor()
    monitor.cancel()
    with pytest.raises(Cancelled):
        gather(backend, "t1", monitor=monitor)
    assert asked(api) == []


# When this machine's own memory fails


def test_a_broken_journal_does_not_stop_fetching(
    api: HTTPServer, backend: Backend, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was paid for is handed on and kept, with a warning; the next run asks, and downloads nothing again."""
    home.mkdir()
    (home / "journal.sqlite3").write_bytes(b"garbage " * 1000)
    item = result(api, "/r/1.png", 10)
    for _ in range(2):
        answers(api, "t1", item)
        assert colours(gather(backend, "t1")) == [10]
    assert asked(api) == ["/result/t1", "/r/1.png", "/result/t1"]
    assert "journal.sqlite3 is damaged" in caplog.text
    assert (home / "journal.sqlite3").read_bytes() == b"garbage " * 1000


def test_a_results_folder_that_cannot_be_written_still_hands_the_pictures_on(
    api: HTTPServer, backend: Backend, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With a warning and no file; the next run has to fetch them again, over fresh links."""
    home.mkdir()
    (home / "results").write_text("in the way")
    for run in (1, 2):
        answers(api, "t1", result(api, f"/run{run}/1.png", 10), result(api, f"/run{run}/2.png", 20))
        outcomes = gather(backend, "t1")
        assert colours(outcomes) == [10, 20]
        assert [o.file for o in outcomes] == ["", ""]
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert any("picture 2 of task t1 cannot be kept" in text for text in warnings)
    assert not any("hunter2" in text for text in warnings)
    assert sorted(asked(api)[3:]) == ["/result/t1", "/run2/1.png", "/run2/2.png"]


def test_pictures_are_removed_only_above_the_limit(api: HTTPServer, backend: Backend, home: Path) -> None:
    """Room is made after fetching, and what was just fetched is never what goes."""
    backend = replace(backend, results=ResultStore(home, 1, clock=lambda: 1_000_000.0))
    answers(api, "old", result(api, "/r/1.png", 10))
    (old,) = gather(backend, "old")
    backend = replace(backend, results=ResultStore(home, 1, clock=lambda: 2_000_000.0))
    answers(api, "new", result(api, "/r/2.png", 20))
    (new,) = gather(backend, "new")
    assert stored(home) == [home / new.file]
    assert not (home / old.file).exists()
