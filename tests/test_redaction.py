"""The one redactor, and that no error of the pack gets past it."""

from __future__ import annotations

import re
import traceback

import pytest
from cartoonize_pack.utils import errors
from cartoonize_pack.utils.errors import CartoonizeError
from cartoonize_pack.utils.redaction import redact


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("nothing to hide: 100 % at 12:30?", "nothing to hide: 100 % at 12:30?"),
        ("https://h.example/a.png", "https://h.example/a.png"),
        ("https://h.example", "https://h.example"),
        ("https://h.example:8443/a/b.png", "https://h.example:8443/a/b.png"),
        ("http://[::1]:8188/view?f=hunter2", "http://[::1]:8188/view?…"),
        ("https://h.example/a.png?sig=hunter2", "https://h.example/a.png?…"),
        ("https://h.example?sig=hunter2", "https://h.example?…"),
        ("https://h.example/?sig=hunter2&x=1#top", "https://h.example/?…"),
        ("https://h.example/a#token=hunter2", "https://h.example/a?…"),
        ("HTTPS://H.EXAMPLE/A?SIG=hunter2", "HTTPS://H.EXAMPLE/A?…"),
        ("https://me:hunter2@h.example/a", "https://h.example/a"),
        ("https://hunter2@h.example/a", "https://h.example/a"),
        ("https://:hunter2@h.example/a", "https://h.example/a"),
        ("https://me:hunter2@h.example/a?sig=hunter2", "https://h.example/a?…"),
        ("https://h.example/@me/a", "https://h.example/@me/a"),
        ("got 'https://h.example/a?sig=hunter2' and more", "got 'https://h.example/a?…' and more"),
        ('{"url": "https://h.example/a?sig=hunter2"}', '{"url": "https://h.example/a?…"}'),
        ("<https://h.example/a?sig=hunter2>", "<https://h.example/a?…>"),
        ("https://a.example/?k=hunter2 https://b.example/?k=hunter2", "https://a.example/?… https://b.example/?…"),
        ("https://a.example/?k=hunter2\nnext line", "https://a.example/?…\nnext line"),
        ("https://h.example/ä.png?sig=hunter2ä", "https://h.example/ä.png?…"),
        ("Authorization: Basic aHVudGVyMjpodW50ZXIy", "Authorization: Basic …"),
        ("{'Authorization': 'Basic aHVudGVyMg=='}", "{'Authorization': 'Basic …'}"),
        ("Authorization: Bearer hunter2.hunter2-hunter2_x", "Authorization: Bearer …"),
        ("Basic  aHVudGVyMjpodW50ZXIy, retried", "Basic …, retried"),
        ("Basic skills are enough.", "Basic skills are enough."),
    ],
)
def test_redacting_removes_secrets_and_keeps_the_rest(text: str, shown: str) -> None:
    """User names, passwords, queries, fragments and Authorization values go; hosts and paths stay readable."""
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "https://h.example/a?disposition=attachment;filename*=UTF-8''a.png&sig=hunter2",
        "https://me:pass/hunter2@h.example/a",
        "https://me:hunter2@mail@h.example/a",
        "authorization: basic aHVudGVyMjpodW50ZXIy-hunter2",
    ],
    ids=["apostrophes", "slash in a password", "two @", "lower case"],
)
def test_odd_characters_do_not_save_a_secret_from_the_redactor(text: str) -> None:
    """An apostrophe is an ordinary character of a query, and signatures come last."""
    assert "hunter2" not in redact(text)


def test_redacting_twice_changes_nothing_more() -> None:
    """Errors are wrapped in errors: their texts pass here several times."""
    once = redact("GET https://me:x@h.example/a?sig=1 with Basic aHVudGVyMjpodW50ZXIy failed")
    assert redact(once) == once


def test_a_megabyte_of_text_is_redacted_in_no_time() -> None:
    """No text makes the patterns backtrack."""
    text = "https://" + "a:@" * 100_000 + "Basic " * 50_000 + "https://" * 50_000
    assert redact(text)


def family(kind: type[CartoonizeError] = CartoonizeError) -> list[type[CartoonizeError]]:
    """The class and all that are derived from it."""
    return [kind, *(heir for child in kind.__subclasses__() for heir in family(child))]


@pytest.mark.parametrize("kind", family(), ids=lambda kind: kind.__name__)
def test_every_error_of_the_pack_is_redacted_when_it_is_made(kind: type[CartoonizeError]) -> None:
    """Nobody has to remember it: str, repr, args and the traceback show the same safe text."""
    error = kind("GET https://me:hunter2@h.example/a?sig=hunter2 with Basic aHVudGVyMjpodW50ZXIy failed")
    safe = "GET https://h.example/a?… with Basic … failed"
    assert str(error) == safe
    assert error.args == (safe,)
    for shown in (repr(error), "".join(traceback.format_exception(error))):
        assert "hunter2" not in shown
        assert "aHVud" not in shown


def test_the_drawn_family_is_the_real_one() -> None:
    """The docstring of the module names every error, and no other."""
    drawn = set(re.findall(r"^[|`\- ]*([A-Z]\w+)  ", errors.__doc__ or "", re.M))
    assert drawn == {kind.__name__ for kind in family()}
