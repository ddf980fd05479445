"""`config.toml`: read, checked key by key, and handed on; nothing here knows what a profile means."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

from .contract import Limits
from .errors import ConfigurationError
from .hosting.settings import HostSettings
from .hosting.tables import read_hosts
from .secret import HiddenTable

ProfileTable = Mapping[str, object]
_TYPES: Mapping[str, type] = {
    "create_url": str, "result_url": str, "app_key": str, "app_secret": str, "host": str, "public_url": str,
    "proxy": str, "allow_http": bool, "allow_hosts": list, "send_priority": bool, "limits": dict,
    "max_images": int, "check_links": bool, "expected_wait_s": int,
}  # fmt: skip
_KNOWN = ("default_profile", "default_host", "max_images", "max_results_bytes", "profiles", "hosts")


@dataclass(frozen=True)
class ConfigFile:
    """What the file says; the values of its profiles have the types of the profile's fields, keys are still plain."""

    path: Path
    profiles: Mapping[str, ProfileTable]
    default_profile: str | None
    hosts: Mapping[str, HostSettings]
    default_host: str | None
    max_images: int | None = None
    max_results_bytes: int | None = None


def read(path: Path) -> ConfigFile:
    """Return what the file says, nothing if there is none; raises ConfigurationError naming the file and the key."""
    table = _load(path)
    if unknown := set(table) - set(_KNOWN):
        msg = f"{path} has the unknown key {sorted(unknown)[0]!r}; known are: {', '.join(_KNOWN)}."
        raise ConfigurationError(msg)
    profiles = table.get("profiles", {})
    if not isinstance(profiles, dict):
        msg = f"{path}: [profiles] must be a table of tables."
        raise ConfigurationError(msg)
    profile, host = (_name(table, f"default_{kind}", f"{path}") for kind in ("profile", "host"))
    hosts = read_hosts(table.get("hosts", {}), str(path))
    checked = {name: checked_profile(values, f"{path}: [profiles.{name}]") for name, values in profiles.items()}
    most, kept = (_positive(table, key, str(path)) for key in ("max_images", "max_results_bytes"))
    return ConfigFile(path, checked, profile, hosts, host, most, kept)


def _name(table: Mapping[str, object], key: str, where: str) -> str | None:
    value = table.get(key)
    if value is None or isinstance(value, str):
        return value
    msg = f"{where}: {key} must be the name of a {key.removeprefix('default_')}, not {value!r}."
    raise ConfigurationError(msg)


def _positive(table: Mapping[str, object], key: str, where: str) -> int | None:
    value = table.get(key)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    msg = f"{where}: {key} must be a whole number above 0, not {value!r}."
    raise ConfigurationError(msg)


def checked_profile(values: object, where: str) -> ProfileTable:
    """Return a profile's table when each of its keys is known and has its type; raises ConfigurationError with both."""
    if not isinstance(values, dict):
        msg = f"{where} must be a table: write [profiles.NAME] above its keys."
        raise ConfigurationError(msg)
    for key in values:  # no variable holds a value: it may be a key, and an error shows variables to some tools
        if key not in _TYPES:
            msg = f"{where} has the unknown key {key!r}; known are: {', '.join(_TYPES)}."
            raise ConfigurationError(msg)
        if not isinstance(values[key], _TYPES[key]):
            msg = f"{where} {key} must be a {_TYPES[key].__name__}, not a {type(values[key]).__name__}."
            raise ConfigurationError(msg)
    for key in ("max_images", "expected_wait_s"):
        _positive(values, key, where)
    hosts = values.get("allow_hosts", [])
    if not all(isinstance(host, str) for host in hosts):
        msg = f"{where} allow_hosts must be a list of host names."
        raise ConfigurationError(msg)
    limits = _limits(values.get("limits", {}), where)
    return HiddenTable({**values, "allow_hosts": tuple(hosts), "limits": limits})


def _limits(values: Mapping[str, object], where: str) -> Limits:
    known = {f.name: f.default for f in fields(Limits) if not isinstance(f.default, tuple)}
    numbers: dict[str, float] = {}
    for key, value in values.items():
        if key not in known:
            msg = f"{where} limits has the unknown key {key!r}; known are: {', '.join(known)}."
            raise ConfigurationError(msg)
        kinds = (int, float) if isinstance(known[key], float) else (int,)
        if isinstance(value, bool) or not isinstance(value, kinds) or not 0 <= value < math.inf:
            msg = f"{where} limits {key} must be a number, not {value!r}."
            raise ConfigurationError(msg)
        numbers[key] = value
    limits = replace(Limits(), **numbers)  # type: ignore[arg-type]  # names and types were checked above
    if (
        limits.max_images < 1
        or limits.min_side > limits.max_side
        or limits.min_priority > limits.max_priority
        or limits.max_aspect < 1
    ):
        msg = f"{where} limits: nothing can be within them."
        raise ConfigurationError(msg)
    return limits


def _load(path: Path) -> Mapping[str, object]:
    try:
        path.stat()
    except FileNotFoundError:
        return {}
    except OSError as error:
        msg = f"{path} cannot be read: {error}."
        raise ConfigurationError(msg) from None
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        try:
            import tomli as tomllib
        except ImportError as error:
            msg = f"Python 3.10 reads {path} with the package tomli: pip install tomli."
            raise ConfigurationError(msg) from error
    # What goes wrong is told without its cause, and no variable holds the text: it is full of keys.
    try:
        return HiddenTable(HiddenTable.of(tomllib.loads(path.read_text(encoding="utf-8-sig"))))  # Windows: a mark first
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        msg = f"{path} is not valid TOML: {error}."
        raise ConfigurationError(msg) from None
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read: {error}."
        raise ConfigurationError(msg) from None
