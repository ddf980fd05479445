"""What people see in ComfyUI: one file a node, listed here by name."""

from ..utils.routes import UPLOADS_ROUTE
from . import _comfy, _prompts, settings_routes
from .image_to_url import CartoonizeImageToURL
from .poll_result import CartoonizePollResult
from .portrait import CartoonizePortrait
from .submit import CartoonizeSubmit
from .uploads_route import serve_upload

NODE_CLASS_MAPPINGS = {
    "CartoonizeImageToURL": CartoonizeImageToURL,
    "CartoonizeSubmit": CartoonizeSubmit,
    "CartoonizePollResult": CartoonizePollResult,
    "CartoonizePortrait": CartoonizePortrait,
}

NODE_DISPLAY_NAME_MAPPINGS = {
    "CartoonizeImageToURL": "Image to URL",
    "CartoonizeSubmit": "Submit Cartoonize",
    "CartoonizePollResult": "Poll Result",
    "CartoonizePortrait": "Cartoonize Portrait",
}

_comfy.add_route(f"{UPLOADS_ROUTE}/{{name}}", serve_upload)
for method, path, handler in settings_routes.ROUTES:
    _comfy.add_route(path, handler, method)
_comfy.on_prompt(lambda data: _prompts.without_keys(data, NODE_CLASS_MAPPINGS))
