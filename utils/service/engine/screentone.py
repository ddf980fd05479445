"""Screentone: dots on a 45-degree lattice whose size carries the tone."""

import numpy as np

from .planes import Plane

_NO_TONE = 0.01  # coverage below which no dot is printed


def screentone(coverage: Plane, cell_px: float, top: int, left: int) -> Plane:
    """Print dots for a coverage plane [H,W] (0..0.5) as ink [H,W], 0 paper .. 1 ink.

    Amplitude-modulated clustered-dot screen (Holladay 1980; Ulichney 1987): one dot at the corner
    and one in the middle of every square cell of `cell_px`, so the rows of dots run at 45 degrees.
    `top` and `left` tell where on the page the plane begins: parts of one page fit together.
    """
    height, width = coverage.shape
    y = np.arange(top, top + height, dtype=np.float32) + np.float32(0.5)
    x = np.arange(left, left + width, dtype=np.float32) + np.float32(0.5)
    corner = np.hypot(_to_lattice(y, cell_px)[:, None], _to_lattice(x, cell_px)[None])
    half = np.float32(cell_px / 2)
    middle = np.hypot(_to_lattice(y + half, cell_px)[:, None], _to_lattice(x + half, cell_px)[None])
    distance = np.minimum(corner, middle)
    radius = np.sqrt(np.maximum(coverage, 0) * np.float32(cell_px * cell_px / (2 * np.pi)))
    dots = np.clip(radius - distance + np.float32(0.5), 0, 1)
    return np.asarray(dots * (coverage > _NO_TONE), np.float32)


def _to_lattice(position: Plane, cell_px: float) -> Plane:
    """Signed distance to the nearest multiple of the cell."""
    cells = position / np.float32(cell_px)
    return np.asarray((cells - np.rint(cells)) * np.float32(cell_px), np.float32)
