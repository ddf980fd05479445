"""Profiles and secrets; everything is read when a node runs, never at import.

A profile is an algorithm of a service: a pair of addresses, limits and credentials. A workflow names a profile and
never holds an address or a key. Sources, later ones win: built-in profiles, `profiles.json` and `config.toml` in the
state folder, the environment (profile `env`).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import added_profiles
from .addresses import Policy
from .config_file import ProfileTable, read
from .contract import Limits, shown
from .errors import ConfigurationError
from .home import ADDED_FILE, CONFIG_FILE, home_of
from .hosting.settings import HostSettings, url_problem
from .hosting.tables import built_in
from .secret import HiddenTable, Secret

AUTO = "auto"
ENV = "env"
STYLES = ("anime", "manga")  # of the embedded service
LOCAL_STYLES = {"local": "anime", "local-anime": "anime", "local-manga": "manga"}
DEFAULT_MAX_IMAGES = 100  # in one submission to a service that costs money: a wrong wire must not buy a thousand
DEFAULT_RESULTS_BYTES = 2 * 1024**3
_KEYS = ("create_url", "result_url", "app_key", "app_secret")
VARIABLES = ("CARTOONIZE_CREATE_URL", "CARTOONIZE_RESULT_URL", "CARTOONIZE_APP_KEY", "CARTOONIZE_APP_SECRET")


@dataclass(frozen=True)
class Profile:
    """One algorithm of one service; `result_url` holds `{task_id}`, `style` is set for the embedded service only."""

    name: str
    create_url: str = field(default="", repr=False)  # some services have keys in their addresses
    result_url: str = field(default="", repr=False)
    app_key: Secret = field(default_factory=lambda: Secret(""))
    app_secret: Secret = field(default_factory=lambda: Secret(""))
    host: str = ""
    public_url: str = ""
    proxy: str = field(
        default="", repr=False
    )  # for what is fetched from outside; the service itself is asked as the environment says
    allow_http: bool = False
    allow_hosts: tuple[str, ...] = ()
    send_priority: bool = True
    limits: Limits = field(default_factory=Limits)
    max_images: int = DEFAULT_MAX_IMAGES
    check_links: bool = True  # before anything is paid
    expected_wait_s: float = 600.0  # for which links must still work then
    style: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether the embedded service does the work, which costs nothing."""
        return self.style is not None

    @property
    def policy(self) -> Policy:
        """Which addresses may be fetched on behalf of the profile."""
        return Policy(self.allow_http, self.allow_hosts, proxy=self.proxy)

    @property
    def create_address(self) -> str:
        """What stands for the algorithm in the journal; the embedded service's port changes, its styles do not."""
        return f"local/{self.style}" if self.is_local else self.create_url

    @property
    def task_address(self) -> str:
        """What stands for the service that knows a task; a digest, because addresses may hold secrets."""
        return "local" if self.is_local else hashlib.sha256(self.result_url.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Config:
    """Everything configured on this machine: the state folder, the profiles by name, and what "auto" means.

    `added` are the profiles that no file of the operator describes: those of ComfyUI's settings and the command line.
    """

    home: Path
    profiles: Mapping[str, Profile]
    default: str
    hosts: Mapping[str, HostSettings] = field(default_factory=built_in)
    max_results_bytes: int = DEFAULT_RESULTS_BYTES
    added: frozenset[str] = frozenset()

    def profile(self, name: str) -> Profile:
        """Return a profile ready for use; raises ConfigurationError saying exactly what to set and where."""
        profile = self.described(name)
        if problem := problem_of(profile):
            msg = (
                f"The profile {profile.name!r} is not ready: {problem}. Set it {self.place_of(profile.name)}; your "
                "service's console shows the addresses and the key pair. The profile 'local' works without an account."
            )
            raise ConfigurationError(msg)
        return profile

    def place_of(self, name: str) -> str:
        """Return where a profile is described, in words that follow "set it"."""
        if name == ENV:
            return "in the environment of ComfyUI"
        if name in self.added:
            return f"in ComfyUI's settings, or with 'portrait-cartoonize profiles add {name}'"
        return f"under [profiles.{name}] in {self.home / CONFIG_FILE}"

    def described(self, name: str) -> Profile:
        """Return a profile as it is described, finished or not; raises ConfigurationError for an unknown name."""
        wanted = self.default if name in ("", AUTO) else name
        # "env" without its variables is an unfinished profile, which says what to set, and not an unknown name
        profile = self.profiles.get(wanted, Profile(ENV) if wanted == ENV else None)
        if profile is None:
            msg = (
                f"There is no profile {shown(wanted)!r} on this machine; it has: {', '.join(self.profiles)}. "
                f"Choose one of these, or describe it as [profiles.{shown(wanted)}] in {self.home / CONFIG_FILE}."
            )
            raise ConfigurationError(msg)
        return profile


def load(home: Path | None = None, env: Mapping[str, str] | None = None) -> Config:
    """Read the configuration of this moment; `home` is the state folder unless CARTOONIZE_HOME says otherwise.

    Raises ConfigurationError naming the file and the key for a broken `config.toml` or `profiles.json`.
    """
    env = os.environ if env is None else env
    home = home_of(home, env)
    file, added = read(home / CONFIG_FILE), added_profiles.read(home)
    for path, names in ((file.path, file.profiles), (home / ADDED_FILE, added)):
        if taken := [name for name in names if is_taken(name)]:
            msg = f"{path}: the profile name {taken[0]!r} is taken by the pack; choose another one."
            raise ConfigurationError(msg)
    most = file.max_images or DEFAULT_MAX_IMAGES
    own = {name: values for name, values in added.items() if name not in file.profiles}
    tables = HiddenTable({**file.profiles, **own})
    profiles = _built_in_profiles()
    profiles |= {name: _from_table(name, {"max_images": most, **tables[name]}) for name in tables}
    default = file.default_profile or "local"
    if env.get("CARTOONIZE_CREATE_URL") or env.get("CARTOONIZE_RESULT_URL"):
        profiles[ENV], default = replace(_from_env(env), max_images=most), ENV
    host = env.get("CARTOONIZE_HOST") or file.default_host or ""
    profiles = {name: _with_defaults(profile, env, host) for name, profile in profiles.items()}
    hosts = {name: settings.with_environment(env) for name, settings in {**built_in(), **file.hosts}.items()}
    kept = file.max_results_bytes or DEFAULT_RESULTS_BYTES
    return Config(home, profiles, default, hosts, kept, frozenset(own))


def without_files(home: Path) -> Config:
    """Return what the pack has by itself, for what must be shown although a file is broken."""
    return Config(home, _built_in_profiles(), "local")


def is_taken(name: str) -> bool:
    """Whether the pack itself gives a name its meaning."""
    return name in LOCAL_STYLES or name in (AUTO, ENV)


def profile_of(name: str, table: ProfileTable, env: Mapping[str, str]) -> Profile:
    """Return the profile that a table describes, as the environment completes it."""
    return _with_defaults(_from_table(name, table), env, "")


def problem_of(profile: Profile) -> str:
    """Return what keeps a profile from being used, in words that name what to set; empty if nothing does."""
    if profile.is_local:
        return ""
    names = VARIABLES if profile.name == ENV else _KEYS
    values = (profile.create_url, profile.result_url, profile.app_key, profile.app_secret)
    missing = [name for name, value in zip(names, values, strict=True) if not value]
    problem = f"{', '.join(missing)} not set" if missing else ""
    for name, url in zip(names, (profile.create_url, profile.result_url), strict=False):
        problem = (url_problem(url, profile.allow_http, name) if url else "") or problem
    if profile.result_url and "{task_id}" not in profile.result_url:
        problem = f"{names[1]} must contain {{task_id}}"
    elif "{task_id}" in profile.result_url.partition("://")[2].partition("/")[0]:
        problem = f"{names[1]} must not have {{task_id}} in its host: the key would go wherever an id leads"
    return problem


def _built_in_profiles() -> dict[str, Profile]:
    return {name: Profile(name, style=style, allow_http=True) for name, style in LOCAL_STYLES.items()}


def _from_env(env: Mapping[str, str]) -> Profile:
    return Profile(
        ENV,
        create_url=env.get("CARTOONIZE_CREATE_URL", ""),
        result_url=env.get("CARTOONIZE_RESULT_URL", ""),
        app_key=Secret(env.get("CARTOONIZE_APP_KEY", ""), is_name=True),
        app_secret=Secret(env.get("CARTOONIZE_APP_SECRET", "")),
    )


def _from_table(name: str, values: ProfileTable) -> Profile:
    known = dict(values)
    known["app_key"] = Secret(str(known.get("app_key", "")), is_name=True)
    known["app_secret"] = Secret(str(known.get("app_secret", "")))
    return Profile(name, **known)  # type: ignore[arg-type]  # a file's reader has checked names and types


def _with_defaults(profile: Profile, env: Mapping[str, str], host: str) -> Profile:
    hosts = tuple(h.strip() for h in env.get("CARTOONIZE_ALLOW_HOSTS", "").split(",") if h.strip())
    return replace(
        profile,
        host=profile.host or host,
        public_url=profile.public_url or env.get("CARTOONIZE_PUBLIC_URL", ""),
        proxy=profile.proxy or env.get("CARTOONIZE_PROXY", ""),
        allow_http=profile.allow_http or env.get("CARTOONIZE_ALLOW_HTTP") == "1",
        allow_hosts=profile.allow_hosts + hosts,
        check_links=profile.check_links and env.get("CARTOONIZE_CHECK_LINKS") != "0",
    )
