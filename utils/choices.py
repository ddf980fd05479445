"""What the widgets offer besides names of this machine; light, because ComfyUI asks for it with every page."""

from __future__ import annotations

import enum

FORMATS = ("auto", "png", "jpeg")
OUT_OF_LIMITS = ("fit", "error")


class OnFailure(enum.Enum):
    """What happens to pictures without a result."""

    ERROR = "error"
    SKIP = "skip"
    ORIGINAL = "original"


class Sizes(enum.Enum):
    """What the batch does with pictures of different sizes."""

    MATCH_FIRST = "match first"
    PAD = "pad"
    LIST_ONLY = "list only"
