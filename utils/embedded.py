"""The embedded service of this process, as the configuration has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .addresses import Policy
from .config import Config

if TYPE_CHECKING:
    from .service.server import Server


def embedded_service(config: Config) -> Server:
    """Return the service, started at the first use; raises ConfigurationError when its folder cannot be used."""
    from .service.server import embedded  # aiohttp is imported when it is needed

    local = config.profiles["local"]
    return embedded(config.home, Policy(allow_http=True, allow_hosts=local.allow_hosts, proxy=local.proxy))
