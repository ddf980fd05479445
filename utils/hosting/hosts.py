"""The name of an image host -> the host, ready for use."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.util import find_spec

from ..config import Config
from ..contract import shown
from ..embedded import embedded_service
from ..errors import ConfigurationError
from ..home import CONFIG_FILE, ensure_home
from ..service.pictures import PictureStore
from . import ImageHost
from .http_settings import HttpSettings
from .settings import ComfyUISettings, HostSettings, LocalSettings, StorageSettings

OBSTORE = "obstore>=0.11,<0.13"  # as in the extra `storage`


def settings_of(config: Config, name: str) -> HostSettings:
    """Return the settings of a host; raises ConfigurationError with the hosts of this machine for an unknown name."""
    settings = config.hosts.get(name)
    if settings is None:
        msg = (
            f"There is no image host {shown(name)!r} on this machine; it has: {', '.join(config.hosts)}. Choose "
            f"'auto' or one of these, or describe it as [hosts.{shown(name)}] in {config.home / CONFIG_FILE}. "
            "Nothing was sent."
        )
        raise ConfigurationError(msg)
    return settings


def open_named(config: Config, name: str, public_url: str = "") -> ImageHost:
    """Return a host; raises ConfigurationError saying exactly what to set and where.

    `public_url` is where this machine can be reached from outside, for hosts that serve from here.
    """
    settings = completed(settings_of(config, name), public_url)
    if problem := problem_of(settings):
        msg = (
            f"The image host {name!r} is not ready: {problem}. It is described under [hosts.{name}] in "
            f"{config.home / CONFIG_FILE}. Nothing was sent."
        )
        raise ConfigurationError(msg)
    if isinstance(settings, LocalSettings):
        from .local import LocalHost
        from .stored_here import writing

        with writing():
            store = PictureStore(ensure_home(config.home) / "service" / "pictures")
        return LocalHost(settings, store, lambda: public_url or embedded_service(config).base_url)
    if isinstance(settings, ComfyUISettings):
        from .comfyui import ComfyUIHost

        return ComfyUIHost(settings, config.home)
    if isinstance(settings, HttpSettings):
        from .http import HttpHost

        return HttpHost(settings)
    if isinstance(settings, StorageSettings):
        from .storage import ObjectStorage

        return ObjectStorage(settings)
    raise AssertionError  # there is no other kind


def completed(settings: HostSettings, public_url: str) -> HostSettings:
    """Return the settings with the public address of a profile, if they have none of their own and need one."""
    if isinstance(settings, ComfyUISettings):
        return replace(settings, public_url=settings.public_url or public_url)
    return settings


def problem_of(settings: HostSettings) -> str:
    """Return what keeps a host from being used, in words, a package that is missing included; empty if nothing does."""
    if (problem := settings.problem()) or not isinstance(settings, StorageSettings):
        return problem
    if find_spec("obstore"):
        return ""
    return (
        "object storage needs a package that is not installed. Install it and restart: "
        f'"{sys.executable}" -m pip install "{OBSTORE}"'
    )
