"""The body of a streamed answer: bounded, whole, and not compressed unless that is allowed."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError as TransportError

from .addresses import shown_name
from .errors import InputError, UnreachableError

_CHUNK_BYTES = 65536
_MOST_DIGITS = 18
_HEAD_BYTES = 16  # of a file: enough to know its kind
_PACKED = ("gzip", "x-gzip", "deflate")
_CODINGS = (*_PACKED, "compress", "x-compress", "br", "zstd")  # others, such as aws-chunked, do not change the bytes


def read_body(response: requests.Response, max_bytes: int, check_head: Callable[[bytes], None] | None = None) -> bytes:
    """Return the body as it is sent; `check_head` sees its beginning first, and may raise.

    Raises InputError past `max_bytes` and for a compressed body (a small one may unpack to any size), UnreachableError
    if it is cut short.
    """
    _refuse_compressed(response)
    length = declared_length(response)
    if length is not None and length > max_bytes:
        raise _too_large(response, max_bytes)
    body = _collected(response, _chunks(response), max_bytes, check_head)
    if length is not None and len(body) != length:
        raise cut_short(response, len(body), length)
    return body


def read_reply(response: requests.Response, max_bytes: int) -> bytes:
    """Return the body, unpacked if it is packed once, as some services do unasked; raises as `read_body`.

    The texts of errors name the host only: addresses that an operator has written down may hold keys.
    """
    parts = urlsplit(response.url)
    response.url = f"{parts.scheme}://{parts.netloc}"
    encoding = _encoding(response)
    if encoding not in _PACKED:
        return read_body(response, max_bytes)
    unpack = zlib.decompressobj(wbits=47)  # gzip or zlib, by its header
    body = _collected(response, _unpacked(response, unpack), max_bytes)
    if not unpack.eof:
        msg = f"{shown_name(response.url)} stopped in the middle: the end of a compressed answer is missing."
        raise UnreachableError(msg)
    return body


def read_head(response: requests.Response, first_bytes: int) -> bytes:
    """Return the first bytes of the body as it is sent; raises as `read_body`.

    Of a compressed page, too: that it is one is all that its reader wants to know.
    """
    is_file = response.status_code in (200, 206) and not response.headers.get("Content-Type", "").startswith("text/")
    if is_file:
        _refuse_compressed(response)
    body, length = bytearray(), declared_length(response)
    for chunk in _chunks(response):
        body += chunk
        if len(body) >= first_bytes:
            break
    if length is not None and len(body) < min(length, first_bytes):
        raise cut_short(response, len(body), length)
    return bytes(body[:first_bytes])


def declared_length(response: requests.Response) -> int | None:
    """Return the length that a response declares, None if it is no number."""
    declared = response.headers.get("Content-Length", "")
    if not re.fullmatch("[0-9]+", declared):
        return None
    return int(declared[:_MOST_DIGITS])  # cut, it is still more than anybody accepts; and int() takes only so many


def cut_short(response: requests.Response, arrived: int, declared: int) -> UnreachableError:
    """Return the error for a body of which a part is missing."""
    return UnreachableError(f"{shown_name(response.url)} stopped in the middle: {arrived} of {declared} bytes arrived.")


def _encoding(response: requests.Response) -> str:
    """Return how the body is packed, layer by layer; empty if it is not."""
    layers = response.headers.get("Content-Encoding", "").lower().split(",")
    return ", ".join(layer.strip() for layer in layers if layer.strip() in _CODINGS)


def _refuse_compressed(response: requests.Response) -> None:
    if encoding := _encoding(response):
        msg = f"{shown_name(response.url)} sends it compressed ({encoding}), although that is not asked for."
        raise InputError(msg)


def _too_large(response: requests.Response, max_bytes: int) -> InputError:
    return InputError(f"{shown_name(response.url)} sends more than the {max_bytes} bytes that are accepted.")


def _collected(
    response: requests.Response,
    chunks: Iterator[bytes],
    max_bytes: int,
    check_head: Callable[[bytes], None] | None = None,
) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if check_head is not None and len(body) >= _HEAD_BYTES:
            check_head(bytes(body[:_HEAD_BYTES]))
            check_head = None
        if len(body) > max_bytes:
            raise _too_large(response, max_bytes)
    return bytes(body)


def _unpacked(response: requests.Response, unpack: zlib._Decompress) -> Iterator[bytes]:
    with _transport_errors(response):
        for chunk in _chunks(response):
            rest = chunk
            while rest:
                yield unpack.decompress(rest, _CHUNK_BYTES)
                rest = b"" if unpack.eof else unpack.unconsumed_tail


def _chunks(response: requests.Response) -> Iterator[bytes]:
    with _transport_errors(response):
        yield from response.raw.stream(_CHUNK_BYTES, decode_content=False)


@contextmanager
def _transport_errors(response: requests.Response) -> Iterator[None]:
    """Turn what goes wrong on the way into an error of ours, raised where no variable holds what has arrived."""
    try:
        yield
    except (requests.RequestException, TransportError, OSError, ValueError, zlib.error) as error:
        # ValueError: a length below 0
        cause = "a compressed answer is damaged" if isinstance(error, zlib.error) else type(error).__name__
        msg = f"{shown_name(response.url)} stopped in the middle: {cause}."
        raise UnreachableError(msg) from None
