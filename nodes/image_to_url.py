"""Image to URL: puts a batch, or a list of batches, where the service can fetch it."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..utils import pasted_keys
from ..utils.backend import open_host, open_journal
from ..utils.config import AUTO
from ..utils.hosting.upload import FORMATS, Encoding, Hosted, summary, upload
from ..utils.hosting.uploads import Uploads
from ..utils.images import from_float
from ..utils.monitor import Monitor
from . import _choices, _comfy


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
                    ["fit", "error"],
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
        return _choices.check_host(_comfy.only(host))

    @classmethod
    def IS_CHANGED(cls, host: list[str | None], **others: Any) -> str:
        """Return a text that changes when links that ComfyUI remembers should be made anew."""
        return _choices.age_of_links(_comfy.only(host))

    async def run(self, images: list[Any], host: list[str], format: list[str], out_of_limits: list[str]) -> tuple[str]:
        """Return the links, one a line."""

        def work(monitor: Monitor) -> list[Hosted]:
            pasted_keys.check(host=_comfy.only(host))
            settings = _comfy.load_config()
            profile = settings.described(AUTO)  # uploading needs none of its keys
            target = open_host(settings, _comfy.only(host), profile)
            arrays = _comfy.image_arrays(images)
            hosted = upload(
                [partial(from_float, array, f"image {n}") for n, array in enumerate(arrays, 1)],
                target,
                Encoding(_comfy.only(format), _comfy.only(out_of_limits) == "fit", profile.limits),
                uploads=Uploads(settings),
                journal=open_journal(settings),
                monitor=monitor,
            )
            monitor.report(1, 1, summary(hosted, target.settings))
            return hosted

        return ("\n".join(h.url for h in _comfy.run_at_once(work, "Nothing was submitted.")),)
