"""What people see in ComfyUI: one file a node, listed here by name."""

from .image_to_url import CartoonizeImageToURL
from .poll_result import CartoonizePollResult
from .submit import CartoonizeSubmit

NODE_CLASS_MAPPINGS = {
    "CartoonizeImageToURL": CartoonizeImageToURL,
    "CartoonizeSubmit": CartoonizeSubmit,
    "CartoonizePollResult": CartoonizePollResult,
}

NODE_DISPLAY_NAME_MAPPINGS = {
    "CartoonizeImageToURL": "Image to URL",
    "CartoonizeSubmit": "Submit Cartoonize",
    "CartoonizePollResult": "Poll Result",
}
