"""Keys that somebody has pasted into a widget: found before a workflow, a picture or an error shows them."""

from __future__ import annotations

from urllib.parse import urlsplit

from .errors import InputError
from .links import names_of
from .redaction import KEY_SIGN, KNOWN, key_in

_EXPLANATION = (
    "Workflows and pictures are saved with all their texts, so a key never belongs there: set it in the environment, "
    "in config.toml or in ComfyUI's settings, and choose its profile here. If this workflow was saved or shared with "
    "it, have the key renewed. Nothing was sent."
)


def problem(name: str, text: object) -> str:
    """Return why a text of a workflow is not taken, in words that do not repeat it; empty if it holds no key."""
    for line in text.splitlines() if isinstance(text, str) else ():
        if found := _found(line.strip()):
            return f"{name} holds what looks like {found}. {_EXPLANATION}"
    return ""


def check(**texts: object) -> None:
    """Raise InputError naming the text that holds a key."""
    for name, text in texts.items():
        if words := problem(name, text):
            raise InputError(words)


def _found(line: str) -> str:
    if KEY_SIGN in line:
        return "a key, which was taken out of the graph"
    if not line.lower().startswith(("http://", "https://")):
        return key_in(line)
    # A link is signed with ids and tokens that end with it; only what is secret without an end is looked for.
    try:
        userinfo = urlsplit(line).password
    except ValueError:
        userinfo = None
    if userinfo:
        return "a password in an address"
    found = key_in(names_of(line)[-1])
    return found if found == KNOWN else ""
