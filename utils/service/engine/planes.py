"""Array types shared by every stage of the engine."""

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
"""One float32 channel [H,W], or a planar stack of them [C,H,W]."""

Picture = NDArray[np.uint8]
"""An 8-bit sRGB picture [H,W,3], or one of its channels [H,W]."""

Size = tuple[int, int]
"""Height and width in pixels, in numpy's order."""
