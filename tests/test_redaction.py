"""The one redactor: what it finds by its looks and by its value, and that no error and no log gets past it."""

from __future__ import annotations

import copy
import io
import json
import logging
import pickle
import re
import threading
import traceback
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from cartoonize_pack.utils import errors, logs, redaction
from cartoonize_pack.utils.errors import CartoonizeError
from cartoonize_pack.utils.monitor import Monitor
from cartoonize_pack.utils.redaction import SHORTEST_KEY, key_in, learn, redact
from cartoonize_pack.utils.secret import HiddenTable, Secret
from cartoonize_pack.utils.threads import start

KEY = 'pX5/w+Jt8Qz "R2v/LmN6ü+bK4c'  # every way of writing it is another one


@pytest.fixture(autouse=True)
def _no_key_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests, too, have read keys."""
    monkeypatch.setattr(redaction, "_known", redaction._Known())


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


# --- keys that nobody has told it -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("app_key=Ab12Cd34Ef", "app_key=…"),
        ('{"app_secret": "Ab12Cd34Ef", "n": 1}', '{"app_secret": "…", "n": 1}'),
        ("X-Api-Key: Ab12Cd34Ef, then", "X-Api-Key: …, then"),
        ("password = 'Ab12Cd34Ef'", "password = '…'"),
        ("token:Ab12Cd34Ef&b=2", "token:…&b=2"),
        ("the key is what it is", "the key is what it is"),
        ("key: none", "key: none"),
        ("keyboard=Ab12Cd34Ef", "keyboard=Ab12Cd34Ef"),
        ("sk-proj-AbCdEfGhIjKlMnOp1234567890 was used", "[key] was used"),
        ("with ghp_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789.", "with [key]."),
        ("fal: 6a4eab77-be30-430a-bf0e-3048042a34ef:0123456789abcdef0123456789abcdef", "fal: [key]"),
        ("task 6a4eab77-be30-430a-bf0e-3048042a34ef", "task 6a4eab77-be30-430a-bf0e-3048042a34ef"),
        ("results/sk-AbCdEfGhIjKlMnOp1234567890", "results/sk-AbCdEfGhIjKlMnOp1234567890"),  # a file's name
    ],
)
def test_what_looks_like_a_key_is_removed(text: str, shown: str) -> None:
    """Behind a name that says so, or in the shape that a vendor gives its keys; words and ids are left alone."""
    assert redact(text) == shown


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", ""),
        ("https://h.example/a.png?sig=1", ""),
        ("Basic skills are enough.", ""),
        ("Basic aHVudGVyMjpodW50ZXIy", "an Authorization header"),
        ("api_key=Ab12Cd34Ef", "a key"),
        ("-----BEGIN PRIVATE KEY-----", "a key"),
        ("-----BEGIN PUBLIC KEY-----", ""),
        (f"it is {KEY}", "a key of this machine"),
        (f"key={KEY} Basic aHVudGVyMjpodW50ZXIy", "a key of this machine"),
    ],
)
def test_what_a_text_holds_is_said_in_words(text: str, what: str) -> None:
    """What is known is named first."""
    learn(KEY)
    assert key_in(text) == what


# --- keys of this process ---------------------------------------------------------------------------------------------

SPELLINGS: list[Callable[[str], str]] = [
    str,
    lambda key: json.dumps(key)[1:-1],
    lambda key: json.dumps(key)[1:-1].replace("/", "\\/"),
    lambda key: quote(key),
    lambda key: quote(key, safe=""),
    lambda key: quote_plus(key),
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_known_key_is_removed_however_it_is_written(spelling: Callable[[str], str]) -> None:
    """As it is, in JSON, also PHP's, and in an address: in its path, too, where it does not look like a key."""
    assert spelling(KEY) in redact(f"<{spelling(KEY)}>")
    learn(KEY)
    assert redact(f"<{spelling(KEY)}>{spelling(KEY)}") == "<[key]>[key]"
    assert redact(f"https://h.example/{spelling(KEY)}/a.png") == "https://h.example/[key]/a.png"


def test_a_secret_is_known_as_soon_as_there_is_one() -> None:
    """Nobody has to tell the redactor."""
    Secret(KEY)
    assert redact(KEY) == "[key]"
    monitor = Monitor()
    monitor.report(0, 1, f"sending {KEY}")
    assert monitor.progress.text == "sending [key]"
    assert str(CartoonizeError(f"no {KEY}")) == "no [key]"


def test_of_two_keys_the_longer_one_is_removed_whole() -> None:
    """One may begin with the other."""
    for key in ("Ab12Cd34Ef56", "Ab12Cd34Ef56Gh78", "Ab12Cd34Ef56Gh"):
        learn(key)
    assert redact("Ab12Cd34Ef56Gh78 Ab12Cd34Ef56Gh Ab12Cd34Ef56") == "[key] [key] [key]"


def test_a_short_key_is_not_known() -> None:
    """It may be part of any word."""
    learn("a" * (SHORTEST_KEY - 1))
    assert redact("a" * 100) == "a" * 100
    learn("a" * SHORTEST_KEY)
    assert redact("a" * SHORTEST_KEY) == "[key]"


def test_only_so_many_keys_are_known() -> None:
    """Each start of the embedded service makes new ones, and ComfyUI runs for weeks."""
    for number in range(300):
        learn(f"key-number-{number:05}")
    assert len(redaction._known._patterns) == redaction._MOST_KNOWN
    assert redact("key-number-00299") == "[key]"


def test_many_threads_may_learn_and_redact() -> None:
    """Nodes run beside each other."""
    texts: list[str] = []

    def work(number: int) -> None:
        for n in range(20):
            learn(f"thread-{number}-key-{n:04}")
            texts.append(redact(f"thread-{number}-key-{n:04}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == ["[key]"] * 80


# --- keys in memory ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("thing", [Secret(KEY), HiddenTable({KEY: KEY}), HiddenTable.of({"a": [{"b": KEY}]})], ids=repr)
def test_what_holds_keys_does_not_show_them(thing: object) -> None:
    """In a traceback with variables, in a log line, in a file; a copy would be one more."""
    for shown in (
        repr(thing),
        str(thing),
        f"{thing}",
        f"{thing!r:>40}",
        f"{thing}",
        repr([thing]),
        ascii(thing),
    ):
        assert "R2v" not in shown
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(thing, protocol)
    for way in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            way(thing)


def test_every_table_in_a_hidden_one_is_hidden() -> None:
    """However deep; it is a table all the same."""
    table = HiddenTable.of({"profiles": {"studio": {"app_key": KEY, "hosts": [{"key": KEY}]}}})
    studio = table["profiles"]["studio"]
    assert repr(studio) == "{2 hidden}"
    assert repr(studio["hosts"]) == "[{1 hidden}]"
    assert studio == {"app_key": KEY, "hosts": [{"key": KEY}]}


# --- logs -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def stream() -> io.StringIO:
    """What a handler of ComfyUI's writes."""
    return io.StringIO()


def listened(logger: logging.Logger, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> logging.Logger:
    """The logger, with such a handler."""
    monkeypatch.setattr(logger, "handlers", [logging.StreamHandler(stream)])
    monkeypatch.setattr(logger, "level", logging.DEBUG)
    monkeypatch.setattr(logger, "_cache", {})  # what it has found to be enabled, or not
    return logger


def test_whatever_the_pack_logs_is_redacted(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text, its arguments, and the traceback that comes with it."""
    learn(KEY)
    logger = listened(logs.logger("cartoonize_pack.test"), stream, monkeypatch)
    logger.info("with %s and %r", KEY, {"Authorization": "Basic aHVudGVyMjpodW50ZXIy"})
    try:
        raise ValueError(f"no {KEY}")
    except ValueError:
        logger.exception("at https://h.example/a?sig=hunter2")
    said = stream.getvalue()
    assert said.startswith("with [key] and {'Authorization': 'Basic …'}\nat https://h.example/a?…\nTraceback")
    assert "ValueError: no [key]" in said
    assert "R2v" not in said


def test_what_libraries_log_for_the_pack_is_redacted_and_for_others_is_not(
    stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They write whole addresses at DEBUG; what they say in other packs' threads is not ours to change."""
    logs.redact_libraries()
    logger = listened(logging.getLogger("urllib3.connectionpool"), stream, monkeypatch)

    def speak() -> None:
        logger.debug('%s "%s %s"', "https://h.example", "GET", "https://h.example/a?sig=hunter2")

    start(speak, "test").result()
    assert stream.getvalue() == 'https://h.example "GET https://h.example/a?…"\n'
    speak()
    assert "sig=hunter2" in stream.getvalue()


def test_a_logger_is_filtered_once() -> None:
    """However often its module asks for it."""
    assert len({id(logs.logger("cartoonize_pack.test")) for _ in range(3)}) == 1
    assert len(logs.logger("cartoonize_pack.test").filters) == 1


# --- errors -----------------------------------------------------------------------------------------------------------


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
