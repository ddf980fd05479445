"""Canaries: keys that stand in no other text, the ways in which they may be written, and a search that finds them.

The search looks inside of what it is given: texts in PNG chunks, the rows of SQLite files and of the WAL beside them,
JSON in JSON, what is encoded for an address or a page. It takes half a key for a hit, because texts are cut, and small
letters for capitals, because some are folded.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
import shutil
import sqlite3
import struct
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote_to_bytes

# None of them has the shape of a vendor's keys: the redactor must know them, and cannot guess.
APP_KEY = "Vq7xT2mKc9RwZ4bLhY8nDs3G"
APP_SECRET = "pX5/w+Jt8QzR2v/LmN6+bK4cYdH7sW=="
PASSWORD = 'Grün&"Zaun"/q7Rt\'4xW%Kd+9'  # what a person may choose, and no two ways of writing it agree
HEADER_KEY = "Tn3GzB8rLw5XkQ1vYd6MsJ4c"
FORM_KEY = "c41f9b07e2d85a36f0b1c7d94e6a2835"
BUCKET_SECRET = "uR9x/KbW4dTzQ7m+Y2vLh8NcJ5sGfX3pA6tEwZ1k"
PROXY_PASSWORD = "Hs6PkV9tZc2JxM4w"
ADDRESS_KEY = "Dw8LqY3nRf7TbX5kUz1S"  # some services and hosts have keys in their addresses
LINKS_KEY = "nB5vX8cZ2mK7jH4gF1dS6aQ9wE3rT0yU"  # what ComfyUI's route signs links with: 32 bytes
EMBEDDED_KEY = "kJ3hG8fD2sA7pO5iU9yT4rE1"  # of the embedded service, which makes its own
CANARIES: Mapping[str, str] = {
    "app key": APP_KEY,
    "app secret": APP_SECRET,
    "password of a host": PASSWORD,
    "key in a header": HEADER_KEY,
    "key in a form": FORM_KEY,
    "secret of a bucket": BUCKET_SECRET,
    "password of a proxy": PROXY_PASSWORD,
    "key in an address": ADDRESS_KEY,
    "key of links": LINKS_KEY,
    "key of the embedded service": EMBEDDED_KEY,
}
_PNG = b"\x89PNG\r\n\x1a\n"
_SQLITE = b"SQLite format 3\0"
_DEEPEST = 6  # JSON in JSON


def basic(user: str, password: str) -> str:
    """The value of an Authorization header."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def repeated(*keys: str) -> str:
    """What a talkative server says of the keys that it was sent: as they are, in JSON, in an address, in HTML."""
    ways = (
        (
            key, json.dumps(key), json.dumps(key).replace("/", "\\/"), quote(key), quote(key, safe=""), quote_plus(key),
            re.sub("%..", lambda code: code[0].lower(), quote(key, safe="")), html.escape(key),
        )
        for key in keys
    )  # fmt: skip
    return " and ".join(" ".join(dict.fromkeys(way)) for way in ways)


# --- the ways in which a key may be written ---------------------------------------------------------------------------


def spellings(key: str) -> dict[str, bytes]:
    """All of them by name, in lower case."""
    raw, in_json, in_unicode = key.encode(), json.dumps(key)[1:-1], json.dumps(key, ensure_ascii=False)[1:-1]
    half = len(key) // 2
    found: dict[str, str | bytes] = {
        "plain": key,
        "JSON": in_json,
        "JSON of PHP": in_json.replace("/", "\\/"),
        "JSON with all letters": in_unicode,
        "JSON in JSON": json.dumps(in_json)[1:-1],
        "percent": quote(key, safe=""),
        "percent with plus": quote_plus(key),
        "HTML": html.escape(key),
        "repr": repr(key)[1:-1],
        "repr of bytes": repr(raw)[2:-1],
        "hex": raw.hex(),
        "Latin-1": key.encode("latin-1"),
        "UTF-16": key.encode("utf-16-le"),
        "its first half": key[:half],
        "its second half": key[half:],
        "its first half in base64": _in_base64(raw[:half], 0),
    }
    for offset in range(3):  # where it begins in what was encoded: a pair, for instance, has the user in front
        found[f"base64 at {offset}"] = _in_base64(raw, offset)
        found[f"base64 for URLs at {offset}"] = _in_base64(raw, offset).translate(str.maketrans("+/", "-_"))
    return {name: (form.encode() if isinstance(form, str) else form).lower() for name, form in found.items()}


def _in_base64(raw: bytes, offset: int) -> str:
    """What the base64 of a text has where this part of it stands, whatever comes before and behind."""
    encoded = base64.b64encode(b"\0" * offset + raw).decode()
    return encoded[-(-offset * 8 // 6) : (offset + len(raw)) * 8 // 6]


# --- the search -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hit:
    """A key where none belongs."""

    where: str
    key: str
    spelling: str
    context: str

    def __str__(self) -> str:
        return f"{self.where}: the {self.key} ({self.spelling}) in {self.context}"


@dataclass
class Search:
    """Looks for canaries, and counts what it has looked at."""

    canaries: Mapping[str, str] = field(default_factory=lambda: CANARIES)
    texts: int = 0  # files included
    size: int = 0  # bytes

    def __post_init__(self) -> None:
        self._forms = [(key, name, form) for key, text in self.canaries.items() for name, form in _forms(text)]
        self._seen: dict[bytes, list[tuple[str, str, str]]] = {}

    def look(self, where: str, content: str | bytes) -> list[Hit]:
        """The canaries in a text or a file, one of each."""
        data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
        self.texts += 1
        self.size += len(data)
        if data not in self._seen:
            self._seen[data] = list(self._found(data))
        return [Hit(where, *found) for found in self._seen[data]]

    def file(self, path: Path) -> list[Hit]:
        """The canaries in a file; of a SQLite file also those that its pages or its WAL hold in pieces."""
        data = path.read_bytes()
        hits = self.look(path.name, data)
        return hits + self.look(f"{path.name}, its rows", rows_of(path)) if data.startswith(_SQLITE) else hits

    def folder(self, folder: Path, leave_out: Iterable[Path] = ()) -> list[Hit]:
        """The canaries in the files of a folder, and in their names."""
        paths = sorted(path for path in folder.rglob("*") if path.is_file() and path not in leave_out)
        names = self.look("names of files", "\n".join(str(path.relative_to(folder)) for path in paths))
        return names + [hit for path in paths for hit in self.file(path)]

    def _found(self, data: bytes) -> Iterator[tuple[str, str, str]]:
        layers = [plain.lower() for layer in layers_of(data) for plain in plain_of(layer)]
        found: set[str] = set()
        for key, name, form in self._forms:
            for layer in layers:
                at = -1 if key in found else layer.find(form)
                if at >= 0:
                    found.add(key)
                    yield key, name, repr(layer[max(0, at - 60) : at + len(form) + 60].decode("utf-8", "replace"))


def plain_of(layer: bytes) -> Iterator[bytes]:
    """A text, and what it means where it is encoded for an address, or for a page, once or twice."""
    yield layer
    if b"%" in layer:
        yield (once := unquote_to_bytes(layer))
        yield unquote_to_bytes(once)
    if b"&" in layer:
        yield html.unescape(layer.decode("latin-1")).encode("utf-8")


def _forms(key: str) -> Iterable[tuple[str, bytes]]:
    found: dict[bytes, str] = {}
    for name, form in spellings(key).items():
        found.setdefault(form, name)
    return [(name, form) for form, name in found.items()]


def layers_of(data: bytes, depth: int = 0) -> Iterator[bytes]:
    """What a file shows to whoever opens it: its bytes, the texts of a picture, the strings of JSON."""
    yield data
    if data.startswith(_PNG):
        for text in png_texts(data):
            yield from layers_of(text, depth + 1)
    if depth < _DEEPEST and data.lstrip()[:1] in (b"{", b"[", b'"'):
        with suppress(ValueError, RecursionError):
            strings = [text for text in _strings(json.loads(data)) if text]
            yield "\n".join(strings).encode("utf-8", "surrogatepass")
            for text in strings:
                if text.lstrip()[:1] in ("{", "["):
                    yield from layers_of(text.encode("utf-8", "surrogatepass"), depth + 1)


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield name
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The type and the content of each chunk of a PNG."""
    at = len(_PNG)
    while at + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        yield kind, data[at + 8 : at + 8 + length]
        at += 12 + length


def png_texts(data: bytes) -> Iterator[bytes]:
    """The texts of a PNG, unpacked: what ComfyUI writes a workflow into."""
    for kind, content in png_chunks(data):
        name, _, rest = content.partition(b"\0")
        if kind == b"tEXt":
            yield rest
        elif kind == b"zTXt":
            yield _unpacked(rest[1:])
        elif kind == b"iTXt":
            text = rest[2:].split(b"\0", 2)[-1]
            yield _unpacked(text) if rest[:1] == b"\1" else text


def _unpacked(data: bytes) -> bytes:
    with suppress(zlib.error):
        return zlib.decompress(data)
    return data


def png_with(kind: bytes, content: bytes) -> bytes:
    """The smallest PNG with a chunk."""
    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (kind, content), (b"IDAT", zlib.compress(b"\0\0")), (b"IEND", b""))
    return _PNG + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", binascii.crc32(name + data))
        for name, data in chunks
    )


def rows_of(path: Path) -> str:
    """All values of a SQLite file, those included that only its WAL has; what can be read of one that is damaged."""
    wal = path.with_name(f"{path.name}-wal")
    if not wal.exists():
        return "\n".join(_values(path))
    with tempfile.TemporaryDirectory() as folder:  # nothing is written where others may still work
        copy = Path(shutil.copy(path, folder))
        shutil.copy(wal, folder)
        return "\n".join(_values(copy, ""))


def _values(path: Path, how: str = "?immutable=1") -> Iterator[str]:
    with closing(sqlite3.connect(f"{path.as_uri()}{how}", uri=True)) as db, suppress(sqlite3.DatabaseError):
        db.text_factory = lambda raw: raw.decode("utf-8", "replace")
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in db.execute(f'SELECT * FROM "{table}"'):
                for value in row:
                    yield value.decode("latin-1") if isinstance(value, bytes) else str(value)
