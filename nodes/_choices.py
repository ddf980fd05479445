"""What the profile and host widgets offer, and what is wrong with a choice from somebody else's workflow."""

from __future__ import annotations

import logging

from ..utils import config
from ..utils.backend import host_name
from ..utils.errors import ConfigurationError
from ..utils.hosting.hosts import settings_of
from ..utils.hosting.settings import LOCAL
from ..utils.hosting.uploads import Uploads
from . import _comfy

_log = logging.getLogger(__name__)


def profile_names() -> list[str]:
    """Return what the profile widget offers; a broken file is reported when a node runs, not here."""
    try:
        return [config.AUTO, *_comfy.load_config().profiles]
    except ConfigurationError as error:
        _log.warning("%s", error)
        return [config.AUTO, *config.LOCAL_STYLES]


def check_profile(name: str | None) -> bool | str:
    """Return True, or what is wrong with the profile in words; None is a value that is linked, known only later."""
    if name is None:
        return True
    try:
        _comfy.load_config().profile(name)
    except ConfigurationError as error:
        return str(error)
    return True


def host_names() -> list[str]:
    """Return what the host widget offers; a broken file is reported when a node runs, not here."""
    try:
        return [config.AUTO, *_comfy.load_config().hosts]
    except ConfigurationError as error:
        _log.warning("%s", error)
        return [config.AUTO, LOCAL]


def check_host(name: str | None) -> bool | str:
    """Return True, or what is wrong with the image host in words; None is a value that is linked, known only later."""
    if name in (None, "", config.AUTO):
        return True
    try:
        settings_of(_comfy.load_config(), str(name))
    except ConfigurationError as error:
        return str(error)
    return True


def age_of_links(host: str | None) -> str:
    """Return a text that changes when the links of a host should be made anew; what is broken is told by the run."""
    try:
        settings = _comfy.load_config()
        try:
            name = host and host_name(settings, host, settings.described(config.AUTO))
        except ConfigurationError:
            name = None
        return Uploads(settings).age_of_links(name)
    except ConfigurationError:
        return ""
