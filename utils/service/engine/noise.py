"""Noise of the camera or of compression: measuring it, and smoothing it away before anything else."""

import numpy as np

from .blur import guided_smooth
from .planes import Picture, Plane, Size
from .resampling import Box, resize_picture

_VISIBLE = 2.5  # standard deviation in 8-bit steps; less is film grain that vanishes by itself
_STRENGTH = 3.0  # deviations that count as noise rather than as edges
_RADIUS_PX = 2


def noise_deviation(rgb: Picture) -> float:
    """Standard deviation of the noise of a picture [H,W,3] in 8-bit steps.

    The mean response to a mask that is blind to slopes and edges (Immerkaer 1996, Fast noise
    variance estimation). Pictures under three pixels have none.
    """
    if min(rgb.shape[:2]) < 3:
        return 0.0
    grey = rgb.mean(2, dtype=np.float32)
    rows = grey[:-2] - 2 * grey[1:-1] + grey[2:]
    response = rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]
    # The median instead of the mean: textures and lines are the few, noise is everywhere.
    return float(np.median(np.abs(response))) / (0.6745 * 6)


def remove_noise(rgb: Picture) -> Picture:
    """Smooth visible noise in a picture [H,W,3] with the guided filter, and leave clean ones alone."""
    deviation = noise_deviation(rgb)
    if deviation < _VISIBLE:
        return rgb
    variance = (_STRENGTH * deviation) ** 2
    channels = [_smoothed(rgb[..., i].astype(np.float32), variance) for i in range(3)]
    return np.stack(channels, 2)


def _smoothed(channel: Plane, variance: float) -> Picture:
    smooth = guided_smooth(channel, _RADIUS_PX, variance)
    return (np.clip(smooth, 0, 255) + np.float32(0.5)).astype(np.uint8)


def clean_resized(rgb: Picture, size: Size, box: Box | None = None) -> Picture:
    """Cut out `box` and resize it to `size` without its noise.

    The noise is removed at the smaller of both sizes, where it is finest against the motif.
    """
    if box is not None:
        left, top, right, bottom = (int(edge) for edge in box)
        rgb = rgb[top:bottom, left:right]
    if rgb.shape[0] <= size[0]:
        return resize_picture(remove_noise(rgb), size)
    return remove_noise(resize_picture(rgb, size))
