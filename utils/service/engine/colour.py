"""Conversions between 8-bit sRGB and CIELAB (D65), planar float32."""

from functools import cache

import numpy as np

from .planes import Picture, Plane

# IEC 61966-2-1 primaries to XYZ, rows already divided by the D65 white point.
_XYZ_FROM_LINEAR = np.array(
    [
        [0.4124564 / 0.95047, 0.3575761 / 0.95047, 0.1804375 / 0.95047],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339 / 1.08883, 0.1191920 / 1.08883, 0.9503041 / 1.08883],
    ]
)
_EPSILON = 216 / 24389  # CIE: below this the cube root is replaced by a line
_SLOPE = 841 / 108
_OFFSET = 4 / 29
_TABLE_STEPS = 4096
_STRIP_ROWS = 32  # pointwise chains stay in the cache


@cache
def _linear_table() -> Plane:
    encoded = np.arange(256) / 255.0
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


@cache
def _encode_table() -> Picture:
    linear = np.arange(_TABLE_STEPS + 1) / _TABLE_STEPS
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.clip(encoded * 255 + 0.5, 0, 255).astype(np.uint8)


@cache
def _lightness_table() -> Plane:
    luminance = np.arange(_TABLE_STEPS + 1) / _TABLE_STEPS
    root = np.where(luminance > _EPSILON, np.cbrt(luminance), _SLOPE * luminance + _OFFSET)
    return (116 * root - 16).astype(np.float32)


def lab_from_rgb(rgb: Picture) -> Plane:
    """Convert sRGB uint8 [H,W,3] to CIELAB [3,H,W]: L 0..100, a and b about -110..110."""
    linear = _linear_table()[rgb].reshape(-1, 3)
    xyz = _XYZ_FROM_LINEAR.astype(np.float32) @ linear.T  # HWC -> C,(HW)
    root = np.where(xyz > _EPSILON, np.cbrt(xyz), np.float32(_SLOPE) * xyz + np.float32(_OFFSET))
    lab = np.empty_like(xyz)
    lab[0] = 116 * root[1] - 16
    lab[1] = 500 * (root[0] - root[1])
    lab[2] = 200 * (root[1] - root[2])
    return lab.reshape(3, *rgb.shape[:2])


def rgb_from_lab(lab: Plane) -> Picture:
    """Convert CIELAB [3,H,W] to sRGB uint8 [H,W,3]; colours outside the gamut are clipped."""
    height, width = lab.shape[1:]
    rgb = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _STRIP_ROWS):
        rgb[top : top + _STRIP_ROWS] = _encode_strip(lab[:, top : top + _STRIP_ROWS])
    return rgb


def _encode_strip(lab: Plane) -> Picture:
    rows, width = lab.shape[1:]
    root = np.empty((3, rows * width), np.float32)
    root[1] = (lab[0].ravel() + 16) / 116
    root[0] = root[1] + lab[1].ravel() / 500
    root[2] = root[1] - lab[2].ravel() / 200
    xyz = np.where(root > 6 / 29, root * root * root, (root - np.float32(_OFFSET)) / np.float32(_SLOPE))
    linear = np.linalg.inv(_XYZ_FROM_LINEAR).astype(np.float32) @ xyz
    codes = (np.clip(linear, 0, 1) * _TABLE_STEPS).astype(np.intp)
    return np.ascontiguousarray(_encode_table()[codes].T).reshape(rows, width, 3)  # C,(HW) -> HWC


def lightness_from_rgb(rgb: Picture) -> Plane:
    """Convert sRGB uint8 [H,W,3] to CIELAB lightness [H,W] alone, three times cheaper than Lab."""
    table = _linear_table() * np.float32(_TABLE_STEPS)
    red, green, blue = (np.float32(weight) for weight in _XYZ_FROM_LINEAR[1])
    luminance = table[rgb[..., 0]] * red + table[rgb[..., 1]] * green + table[rgb[..., 2]] * blue
    return np.asarray(_lightness_table().take(luminance.astype(np.intp), mode="clip"), np.float32)


def hue_and_chroma(a: Plane, b: Plane) -> tuple[Plane, Plane]:
    """Polar form of the chroma plane: hue in radians (-pi..pi) and chroma, same shapes."""
    return np.arctan2(b, a), np.sqrt(a * a + b * b)
