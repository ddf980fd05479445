"""Array <-> encoded picture; pure, no I/O.

A picture is 8-bit RGB, upright, without metadata; transparency is kept beside the colour. Colour profiles are
ignored, as ComfyUI ignores them.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import BmpImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from .errors import InputError
from .formats import kind_of, stated_size
from .picture_parts import parts_of

READABLE_FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
MAX_PIXELS = 100_000_000
JPEG_QUALITY = 95
_STRIP = 65536  # values
MAX_SIDE = 65_535  # pixels, as in a JPEG: a row of one pixel takes as much memory as one of thirty
# What Pillow raises for files that are no pictures, and where another pack has set its limit of pixels low.
_DAMAGED = (OSError, SyntaxError, ValueError, struct.error, EOFError, Image.DecompressionBombError)
_TURNS = {  # by the orientation of TIFF 6.0
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Not Image.open, which asks what other packs have set and registered.
_READERS: Mapping[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
}


@dataclass(frozen=True)
class Picture:
    """A picture in memory: `rgb` is uint8 [H,W,3], `alpha` uint8 [H,W] (255 is opaque) or None."""

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None = None

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.rgb.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.rgb.shape[0])

    def resized(self, width: int, height: int, window: tuple[float, float] | None = None) -> Picture:
        """Return the picture, or its centred window of (width, height), at another size in pixels.

        Lanczos, so that lines stay sharp both ways.
        """
        if (width, height) == (self.width, self.height):
            return self
        window_width, window_height = window or (self.width, self.height)
        left, top = math.floor((self.width - window_width) / 2), math.floor((self.height - window_height) / 2)
        box = (left, top, min(left + window_width, self.width), min(top + window_height, self.height))
        size, kernel = (width, height), Image.Resampling.LANCZOS
        layers = [self.rgb] if self.alpha is None else [self.rgb, self.alpha]
        return Picture(*(np.asarray(Image.fromarray(layer).resize(size, kernel, box)) for layer in layers))


@dataclass(frozen=True)
class Header:
    """What a file says of itself before it is decoded; sides in pixels as stored, before rotation by EXIF."""

    format: str
    width: int
    height: int


def from_float(values: NDArray[np.floating], name: str = "image") -> Picture:
    """Return [H,W,C] floats (0..1, C = 1, 3 or 4) as a picture, clipped and rounded; raises InputError naming it."""
    if values.ndim != 3 or values.shape[2] not in (1, 3, 4) or 0 in values.shape:
        msg = f"{name} has the shape {list(values.shape)}; expected [height, width, 1, 3 or 4]. Nothing was sent."
        raise InputError(msg)
    if values.dtype.kind != "f":
        msg = f"{name} holds {values.dtype} values; an IMAGE holds numbers from 0 to 1. Nothing was sent."
        raise InputError(msg)
    pixels = _to_bytes(values)
    if pixels is None:
        bad = int(values.size - np.isfinite(values).sum())
        msg = (
            f"{name} holds {bad} values that are not numbers (NaN or infinite), usually from a VAE in half precision. "
            "Nothing was sent."
        )
        raise InputError(msg)
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)  # HW1 -> HW3
    return Picture(np.ascontiguousarray(pixels[..., :3]), pixels[..., 3].copy() if pixels.shape[2] == 4 else None)


def _to_bytes(values: NDArray[np.floating]) -> NDArray[np.uint8] | None:
    """Return floats (0..1) as bytes, clipped and rounded, None if there is one that is no number.

    A few rows at a time: small copies stay in the processor's cache.
    """
    pixels = np.empty(values.shape, np.uint8)
    step = max(1, _STRIP // max(1, values[0].size))
    for top in range(0, len(values), step):
        if not np.isfinite(values[top : top + step]).all():
            return None
        strip = np.clip(values[top : top + step], 0, 1)
        strip *= 255
        pixels[top : top + step] = np.rint(strip, out=strip)
    return pixels


def inspect(data: bytes, formats: tuple[str, ...], name: str = "the file") -> Header:
    """Return format and size by content, without decoding; raises InputError if it is none of the formats."""
    kind = kind_of(data)
    if kind not in formats:
        problem = "is not a picture of the accepted kinds" if data else "is empty"
        msg = f"{name} {problem} ({', '.join(formats)}); it starts with {data[:8]!r}."
        raise InputError(msg)
    size = stated_size(data, kind)
    if size is None or 0 in size:
        msg = f"{name} is damaged or cut short: its size cannot be read. It starts with {data[:8]!r}."
        raise InputError(msg)
    return Header(kind, *size)


def decode(data: bytes, formats: tuple[str, ...], max_pixels: int, name: str = "the file") -> Picture:
    """Return an upright picture, of several frames the first.

    Raises InputError for other formats, damaged files and more than `max_pixels`, before anything is decoded.
    """
    header = inspect(data, formats, name)
    if header.width * header.height > max_pixels or max(header.width, header.height) > MAX_SIDE:
        most = f"at most {max_pixels} pixels, and {MAX_SIDE} a side, are decoded"
        msg = f"{name} is {header.width}x{header.height} pixels; {most}."
        raise InputError(msg)
    parts = parts_of(data, header.format, name)
    try:
        with _READERS[header.format](io.BytesIO(parts.pixels)) as image:
            if (image.width, image.height) != (header.width, header.height):
                msg = f"it states {header.width}x{header.height} and {image.width}x{image.height} pixels"
                raise ValueError(msg)
            image.load()
            turn = _TURNS.get(parts.orientation)
            return _to_picture(image if turn is None else image.transpose(turn))
    except _DAMAGED as error:
        msg = f"{name} is damaged or cut short: {error}."
        raise InputError(msg) from error


def encode_png(picture: Picture) -> bytes:
    """Return the picture as PNG at a fast level, with its transparency, without metadata."""
    layers = picture.rgb if picture.alpha is None else np.dstack([picture.rgb, picture.alpha])
    stream = io.BytesIO()
    # Run lengths alone compress filtered pixels better than the fast level's short matches, in the same time.
    Image.fromarray(layers).save(stream, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
    return stream.getvalue()


def encode_jpeg(picture: Picture) -> bytes:
    """Return the picture as JPEG (quality 95, 4:4:4) over white, without metadata."""
    stream = io.BytesIO()
    Image.fromarray(over_white(picture)).save(stream, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return stream.getvalue()


def over_white(picture: Picture) -> NDArray[np.uint8]:
    """Return the colours [H,W,3] as they look on white paper."""
    if picture.alpha is None:
        return picture.rgb
    opacity = picture.alpha[..., None].astype(np.uint16)  # HW -> HW1
    blended = (picture.rgb * opacity + 255 * (255 - opacity) + 127) // 255
    return blended.astype(np.uint8)


def _to_picture(image: Image.Image) -> Picture:
    if image.mode.startswith("I"):  # 16 bits a channel: Pillow's own conversion would clip instead of scaling
        grey = (np.asarray(image).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8)
        return Picture(np.repeat(grey[..., None], 3, axis=2))  # HW -> HW3
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        pixels = np.array(image.convert("RGBA"))
        return Picture(np.ascontiguousarray(pixels[..., :3]), pixels[..., 3].copy())
    return Picture(np.array(image.convert("RGB")))
