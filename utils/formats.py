"""Kinds of picture files by their bytes: which one it is, the size it states, whether it is whole; nothing is decoded.

What Pillow would say depends on what other packs of the same process have set in it: LOAD_TRUNCATED_IMAGES,
MAX_IMAGE_PIXELS, MAX_TEXT_CHUNK, openers of their own. This does not.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence

from PIL import BmpImagePlugin, Image, JpegImagePlugin

from .errors import InputError

# What Pillow raises for files that are no pictures, and where another pack has set its limit of pixels low.
DAMAGED = (OSError, SyntaxError, ValueError, struct.error, EOFError, Image.DecompressionBombError)
MAX_SCANS = 200  # of a JPEG; ordinary ones have about ten, and each is decoded over the whole picture
MAX_CHUNKS = 100_000  # of a PNG
_KINDS: Sequence[tuple[bytes, int, str]] = (
    (b"\x89PNG\r\n\x1a\n", 0, "PNG"), (b"\xff\xd8\xff", 0, "JPEG"), (b"BM", 0, "BMP"), (b"GIF8", 0, "GIF"),
    (b"WEBP", 8, "WEBP"), (b"ftypavif", 4, "AVIF"), (b"ftyphe", 4, "HEIC"), (b"ftypmif1", 4, "HEIC"),
    (b"ftypmsf1", 4, "HEIC"),
    (b"II*\x00", 0, "TIFF"), (b"MM\x00*", 0, "TIFF"), (b"%PDF", 0, "PDF"),
)  # fmt: skip
_PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"IEND")


def kind_of(head: bytes) -> str:
    """Return which kind of file begins so, by its magic bytes; empty if it is none that people take for a picture."""
    return next((kind for magic, at, kind in _KINDS if head[at : at + len(magic)] == magic), "")


def stated_size(head: bytes, kind: str) -> tuple[int, int] | None:
    """Return width and height that the beginning of a file states, None if it is too short for that, or damaged.

    However many pixels that are. Sources: PNG specification, 11.2.2; RFC 9649 (WebP), 2.5 to 2.7.
    """
    if kind == "PNG":
        return struct.unpack(">II", head[16:24]) if len(head) >= 24 and head[12:16] == b"IHDR" else None
    if kind == "WEBP":
        return _webp_size(head)
    reader = {"JPEG": JpegImagePlugin.JpegImageFile, "BMP": BmpImagePlugin.BmpImageFile}.get(kind)
    if reader is None:
        return None
    try:
        with reader(io.BytesIO(head)) as image:
            return image.size
    except DAMAGED:
        return None


def whole(data: bytes, kind: str, name: str) -> bytes:
    """Return what of a file its pixels need; raises InputError if it is damaged, cut short or built to exhaust.

    Of a PNG only those chunks stay: its texts and profiles may unpack to any size, and further frames are left out.
    """
    problem = ""
    try:
        if kind == "PNG":
            return _with_pixels_only(data)
        if kind == "JPEG":
            problem = _jpeg_problem(data)
        elif kind == "WEBP" and len(data) < struct.unpack("<I", data[4:8])[0] + 8:
            problem = "its end is missing"
        elif kind == "BMP" and len(data) < _bmp_length(data):
            problem = "its end is missing"
    except struct.error:
        problem = "its end is missing"
    except ValueError as error:
        problem = str(error)
    if problem:
        msg = f"{name} is damaged or cut short: {problem}."
        raise InputError(msg)
    return data


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


def _with_pixels_only(data: bytes) -> bytes:
    at, view = 8, memoryview(data)
    parts = [view[:8]]
    for _ in range(MAX_CHUNKS):
        length, kind = struct.unpack(">I4s", view[at : at + 8])
        end = at + 12 + length
        if end > len(data):
            msg = "its end is missing"
            raise ValueError(msg)
        if kind in _PIXEL_CHUNKS:
            if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
                msg = f"the checksum of its part {kind.decode()} is wrong"
                raise ValueError(msg)
            parts.append(view[at:end])
        if kind == b"IEND":
            return data if sum(map(len, parts)) == len(data) else b"".join(parts)
        at = end
    msg = f"it has more than {MAX_CHUNKS} parts"
    raise ValueError(msg)


def _bmp_length(data: bytes) -> int:
    """Return how many bytes there must be: rows of four bytes' multiples, one after the other, unless packed."""
    start, header = struct.unpack("<II", data[10:18])
    if header < 40:  # the header of OS/2
        width, height, _, depth = struct.unpack("<HHHH", data[18:26])
        packing = 0
    else:
        width, height, _, depth, packing = struct.unpack("<iiHHI", data[18:34])
    is_packed = packing not in (0, 3, 6)  # BI_RGB, BI_BITFIELDS, BI_ALPHABITFIELDS
    return int(start) + (1 if is_packed else (width * depth + 31) // 32 * 4 * abs(height))


def _jpeg_problem(data: bytes) -> str:
    """Return what is wrong: markers cannot stand between the compressed data, where each FF is followed by 00."""
    at = 2
    while data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] != b"\xda":
        at += 1 if data[at + 1 : at + 2] == b"\xff" else 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    if data.find(b"\xff\xd9", at) < 0:
        return "its end is missing"
    scans = data.count(b"\xff\xda", at)
    return f"it has {scans} scans" if scans > MAX_SCANS else ""
