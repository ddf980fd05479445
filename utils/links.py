"""What a link says of itself: what it is known by, whoever signs it anew, and when it ends; pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from urllib.parse import parse_qsl, urlencode, urlsplit

from .redaction import without_query

_SIGNATURE = re.compile(r"(x-(amz|goog|oss)-)?signature|sig", re.IGNORECASE)
_EARLIEST_S = 1e9  # in 2001
_SIGNING = re.compile(  # what S3, Google, OSS, CloudFront and Azure put beside a signature
    r"x-(amz|goog|oss)-.*|signature|sig|expires|policy|key-pair-id|(aws|oss)accesskeyid|googleaccessid|"
    r"security-token|s[eprtv]|spr|sk(oid|tid|t|e|s|v)",
    re.IGNORECASE,
)


def names_of(link: str) -> tuple[str, ...]:
    """Return what a hosted link is known by: itself, and itself without what signs it, if anything does.

    The rest of a query stays: it may be all that tells one picture of a host from another.
    """
    try:
        query = parse_qsl(urlsplit(link).query, keep_blank_values=True)
        link.encode()  # urlencode cannot write half a surrogate
    except ValueError:  # no usable link; whoever uses it says so
        return (link,)
    if not any(_SIGNATURE.fullmatch(name) for name, _ in query):
        return (link,)
    rest = [(name, value) for name, value in query if not _SIGNING.fullmatch(name)]
    return link, without_query(link) + (f"?{urlencode(rest)}" if rest else "")


def expiry_of(link: str) -> float | None:
    """Return when a signed link ends, in seconds since 1970, None if it does not say so.

    Sources: the query parameters of S3 (V4 and V2), Google V4, OSS (V4 and V1), CloudFront, Azure's SAS, and our own.
    """
    try:
        query = {name.lower(): value for name, value in parse_qsl(urlsplit(link).query)}
        ends_s = _expiry(query)
    except (KeyError, ValueError, OverflowError):
        return None
    return ends_s if ends_s is not None and math.isfinite(ends_s) else None


def _expiry(query: Mapping[str, str]) -> float | None:
    for vendor in ("amz", "goog", "oss"):
        if f"x-{vendor}-expires" in query:
            begins = datetime.strptime(query[f"x-{vendor}-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
            return begins.timestamp() + float(query[f"x-{vendor}-expires"])
    if "sig" in query and "se" in query:  # ISO 8601, with or without time, seconds, fractions and offset
        text = re.sub(r"\.[0-9]+", "", query["se"]).replace("Z", "+00:00")
        ends = datetime.fromisoformat(text)
        return (ends if ends.tzinfo else ends.replace(tzinfo=timezone.utc)).timestamp()
    if not any(_SIGNATURE.fullmatch(name) for name in query) or float(query["expires"]) < _EARLIEST_S:
        return None  # seconds from a beginning that it does not tell
    return float(query["expires"])
