"""What the profile and host widgets offer, and what is wrong with a choice from somebody else's workflow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..utils import config, pasted_keys
from ..utils.errors import ConfigurationError
from ..utils.hosting.settings import LOCAL
from ..utils.logs import logger
from . import _comfy

_log = logger(__name__)


def profile_names() -> list[str]:
    """Return what the profile widget offers; a broken file is reported when a node runs, not here."""
    return _offered(lambda settings: settings.profiles, config.LOCAL_STYLES)


def check_profile(name: str | None, **texts: Sequence[str | None] | None) -> bool | str:
    """Return True, or in words which text holds a key, or what is wrong with the profile.

    None is a value that is linked, known only later.
    """
    named = [*((key, text) for key, values in texts.items() for text in values or ()), ("profile", name)]
    if words := next(filter(None, (pasted_keys.problem(key, text) for key, text in named)), ""):
        return words
    return name is None or _checked(lambda settings: settings.profile(name))


def host_names() -> list[str]:
    """Return what the host widget offers; a broken file is reported when a node runs, not here."""
    return _offered(lambda settings: settings.hosts, [LOCAL])


def check_host(name: str | None) -> bool | str:
    """Return True, or what is wrong with the image host in words; None is a value that is linked, known only later."""
    if name in (None, "", config.AUTO):
        return True
    from ..utils.hosting.hosts import settings_of

    problem = pasted_keys.problem("host", str(name))
    return problem or _checked(lambda settings: settings_of(settings, str(name)))


def _offered(names: Callable[[config.Config], Iterable[str]], without_file: Iterable[str]) -> list[str]:
    try:
        return [config.AUTO, *names(_comfy.load_config())]
    except ConfigurationError as error:
        _log.warning("%s", error)
        return [config.AUTO, *without_file]


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
