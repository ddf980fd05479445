"""Profile and host names -> the things behind them: a client, a download policy, an image host."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .addresses import Policy
from .client import Client
from .config import AUTO, Config, Profile
from .embedded import embedded_service
from .errors import ConfigurationError
from .home import CONFIG_FILE
from .hosting.hosts import open_named, settings_of
from .hosting.settings import COMFYUI, LOCAL
from .hosting.upload import OpenHost
from .hosting.uploads import Uploads

if TYPE_CHECKING:
    from .journal import Journal
    from .results import ResultStore


@dataclass(frozen=True)
class Backend:
    """A profile that is ready for use, its addresses and keys filled in, and what this machine remembers of it."""

    profile: Profile
    policy: Policy
    journal: Journal
    results: ResultStore
    uploads: Uploads

    def client(self) -> Client:
        """Return a new client, for one thread."""
        return Client(self.profile)


def connect(config: Config, profile_name: str) -> Backend:
    """Return the backend of a profile, starting the embedded service for a local one; raises ConfigurationError."""
    profile = config.profile(profile_name)
    own_address = ""
    if profile.is_local:
        server = embedded_service(config)
        profile, own_address = server.filled_in(profile), server.base_url
    policy = replace(profile.policy, own_address=own_address)
    return Backend(profile, policy, open_journal(config), open_results(config), Uploads(config))


def open_journal(config: Config) -> Journal:
    """Return the journal of the state folder."""
    from .journal import Journal  # sqlite3 is imported when it is needed

    return Journal(config.home)


def open_results(config: Config) -> ResultStore:
    """Return the results store of the state folder."""
    from .results import ResultStore

    return ResultStore(config.home, config.max_results_bytes)


def open_host(config: Config, name: str, profile: Profile) -> OpenHost:
    """Return an image host, ready for use; raises ConfigurationError saying what to set."""
    wanted = host_name(config, name, profile)
    return OpenHost(open_named(config, wanted, profile.public_url), settings_of(config, wanted))


def host_name(config: Config, name: str, profile: Profile) -> str:
    """Return the name of an image host; "auto" is the one that the profile needs. Raises ConfigurationError."""
    if name not in ("", AUTO):
        return name
    if profile.is_local:
        return LOCAL
    if not profile.host:
        raise ConfigurationError(_host_help(config, profile, "no image host is set"))
    if profile.host == LOCAL and not profile.public_url:
        problem = f"{LOCAL!r} serves pictures on this machine only, where its service cannot fetch them"
        raise ConfigurationError(_host_help(config, profile, problem))
    return profile.host


def _host_help(config: Config, profile: Profile, problem: str) -> str:
    return (
        f"Image to URL, for profile {profile.name!r}: {problem}. This machine has: {', '.join(config.hosts)}. Set "
        f"CARTOONIZE_HOST, or default_host in {config.home / CONFIG_FILE}, to one that the service can reach; for "
        f"{LOCAL!r} and {COMFYUI!r} also CARTOONIZE_PUBLIC_URL, the address of this machine from outside. Or connect "
        "links of your own to Submit Cartoonize. Nothing was sent."
    )
