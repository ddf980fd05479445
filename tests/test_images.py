"""Array <-> encoded picture, and fitting into the limits: exact where it can be, named where it cannot."""

from __future__ import annotations

import io
import re
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cartoonize_pack.utils.contract import Limits
from cartoonize_pack.utils.errors import InputError
from cartoonize_pack.utils.fitting import check_limits, encode, fit, limit_problem
from cartoonize_pack.utils.images import (
    READABLE_FORMATS,
    Header,
    Picture,
    decode,
    encode_jpeg,
    encode_png,
    from_float,
    inspect,
    over_white,
)
from numpy.typing import NDArray
from PIL import Image

LIMITS = Limits()
SMALL = Limits(min_side=16, max_side=400)
INPUTS = LIMITS.formats
ENOUGH = 10_000_000


def noise(width: int, height: int, *, alpha: bool = False, seed: int = 7) -> Picture:
    """A picture that no encoder can make small."""
    random = np.random.default_rng(seed)
    rgb = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Picture(rgb, random.integers(0, 256, (height, width), dtype=np.uint8) if alpha else None)


def plain(width: int, height: int) -> Picture:
    """A grey picture."""
    return Picture(np.full((height, width, 3), 120, np.uint8))


def ramp(width: int = 48, height: int = 40) -> NDArray[np.uint8]:
    """A smooth colour picture [H,W,3] that JPEG keeps well."""
    x, y = np.meshgrid(np.linspace(20, 235, width), np.linspace(20, 235, height))
    return np.stack([x, y, (x + y) / 2], axis=2).astype(np.uint8)


def with_alpha(picture: Picture) -> Picture:
    """The same colours, left half transparent."""
    alpha = np.full((picture.height, picture.width), 255, np.uint8)
    alpha[:, : picture.width // 2] = 0
    return Picture(picture.rgb, alpha)


def saved(image: Image.Image, fmt: str, **options: object) -> bytes:
    """The bytes of a file that another program wrote."""
    stream = io.BytesIO()
    image.save(stream, fmt, **options)
    return stream.getvalue()


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and body of every chunk of a PNG, whose checksums must be right and behind which nothing may stand."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = [], 8
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        body, checksum = data[at + 8 : at + 8 + length], data[at + 8 + length : at + 12 + length]
        assert checksum == struct.pack(">I", zlib.crc32(kind + body))
        chunks.append((kind, body))
        at += length + 12
    return chunks


def jpeg_segments(data: bytes) -> list[tuple[int, bytes]]:
    """Marker and body of every segment of a JPEG; the last must be its end, and nothing may stand behind it."""
    assert data[:2] == b"\xff\xd8"
    segments, at = [], 2
    while data[at : at + 2] != b"\xff\xd9":
        mark, marker, length = struct.unpack_from(">BBH", data, at)
        assert mark == 0xFF
        segments.append((marker, data[at + 4 : at + 2 + length]))
        at += length + 2
        if marker == 0xDA:  # the pixels: up to the next marker that is neither a stuffed byte nor a restart
            pixels = re.compile(rb"(?:[^\xff]|\xff[\x00\xd0-\xd7])*", re.DOTALL).match(data, at)
            assert pixels is not None
            at = pixels.end()
    assert len(data) == at + 2
    return segments


# Floats -> picture


def test_every_8_bit_value_survives_the_way_through_floats() -> None:
    """k/255 comes back as k, whatever the width of the float."""
    steps = np.arange(256).reshape(16, 16, 1) / 255
    for kind in (np.float16, np.float32, np.float64):
        assert np.array_equal(from_float(steps.astype(kind)).rgb[..., 0].ravel(), np.arange(256)), kind


@pytest.mark.parametrize(
    ("value", "pixel"),
    [
        (0.0, 0),
        (0.49 / 255, 0),
        (0.51 / 255, 1),
        (1.49 / 255, 1),
        (1.51 / 255, 2),
        (0.5, 128),
        (254.49 / 255, 254),
        (254.51 / 255, 255),
        (1.0, 255),
        (1.0001, 255),
        (7.5, 255),
        (1e30, 255),
        (-0.0001, 0),
        (-3.0, 0),
    ],
)
def test_floats_are_rounded_to_the_nearest_pixel_value_and_clipped(value: float, pixel: int) -> None:
    """Rounded, not cut: cutting would darken every picture by half a step."""
    assert from_float(np.full((2, 3, 3), value)).rgb.tolist() == np.full((2, 3, 3), pixel).tolist()


def test_a_half_step_goes_to_one_of_its_two_neighbours() -> None:
    """0.5/255 is 0 or 1, and never anything else."""
    assert from_float(np.full((1, 1, 3), 0.5 / 255)).rgb.max() in (0, 1)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    "shape",
    [(1, 1, 3), (3, 5, 1), (7, 13, 4), (97, 331, 3), (129, 257, 4), (333, 197, 1), (2, 65_537, 1), (65_537, 1, 1)],
    ids=str,
)
def test_floats_are_converted_as_one_formula_says(kind: type[np.floating], shape: tuple[int, int, int]) -> None:
    """Whatever the work is cut into: less than a strip, several, and rows that are longer than one; no value is lost.

    Whole steps, half steps and their neighbours are among the values, and so is what lies outside 0..1.
    """
    steps = np.arange(-40, 600) / 510  # whole and half steps of 1/255, with both ends passed
    values = np.random.default_rng(7).uniform(-0.6, 1.6, shape)
    places = np.random.default_rng(8).permutation(values.size)[: values.size // 2]
    values.ravel()[places] = np.resize(steps, len(places))
    values = values.astype(kind)
    values.ravel()[places[::3]] = np.nextafter(values.ravel()[places[::3]], kind(1))
    before = values.copy()
    found = from_float(values)
    expected = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    assert np.array_equal(found.rgb, np.broadcast_to(expected[..., :3], (*shape[:2], 3)))
    if shape[2] == 4:
        assert found.alpha is not None
        assert np.array_equal(found.alpha, expected[..., 3])
    assert np.array_equal(values, before), "other nodes still need their tensor"


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[::2, ::-3],
        lambda a: a.swapaxes(0, 1),
        lambda a: a[..., ::-1],
        lambda a: a[:, :1],
        lambda a: np.broadcast_to(a[:1], a.shape),
    ],
    ids=["every other", "turned", "BGR", "one column", "one row for all"],
)
def test_floats_may_lie_in_memory_in_any_order(view: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> None:
    """Nodes hand on views; each value still arrives at its own place."""
    values = view(np.random.default_rng(7).uniform(0, 1, (300, 301, 3)).astype(np.float32))
    assert np.array_equal(from_float(values).rgb, np.rint(values * 255).astype(np.uint8))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_the_largest_floats_are_clipped_without_a_warning(kind: type[np.floating]) -> None:
    """They are finite, so they are white or black; 300 times 255 is more than a float16 holds."""
    most = np.finfo(kind).max
    values = np.array([most, -most, 300, -300], kind).reshape(1, 4, 1)
    assert from_float(values).rgb[0, :, 0].tolist() == [255, 0, 255, 0]


def test_grey_becomes_three_equal_channels() -> None:
    """[H,W,1] is what some nodes hand on."""
    picture = from_float(np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4, 1))
    assert picture.rgb.shape == (3, 4, 3)
    assert picture.alpha is None
    assert np.array_equal(picture.rgb[..., 0], picture.rgb[..., 1])
    assert np.array_equal(picture.rgb[..., 0], picture.rgb[..., 2])
    assert picture.rgb[0, 0, 0] == 0
    assert picture.rgb[-1, -1, 0] == 255


def test_rgb_has_no_transparency_and_keeps_its_channels() -> None:
    """Width, height and channel order stay where they are."""
    picture = from_float(np.broadcast_to(np.array([1.0, 0.0, 0.2]), (5, 7, 3)))
    assert (picture.width, picture.height) == (7, 5)
    assert picture.rgb.dtype == np.uint8
    assert picture.rgb[0, 0].tolist() == [255, 0, 51]
    assert picture.alpha is None


def test_a_fourth_channel_is_transparency() -> None:
    """Colour and opacity are kept apart, neither is changed by the other."""
    picture = from_float(np.broadcast_to(np.array([1.0, 0.0, 0.2, 0.4]), (5, 7, 4)))
    assert picture.rgb.shape == (5, 7, 3)
    assert picture.rgb[4, 6].tolist() == [255, 0, 51]
    assert picture.alpha is not None
    assert picture.alpha.shape == (5, 7)
    assert set(picture.alpha.ravel()) == {102}


def test_a_picture_does_not_share_memory_with_the_floats_it_came_from() -> None:
    """Other nodes may change their tensor later."""
    values = np.zeros((2, 2, 4), np.float32)
    picture = from_float(values)
    values[:] = 1
    assert picture.rgb.max() == 0
    assert picture.alpha is not None
    assert picture.alpha.max() == 0


@pytest.mark.parametrize("shape", [(4, 4), (4,), (1, 4, 4, 3), (4, 4, 2), (4, 4, 5), (0, 4, 3), (4, 0, 3), (4, 4, 0)])
def test_any_other_shape_is_refused_naming_the_picture_and_the_shape(shape: tuple[int, ...]) -> None:
    """The message is for a person who sees a graph, not an array."""
    with pytest.raises(InputError) as caught:
        from_float(np.zeros(shape), "image 3")
    assert "image 3" in str(caught.value)
    assert str(list(shape)) in str(caught.value)
    assert "Nothing was sent" in str(caught.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("count", [1, 5])
def test_values_that_are_not_numbers_are_refused_naming_the_picture_and_how_many(bad: float, count: int) -> None:
    """A black picture from a broken VAE is not worth paying for."""
    values = np.zeros((4, 4, 3))
    values.ravel()[:count] = bad
    with pytest.raises(InputError, match=rf"image 3 holds {count} values.*Nothing was sent"):
        from_float(values, "image 3")


@pytest.mark.parametrize("rows", [[0], [399], [200], [0, 200, 399]], ids=str)
def test_values_that_are_not_numbers_are_found_in_every_part_of_a_large_picture(rows: list[int]) -> None:
    """The last row counts as the first, and all of them are counted."""
    values = np.zeros((400, 301, 3), np.float16)
    values[rows, 7, 2] = np.nan
    with pytest.raises(InputError, match=rf"image 3 holds {len(rows)} values"):
        from_float(values, "image 3")


# Round trips


@pytest.mark.parametrize("alpha", [False, True], ids=["opaque", "transparent"])
def test_png_brings_back_every_pixel_and_the_transparency(alpha: bool) -> None:
    """Exact, also where it is fully transparent."""
    picture = noise(37, 23, alpha=alpha)
    back = decode(encode_png(picture), INPUTS, ENOUGH)
    assert np.array_equal(back.rgb, picture.rgb)
    if picture.alpha is None:
        assert back.alpha is None
    else:
        assert np.array_equal(back.alpha, picture.alpha)


@pytest.mark.parametrize("alpha", [False, True], ids=["opaque", "transparent"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: plain(1, 1),
        lambda: noise(1, 300),
        lambda: noise(300, 1),
        lambda: plain(301, 299),
        lambda: Picture(ramp(301, 299)),
        lambda: Picture(np.zeros((40, 40, 3), np.uint8)),
        lambda: Picture(np.full((40, 40, 3), 255, np.uint8)),
        lambda: Picture(np.indices((256, 256, 1))[[0, 1, 1], ..., 0].transpose(1, 2, 0).astype(np.uint8)),
    ],
    ids=["one pixel", "column", "row", "plain", "ramp", "black", "white", "every step"],
)
def test_png_is_lossless_for_every_kind_of_picture(make: Callable[[], Picture], alpha: bool) -> None:
    """As another program reads it: plain, smooth, noisy, of one row or column."""
    picture = with_alpha(make()) if alpha else make()
    with Image.open(io.BytesIO(encode_png(picture))) as image:
        assert (image.format, image.mode) == ("PNG", "RGBA" if alpha else "RGB")
        pixels = np.asarray(image)
    assert np.array_equal(pixels[..., :3], picture.rgb)
    if picture.alpha is not None:
        assert np.array_equal(pixels[..., 3], picture.alpha)


def test_jpeg_brings_back_nearly_the_same_colours() -> None:
    """Quality 95 without colour subsampling."""
    picture = Picture(ramp())
    back = decode(encode_jpeg(picture), INPUTS, ENOUGH)
    assert back.alpha is None
    assert np.abs(back.rgb.astype(int) - picture.rgb).max() <= 6


def test_jpeg_keeps_fine_colour() -> None:
    """4:4:4: red and blue pixel columns side by side stay red and blue."""
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::2, 0] = stripes[:, 1::2, 2] = 255
    back = decode(encode_jpeg(Picture(stripes)), INPUTS, ENOUGH)
    assert np.abs(back.rgb.astype(int) - stripes).mean() < 12


@pytest.mark.parametrize("alpha", [False, True], ids=["opaque", "transparent"])
def test_jpeg_is_of_quality_95_and_has_as_many_pixels_of_colour_as_of_light(alpha: bool) -> None:
    """Read from the file itself: three components sampled 1x1, and the tables of a file saved at 95."""
    data = encode_jpeg(noise(40, 24, alpha=alpha))
    ((_, frame),) = [(marker, body) for marker, body in jpeg_segments(data) if marker in (0xC0, 0xC1, 0xC2)]
    bits, height, width, components = struct.unpack_from(">BHHB", frame)
    assert (bits, height, width, components) == (8, 24, 40, 3)
    assert [frame[at] for at in (7, 10, 13)] == [0x11] * 3
    tables = {q: Image.open(io.BytesIO(saved(Image.new("RGB", (8, 8)), "JPEG", quality=q))) for q in (94, 95, 96)}
    found = Image.open(io.BytesIO(data))
    assert found.quantization == tables[95].quantization
    assert found.quantization not in (tables[94].quantization, tables[96].quantization)
    assert found.quantization[0][:8] == [2, 1, 1, 2, 2, 4, 5, 6]  # a tenth of the first row of the standard's table
    assert found.layers == 3


def test_jpeg_shows_a_transparent_picture_on_white() -> None:
    """JPEG has no transparency; black behind a cut-out face would change the result."""
    alpha = np.zeros((40, 48), np.uint8)
    alpha[:, 24:] = 255
    picture = Picture(np.zeros((40, 48, 3), np.uint8), alpha)
    back = decode(encode_jpeg(picture), INPUTS, ENOUGH)
    assert back.rgb[:, :16].min() > 245
    assert back.rgb[:, 32:].max() < 10


@pytest.mark.parametrize(
    ("colour", "opacity", "expected"),
    [(0, 0, 255), (0, 255, 0), (255, 0, 255), (100, 255, 100), (0, 128, 127), (100, 51, 224)],
)
def test_over_white_blends_exactly(colour: int, opacity: int, expected: int) -> None:
    """To the nearest value, with no overflow on the way."""
    picture = Picture(np.full((1, 1, 3), colour, np.uint8), np.full((1, 1), opacity, np.uint8))
    assert over_white(picture).tolist() == [[[expected] * 3]]


def test_over_white_of_an_opaque_picture_is_the_picture() -> None:
    """Nothing is computed where nothing is transparent."""
    picture = noise(5, 5)
    assert over_white(picture) is picture.rgb


# Files of other programs


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, lambda a: a),
        (2, np.fliplr),
        (3, lambda a: np.rot90(a, 2)),
        (4, np.flipud),
        (5, lambda a: np.swapaxes(a, 0, 1)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: np.rot90(np.swapaxes(a, 0, 1), 2)),
        (8, np.rot90),
    ],
    ids=[f"orientation {n}" for n in range(1, 9)],
)
def test_a_picture_is_upright_whatever_way_the_camera_was_held(fmt: str, orientation: int, turn: object) -> None:
    """All eight EXIF orientations, judged by where the four coloured corners come to lie."""
    stored = np.zeros((32, 48, 3), np.uint8)
    stored[:16, :24], stored[:16, 24:], stored[16:, :24] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95, "subsampling": 0} if fmt == "JPEG" else {"lossless": True} if fmt == "WEBP" else {}
    found = decode(saved(Image.fromarray(stored), fmt, exif=exif, **options), READABLE_FORMATS, ENOUGH)
    expected = turn(stored)
    assert found.rgb.shape == expected.shape
    for y in (4, -4):
        for x in (4, -4):
            assert np.abs(found.rgb[y, x].astype(int) - expected[y, x]).max() < 40, (y, x)


def test_a_header_tells_the_stored_size_before_rotation() -> None:
    """Inspecting does not decode, so it cannot turn."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(Image.new("RGB", (48, 32)), "JPEG", exif=exif)
    assert inspect(data, INPUTS) == Header("JPEG", 48, 32)


@pytest.mark.parametrize("fmt", ["PNG", "JPEG", "BMP", "WEBP"])
def test_every_result_format_is_known_by_its_content(fmt: str) -> None:
    """No file name, no media type."""
    data = saved(Image.fromarray(ramp()), fmt)
    assert inspect(data, READABLE_FORMATS) == Header(fmt, 48, 40)
    assert np.abs(decode(data, READABLE_FORMATS, ENOUGH).rgb.astype(int) - ramp()).mean() < 6


@pytest.mark.parametrize("depth", [0, 255, 256, 32768, 65535])
def test_a_16_bit_grey_picture_is_scaled_not_clipped(depth: int) -> None:
    """65535 is white, 32768 is middle grey."""
    data = saved(Image.fromarray(np.full((4, 6), depth, np.uint16)), "PNG")
    picture = decode(data, INPUTS, ENOUGH)
    assert picture.rgb.shape == (4, 6, 3)
    assert set(picture.rgb.ravel()) == {depth >> 8}


def _png(width: int, height: int, bits: int, colour_type: int, rows: bytes, *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG written by hand, for kinds that Pillow does not write."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, body) for kind, body in chunks)


def test_a_16_bit_colour_picture_is_scaled_not_clipped() -> None:
    """Two bytes a channel become one: the high one."""
    row = b"\x00" + struct.pack(">HHH", 65535, 32768, 256) * 3
    assert decode(_png(3, 2, 16, 2, row * 2), INPUTS, ENOUGH).rgb.tolist() == [[[255, 128, 1]] * 3] * 2


def test_a_16_bit_picture_with_transparency_keeps_it() -> None:
    """Grey with alpha, as scanners and renderers write it."""
    row = b"\x00" + struct.pack(">HH", 51200, 25600) * 3
    picture = decode(_png(3, 2, 16, 4, row * 2), INPUTS, ENOUGH)
    assert picture.rgb.tolist() == [[[200] * 3] * 3] * 2
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[100] * 3] * 2


def test_a_palette_with_a_transparent_colour_becomes_colour_and_transparency() -> None:
    """The chosen colour is transparent, the others are opaque."""
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    picture = decode(saved(image, "PNG", transparency=1), INPUTS, ENOUGH)
    assert picture.rgb.tolist() == [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]]
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[255, 0, 255]]


def test_a_palette_without_transparency_becomes_colour() -> None:
    """GIF-like files saved as PNG."""
    image = Image.fromarray(np.array([[0, 1]], np.uint8))
    image.putpalette([1, 2, 3, 4, 5, 6])
    picture = decode(saved(image, "PNG"), INPUTS, ENOUGH)
    assert picture.rgb.tolist() == [[[1, 2, 3], [4, 5, 6]]]
    assert picture.alpha is None


def test_one_transparent_colour_of_an_rgb_file_is_transparent() -> None:
    """PNG marks it with a chunk of its own."""
    image = Image.fromarray(np.array([[[9, 8, 7], [1, 2, 3]]], np.uint8))
    picture = decode(saved(image, "PNG", transparency=(9, 8, 7)), INPUTS, ENOUGH)
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[0, 255]]
    assert picture.rgb[0, 1].tolist() == [1, 2, 3]


@pytest.mark.parametrize(("mode", "fmt"), [("L", "PNG"), ("L", "JPEG"), ("L", "BMP"), ("1", "PNG"), ("1", "BMP")])
def test_grey_and_black_and_white_files_become_equal_channels(mode: str, fmt: str) -> None:
    """White is 255 also where the file stores 1."""
    values = np.zeros((16, 32), np.uint8)
    values[:, 16:] = 255
    picture = decode(saved(Image.fromarray(values).convert(mode), fmt), INPUTS, ENOUGH)
    assert picture.rgb.shape == (16, 32, 3)
    assert np.abs(picture.rgb.astype(int) - values[..., None]).max() <= 2
    assert picture.alpha is None


def test_grey_with_transparency_keeps_both() -> None:
    """Two channels in the file."""
    picture = decode(saved(Image.new("LA", (3, 2), (90, 30)), "PNG"), INPUTS, ENOUGH)
    assert picture.rgb.tolist() == [[[90] * 3] * 3] * 2
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[30] * 3] * 2


def test_a_cmyk_jpeg_has_its_colours_the_right_way_round() -> None:
    """Print files: no ink is white, full cyan has no red."""
    ink = np.zeros((32, 32, 4), np.uint8)
    ink[:, 16:, 0] = 255
    picture = decode(saved(_cmyk(ink), "JPEG", quality=95), INPUTS, ENOUGH)
    assert picture.rgb[16, 4].min() > 240
    assert picture.rgb[16, 28, 0] < 15
    assert picture.rgb[16, 28, 1:].min() > 240


def _cmyk(ink: NDArray[np.uint8]) -> Image.Image:
    return Image.merge("CMYK", [Image.fromarray(np.ascontiguousarray(ink[..., i])) for i in range(4)])


# Damaged and hostile files


@pytest.mark.parametrize("fmt", ["PNG", "JPEG", "BMP", "WEBP"])
@pytest.mark.parametrize("part", [0.3, 0.5, 0.9])
def test_a_file_that_was_cut_short_is_refused_by_name(fmt: str, part: float) -> None:
    """Half a picture filled up with grey must never pass for a result."""
    data = saved(Image.fromarray(noise(64, 64).rgb), fmt)
    with pytest.raises(InputError, match="result 2"):
        decode(data[: int(len(data) * part)], READABLE_FORMATS, ENOUGH, "result 2")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"<html><body>expired</body></html>", "starts with b'<html><b'"),
        (b'{"code":403}', "starts with"),
        (b"\x89PNG\r\n\x1a\n", "damaged or cut short: .* starts with b'\\\\x89PNG"),
        (b"\xff\xd8\xff\xe0", "damaged or cut short: .* starts with"),
        (b"BM", "damaged or cut short: .* starts with b'BM'"),
        (bytes(1000), "starts with"),
    ],
    ids=["empty", "HTML", "JSON", "PNG signature only", "JPEG signature only", "BMP signature only", "zeros"],
)
def test_what_is_not_a_picture_is_refused_saying_how_it_starts(data: bytes, said: str) -> None:
    """An error page in place of a picture is recognized at a glance."""
    for read in (lambda: inspect(data, INPUTS, "result 2"), lambda: decode(data, INPUTS, ENOUGH, "result 2")):
        with pytest.raises(InputError, match=said) as caught:
            read()
        assert "result 2" in str(caught.value)
        assert ("PNG, JPEG, BMP" in str(caught.value)) is (not said.startswith("damaged"))


@pytest.mark.parametrize("fmt", ["GIF", "TIFF", "WEBP", "PPM", "ICO"])
def test_a_format_outside_the_list_is_refused(fmt: str) -> None:
    """Fewer decoders are fewer holes, and the service would refuse it anyway."""
    data = saved(Image.new("RGB", (32, 32)), fmt)
    with pytest.raises(InputError, match="not a picture of the accepted kinds"):
        inspect(data, INPUTS)
    with pytest.raises(InputError, match="not a picture of the accepted kinds"):
        decode(data, INPUTS, ENOUGH)


def test_more_pixels_than_allowed_are_refused_naming_both() -> None:
    """The size in the header decides."""
    data = saved(Image.new("L", (101, 100)), "PNG")
    assert decode(data, INPUTS, 10_100).width == 101
    with pytest.raises(InputError, match="result 2 is 101x100 pixels; at most 10099"):
        decode(data, INPUTS, 10_099, "result 2")


def test_a_decompression_bomb_is_refused_before_it_is_decoded() -> None:
    """8000x8000 in a few hundred bytes whose pixel data is broken: only a decoder that looks at it could tell."""
    bomb = _png(8000, 8000, 1, 0, b"")
    with pytest.raises(InputError, match="8000x8000 pixels; at most 1000000"):
        decode(bomb, INPUTS, 1_000_000)


def test_a_huge_picture_is_refused_for_its_size_not_as_another_kind_of_file() -> None:
    """The user is told what to change: a real PNG of 900 million pixels is too large, not "not a picture"."""
    with pytest.raises(InputError, match="30000x30000|900000000 pixels"):
        decode(_png(30_000, 30_000, 1, 0, b""), READABLE_FORMATS, 100_000_000)


def test_a_text_bomb_in_a_file_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compressed comments are left out before Pillow sees them, whatever limit another pack has set there."""
    monkeypatch.setattr("PIL.PngImagePlugin.MAX_TEXT_CHUNK", 100_000_000)
    text = b"Comment\x00\x00" + zlib.compress(bytes(70_000_000), 1)
    bomb = _png(1, 1, 8, 0, b"\x00\x00", (b"zTXt", text))
    tracemalloc.start()
    assert decode(bomb, INPUTS, ENOUGH).width == 1
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 1_000_000


@pytest.mark.parametrize("fmt", ["PNG", "JPEG", "BMP", "WEBP"])
@pytest.mark.parametrize("part", [0.3, 0.9, 0.999])
def test_half_a_picture_is_refused_whatever_other_packs_allow(
    fmt: str, part: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many packs set LOAD_TRUNCATED_IMAGES for the whole process: Pillow then fills up with grey."""
    monkeypatch.setattr("PIL.ImageFile.LOAD_TRUNCATED_IMAGES", True)
    data = saved(Image.fromarray(noise(64, 64).rgb), fmt)
    with pytest.raises(InputError, match="damaged or cut short"):
        decode(data[: int(len(data) * part)], READABLE_FORMATS, ENOUGH)


@pytest.mark.parametrize("limit", [None, 2000])
@pytest.mark.parametrize("fmt", ["PNG", "JPEG", "BMP", "WEBP"])
def test_the_limit_of_pixels_is_our_own(fmt: str, limit: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Image.MAX_IMAGE_PIXELS belongs to the whole process, and other packs take it away."""
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", limit)
    data = saved(Image.fromarray(noise(60, 50).rgb), fmt)
    assert decode(data, READABLE_FORMATS, 3000).width == 60
    with pytest.raises(InputError, match="60x50 pixels; at most 2999"):
        decode(data, READABLE_FORMATS, 2999)


def test_a_wrong_checksum_is_damage_whatever_other_packs_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    """One flipped bit in the pixels of a PNG."""
    monkeypatch.setattr("PIL.ImageFile.LOAD_TRUNCATED_IMAGES", True)
    data = bytearray(saved(Image.fromarray(noise(64, 64).rgb), "PNG"))
    data[-40] ^= 1
    with pytest.raises(InputError, match="checksum of its part IDAT"):
        decode(bytes(data), INPUTS, ENOUGH)


@pytest.mark.parametrize("fmt", ["PNG", "WEBP", "JPEG"])
def test_of_several_frames_the_first_is_the_picture(fmt: str) -> None:
    """Animated PNG and WebP, and the pair of pictures that some phones write as JPEG (MPO)."""
    first, second = (Image.fromarray(noise(64, 48, seed=seed).rgb) for seed in (1, 2))
    stream = io.BytesIO()
    options = {"lossless": True} if fmt == "WEBP" else {"quality": 95} if fmt == "JPEG" else {}
    first.save(stream, "MPO" if fmt == "JPEG" else fmt, save_all=True, append_images=[second] * 3, **options)
    header = inspect(stream.getvalue(), READABLE_FORMATS)
    assert (header.format, header.width, header.height) == (fmt, 64, 48)
    picture = decode(stream.getvalue(), READABLE_FORMATS, ENOUGH)
    off_first, off_second = (np.abs(picture.rgb.astype(int) - np.asarray(frame)).mean() for frame in (first, second))
    assert off_first < 0.8 * off_second


def test_a_jpeg_of_a_thousand_scans_is_refused() -> None:
    """Each is decoded over the whole picture: seconds of work from a few kilobytes."""
    data = saved(Image.fromarray(noise(64, 64).rgb), "JPEG", progressive=True)
    at = data.rindex(b"\xff\xda")
    scan = data[at : data.rindex(b"\xff\xd9")]
    with pytest.raises(InputError, match="it has 10[0-9][0-9] scans"):
        decode(data[:at] + scan * 1000 + b"\xff\xd9", INPUTS, ENOUGH)


@pytest.mark.parametrize("size", [(16383, 16383), (1, 16383)])
@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"exif": b"Exif\x00\x00MM"}])
def test_the_size_of_a_webp_is_read_before_its_decoder_takes_memory(
    size: tuple[int, int], options: dict[str, Any]
) -> None:
    """In each of the three forms of its header; the decoder makes room for the whole canvas when it is opened."""
    data = bytearray(saved(Image.new("RGB", (8, 8)), "WEBP", **options))
    width, height = size
    if data[12:16] == b"VP8X":
        data[24:30] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    elif data[12:16] == b"VP8L":
        data[21:25] = ((width - 1) | (height - 1) << 14).to_bytes(4, "little")
    else:
        data[26:30] = struct.pack("<HH", width, height)
    header = inspect(bytes(data), READABLE_FORMATS)
    assert (header.width, header.height) == size
    with pytest.raises(InputError, match="pixels; at most|damaged"):
        decode(bytes(data), READABLE_FORMATS, 10_000)


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP"])
def test_broken_metadata_does_not_cost_a_whole_picture(fmt: str) -> None:
    """The pixels are intact and perhaps paid for: an unreadable EXIF block means "not rotated"."""
    data = saved(Image.fromarray(ramp()), fmt, exif=b"Exif\x00\x00this is no EXIF block")
    assert decode(data, READABLE_FORMATS, ENOUGH).width == 48


# Limits


@pytest.mark.parametrize(
    ("width", "height", "problem"),
    [
        (257, 257, ""),
        (256, 257, "at least 257"),
        (257, 256, "at least 257"),
        (256, 256, "at least 257"),
        (1, 1, "at least 257"),
        (4999, 4999, ""),
        (5000, 4999, "at most 4999"),
        (4999, 5000, "at most 4999"),
        (5000, 5000, "at most 4999"),
        (1028, 257, ""),
        (257, 1028, ""),
        (1029, 257, "at most 4 times"),
        (257, 1029, "at most 4 times"),
        (4996, 1249, ""),
        (1249, 4996, ""),
        (4997, 1249, "at most 4 times"),
        (1249, 4997, "at most 4 times"),
        (4999, 1250, ""),
        (4999, 1249, "at most 4 times"),
        (1, 5000, "at least 257"),
    ],
)
def test_limits_hold_to_the_pixel_in_both_orientations(width: int, height: int, problem: str) -> None:
    """More than 256 and less than 5000 are strict; 4:1 itself is allowed. The size and the limit are named."""
    found = limit_problem(width, height, LIMITS)
    assert bool(found) is bool(problem)
    assert problem in found
    if found:
        assert f"{width}x{height}" in found


def test_the_limits_given_are_the_ones_that_count() -> None:
    """Profiles have limits of their own."""
    limits = Limits(min_side=10, max_side=20, max_aspect=1.5)
    assert limit_problem(10, 15, limits) == ""
    assert "at least 10" in limit_problem(9, 12, limits)
    assert "at most 20" in limit_problem(21, 20, limits)
    assert "at most 1.5 times" in limit_problem(10, 16, limits)


# Fitting

SIZES = [
    (1, 1),
    (1, 5),
    (2, 1),
    (20_000, 3),
    (3, 20_000),
    (20_000, 1),
    (1, 5000),
    (5000, 1),
    (256, 256),
    (256, 257),
    (256, 1024),
    (256, 1025),
    (257, 1029),
    (1029, 257),
    (100, 399),
    (100, 400),
    (100, 401),
    (401, 100),
    (64, 65),
    (250, 1100),
    (300, 4000),
    (4999, 1249),
    (1249, 4999),
    (4998, 1249),
    (5000, 1250),
    (1250, 5100),
    (6000, 400),
    (400, 6000),
    (10_000, 300),
]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_fitted_picture_is_always_inside_the_limits_and_says_what_was_done(width: int, height: int) -> None:
    """Too small, too large, too long: the result can be sent, and the words name both sizes."""
    fitted, words = fit(plain(width, height), LIMITS)
    assert limit_problem(fitted.width, fitted.height, LIMITS) == ""
    assert f"{width}x{height}" in words
    assert f"{fitted.width}x{fitted.height}" in words
    assert fitted.rgb.dtype == np.uint8
    assert fitted.rgb.shape == (fitted.height, fitted.width, 3)
    assert ("padded" in words) == (max(width, height) > 4 * min(width, height))


@pytest.mark.parametrize(
    ("width", "height"),
    [(1, 1), (1, 5), (20, 20), (25, 30), (100, 90), (3, 6000), (6000, 3), (30, 6000), (256, 256), (250, 1100)]
    + [(300, 4000), (1249, 4999), (4999, 1249), (5100, 1400), (1400, 5100)],
)
def test_the_words_say_by_how_much_a_picture_was_scaled(width: int, height: int) -> None:
    """In plain percent, as the longer side shows it, which is never padded; no percent means nothing was scaled."""
    fitted, words = fit(plain(width, height), LIMITS)
    said = re.search(r"\(scaled to ([0-9.]+) %( and padded)?\)$", words)
    percent = float(said[1]) if said else 100.0
    assert "scaled" not in words or said, words
    assert percent == pytest.approx(100 * max(fitted.width, fitted.height) / max(width, height), rel=0.01), words


@pytest.mark.parametrize(
    ("width", "height", "words"),
    [
        (5200, 3000, "5200x3000 -> 4999x2884 (scaled to 96.1 %)"),
        (100, 100, "100x100 -> 257x257 (scaled to 257 %)"),
        (250, 300, "250x300 -> 257x308 (scaled to 103 %)"),
        (2500, 500, "2500x500 -> 2500x625 (padded)"),
        (500, 2500, "500x2500 -> 625x2500 (padded)"),
        (6000, 400, "6000x400 -> 4999x1250 (scaled to 83.3 % and padded)"),
        (100, 1000, "100x1000 -> 257x1028 (scaled to 103 % and padded)"),
        (300, 260, ""),
    ],
)
def test_what_was_done_to_fit_is_said_in_these_words(width: int, height: int, words: str) -> None:
    """Both sizes, by how much, and whether borders were added; nothing if nothing was done."""
    assert fit(plain(width, height), LIMITS)[1] == words


def test_the_largest_square_fits_without_padding() -> None:
    """5000x5000 is one pixel too much."""
    fitted, words = fit(Picture(np.zeros((5000, 5000, 3), np.uint8)), LIMITS)
    assert (fitted.width, fitted.height) == (4999, 4999)
    assert re.fullmatch(r"5000x5000 -> 4999x4999 \(scaled to (100|99\.9|99\.98) %\)", words)


def test_every_size_fits_into_small_limits_too() -> None:
    """All sizes up to 70x70, in limits where rounding matters most."""
    limits = Limits(min_side=7, max_side=31, max_aspect=2.5)
    for width in range(1, 71):
        for height in range(1, 71):
            fitted, _ = fit(plain(width, height), limits)
            assert limit_problem(fitted.width, fitted.height, limits) == "", (width, height)


@pytest.mark.parametrize(
    ("width", "height"),
    [(100, 100), (64, 200), (200, 64), (100, 399), (100, 401), (401, 100), (80, 800), (1200, 120), (30, 500)],
)
def test_fitting_keeps_the_proportions_and_crops_nothing(width: int, height: int) -> None:
    """A white field in the middle keeps its shape, and each corner keeps its colour."""
    rgb = np.zeros((height, width, 3), np.uint8)
    top, left = height // 4, width // 4
    rgb[top : height - top, left : width - left, 0] = 255
    corner = min(width, height) // 8 + 1
    rgb[:corner, :corner, 1] = rgb[-corner:, -corner:, 2] = 255
    fitted, _ = fit(Picture(rgb), SMALL if max(width, height) > 400 else LIMITS)
    field = fitted.rgb[..., 0] > 127
    columns, rows = int(field.any(axis=0).sum()), int(field.any(axis=1).sum())
    scale_x, scale_y = columns / (width - 2 * left), rows / (height - 2 * top)
    assert abs(scale_x - scale_y) < 2 / (min(width - 2 * left, height - 2 * top))
    assert fitted.rgb[0, 0, 1] > 127
    assert fitted.rgb[-1, -1, 2] > 127


def test_padding_repeats_the_border_on_both_sides_of_the_centre() -> None:
    """No black bars: the service would draw them."""
    rgb = np.zeros((20, 200, 3), np.uint8)
    rgb[:10], rgb[10:] = 40, 200
    fitted, words = fit(Picture(rgb), Limits(min_side=16))
    assert (fitted.width, fitted.height) == (200, 50)
    assert words == "200x20 -> 200x50 (padded)"
    assert set(fitted.rgb[:25].ravel()) == {40}
    assert set(fitted.rgb[25:].ravel()) == {200}
    tall, _ = fit(Picture(rgb.swapaxes(0, 1)), Limits(min_side=16))
    assert np.array_equal(tall.rgb, fitted.rgb.swapaxes(0, 1))


def test_fitting_takes_the_transparency_along() -> None:
    """Colour and opacity keep the same size and place."""
    picture = Picture(
        np.zeros((20, 200, 3), np.uint8), np.repeat(np.uint8([[10], [20]]), 200, axis=1).repeat(10, axis=0)
    )
    fitted, _ = fit(picture, Limits(min_side=16))
    assert fitted.alpha is not None
    assert fitted.alpha.shape == fitted.rgb.shape[:2]
    assert set(fitted.alpha[:25].ravel()) == {10}
    assert set(fitted.alpha[25:].ravel()) == {20}


@pytest.mark.parametrize(("width", "height"), [(257, 257), (257, 1028), (1028, 257), (640, 480)])
def test_a_picture_inside_the_limits_is_handed_on_untouched(width: int, height: int) -> None:
    """The same object, and no words."""
    picture = plain(width, height)
    fitted, words = fit(picture, LIMITS)
    assert fitted is picture
    assert words == ""


def test_a_picture_resized_to_its_own_size_is_itself() -> None:
    """No pixel is computed without need."""
    picture = noise(9, 5, alpha=True)
    assert picture.resized(9, 5) is picture
    other = picture.resized(18, 10)
    assert (other.width, other.height) == (18, 10)
    assert other.alpha is not None
    assert other.alpha.shape == (10, 18)


# Encoding inside the limits


@pytest.mark.parametrize(
    ("fmt", "media_type", "stored"),
    [("png", "image/png", "PNG"), ("auto", "image/png", "PNG"), ("jpeg", "image/jpeg", "JPEG")],
)
@pytest.mark.parametrize("may_fit", [True, False])
def test_encoding_writes_the_format_that_was_asked_for(fmt: str, media_type: str, stored: str, may_fit: bool) -> None:
    """ "auto" is PNG for pictures of this size; a picture inside the limits is not changed, and no words are made."""
    found = encode(noise(300, 260), fmt, LIMITS, may_fit=may_fit)
    assert found.media_type == media_type
    assert inspect(found.data, INPUTS) == Header(stored, 300, 260)
    assert (found.width, found.height, found.changes) == (300, 260, "")


def test_png_is_exact_and_keeps_transparency_through_encode() -> None:
    """What is sent is what was connected."""
    picture = noise(300, 260, alpha=True)
    back = decode(encode(picture, "png", LIMITS, may_fit=False).data, INPUTS, ENOUGH)
    assert np.array_equal(back.rgb, picture.rgb)
    assert np.array_equal(back.alpha, picture.alpha)


@pytest.mark.parametrize("alpha", [False, True], ids=["opaque", "transparent"])
def test_auto_takes_jpeg_where_png_has_too_many_bytes(alpha: bool) -> None:
    """The size in pixels is worth more than the last bit, so nothing is scaled; the words say what is different."""
    colours = ramp(600, 520).astype(int) + noise(600, 520).rgb // 8
    picture = Picture(np.clip(colours, 0, 255).astype(np.uint8), noise(600, 520, alpha=True).alpha if alpha else None)
    png, jpeg = len(encode_png(picture)), len(encode_jpeg(picture))
    assert jpeg < png
    limits = Limits(max_bytes=png - 1)
    white = " on white" if alpha else ""
    for may_fit in (True, False):
        found = encode(picture, "auto", limits, may_fit=may_fit)
        assert found.media_type == "image/jpeg"
        assert found.data == encode_jpeg(picture)
        assert (found.width, found.height) == (600, 520)
        assert found.changes == f"as JPEG{white}, because a PNG would be {png / 1e6:.1f} MB"
    exactly = encode(picture, "auto", Limits(max_bytes=png), may_fit=False)
    assert (exactly.media_type, exactly.data, exactly.changes) == ("image/png", encode_png(picture), "")


@pytest.mark.parametrize(
    ("width", "height", "fmt", "alpha", "stored", "changes"),
    [
        (2048, 2048, "auto", False, "PNG", ""),
        (1024, 4096, "auto", False, "PNG", ""),
        (2049, 2047, "auto", False, "PNG", ""),
        (2048, 2049, "auto", False, "JPEG", "as JPEG, for its 4.2 megapixels"),
        (4096, 1025, "auto", False, "JPEG", "as JPEG, for its 4.2 megapixels"),
        (2500, 1880, "auto", False, "JPEG", "as JPEG, for its 4.7 megapixels"),
        (2048, 2049, "auto", True, "PNG", ""),
        (2048, 2049, "png", False, "PNG", ""),
        (2048, 2049, "jpeg", False, "JPEG", ""),
        (2048, 2048, "jpeg", False, "JPEG", ""),
    ],
)
def test_auto_is_png_up_to_four_mega_pixels_and_where_something_is_transparent(
    width: int, height: int, fmt: str, alpha: bool, stored: str, changes: str
) -> None:
    """To the pixel; a format that was asked for by name is never changed, and needs no words."""
    picture = with_alpha(plain(width, height)) if alpha else plain(width, height)
    for may_fit in (True, False):
        found = encode(picture, fmt, LIMITS, may_fit=may_fit)
        assert inspect(found.data, INPUTS) == Header(stored, width, height)
        assert found.media_type == f"image/{stored.lower()}"
        assert found.changes == changes


def test_the_size_that_is_sent_decides_about_the_format() -> None:
    """Not the size before fitting: a large picture that is scaled down is a small one."""
    found = encode(plain(3000, 1500), "auto", Limits(max_side=2000), may_fit=True)
    assert inspect(found.data, INPUTS) == Header("PNG", 2000, 1000)
    assert found.changes == "3000x1500 -> 2000x1000 (scaled to 66.7 %)"
    large = encode(plain(6000, 1500), "auto", LIMITS, may_fit=True)
    assert inspect(large.data, INPUTS) == Header("JPEG", 4999, 1250)
    assert large.changes == "6000x1500 -> 4999x1250 (scaled to 83.3 %), as JPEG, for its 6.2 megapixels"


def test_a_large_transparent_picture_becomes_jpeg_only_where_png_has_too_many_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its transparency is kept as long as possible; then it is seen on white, and the words say so."""
    monkeypatch.setattr("cartoonize_pack.utils.fitting.AUTO_PNG_PIXELS", 600 * 520 - 1)
    picture = Picture(ramp(600, 520), noise(600, 520, alpha=True).alpha)
    png = len(encode_png(picture))
    kept = encode(picture, "auto", Limits(max_bytes=png), may_fit=False)
    assert (kept.media_type, kept.data, kept.changes) == ("image/png", encode_png(picture), "")
    found = encode(picture, "auto", Limits(max_bytes=png - 1), may_fit=False)
    assert found.changes == f"as JPEG on white, because a PNG would be {png / 1e6:.1f} MB"
    assert (found.media_type, found.data) == ("image/jpeg", encode_jpeg(picture))


def test_a_large_picture_whose_jpeg_has_too_many_bytes_is_scaled_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """The words tell why it is JPEG at the size that is sent, not why it was at the size before."""
    monkeypatch.setattr("cartoonize_pack.utils.fitting.AUTO_PNG_PIXELS", 300 * 260 - 1)
    picture = noise(300, 260)
    jpeg = len(encode_jpeg(picture))
    assert encode(picture, "auto", Limits(max_bytes=jpeg), may_fit=False).changes == "as JPEG, for its 0.1 megapixels"
    with pytest.raises(InputError, match=f"takes {jpeg} bytes as image/jpeg, at most {jpeg - 1} are accepted"):
        encode(picture, "auto", Limits(max_bytes=jpeg - 1), may_fit=False)
    limits = Limits(max_bytes=jpeg - 1, min_side=16)
    found = encode(picture, "auto", limits, may_fit=True)
    assert len(found.data) <= limits.max_bytes
    assert found.width < 300
    words = f"300x260 -> {found.width}x{found.height} for {(jpeg - 1) / 1e6:g} MB, as JPEG, because a PNG would be "
    assert re.fullmatch(re.escape(words) + r"0\.[0-9] MB", found.changes)


@pytest.mark.parametrize("fmt", ["png", "jpeg", "auto"])
@pytest.mark.parametrize("max_bytes", [5_000, 20_000, 60_000])
def test_a_picture_with_too_many_bytes_is_scaled_down_until_it_fits(fmt: str, max_bytes: int) -> None:
    """Below the limit in bytes, still inside the limits in pixels, and the words name both sizes."""
    limits = Limits(min_side=16, max_bytes=max_bytes)
    found = encode(noise(300, 260), fmt, limits, may_fit=True)
    assert len(found.data) <= max_bytes
    header = inspect(found.data, INPUTS)
    assert (header.width, header.height) == (found.width, found.height)
    assert found.width < 300
    assert abs(found.width / found.height - 300 / 260) < 0.05
    words = f"300x260 -> {found.width}x{found.height} for {max_bytes / 1e6:g} MB"
    if (fmt, header.format) == ("auto", "JPEG"):
        assert re.fullmatch(re.escape(words) + r", as JPEG, because a PNG would be 0\.[0-9] MB", found.changes)
    else:
        assert found.changes == words
    assert len(found.data) > max_bytes / 2, "it was made smaller than necessary"


@pytest.mark.parametrize("alpha", [False, True], ids=["opaque", "transparent"])
@pytest.mark.parametrize("fmt", ["png", "jpeg", "auto"])
def test_the_limit_in_bytes_is_never_exceeded(fmt: str, alpha: bool) -> None:
    """By no noise, at no limit: not by the last byte either."""
    for seed, (width, height) in enumerate([(150, 120), (120, 150), (40, 160), (131, 97)]):
        picture = noise(width, height, alpha=alpha, seed=seed)
        sizes = {len(encode_png(picture)), len(encode_jpeg(picture))}
        for max_bytes in {2_000, 3_333, 10_000, *sizes, *(size - 1 for size in sizes), *(size // 2 for size in sizes)}:
            limits = Limits(min_side=8, max_bytes=max_bytes)
            found = encode(picture, fmt, limits, may_fit=True)
            assert len(found.data) <= max_bytes, (width, height, max_bytes)
            assert inspect(found.data, INPUTS) == Header(
                found.media_type.partition("/")[2].upper(), found.width, found.height
            )
            assert limit_problem(found.width, found.height, limits) == ""
            assert (f"{width}x{height} -> {found.width}x{found.height}" in found.changes) == (found.width != width)


@pytest.mark.parametrize(("width", "height"), [(400, 100), (100, 400)])
def test_a_picture_scaled_down_for_its_bytes_stays_inside_the_aspect_limit(width: int, height: int) -> None:
    """Rounding two sides apart must not turn 4:1 into something that the service refuses."""
    picture, problems = noise(width, height), []
    for max_bytes in range(20_000, 80_000, 7_001):
        limits = Limits(min_side=16, max_bytes=max_bytes)
        found = encode(picture, "png", limits, may_fit=True)
        problems.append(limit_problem(found.width, found.height, limits))
    assert not any(problems), problems


def test_a_picture_that_cannot_be_small_enough_is_refused_naming_size_and_limit() -> None:
    """The loop ends: below the smallest side there is nothing left to try."""
    with pytest.raises(InputError, match=r"\d+x\d+ pixels.* 1000 bytes"):
        encode(noise(300, 300), "auto", Limits(max_bytes=1000), may_fit=True)
    with pytest.raises(InputError, match=r"\d+x\d+ pixels.* 30000 bytes"):
        encode(noise(400, 150), "png", Limits(min_side=100, max_bytes=30_000), may_fit=True)


@pytest.mark.parametrize(
    ("width", "height", "limit"), [(256, 300, "at least 257"), (5000, 1300, "at most 4999"), (300, 1201, "4 times")]
)
def test_without_leave_to_fit_a_size_outside_the_limits_is_refused_by_name(width: int, height: int, limit: str) -> None:
    """Value, limit, what to set, and that nothing was submitted."""
    with pytest.raises(InputError) as caught:
        encode(plain(width, height), "png", LIMITS, may_fit=False, name="image 3")
    for words in ("image 3", f"{width}x{height}", limit, "out_of_limits", "Nothing was submitted."):
        assert words in str(caught.value)
    with pytest.raises(InputError) as checked:
        check_limits(plain(width, height), LIMITS, may_fit=False, name="image 3")
    assert str(checked.value) == str(caught.value)


@pytest.mark.parametrize(("size", "may_fit"), [((300, 260), False), ((300, 260), True), ((5000, 1), True)])
def test_a_size_inside_the_limits_or_with_leave_to_fit_is_let_through(size: tuple[int, int], may_fit: bool) -> None:
    """All sizes of a batch are checked before the first picture is uploaded."""
    check_limits(plain(*size), LIMITS, may_fit=may_fit)


def test_without_leave_to_fit_too_many_bytes_are_refused_by_name() -> None:
    """Both numbers are named."""
    picture = noise(300, 260)
    size = len(encode_png(picture))
    with pytest.raises(InputError) as caught:
        encode(picture, "png", Limits(max_bytes=1000), may_fit=False, name="image 3")
    for words in ("image 3", f"{size} bytes", "1000", "out_of_limits", "Nothing was submitted."):
        assert words in str(caught.value)


def test_with_leave_to_fit_a_size_outside_the_limits_is_made_to_fit() -> None:
    """The words of fit() are handed on."""
    found = encode(plain(100, 1000), "png", LIMITS, may_fit=True)
    assert limit_problem(found.width, found.height, LIMITS) == ""
    assert found.changes == f"100x1000 -> {found.width}x{found.height} (scaled to 103 % and padded)"
    assert inspect(found.data, INPUTS) == Header("PNG", found.width, found.height)


def test_padding_is_still_named_when_the_picture_is_scaled_down_as_well() -> None:
    """Whoever sees borders in the result must be able to learn where they came from."""
    found = encode(noise(400, 20), "png", Limits(min_side=16, max_bytes=20_000), may_fit=True)
    assert found.changes == f"400x20 -> 400x100 (padded), then 400x100 -> {found.width}x{found.height} for 0.02 MB"
    large = encode(noise(400, 20), "png", Limits(min_side=16, max_side=200, max_bytes=5_000), may_fit=True)
    assert large.changes == (
        f"400x20 -> 200x50 (scaled to 50 % and padded), then 200x50 -> {large.width}x{large.height} for 0.005 MB"
    )


@pytest.mark.parametrize(
    ("picture", "limits", "may_fit"),
    [
        (plain(100, 300), LIMITS, False),
        (plain(300, 5000), LIMITS, False),
        (plain(300, 1300), LIMITS, False),
        (noise(300, 260), Limits(max_bytes=1000), False),
        (noise(300, 260), Limits(max_bytes=1000), True),
    ],
    ids=["too small", "too large", "too long", "too many bytes", "too many bytes at any size"],
)
@pytest.mark.parametrize("fmt", ["png", "jpeg", "auto"])
def test_every_refusal_names_the_picture_and_ends_with_nothing_was_submitted(
    picture: Picture, limits: Limits, may_fit: bool, fmt: str
) -> None:
    """Whoever pays wants to know that first."""
    with pytest.raises(InputError) as caught:
        encode(picture, fmt, limits, may_fit=may_fit, name="image 3")
    assert str(caught.value).startswith("image 3 ")
    assert str(caught.value).endswith(" Nothing was submitted.")


# Metadata


def photo_with_everything() -> bytes:
    """A JPEG as a phone writes it: where, when, a comment and a colour profile."""
    exif = Image.Exif()
    exif[0x010F], exif[0x9286] = "SECRET-CAMERA", "SECRET-COMMENT"
    exif.get_ifd(0x8825)[1] = "N"
    return saved(
        Image.fromarray(ramp(300, 300)), "JPEG", exif=exif, comment=b"SECRET-REMARK", icc_profile=b"SECRET-PROFILE" * 20
    )


METADATA_FREE = [
    pytest.param(lambda: decode(photo_with_everything(), INPUTS, ENOUGH), id="from a phone"),
    pytest.param(lambda: with_alpha(decode(photo_with_everything(), INPUTS, ENOUGH)), id="transparent"),
    pytest.param(lambda: noise(600, 500), id="several blocks"),
    pytest.param(lambda: noise(100, 1300), id="fitted"),
]


@pytest.mark.parametrize("make", METADATA_FREE)
@pytest.mark.parametrize("fmt", ["png", "auto"])
def test_an_encoded_png_holds_nothing_but_the_picture(make: Callable[[], Picture], fmt: str) -> None:
    """Three kinds of chunks, none of them for texts, times or places, in their order and with nothing behind them."""
    picture = make()
    data = encode(picture, fmt, LIMITS, may_fit=True).data
    chunks = png_chunks(data)
    first, *blocks, last = (kind for kind, _ in chunks)
    assert (first, set(blocks), last) == (b"IHDR", {b"IDAT"}, b"IEND")
    assert len(chunks[0][1]) == 13
    bits, colours, *others = chunks[0][1][8:]
    assert (bits, colours, others) == (8, 2 if picture.alpha is None else 6, [0, 0, 0])
    assert chunks[-1][1] == b""
    assert b"SECRET" not in data


@pytest.mark.parametrize("make", METADATA_FREE)
def test_an_encoded_jpeg_holds_nothing_but_the_picture(make: Callable[[], Picture]) -> None:
    """No application segment besides JFIF, no comment, no thumbnail, and nothing behind the end."""
    data = encode(make(), "jpeg", LIMITS, may_fit=True).data
    segments = jpeg_segments(data)
    assert {marker for marker, _ in segments if 0xE0 <= marker <= 0xEF or marker >= 0xF0} <= {0xE0}
    assert {marker for marker, _ in segments} <= {0xE0, 0xDB, 0xC0, 0xC4, 0xDA}
    for marker, body in segments:
        if marker == 0xE0:
            assert body[:5] == b"JFIF\x00"
            assert (len(body), body[-2:]) == (14, b"\x00\x00"), "a thumbnail"
    assert b"SECRET" not in data
    assert not Image.open(io.BytesIO(data)).getexif()
