"""Tasks as lines of text: written, pasted and read again."""

from __future__ import annotations

import pytest
from cartoonize_pack.utils.errors import InputError
from cartoonize_pack.utils.references import TaskRef, lines, parse_references

TASK = "6a4eab77-be30-430a-bf0e-3048042a34ef"


@pytest.mark.parametrize(
    ("ref", "text"),
    [
        (TaskRef(TASK), TASK),
        (TaskRef(TASK, (3,)), f"{TASK}@3"),
        (TaskRef(TASK, (3, 7)), f"{TASK}@3,7"),
        (TaskRef(TASK, (7, 3)), f"{TASK}@7,3"),
        (TaskRef("a.b_c:d~e-1", (100, 999999)), "a.b_c:d~e-1@100,999999"),
    ],
)
def test_a_task_is_read_as_it_was_written(ref: TaskRef, text: str) -> None:
    """Copied from one machine and pasted on another, it is the same task for the same images."""
    assert str(ref) == text
    assert parse_references([text]) == [ref]


def test_each_line_is_a_task_in_order() -> None:
    """Also the same task twice: nothing is sorted or left out."""
    rows = [TASK, "t2@3", "t2@3", "t1"]
    assert [str(ref) for ref in parse_references(rows)] == rows


@pytest.mark.parametrize(
    "places",
    ["", "0", "03", "3,", ",3", "3,,7", "3, 7", " 3", "-1", "+1", "1.5", "3;7", "x", "1234567", "３", "3@4", "3\n"],
)
def test_wrong_numbers_of_images_are_refused_by_line(places: str) -> None:
    """A guess would put pictures into wrong places; the text shows the line and what is right."""
    with pytest.raises(InputError, match="Not a task") as caught:
        parse_references([TASK, f"t2@{places}"])
    assert repr(f"t2@{places}") in str(caught.value)
    assert "3,7" in str(caught.value)


@pytest.mark.parametrize("row", ["@3", " t1", "t1 ", "t/1", "../t1", "t1?x", "-t1", "t 1", "é", "t" * 201, "t1\n", ""])
def test_what_is_no_task_id_is_refused(row: str) -> None:
    """It would end up inside an address; the text says where ids come from."""
    with pytest.raises(InputError, match="Submit Cartoonize"):
        parse_references(["t1", row])


def test_no_line_at_all_is_refused_with_what_to_do() -> None:
    """Poll Result with nothing connected."""
    with pytest.raises(InputError, match="Connect Submit Cartoonize, or paste the id"):
        parse_references([])


def test_a_long_wrong_line_is_shown_in_part() -> None:
    """A whole picture pasted as text must not fill the screen."""
    with pytest.raises(InputError) as caught:
        parse_references(["t@" + "x" * 100_000])
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\t\r\n", []),
        ("a", ["a"]),
        ("a\nb\n", ["a", "b"]),
        ("a\r\nb\rc", ["a", "b", "c"]),
        ("\n  a \n\n\tb\n\n", ["a", "b"]),
        ("a b", ["a b"]),
    ],
)
def test_text_is_cut_into_lines_without_empty_ones(text: str, expected: list[str]) -> None:
    """As it comes from a widget, a file or the clipboard of any system."""
    assert lines(text) == expected
