"""The direction of lines: smoothed structure tensor and smoothing along its tangent."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .blur import gaussian
from .planes import Plane, Size
from .resampling import resize_plane


@dataclass(frozen=True)
class Flow:
    """Unit tangents of the lines, planes [H,W]; an axis, so the sign carries no meaning."""

    x: Plane
    y: Plane

    def resized(self, size: Size) -> "Flow":
        """Tangents at another size.

        Resizes the doubled angle: opposite tangents are one axis and must not cancel out.
        """
        if self.x.shape == size:
            return self
        cosine = resize_plane(self.x * self.x - self.y * self.y, size)
        sine = resize_plane(2 * self.x * self.y, size)
        cosine /= np.sqrt(cosine * cosine + sine * sine) + np.float32(1e-9)
        x = np.sqrt(np.maximum((1 + cosine) * np.float32(0.5), 0))
        y = np.copysign(np.sqrt(np.maximum((1 - cosine) * np.float32(0.5), 0)), sine)
        return Flow(x, y)


def gradient(plane: Plane) -> tuple[Plane, Plane]:
    """Sobel derivatives across x and y of a plane [H,W], in units per pixel times two."""
    padded = np.pad(plane, 1, mode="edge")
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    columns = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    across = (rows[:, 2:] - rows[:, :-2]) * np.float32(0.25)
    down = (columns[2:] - columns[:-2]) * np.float32(0.25)
    return across, down


def tangent_flow(plane: Plane, sigma_px: float) -> Flow:
    """Tangent field of the plane [H,W]: the minor eigenvector of its smoothed structure tensor.

    Brox, Weickert, Burgeth and Mrazek 2006; Kyprianidis and Doellner 2008. `sigma_px` is the scale
    of the tensor's smoothing. Where there is no gradient at all the flow is vertical.
    """
    across, down = gradient(plane)
    xx = gaussian(across * across, sigma_px)
    xy = gaussian(across * down, sigma_px)
    yy = gaussian(down * down, sigma_px)
    root = np.sqrt((xx - yy) ** 2 + 4 * xy * xy)
    x = (yy - xx + root) * np.float32(0.5)  # larger eigenvalue minus xx
    y = -xy
    degenerate = np.abs(x) + np.abs(y) <= np.float32(1e-6) * (xx + yy) + np.float32(1e-12)
    x = np.where(degenerate, np.float32(0), x)
    y = np.where(degenerate, np.float32(1), y)
    length = np.sqrt(x * x + y * y)
    return Flow(x / length, y / length)


def smooth_along(plane: Plane, flow: Flow, steps_px: Sequence[float]) -> Plane:
    """Average the plane [H,W] along the tangents.

    The line integral of Kang, Lee and Chui 2007, evaluated as a series of dilating three-tap
    filters: much cheaper than following streamlines, and the taps are symmetric, so the missing
    sign of the tangent does not matter.
    """
    height, width = plane.shape
    margin = int(max(steps_px)) + 2
    stride = width + 2 * margin
    rows = (np.arange(height, dtype=np.int32)[:, None] + margin) * np.int32(stride)
    centre = rows + np.arange(width, dtype=np.int32)[None] + np.int32(margin)
    for step_px in steps_px:
        padded = np.pad(plane, margin, mode="edge").ravel()
        offset = np.rint(np.float32(step_px) * flow.y) * np.float32(stride)
        offset += np.rint(np.float32(step_px) * flow.x)
        taps = offset.astype(np.int32)
        sides = padded.take(centre + taps) + padded.take(centre - taps)
        plane = np.float32(0.5) * plane + np.float32(0.25) * sides
    return plane
