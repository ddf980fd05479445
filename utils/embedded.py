"""The embedded service of this process, as the configuration has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .config import Config

if TYPE_CHECKING:
    from .service.server import Server


def embedded_service(config: Config) -> Server:
    """Return the service, started at the first use; raises ConfigurationError when its folder cannot be used."""
    from .service.server import embedded  # aiohttp is imported when it is needed

    return embedded(config.home, config.profiles["local"].policy)
