"""Fitting a picture into the limits of a service, and encoding it within them; pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .contract import Limits
from .errors import InputError
from .images import Picture, encode_jpeg, encode_png
from .work import content_of

AUTO_PNG_PIXELS = 2048 * 2048  # above, a PNG takes 8 times as long and 4 times the bytes of a JPEG nobody tells from it


@dataclass(frozen=True)
class Encoded:
    """An encoded picture; `changes` says in words what was done to make it fit, empty if nothing.

    `content` stands for its pixels, whatever they are encoded as.
    """

    data: bytes
    media_type: str
    width: int
    height: int
    content: str
    changes: str = ""


def limit_problem(width: int, height: int, limits: Limits) -> str:
    """Return what breaks the limits in words, naming value and limit; empty if nothing does."""
    short, long = sorted((width, height))
    if short < limits.min_side:
        return f"{width}x{height} pixels: each side must be at least {limits.min_side}"
    if long > limits.max_side:
        return f"{width}x{height} pixels: each side must be at most {limits.max_side}"
    if long > limits.max_aspect * short:
        return f"{width}x{height} pixels: one side must be at most {limits.max_aspect:g} times the other"
    return ""


def fit(picture: Picture, limits: Limits) -> tuple[Picture, str]:
    """Return the picture inside the limits, and what was done in words (empty if nothing).

    Too long and thin is padded with its own border pixels, then scaled as a whole; nothing is cropped.
    """
    if not limit_problem(picture.width, picture.height, limits):
        return picture, ""
    width, height, canvas_width, canvas_height = _fitted_size(picture.width, picture.height, limits)
    scaled = picture.resized(width, height)
    left, top = (canvas_width - width) // 2, (canvas_height - height) // 2
    border = ((top, canvas_height - height - top), (left, canvas_width - width - left))
    rgb = np.pad(scaled.rgb, (*border, (0, 0)), mode="edge")
    alpha = None if scaled.alpha is None else np.pad(scaled.alpha, border, mode="edge")
    fitted = Picture(rgb, alpha)
    scale = max(width, height) / max(picture.width, picture.height)  # of the long side, which rounding changes least
    return fitted, _changes(picture, fitted, scale, is_padded=any(map(any, border)))


def check_limits(picture: Picture, limits: Limits, *, may_fit: bool, name: str = "image") -> None:
    """Raise InputError naming value and limit when the picture's size is outside and `may_fit` is false."""
    problem = limit_problem(picture.width, picture.height, limits)
    if problem and not may_fit:
        msg = f"{name} is {problem}. Set out_of_limits to 'fit', or resize it first. Nothing was submitted."
        raise InputError(msg)


def encode(picture: Picture, fmt: str, limits: Limits, *, may_fit: bool, name: str = "image") -> Encoded:
    """Return the picture encoded inside the limits, as "png", "jpeg" or "auto"; metadata is never written.

    "auto" is PNG, but JPEG for large pictures without transparency, and where a PNG would be too many bytes. Raises
    InputError naming value and limit when it does not fit and `may_fit` is false.
    """
    check_limits(picture, limits, may_fit=may_fit, name=name)
    fitted, changes = fit(picture, limits)
    data, media_type, note = _encoded(fitted, fmt, limits.max_bytes)
    inside = fitted
    while len(data) > limits.max_bytes:
        if not may_fit:
            msg = (
                f"{name} takes {len(data)} bytes as {media_type}, at most {limits.max_bytes} are accepted. "
                "Set out_of_limits to 'fit', or format to 'jpeg'. Nothing was submitted."
            )
            raise InputError(msg)
        fitted = _shrunk(fitted, limits.max_bytes / len(data), limits, name)
        data, media_type, note = _encoded(fitted, fmt, limits.max_bytes)
    if fitted is not inside:
        shrunk = f"{inside.width}x{inside.height} -> {fitted.width}x{fitted.height}"
        changes = f"{changes}, then " * bool(changes) + f"{shrunk} for {limits.max_bytes / 1e6:g} MB"
    words = ", ".join(part for part in (changes, note) if part)
    return Encoded(data, media_type, fitted.width, fitted.height, content_of(fitted), words)


def _encoded(picture: Picture, fmt: str, max_bytes: int) -> tuple[bytes, str, str]:
    """Return the bytes, their type, and a note if "auto" has chosen JPEG."""
    note = ""
    if fmt == "auto" and picture.alpha is None and picture.width * picture.height > AUTO_PNG_PIXELS:
        note = f"as JPEG, for its {picture.width * picture.height / 1e6:.1f} megapixels"
    elif fmt != "jpeg":
        data = encode_png(picture)
        if fmt == "png" or len(data) <= max_bytes:
            return data, "image/png", ""
        flat = "" if picture.alpha is None else " on white"
        note = f"as JPEG{flat}, because a PNG would be {len(data) / 1e6:.1f} MB"
    elif picture.alpha is not None:
        note = "on white, as JPEG has no transparency"
    return encode_jpeg(picture), "image/jpeg", note


def _changes(picture: Picture, fitted: Picture, scale: float, *, is_padded: bool) -> str:
    percent = f"{100 * scale:.0f}" if scale > 1 else f"{100 * scale:.3g}"
    how = [f"scaled to {percent} %"] * (scale != 1) + ["padded"] * is_padded
    return f"{picture.width}x{picture.height} -> {fitted.width}x{fitted.height} ({' and '.join(how)})"


def _shrunk(picture: Picture, byte_ratio: float, limits: Limits, name: str) -> Picture:
    scale = max(0.5, 0.95 * math.sqrt(byte_ratio))  # bytes grow with the area; 5 % off, so that the loop ends soon
    width, height = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    least = math.ceil(max(width, height) / limits.max_aspect)  # rounding must not leave the aspect limit
    width, height = max(width, least), max(height, least)
    if min(width, height) < limits.min_side or width * height >= picture.width * picture.height:
        msg = (
            f"{name} ({picture.width}x{picture.height} pixels) cannot be brought under {limits.max_bytes} bytes. "
            "Nothing was submitted."
        )
        raise InputError(msg)
    return picture.resized(width, height)


def _fitted_size(width: int, height: int, limits: Limits) -> tuple[int, int, int, int]:
    """Return the scaled size and the padded canvas around it."""
    canvas_width = max(width, math.ceil(height / limits.max_aspect))
    canvas_height = max(height, math.ceil(width / limits.max_aspect))
    short, long = sorted((canvas_width, canvas_height))
    scale = min(1.0, limits.max_side / long) * max(1.0, limits.min_side / short)
    width, height = max(1, round(width * scale)), max(1, round(height * scale))
    least = max(limits.min_side, math.ceil(max(width, height) / limits.max_aspect))
    return width, height, max(width, least), max(height, least)
