"""What the fuzz tests share: how long they search, the values that nobody expects, and the corpus of found cases.

Usually they try the same few dozen values in every run. CARTOONIZE_FUZZ=2000 makes a campaign of it: so many values a
test, other ones each time. What it finds is kept as a file in tests/corpus, named for what it is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from cartoonize_pack.utils.errors import CartoonizeError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

CORPUS = Path(__file__).parent / "corpus"
LONGEST_TEXT = 4000  # of an error about one thing, in characters
R = TypeVar("R")

_campaign = int(os.environ.get("CARTOONIZE_FUZZ", "0"))  # read here, because inside tests there are no such variables
settings.register_profile(
    "fuzz",
    derandomize=not _campaign,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),  # among them: fixtures are made once for all values
)
settings.load_profile("fuzz")


def tries(count: int) -> settings:
    """How many values a test tries: so many matter, a third of them in the suite, which is to stay quick."""
    return settings(max_examples=_campaign or max(3, count // 3))


def kept(folder: str, kind: str = "") -> list[Any]:
    """The files of a part of the corpus whose names begin so, as parameters; there is one at least."""
    paths = sorted((CORPUS / folder).glob(f"{kind}*"))
    assert paths
    return [pytest.param(path, id=path.stem) for path in paths]


def told(error: CartoonizeError, longest: int = LONGEST_TEXT) -> str:
    """The text of an error, which must be fit to be shown: not empty, not endless, nothing that steers a terminal."""
    text = str(error)
    assert text.strip()
    assert is_readable(text), f"not printable: {text!r}"
    assert len(text) <= longest, f"{len(text)} characters: {text[:200]}"
    return text


def is_readable(text: str) -> bool:
    """Whether a text has printable characters and line ends only."""
    return all(c.isprintable() or c == "\n" for c in text)


def unless(kind: type[CartoonizeError], call: Callable[[], R]) -> R | None:
    """The result of a call, None if it raises an error of this kind that is fit to be shown."""
    try:
        return call()
    except kind as error:
        told(error)
        return None


# --- values -----------------------------------------------------------------------------------------------------------

texts = st.text(st.characters(), max_size=40)  # half surrogates and control characters included
_pieces = st.sampled_from(
    [
        "http://", "https://", "HTTPS://", "file:///", "//", "://", "a.b-c+d", "h.example", "127.0.0.1", "[::1]",
        "[", "]", ":8443", ":99999", ":x", "/", "/a.png", "/@me", "me:hunter2@", "@", "?", "&", "=", ";", "#", "%",
        "%zz", "%00", "+", "X-Amz-Signature=1", "x-amz-date=20260101T000000Z", "X-Amz-Date=99999999T999999Z",
        "x-amz-expires=60", "x-goog-expires=1e999", "sig=1", "se=2026-01-01T00:00:00.5Z",
        "se=0001-01-01T00:00:00+23:59", "signature=1", "expires=1e400", "expires=nan", "expires=1700000000", "key=",
        "api_token: ", "sk-", "eyJ", "Basic ", "Bearer abcdefghijk", "'", '"', "<", ">", " ", "\n", "\t", "\x00",
        "\x1b[2J", "\ud800", "\udfff", "\u202e", "ℂ", "℀", "错", "é", "1", "_", "𝟙", "²", "~1", "~0",
    ]
)  # fmt: skip
urlish = st.builds(
    "{}{}".format, st.sampled_from(["http://", "https://", ""]), st.lists(_pieces | texts, max_size=9).map("".join)
)
long_texts = st.lists(_pieces, min_size=1, max_size=3).map(lambda pieces: _repeated("".join(pieces)))


def _repeated(text: str) -> str:
    return text * (20_000 // len(text))


_numbers = st.sampled_from(
    [0, 1, 2, 3, 4, 5, 6, 7, -1, 0.0, -0.0, 3.0, 2.5, 1e300, 10**17, 10**18, 10**30, 10**400, float("nan"),
     float("inf")]
)  # fmt: skip
_words = st.sampled_from(
    ["", "0", "1", "3", " 3 ", "03", "-1", "1e3", "1_0", "nan", "inf", "٣", "https://r.example/0.png?sig=hunter2", "t1"]
)
json_leaves = st.none() | st.booleans() | _numbers | st.integers() | st.floats() | _words | texts
json_keys = st.sampled_from(
    ["code", "msg", "data", "task_id", "status", "list", "wait_time", "image_result", "reason", "images", "tasks",
     "profile", "link", "may_retry", "width", "url", "message", "a/b", "~", "", "0", "01"]
)  # fmt: skip
json_values = st.recursive(
    json_leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(json_keys | texts, inner, max_size=6),
    max_leaves=10,
)


@st.composite
def altered(draw: st.DrawFn, whole: object) -> Any:
    """A JSON value with up to three of its parts replaced by anything, or left out."""
    value = json.loads(json.dumps(whole))
    for _ in range(draw(st.integers(1, 3))):
        value = _with_other_part(draw, value)
    return value


def _with_other_part(draw: st.DrawFn, value: Any) -> Any:
    places = list(_places(value))
    if not places:
        return draw(json_values)
    holder, key = draw(st.sampled_from(places))
    if draw(st.booleans()):
        del holder[key]
    else:
        holder[key] = draw(json_values)
    return value


def _places(value: Any) -> Any:
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, part in list(items):
        yield value, key
        yield from _places(part)


_UNSIGNED = [0, 1, 2, 3, 4, 7, 8, 16, 24, 32, 127, 128, 255, 256, 257, 4999, 32767, 32768, 65535, 65536, 10**6,
             2**31 - 1, 2**31, 2**32 - 1]  # fmt: skip


@st.composite
def edited(draw: st.DrawFn, files: Sequence[bytes]) -> bytes:
    """A file, cut, with bytes changed, left out, repeated or put in, or continued as another one."""
    data = bytearray(draw(st.sampled_from(files)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        length = draw(st.integers(1, 12))
        edit = draw(st.sampled_from(["cut", "change", "remove", "repeat", "insert", "splice", "number", "number"]))
        if edit == "cut":
            del data[at:]
        elif edit == "change":
            data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
        elif edit == "remove":
            del data[at : at + length]
        elif edit == "repeat":
            data[at:at] = data[at : at + length] * draw(st.integers(1, 40))
        elif edit == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=12))
        elif edit == "splice":
            other = draw(st.sampled_from(files))
            data[at:] = other[draw(st.integers(0, len(other))) :]
        else:
            size, order = draw(st.sampled_from([(1, "big"), (2, "big"), (2, "little"), (4, "big"), (4, "little")]))
            number = draw(st.sampled_from(_UNSIGNED)) % 256**size
            data[at : at + size] = number.to_bytes(size, order)  # type: ignore[arg-type]
    return bytes(data)
