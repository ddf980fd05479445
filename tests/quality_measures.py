"""Objective measures of a drawing, for golden values: none of them judges beauty, each one sees a fault.

Pictures are uint8 [H,W,3], ink layers uint8 [H,W], lightness is CIELAB L 0..100.
"""

from typing import Any

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Plane = NDArray[np.float64]
Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels."""

_SPECK_PX = 12  # smaller components of ink are dirt
_INK = 128


def lightness(rgb: Picture) -> Plane:
    """CIELAB lightness [H,W], computed independently of the engine."""
    encoded = rgb.astype(np.float64) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    root = np.where(luminance > 216 / 24389, np.cbrt(luminance), luminance * 841 / 108 + 4 / 29)
    return np.asarray(116 * root - 16, np.float64)


def flat_share(rgb: Picture) -> float:
    """Share of pixels whose lightness changes by less than half a unit per pixel."""
    down, across = np.gradient(lightness(rgb))
    return float((np.hypot(down, across) < 0.5).mean())


def colours_for_90_percent(rgb: Picture) -> int:
    """How many colours of 4 bits per channel cover nine tenths of the picture."""
    codes = (rgb >> 4).astype(np.int64) @ np.array([256, 16, 1])
    counts = np.sort(np.bincount(codes.ravel()))[::-1]
    return int(np.searchsorted(np.cumsum(counts), 0.9 * codes.size) + 1)


def line_coherence(ink: Picture) -> float:
    """How parallel the edges of the ink run within two pixels, 0..1, weighted by their strength."""
    down, across = np.gradient(ink / 255.0)
    xx, xy, yy = (ndi.gaussian_filter(product, 2.0) for product in (across * across, across * down, down * down))
    root = np.sqrt((xx - yy) ** 2 + 4 * xy * xy)
    return float(root.sum() / (xx + yy).sum())


def _components(ink: Picture) -> NDArray[np.int64]:
    """Areas in pixels of the 8-connected components of the ink."""
    labels, _ = ndi.label(ink >= _INK, structure=np.ones((3, 3)))
    return np.bincount(labels.ravel())[1:]


def speckle_share(ink: Picture) -> float:
    """Share of the ink that lies in specks."""
    areas = _components(ink)
    return float(areas[areas < _SPECK_PX].sum() / max(areas.sum(), 1))


def strokes_per_megapixel(ink: Picture) -> float:
    """Number of separate strokes, specks included."""
    return len(_components(ink)) / ink.size * 1e6


def structure(source: Picture, drawing: Picture) -> float:
    """Mean structure term of SSIM (Wang 2004) of the lightness, at a scale of four pixels."""
    a, b = lightness(source), lightness(drawing)

    def mean(plane: Plane) -> Any:
        return ndi.gaussian_filter(plane, 4.0)

    covariance = mean(a * b) - mean(a) * mean(b)
    deviations = np.sqrt(np.maximum(mean(a * a) - mean(a) ** 2, 0) * np.maximum(mean(b * b) - mean(b) ** 2, 0))
    return float(((covariance + 4) / (deviations + 4)).mean())


def correlation(source: Picture, drawing: Picture, box: Box) -> float:
    """Correlation of the lightness in a box, at a scale of one pixel."""
    left, top, right, bottom = box
    planes = [ndi.gaussian_filter(lightness(rgb), 1.0)[top:bottom, left:right].ravel() for rgb in (source, drawing)]
    return float(np.corrcoef(planes[0], planes[1])[0, 1])


def bilevel_share(rgb: Picture) -> float:
    """Share of pixels that are nearly black or nearly white."""
    return float(((rgb.max(2) < 32) | (rgb.min(2) > 223)).mean())


def lattice_energy(rgb: Picture, cell_px: float) -> float:
    """Share of the variance of the lightness at the frequencies of a 45-degree screen of that cell."""
    plane = lightness(rgb)
    power = np.abs(np.fft.fft2(plane - plane.mean())) ** 2
    down = np.abs(np.fft.fftfreq(plane.shape[0]))[:, None]
    across = np.abs(np.fft.fftfreq(plane.shape[1]))[None]
    near = np.hypot(down - 1 / cell_px, across - 1 / cell_px) < 0.012
    return float(power[near].sum() / power.sum())


def hue_chroma(rgb: tuple[float, float, float]) -> tuple[float, float]:
    """CIELAB hue in degrees and chroma of one sRGB colour of 0..255."""
    encoded = np.asarray(rgb, np.float64) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    matrix = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    xyz = matrix @ linear / np.array([0.95047, 1.0, 1.08883])
    root = np.where(xyz > 216 / 24389, np.cbrt(xyz), xyz * 841 / 108 + 4 / 29)
    a, b = 500 * (root[0] - root[1]), 200 * (root[1] - root[2])
    return float(np.rad2deg(np.arctan2(b, a))), float(np.hypot(a, b))
