"""Which requests may change something on ComfyUI's server, and from where keys may come: tables of both."""

from __future__ import annotations

import pytest
from cartoonize_pack.utils.origins import Doors, is_loopback, refusal, why_no_keys

HERE = "127.0.0.1:8188"
PAGE = {
    "Host": HERE,
    "Origin": f"http://{HERE}",
    "Sec-Fetch-Site": "same-origin",
    "Content-Type": "application/json",
}
ELSEWHERE, NO_ORIGIN, NO_JSON = "page of elsewhere", "says nothing of its origin", "is JSON here"


def headers(base: dict[str, str] = PAGE, **changed: str | None) -> dict[str, str]:
    """Those of the page with others in their place; None leaves one out."""
    given = {name.replace("_", "-"): value for name, value in changed.items()}
    return {name: value for name, value in {**base, **given}.items() if value is not None}


def at(host: str, origin: str) -> dict[str, str]:
    """Those of a page in a browser that does not say how both belong together."""
    return headers(Host=host, Origin=origin, Sec_Fetch_Site=None)


ACCEPTED = {
    "the page": PAGE,
    "an older browser": headers(Sec_Fetch_Site=None),
    "no Origin, but what no page can set": headers(Origin=None),
    "a script": headers(Origin=None, Sec_Fetch_Site=None, X_Portrait_Cartoonize="1"),
    "with a character set": headers(Content_Type="application/json; charset=utf-8"),
    "in capitals": headers(Content_Type="Application/JSON"),
    "by name": at("localhost:8188", "http://localhost:8188"),
    "by name, in capitals": at("LocalHost:8188", "http://localhost:8188"),
    "by a name with a dot": at("comfy.example.", "https://comfy.example"),
    "by IPv6": at("[::1]:8188", "http://[::1]:8188"),
    "in the network": at("192.168.1.5:8188", "http://192.168.1.5:8188"),
    "behind a proxy with TLS": at("comfy.example", "https://comfy.example"),
    "behind a proxy with TLS, with its port": at("comfy.example:443", "https://comfy.example"),
    "at the usual port": at("comfy.example", "http://comfy.example:80"),
    "at another port": at("comfy.example:8443", "https://comfy.example:8443"),
}


@pytest.mark.parametrize("given", ACCEPTED.values(), ids=ACCEPTED)
def test_the_servers_own_page_and_scripts_are_answered(given: dict[str, str]) -> None:
    """However it is opened."""
    assert refusal(given, has_body=True) == ""


REFUSED = {
    "another site": (headers(Origin="https://evil.example", Sec_Fetch_Site="cross-site"), ELSEWHERE),
    "another site in an older browser": (at(HERE, "https://evil.example"), ELSEWHERE),
    "another port of this machine": (at(HERE, "http://127.0.0.1:3000"), ELSEWHERE),
    "another port, as browsers say it": (headers(Origin="http://127.0.0.1:9", Sec_Fetch_Site="same-site"), ELSEWHERE),
    "the usual port of this machine": (at(HERE, "http://127.0.0.1"), ELSEWHERE),
    "another name of this machine": (at(HERE, "http://localhost:8188"), ELSEWHERE),
    "a file, or a frame in a sandbox": (at(HERE, "null"), ELSEWHERE),
    "a browser that contradicts its origin": (headers(Sec_Fetch_Site="cross-site"), ELSEWHERE),
    "a link that somebody clicked": (headers(Sec_Fetch_Site="none"), ELSEWHERE),
    "no Origin from another site": (headers(Origin=None, Sec_Fetch_Site="cross-site"), ELSEWHERE),
    "the header of a script from another site": (
        headers(Origin="https://evil.example", Sec_Fetch_Site="cross-site", X_Portrait_Cartoonize="1"), ELSEWHERE,
    ),
    "the header of a script in an older browser": (
        headers(Origin="https://evil.example", Sec_Fetch_Site=None, X_Portrait_Cartoonize="1"), ELSEWHERE,
    ),
    "nothing": (headers(Origin=None, Sec_Fetch_Site=None), NO_ORIGIN),
    "an empty Origin": (at(HERE, ""), ELSEWHERE),
    "a name that begins alike": (at("comfy.example", "https://comfy.example.evil.example"), ELSEWHERE),
    "a name that ends alike": (at("comfy.example", "https://evil-comfy.example"), ELSEWHERE),
    "a user name": (at(HERE, f"http://{HERE}@evil.example"), ELSEWHERE),
    "another scheme": (at(HERE, f"chrome-extension://{HERE}"), ELSEWHERE),
    "more than one": (at(HERE, f"http://{HERE} https://evil.example"), ELSEWHERE),
    "a path": (at(HERE, f"http://{HERE}/page"), ELSEWHERE),
    "a port that is none": (at("127.0.0.1:x", "http://127.0.0.1:x"), ELSEWHERE),
    "no Host": (headers(Host=None, Sec_Fetch_Site=None), ELSEWHERE),
    "a Host that is none": (at("a b", "http://a b"), ELSEWHERE),
    "a proxy that changes the Host": (at(HERE, "https://comfy.example"), "which it must pass on"),
    "a form": (headers(Content_Type="application/x-www-form-urlencoded"), NO_JSON),
    "a text": (headers(Content_Type="text/plain"), NO_JSON),
    "a text that begins alike": (headers(Content_Type="application/jsonp"), NO_JSON),
    "a text with JSON in it": (headers(Content_Type="text/plain; application/json"), NO_JSON),
    "an empty type": (headers(Content_Type=""), NO_JSON),
    "no type": (headers(Content_Type=None), NO_JSON),
    "a body that is packed": (headers(Content_Encoding="gzip"), "not compressed"),
}  # fmt: skip


@pytest.mark.parametrize(("given", "words"), REFUSED.values(), ids=REFUSED)
def test_pages_of_elsewhere_are_refused(given: dict[str, str], words: str) -> None:
    """Also what they may send without asking first, and where the browser says little."""
    assert words in refusal(given, has_body=True)


@pytest.mark.parametrize(("kind", "words"), [(None, ""), ("application/json", ""), ("text/plain", NO_JSON)])
def test_without_a_body_no_type_is_needed(kind: str | None, words: str) -> None:
    """A wrong one is a form of elsewhere all the same."""
    found = refusal(headers(Content_Type=kind), has_body=False)
    assert words in found
    assert bool(found) == bool(words)


# Keys

LOOPBACK, EVERYWHERE = ("127.0.0.1",), ("0.0.0.0", "::")
OWN = ("mybox", "mybox.local")
KEYS_ACCEPTED = {
    "this machine": (HERE, LOOPBACK, ""),
    "this machine by name": ("localhost:8188", LOOPBACK, ""),
    "this machine by IPv6": ("[::1]:8188", ("::1", "127.0.0.1"), ""),
    "several loopback addresses": ("127.2.2.2:8188", ("127.2.2.2", "127.3.3.3"), ""),
    "listening at a name": (HERE, ("localhost",), ""),
    "permitted everywhere": (HERE, EVERYWHERE, "1"),
    "permitted in the network": ("192.168.1.5:8188", EVERYWHERE, "1"),
    "permitted by IPv6": ("[fd00::5]:8188", EVERYWHERE, "1"),
    "permitted, the machine's name": ("mybox:8188", EVERYWHERE, "1"),
    "permitted, its name in the network": ("MyBox.local:8188", EVERYWHERE, "1"),
    "permitted, a name": ("comfy.example", EVERYWHERE, "comfy.example"),
    "permitted, one of two names": ("comfy.example", LOOPBACK, "a.example, Comfy.Example."),
    "permitted, where nobody knows who listens": (HERE, (), "1"),
    "permitted, everything and a name": ("comfy.example", EVERYWHERE, "1, comfy.example"),
    "permitted, on this machine by its name": ("localhost:8188", EVERYWHERE, "1"),
    "this machine, where a name is permitted": (HERE, EVERYWHERE, "comfy.example"),
}


@pytest.mark.parametrize(("host", "listens_at", "permission"), KEYS_ACCEPTED.values(), ids=KEYS_ACCEPTED)
def test_keys_come_from_this_machine_or_with_leave(host: str, listens_at: tuple[str, ...], permission: str) -> None:
    """Of the operator, and then from addresses and the names that are known."""
    assert why_no_keys({"Host": host}, Doors(listens_at, permission, OWN)) == ""


REACHABLE, FOREIGN = "can be reached from other machines", "may be somebody else's name"
KEYS_REFUSED = {
    "listening everywhere": (HERE, EVERYWHERE, "", REACHABLE),
    "listening at no address, which is all": (HERE, ("",), "", REACHABLE),
    "listening in the network": ("192.168.1.5:8188", ("192.168.1.5",), "", REACHABLE),
    "listening in the network, too": (HERE, ("127.0.0.1", "192.168.1.5"), "", REACHABLE),
    "listening where a name leads": (HERE, ("mybox",), "", REACHABLE),
    "listening where nobody can read": (HERE, ("127.0.0.1 ",), "", REACHABLE),
    "nobody knows who listens": (HERE, (), "", REACHABLE),
    **{f"a leave that is none: {no}": (HERE, EVERYWHERE, no, REACHABLE) for no in ("0", " ", "no", "False", "off,")},
    "an address, where only a name is permitted": ("192.168.1.5:8188", EVERYWHERE, "comfy.example", FOREIGN),
    "the machine's name, where another is permitted": ("mybox:8188", EVERYWHERE, "comfy.example", FOREIGN),
    "a name that leads here": ("evil.example:8188", LOOPBACK, "", FOREIGN),
    "a name that begins with an address": ("127.0.0.1.evil.example:8188", LOOPBACK, "", FOREIGN),
    "a name that begins alike": ("localhost.evil.example:8188", LOOPBACK, "", FOREIGN),
    "the machine's name without leave": ("mybox:8188", LOOPBACK, "", FOREIGN),
    "an address that is not loopback, through something": ("192.168.1.5:8188", LOOPBACK, "", FOREIGN),
    "every address": ("0.0.0.0:8188", LOOPBACK, "", FOREIGN),
    "a name that is not permitted": ("evil.example", EVERYWHERE, "1", "CARTOONIZE_KEYS_FROM_BROWSER=evil.example"),
    "another name than the permitted": ("evil.example", EVERYWHERE, "comfy.example", FOREIGN),
    "the leave as a name": ("1", EVERYWHERE, "1", FOREIGN),
    "no name": ("", LOOPBACK, "", "cannot be read"),
    "an address and more": ("127.0.0.1@evil.example", LOOPBACK, "", "cannot be read"),
}


@pytest.mark.parametrize(("host", "listens_at", "permission", "words"), KEYS_REFUSED.values(), ids=KEYS_REFUSED)
def test_keys_from_elsewhere_are_refused(host: str, listens_at: tuple[str, ...], permission: str, words: str) -> None:
    """In words that say what to do instead."""
    assert words in why_no_keys({"Host": host}, Doors(listens_at, permission, OWN))


@pytest.mark.parametrize("name", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via"])
def test_what_a_proxy_hands_on_needs_leave(name: str) -> None:
    """ComfyUI listens to this machine alone then, and is reached from elsewhere all the same."""
    given = {"Host": HERE, name: "192.0.2.7"}
    assert "comes through a proxy" in why_no_keys(given, Doors(LOOPBACK))
    assert "comes through a proxy" in why_no_keys(given, Doors(LOOPBACK, "comfy.example"))
    assert why_no_keys(given, Doors(LOOPBACK, "1")) == ""
    assert why_no_keys({**given, "Host": "comfy.example"}, Doors(LOOPBACK, "comfy.example")) == ""
    assert FOREIGN in why_no_keys({**given, "Host": "comfy.example"}, Doors(LOOPBACK, "1"))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True), ("127.255.0.9", True), ("::1", True), ("localhost", True),
        ("", False), ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("localhost.evil.example", False),
        ("127.1", False), ("::ffff:10.0.0.1", False), ("*", False),
    ],
)  # fmt: skip
def test_loopback_is(host: str, expected: bool) -> None:
    """What only this machine reaches; an empty address listens to all."""
    assert is_loopback(host) is expected
