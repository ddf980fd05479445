"""Fuzzing the readers of picture files: every file becomes a picture of a sane shape, or is refused with InputError."""

from __future__ import annotations

import io
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cartoonize_pack.utils.errors import InputError
from cartoonize_pack.utils.images import (
    READABLE_FORMATS,
    Header,
    Picture,
    decode,
    encode_jpeg,
    encode_png,
    inspect,
    stated_size,
)
from cartoonize_pack.utils.reachability import FIRST_BYTES, kind_of
from fuzzing import edited, kept, tries, unless
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

# A damaged file may make Pillow warn, of its metadata for example; the suite would make an error of that.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")
ENOUGH = 250_000  # pixels: more than any sample has
QUICK_S = 1.0  # of the processor, for a file of which no more than that may be decoded
WIDTH, HEIGHT = 13, 9  # of the samples: no multiples of 8
KINDS = ("PNG", "JPEG", "BMP", "GIF", "WebP", "WEBP", "AVIF", "HEIC", "TIFF", "PDF", "", "png")

# --- real files -------------------------------------------------------------------------------------------------------


def colours(channels: int = 3, seed: int = 3) -> np.ndarray:
    """Pixels [H,W,C] that are neither flat nor smooth."""
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, channels), np.uint8)


def saved(image: Image.Image, fmt: str, **options: Any) -> bytes:
    """The bytes of a file that another program wrote."""
    stream = io.BytesIO()
    image.save(stream, fmt, **options)
    return stream.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk of a PNG, with its checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(depth: int, colour: int, rows: bytes, *more: bytes, interlaced: bool = False) -> bytes:
    """A PNG as Pillow does not write it."""
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, colour, 0, 0, interlaced)
    return b"".join(
        [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", head), *more, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    )


def interlaced_rows(pixels: np.ndarray) -> bytes:
    """The rows of the seven passes of Adam7, unfiltered (PNG specification, 8.2)."""
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    parts = (pixels[top::down, left::right] for top, left, down, right in passes)
    return b"".join(b"\0" + row.tobytes() for part in parts if part.size for row in part)


def rows(pixels: np.ndarray) -> bytes:
    """The rows of a PNG, unfiltered."""
    return b"".join(b"\0" + row.tobytes() for row in pixels)


def run_length_bmp() -> bytes:
    """A BMP of 256 colours with run lengths and a run of single pixels, which Pillow does not write."""
    run = b"\x05\x07\x03\x09\x00\x05\x01\x02\x03\x04\x05\x00\x00\x00" + b"\x0d\x08\x00\x00" * (HEIGHT - 1) + b"\x00\x01"
    head = struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, 8, 1, len(run), 0, 0, 256, 0)
    colour_table = bytes(range(256)) * 4
    start = 14 + len(head) + len(colour_table)
    return b"BM" + struct.pack("<IHHI", start + len(run), 0, 0, start) + head + colour_table + run


def turned() -> bytes:
    """Metadata that says that a picture lies on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif.tobytes()


def samples() -> dict[str, bytes]:
    """One small file of every kind that people have."""
    rgb, rgba = Image.fromarray(colours()), Image.fromarray(colours(4))
    grey, la = Image.fromarray(colours(1)[..., 0]), Image.fromarray(colours(2))
    other = Image.fromarray(colours(seed=4))
    indexed = rgb.quantize(16)
    see_through = rgba.quantize(8)
    wide = np.random.default_rng(5).integers(0, 65536, (HEIGHT, WIDTH, 4)).astype(">u2")
    text = [chunk(b"tEXt", b"Comment\0face"), chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(b"b")),
            chunk(b"zTXt", b"c\0\0" + zlib.compress(b"d")), chunk(b"gAMA", b"\0\0\xb1\x8f"),
            chunk(b"pHYs", b"\0\0\x0b\x13\0\0\x0b\x13\1"), chunk(b"iCCP", b"p\0\0" + zlib.compress(b"no profile")),
            chunk(b"eXIf", turned()[6:])]  # fmt: skip
    return {
        "grey.png": saved(grey, "PNG"),
        "rgb.png": saved(rgb, "PNG"),
        "rgba.png": saved(rgba, "PNG"),
        "grey-alpha.png": saved(la, "PNG"),
        "bits.png": saved(grey.convert("1"), "PNG"),
        "palette.png": saved(indexed, "PNG"),
        "palette-alpha.png": saved(see_through, "PNG"),
        "palette-transparent.png": saved(indexed, "PNG", transparency=3),
        "rgb-transparent.png": saved(rgb, "PNG", transparency=(1, 2, 3)),
        "grey-transparent.png": saved(grey, "PNG", transparency=7),
        "16-bit-grey.png": png(16, 0, rows(wide[..., 0])),
        "16-bit-rgb.png": png(16, 2, rows(wide[..., :3])),
        "16-bit-rgba.png": png(16, 6, rows(wide)),
        "16-bit-grey-alpha.png": png(16, 4, rows(wide[..., :2])),
        "16-bit-grey-transparent.png": png(16, 0, rows(wide[..., 0]), chunk(b"tRNS", b"\1\2")),
        "interlaced.png": png(8, 2, interlaced_rows(colours()), interlaced=True),
        "interlaced-16-bit.png": png(16, 6, interlaced_rows(wide), interlaced=True),
        "metadata.png": png(8, 2, rows(colours()), *text),
        "animated.png": saved(rgb, "PNG", save_all=True, append_images=[other], duration=10),
        "baseline.jpg": saved(rgb, "JPEG", quality=60),
        "progressive.jpg": saved(rgb, "JPEG", quality=60, progressive=True),
        "restarts.jpg": saved(rgb, "JPEG", quality=60, restart_marker_blocks=1),
        "grey.jpg": saved(grey, "JPEG"),
        "cmyk.jpg": saved(rgb.convert("CMYK"), "JPEG"),
        "on-its-side.jpg": saved(rgb, "JPEG", exif=turned(), comment=b"face"),
        "two-pictures.jpg": saved(rgb, "MPO", save_all=True, append_images=[other]),
        "rgb.bmp": saved(rgb, "BMP"),
        "rgba.bmp": saved(rgba, "BMP"),
        "palette.bmp": saved(indexed, "BMP"),
        "bits.bmp": saved(grey.convert("1"), "BMP"),
        "run-lengths.bmp": run_length_bmp(),
        "lossy.webp": saved(rgb, "WEBP", quality=50),
        "lossless.webp": saved(rgb, "WEBP", lossless=True),
        "alpha.webp": saved(rgba, "WEBP", quality=50),
        "animated.webp": saved(rgba, "WEBP", save_all=True, append_images=[other.convert("RGBA")], duration=10),
        "on-its-side.webp": saved(rgb, "WEBP", exif=turned()),
    }


SAMPLES = samples()
SEE_THROUGH = {
    "rgba.png", "grey-alpha.png", "palette-alpha.png", "palette-transparent.png", "rgb-transparent.png",
    "grey-transparent.png", "16-bit-rgba.png", "16-bit-grey-alpha.png", "interlaced-16-bit.png", "alpha.webp",
    "animated.webp",
}  # fmt: skip
PNGS = [data for name, data in SAMPLES.items() if name.endswith(".png")]
OTHERS = {
    "gif": saved(Image.fromarray(colours()), "GIF"),
    "tiff": saved(Image.fromarray(colours()), "TIFF"),
    "ico": saved(Image.fromarray(colours(4)), "ICO"),
    "page": b"<!DOCTYPE html><title>Log in</title>",
    "nothing": b"",
}

# --- what holds for every file ----------------------------------------------------------------------------------------


def check_file(data: bytes, formats: Sequence[str] = READABLE_FORMATS, most: int = ENOUGH) -> Picture | None:
    """Every reader of a file understands it or refuses it with InputError; returns the picture, if it is one."""
    begin_s = time.thread_time()
    formats = tuple(formats)
    kind = kind_of(data)
    assert kind in KINDS
    stated = stated_size(data[:FIRST_BYTES], kind)
    assert stated is None or (len(stated) == 2 and all(type(side) is int and side >= 0 for side in stated))
    header = unless(InputError, lambda: inspect(data, formats))
    if header is not None:
        assert header.format in formats
        assert header.width > 0
        assert header.height > 0
    picture = unless(InputError, lambda: decode(data, formats, most))
    if picture is not None:
        assert header is not None
        check_picture(picture, header, most)
        assert kind == header.format
        assert stated in (None, (header.width, header.height))
    assert time.thread_time() - begin_s < QUICK_S
    return picture


def check_picture(picture: Picture, header: Header, most: int) -> None:
    """A picture is 8-bit RGB of the size that the file states, lying or standing, and can be encoded."""
    assert picture.rgb.dtype == np.uint8
    assert picture.rgb.shape == (picture.height, picture.width, 3)
    assert picture.alpha is None or picture.alpha.dtype == np.uint8
    assert picture.alpha is None or picture.alpha.shape == (picture.height, picture.width)
    assert 0 < picture.width * picture.height <= most
    assert {picture.width, picture.height} == {header.width, header.height}
    encode_jpeg(picture)
    again = decode(encode_png(picture), ("PNG",), most)
    assert np.array_equal(again.rgb, picture.rgb)
    assert (again.alpha is None) == (picture.alpha is None)
    assert again.alpha is None or np.array_equal(again.alpha, picture.alpha)


@pytest.mark.parametrize("path", kept("pictures"))
def test_kept_files_are_pictures_or_refused(path: Path) -> None:
    """Cases that were found once, or are known to break readers."""
    check_file(path.read_bytes())


@pytest.mark.parametrize("name", sorted(set(SAMPLES) - {"16-bit-grey-transparent.png"}))
def test_every_sample_is_a_picture(name: str) -> None:
    """Else the tests below would damage what is refused anyway; only the first picture of several is taken."""
    picture = check_file(SAMPLES[name])
    assert picture is not None
    sides = (HEIGHT, WIDTH) if name.startswith(("on-its-side", "metadata")) else (WIDTH, HEIGHT)
    assert (picture.width, picture.height) == sides
    assert (picture.alpha is not None) == (name in SEE_THROUGH)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_beginning_of_a_file_states_its_size_or_none(name: str) -> None:
    """Wherever it is cut: never another size, and never a picture from less than its header."""
    data, size = SAMPLES[name], (WIDTH, HEIGHT)
    for length in range(min(len(data), 400)):
        head = data[:length]
        kind = kind_of(head)
        assert stated_size(head, kind) in (None, size)
        header = unless(InputError, lambda head=head: inspect(head, READABLE_FORMATS))
        assert header is None or (header.width, header.height) == size


def with_segments(segment: bytes, times: int) -> bytes:
    """A JPEG with so many parts in front of its pixels."""
    parts = segments_of(SAMPLES["baseline.jpg"])
    return b"".join([*parts[:2], segment * times, *parts[2:]])


LONG: dict[str, Callable[[], bytes]] = {
    "jpeg of restarts": lambda: with_segments(b"\xff\xd0", 500_000),
    "jpeg of empty segments": lambda: with_segments(b"\xff\xe0\0\2", 250_000),
    "jpeg of filling": lambda: with_segments(b"\xff", 1_000_000),
    "jpeg of restarts in its pixels": lambda: SAMPLES["baseline.jpg"][:-2] + b"\xff\xd0" * 500_000 + b"\xff\xd9",
    "png of empty chunks": lambda: png(8, 2, rows(colours()), chunk(b"tEXt", b"") * 80_000),
    "png of empty pixels": lambda: png(8, 2, rows(colours()), chunk(b"IDAT", b"") * 50_000),
    "webp of empty chunks": lambda: SAMPLES["on-its-side.webp"] + b"ABCD\0\0\0\0" * 125_000,
}


@pytest.mark.parametrize("make", LONG.values(), ids=LONG)
def test_a_megabyte_of_small_parts_takes_no_time(make: Callable[[], bytes]) -> None:
    """A picture or refused, whatever a stranger repeats."""
    check_file(make())


def test_a_film_behind_a_photo_does_not_matter() -> None:
    """Telephones put one there, in which any two bytes may stand."""
    film = np.random.default_rng(6).bytes(16_000_000)
    picture = check_file(SAMPLES["on-its-side.jpg"] + film)
    assert picture is not None
    assert (picture.width, picture.height) == (HEIGHT, WIDTH)


# --- damaged files ----------------------------------------------------------------------------------------------------


@given(data=st.binary(max_size=80) | st.builds(bytes.__add__, st.sampled_from(
    [data[:n] for data in SAMPLES.values() for n in (4, 12, 30)]), st.binary(max_size=80)))  # fmt: skip
@tries(40)
def test_any_bytes_are_refused_or_a_picture(data: bytes) -> None:
    """Also those that begin as a picture does."""
    check_file(data)


@given(
    data=edited([*SAMPLES.values(), *OTHERS.values()]), formats=st.sets(st.sampled_from(READABLE_FORMATS), min_size=1)
)
@tries(70)
def test_damaged_files_are_refused_or_a_picture(data: bytes, formats: set[str]) -> None:
    """Cut, changed, continued as another file; taken only as one of the formats that are asked for."""
    check_file(data, sorted(formats) if len(formats) < 3 else READABLE_FORMATS)


@given(name=st.sampled_from(sorted(SAMPLES)), most=st.integers(0, 2 * WIDTH * HEIGHT))
@tries(30)
def test_no_picture_has_more_pixels_than_are_asked_for(name: str, most: int) -> None:
    """To the pixel."""
    assert (check_file(SAMPLES[name], most=most) is not None) == (most >= WIDTH * HEIGHT)


@given(
    head=st.binary(max_size=120) | edited(list(SAMPLES.values())).map(lambda data: data[:600]),
    kind=st.sampled_from(KINDS),
)
@tries(40)
def test_any_beginning_of_a_file_states_a_size_or_none(head: bytes, kind: str) -> None:
    """Whatever kind it is taken for."""
    stated = stated_size(head, kind)
    assert stated is None or all(type(side) is int and side >= 0 for side in stated)


# --- damage behind right checksums ------------------------------------------------------------------------------------


def chunks_of(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and body of the chunks of a PNG."""
    at = 8
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, data[at + 8 : at + 8 + length]
        at += length + 12


def unpacked(data: bytes) -> bytes:
    """What a damaged stream holds, as far as it can be read."""
    try:
        return zlib.decompressobj().decompress(data)
    except zlib.error:
        return b""


SIDES = st.sampled_from([0, 1, 2, HEIGHT, WIDTH, 14, 500, 501, 4000, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1])


@st.composite
def odd_pngs(draw: st.DrawFn) -> bytes:
    """A PNG whose checksums are right, with chunks changed, left out, repeated or in another order."""
    chunks = list(chunks_of(draw(st.sampled_from(PNGS))))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(chunks) - 1))
        kind, body = chunks[at]
        edit = draw(
            st.sampled_from(["body", "body", "size", "depth", "pixels", "kind", "remove", "repeat", "move", "foreign"])
        )
        if edit == "body":
            chunks[at] = kind, draw(edited([body, b""]))
        elif edit == "size" and chunks[0][0] == b"IHDR":
            chunks[0] = b"IHDR", struct.pack(">II", draw(SIDES), draw(SIDES)) + chunks[0][1][8:]
        elif edit == "depth" and chunks[0][0] == b"IHDR":
            kinds = [draw(st.sampled_from([0, 1, 2, 3, 4, 6, 8, 16, 255])) for _ in range(5)]
            chunks[0] = b"IHDR", chunks[0][1][:8] + bytes(kinds)
        elif edit == "pixels":
            packed = draw(edited([unpacked(part) for name, part in chunks if name == b"IDAT"][:1] or [b""]))
            chunks[at] = draw(st.sampled_from([b"IDAT", kind])), zlib.compress(packed)
        elif edit == "kind":
            chunks[at] = draw(st.sampled_from(CHUNK_KINDS)), body
        elif edit == "remove" and len(chunks) > 1:
            del chunks[at]
        elif edit == "repeat":
            chunks.insert(draw(st.integers(0, len(chunks))), chunks[at])
        elif edit == "move":
            chunks.insert(draw(st.integers(0, len(chunks) - 1)), chunks.pop(at))
        elif edit == "foreign":
            chunks.insert(at, draw(st.sampled_from(list(chunks_of(draw(st.sampled_from(PNGS)))))))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, body) for kind, body in chunks)


CHUNK_KINDS = [
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"tEXt", b"zTXt", b"iTXt",
    b"bKGD", b"hIST", b"pHYs", b"sPLT", b"tIME", b"eXIf", b"acTL", b"fcTL", b"fdAT", b"CgBI", b"cICP", b"\0\0\0\0",
    b"abcd", b"ABCD",
]  # fmt: skip


@given(data=odd_pngs())
@tries(60)
def test_odd_pngs_with_right_checksums_are_refused_or_a_picture(data: bytes) -> None:
    """What a damaged file is not, but what somebody may have made."""
    check_file(data)


def segments_of(data: bytes) -> list[bytes]:
    """The parts of a JPEG, from one marker to the next."""
    starts = [at for at in range(len(data) - 1) if data[at] == 0xFF and data[at + 1] not in (0, 0xFF)]
    return [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)], strict=True)]


def riff_chunks_of(data: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and body of the chunks of a WebP."""
    chunks, at = [], 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        chunks.append((kind, data[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    return chunks


@st.composite
def shuffled(draw: st.DrawFn, parts: Sequence[Any], change: Callable[[st.DrawFn, Any], Any]) -> list[Any]:
    """Parts of files, some changed, left out, repeated or in another place."""
    parts = list(parts)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(parts) - 1))
        edit = draw(st.sampled_from(["change", "change", "remove", "repeat", "move"]))
        if edit == "change":
            parts[at] = change(draw, parts[at])
        elif edit == "remove" and len(parts) > 1:
            del parts[at]
        else:
            parts.insert(draw(st.integers(0, len(parts))), parts[at] if edit == "repeat" else parts.pop(at))
    return parts


JPEGS = [segments_of(data) for name, data in SAMPLES.items() if name.endswith(".jpg")]
WEBPS = [riff_chunks_of(data) for name, data in SAMPLES.items() if name.endswith(".webp")]
BMPS = [data for name, data in SAMPLES.items() if name.endswith(".bmp")]


def changed_segment(draw: st.DrawFn, segment: bytes) -> bytes:
    """A part of a JPEG with another marker, or another content of the length that it states."""
    if len(segment) < 5 or draw(st.booleans()):
        return segment[:1] + draw(st.binary(min_size=1, max_size=1)) + segment[2:]
    body = draw(edited([segment[4:]]))
    return segment[:2] + struct.pack(">H", (len(body) + 2) % 65536) + body


@given(parts=st.sampled_from(JPEGS).flatmap(lambda parts: shuffled(parts, changed_segment)))
@tries(45)
def test_odd_jpegs_are_refused_or_a_picture(parts: list[bytes]) -> None:
    """Segments changed within their length, missing, repeated, in another order."""
    check_file(b"".join(parts))


def changed_chunk(draw: st.DrawFn, part: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """A chunk of a WebP of another kind or with another content."""
    if draw(st.booleans()):
        return draw(
            st.sampled_from([kind for chunks in WEBPS for kind, _ in chunks] + [b"ICCP", b"XMP ", b"????"])
        ), part[1]
    return part[0], draw(edited([part[1]]))


@given(chunks=st.sampled_from(WEBPS).flatmap(lambda chunks: shuffled(chunks, changed_chunk)), extra=st.integers(-2, 9))
@tries(45)
def test_odd_webps_are_refused_or_a_picture(chunks: list[tuple[bytes, bytes]], extra: int) -> None:
    """Chunks changed, missing, repeated, in another order, and a length that may be wrong."""
    body = b"".join(kind + struct.pack("<I", len(part)) + part + b"\0" * (len(part) % 2) for kind, part in chunks)
    check_file(b"RIFF" + struct.pack("<I", max(0, len(body) + 4 + (extra if extra < 4 else 0))) + b"WEBP" + body)


@given(data=st.sampled_from(BMPS), at=st.sampled_from([10, 14, 18, 22, 26, 28, 30, 34, 46, 50, 54, 58, 62]),
       number=SIDES | st.integers(0, 64), length=st.integers(0, 2000))  # fmt: skip
@tries(50)
def test_odd_bmps_are_refused_or_a_picture(data: bytes, at: int, number: int, length: int) -> None:
    """Any number in any field of the header, and a file that is cut."""
    field = struct.pack("<I", number)[: 2 if at in (26, 28) else 4]
    check_file((data[:at] + field + data[at + len(field) :])[: length + 30])
