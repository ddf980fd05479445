"""The one place where HTTP becomes an error: a status, or a failure of the transport, as a sentence."""

from __future__ import annotations

import email.utils
import json
import re
import ssl
import time

import requests
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProxyError

from .contract import printable
from .errors import ServiceError, UnreachableError

# After these a submission was certainly not accepted. After others it may have been: a 303 is how some services
# acknowledge a POST, a gateway's 502 or 503 may come after the request had reached the service.
NOT_ACCEPTED = (301, 307, 308, 400, 401, 402, 403, 404, 405, 406, 411, 413, 414, 415, 422, 429)
PASSING = (408, 429, 500, 502, 503, 504)  # asking again may help
NOT_CHARGED = " Nothing was accepted, nothing was charged."
_HANDSHAKE_FAILURES = ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER", "UNSUPPORTED_PROTOCOL")


def service_of(profile: str) -> str:
    """Return how sentences name the service of a profile."""
    return f"The service of profile {profile!r}"


def error_of(response: requests.Response, reply: bytes, method: str, profile: str) -> ServiceError:
    """Return the error that an HTTP status means, as a sentence that says what to do."""
    status, said, who = response.status_code, _said(reply), service_of(profile)
    wait_s = retry_after_s(response.headers.get("Retry-After"), time.time())
    is_refusal = status in NOT_ACCEPTED or (status == 503 and (_has_code(reply) or wait_s is not None))
    charged = NOT_CHARGED if method == "POST" and is_refusal else ""
    if status == 429 or status >= 500:
        busy = "has too many requests" if status == 429 else "is in trouble"
        again = "" if wait_s is None else f" It asks to wait {wait_s:g} s."
        msg = f"{who} {busy} (HTTP {status}).{said}{again}{charged}"
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
    msg = f"{who} {sentence} (HTTP {status}).{said}{charged}"
    return ServiceError(msg, http_status=status, is_refusal=is_refusal)


def retry_after_s(header: str | None, now_s: float) -> float | None:
    """Return the seconds of a Retry-After header, given as a number or as a date; None if there is none."""
    if not header:
        return None
    if re.fullmatch(r"\s*[0-9]+\s*", header):
        return float(header.strip()[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - now_s)
    except (TypeError, ValueError, OverflowError):
        return None


def nothing_was_sent(error: requests.RequestException) -> bool:
    """Whether the failure came before any byte of the request: DNS, refused or timed-out connection, TLS handshake."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(error, requests.exceptions.SSLError):
        inner = reason.args[0] if reason is not None and reason.args else None
        return isinstance(inner, ssl.SSLError) and inner.reason in _HANDSHAKE_FAILURES
    if isinstance(reason, ProxyError):  # a connection that breaks after the request through a proxy is one, too
        reason = reason.original_error
        if isinstance(reason, OSError) and str(reason).startswith("Tunnel connection failed"):
            return True
    invalid = (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema)
    return isinstance(error, invalid) or isinstance(reason, (NewConnectionError, ConnectTimeoutError))


def cause_of(error: requests.RequestException) -> str:
    """Return what failed in a few words, without the addresses that the library wraps around it."""
    reason = getattr(error.args[0] if error.args else None, "reason", None) or error
    words = str(reason).rpartition(": ")[2]
    return f"{type(reason).__name__}: {words[:200]}"


def _said(reply: bytes) -> str:
    """Return the service's own message from an error body, if it is short enough to be one."""
    message = _object(reply).get("msg")
    return f" It says: {printable(message)[:200]}" if isinstance(message, str) and message else ""


def _has_code(reply: bytes) -> bool:
    """Whether an error body is a refusal as the API document has it: a `code` other than 0."""
    code = _object(reply).get("code")
    return isinstance(code, int) and not isinstance(code, bool) and code != 0


def _object(reply: bytes) -> dict[str, object]:
    try:
        answer = json.loads(reply)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}
