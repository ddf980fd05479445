"""What this machine has, for the page and the terminal: profiles and image hosts, and what each still lacks.

Never a key, and never an address: some services have keys in theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .backend import host_name
from .config import AUTO, Config, Profile, load, problem_of, without_files
from .errors import ConfigurationError
from .home import CONFIG_FILE
from .hosting import hosts
from .release import version


@dataclass(frozen=True)
class ProfileRow:
    """A profile; `host` is the image host that "auto" means for it, `problem` what keeps it from being used."""

    name: str
    ready: bool
    problem: str
    kind: str  # "embedded" or "service"
    style: str
    host: str
    removable: bool


@dataclass(frozen=True)
class HostRow:
    """An image host; `auto` marks the one of the default profile, `public` one where strangers may look."""

    name: str
    kind: str
    ready: bool
    problem: str
    auto: bool
    public: bool


@dataclass(frozen=True)
class Overview:
    """Everything at once; `problem` is a broken file, in words, and `why_not` why no profile can be added here."""

    version: str
    config_file: str
    auto: str
    problem: str
    may_add: bool
    why_not: str
    profiles: tuple[ProfileRow, ...]
    hosts: tuple[HostRow, ...]


def current(home: Path, why_not: str = "") -> Overview:
    """Return the overview of this moment; where a file is broken it says so, and shows what the pack has by itself."""
    try:
        return overview(load(home), why_not)
    except ConfigurationError as error:
        return overview(without_files(home), why_not, problem=str(error))


def overview(config: Config, why_not: str = "", problem: str = "") -> Overview:
    """Return the overview of a configuration."""
    try:
        config.described(AUTO)
    except ConfigurationError as error:
        problem = problem or str(error)
    return Overview(
        version=version(),
        config_file=str(config.home / CONFIG_FILE),
        auto=config.default,
        problem=problem,
        may_add=not why_not,
        why_not=why_not,
        profiles=tuple(profile_rows(config, may_remove=not why_not)),
        hosts=tuple(host_rows(config)),
    )


def profile_rows(config: Config, *, may_remove: bool = True) -> list[ProfileRow]:
    """Return the profiles in the order in which the widget lists them."""
    rows = []
    for name, profile in config.profiles.items():
        problem, removable = problem_of(profile), may_remove and name in config.added
        kind, host = "embedded" if profile.is_local else "service", _auto_host(config, profile)
        rows.append(ProfileRow(name, not problem, problem, kind, profile.style or "", host, removable))
    return rows


def host_rows(config: Config) -> list[HostRow]:
    """Return the image hosts, ready or not."""
    default = config.profiles.get(config.default)
    auto = _auto_host(config, default) if default else ""
    public_url = default.public_url if default else ""
    rows = []
    for name, host in config.hosts.items():
        problem = hosts.problem_of(hosts.completed(host, public_url))
        rows.append(HostRow(name, host.kind, not problem, problem, name == auto, bool(host.public)))
    return rows


def _auto_host(config: Config, profile: Profile) -> str:
    try:
        return host_name(config, AUTO, profile)
    except ConfigurationError:
        return ""
