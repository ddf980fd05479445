"""Image to URL: puts a batch, or a list of batches, where the service can fetch it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..utils.choices import FORMATS, OUT_OF_LIMITS
from . import _comfy, _waiting

if TYPE_CHECKING:
    from ..utils.monitor import Monitor


class CartoonizeImageToURL:
    """Upload images and return one link a line; the links are unguessable and expire."""

    CATEGORY = _comfy.CATEGORY
    DESCRIPTION = (
        "Uploads images and returns their links, one per line, for Submit Cartoonize. The files carry no metadata, "
        "their names cannot be guessed, and they expire. A list of images of different sizes goes in as one piece."
    )
    SEARCH_ALIASES = ["upload image", "image host", "image link", "cartoon", "portrait"]
    INPUT_IS_LIST = True
    RETURN_TYPES = ("STRING",)
    RETURN_NAMES = ("image_urls",)
    OUTPUT_TOOLTIPS = ("The links of the images, one per line, in the order of the images.",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """Return the inputs; names and order are part of saved graphs."""
        from ..utils.config import AUTO
        from . import _choices

        return {
            "required": {
                "images": ("IMAGE", {"tooltip": "A batch, or a list of batches of any sizes."}),
                "host": (
                    _choices.host_names(),
                    {
                        "default": AUTO,
                        "tooltip": "Where the images are put: a host that this machine's configuration describes. "
                        "'auto' goes by the default profile: this machine for the built-in service, else the host "
                        "that is configured for it.",
                    },
                ),
                "format": (
                    list(FORMATS),
                    {
                        "default": "auto",
                        "tooltip": "PNG is lossless. 'auto' is PNG, but JPEG (quality 95) above 4 "
                        "megapixels and where a PNG would exceed 50 MB; transparency stays PNG.",
                    },
                ),
                "out_of_limits": (
                    list(OUT_OF_LIMITS),
                    {
                        "default": "fit",
                        "tooltip": "The service takes 257 to 4999 pixels per side, at most 4:1, and 50 MB. 'fit' "
                        "scales and pads, and says so; 'error' stops.",
                    },
                ),
            }
        }

    @classmethod
    def VALIDATE_INPUTS(cls, host: list[str | None]) -> bool | str:
        """Accept a host of this machine; one from somebody else's workflow gets a sentence, not a red box."""
        from . import _choices

        return _choices.check_host(_comfy.only(host))

    @classmethod
    def IS_CHANGED(cls, host: list[str | None], **others: Any) -> str:
        """Return a text that changes when links that ComfyUI remembers should be made anew."""
        from . import _choices

        return _choices.age_of_links(_comfy.only(host))

    async def run(self, images: list[Any], host: list[str], format: list[str], out_of_limits: list[str]) -> tuple[str]:
        """Return the links, one a line."""

        def work(monitor: Monitor) -> tuple[str, ...]:
            from . import _recipes

            return _recipes.links_of(
                images, _comfy.only(host), _comfy.only(format), _comfy.only(out_of_limits), monitor
            )

        return ("\n".join(_waiting.run_at_once(work, "Nothing was submitted.")),)
