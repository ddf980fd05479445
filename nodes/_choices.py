"""What the profile and host widgets offer, and what is wrong with a choice from somebody else's workflow."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..utils import config, pasted_keys
from ..utils.errors import ConfigurationError
from ..utils.home import ADDED_FILE, CONFIG_FILE
from ..utils.hosting.settings import LOCAL
from ..utils.logs import logger
from . import _comfy

_log = logger(__name__)


def profile_names() -> list[str]:
    """Return what the profile widget offers; a broken file is reported when a node runs, not here."""
    return list(_offered(_moment()).profiles)


def host_names() -> list[str]:
    """Return what the host widget offers; a broken file is reported when a node runs, not here."""
    return list(_offered(_moment()).hosts)


def check_profile(name: str | None, **texts: Sequence[str | None] | None) -> bool | str:
    """Return True, or in words which text holds a key, or what is wrong with the profile.

    None is a value that is linked, known only later.
    """
    named = [*((key, text) for key, values in texts.items() for text in values or ()), ("profile", name)]
    if words := next(filter(None, (pasted_keys.problem(key, text) for key, text in named)), ""):
        return words
    return name is None or _checked(lambda settings: settings.profile(name))


def check_host(name: str | None) -> bool | str:
    """Return True, or what is wrong with the image host in words; None is a value that is linked, known only later."""
    if name in (None, "", config.AUTO):
        return True
    from ..utils.hosting.hosts import settings_of

    problem = pasted_keys.problem("host", str(name))
    return problem or _checked(lambda settings: settings_of(settings, str(name)))


@dataclass(frozen=True)
class _Offer:
    """The names that this machine knows."""

    profiles: tuple[str, ...]
    hosts: tuple[str, ...]


@lru_cache(maxsize=1)
def _offered(moment: tuple[object, ...]) -> _Offer:
    """Return the names of a moment; ComfyUI asks for them with every page, for every node."""
    try:
        settings = _comfy.load_config()
    except ConfigurationError as error:
        _log.warning("%s", error)
        return _Offer((config.AUTO, *config.LOCAL_STYLES), (config.AUTO, LOCAL))
    return _Offer((config.AUTO, *settings.profiles), (config.AUTO, *settings.hosts))


def _moment() -> tuple[object, ...]:
    """Return what the names depend on: the files of the configuration, and whether the environment has a profile."""
    home = _comfy.home()
    in_environment = any(os.environ.get(name) for name in config.VARIABLES)
    return home, in_environment, *(_state(home / name) for name in (CONFIG_FILE, ADDED_FILE))


def _state(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _checked(check: Callable[[config.Config], object]) -> bool | str:
    try:
        check(_comfy.load_config())
    except ConfigurationError as error:
        return str(error)
    return True


def age_of_links(host: str | None) -> str:
    """Return a text that changes when the links of a host should be made anew; what is broken is told by the run."""
    from ..utils.backend import host_name
    from ..utils.hosting.uploads import Uploads

    try:
        settings = _comfy.load_config()
        try:
            name = host and host_name(settings, host, settings.described(config.AUTO))
        except ConfigurationError:
            name = None
        return Uploads(settings).age_of_links(name)
    except ConfigurationError:
        return ""
