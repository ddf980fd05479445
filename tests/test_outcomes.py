"""Finished tasks -> pictures: against a real local server, and the policies for what has no result."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from cartoonize_pack.utils import outcomes as outcomes_module
from cartoonize_pack.utils.backend import Backend
from cartoonize_pack.utils.config import Profile, Secret
from cartoonize_pack.utils.download import Policy
from cartoonize_pack.utils.errors import (
    Cancelled,
    ContractError,
    DeadlineError,
    InputError,
    ServiceError,
    TaskFailedError,
)
from cartoonize_pack.utils.images import Picture
from cartoonize_pack.utils.monitor import Monitor, Progress
from cartoonize_pack.utils.outcomes import OnFailure, Outcome, collect, report, settle
from PIL import Image
from pytest_httpserver import HTTPServer

PRIVATE = "https://10.11.12.13/a.png"  # an address of a local network, refused before anything is sent


def filled(width: int = 6, height: int = 4, value: int = 0) -> Picture:
    """A picture of one colour."""
    return Picture(np.full((height, width, 3), value, np.uint8))


def png(value: int, width: int = 6, height: int = 4) -> bytes:
    """The same as a file."""
    stream = io.BytesIO()
    Image.new("RGB", (width, height), (value,) * 3).save(stream, "PNG")
    return stream.getvalue()


def half_a_picture() -> bytes:
    """The first half of a file whose pixels do not compress."""
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(7).integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(stream, "PNG")
    return stream.getvalue()[:1500]


def done(index: int, picture: Picture | None = None, task_id: str = "t1") -> Outcome:
    """A picture that was finished."""
    return Outcome(task_id, index, "complete", "", f"https://r.example/{index}.png", picture or filled(value=index))


def lost(index: int, reason: str = "no face found", task_id: str = "t1") -> Outcome:
    """A picture that failed."""
    return Outcome(task_id, index, "failed", reason, "", None)


def values(pictures: list[Picture]) -> list[int]:
    """The colour of each picture."""
    return [int(picture.rgb[0, 0, 0]) for picture in pictures]


# Settling: everything has a result


@pytest.mark.parametrize("on_failure", list(OnFailure))
@pytest.mark.parametrize("originals", [None, [], [filled(value=200)] * 3], ids=["none", "too few", "all"])
def test_results_are_handed_on_in_order_when_nothing_failed(
    on_failure: OnFailure, originals: list[Picture] | None
) -> None:
    """The policy and the originals do not matter then."""
    outcomes = [done(0), done(1), done(2)]
    settled = settle(outcomes, on_failure, originals)
    assert [a is b.picture for a, b in zip(settled, outcomes, strict=True)] == [True] * 3


# Settling: error


def test_error_names_every_failed_picture_and_its_reason() -> None:
    """Counted from 1 as people count, with the task to look up, and without those that are fine."""
    outcomes = [done(0), lost(1, "no face found"), done(2), lost(3, "too dark", task_id="t2")]
    with pytest.raises(TaskFailedError) as caught:
        settle(outcomes, OnFailure.ERROR, None)
    text = str(caught.value)
    assert "2 of 4 images" in text
    assert "image 2 (task t1): failed: no face found" in text
    assert "image 4 (task t2): failed: too dark" in text
    assert "image 1 " not in text
    assert "image 3 " not in text
    assert "on_failure" in text


def test_error_does_not_use_originals() -> None:
    """They are connected for another policy."""
    with pytest.raises(TaskFailedError):
        settle([done(0), lost(1)], OnFailure.ERROR, [filled(), filled()])


def test_the_error_holds_no_signature_of_a_link() -> None:
    """Reasons are foreign text."""
    with pytest.raises(TaskFailedError) as caught:
        settle([lost(0, "cannot load https://p.example/a.png?sig=hunter2")], OnFailure.ERROR, None)
    assert "hunter2" not in str(caught.value)
    assert "https://p.example/a.png" in str(caught.value)


# Settling: skip


def test_skip_hands_on_the_rest_in_order() -> None:
    """What failed leaves no gap."""
    assert values(settle([lost(0), done(1), lost(2), done(3)], OnFailure.SKIP, None)) == [1, 3]


def test_skip_with_nothing_left_is_an_error_that_names_the_reasons() -> None:
    """A batch of nothing cannot be handed on."""
    with pytest.raises(TaskFailedError) as caught:
        settle([lost(0, "no face found"), lost(1, "too dark")], OnFailure.SKIP, None)
    for words in ("2 of 2", "no face found", "too dark"):
        assert words in str(caught.value)


def test_an_error_about_skip_does_not_recommend_skip() -> None:
    """The next step that it names must be one that helps."""
    with pytest.raises(TaskFailedError) as caught:
        settle([lost(0)], OnFailure.SKIP, None)
    assert "'skip'" not in str(caught.value)
    assert "The others" not in str(caught.value)


# Settling: original


def test_original_puts_the_input_in_place_of_what_failed() -> None:
    """Each at its own place; results stay results."""
    originals = [filled(value=100 + i) for i in range(4)]
    assert values(settle([done(0), lost(1), done(2), lost(3)], OnFailure.ORIGINAL, originals)) == [0, 101, 2, 103]


def test_an_original_of_another_size_is_cropped_to_the_size_of_the_results() -> None:
    """The batch stays a batch; the result itself is not touched."""
    result = filled(6, 4, 1)
    settled = settle([lost(0), done(1, result)], OnFailure.ORIGINAL, [filled(30, 10, 90), filled(30, 10, 91)])
    assert [(p.width, p.height) for p in settled] == [(6, 4), (6, 4)]
    assert values(settled) == [90, 1]
    assert settled[1] is result


def test_originals_take_the_size_of_the_first_result_where_results_differ() -> None:
    """The one that the batch will have."""
    outcomes = [lost(0), done(1, filled(8, 2)), done(2, filled(3, 3))]
    settled = settle(outcomes, OnFailure.ORIGINAL, [filled(20, 20)] * 3)
    assert [(p.width, p.height) for p in settled] == [(8, 2), (8, 2), (3, 3)]


def test_originals_keep_their_own_sizes_where_there_is_no_result_at_all() -> None:
    """There is nothing to match."""
    originals = [filled(9, 2, 7), filled(2, 9, 8)]
    settled = settle([lost(0), lost(1)], OnFailure.ORIGINAL, originals)
    assert [a is b for a, b in zip(settled, originals, strict=True)] == [True, True]


@pytest.mark.parametrize(
    ("originals", "have"),
    [
        (None, "none are connected"),
        ([], "0 are connected"),
        ([filled()], "1 are connected"),
        ([filled()] * 3, "3 are connected"),
    ],
    ids=["not connected", "none", "too few", "too many"],
)
def test_originals_that_do_not_match_one_to_one_are_refused(originals: list[Picture] | None, have: str) -> None:
    """Nobody gets the face of somebody else; the failures are named all the same."""
    with pytest.raises(InputError) as caught:
        settle([done(0), lost(1, "too dark")], OnFailure.ORIGINAL, originals)
    for words in ("'original'", "2 results", have, "image 2", "too dark"):
        assert words in str(caught.value)


# The report


def test_the_report_has_one_entry_a_picture_in_order() -> None:
    """Everything that is known of each, sizes only where there is a picture."""
    found = json.loads(report([done(0, filled(6, 4)), lost(1, "too dark", task_id="t2")], None))
    assert found == {
        "results": 2,
        "failed": 1,
        "images": [
            {
                "index": 0,
                "task_id": "t1",
                "status": "complete",
                "reason": "",
                "url": "https://r.example/0.png",
                "width": 6,
                "height": 4,
            },
            {
                "index": 1,
                "task_id": "t2",
                "status": "failed",
                "reason": "too dark",
                "url": "",
                "width": None,
                "height": None,
            },
        ],
    }


@pytest.mark.parametrize(
    ("count", "expected", "named"), [(2, None, False), (2, 2, False), (2, 3, True), (2, 1, True), (0, 0, False)]
)
def test_a_number_of_results_other_than_expected_is_reported(count: int, expected: int | None, named: bool) -> None:
    """A list that is shorter or longer than the input is never shifted in silence."""
    found = json.loads(report([done(i) for i in range(count)], expected))
    assert found["results"] == count
    assert found["failed"] == 0
    assert found.get("expected") == (expected if named else None)


def test_the_report_holds_no_signature_of_a_link() -> None:
    """It is saved with pictures and pasted into forums."""
    signed = "https://me:hunter2@r.example/0.png?sig=hunter2"
    text = report([replace(done(0), url=signed), lost(1, f"cannot load {signed}")], None)
    assert "hunter2" not in text
    assert json.loads(text)["images"][0]["url"] == "https://r.example/0.png?…"


def test_the_report_is_text_for_people_too() -> None:
    """Lines, and letters as they are."""
    text = report([lost(0, "kein Gesicht: ä 顔")], None)
    assert "ä 顔" in text
    assert len(text.splitlines()) > 5


# Collecting from a real server


@pytest.fixture
def backend(api: HTTPServer) -> Backend:
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
    return Backend(profile, Policy(allow_http=True, own_address=base))


def answers(api: HTTPServer, task_id: str, *items: object, status: object = "3", **more: object) -> None:
    """Answer one question about a task like this."""
    data = {"status": status, "wait_time": "0", "list": list(items)}
    api.expect_oneshot_request(f"/result/{task_id}", method="GET").respond_with_json(
        {"code": 0, "msg": "", "data": data, **more}
    )


def picture_at(api: HTTPServer, path: str, data: bytes, status: int = 200, content_type: str = "image/png") -> str:
    """A link of the service behind which this lies."""
    api.expect_request(path).respond_with_data(data, status=status, content_type=content_type)
    return f"{api.url_for(path)}?signature=hunter2"


def gather(backend: Backend, *task_ids: str, timeout_s: float = 5.0, monitor: Monitor | None = None) -> list[Outcome]:
    """What collect() makes of these tasks."""
    return collect(backend, task_ids, timeout_s=timeout_s, monitor=monitor or Monitor())


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
    assert [(o.picture.width, o.picture.height) for o in outcomes if o.picture] == [(7, 4), (8, 4)]
    assert values([o.picture for o in outcomes if o.picture]) == [10, 20]
    assert (monitor.progress.done, monitor.progress.total) == (2, 2)


def test_the_key_pair_goes_to_the_service_and_not_to_the_result_links(api: HTTPServer, backend: Backend) -> None:
    """Results lie with somebody else."""
    link = picture_at(api, "/r/1.png", png(10))
    answers(api, "t1", {"image_result": link, "status": "3"})
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
        {"image_result": "", "status": "4", "reason": "no face found"},
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


@pytest.mark.parametrize("status", ["4", "5", "6"])
def test_a_failed_task_with_a_list_gives_the_reasons_of_its_pictures(
    api: HTTPServer, backend: Backend, status: str
) -> None:
    """One outcome a picture, so that the policy can decide."""
    answers(api, "t1", {"status": "4", "reason": "too dark"}, {"status": "4", "reason": "no face"}, status=status)
    assert [(o.reason, o.picture) for o in gather(backend, "t1")] == [("too dark", None), ("no face", None)]


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
    for expected in ("finished, but not downloaded", words, "costs nothing"):
        assert expected in first.reason
    assert "hunter2" not in first.reason
    assert second.picture is not None


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
    good = picture_at(api, "/r/2.png", png(20))
    answers(api, "t1", {"image_result": link}, {"image_result": good})
    first, second = gather(backend, "t1")
    assert first.picture is None
    assert "not downloaded" in first.reason
    assert second.picture is not None


def test_several_tasks_are_merged_in_their_order(api: HTTPServer, backend: Backend) -> None:
    """One running index over all of them; each picture keeps its task."""
    links = [picture_at(api, f"/r/{i}.png", png(10 * i)) for i in range(4)]
    answers(api, "b", *[{"image_result": link} for link in links[:2]])
    answers(api, "a", {"status": "4", "reason": "too dark"})
    answers(api, "c", *[{"image_result": link} for link in links[2:]])
    outcomes = gather(backend, "b", "a", "c")
    assert [request.path for request, _ in api.log if "/result/" in request.path] == [
        "/result/b",
        "/result/a",
        "/result/c",
    ]
    assert [(o.task_id, o.index) for o in outcomes] == [("b", 0), ("b", 1), ("a", 2), ("c", 3), ("c", 4)]
    assert [o.picture and values([o.picture])[0] for o in outcomes] == [0, 10, None, 20, 30]


def test_the_deadline_names_the_task_and_how_to_go_on(api: HTTPServer, backend: Backend) -> None:
    """Nothing is lost: the same task id continues, and waiting is not charged."""
    api.expect_request("/result/t1").respond_with_json({"code": 0, "data": {"status": "2", "wait_time": "30"}})
    monitor = Monitor()
    with pytest.raises(DeadlineError) as caught:
        gather(backend, "t1", timeout_s=0.05, monitor=monitor)
    for words in ("t1", "0.05 s", "in progress", "Continue with this task id", "costs nothing"):
        assert words in str(caught.value)
    assert monitor.progress == Progress(0, 1, "task t1: in progress, about 30 s")


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


def test_a_blip_in_a_download_is_tried_again(
    api: HTTPServer, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The picture is paid for; one bad answer does not cost it."""
    monkeypatch.setattr(outcomes_module, "DOWNLOAD_RETRY_WAITS_S", (0.0, 0.0))
    for status in (503, 500):
        api.expect_oneshot_request("/r/1.png").respond_with_data("", status=status)
    link = picture_at(api, "/r/1.png", png(10))
    answers(api, "t1", {"image_result": link, "status": "3"})
    (outcome,) = gather(backend, "t1")
    assert outcome.picture is not None


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_result_that_is_gone_is_asked_for_once(api: HTTPServer, backend: Backend, status: int) -> None:
    """Asking again would not help."""
    answers(api, "t1", {"image_result": picture_at(api, "/r/1.png", b"", status=status), "status": "3"})
    (outcome,) = gather(backend, "t1")
    assert f"HTTP {status}" in outcome.reason
    assert [request.path for request, _ in api.log].count("/r/1.png") == 1


def test_without_a_task_id_there_is_nothing_to_wait_for(backend: Backend) -> None:
    """Nothing is sent; the message says where an id comes from."""
    with pytest.raises(InputError, match="no task id.*Submit Cartoonize"):
        gather(backend)


@pytest.mark.parametrize("task_id", ["../batch", "a/b", "a b", ""])
def test_a_task_id_that_could_change_the_address_is_never_sent(backend: Backend, task_id: str) -> None:
    """Pasted text becomes part of an address only if it looks like an id."""
    with pytest.raises(InputError, match="Not a task id"):
        gather(backend, task_id)


def test_cancel_before_the_start_sends_nothing(backend: Backend) -> None:
    """The server would fail this test on any question."""
    monitor = Monitor()
    monitor.cancel()
    with pytest.raises(Cancelled):
        gather(backend, "t1", monitor=monitor)
