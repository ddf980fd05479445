"""The [hosts.NAME] tables of `config.toml`, checked key by key and turned into settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import get_type_hints

from ..errors import ConfigurationError
from ..secret import HiddenTable, Secret
from .http_settings import HttpSettings
from .settings import (
    COMFYUI,
    LOCAL,
    AzureSettings,
    ComfyUISettings,
    GcsSettings,
    HostSettings,
    LocalSettings,
    S3Settings,
)

KINDS: Mapping[str, type[HostSettings]] = {
    cls.kind: cls for cls in (LocalSettings, ComfyUISettings, S3Settings, GcsSettings, AzureSettings, HttpSettings)
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,63}")


def built_in() -> dict[str, HostSettings]:
    """Return the hosts that need no configuration."""
    return {LOCAL: LocalSettings(LOCAL), COMFYUI: ComfyUISettings(COMFYUI)}


def read_hosts(tables: object, where: str) -> dict[str, HostSettings]:
    """Return the hosts of the file by name; raises ConfigurationError naming the table and the key.

    Whether a host can be used is not looked at: an unfinished one must not stop the others.
    """
    if not isinstance(tables, dict):
        msg = f"{where}: [hosts] must be a table of tables."
        raise ConfigurationError(msg)
    return {name: _read_host(name, table, f"{where}: [hosts.{name}]") for name, table in tables.items()}


def _read_host(name: str, table: object, where: str) -> HostSettings:
    if not isinstance(table, dict) or not _NAME.fullmatch(name) or name == "auto":
        msg = f"{where} must be a table, with a name of letters, digits, blanks, '.', '-' and '_' that is not 'auto'."
        raise ConfigurationError(msg)
    built_in_kind = name if name in (LOCAL, COMFYUI) else None
    kind = table.get("kind", built_in_kind)
    allowed = [built_in_kind] if built_in_kind else [k for k in KINDS if k != LOCAL]
    if kind not in allowed:
        msg = f"{where} kind is {kind!r}; known are: {', '.join(allowed)}."
        raise ConfigurationError(msg)
    cls = KINDS[kind]
    values = HiddenTable({key: _checked(key, table, _hints(kind), where) for key in table if key != "kind"})
    return cls(name, **values)


@cache
def _hints(kind: str) -> Mapping[str, object]:
    """Return the types of a kind's keys; once, because the file is read at every look at a node."""
    cls = KINDS[kind]
    hints = get_type_hints(cls)
    return {f.name: hints[f.name] for f in fields(cls) if f.name != "name"}


def _checked(key: str, table: Mapping[str, object], hints: Mapping[str, object], where: str) -> object:
    if key not in hints:
        msg = f"{where} has the unknown key {key!r}; known are: kind, {', '.join(hints)}."
        raise ConfigurationError(msg)
    hint = hints[key]
    found = _as(hint, table[key])
    if found is not None:
        return found
    names: Mapping[object, str] = {Secret: "a string", str: "a string", float: "a number", bool: "true or false"}
    expected = "true or false" if hint == bool | None else names.get(hint, "a table of strings")
    msg = f"{where} {key} must be {expected}."
    raise ConfigurationError(msg)


def _as(hint: object, value: object) -> object:
    """Return a value of the file as a field takes it, None if it cannot be one."""
    if hint is Secret and isinstance(value, str):
        return Secret(value)
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool) and -1e9 < value < 1e9:
        return float(value)
    if (hint is str and isinstance(value, str)) or (hint in (bool, bool | None) and isinstance(value, bool)):
        return value
    is_table = hint == Mapping[str, str] and isinstance(value, dict)
    return value if is_table and all(isinstance(v, str) for v in value.values()) else None  # type: ignore[attr-defined]
