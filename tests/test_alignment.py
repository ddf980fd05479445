"""Results -> outcomes in input order: whose each result is, and what is said where that is not known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cartoonize_pack.utils.alignment import TaskResults, arranged, nothing_came
from cartoonize_pack.utils.contract import Task, TaskStatus
from cartoonize_pack.utils.errors import InputError
from cartoonize_pack.utils.images import Picture
from cartoonize_pack.utils.outcomes import Collection, Outcome
from cartoonize_pack.utils.references import TaskRef

PICTURE = Picture(np.zeros((4, 6, 3), np.uint8))


def results(
    ref: str, what: str, expected: int | None = None, status: TaskStatus = TaskStatus.COMPLETE, message: str = ""
) -> TaskResults:
    """What a task brought, a letter for each result: "+" a picture, "-" none; `ref` is ID or ID@PLACES."""
    task_id, _, places = ref.partition("@")
    outcomes = [
        Outcome(task_id, i, "complete", "", f"https://results.example/{task_id}/{i}", PICTURE)
        if letter == "+"
        else Outcome(task_id, i, "failed", "no face", "", None)
        for i, letter in enumerate(what)
    ]
    numbers = tuple(int(place) for place in places.split(",")) if places else ()
    task = Task(task_id, status, int(status), None, (), message)
    return TaskResults(TaskRef(task_id, numbers), outcomes, expected, task)


def put_together(*found: TaskResults) -> Collection:
    """The results of the tasks, arranged."""
    return arranged([result.ref for result in found], found)


def seen(collection: Collection) -> list[tuple[str, bool]]:
    """From which task each input picture's outcome is, and whether it is a picture."""
    assert [outcome.index for outcome in collection.outcomes] == list(range(len(collection.outcomes)))
    return [(outcome.task_id, outcome.picture is not None) for outcome in collection.outcomes]


# Tasks after each other


@pytest.mark.parametrize("expected", [3, None], ids=["known number", "unknown number"])
def test_as_many_results_as_images_are_in_input_order(expected: int | None) -> None:
    """Failed ones keep their place; a task from elsewhere has as many images as it has results."""
    collection = put_together(results("a", "+-+", expected))
    assert seen(collection) == [("a", True), ("a", False), ("a", True)]
    assert [outcome.url[-3:] for outcome in collection.outcomes] == ["a/0", "", "a/2"]
    assert collection.unassigned == ()
    assert collection.tasks == (TaskRef("a"),)


def test_tasks_follow_each_other_and_their_images_are_numbered_through() -> None:
    """Forty-five pictures in three tasks are one batch."""
    collection = put_together(results("a", "+-", 2), results("b", "+", None), results("c", "-+", 2))
    assert seen(collection) == [("a", True), ("a", False), ("b", True), ("c", False), ("c", True)]
    assert collection.tasks == (TaskRef("a"), TaskRef("b"), TaskRef("c"))


# Tasks that brought less, or more


@pytest.mark.parametrize(
    ("status", "may_retry"),
    [
        (TaskStatus.COMPLETE, False),
        (TaskStatus.FAILED, True),
        (TaskStatus.TIMED_OUT, True),
        (TaskStatus.CLOSED, False),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_task_without_results_has_one_failed_outcome_an_image(status: TaskStatus, may_retry: bool) -> None:
    """So that what follows keeps its place; a closed one may have been finished before, and is not tried again."""
    collection = put_together(results("a", "", 2, status), results("b", "+", 1))
    assert seen(collection) == [("a", False), ("a", False), ("b", True)]
    for outcome in collection.outcomes[:2]:
        assert outcome.status == status.words
        assert status.words in outcome.reason
        assert outcome.may_retry is may_retry
    assert collection.unassigned == ()


@pytest.mark.parametrize(
    ("what", "expected", "words"),
    [
        ("++", 3, "2 results for 3 images"),
        ("+", 2, "1 result for 2 images"),
        ("+++", 1, "3 results for 1 image;"),
        ("--", 3, "2 results for 3 images"),
    ],
)
def test_another_number_of_results_is_assigned_to_nobody(what: str, expected: int, words: str) -> None:
    """No guess which is whose: the pictures are handed over apart, and what follows keeps its place."""
    collection = put_together(results("a", what, expected), results("b", "+", 1))
    assert seen(collection) == [("a", False)] * expected + [("b", True)]
    assert len(collection.unassigned) == len(what)
    assert [outcome.picture is not None for outcome in collection.unassigned] == [letter == "+" for letter in what]
    for outcome in collection.outcomes[:expected]:
        assert outcome.status == "unknown"
        assert words in outcome.reason
        assert not outcome.may_retry


# Retries


def test_a_retry_fills_the_places_that_it_names() -> None:
    """In its own order, across the tasks above it, and nothing is appended."""
    collection = put_together(results("a", "+-", 2), results("b", "-+", 2), results("r@2,3", "++", 2))
    assert seen(collection) == [("a", True), ("r", True), ("r", True), ("b", True)]
    assert [outcome.url[-3:] for outcome in collection.outcomes] == ["a/0", "r/0", "r/1", "b/1"]
    assert collection.tasks == (TaskRef("a"), TaskRef("b"), TaskRef("r", (2, 3)))


def test_a_picture_that_is_there_is_never_replaced() -> None:
    """Neither by a retry's picture nor by its failure: the first one was paid for and may be in use."""
    kept = put_together(results("a", "+-", 2), results("r@1,2", "++", 2))
    assert seen(kept) == [("a", True), ("r", True)]
    assert seen(put_together(results("a", "+", 1), results("r@1", "-", 1))) == [("a", True)]


def test_a_retry_that_failed_again_says_the_newer_reason() -> None:
    """Its task is the one to look for in the console; a second retry may still bring the picture."""
    again = replace(results("r@1", "-", 1).outcomes[0], reason="still no face")
    first, second = results("a", "-", 1), replace(results("r@1", "-", 1), outcomes=[again])
    assert put_together(first, second).outcomes[0].reason == "still no face"
    assert seen(put_together(first, second)) == [("r", False)]
    assert seen(put_together(first, second, results("s@1", "+", 1))) == [("s", True)]


@pytest.mark.parametrize(
    ("own", "expected"), [("", "https://old.example"), ("https://new.example", "https://new.example")]
)
def test_a_retry_keeps_the_link_of_what_it_replaces_unless_it_knows_its_own(own: str, expected: str) -> None:
    """The report names the submitted link of every picture that it can."""
    first, retry = results("a", "-", 1), results("r@1", "+", 1)
    first = replace(first, outcomes=[replace(first.outcomes[0], link="https://old.example")])
    retry = replace(retry, outcomes=[replace(retry.outcomes[0], link=own)])
    assert put_together(first, retry).outcomes[0].link == expected


def test_an_image_after_a_retry_continues_after_the_images_not_after_the_tasks() -> None:
    """A retry adds no images."""
    collection = put_together(results("a", "-+", 2), results("r@1", "+", 1), results("b", "+", 1))
    assert seen(collection) == [("r", True), ("a", True), ("b", True)]


@pytest.mark.parametrize(("what", "unassigned"), [("", 0), ("+", 1), ("+++", 3)])
def test_a_retry_with_another_number_of_results_fails_its_places(what: str, unassigned: int) -> None:
    """What it brought is handed over apart; places that have a picture keep it."""
    collection = put_together(results("a", "-+-", 3), results("r@1,3", what, 2))
    assert seen(collection) == [("r", False), ("a", True), ("r", False)]
    assert len(collection.unassigned) == unassigned


@pytest.mark.parametrize("above", [1, 2])
def test_a_retry_of_an_image_that_is_not_there_is_refused_by_name(above: int) -> None:
    """Lines were pasted without the ones above them, or in another order."""
    with pytest.raises(InputError, match=rf"r@3 is for image 3, but the tasks above it have only {above} images"):
        put_together(results("a", "-" * above, above), results("r@3", "+", 1), results("b", "---", 3))


# What is said when nothing came


def test_what_is_said_of_a_task_without_pictures_names_it_and_what_to_do() -> None:
    """Its id, its state, what the service says, where to see the charge, and how to try again."""
    text = nothing_came(Task("t1", TaskStatus.FAILED, 4, None, (), "queue full"))
    for words in ("Task t1", "failed", "The service says: queue full", "console", "variation"):
        assert words in text
    for words in ("connect the report to a second Submit Cartoonize", "'retry-failed'", "also of those that are paid"):
        assert words in text
    assert "The service says" not in nothing_came(Task("t1", TaskStatus.FAILED, 4, None, ()))
    assert "undocumented status 9" in nothing_came(Task("t1", TaskStatus.FAILED, 9, None, ()))
