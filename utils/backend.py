"""Profile and host names -> the things behind them: a client, a download policy, an image host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .client import Client
from .config import AUTO, Config, Profile
from .download import Policy
from .errors import ConfigurationError, InputError
from .hosting import ImageHost

if TYPE_CHECKING:
    from .journal import Journal
    from .results import ResultStore
    from .service.server import Server

LOCAL_HOST = "local"


@dataclass(frozen=True)
class Backend:
    """A profile that is ready for use, its addresses and keys filled in, and what this machine remembers of it."""

    profile: Profile
    policy: Policy
    journal: Journal
    results: ResultStore

    def client(self) -> Client:
        """Return a new client, for one thread."""
        return Client(self.profile)

    def check_links(self, links: list[str]) -> None:
        """Raise InputError for a link to this machine when the service is somewhere else."""
        for link in links:
            host = urlsplit(link).hostname or ""
            own = host == "localhost" or host.startswith("127.") or host == "::1"
            if own and not self.profile.is_local and host not in self.profile.allow_hosts:
                msg = (
                    f"{link} is on this machine, where the service of profile {self.profile.name!r} cannot fetch it. "
                    "Choose a host in Image to URL that the service can reach. Nothing was sent."
                )
                raise InputError(msg)


def connect(config: Config, profile_name: str) -> Backend:
    """Return the backend of a profile, starting the embedded service for a local one; raises ConfigurationError."""
    profile = config.profile(profile_name)
    own_address = ""
    if profile.is_local:
        server = _embedded(config)
        profile, own_address = server.filled_in(profile), server.base_url
    policy = Policy(profile.allow_http, profile.allow_hosts, own_address)
    return Backend(profile, policy, open_journal(config), open_results(config))


def open_journal(config: Config) -> Journal:
    """Return the journal of the state folder."""
    from .journal import Journal  # sqlite3 is imported when it is needed

    return Journal(config.home)


def open_results(config: Config) -> ResultStore:
    """Return the results store of the state folder."""
    from .results import ResultStore

    return ResultStore(config.home, config.max_results_bytes)


def open_host(config: Config, name: str, profile: Profile) -> ImageHost:
    """Return an image host; "auto" is the one that the profile needs. Raises ConfigurationError."""
    is_auto = name in ("", AUTO)
    wanted = (LOCAL_HOST if profile.is_local else profile.host) if is_auto else name
    if wanted != LOCAL_HOST:
        problem = f"there is no image host {wanted!r} on this machine" if wanted else "no image host is set"
        raise ConfigurationError(_host_help(profile, problem))
    if is_auto and not profile.is_local and not profile.public_url:
        problem = f"{LOCAL_HOST!r} serves pictures on this machine only, where its service cannot fetch them"
        raise ConfigurationError(_host_help(profile, problem))
    from .hosting.local import LocalHost

    server = _embedded(config)
    return LocalHost(server.pictures, profile.public_url or server.base_url)


def _embedded(config: Config) -> Server:
    from .service.server import embedded  # aiohttp is imported when it is needed

    return embedded(config.home, Policy(allow_http=True, allow_hosts=config.profiles["local"].allow_hosts))


def _host_help(profile: Profile, problem: str) -> str:
    return (
        f"Image to URL, for profile {profile.name!r}: {problem}. This machine has: {LOCAL_HOST}. Set "
        f"CARTOONIZE_HOST={LOCAL_HOST} and CARTOONIZE_PUBLIC_URL to the address under which the service can reach this "
        "machine, or connect links of your own to Submit Cartoonize. Nothing was sent."
    )
