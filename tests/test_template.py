"""Texts with parts in braces, and the JSON pointers in them: filled exactly, or refused by the name of the part."""

from __future__ import annotations

import json

import pytest
from cartoonize_pack.utils.hosting.template import Reply, Template, TemplateError, at_pointer

RFC = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, 'k"l': 6, " ": 7, "m~n": 8}
WORDS = {"name": "Nm-_1.png", "upload_url": "https://h.example/up/Nm-_1.png", "link": "https://h.example/Nm-_1.png"}


def reply(body: object = b"", **headers: str) -> Reply:
    """A reply with this body, bytes as they are and everything else as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(data, {name.replace("_", "-").lower(): value for name, value in headers.items()})


def filled(text: str, body: object = b"", **headers: str) -> str:
    """The text filled in from all words and this reply."""
    return Template(text).filled(WORDS, reply(body, **headers))


# JSON pointers


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", RFC),
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/e^f", 3),
        ("/g|h", 4),
        ("/i\\j", 5),
        ('/k"l', 6),
        ("/ ", 7),
        ("/m~0n", 8),
    ],
)
def test_a_pointer_finds_what_the_standard_says(pointer: str, value: object) -> None:
    """All examples of RFC 6901, section 5."""
    assert at_pointer(RFC, pointer) == value


@pytest.mark.parametrize(
    ("document", "pointer", "value"),
    [
        ({"~1": "tilde one", "/": "slash"}, "/~01", "tilde one"),
        ({"~1": "tilde one", "/": "slash"}, "/~1", "slash"),
        ({"~0": 1, "~": 2}, "/~00", 1),
        ({"a~/b": 1}, "/a~0~1b", 1),
        ({"a": {"": {"b": 1}}}, "/a//b", 1),
        ({"": {"": 1}}, "//", 1),
        ([[1, 2], [3, 4]], "/1/0", 3),
        (list(range(20)), "/10", 10),
        (list(range(2000)), "/1203", 1203),
        ({"0": "key"}, "/0", "key"),
        ({"01": "key"}, "/01", "key"),
        ({"-": "key"}, "/-", "key"),
        ({"ä": 1}, "/ä", 1),
        ({"a": None}, "/a", None),
        ({"a": False}, "/a", False),
    ],
)
def test_a_pointer_unescapes_in_order_and_numbers_are_keys_of_objects_too(
    document: object, pointer: str, value: object
) -> None:
    """~01 is ~1 and never a slash; "0" is an index only where there is a list."""
    assert at_pointer(document, pointer) == value


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ({"a": 1}, "/b"),
        ({"a": 1}, "/A"),
        ({"a": 1}, "/"),
        ({"a": 1}, "/a/"),
        ({"a": 1}, "/a/0"),
        ({"a": "text"}, "/a/0"),
        ({"a": None}, "/a/b"),
        ({"a": True}, "/a/b"),
        ({}, "/0"),
        ([], "/0"),
        ([1, 2], "/2"),
        ([1, 2], "/-"),
        ([1, 2], "/-1"),
        ([1, 2], "/+1"),
        ([1, 2], "/01"),
        ([1, 2], "/00"),
        ([1, 2], "/1.0"),
        ([1, 2], "/1e0"),
        ([1, 2], "/ 1"),
        ([1, 2], "/１"),
        ([1, 2], "/1\n"),
        ([1, 2], "/"),
        ([1, 2], "/first"),
        (5, "/a"),
        (None, "/a"),
        ("text", "/0"),
    ],
)
def test_a_pointer_to_nothing_is_an_error_and_never_a_guess(document: object, pointer: str) -> None:
    """No negative index, no leading zero, no character of a string: the standard's indexes only."""
    with pytest.raises((KeyError, IndexError)):
        at_pointer(document, pointer)


# Filling in


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("no parts at all", "no parts at all"),
        ("{name}", "Nm-_1.png"),
        ("https://h.example/{name}?raw=1", "https://h.example/Nm-_1.png?raw=1"),
        ("{upload_url}?raw=1", "https://h.example/up/Nm-_1.png?raw=1"),
        ("{link}/delete", "https://h.example/Nm-_1.png/delete"),
        ("{name}{name}", "Nm-_1.pngNm-_1.png"),
        ("{name}-{link}", "Nm-_1.png-https://h.example/Nm-_1.png"),
    ],
)
def test_words_are_filled_in_without_any_reply(text: str, expected: str) -> None:
    """Each time they stand there, and nothing else is changed."""
    assert Template(text).filled(WORDS) == expected


def test_a_text_is_filled_in_anew_each_time() -> None:
    """One template serves all pictures."""
    template = Template("{name}")
    assert [template.filled({"name": name}) for name in ("a.png", "b.png")] == ["a.png", "b.png"]


@pytest.mark.parametrize("value", ["{link}", "{json:/secret}", "{", "}", "\\1", "\\g<0>", "a\\nb"])
def test_what_is_filled_in_is_taken_literally(value: str) -> None:
    """Braces and backslashes from outside mean nothing, in words as in replies."""
    assert Template("<{name}>").filled({"name": value, "link": "wrong"}) == f"<{value}>"
    assert filled("<{text}>", value.encode()) == f"<{value}>"
    assert filled("<{json:/a}>", {"a": value, "secret": "wrong"}) == f"<{value}>"
    assert filled("<{header:x}>", x=value) == f"<{value}>"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"https://h.example/a.png", "https://h.example/a.png"),
        (b"https://h.example/a.png\n", "https://h.example/a.png"),
        (b" \t\r\n https://h.example/a.png \r\n\r\n", "https://h.example/a.png"),
        (b"two words\nand a line", "two words\nand a line"),
        ("ä".encode(), "ä"),
        (b"", ""),
        (b'"quoted"', '"quoted"'),
        (b"null", "null"),
    ],
)
def test_the_reply_as_text_is_stripped_and_not_interpreted(body: bytes, expected: str) -> None:
    """Hosts that answer with a bare link end it with a new line."""
    assert filled("{text}", body) == expected


@pytest.mark.parametrize("name", ["Location", "location", "LOCATION", "loCATion"])
def test_a_header_is_found_in_any_case(name: str) -> None:
    """As HTTP says; the reply keeps its names in lower case."""
    assert filled(f"{{header:{name}}}", Location="https://h.example/a.png") == "https://h.example/a.png"


def test_a_header_with_digits_and_hyphens_is_found_as_it_came() -> None:
    """0x0.st answers with X-Token; the value is not touched."""
    assert filled("{header:X-Token-2}", X_Token_2=" a b ") == " a b "


@pytest.mark.parametrize(
    ("text", "body", "expected"),
    [
        ("{json:/data/url}", {"data": {"url": "https://h.example/a.png"}}, "https://h.example/a.png"),
        ("{json:/files/0/url}", {"files": [{"url": "u0"}, {"url": "u1"}]}, "u0"),
        ("{json:/files/1/url}", {"files": [{"url": "u0"}, {"url": "u1"}]}, "u1"),
        ("{json:/0}", ["first"], "first"),
        ("{json:}", "https://h.example/a.png", "https://h.example/a.png"),
        ("{json:/}", {"": "empty key"}, "empty key"),
        ("{json:/a~1b}", {"a/b": "slash"}, "slash"),
        ("{json:/a~0b}", {"a~b": "tilde"}, "tilde"),
        ("{json:/a b:c}", {"a b:c": "odd key"}, "odd key"),
        ("{json:/ä}", {"ä": "é"}, "é"),
        ("{json:/a}", {"a": ""}, ""),
        ("{json:/a}", {"a": " kept "}, " kept "),
        ("{json:/id}", {"id": 7}, "7"),
        ("{json:/id}", {"id": 0}, "0"),
        ("{json:/id}", {"id": -3}, "-3"),
        ("{json:/id}", {"id": 12345678901234567890}, "12345678901234567890"),
        ("https://h.example/{json:/id}/{json:/name}?k={header:k}", {"id": 7, "name": "n"}, "https://h.example/7/n?k=K"),
    ],
)
def test_texts_and_whole_numbers_of_a_json_reply_are_filled_in(text: str, body: object, expected: str) -> None:
    """Each by its pointer, as it stands there."""
    assert filled(text, body, k="K") == expected


@pytest.mark.parametrize(
    "value", [True, False, None, {}, {"url": "u"}, [], ["u"], 1.5, 7.0], ids=lambda value: json.dumps(value)
)
def test_values_that_cannot_stand_in_an_address_are_refused(value: object) -> None:
    """ "True", "None" or a piece of JSON in a link would be found out by the service only."""
    with pytest.raises(TemplateError, match=r"\{json:/a\} is not in the host's reply"):
        filled("{json:/a}", {"a": value})
    with pytest.raises(TemplateError, match=r"\{json:\} is not"):
        filled("{json:}", value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"https://h.example/a.png",
        b"<html></html>",
        b"{",
        b'{"a": "b"',
        b'{"a": "b"} trailing',
        b"{'a': 'b'}",
        b'{"b": "a"}',
        b'["a"]',
        b'"a"',
        b"7",
        b"null",
        b"\xff\xfe\xfa",
        b'{"a": "\xff"}',
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_a_reply_without_the_value_is_refused_by_name_of_the_part(body: bytes) -> None:
    """No JSON, other JSON, JSON that breaks the parser: the message names the part, and nothing else gets out."""
    with pytest.raises(TemplateError) as caught:
        filled("before {json:/a} after", body)
    assert str(caught.value) == "{json:/a} is not in the host's reply"


@pytest.mark.parametrize("body", [[], ["a"], ["a", "b"], {}, {"2": None}], ids=json.dumps)
def test_a_reply_with_too_short_a_list_is_refused_by_name_of_the_part(body: object) -> None:
    """The host has answered with fewer files than it was asked for."""
    with pytest.raises(TemplateError, match=r"^\{json:/2\} is not in the host's reply$"):
        filled("{json:/2}", body)


def test_a_pointer_may_go_as_deep_as_json_does() -> None:
    """No limit of its own."""
    body = b'{"a":' * 400 + b'"deep"' + b"}" * 400
    assert filled("{json:" + "/a" * 400 + "}", body) == "deep"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{text}", "text"),
        ("{header:Location}", "header:Location"),
        ("{json:/a}", "json:/a"),
        ("{link}", "link"),
        ("{upload_url}", "upload_url"),
        ("{name} {text}", "text"),
    ],
)
def test_what_is_not_known_yet_is_refused_by_name_of_the_part(text: str, part: str) -> None:
    """Before the upload there is neither reply nor link."""
    with pytest.raises(TemplateError) as caught:
        Template(text).filled({"name": "n"})
    assert str(caught.value) == f"{{{part}}} is not in the host's reply"


@pytest.mark.parametrize("part", ["name", "upload_url", "link"])
@pytest.mark.parametrize("body", [b"", b'"https://h.example/a.png"', b"5"], ids=["empty", "JSON text", "JSON number"])
def test_a_word_is_never_looked_for_in_the_reply(part: str, body: bytes) -> None:
    """A link that is defined by itself is a mistake, also where the reply happens to be JSON."""
    with pytest.raises(TemplateError, match=rf"\{{{part}\}} is not"):
        Template(f"{{{part}}}").filled({}, reply(body))


@pytest.mark.parametrize("headers", [{}, {"Content_Type": "text/plain"}, {"X_Location": "x"}], ids=str)
def test_a_header_that_is_not_there_is_refused_by_name(headers: dict[str, str]) -> None:
    """As it was written, so that it is found in the configuration."""
    with pytest.raises(TemplateError) as caught:
        filled("{header:Location}", b'"x"', **headers)
    assert str(caught.value) == "{header:Location} is not in the host's reply"


def test_a_text_reply_that_is_no_text_is_refused() -> None:
    """A picture or compressed data in place of a link."""
    with pytest.raises(TemplateError, match=r"\{text\} is not"):
        filled("{text}", b"\x89PNG\xff")


def test_the_first_part_that_is_missing_is_named() -> None:
    """The others are not blamed."""
    with pytest.raises(TemplateError) as caught:
        filled("{json:/a} {json:/b} {json:/c}", {"a": 1, "c": 3})
    assert str(caught.value) == "{json:/b} is not in the host's reply"


# Unknown parts


@pytest.mark.parametrize(
    "part",
    ["", " ", "filename", "Name", "NAME", " name", "name ", "name:x", "link:", "url", "text:1", "upload-url"]
    + ["json", "json:a", "json:data/url", "JSON:/a", "json :/a", "jsonp:/a", "xjson:/a", "json:$.a", "json: /a"]
    + ["header", "header:", "header:a b", "header:a:b", "header:ä", "Header:a", "header: a", "header:a\n", "name\n"],
)
def test_an_unknown_part_is_refused_by_name_with_the_known_ones(part: str) -> None:
    """When the configuration is read, and not at the first upload."""
    with pytest.raises(TemplateError) as caught:
        Template(f"https://h.example/{{name}}/{{{part}}}")
    assert str(caught.value) == (
        f"has the unknown part {{{part}}}; "
        "known are: {name}, {upload_url}, {link}, {text}, {json:/POINTER}, {header:NAME}"
    )


def test_every_known_part_is_accepted() -> None:
    """All that the message of an unknown one names."""
    Template("{name} {upload_url} {link} {text} {json:} {json:/} {json:/POINTER/0} {header:NAME} {header:X-1}")


def test_an_error_is_a_value_error() -> None:
    """So that a caller without words for it still fails as a wrong value does."""
    with pytest.raises(ValueError, match="unknown part"):
        Template("{x}")


@pytest.mark.parametrize(
    ("text", "filled_in"),
    [
        ('{{"a": 1}}', '{"a": 1}'),
        ('{{"name": "{name}"}}', '{"name": "x.png"}'),
        ("{{{name}}}", "{x.png}"),
        ("{{name}}", "{name}"),
        ("}}{{", "}{"),
    ],
)
def test_a_doubled_brace_is_a_brace(text: str, filled_in: str) -> None:
    """For fields that hold JSON."""
    assert Template(text).filled({"name": "x.png"}) == filled_in


@pytest.mark.parametrize("text", ["{", "}", "{name", "name}", "{{name}", "{na{me}", "{json:/a"])
def test_half_a_brace_is_a_mistake(text: str) -> None:
    """Before it is taken for plain text."""
    with pytest.raises(TemplateError, match="has a brace without its other half"):
        Template(text)
