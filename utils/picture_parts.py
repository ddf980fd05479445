"""The parts of a picture file: whether all are there, which of them its pixels need, and which way is up.

What Pillow makes of a file depends on its version, and on what other packs of the process have set in it
(LOAD_TRUNCATED_IMAGES, MAX_IMAGE_PIXELS, MAX_TEXT_CHUNK, openers of their own). So it gets only what is needed.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass

from .errors import InputError
from .formats import SCAN, bmp_size, jpeg_segments

MAX_SCANS = 200  # of a JPEG; ordinary ones have about ten, and each is decoded over the whole picture
MAX_CHUNKS = 100_000  # of a PNG or WebP
UPRIGHT = 1
_APP1 = 0xE1
_NUMBERS = {3: "H", 4: "I"}  # types of TIFF 6.0: SHORT and LONG
_ORIENTATION = 0x0112  # the tag of TIFF 6.0, as EXIF has it
_PNG_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")
_PNG_END = struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND"))
_XMP = re.compile(rb"tiff:Orientation(?:=[\"']|>)([1-8])")
_XMP_NOTES = (b"http://ns.adobe.com/xap/1.0/\0", b"XML:com.adobe.xmp\0\0\0")  # as APP1 of JPEG, as iTXt of PNG begin
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
    view, orientation, at, kind = memoryview(data), 0, 8, b""
    kept = [view[:8]]
    for _ in range(MAX_CHUNKS):
        if kind == b"IDAT" and at == len(data):  # some programs leave out what only says that this was the end
            break
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        if kind == b"IEND":
            break
        end = at + 12 + length
        if end > len(data):
            msg = "its end is missing"
            raise ValueError(msg)
        if kind in _PNG_PIXELS:
            if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
                msg = f"the checksum of its part {kind.decode()} is wrong"
                raise ValueError(msg)
            kept.append(view[at:end])
        elif kind in (b"eXIf", b"iTXt"):
            orientation = orientation or _orientation(data[at + 8 : end - 4])
        at = end
    else:
        msg = f"it has more than {MAX_CHUNKS} parts"
        raise ValueError(msg)
    return Parts(b"".join((*kept, _PNG_END)), orientation or UPRIGHT)


def _jpeg_parts(data: bytes) -> Parts:
    view, orientation, scan_at = memoryview(data), 0, len(data)
    kept = [view[:2]]
    for marker, begin, end in jpeg_segments(data):
        if marker == SCAN:
            scan_at = begin
        if marker == _APP1:
            orientation = orientation or _orientation(data[begin + 4 : end])
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
    return Parts(data if sum(map(len, kept)) == len(data) else b"".join(kept), orientation or UPRIGHT)


def _webp_orientation(data: bytes) -> int:
    at = 12
    for _ in range(MAX_CHUNKS):
        if at + 8 > len(data):
            break
        kind, length = struct.unpack("<4sI", data[at : at + 8])
        if kind == b"EXIF":
            return _orientation(data[at + 8 : at + 8 + length]) or UPRIGHT
        at += 8 + length + length % 2
    return UPRIGHT


def _orientation(note: bytes) -> int:
    """Return the orientation that a block of EXIF or XMP states, 0 if it states none or cannot be read."""
    if note.startswith(_XMP_NOTES):
        found = _XMP.search(note)
        return int(found[1]) if found else 0
    tiff = note.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 0
    try:
        (at,) = struct.unpack(f"{order}I", tiff[4:8])
        (entries,) = struct.unpack(f"{order}H", tiff[at : at + 2])
        for entry in range(at + 2, min(at + 2 + 12 * entries, len(tiff)), 12):
            tag, kind = struct.unpack(f"{order}HH", tiff[entry : entry + 4])
            if tag == _ORIENTATION and kind in _NUMBERS:
                (value,) = struct.unpack_from(f"{order}{_NUMBERS[kind]}", tiff, entry + 8)
                return int(value) if 1 <= value <= 8 else 0
    except struct.error:
        return 0
    return 0
