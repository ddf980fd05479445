"""The API over HTTP: create_task and get_task."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from types import TracebackType
from urllib.parse import quote

import requests
from requests.auth import HTTPBasicAuth
from urllib3.util.retry import Retry

from . import contract
from .bodies import read_reply
from .config import Profile
from .connections import CONNECT_TIMEOUT_S, PlainSession
from .errors import CartoonizeError, ContractError, InputError, OutcomeUnknownError, ServiceError, UnreachableError
from .http_errors import NOT_ACCEPTED, NOT_CHARGED, cause_of, error_of, nothing_was_sent, service_of
from .redaction import KEY_SIGN, SHORTEST_KEY, any_spelling, learn, learn_address
from .secret import Secret, key_pair
from .threads import within

TOTAL_S = 60.0  # for one call, from the first byte sent to the last received
LATE_S = 240.0  # for which a thread still listens for the answer to a submission that nobody waits for any more
MAX_REPLY_BYTES = 1_000_000  # 20 results with the longest links take a fifth of it
QUICK_WAIT_S = 0.3
QUICK_RETRIES = 2  # for a blip; longer trouble is the business of tasks.watch, which hears Cancel


class Client:
    """One service as one profile sees it; not shared between threads. Close it, or use it in a `with`."""

    def __init__(self, profile: Profile, total_s: float = TOTAL_S) -> None:
        self._profile = profile
        self._total_s = total_s
        self._auth = HTTPBasicAuth(
            profile.app_key.reveal().encode("utf-8", "surrogateescape"),  # bytes keep non-latin keys whole
            profile.app_secret.reveal().encode("utf-8", "surrogateescape"),
        )
        for address in (profile.create_url, profile.result_url):
            learn_address(address)
        self._echoes = _echoes(profile.app_key.reveal(), profile.app_secret)
        self._session = self._new_session(_QuickRetry())

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def create_task(
        self, links: Sequence[str], priority: int, on_late: Callable[[str], None] = lambda task_id: None
    ) -> str:
        """Submit the links once and return the task id.

        Raises InputError before anything is sent, ServiceError or UnreachableError when nothing was accepted, and
        OutcomeUnknownError when the service may have accepted it. Never repeats a request. When the time is over but
        the answer arrives all the same, `on_late` gets the task id, in another thread.
        """
        body = self.checked(links, priority)

        def late(reply: Future[bytes]) -> None:
            if reply.exception() is None:
                with suppress(ServiceError):
                    on_late(contract.parse_created(reply.result()))

        reply = self._post_once(json.dumps(body).encode(), late)
        try:
            return contract.parse_created(reply)
        except ContractError as error:
            raise OutcomeUnknownError(self._unknown(str(error))) from error
        except ServiceError as error:
            error.amend("", f".{NOT_CHARGED}")
            raise

    def checked(self, links: Sequence[str], priority: int) -> dict[str, object]:
        """Return the body of a submission; raises InputError, saying that nothing was sent."""
        with_priority = self._profile.send_priority
        try:
            return contract.build_request(links, priority, self._profile.limits, with_priority=with_priority)
        except InputError as error:
            error.amend("", " Nothing was sent.")
            raise

    def get_task(self, task_id: str, left_s: float = math.inf) -> contract.Task:
        """Return the state of a task, within the seconds that are left (but at least one).

        Raises UnreachableError for trouble that may pass, else ServiceError.
        """
        url = self._profile.result_url.replace("{task_id}", quote(contract.check_task_id(task_id), safe=""))
        try:
            reply = self._exchange(self._session, "GET", url, None, min(self._total_s, max(1.0, left_s)))
        except requests.RequestException as error:
            msg = f"{self._who} cannot be reached ({cause_of(error)})."
            raise UnreachableError(msg) from None  # the library's frames hold the request, and so the key
        return contract.parse_task(reply, task_id)

    def _post_once(self, body: bytes, late: Callable[[Future[bytes]], None]) -> bytes:
        # A fresh connection: on a kept one, a POST that the server never saw looks like one whose answer was lost.
        with self._new_session(Retry(0, redirect=False)) as session:
            try:
                return self._exchange(session, "POST", self._profile.create_url, body, self._total_s, late)
            except requests.RequestException as error:
                if nothing_was_sent(error):
                    msg = f"{self._who} cannot be reached ({cause_of(error)}). Nothing was sent, nothing was charged."
                    raise UnreachableError(msg) from None
                raise OutcomeUnknownError(self._unknown(cause_of(error))) from None
            except ServiceError as error:
                if error.is_refusal:
                    raise
                raise OutcomeUnknownError(self._unknown(str(error)), http_status=error.http_status) from error

    def _exchange(
        self,
        session: requests.Session,
        method: str,
        url: str,
        body: bytes | None,
        total_s: float,
        late: Callable[[Future[bytes]], None] | None = None,
    ) -> bytes:
        silence_s = self._total_s + (LATE_S if late else 0.0)
        try:
            work = partial(self._exchange_unbounded, session, method, url, body, silence_s)
            return within(total_s, work, "request", late)
        except TimeoutError as error:
            msg = f"{self._who} did not answer: {error}."
            raise UnreachableError(msg) from None

    def _exchange_unbounded(
        self, session: requests.Session, method: str, url: str, body: bytes | None, silence_s: float
    ) -> bytes:
        with session.request(
            method,
            url,
            data=body,
            headers={"Content-Type": "application/json", "Accept-Encoding": "identity"},
            auth=self._auth,
            timeout=(CONNECT_TIMEOUT_S, silence_s),
            allow_redirects=False,  # the key goes to this address only
            stream=True,
        ) as response:
            try:
                reply = self._without_keys(read_reply(response, MAX_REPLY_BYTES))
            except CartoonizeError as error:
                if response.status_code not in NOT_ACCEPTED:  # else the status says enough
                    raise UnreachableError(str(error), http_status=response.status_code) from None
                reply = b""
            if not 200 <= response.status_code < 300:
                raise error_of(response, reply, method, self._profile.name)
            return reply

    def _without_keys(self, reply: bytes) -> bytes:
        """Return a reply without the key pair, which some services echo: it would reach errors and the journal."""
        for pattern in self._echoes:
            reply = pattern.sub(KEY_SIGN.encode(), reply)
        return reply

    def _unknown(self, why: str) -> str:
        return (
            f"The submission may have been sent, but no usable answer came back: {why} It may have been accepted and "
            "charged; it is not repeated by itself."
        )

    @property
    def _who(self) -> str:
        return service_of(self._profile.name)

    def _new_session(self, retry: Retry) -> requests.Session:
        session = PlainSession(retry=retry)
        session.trust_env = not self._profile.is_local  # no proxy for loopback
        return session


def _echoes(key: str, secret: Secret) -> list[re.Pattern[bytes]]:
    """Return what of a key pair may be in a reply, in all spellings, the longer first: one may begin with another."""
    pair = key_pair(key, secret)
    learn(pair)
    texts = [text for text in (pair, key, secret.reveal()) if len(text) >= SHORTEST_KEY]
    return [
        re.compile(any_spelling(text).encode("utf-8", "surrogateescape"))
        for text in sorted(texts, key=len, reverse=True)
    ]


class _QuickRetry(Retry):
    """Repeats a GET after 429, 502, 503, 504 or a broken connection, twice, with jitter and short waits only."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        defaults: dict[str, object] = {
            "total": QUICK_RETRIES,
            "redirect": False,
            "allowed_methods": frozenset({"GET"}),
            "status_forcelist": (429, 502, 503, 504),
            "raise_on_status": False,  # the last answer is returned, for its sentence
        }
        super().__init__(*args, **(defaults | kwargs))  # type: ignore[arg-type]

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        # How long the service wants to be left alone is for tasks.watch to hear: its waits can be cancelled.
        return not has_retry_after and super().is_retry(method, status_code, has_retry_after)

    def get_backoff_time(self) -> float:
        return QUICK_WAIT_S * random.uniform(0.5, 1.5)
