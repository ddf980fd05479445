"""L0 gradient minimisation: flat regions with sharp borders."""

import numpy as np
import scipy.fft as fft

from .planes import Plane, Size

KAPPA = 2.0  # growth of beta per round; larger is faster and visibly less flat
BETA_MAX = 2e4  # beyond this the picture no longer changes by a visible step
_FRAME_PX = 8  # mirrored border that keeps the periodic transform from joining opposite sides


def l0_smooth(channels: Plane, weight: Plane) -> Plane:
    """Smooth channels jointly so that as few pixels as possible keep a gradient.

    Xu, Lu, Xu and Jia 2011, Image smoothing via L0 gradient minimization: alternates a hard
    threshold on gradients with a least-squares fit solved by FFT. `channels` [C,H,W] in about 0..1;
    `weight` [H,W] is the paper's lambda, here varying over the picture (smaller keeps more detail).
    """
    height, width = channels.shape[1:]
    size = _padded_size(height), _padded_size(width)
    signal = np.stack([_frame(channel, size) for channel in channels])
    threshold = _frame(weight, size)
    source = fft.rfft2(signal)
    laplacian = _laplacian_spectrum(size)
    beta = 2 * float(weight.max())
    while beta < BETA_MAX:
        divergence = _kept_divergence(signal, threshold / np.float32(beta))
        spectrum = fft.rfft2(divergence)
        spectrum *= np.float32(beta)
        spectrum += source
        spectrum /= 1 + np.float32(beta) * laplacian
        signal = fft.irfft2(spectrum, s=size, overwrite_x=True)
        beta *= KAPPA
    inner = signal[:, _FRAME_PX : _FRAME_PX + height, _FRAME_PX : _FRAME_PX + width]
    return np.ascontiguousarray(inner, np.float32)


def _padded_size(length: int) -> int:
    padded = int(fft.next_fast_len(length + 2 * _FRAME_PX, real=True))
    # Rows a multiple of 256 bytes apart collide in the processor's cache.
    return padded if padded % 64 else int(fft.next_fast_len(padded + 1, real=True))


def _frame(plane: Plane, size: Size) -> Plane:
    height, width = plane.shape
    rows = (_FRAME_PX, size[0] - height - _FRAME_PX)
    columns = (_FRAME_PX, size[1] - width - _FRAME_PX)
    return np.asarray(np.pad(plane, (rows, columns), mode="symmetric"), np.float32)


def _laplacian_spectrum(size: Size) -> Plane:
    """Eigenvalues of the periodic negative Laplacian [H, W // 2 + 1]."""
    vertical = 2 - 2 * np.cos(2 * np.pi * np.arange(size[0]) / size[0])
    horizontal = 2 - 2 * np.cos(2 * np.pi * np.arange(size[1] // 2 + 1) / size[1])
    return np.asarray(vertical[:, None] + horizontal[None], np.float32)


def _kept_divergence(signal: Plane, threshold: Plane) -> Plane:
    """Negative divergence of the gradients whose squared length reaches the threshold [C,H,W]."""
    across = np.empty_like(signal)
    down = np.empty_like(signal)
    np.subtract(signal[..., 1:], signal[..., :-1], out=across[..., :-1])
    np.subtract(signal[..., 0], signal[..., -1], out=across[..., -1])
    np.subtract(signal[:, 1:], signal[:, :-1], out=down[:, :-1])
    np.subtract(signal[:, 0], signal[:, -1], out=down[:, -1])
    energy = np.einsum("chw,chw->hw", across, across)
    energy += np.einsum("chw,chw->hw", down, down)
    kept = energy >= threshold
    across *= kept
    down *= kept
    divergence = -across
    divergence[..., 1:] += across[..., :-1]
    divergence[..., 0] += across[..., -1]
    divergence -= down
    divergence[:, 1:] += down[:, :-1]
    divergence[:, 0] += down[:, -1]
    return divergence
