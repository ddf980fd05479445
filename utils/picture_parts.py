"""The parts of a picture file: whether all are there, which of them its pixels need, and which way is up.

What Pillow makes of a file depends on its version, and on what other packs of the process have set in it
(LOAD_TRUNCATED_IMAGES, MAX_IMAGE_PIXELS, MAX_TEXT_CHUNK, openers of their own). So it gets only what is needed.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from .errors import InputError
from .formats import SCAN, bmp_size, jpeg_segments

MAX_SCANS = 200  # of a JPEG; ordinary ones have about ten, and each is decoded over the whole picture
MAX_CHUNKS = 100_000  # of a PNG or WebP
UPRIGHT = 1
_ORIENTATION = 0x0112  # the tag of TIFF 6.0, as EXIF has it
_PNG_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_JPEG_NOTES = (*range(0xE1, 0xEE), 0xEF, 0xFE)  # APP1 to APP13, APP15, comments; APP0 and APP14 tell of the colours


@dataclass(frozen=True)
class Parts:
    """What a decoder gets of a file, and the orientation that the file states (1 to 8, TIFF 6.0)."""

    pixels: bytes
    orientation: int = UPRIGHT


def parts_of(data: bytes, kind: str, name: str) -> Parts:
    """Return what of a file its pixels need; raises InputError if it is damaged, cut short or built to exhaust.

    Texts, profiles and thumbnails may unpack to any size, and further frames are not looked at: of PNG and JPEG they
    are left out, of WebP the decoder skips them.
    """
    try:
        if kind == "PNG":
            return _png_parts(data)
        if kind == "JPEG":
            return _jpeg_parts(data)
        is_whole = True
        if kind == "WEBP":
            is_whole = len(data) >= struct.unpack("<I", data[4:8])[0] + 8
        elif kind == "BMP":
            is_whole = len(data) >= bmp_size(data)[2]
        problem = "" if is_whole else "its end is missing"
    except struct.error:
        problem = "its end is missing"
    except ValueError as error:
        problem = str(error)
    if problem:
        msg = f"{name} is damaged or cut short: {problem}."
        raise InputError(msg)
    return Parts(data, _webp_orientation(data) if kind == "WEBP" else UPRIGHT)


def _png_parts(data: bytes) -> Parts:
    view, orientation = memoryview(data), UPRIGHT
    kept = [view[:8]]
    for kind, begin, end in _png_chunks(data):
        if kind in _PNG_PIXELS:
            if zlib.crc32(view[begin + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
                msg = f"the checksum of its part {kind.decode()} is wrong"
                raise ValueError(msg)
            kept.append(view[begin:end])
        elif kind == b"eXIf":
            orientation = _orientation(data[begin + 8 : end - 4])
    return Parts(_joined(kept, data), orientation)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    at = 8
    for _ in range(MAX_CHUNKS):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        end = at + 12 + length
        if end > len(data):
            msg = "its end is missing"
            raise ValueError(msg)
        yield kind, at, end
        if kind == b"IEND":
            return
        at = end
    msg = f"it has more than {MAX_CHUNKS} parts"
    raise ValueError(msg)


def _jpeg_parts(data: bytes) -> Parts:
    view, orientation, scan_at = memoryview(data), UPRIGHT, len(data)
    kept = [view[:2]]
    for marker, begin, end in jpeg_segments(data):
        if marker == SCAN:
            scan_at = begin
        if data[begin + 4 : begin + 10] == b"Exif\0\0" and orientation == UPRIGHT:
            orientation = _orientation(data[begin + 10 : end])
        if marker not in _JPEG_NOTES:
            kept.append(view[begin:end])
    # Between the compressed data each FF is followed by 00 or a restart, so that other markers are what they seem.
    end_at = data.find(b"\xff\xd9", scan_at)
    if end_at < 0:
        msg = "its end is missing"
        raise ValueError(msg)
    if (scans := data.count(b"\xff\xda", scan_at, end_at)) > MAX_SCANS:  # behind the end, phones put films
        msg = f"it has {scans} scans"
        raise ValueError(msg)
    return Parts(_joined(kept, data), orientation)


def _webp_orientation(data: bytes) -> int:
    at = 12
    for _ in range(MAX_CHUNKS):
        if at + 8 > len(data):
            break
        kind, length = struct.unpack("<4sI", data[at : at + 8])
        if kind == b"EXIF":
            return _orientation(data[at + 8 : at + 8 + length])
        at += 8 + length + length % 2
    return UPRIGHT


def _orientation(exif: bytes) -> int:
    """Return the orientation that a block of EXIF states; 1, upright, if it states none or cannot be read."""
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4], "")
    try:
        (at,) = struct.unpack(f"{order}I", tiff[4:8]) if order else (len(tiff),)
        (entries,) = struct.unpack(f"{order}H", tiff[at : at + 2])
        for entry in range(at + 2, min(at + 2 + 12 * entries, len(tiff)), 12):
            tag, _, _, value = struct.unpack(f"{order}HHIH", tiff[entry : entry + 10])
            if tag == _ORIENTATION:
                return value if 1 <= value <= 8 else UPRIGHT
    except struct.error:
        return UPRIGHT
    return UPRIGHT


def _joined(kept: list[memoryview], data: bytes) -> bytes:
    return data if sum(map(len, kept)) == len(data) else b"".join(kept)
