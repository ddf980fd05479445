"""Records as data: which states let the same work be sent again, and what a final answer makes of a submission."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cartoonize_pack.utils.contract import ImageResult, Task, TaskStatus
from cartoonize_pack.utils.errors import InputError
from cartoonize_pack.utils.records import State, Submission, Verdict, ended_state, named, verdict

URL = "https://results.example/1.png"


def record(state: State, links: tuple[str, ...] = ("https://pictures.example/1.png",)) -> Submission:
    """A submission in a state."""
    return Submission(1, "key", "mine", "https://api.example/{task_id}", state, "t1", links, 0, 1.0, 2.0)


def task(status: TaskStatus, *images: ImageResult) -> Task:
    """A final answer."""
    return Task("t1", status, int(status), None, images)


def image(url: str | None, status: TaskStatus | None) -> ImageResult:
    """What the service says of one picture."""
    return ImageResult(url, status, "")


# What may be done about work


@pytest.mark.parametrize("is_free", [True, False])
def test_work_that_nobody_sent_is_sent(is_free: bool) -> None:
    """There is no record of it."""
    assert verdict(None, is_free=is_free) is Verdict.SEND


@pytest.mark.parametrize(
    ("state", "paid", "free"),
    [
        (State.SENDING, Verdict.ASK, Verdict.SEND),
        (State.UNKNOWN, Verdict.ASK, Verdict.SEND),
        (State.ACCEPTED, Verdict.REUSE, Verdict.REUSE),
        (State.DONE, Verdict.REUSE, Verdict.REUSE),
        (State.REFUSED, Verdict.SEND, Verdict.SEND),
        (State.FAILED, Verdict.SEND, Verdict.SEND),
    ],
    ids=lambda value: value.value,
)
def test_each_state_has_its_verdict(state: State, paid: Verdict, free: Verdict) -> None:
    """What may have been paid for is never sent again by itself; where nothing is paid, nobody needs to be asked."""
    assert verdict(record(state), is_free=False) is paid
    assert verdict(record(state), is_free=True) is free


@pytest.mark.parametrize("is_free", [True, False])
def test_every_state_has_a_verdict(is_free: bool) -> None:
    """A state that is added later must not fall through to sending paid work again."""
    sent_again = {state for state in State if verdict(record(state), is_free=is_free) is Verdict.SEND}
    free_only = {State.SENDING, State.UNKNOWN} if is_free else set()
    assert sent_again == {State.REFUSED, State.FAILED} | free_only


def test_states_keep_the_words_that_are_in_files() -> None:
    """A renamed state could not be read from the journals that exist."""
    assert {state.value for state in State} == {"sending", "accepted", "unknown", "refused", "done", "failed"}


@pytest.mark.parametrize("number", [1, 20])
def test_a_submission_was_for_as_many_images_as_it_has_links(number: int) -> None:
    """Each link is one image."""
    assert record(State.DONE, ("https://pictures.example/1.png",) * number).images == number


# Names


KNOWN = [
    replace(record(State.ACCEPTED), number=number, key=key * 32, task_id=task_id)
    for number, key, task_id in [(1, "a1", "t1"), (2, "b2", ""), (3, "78", "t3"), (12, "c3", "t1")]
]


def test_a_submission_has_a_name_that_no_other_journal_has() -> None:
    """Its number, and the first six digits of what it is: texts are pasted into terminals of other machines."""
    assert replace(record(State.UNKNOWN), number=3, key="78bb87" + "0" * 58).name == "3-78bb87"


@pytest.mark.parametrize(
    ("name", "number"),
    [("1", 1), ("2", 2), ("12", 12), ("1-a1a1a1", 1), ("2-b2b2b2", 2), ("12-c3c3c3", 12), ("t3", 3), ("t1", 12)],
)
def test_a_submission_is_found_by_number_name_or_task_id(name: str, number: int) -> None:
    """The latest one where a task id is that of several."""
    assert named(KNOWN, name).number == number


@pytest.mark.parametrize(
    "name", ["", "0", "4", "-1", "1-", "1-b2b2b2", "2-a1a1a1", "1-a1a1a", "a1a1a1", "t", "t1 ", "T1", "01"]
)
def test_what_names_no_submission_is_an_error(name: str) -> None:
    """Nothing is guessed, least of all from the name that a number has in another journal or from no name at all."""
    with pytest.raises(InputError) as caught:
        named(KNOWN, name)
    assert f"no submission {name!r} in the journal; 'portrait-cartoonize tasks list' shows" in str(caught.value)


# What a final answer makes of a submission


@pytest.mark.parametrize("is_free", [True, False])
@pytest.mark.parametrize("status", [status for status in TaskStatus if status.is_final], ids=lambda s: s.name)
@pytest.mark.parametrize("said", [None, TaskStatus.COMPLETE], ids=["no word", "complete"])
def test_one_finished_picture_makes_it_done(status: TaskStatus, said: TaskStatus | None, is_free: bool) -> None:
    """Whatever the task is called, and whatever became of the other pictures: something was paid for."""
    answer = task(status, image(None, TaskStatus.FAILED), image(URL, said))
    assert ended_state(answer, is_free=is_free) is State.DONE


@pytest.mark.parametrize("images", [(), (image(None, TaskStatus.FAILED),), (image(URL, TaskStatus.FAILED),)])
@pytest.mark.parametrize(
    ("status", "paid", "free"),
    [
        (TaskStatus.COMPLETE, State.DONE, State.DONE),
        (TaskStatus.FAILED, State.FAILED, State.FAILED),
        (TaskStatus.TIMED_OUT, State.FAILED, State.FAILED),
        (TaskStatus.CLOSED, State.DONE, State.FAILED),
    ],
)
def test_without_a_picture_only_what_the_service_calls_failed_is_free_to_be_sent_again(
    status: TaskStatus, paid: State, free: State, images: tuple[ImageResult, ...]
) -> None:
    """A closed task may have been finished, and paid for, before; where nothing is paid it is drawn anew."""
    assert ended_state(task(status, *images), is_free=False) is paid
    assert ended_state(task(status, *images), is_free=True) is free
