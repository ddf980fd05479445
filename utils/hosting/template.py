"""Texts with parts in braces, by which the configuration says where an upload goes and where its link stands; pure.

{name}            the random name of the picture
{upload_url}      the address it was uploaded to
{link}            the link that was found in the reply
{text}            the reply, as plain text
{json:/data/url}  a value of the JSON reply, by its pointer (RFC 6901)
{header:Location} a header of the reply
{{ and }}         a brace
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_WORDS = ("name", "upload_url", "link", "text")


class TemplateError(ValueError):
    """A text that cannot be read or filled in; says why, to follow the name of its key."""


@dataclass(frozen=True)
class Reply:
    """What a host said to an upload: header names in lower case."""

    body: bytes = field(repr=False)  # it may repeat a key
    headers: Mapping[str, str] = field(repr=False)


class Template:
    """One such text; raises TemplateError for a part that nobody knows."""

    def __init__(self, text: str) -> None:
        self._text = text
        if re.search(r"[{}]", _PART.sub("", text)):
            msg = "has a brace without its other half"
            raise TemplateError(msg)
        for part in self.parts:
            if part not in _WORDS and not re.fullmatch(r"json:(/.*)?|header:[A-Za-z0-9-]+", part):
                known = ", ".join(f"{{{word}}}" for word in (*_WORDS, "json:/POINTER", "header:NAME"))
                msg = f"has the unknown part {{{part}}}; known are: {known}"
                raise TemplateError(msg)

    @property
    def parts(self) -> tuple[str, ...]:
        """What stands in its braces."""
        return tuple(part[1] for part in _PART.finditer(self._text) if part[1] is not None)

    def filled(self, words: Mapping[str, str], reply: Reply | None = None) -> str:
        """Return the text; raises TemplateError naming the part that the reply does not have."""
        return _PART.sub(lambda part: part[0][0] if part[1] is None else _value(part[1], words, reply), self._text)


def _value(part: str, words: Mapping[str, str], reply: Reply | None) -> str:
    if part in words:
        return words[part]
    try:
        found = None if reply is None else _found(part, reply)
    except (LookupError, ValueError, RecursionError):
        found = None
    if isinstance(found, bool) or not isinstance(found, (str, int)):
        msg = f"{{{part}}} is not in the host's reply"
        raise TemplateError(msg)
    return str(found)


def _found(part: str, reply: Reply) -> object:
    kind, _, argument = part.partition(":")
    if kind == "text":
        return reply.body.decode().strip()
    if kind == "header":
        return reply.headers[argument.lower()]
    return at_pointer(json.loads(reply.body), argument) if kind == "json" else None


def at_pointer(value: object, pointer: str) -> object:
    """Return the value that a JSON pointer names (RFC 6901); raises KeyError or IndexError if there is none."""
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and re.fullmatch(r"0|[1-9][0-9]{0,8}", key):
            value = value[int(key)]
        elif isinstance(value, dict):
            value = value[key]
        else:
            raise KeyError(key)
    return value
