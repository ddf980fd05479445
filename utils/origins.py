"""Whether a request to ComfyUI's server may change something, and whether keys may come with it; pure.

ComfyUI has no accounts: whoever reaches it may use it. What must not happen is that a page of elsewhere, open in the
browser of somebody who may, acts in that person's name. Such a page

- sends its own address as Origin, or "null", and cannot leave it out or choose it, nor Sec-Fetch-Site;
- sets no header of its own, and no JSON, without asking first, which a server must permit (`--enable-cors-header`);
- may have a name that leads to this machine (DNS rebinding), so that Origin and Host agree. An IP address is nobody
  else's name, so keys are taken only under an address, or a name that is known to be this machine's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .addresses import ip_of
from .contract import shown

SCRIPT_HEADER = "X-Portrait-Cartoonize"  # what a script sends, which has no Origin
VARIABLE = "CARTOONIZE_KEYS_FROM_BROWSER"
_PORTS = {"http": 80, "https": 443}
_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<rest>.*)", re.IGNORECASE)
_HOST = re.compile(r"(\[(?P<ip>[0-9A-Fa-f:.]{2,45})\]|(?P<name>[A-Za-z0-9._-]{1,253}))(:(?P<port>[0-9]{1,5}))?")
_JSON = re.compile(r"application/json\s*(;.*)?", re.IGNORECASE)
_OF_A_PROXY = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via")
_NO = {"", "0", "no", "off", "false", "none"}  # what people write who permit nothing
_INSTEAD = "Use 'portrait-cartoonize profiles add' in a terminal of this machine, or config.toml"


@dataclass(frozen=True)
class Doors:
    """How the server can be reached: where it listens, what the operator permits, and this machine's own names.

    `permission` is the value of CARTOONIZE_KEYS_FROM_BROWSER: "1", or the names under which the page is opened.
    """

    listens_at: Sequence[str] = ()
    permission: str = ""
    names: Sequence[str] = ()

    @property
    def permitted(self) -> set[str]:
        """The names that the operator lets keys come under, "1" for every address and name of this machine."""
        return {part.strip().rstrip(".").lower() for part in self.permission.split(",")} - _NO

    @property
    def is_reachable(self) -> bool:
        """Whether other machines reach the server, as far as it knows."""
        return not self.listens_at or not all(map(is_loopback, self.listens_at))


def refusal(headers: Mapping[str, str], *, has_body: bool) -> str:
    """Return why a request may change or start nothing, in words; empty if it comes from this server's own page."""
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    if site not in (None, "same-origin"):
        return "This request comes from a page of elsewhere."
    if origin is None and site is None and SCRIPT_HEADER not in headers:
        return f"This request says nothing of its origin; a script sends the header {SCRIPT_HEADER}: 1"
    if origin is not None and not _is_same(origin, headers.get("Host", "")):
        return (
            "This request comes from a page of elsewhere, or through a proxy that changes the Host header, which it "
            "must pass on."
        )
    kind = headers.get("Content-Type")
    if not _JSON.fullmatch(kind) if kind is not None else has_body:
        return "The body of a request is JSON here (Content-Type: application/json)."
    if headers.get("Content-Encoding", "identity") != "identity":
        return "The body of a request is not compressed here."
    return ""


def why_no_keys(headers: Mapping[str, str], doors: Doors) -> str:
    """Return why this page may not add or remove profiles, in words; empty if it may."""
    found, permitted = _host(headers.get("Host", "")), doors.permitted
    if found is None:
        return "This page was opened under a name that cannot be read."
    name = found[0]
    own = {other.rstrip(".").lower() for other in doors.names}
    if name in permitted - {"1"} or ("1" in permitted and (ip_of(name) is not None or name in own)):
        return ""
    if "1" not in permitted and any(header in headers for header in _OF_A_PROXY):
        return f"This page comes through a proxy. {_INSTEAD}. {VARIABLE}=NAME permits it under a name."
    if not permitted and doors.is_reachable:
        return (
            "ComfyUI can be reached from other machines, where keys would be sent as they are, and whoever opens the "
            f"page could change them. {_INSTEAD}. {VARIABLE}=1 permits it all the same."
        )
    if is_loopback(name):
        return ""
    return (
        f"This page was opened as {shown(name)!r}, which may be somebody else's name for this machine. Open it as "
        f"http://127.0.0.1 with ComfyUI's port on this machine, or permit the name: {VARIABLE}={shown(name)}"
    )


def is_loopback(host: str) -> bool:
    """Whether an address to listen at, or a host, is this machine alone; empty means every address."""
    ip = ip_of(host)
    return host == "localhost" or (ip is not None and ip.is_loopback)


def _is_same(origin: str, host: str) -> bool:
    found = _ORIGIN.fullmatch(origin)
    if found is None:
        return False
    theirs, ours = _host(found["rest"]), _host(host)
    if theirs is None or ours is None:
        return False
    default = _PORTS[found["scheme"].lower()]  # TLS may end at a proxy, so this server does not know the scheme
    return (theirs[0], theirs[1] or default) == (ours[0], ours[1] or default)


def _host(header: str) -> tuple[str, int] | None:
    """Return name and port of a Host header, 0 for none; None if it cannot be read."""
    found = _HOST.fullmatch(header)
    if found is None:
        return None
    return (found["ip"] or found["name"]).rstrip(".").lower(), int(found["port"] or 0)
