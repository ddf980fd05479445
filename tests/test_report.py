"""The report: what became of every image, as JSON, and read again to retry what failed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from cartoonize_pack.utils.errors import InputError
from cartoonize_pack.utils.outcomes import Collection
from cartoonize_pack.utils.references import TaskRef
from cartoonize_pack.utils.report import Retry, read_report, write_report
from sample_outcomes import done, filled, lost, of

TASKS = (TaskRef("t1"), TaskRef("t2", (2, 3)))


def entry(**values: object) -> dict[str, object]:
    """One image of a report, enough to be read."""
    return {"link": "", "may_retry": True, "width": None, **values}


def table(**values: object) -> str:
    """A report as text, with these parts replaced."""
    return json.dumps({"profile": "env", "tasks": ["t1"], "images": [entry()], **values})


def test_the_report_has_one_entry_a_picture_in_order() -> None:
    """Everything that is known of each, sizes only where there is a picture."""
    kept = replace(done(0, filled(6, 4)), link="https://p.example/0.png", file="results/t1/0001-abc.png")
    found = json.loads(write_report(of(kept, lost(1, "too dark", task_id="t2"), tasks=TASKS), "env", None))
    assert found == {
        "profile": "env",
        "tasks": ["t1", "t2@2,3"],
        "results": 2,
        "failed": 1,
        "images": [
            {
                "index": 0,
                "link": "https://p.example/0.png",
                "task_id": "t1",
                "status": "complete",
                "reason": "",
                "may_retry": False,
                "url": "https://r.example/0.png",
                "width": 6,
                "height": 4,
                "file": "results/t1/0001-abc.png",
            },
            {
                "index": 1,
                "link": "",
                "task_id": "t2",
                "status": "failed",
                "reason": "too dark",
                "may_retry": True,
                "url": "",
                "width": None,
                "height": None,
                "file": None,
            },
        ],
    }


@pytest.mark.parametrize(
    ("count", "expected", "named"), [(2, None, False), (2, 2, False), (2, 3, True), (2, 1, True), (0, 0, False)]
)
def test_a_number_of_results_other_than_expected_is_reported(count: int, expected: int | None, named: bool) -> None:
    """A list that is shorter or longer than the input is never shifted in silence."""
    found = json.loads(write_report(of(*[done(i) for i in range(count)]), "env", expected))
    assert found["results"] == count
    assert found["failed"] == 0
    assert found.get("expected") == (expected if named else None)


def test_results_of_unknown_owner_stand_beside_the_images() -> None:
    """They have no index: which image they belong to is not known."""
    found = json.loads(write_report(of(lost(0), unassigned=[done(0), lost(1, "too dark")]), "env", None))
    assert [image["index"] for image in found["images"]] == [0]
    assert [(extra["url"], extra["reason"], extra["width"]) for extra in found["unassigned"]] == [
        ("https://r.example/0.png", "", 6),
        ("", "too dark", None),
    ]
    assert all("index" not in extra for extra in found["unassigned"])


def test_the_report_says_nothing_of_unassigned_results_where_there_are_none() -> None:
    """The usual report stays short."""
    assert "unassigned" not in json.loads(write_report(of(done(0)), "env", None))


def test_the_report_holds_no_signature_of_a_link() -> None:
    """It is saved with pictures and pasted into forums."""
    signed = "https://me:hunter2@r.example/0.png?sig=hunter2"
    sent = "https://p.example/0.png?sig=hunter2#hunter2"
    outcomes = [replace(done(0), url=signed, link=sent), lost(1, f"cannot load {signed}")]
    text = write_report(of(*outcomes, unassigned=[replace(done(0), url=signed, link=sent)]), "env", None)
    assert "hunter2" not in text
    found = json.loads(text)
    assert found["images"][0]["url"] == found["unassigned"][0]["url"] == "https://r.example/0.png"
    assert found["images"][0]["link"] == "https://p.example/0.png"


def test_the_report_is_text_for_people_too() -> None:
    """Lines, and letters as they are."""
    text = write_report(of(lost(0, "kein Gesicht: ä 顔")), "env", None)
    assert "ä 顔" in text
    assert len(text.splitlines()) > 5


# Reading


def test_what_is_written_can_be_read_to_try_again() -> None:
    """The tasks so far, all links, and the numbers of what failed and makes sense to submit again."""
    outcomes = [done(0), lost(1), lost(2, may_retry=False), done(3), lost(4)]
    outcomes[1] = replace(outcomes[1], link="https://p.example/2.png?sig=hunter2#x")
    links = ("", "https://p.example/2.png", "", "", "")
    assert read_report(write_report(of(*outcomes, tasks=TASKS), "studio", 9)) == Retry("studio", TASKS, links, (2, 5))


@pytest.mark.parametrize("images", [1, 2, 45])
def test_a_report_is_about_as_many_images_as_it_has_links(images: int) -> None:
    """Also where the machine that wrote it did not know them."""
    assert read_report(write_report(of(*map(lost, range(images))), "env", None)).images == images


def test_a_report_of_complete_success_asks_for_nothing() -> None:
    """There is no image to try again."""
    assert read_report(write_report(of(done(0), done(1)), "env", None)) == Retry("env", (TaskRef("t1"),), ("", ""), ())


def test_an_image_that_has_a_picture_is_never_tried_again() -> None:
    """Whatever else the report says of it."""
    assert read_report(table(images=[entry(width=6), entry()])).failed == (2,)


def test_unassigned_results_are_not_counted_as_images() -> None:
    """They would shift the numbers of the others."""
    retry = read_report(write_report(of(lost(0), unassigned=[done(0), done(1)]), "env", None))
    assert (retry.images, retry.failed) == (1, (1,))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "https://r.example/0.png",
        "null",
        "3",
        "[]",
        '"report"',
        "{}",
        pytest.param("[" * 100_000, id="deeply nested"),
        pytest.param("9" * 5000, id="a long number"),
        table(images=None),
        table(images=3),
        table(images=[3]),
        table(images=["text"]),
        table(images=[{}]),
        table(images=[{"may_retry": True}]),
        table(images=[{"may_retry": True, "width": None}]),
        table(images={"a": 1}),
        table(tasks=None),
        table(tasks=3),
        json.dumps({"tasks": ["t1"], "images": [entry()]}),
        json.dumps({"profile": "env", "images": [entry()]}),
        json.dumps({"profile": "env", "tasks": ["t1"]}),
    ],
)
def test_nonsense_is_no_report(text: str) -> None:
    """One sentence that says what to connect, and that nothing was sent."""
    with pytest.raises(
        InputError, match=r"Not a report: connect the output 'report' of Poll Result\. Nothing was sent"
    ):
        read_report(text)


@pytest.mark.parametrize("row", ["../batch", "t1@", "t1@0", "t1@2,", "t1@x", "", 'a"b'])
def test_a_task_of_a_report_that_is_none_is_refused(row: str) -> None:
    """Foreign text becomes part of an address only if it looks like a task."""
    with pytest.raises(InputError, match="Not a (task|report)"):
        read_report(table(tasks=["t1", row]))


def test_a_report_without_tasks_is_refused() -> None:
    """There would be nothing that a retry could follow."""
    with pytest.raises(InputError):
        read_report(write_report(Collection((), (lost(0),)), "env", None))


@pytest.mark.parametrize("values", [{"tasks": "abc"}, {"tasks": {"t1": 1}}, {"images": ""}, {"images": {}}])
def test_what_should_be_a_list_and_is_none_is_no_report(values: dict[str, object]) -> None:
    """Letters of a text are not tasks."""
    with pytest.raises(InputError, match="Not a report"):
        read_report(table(**values))
