"""A request to an HTTP upload host and its reply: keys, repetition, and what a refusal means."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.auth import HTTPBasicAuth

from ..addresses import Policy, check_url
from ..bodies import read_reply
from ..connections import CONNECT_TIMEOUT_S, Guard, PlainSession
from ..contract import printable
from ..errors import ConfigurationError, InputError, UnreachableError
from ..http_errors import PASSING, cause_of, nothing_was_sent
from ..patience import patiently
from ..redaction import SHORTEST_KEY, any_spelling, learn, learn_address, redact
from ..secret import HiddenTable, key_pair
from ..threads import within
from .http_settings import HttpSettings
from .template import Reply

REQUEST_S = 600.0
RETRY_WAITS_S = (0.5, 1.0, 2.0)
_READ_TIMEOUT_S = 60.0
_MAX_REPLY_BYTES = 1_000_000
_SHORTEST_KEY = 6
_MOST_QUOTED = 20_000  # bytes: what is shown is cut from it after the keys are gone
_REFUSALS: Mapping[int, str] = {
    401: "does not accept the credentials",
    403: "does not let these credentials do this",
    404: "has nothing at this address",
    405: "does not take this method here",
    413: "does not take files of this size",
}


class Exchange:
    """Requests to one host, with its keys; urllib3's own repetition would write whole addresses into the log."""

    def __init__(self, settings: HttpSettings, policy: Policy, sleep: Callable[[float], None] = time.sleep) -> None:
        self._settings = settings
        self._policy = policy
        self._sleep = sleep
        for secret in self._secrets():
            if re.search("[0-9]", secret):  # else it may be an ordinary word, such as the name of a folder
                learn(secret)
        for address in (settings.url, settings.link, settings.delete_url):
            learn_address(address)
        self._who = f"The image host {settings.name!r}"

    def reply(self, method: str, url: str, *, gone_is_fine: bool = False, **content: Any) -> Reply:
        """Return the reply to an accepted request; raises ConfigurationError or UnreachableError.

        Repeated where that cannot make a second copy: a POST only if nothing of it was sent. Redirects are not
        followed, so that no key leaves the host.
        """
        end = time.monotonic() + REQUEST_S
        return patiently(
            lambda: self._reply(method, url, content, left_s=end - time.monotonic(), gone_is_fine=gone_is_fine),
            RETRY_WAITS_S,
            self._sleep,
            lambda error, wait_s: (method != "POST" or error.is_refusal) and time.monotonic() + wait_s <= end,
        )

    def _reply(self, method: str, url: str, content: Mapping[str, Any], *, left_s: float, gone_is_fine: bool) -> Reply:
        guard = Guard(self._policy)
        try:
            check_url(url, self._policy)
            status, reply = within(left_s, lambda: self._sent(guard, method, url, content), "upload")
        except TimeoutError as error:
            guard.cut()
            msg = f"{self._who} is too slow: {error}."
            raise UnreachableError(msg) from None
        except UnreachableError as error:
            error.amend(f"{self._who}: ", "")
            raise
        except InputError as error:
            raise ConfigurationError(f"{self._who}: {error}") from None  # noqa: EM102  # it is a sentence already
        except requests.RequestException as error:
            msg = f"{self._who} cannot be reached: {cause_of(error)}."
            raise UnreachableError(msg, is_refusal=nothing_was_sent(error)) from None
        # 302 and 303 point at what was made; the others say that the host has moved, and took nothing
        is_answer = 200 <= status < 300 or (status in (302, 303) and "{header:location}" in self._settings.link.lower())
        if is_answer or (gone_is_fine and status in (404, 410)):
            return reply
        words = _REFUSALS.get(status, "has moved" if 300 <= status < 400 else "refuses this")
        words = "is in trouble" if status in PASSING else words
        parts = urlsplit(url)  # its path may hold a key
        where = f"HTTP {status}, {method} {parts.scheme}://{parts.netloc}/…"
        msg = f"{self._who} {words} ({where}). It says: {self.quoted(reply)}"
        raise (UnreachableError if status in PASSING else ConfigurationError)(msg)

    def _sent(self, guard: Guard, method: str, url: str, content: Mapping[str, Any]) -> tuple[int, Reply]:
        settings = self._settings
        # a reply may name another address, which gets no keys; one that the operator wrote down gets them
        is_own = _origin(url) in (_origin(settings.url), _origin(settings.delete_url))
        headers = HiddenTable({**(settings.headers if is_own else {}), **content.get("headers", {})})
        with PlainSession(guard) as session:
            session.route(url, self._policy)
            if is_own and settings.user:
                # UTF-8: RFC 7617
                session.auth = HTTPBasicAuth(settings.user.encode(), settings.password.reveal().encode())
            with session.request(
                method,
                url,
                **{**content, "headers": headers},
                stream=True,
                allow_redirects=False,
                timeout=(CONNECT_TIMEOUT_S, _READ_TIMEOUT_S),
            ) as response:
                names = {name.lower(): value for name, value in response.headers.items()}
                return response.status_code, Reply(self._body(response), names)

    def _body(self, response: requests.Response) -> bytes:
        try:
            return read_reply(response, _MAX_REPLY_BYTES)
        except InputError:
            msg = f"{self._who} did not reply with a link but with more than {_MAX_REPLY_BYTES} bytes. Check url."
            raise ConfigurationError(msg) from None

    def has_key(self, text: str) -> bool:
        """Whether a text holds one of the keys of the description, so that it must not go anywhere else."""
        return any(re.search(any_spelling(key), text) for key in self._secrets() if len(key) >= SHORTEST_KEY)

    def quoted(self, reply: Reply) -> str:
        """Return the beginning of a reply for an error text; a host may well repeat the key it was sent."""
        text = printable(reply.body[:_MOST_QUOTED].decode("utf-8", "replace"))
        for secret in sorted(self._secrets(), key=len, reverse=True):
            text = re.sub(any_spelling(secret), "…", text)
        return repr(redact(text)[:200])

    def _secrets(self) -> set[str]:
        """Return what of the description may be a key."""
        settings = self._settings
        tables = (settings.headers, settings.fields, settings.delete_fields)
        values = [value for table in tables for value in table.values() if "{" not in value]
        values += [settings.password.reveal(), *(value for _, value in parse_qsl(urlsplit(settings.url).query))]
        if settings.user:
            values.append(key_pair(settings.user, settings.password))
        return {part for value in values for part in (value, *value.split()) if len(part) >= _SHORTEST_KEY}


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
