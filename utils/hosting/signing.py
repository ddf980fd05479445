"""Links that end and cannot be guessed: an HMAC over the picture's name and its expiry (RFC 2104, SHA-256)."""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from pathlib import Path

from .. import locks
from ..errors import ConfigurationError, DeadlineError
from ..home import ensure_home
from ..private_files import write_whole

KEY_FILE = "links.key"
_KEY_BYTES = 32
_LOCKS = "locks"


class Verdict(enum.Enum):
    """What a link is worth."""

    GOOD = "good"
    WRONG = "wrong"
    EXPIRED = "expired"


def signature(key: bytes, name: str, expires: str) -> str:
    """Return the signature of a picture's link."""
    digest = hmac.new(key, f"{name}\n{expires}".encode("utf-8", "replace"), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def verdict(key: bytes, name: str, query: Mapping[str, str], now_s: float) -> Verdict:
    """Return what the link of a name with this query is worth, in a time that does not tell how wrong it is."""
    expires, given = query.get("expires", ""), query.get("signature", "")
    if not hmac.compare_digest(given.encode("utf-8", "replace"), signature(key, name, expires).encode()):
        return Verdict.WRONG
    return Verdict.GOOD if now_s < int(expires) else Verdict.EXPIRED


def read_key(home: Path) -> bytes | None:
    """Return the key of this state folder, None if no link was ever signed here."""
    try:
        key = (home / KEY_FILE).read_bytes()
    except OSError:
        return None
    return key if len(key) == _KEY_BYTES else None


def ensure_key(home: Path) -> bytes:
    """Return the key of this state folder, made at the first use; raises ConfigurationError when that is not possible.

    Two processes that make one at the same time get the same.
    """
    if key := read_key(home):
        return key
    digest = hashlib.sha256(KEY_FILE.encode()).hexdigest()
    try:
        with locks.held(ensure_home(home) / _LOCKS, digest, timeout_s=10, sleep=time.sleep):
            if key := read_key(home):
                return key
            key = secrets.token_bytes(_KEY_BYTES)
            write_whole(home / KEY_FILE, key)
    except (OSError, DeadlineError) as error:
        msg = f"{home / KEY_FILE} cannot be written: {error} Nothing was sent."
        raise ConfigurationError(msg) from error
    return key
