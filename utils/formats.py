"""Kinds of picture files by their bytes: which one it is, and the size it states; nothing is decoded."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence

_KINDS: Sequence[tuple[bytes, int, str]] = (
    (b"\x89PNG\r\n\x1a\n", 0, "PNG"), (b"\xff\xd8\xff", 0, "JPEG"), (b"BM", 0, "BMP"), (b"GIF8", 0, "GIF"),
    (b"WEBP", 8, "WEBP"), (b"ftypavif", 4, "AVIF"), (b"ftyphe", 4, "HEIC"), (b"ftypmif1", 4, "HEIC"),
    (b"ftypmsf1", 4, "HEIC"),
    (b"II*\x00", 0, "TIFF"), (b"MM\x00*", 0, "TIFF"), (b"%PDF", 0, "PDF"),
)  # fmt: skip
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # markers of JPEG that state the size (T.81, table B.1)
_MAX_SEGMENTS = 5000  # a profile of 16 MB has 256
_NOT_FF = re.compile(b"[^\xff]")  # any number of FF may stand before a marker
SCAN = 0xDA  # the marker of JPEG before compressed data


def kind_of(head: bytes) -> str:
    """Return which kind of file begins so, by its magic bytes; empty if it is none that people take for a picture."""
    return next((kind for magic, at, kind in _KINDS if head[at : at + len(magic)] == magic), "")


def stated_size(head: bytes, kind: str) -> tuple[int, int] | None:
    """Return width and height that the beginning of a file states, None if it is too short for that, or damaged.

    Sources: PNG specification, 11.2.2; ITU-T T.81, B.2.2 (JPEG); RFC 9649, 2.5 to 2.7 (WebP).
    """
    try:
        if kind == "PNG":
            return struct.unpack(">II", head[16:24]) if head[12:16] == b"IHDR" else None
        if kind == "JPEG":
            return _jpeg_size(head)
        if kind == "BMP":
            width, height, _ = bmp_size(head)
            return width, height
        return _webp_size(head) if kind == "WEBP" else None
    except struct.error:
        return None


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, begin and end of each segment before the compressed data, which comes last, without an end.

    Raises struct.error where the file ends before that, or has more of them than anybody writes.
    """
    at = 2
    for _ in range(_MAX_SEGMENTS):
        if data[at : at + 1] == b"\xff" and (filling := _NOT_FF.search(data, at)):
            at = filling.start() - 1
        prefix, marker = struct.unpack(">BB", data[at : at + 2])
        if prefix != 0xFF:
            return
        if marker == 0x00:  # left over from compressed data; decoders skip it
            at += 2
            continue
        if marker == SCAN:
            yield marker, at, len(data)
            return
        end = at + 2
        if marker not in (0x01, *range(0xD0, 0xD9)):  # these stand alone
            end += struct.unpack(">H", data[at + 2 : at + 4])[0]
        yield marker, at, end
        at = end
    msg = f"more than {_MAX_SEGMENTS} segments"
    raise struct.error(msg)


def bmp_size(head: bytes) -> tuple[int, int, int]:
    """Return width and height of a BMP, and for how many bytes its pixels must be there, 0 if they are packed."""
    start, header = struct.unpack("<II", head[10:18])
    if header < 40:  # the header of OS/2
        width, height, _, depth = struct.unpack("<HHHH", head[18:26])
        packing = 0
    else:
        width, height, _, depth, packing = struct.unpack("<iiHHI", head[18:34])
    is_packed = packing not in (0, 3, 6)  # BI_RGB, BI_BITFIELDS, BI_ALPHABITFIELDS
    rows = abs(height)  # below 0 when the first row is on top
    bits = width * depth
    last = (bits + 7) // 8  # some programs leave out what fills the last row up to four bytes
    return max(0, width), rows, 0 if is_packed else start + (bits + 31) // 32 * 4 * (rows - 1) + last


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    for marker, begin, _ in jpeg_segments(head):
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", head[begin + 5 : begin + 9])
            return width, height
    return None


def _webp_size(head: bytes) -> tuple[int, int] | None:
    if len(head) < 30:
        return None
    if head[12:16] == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if head[12:16] == b"VP8L" and head[20] == 0x2F:
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if head[12:16] == b"VP8 " and head[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None
