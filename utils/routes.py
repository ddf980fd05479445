"""The paths of the pack on ComfyUI's own server."""

PREFIX = "/portrait_cartoonize"
UPLOADS_ROUTE = f"{PREFIX}/pictures"
