"""The stylization engine: redraws a portrait as "anime" or "manga" with numpy, scipy and Pillow."""

from .drawing import Drawing, Style, draw, stylize

__all__ = ["Drawing", "Style", "draw", "stylize"]
