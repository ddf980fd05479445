"""Running again is always safe: the nodes in front of a service that counts what it is paid for.

Each run is a run after a restart or with --cache-none: nothing is remembered between the nodes but what is on disk.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cartoonize_pack.utils import sending
from cartoonize_pack.utils.errors import (
    ConfigurationError,
    DeadlineError,
    InputError,
    OutcomeUnknownError,
    TaskFailedError,
)
from node_calls import IMAGE_TO_URL, POLL, SUBMIT, batch, execute
from scripted_service import ScriptedService
from stand_in_host import Interrupt, StandInHost

pytestmark = pytest.mark.usefixtures("host")


def links(*numbers: int) -> str:
    """Links of a person's own; the results have their numbers as colours."""
    return "\n".join(f"https://images.test/{number}.png" for number in numbers)


def submit(urls: str, **inputs: Any) -> str:
    """The task ids of a run of Submit Cartoonize."""
    return execute(SUBMIT, image_urls=urls, **inputs)["result"][0]


def colours(images: np.ndarray) -> list[int]:
    """The colour of each picture of a batch."""
    return [round(float(image[0, 0, 0]) * 255) for image in images]


def entries(answer: tuple[Any, ...]) -> list[dict[str, Any]]:
    """The images of the report of a run of Poll Result."""
    return json.loads(answer[4])["images"]


# --- the same work is paid for once -----------------------------------------------------------------------------------


def test_the_same_pixels_are_the_same_work_under_every_new_link(host: StandInHost, service: ScriptedService) -> None:
    """Uploaded anew, the link is another one; the task is the one that was paid, and the node says so."""
    picture = np.random.default_rng(1).random((2, 300, 280, 3), np.float32)
    first = execute(IMAGE_TO_URL, images=picture)[0]
    Path(os.environ["CARTOONIZE_HOME"], "uploads.sqlite3").unlink()  # else the link would be used again
    second = execute(IMAGE_TO_URL, images=picture)[0]
    assert first != second
    assert submit(first) == submit(second) == "task-1"
    assert len(service.submissions) == 1
    assert "task task-1: images 1 to 2 already paid for" in host.texts[-1]


def test_the_format_and_the_priority_do_not_make_it_other_work(service: ScriptedService) -> None:
    """The same pixels as JPEG, and the same images at another priority."""
    first, second = (execute(IMAGE_TO_URL, images=batch(), format=fmt)[0] for fmt in ("png", "jpeg"))
    assert submit(first, priority=1) == submit(second, priority=9)
    assert len(service.submissions) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"image_urls": links(1, 2, 3)},
        {"image_urls": links(2, 1)},
        {"image_urls": "https://images.test/1.png?id=2\nhttps://images.test/2.png"},
        {"variation": 1},
    ],
    ids=["more images", "another order", "another pasted link", "another variation"],
)
def test_other_work_is_another_task(service: ScriptedService, change: dict[str, Any]) -> None:
    """What a user changes on purpose is submitted."""
    first = {"image_urls": links(1, 2)}
    execute(SUBMIT, **first)
    execute(SUBMIT, **(first | change))
    assert len(service.submissions) == 2


def test_another_account_or_service_is_another_task(service: ScriptedService, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one account has paid for is not the other's."""
    submit(links(1))
    monkeypatch.setenv("CARTOONIZE_CREATE_URL", f"{service.url}/other/batch")
    submit(links(1))
    assert len(service.submissions) == 2


def test_a_finished_task_is_read_from_disk(service: ScriptedService) -> None:
    """Second run: no submission, no question, no download; the same pictures."""
    task = submit(links(10, 20))
    first = execute(POLL, task_id=task)
    asked = (service.polls, service.downloads)
    second = execute(POLL, task_id=submit(links(10, 20)))
    assert colours(second[0]) == colours(first[0]) == [10, 20]
    assert (service.polls, service.downloads) == asked
    assert len(service.submissions) == 1
    stored = [Path(os.environ["CARTOONIZE_HOME"]) / entry["file"] for entry in entries(second)]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in stored)


def test_a_failed_task_is_not_asked_about_again(service: ScriptedService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its error is remembered; the same work may be submitted again then: the task brought nothing."""
    asked: list[str] = []

    def failed(task_id: str) -> dict[str, object]:
        asked.append(task_id)
        return {"status": "4", "list": None}

    monkeypatch.setattr(service, "result", failed)
    task = submit(links(1))
    for _ in range(2):
        with pytest.raises(TaskFailedError, match="image 1 \\(task task-1\\): failed: .*console"):
            execute(POLL, task_id=task)
    assert asked == ["task-1"]
    assert submit(links(1)) == "task-2"


def test_after_a_timeout_run_goes_on_with_the_task(service: ScriptedService) -> None:
    """The error names the task; the next run needs nothing pasted and pays nothing."""
    service.task_s = 60
    with pytest.raises(DeadlineError, match="Task task-1: Not finished after 1 s.*costs nothing"):
        execute(POLL, task_id=submit(links(7)), timeout=1)
    service.task_s = 0
    assert colours(execute(POLL, task_id=submit(links(7)))[0]) == [7]
    assert len(service.submissions) == 1


def test_a_pasted_task_id_works_on_a_machine_that_never_saw_it(
    service: ScriptedService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another home: nothing in its journal."""
    task = submit(links(1, 2))
    monkeypatch.setenv("CARTOONIZE_HOME", str(tmp_path / "elsewhere"))
    assert colours(execute(POLL, task_id=task)[0]) == [1, 2]


def test_cancel_in_the_middle_of_the_submission_does_not_pay_twice(
    host: StandInHost, service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that sends goes on behind the node; Run waits for its answer and continues with its task."""
    received, release = threading.Event(), threading.Event()
    create = service.create

    def slow(body: dict[str, object]) -> dict[str, object]:
        received.set()
        release.wait(10)
        return create(body)

    monkeypatch.setattr(service, "create", slow)
    press = threading.Thread(target=lambda: received.wait(10) and setattr(host, "interrupted", True))
    press.start()
    with pytest.raises(Interrupt):
        submit(links(1))
    press.join()
    host.interrupted = False
    threading.Timer(0.2, release.set).start()
    assert submit(links(1)) == "task-1"
    assert len(service.submissions) == 1


# --- when nobody knows ------------------------------------------------------------------------------------------------


def broken(service: ScriptedService, before: bool) -> Callable[[dict[str, object]], dict[str, object]]:
    """A service whose connection breaks before or after it accepted."""
    create = service.create

    def answer(body: dict[str, object]) -> dict[str, object]:
        if not before:
            create(body)
        raise ConnectionAbortedError

    return answer


@pytest.fixture
def _silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server thread that breaks on purpose prints nothing."""
    monkeypatch.setattr("socketserver.BaseServer.handle_error", lambda *args: None)


@pytest.mark.usefixtures("_silent")
@pytest.mark.parametrize("before", [True, False], ids=["not accepted", "accepted"])
def test_an_unknown_outcome_is_never_sent_again_by_itself(
    service: ScriptedService, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    """Both runs end with an error that says what this means for the bill, how to look, and how to go on."""
    monkeypatch.setattr(service, "create", broken(service, before))
    tries = (
        "may have been accepted and charged",
        "may have accepted it and charged for it; nothing was sent now",
        "may have accepted it and charged for it; nothing was sent now",
    )
    for said in tries:
        with pytest.raises(OutcomeUnknownError) as caught:
            submit(links(1))
        for words in (said, "console", "tasks found 1-", "tasks forget 1-", "change 'variation'"):
            assert words in str(caught.value)
    assert len(service.submissions) == (0 if before else 1)


@pytest.mark.usefixtures("_silent")
def test_another_variation_is_the_deliberate_step_on_the_node(
    service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is new work; the unknown one stays as it is."""
    with monkeypatch.context() as patch:
        patch.setattr(service, "create", broken(service, before=True))
        with pytest.raises(OutcomeUnknownError):
            submit(links(1))
    assert submit(links(1), variation=1) == "task-1"
    with pytest.raises(OutcomeUnknownError):
        submit(links(1))


@pytest.mark.usefixtures("_silent")
def test_a_late_answer_is_not_lost(service: ScriptedService, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time was over, then the service answered after all: the next run knows the task."""
    release = threading.Event()
    create = service.create

    def slow(body: dict[str, object]) -> dict[str, object]:
        answer = create(body)
        release.wait(10)
        return answer

    monkeypatch.setattr(service, "create", slow)
    monkeypatch.setattr("cartoonize_pack.utils.client.Client.__init__.__defaults__", (0.3,))
    with pytest.raises(OutcomeUnknownError):
        submit(links(1))
    senders = [thread for thread in threading.enumerate() if thread.name == "cartoonize-request"]
    release.set()
    for thread in senders:
        thread.join(10)
    assert submit(links(1)) == "task-1"
    assert len(service.submissions) == 1


def test_the_embedded_service_costs_nothing_and_is_asked_again(host: StandInHost) -> None:
    """No account, no bill: a submission that a crash left in the middle needs no decision of a newcomer."""
    from cartoonize_pack.utils import config
    from cartoonize_pack.utils.backend import connect
    from cartoonize_pack.utils.work import Order, candidate_keys, split_work

    backend = connect(config.load(), "local")
    urls = execute(IMAGE_TO_URL, images=batch(1, 1000, 260), host="local")[0]
    contents = backend.journal.contents_of([urls])
    (work,) = split_work([urls], [1], candidate_keys(contents, Order("local/anime", "", 0), 20), 20)
    number = backend.journal.begin(work, backend.profile, 0)  # and then the process died
    assert execute(POLL, task_id=submit(urls))[0].shape == (1, 1000, 260, 3)
    (record,) = backend.journal.submissions()
    assert record.number > number
    assert record.key == work.key


# --- more than 20 images ----------------------------------------------------------------------------------------------


def test_45_images_are_three_tasks_in_order(host: StandInHost, service: ScriptedService) -> None:
    """One id a line; Poll Result merges them in the order of the images; the node said what it was about to send."""
    tasks = submit(links(*range(45)))
    assert sorted(len(body["images"]) for body in service.submissions) == [5, 20, 20]  # type: ignore[arg-type]
    assert len(tasks.splitlines()) == 3
    assert any("sending 45 images as 3 tasks to profile 'env'" in text for text in host.texts)
    answer = execute(POLL, task_id=tasks)
    assert colours(answer[0]) == list(range(45))
    assert [entry["link"] for entry in entries(answer)] == links(*range(45)).splitlines()


def test_when_one_of_several_submissions_fails_the_rest_is_told_and_kept(
    service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was accepted, what was not, what was not sent; running again submits only the missing."""
    monkeypatch.setattr(sending, "RETRY_WAITS_S", ())
    create = service.create

    def picky(body: dict[str, object]) -> dict[str, object]:
        if "/20.png" in str(body):
            raise LookupError
        return create(body)

    with monkeypatch.context() as patch:
        patch.setattr(service, "create", picky)
        patch.setattr("socketserver.BaseServer.handle_error", lambda *args: None)
        patch.setattr("cartoonize_pack.utils.submission.IN_FLIGHT", 1)
        with pytest.raises(OutcomeUnknownError) as caught:
            submit(links(*range(60)))
    for words in (
        "images 21 to 40: The submission may have been sent",
        "task task-1: images 1 to 20 accepted",
        "images 41 to 60: not sent",
        "Another 'variation' would buy all images anew",
    ):
        assert words in str(caught.value)
    assert "change 'variation'" not in str(caught.value)
    with pytest.raises(OutcomeUnknownError, match="nothing was sent now"):  # not even what was never sent
        submit(links(*range(60)))
    assert len(service.submissions) == 1


def test_a_rerun_submits_only_what_is_missing(host: StandInHost, service: ScriptedService) -> None:
    """The first 20 are paid for; the node says so before it sends the rest."""
    submit(links(*range(20)))
    tasks = submit(links(*range(25)))
    assert tasks.splitlines() == ["task-1", "task-2"]
    assert [len(body["images"]) for body in service.submissions] == [20, 5]  # type: ignore[arg-type]
    assert any("sending 5 images as 1 task to profile 'env'; 20 images already paid for" in text for text in host.texts)


@pytest.mark.parametrize(
    ("before", "now", "bought"),
    [
        ((1, 2, 3), (1, 2, 3, 4), [[4]]),
        ((1, 2, 3), (4, 1, 2, 3), [[4]]),
        ((1, 2, 3), (4, 1, 2, 3, 5), [[4], [5]]),
        ((1, 2, 3), (1, 2), [[1, 2]]),  # no task of its own: results of a part are not handed on as those of another
        (tuple(range(30)), (99, *range(30)), [[99]]),
    ],
)
def test_a_batch_that_changed_pays_only_for_what_is_new(
    service: ScriptedService, before: tuple[int, ...], now: tuple[int, ...], bought: list[list[int]]
) -> None:
    """Images that are the work of a task stay its work, wherever they stand in the batch; all come in order."""
    submit(links(*before))
    paid = len(service.submissions)
    tasks = submit(links(*now))
    assert sorted(str(body["images"]) for body in service.submissions[paid:]) == sorted(
        str(links(*numbers).splitlines()) for numbers in bought
    )
    assert colours(execute(POLL, task_id=tasks)[0]) == list(now)


def test_another_limit_of_images_a_task_does_not_buy_them_again(service: ScriptedService) -> None:
    """25 images were 20 and 5; with ten a task from now on they still are."""
    home = Path(os.environ["CARTOONIZE_HOME"])
    table = "\n".join(
        f'{name.removeprefix("CARTOONIZE_").lower()} = "{value}"'
        for name, value in service.environment.items()
        if "URL" in name or "APP" in name
    )
    home.mkdir(parents=True)
    config = f'[profiles.studio]\n{table}\nallow_http = true\nallow_hosts = ["127.0.0.1"]\n'
    (home / "config.toml").write_text(config)
    first = submit(links(*range(25)), profile="studio")
    (home / "config.toml").write_text(f"{config}limits = {{ max_images = 10 }}\n")
    assert submit(links(*range(25)), profile="studio") == first
    assert len(service.submissions) == 2
    submit(links(*range(25), *range(30, 45)), profile="studio")
    assert sorted(len(body["images"]) for body in service.submissions[2:]) == [5, 10]  # type: ignore[arg-type]


def test_the_same_images_twice_in_one_batch_are_paid_once(host: StandInHost, service: ScriptedService) -> None:
    """And counted once; both places get the pictures."""
    numbers = [*range(20), *range(20)]
    tasks = submit(links(*numbers))
    assert tasks.splitlines() == ["task-1", "task-1"]
    assert len(service.submissions) == 1
    assert any("sending 20 images as 1 task" in text for text in host.texts)
    assert colours(execute(POLL, task_id=tasks)[0]) == numbers


def test_a_wrong_wire_does_not_buy_a_thousand_pictures(service: ScriptedService) -> None:
    """More new images than the profile's max_images are refused; what is paid for does not count."""
    home = Path(os.environ["CARTOONIZE_HOME"])
    home.mkdir(parents=True)
    (home / "config.toml").write_text("max_images = 3\n")
    submit(links(1, 2, 3))
    with pytest.raises(InputError, match="4 images would be submitted.*its max_images, 3.*Nothing was sent"):
        submit(links(1, 2, 3, 4, 5, 6, 7))
    assert len(service.submissions) == 1
    submit(links(1, 2, 3, 4, 5, 6))
    assert len(service.submissions) == 2


# --- the truth about every image --------------------------------------------------------------------------------------


@pytest.fixture
def partly(service: ScriptedService) -> ScriptedService:
    """Of the images of the first task, the second and the fourth fail."""
    service.failed = {("task-1", 1): "no face found", ("task-1", 3): "too dark"}
    return service


def test_error_names_all_that_failed_and_the_others_are_kept(partly: ScriptedService) -> None:
    """Another policy then hands them on without asking anybody."""
    task = submit(links(1, 2, 3, 4, 5))
    with pytest.raises(TaskFailedError) as caught:
        execute(POLL, task_id=task)
    for words in ("2 of 5", "image 2 (task task-1): failed: no face found", "image 4", "too dark", "are stored"):
        assert words in str(caught.value)
    asked = (partly.polls, partly.downloads)
    assert colours(execute(POLL, task_id=task, on_failure="skip")[0]) == [1, 3, 5]
    assert (partly.polls, partly.downloads) == asked


def test_skip_leaves_the_places_of_the_missing_in_the_list(partly: ScriptedService) -> None:
    """Item 3 of image_list is image 3: a list beside it is never shifted against it."""
    answer = execute(POLL, task_id=submit(links(1, 2, 3, 4, 5)), on_failure="skip")
    singles = answer[1]
    assert [colours(single) for single in singles[::2]] == [[1], [3], [5]]
    assert all(isinstance(single, SimpleNamespace) and single.message is None for single in singles[1::2])
    assert [(e["index"], e["status"], e["reason"], e["may_retry"]) for e in entries(answer)] == [
        (0, "complete", "", False),
        (1, "failed", "no face found", True),
        (2, "complete", "", False),
        (3, "failed", "too dark", True),
        (4, "complete", "", False),
    ]


def test_original_takes_the_image_of_the_same_index(service: ScriptedService) -> None:
    """Over several tasks, too."""
    originals = np.stack([batch(1, value=n / 255)[0] for n in range(25)])
    tasks = submit(links(*range(100, 125)))
    second = "task-2" if len(service.links("task-2")) == 5 else "task-1"
    service.failed = {(second, 2): "no face found"}
    answer = execute(POLL, task_id=tasks, on_failure="original", originals=originals)
    assert colours(answer[0]) == [*range(100, 122), 22, 123, 124]


def test_only_the_failed_ones_again(host: StandInHost, partly: ScriptedService) -> None:
    """The report of the first Poll Result goes into a second Submit: two images are paid for, all come in order."""
    urls = links(1, 2, 3, 4, 5)
    task = submit(urls)
    report = execute(POLL, task_id=task, on_failure="skip")[4]
    for _ in range(2):  # a second run pays nothing
        again = submit(urls, report=report)
        assert again.splitlines() == ["task-1", "task-2@2,4"]
        assert partly.submissions[1:] == [{"images": links(2, 4).splitlines(), "priority": 1}]
    assert any("sending 2 images as 1 task to profile 'env'; 3 images of the report" in text for text in host.texts)
    answer = execute(POLL, task_id=again)
    assert colours(answer[0]) == [1, 2, 3, 4, 5]
    assert [entry["task_id"] for entry in entries(answer)] == ["task-1", "task-2", "task-1", "task-2", "task-1"]


def test_an_attempt_that_fails_again_can_be_followed_by_another(partly: ScriptedService) -> None:
    """Each is new work, paid once; the newest reason is reported."""
    urls = links(1, 2, 3, 4)
    tasks = submit(urls)
    partly.failed |= {("task-2", 0): "still no face"}
    for _ in range(2):
        report = execute(POLL, task_id=tasks, on_failure="skip")[4]
        tasks = submit(urls, report=report)
    assert tasks.splitlines() == ["task-1", "task-2@2,4", "task-3@2"]
    assert colours(execute(POLL, task_id=tasks)[0]) == [1, 2, 3, 4]
    assert [len(body["images"]) for body in partly.submissions] == [4, 2, 1]  # type: ignore[arg-type]


def test_a_report_without_failures_sends_nothing(host: StandInHost, service: ScriptedService) -> None:
    """The graph may hold the second attempt all the time."""
    task = submit(links(1, 2))
    report = execute(POLL, task_id=task)[4]
    assert submit(links(1, 2), report=report) == task
    assert len(service.submissions) == 1
    assert "nothing to send; 2 images of the report need no second attempt" in host.texts[-1]


@pytest.mark.parametrize(
    ("urls", "report", "message"),
    [
        (links(1), None, "The report is about 2 images, but 1 link"),
        (links(1, 2), "a cat", "Not a report"),
        (links(1, 2), '{"images": []}', "Not a report"),
        (
            links(1, 2),
            '{"images": [{"link": "", "may_retry": true, "width": null}], "tasks": ["x"], "profile": "env"}',
            "about 1 image, but 2",
        ),
        (
            links(1),
            '{"images": [{"link": "", "may_retry": true, "width": null}], "tasks": ["x"], "profile": "studio"}',
            "of profile 'studio', not 'env'",
        ),
    ],
)
def test_a_report_of_something_else_is_refused(
    service: ScriptedService, urls: str, report: str | None, message: str
) -> None:
    """Nothing is sent for it."""
    own = execute(POLL, task_id=submit(links(1, 2)))[4]
    with pytest.raises(InputError, match=f"{message}.*Nothing was sent"):
        submit(urls, report=own if report is None else report)
    assert len(service.submissions) == 1


def test_a_report_of_other_images_is_refused(service: ScriptedService) -> None:
    """As many, but not the same: nobody gets, or pays for, somebody else's picture."""
    service.failed = {("task-1", 1): "no face found"}
    report = execute(POLL, task_id=submit(links(1, 2, 3)), on_failure="skip")[4]
    with pytest.raises(InputError, match="The report is about other images: image 1 was another one. Nothing was sent"):
        submit(links(11, 12, 13), report=report)
    assert len(service.submissions) == 1


def test_a_report_goes_with_the_same_pixels_under_new_links(service: ScriptedService) -> None:
    """After a restart the images are uploaded anew; the report names their old links."""
    pictures = np.stack([batch(1, value=n / 255)[0] for n in (1, 2)])
    service.failed = {("task-1", 1): "no face found"}
    first = execute(IMAGE_TO_URL, images=pictures)[0]
    report = execute(POLL, task_id=submit(first), on_failure="skip")[4]
    second = execute(IMAGE_TO_URL, images=pictures)[0]
    assert submit(second, report=report).splitlines() == ["task-1", "task-2@2"]


def test_when_everything_failed_skip_still_hands_on_the_report(service: ScriptedService) -> None:
    """The picture outputs are blocked, with the reasons for whoever is behind them; a second Submit tries again."""
    service.failed = {("task-1", 0): "no face found"}
    images, singles, mask, _, report = execute(POLL, task_id=submit(links(1)), on_failure="skip")
    for blocked in (images, mask):
        assert "image 1 (task task-1): failed: no face found" in blocked.message
    assert [single.message for single in singles] == [None]
    tasks = submit(links(1), report=report)
    assert tasks.splitlines() == ["task-1", "task-2@1"]
    assert colours(execute(POLL, task_id=tasks)[0]) == [1]


# --- a state folder that cannot be used -------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"no database at all", b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_broken_journal_stops_paying_before_anything_is_sent(service: ScriptedService, content: bytes) -> None:
    """A clear error; what was paid already can be fetched all the same."""
    home = Path(os.environ["CARTOONIZE_HOME"])
    task = submit(links(1))
    (home / "journal.sqlite3").write_bytes(content)
    with pytest.raises(ConfigurationError, match="journal.sqlite3 is damaged.*Nothing was sent.*move it away"):
        submit(links(2))
    assert len(service.submissions) == 1
    assert colours(execute(POLL, task_id=task)[0]) == [1]


def test_a_journal_that_breaks_after_the_answer_does_not_lose_the_task(
    host: StandInHost, service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was paid: the id is handed on, and the node says to keep it."""
    create = service.create

    def accept_and_break(body: dict[str, object]) -> dict[str, object]:
        (Path(os.environ["CARTOONIZE_HOME"]) / "journal.sqlite3").write_bytes(b"broken")
        return create(body)

    monkeypatch.setattr(service, "create", accept_and_break)
    assert submit(links(1)) == "task-1"
    assert "task task-1 was accepted, but the journal cannot note it: keep its id" in host.texts[-1]


@pytest.mark.parametrize(
    "text", ["task-1@", "task-1@0", "task-1@1,", "@3", "task-1 @3", "task-1@3", "task-1\ntask-1@2"]
)
def test_a_task_that_cannot_be_meant_is_refused_in_words(service: ScriptedService, text: str) -> None:
    """A pasted line with a slip in it."""
    submit(links(1))
    with pytest.raises(InputError, match="Not a task|the tasks above it have only"):
        execute(POLL, task_id=text)
