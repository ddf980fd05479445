"""The API over HTTP: create_task and get_task; the one place where HTTP becomes an error."""

from __future__ import annotations

import email.utils
import json
import random
import ssl
import time
from collections.abc import Sequence
from types import TracebackType
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util.retry import Retry

from . import contract
from .config import Profile
from .download import PlainSession, read_body
from .errors import CartoonizeError, ContractError, InputError, OutcomeUnknownError, ServiceError, UnreachableError
from .threads import within

CONNECT_TIMEOUT_S = 10.0
TOTAL_S = 60.0  # for one call, from the first byte sent to the last received
MAX_REPLY_BYTES = 4_000_000
QUICK_WAIT_S = 0.3
QUICK_RETRIES = 2  # for a blip; longer trouble is the business of tasks.watch, which hears Cancel
# After these a submission was certainly not accepted. After others it may have been: a 303 is how some services
# acknowledge a POST, a gateway's 502 or 503 may come after the request had reached the service.
NOT_ACCEPTED = (301, 307, 308, 400, 401, 402, 403, 404, 405, 406, 411, 413, 414, 415, 422, 429)
NOT_CHARGED = " Nothing was accepted, nothing was charged."
_HANDSHAKE_FAILURES = ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER", "UNSUPPORTED_PROTOCOL")


class Client:
    """One service as one profile sees it; not shared between threads. Close it, or use it in a `with`."""

    def __init__(self, profile: Profile, total_s: float = TOTAL_S) -> None:
        self._profile = profile
        self._total_s = total_s
        self._auth = HTTPBasicAuth(
            profile.app_key.reveal().encode(),  # bytes keep non-latin keys whole
            profile.app_secret.reveal().encode(),
        )
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

    def create_task(self, links: Sequence[str], priority: int) -> str:
        """Submit the links once and return the task id.

        Raises InputError before anything is sent, ServiceError or UnreachableError when nothing was accepted, and
        OutcomeUnknownError when the service may have accepted it. Never repeats a request.
        """
        with_priority = self._profile.send_priority
        try:
            body = contract.build_request(links, priority, self._profile.limits, with_priority=with_priority)
        except InputError as error:
            msg = f"{error} Nothing was sent."
            raise InputError(msg) from error
        reply = self._post_once(json.dumps(body).encode())
        try:
            return contract.parse_created(reply)
        except ContractError as error:
            raise OutcomeUnknownError(self._unknown(str(error))) from error
        except ServiceError as error:
            msg = f"{error}.{NOT_CHARGED}"
            raise ServiceError(msg, http_status=200, code=error.code) from error

    def get_task(self, task_id: str, total_s: float | None = None) -> contract.Task:
        """Return the state of a task; raises UnreachableError for trouble that may pass, else ServiceError."""
        url = self._profile.result_url.replace("{task_id}", quote(contract.check_task_id(task_id), safe=""))
        try:
            reply = self._exchange(self._session, "GET", url, None, total_s or self._total_s)
        except requests.RequestException as error:
            msg = f"{self._who} cannot be reached ({_cause(error)})."
            raise UnreachableError(msg) from error
        return contract.parse_task(reply, task_id)

    def _post_once(self, body: bytes) -> bytes:
        # A fresh connection: on a kept one, a POST that the server never saw looks like one whose answer was lost.
        with self._new_session(Retry(0, redirect=False)) as session:
            try:
                return self._exchange(session, "POST", self._profile.create_url, body, self._total_s)
            except requests.RequestException as error:
                if _nothing_was_sent(error):
                    msg = f"{self._who} cannot be reached ({_cause(error)}). Nothing was sent, nothing was charged."
                    raise UnreachableError(msg) from error
                raise OutcomeUnknownError(self._unknown(_cause(error))) from error
            except ServiceError as error:
                if error.is_refusal:
                    raise
                raise OutcomeUnknownError(self._unknown(str(error)), http_status=error.http_status) from error

    def _exchange(self, session: requests.Session, method: str, url: str, body: bytes | None, total_s: float) -> bytes:
        try:
            return within(total_s, lambda: self._exchange_unbounded(session, method, url, body), "request")
        except TimeoutError as error:
            msg = f"{self._who} did not answer: {error}."
            raise UnreachableError(msg) from None

    def _exchange_unbounded(self, session: requests.Session, method: str, url: str, body: bytes | None) -> bytes:
        with session.request(
            method,
            url,
            data=body,
            headers={"Content-Type": "application/json", "Accept-Encoding": "identity"},
            auth=self._auth,
            timeout=(CONNECT_TIMEOUT_S, self._total_s),
            allow_redirects=False,  # the key goes to this address only
            stream=True,
        ) as response:
            try:
                reply = read_body(response, MAX_REPLY_BYTES)
            except CartoonizeError as error:
                raise UnreachableError(str(error), http_status=response.status_code) from error
            if not 200 <= response.status_code < 300:
                raise self._http_error(method, response, reply)
            return reply

    def _http_error(self, method: str, response: requests.Response, reply: bytes) -> ServiceError:
        """Return the error that an HTTP status means, as a sentence that says what to do."""
        status, said, profile = response.status_code, _said(reply), self._profile.name
        wait_s = retry_after_s(response.headers.get("Retry-After"), time.time())
        is_refusal = status in NOT_ACCEPTED or (status == 503 and (bool(said) or wait_s is not None))
        charged = NOT_CHARGED if method == "POST" and is_refusal else ""
        if status == 429 or status >= 500:
            busy = "has too many requests" if status == 429 else "is in trouble"
            again = "" if wait_s is None else f" It asks to wait {wait_s:g} s."
            msg = f"{self._who} {busy} (HTTP {status}).{said}{again}{charged}"
            return UnreachableError(msg, http_status=status, retry_after_s=wait_s, is_refusal=is_refusal)
        sentences = {
            401: f"did not accept the key pair of profile {profile!r}. Check app key and secret",
            403: f"does not let the key pair of profile {profile!r} use this algorithm. See the service's console",
            404: "has nothing at this address. Check create_url of the profile"
            if method == "POST"
            else "does not know this task. Choose the profile that it was submitted with",
        }
        redirect = "answered with a redirect, which is not followed, so that the key stays. Check the addresses"
        sentence = redirect if 300 <= status < 400 else sentences.get(status, "refused the request")
        msg = f"{self._who} {sentence} (HTTP {status}).{said}{charged}"
        return ServiceError(msg, http_status=status, is_refusal=is_refusal)

    def _unknown(self, why: str) -> str:
        return (
            f"The submission may have been sent, but no usable answer came back: {why} It may have been accepted and "
            "charged. Look at the service's console before you run again; the pack does not repeat it by itself."
        )

    @property
    def _who(self) -> str:
        return f"The service of profile {self._profile.name!r}"

    def _new_session(self, retry: Retry) -> requests.Session:
        session = PlainSession()
        session.trust_env = not self._profile.is_local  # no proxy for loopback
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        return session


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


def retry_after_s(header: str | None, now_s: float) -> float | None:
    """Return the seconds of a Retry-After header, given as a number or as a date; None if there is none."""
    if not header:
        return None
    if header.strip().isdigit():
        return float(header.strip()[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - now_s)
    except (TypeError, ValueError):
        return None


def _nothing_was_sent(error: requests.RequestException) -> bool:
    """Whether the failure came before any byte of the request: DNS, refused or timed-out connection, TLS handshake."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(error, requests.exceptions.SSLError):
        inner = reason.args[0] if reason is not None and reason.args else None
        return isinstance(inner, ssl.SSLError) and inner.reason in _HANDSHAKE_FAILURES
    if isinstance(error, requests.exceptions.ProxyError):  # raised until the connection through the proxy stands
        return True
    invalid = (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema)
    return isinstance(error, invalid) or isinstance(reason, (NewConnectionError, ConnectTimeoutError))


def _cause(error: requests.RequestException) -> str:
    reason = getattr(error.args[0] if error.args else None, "reason", None) or error
    words = str(reason).rpartition(": ")[2]
    return f"{type(reason).__name__}: {words[:200]}"


def _said(reply: bytes) -> str:
    """Return the service's own message from an error body, if it is short enough to be one."""
    try:
        answer = json.loads(reply)
    except (ValueError, RecursionError):
        return ""
    message = answer.get("msg") if isinstance(answer, dict) else None
    return f" It says: {contract.printable(message)[:200]}" if isinstance(message, str) and message else ""
