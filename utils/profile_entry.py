"""A profile as somebody enters it, in ComfyUI's settings or in a terminal: checked whole, then kept or refused.

The redactor learns the keys before anything else is looked at, and no error repeats what was entered.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from . import added_profiles, config
from .config import AUTO
from .contract import shown
from .errors import InputError, TakenError, UnknownProfileError
from .home import ADDED_FILE, CONFIG_FILE, home_of
from .redaction import key_in, learn_address
from .secret import HiddenTable, Secret

FIELDS = ("create_url", "result_url", "app_key", "app_secret", "host")  # the last may be left out
MAX_BYTES = 16_384  # of an entry as JSON
_LONGEST = 2_000  # characters of one field
_KEY_LIKE = re.compile(r"(?=.*[0-9])[A-Za-z0-9]{16,}")  # words of such a length have something between them


def parsed(body: bytes) -> HiddenTable:
    """Return the fields of an entry in JSON; raises InputError when it is something else."""
    found = _decoded(body) if len(body) <= MAX_BYTES else None
    del body  # an error shows variables to some tools
    if found is None:
        msg = f"An entry is a JSON object of at most {MAX_BYTES} bytes with {', '.join(FIELDS)}. Nothing was saved."
        raise InputError(msg)
    return found


def add(home: Path, name: str, fields: HiddenTable, env: Mapping[str, str] | None = None) -> None:
    """Keep a profile, in place of the whole of one that was added before.

    Raises TakenError, InputError for what is wrong with name or fields, and ConfigurationError when a file of the
    configuration is broken or cannot be written; nothing is changed then.
    """
    env = os.environ if env is None else env
    _learn(fields)
    check_name(name, fields)
    if problem := _field_problem(fields):
        msg = f"{problem} Nothing was saved."
        raise InputError(msg)
    settings = config.load(home, env)
    check_free(settings, name)
    table = HiddenTable({key: fields[key].strip() for key in FIELDS if fields.get(key, "").strip() not in ("", AUTO)})
    if problem := config.problem_of(config.profile_of(name, table, env)):
        msg = f"The profile {name!r} is not complete: {problem}. Nothing was saved."
        raise InputError(msg)
    if "host" in table and table["host"] not in settings.hosts:
        msg = f"There is no such image host on this machine; it has: {', '.join(settings.hosts)}. Nothing was saved."
        raise InputError(msg)
    added_profiles.put(settings.home, name, table)


def remove(home: Path, name: str, env: Mapping[str, str] | None = None) -> None:
    """Remove a profile that was added; raises TakenError, UnknownProfileError or ConfigurationError."""
    home = home_of(home, os.environ if env is None else env)
    if added_profiles.remove(home, name):
        return
    if added_profiles.NAME.fullmatch(name):
        check_free(config.load(home, env), name)
    msg = f"No profile {shown(name)!r} was added on this machine ({home / ADDED_FILE}). Nothing was changed."
    raise UnknownProfileError(msg)


def check_name(name: str, fields: Mapping[str, object] | None = None) -> None:
    """Raise InputError for what cannot be a name, in words that do not repeat it: it may be a key out of its place."""
    problem = ""
    if not added_profiles.NAME.fullmatch(name):
        problem = "A profile's name has 1 to 64 letters, digits, '-' and '_', and does not begin with '-'."
    elif key_in(name) or _KEY_LIKE.fullmatch(name) or (fields and name == str(fields.get("app_secret", "")).strip()):
        problem = "The name holds what looks like a key. Workflows and pictures are saved with it: choose a word."
    if problem:
        msg = f"{problem} Nothing was saved."
        raise InputError(msg)


def check_free(settings: config.Config, name: str) -> None:
    """Raise TakenError, saying who describes it, unless a name is free, or that of a profile that was added."""
    words = ""
    if config.is_taken(name):
        words = "is given by the pack itself"
    elif name in settings.profiles and name not in settings.added:
        words = f"is described under [profiles.{name}] in {settings.home / CONFIG_FILE}, where it can be changed"
    if words:
        msg = f"The profile {name!r} {words}. Nothing was changed here."
        raise TakenError(msg)


def _decoded(body: bytes) -> HiddenTable | None:
    try:
        found = HiddenTable.of(json.loads(body))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, HiddenTable) else None


def _learn(fields: HiddenTable) -> None:
    for key in ("app_key", "app_secret"):
        if isinstance(fields.get(key), str):
            Secret(fields[key].strip(), is_name=key == "app_key")
    for key in ("create_url", "result_url"):
        if isinstance(fields.get(key), str):
            learn_address(fields[key].strip())


def _field_problem(fields: HiddenTable) -> str:
    """Return what is wrong with the fields, in words that repeat none of them."""
    if any(key not in FIELDS for key in fields):
        return f"There is a field that is not known; known are: {', '.join(FIELDS)}."
    for key in fields:
        if not isinstance(fields[key], str):
            return f"{key} must be a text."
        if len(fields[key]) > _LONGEST:
            return f"{key} has more than {_LONGEST} characters."
        blanks = key not in ("app_key", "app_secret")
        if not fields[key].strip().isprintable() or (blanks and re.search(r"\s", fields[key].strip())):
            return f"{key} has a blank, a line break or another character that cannot be in it."
    return ""
