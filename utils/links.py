"""What a link to a hosted picture is known by, whoever signs it anew; pure."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode, urlsplit

from .redaction import without_query

_SIGNATURE = re.compile(r"(x-(amz|goog|oss)-)?signature|sig", re.IGNORECASE)
_SIGNING = re.compile(  # what S3, Google, OSS, CloudFront and Azure put beside a signature
    r"x-(amz|goog|oss)-.*|signature|sig|expires|policy|key-pair-id|(aws|oss)accesskeyid|googleaccessid|"
    r"s[eprtv]|spr|sk(oid|tid|t|e|s|v)",
    re.IGNORECASE,
)


def names_of(link: str) -> tuple[str, ...]:
    """Return what a hosted link is known by: itself, and itself without what signs it, if anything does.

    The rest of a query stays: it may be all that tells one picture of a host from another.
    """
    query = parse_qsl(urlsplit(link).query, keep_blank_values=True)
    if not any(_SIGNATURE.fullmatch(name) for name, _ in query):
        return (link,)
    rest = [(name, value) for name, value in query if not _SIGNING.fullmatch(name)]
    return link, without_query(link) + (f"?{urlencode(rest)}" if rest else "")
