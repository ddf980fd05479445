"""Which addresses are fetched: a table of hostile ones, of redirects to them, and of good ones, all really asked for.

The internet is a small one on loopback (small_internet.py): nothing of the pack is patched, and every dial is written
down. Refused means: one of our errors, with these words, before anything was dialled, not even for a handshake.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cartoonize_pack.utils.addresses import Policy
from cartoonize_pack.utils.download import fetch, peek
from cartoonize_pack.utils.errors import InputError, UnreachableError
from small_internet import (
    BODY,
    DEAD,
    METADATA,
    NAS,
    OWN,
    OWN_PORT,
    PATIENCE_S,
    PRINTER,
    PUBLIC,
    PUBLIC_2,
    PUBLIC_6,
    Authority,
    Internet,
    Site,
    can_dial_6,
)

OWN_ADDRESS = f"http://{OWN}:{OWN_PORT}"
OPEN = Policy(allow_http=True, own_address=OWN_ADDRESS)  # the most that is allowed without naming a host
STRICT = Policy()
TO_NAS = Policy(allow_hosts=("nas.test",))
TO_OWN = Policy(own_address=OWN_ADDRESS)
LONG = "a" * 64  # one letter more than a label may have

SCHEME, UNREADABLE, PRIVATE = r"only http\(s\) addresses without user name", "cannot be read", "is a private address"
SPELLED = f"{PRIVATE}|cannot be found"  # systems differ in which of the old spellings they read
UNKNOWN = "is not fetched|cannot be found|cannot be reached: InvalidURL"  # libraries and systems differ in where
HOSTILE: dict[str, tuple[str, ...]] = {
    SCHEME: (
        # other schemes, or none
        "file:///etc/passwd", "file://good.test/etc/passwd", "ftp://good.test/a", "gopher://127.0.0.1:6379/_FLUSHALL",
        "data:image/png;base64,iVBORw0KGgo=", "javascript:alert(1)", "ws://good.test/", "wss://good.test/",
        "blob:https://good.test/0b5a", "jar:https://good.test/a.jar!/b", "netdoc:///etc/passwd",
        "dict://127.0.0.1:11211/stats", "ldap://good.test/", "tftp://good.test/a", "view-source:https://good.test/",
        "http+unix://%2Fvar%2Frun%2Fdocker.sock/info", "about:blank", "//good.test/a", "/a.png", "a.png", "good.test",
        "good.test:80/a", "", " ", "http", "http:", "http://", "https:///", "https:127.0.0.1/", "https:/127.0.0.1/",
        "https:///127.0.0.1/", "http://?a", "http://#a", "http://:80/", "https://@/", "url:https://good.test/",
        # user names and passwords
        "https://user@good.test/", "https://user:password@good.test/", "https://@good.test/", "https://:@good.test/",
        "https://good.test@127.0.0.1/", "https://good.test:80@127.0.0.1/", "https://good.test%40@127.0.0.1/",
        "https://a@b@127.0.0.1/", "https://good.test:a@good.test:b@127.0.0.1/", "https://good.test\\@127.0.0.1/",
        "https://127.0.0.1\\@good.test/", "https://good.test&@127.0.0.1#@good.test/", "https://;@127.0.0.1/",
        # links that pretend to be the embedded service
        f"{OWN_ADDRESS}@evil.test/", f"{OWN_ADDRESS}@evil.test:80/files/a", f"http://{OWN}@evil.test:8123/",
        f"{OWN_ADDRESS}\\@evil.test/",
    ),
    UNREADABLE: (
        "https://127.0.0.1\\.good.test/", "https://good.test\\/127.0.0.1", "https://\\127.0.0.1/",
        "https://good.test%40127.0.0.1/", "https://%31%32%37.0.0.1/", "https://127%2e0%2e0%2e1/",
        "https://good.test%2f.evil.test/", "https://good.test%00.evil.test/", "https://%6c%6f%63alhost/",
        "https://good.test:0/", "https://good.test:99999/", "https://good.test:-1/", "https://good.test:http/",
        "https://good.test:80:443/", "https://good.test: 80/", "https://good.test:8٠/", "https://good.test /",
        "https://good.test\u2028/", "https://good.test\u00a0/", "https://[::1/", "https://::1]/",
        "https://[fe80::1%25lo]/", "https://[fe80::1%lo]/", "https://[::1%25eth0]/", "https://℀.good.test/",
        "https://good.test／127.0.0.1/", "https://good.test？@127.0.0.1/", "https://good.test＠127.0.0.1/",
        # control characters, which some libraries drop, and some send
        "https://good.test/\r\nX-Injected: 1", "https://good.test/a\nb", "https://good.test/a\tb", "https://good.\ttest/",
        "https://good.test\r\nHost: evil.test/", "https://127.0\n.0.1/", "https://good.test/\x00", "ht\ntps://good.test/",
        "\x01https://good.test/", "https://good.test/\x7f", "https://good.test/\x0b", "https://good.test/?a=\r\n\r\nGET",
        f"{OWN_ADDRESS}0/", f"http://{OWN}:8123evil/",
    ),
    SPELLED: (
        "https://2130706433/", "https://0x7f000001/", "https://0x7F000001/", "https://017700000001/", "https://127.1/",
        "https://127.0.1/", "https://0177.0.0.1/", "https://0x7f.0.0.1/", "https://0x7F.0x0.0x0.0x1/",
        "https://0177.0.0x1/", "https://127.0.0.01/", "https://127.000.000.001/", "https://0/", "https://000.000.000.000/",
        "https://0x0/", "https://3232235777/", "https://0xc0a80101/", "https://192.168.257/", "https://10.1/",
        "https://012.0.0.1/", "https://0xa.0.0.1/", "https://2852039166/", "https://0xa9fea9fe/", "https://0xA9.254.43518/",
        "https://0251.0376.0251.0376/", "https://169.16689662/", "https://0xa83f8110/", "https://0x64646464c8/",
        "https://1684300488/", "https://4294967295/", "http://127.1:8123/files/a", "http://0x7f000001:8123/files/a",
    ),
    PRIVATE: (
        "http://127.0.0.1/", "https://127.0.0.1/", "HTTP://127.0.0.1/", "https://127.0.0.1:443/", "https://127.8.9.10/",
        "https://127.0.0.1./", "https://0.0.0.0/", "https://10.0.0.1/", "https://172.16.0.1/", "https://172.31.255.255/",
        "https://192.168.1.1/",
        "https://169.254.1.1/", "https://100.64.0.1/", "https://100.127.255.255/", "https://198.18.0.1/",
        "https://198.19.255.255/", "https://192.0.2.1/", "https://198.51.100.1/", "https://203.0.113.1/",
        "https://192.88.99.1/", "https://224.0.0.1/", "https://239.255.255.250/", "https://240.0.0.1/",
        "https://255.255.255.255/", "https://192.0.0.1/", "https://0.1.2.3/",
        # IPv6
        "https://[::1]/", "https://[0:0:0:0:0:0:0:1]/", "https://[0000:0000:0000:0000:0000:0000:0000:0001]/",
        "https://[::0001]/", "https://[0::1]/", "https://[::0.0.0.1]/", "https://[::]/", "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/", "https://[::FFFF:10.0.0.1]/", "https://[0:0:0:0:0:ffff:a9fe:a9fe]/",
        "https://[::127.0.0.1]/", "https://[::ffff:0:127.0.0.1]/", "https://[64:ff9b::127.0.0.1]/",
        "https://[64:ff9b::10.0.0.1]/", "https://[64:ff9b::a9fe:a9fe]/", "https://[64:ff9b:1::1]/",
        "https://[2002:7f00:1::]/", "https://[2002:a9fe:a9fe::1]/", "https://[2001:0:7f00:1::]/", "https://[2001:2::1]/",
        "https://[fc00::1]/", "https://[fd00::1]/", "https://[fe80::1]/", "https://[fec0::1]/", "https://[ff02::1]/",
        "https://[ff0e::1]/", "https://[2001:db8::1]/", "https://[3fff::1]/", "https://[100::1]/", "https://[5f00::1]/",
        # the metadata of clouds
        "http://169.254.169.254/latest/meta-data/", "https://[fd00:ec2::254]/latest/", "https://[fd20:ce::254]/",
        "http://metadata.google.internal/computeMetadata/v1/", "http://metadata/", "http://instance-data/latest/",
        "http://instance-data.ec2.internal/", "http://168.63.129.16/machine?comp=goalstate", 
        "http://100.100.100.200/latest/meta-data/", "http://192.0.0.192/latest/", "http://169.254.0.23/",
        "http://metadata.tencentyun.com/", "http://169.254.170.2/v2/credentials", "http://metadata.azure.internal/",
        "http://169.254.169.254/metadata/v1.json",
        "https://[::ffff:169.254.169.254]/",
        # names
        "http://localhost/", "https://localhost:8188/", "http://localhost./", "http://LOCALHOST/", "http://LocalHost:80/",
        "https://ip6-localhost/", "https://router/", "https://127.0.0.1.nip.io/", "https://7f000001.nip.io/",
        "https://10-0-0-5.sslip.io/", "https://localtest.me/", "https://kubernetes/", "https://kubernetes.default.svc/",
        "https://kubernetes.default.svc.cluster.local/api", "https://host.docker.internal/", "https://sub.nas.test/",
        "https://xnas.test/", "https://nas.test.evil.test/", "https://10.0.0.7/",
        "https://bücher.corp.test/", "https://xn--bcher-kva.corp.test/", "https://six.corp.test/",
        "https://mapped.test/", "https://nat64.test/", "https://public-then-private.test/",
        "https://private-then-public.test/", "https://public-4-private-6.test/", "https://METADATA.google.INTERNAL./",
        # links that pretend to be the embedded service
        f"http://{OWN}:812/", f"http://{OWN}:8124/", f"http://{OWN}/", f"http://{OWN}.evil.test:8123/files/a",
        "http://localhost:8123/files/a", "http://[::1]:8123/", "http://127.0.0.2:8123/",
        "http://evil.test:8123/files/a", "http://0.0.0.0:8123/", "http://[::ffff:127.0.0.1]:8123/files/a",
    ),
    UNKNOWN: (
        # letters that stand for others
        "https://①②⑦.⓪.⓪.①/", "https://１２７.０.０.１/", "https://127。0。0。1/", "https://127｡0｡0｡1/",
        "https://１６９.２５４.１６９.２５４/", "https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/", "https://ｌｏｃａｌｈｏｓｔ/", "https://localhost。/",
        "https://lo\u00adcalhost/", "https://lo\u200bcalhost/", "https://metadata。google。internal/", "https://٠/",
        "https://١٢٧.0.0.1/", "https://loca\u217chost/", "https://ⓜetadata/", f"{OWN_ADDRESS}．evil.test/",
        # names that cannot be
        f"https://{LONG}.test/", f"https://{'a.' * 200}test/", "https://a..b/", "https://./", "https://.good.test/",
        "https://*.good.test/", "https://xn--a/", "https://-a.test/", "https://256.0.0.1/", "https://127.0.0.1.1/",
        "https://[::1].good.test/", "https://[good.test]/", "https://[v1.fe80::a]/", "https://0x/", "https://go\ud800od.test/",
        "https://nowhere.test/",
    ),
}  # fmt: skip
NOT_ENCRYPTED = (  # which is another matter than where they lead
    "http://good.test/", "HTTP://good.test/", "http://good.test:443/", "http://93.184.215.14/", "http://nas.test/",
    f"{OWN_ADDRESS}/files/a",
)  # fmt: skip


@dataclass(frozen=True)
class Hop:
    """A redirect from good.test/hop: refused with these words, after this path was asked for last."""

    location: str  # sent as UTF-8
    words: str = PRIVATE
    status: int = 302
    last: str = "/hop"
    scheme: str = "http"
    policy: Policy = OPEN


METADATA_URL = f"http://{METADATA}/latest/meta-data/"
REDIRECTS = (
    *(Hop(METADATA_URL, status=status) for status in (301, 302, 303, 307, 308)),
    *(Hop(METADATA_URL, f"HTTP {status} instead of a picture", status) for status in (201, 300, 304, 305, 306, 401)),
    Hop("http://metadata.google.internal/"), Hop("https://[fd00:ec2::254]/"), Hop("http://168.63.129.16/"),
    Hop("http://2130706433/"), Hop("http://[::ffff:169.254.169.254]/"), Hop("//127.0.0.1/a"), Hop("//localhost/"),
    Hop("http://nas.test/"), Hop("http://127.0.0.1:81/"), Hop("http://public-then-private.test/"),
    Hop("http://127.0.0.1.nip.io/"), Hop("HTTP://127.0.0.1/"), Hop("http://169.254.\t169.254/"),
    Hop(" http://169.254.169.254/"), Hop("http://169.254\r\n .169.254/", UNREADABLE),
    Hop("http://good.test:0/", UNREADABLE), Hop("http://good.test:99999/", UNREADABLE), Hop("http://[::1", UNREADABLE),
    Hop("http://good.test%2f.evil.test/", UNREADABLE), Hop("//127.0.0.1\\.good.test/", UNREADABLE),
    Hop("file:///etc/passwd", SCHEME), Hop("ftp://good.test/", SCHEME), Hop("gopher://127.0.0.1:6379/_", SCHEME),
    Hop("data:image/png;base64,AA==", SCHEME), Hop("javascript:alert(1)", SCHEME), Hop("https:127.0.0.1", SCHEME),
    Hop("http://user:password@good.test/", SCHEME), Hop("http://good.test@127.0.0.1/", SCHEME),
    Hop("http://good.test\\@127.0.0.1/", SCHEME), Hop("//good.test:80@127.0.0.1/", SCHEME),
    Hop(f"{OWN_ADDRESS}@evil.test/", SCHEME), Hop(f"{OWN_ADDRESS}.evil.test/", UNREADABLE),
    Hop(f"{OWN_ADDRESS}0/", UNREADABLE), Hop("http://localhost:8123/files/a"),
    Hop("http://ｌｏｃａｌｈｏｓｔ/", UNKNOWN), Hop("http://①②⑦.⓪.⓪.①/", UNKNOWN),
    Hop("http://nowhere.test/", "cannot be found"), Hop("/hop", "more than 5 redirects"),
    Hop("/chain/4", "more than 5 redirects", last="/chain/0"),
    Hop("/chain/3", last="/chain/0"),  # the sixth address is the metadata's
    Hop("http://good.test/a", "which is not encrypted", scheme="https"),
    Hop("http://other.test/", "which is not encrypted", 307, scheme="https"),
    Hop(OWN_ADDRESS, "which is not encrypted", scheme="https"),
    Hop(METADATA_URL, "which is not encrypted", scheme="https"),
    Hop("//127.0.0.1/", scheme="https"), Hop("https://169.254.169.254/", scheme="https"),
    Hop("http://nas.test/private", policy=Policy(True, ("nas.test",)), last="/private"),
)  # fmt: skip
# What the sites answer with a redirect, and where to: the chain ends at the metadata, the row at a picture.
HOPS = {
    **{f"/chain/{n}": f"http://{('good', 'other')[n % 2]}.test/chain/{n - 1}" for n in range(1, 5)},
    "/chain/0": METADATA_URL,
    **{f"/row/{n}": f"http://{('good', 'other')[n % 2]}.test/row/{n - 1}" for n in range(1, 6)},
    "/private": "http://10.0.0.6/",
    "/up": "https://good.test/a",
    "/relative": "a/b?c=d",
    "/same-scheme": "//other.test/a",
    "/elsewhere": "https://other.test:8443/a",
    "/accent": "/é",
    "/fragment": "/a#b",
    "/to-nas": "http://nas.test/a",
}


@dataclass(frozen=True)
class Good:
    """An address that is fetched: what is dialled last, and the Host, target and TLS name that arrive there."""

    url: str
    host: str = "good.test"
    target: str = "/"
    at: tuple[str, int] = (PUBLIC, 443)
    name: str | None = None  # the host, unless it is another one
    policy: Policy = STRICT


CAFE, PRINTER_NAME = "xn--caf-dma.test", "xn--drcker-4ya.test"  # café.test, drücker.test
GOOD = (
    Good("https://good.test/"), Good("https://good.test"), Good("HTTPS://good.test/"), Good("https://GOOD.Test/"),
    Good("https://good.test:443/"), Good("https://good.test:/"), Good("https://good.test./", name="good.test"),
    Good("https://good.test:8443/", "good.test:8443", at=(PUBLIC, 8443), name="good.test"),
    Good("https://93.184.215.14/", "93.184.215.14", name=""), Good("https://two.test/", "two.test"),
    Good("https://café.test/", CAFE), Good("https://CAFÉ.test/", CAFE), Good("https://xn--caf-dma.test/", CAFE),
    Good("http://good.test/", at=(PUBLIC, 80), policy=OPEN),
    Good("http://good.test:8080/", "good.test:8080", at=(PUBLIC, 8080), policy=OPEN),
    # what stands behind the host changes nothing about where it leads, and arrives as it was written
    Good("https://good.test/a%20b%2Fc%25", target="/a%20b%2Fc%25"), Good("https://good.test/a b", target="/a%20b"),
    Good("https://good.test/?a=%26&b=%C3%A9+c", target="/?a=%26&b=%C3%A9+c"),
    Good("https://good.test/a#b", target="/a"),
    Good("https://good.test/é/猫.png", target="/%C3%A9/%E7%8C%AB.png"), Good("https://good.test?b", target="/?b"),
    Good(f"https://good.test/?{'a' * 6000}", target=f"/?{'a' * 6000}"), Good("https://good.test/@a", target="/@a"),
    Good("https://good.test/%0d%0aX-Injected:%201", target="/%0D%0AX-Injected:%201"),
    Good("https://good.test/?a=http://127.0.0.1/", target="/?a=http://127.0.0.1/"), Good("https://good.test#@127.0.0.1/"),
    Good("https://good.test?@127.0.0.1/", target="/?@127.0.0.1/"),
    # redirects
    Good("https://good.test/relative", target="/a/b?c=d"), Good("https://good.test/accent", target="/%C3%A9"),
    Good("https://good.test/fragment", target="/a"),
    Good("https://good.test/same-scheme", "other.test", "/a", (PUBLIC_2, 443)),
    Good("https://good.test/elsewhere", "other.test:8443", "/a", (PUBLIC_2, 8443), "other.test"),
    Good("http://good.test/up", target="/a", policy=OPEN),
    Good("http://good.test/row/5", "other.test", "/row/0", (PUBLIC_2, 80), policy=OPEN),
    # the operator's own hosts, however they are spelled
    Good("https://nas.test/", "nas.test", at=(NAS, 443), policy=TO_NAS),
    Good("https://NAS.test./", "nas.test", at=(NAS, 443), policy=Policy(allow_hosts=("other", "Nas.TEST."))),
    Good("http://nas.test/", "nas.test", at=(NAS, 80), policy=Policy(True, ("nas.test",))),
    Good("http://good.test/to-nas", "nas.test", "/a", (NAS, 80), policy=Policy(True, ("nas.test",))),
    Good("https://10.0.0.5/", "10.0.0.5", at=(NAS, 443), name="", policy=Policy(allow_hosts=("10.0.0.5",))),
    Good("https://drücker.test/", PRINTER_NAME, at=(PRINTER, 443), policy=Policy(allow_hosts=("DRÜCKER.test",))),
    Good("https://xn--drcker-4ya.test/", PRINTER_NAME, at=(PRINTER, 443), policy=Policy(allow_hosts=("drücker.test",))),
    Good("https://Drücker.test/", PRINTER_NAME, at=(PRINTER, 443), policy=Policy(allow_hosts=("xn--drcker-4ya.test",))),
    # the embedded service, which is plain http on loopback
    Good(f"{OWN_ADDRESS}/files/a", "127.0.0.1:8123", "/files/a", (OWN, OWN_PORT), policy=TO_OWN),
)  # fmt: skip
SIX = (
    Good(f"https://[{PUBLIC_6}]/", f"[{PUBLIC_6}]", at=(PUBLIC_6, 443), name=""),
    Good(f"https://[{PUBLIC_6.upper()}]:8443/a", f"[{PUBLIC_6}]:8443", "/a", (PUBLIC_6, 8443), ""),
    Good("https://six.test/", "six.test", at=(PUBLIC_6, 443)),
    Good(f"http://[{PUBLIC_6}]/", f"[{PUBLIC_6}]", at=(PUBLIC_6, 80), policy=OPEN),
)


@dataclass(frozen=True)
class Sites:
    """A plain site, one that speaks TLS under many names, and the authority of its certificates."""

    plain: Site
    encrypted: Site
    authority: Authority


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """Both sites, running."""
    folder = tmp_path_factory.mktemp("certificates")
    authority, stranger = Authority(folder), Authority(folder, "stranger")
    fine = ("good.test", "other.test", "two.test", "six.test", "nas.test", CAFE, PRINTER_NAME)
    contexts = {
        "": authority.context(*fine, PUBLIC, PUBLIC_6, NAS),
        "wrong.test": authority.context("*.good.test", "good.test", "wrong.test.good.test"),
        "selfsigned.test": authority.context("selfsigned.test", is_self_signed=True),
        "expired.test": authority.context("expired.test", days=-1),
        "unknown.test": stranger.context("unknown.test"),
    }
    plain, encrypted = Site(), Site(contexts)
    with plain.running(), encrypted.running():
        yield Sites(plain, encrypted, authority)


@pytest.fixture
def net(sites: Sites, monkeypatch: pytest.MonkeyPatch) -> Internet:
    """The small internet, whose authority is trusted the way an organisation has its own trusted."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(sites.authority.file))
    net = Internet(sites.plain, sites.encrypted)
    net.forget()
    return net.install(monkeypatch)


def get(url: str, policy: Policy, total_s: float = PATIENCE_S) -> bytes:
    """One download."""
    return fetch(url, policy, max_bytes=10_000, total_s=total_s)


def look(url: str, policy: Policy) -> bytes:
    """The beginning of one."""
    return peek(url, policy, first_bytes=16, total_s=PATIENCE_S).head


def redirect(location: str, status: int = 302, *headers: str) -> bytes:
    """An answer that leads elsewhere."""
    lines = (f"HTTP/1.1 {status} Moved", f"Location: {location}", *headers, "Content-Length: 0", "Connection: close")
    return "\r\n".join((*lines, "", "")).encode()


def what_happened(net: Internet, door: Callable[[str, Policy], bytes], url: str, policy: Policy) -> str:
    """The text of one of our two errors for links; anything else that happens is no refusal."""
    net.forget()
    for path, location in HOPS.items():
        net.plain.answers[path] = net.encrypted.answers[path] = redirect(location)
    try:
        return f"fetched: {door(url, policy)!r}"
    except (InputError, UnreachableError) as error:
        return str(error)
    except Exception as error:  # noqa: BLE001  # the row is shown, whatever it was
        return f"raised: {error!r}"


def wrong_refusal(net: Internet, url: str, words: str) -> list[str]:
    """What is wrong about how a hostile address ends: by each door, whatever else the operator has allowed."""
    wrong = []
    for door, policy in ((get, OPEN), (look, TO_NAS)):
        said = what_happened(net, door, url, policy)
        expected = words if policy is OPEN or url.startswith("https:") else f"{words}|it is not encrypted"
        if net.dialled or not re.search(expected, said):
            wrong.append(f"{door.__name__} {url!r}: dialled {net.dialled}: {said}")
    return wrong


def wrong_hop(net: Internet, hop: Hop) -> list[str]:
    """What is wrong about how a hostile redirect ends."""

    def door(url: str, policy: Policy) -> bytes:
        site.answers["/hop"] = redirect(hop.location, hop.status)
        return get(url, policy)

    site = net.encrypted if hop.scheme == "https" else net.plain
    said = what_happened(net, door, f"{hop.scheme}://good.test/hop", hop.policy)
    is_public = {host for host, _ in net.dialled} <= {PUBLIC, PUBLIC_2, NAS}
    if is_public and len(net.dialled) == len(site.paths) and site.paths[-1] == hop.last and re.search(hop.words, said):
        return []
    return [f"{hop}: dialled {net.dialled}, asked {site.paths}: {said}"]


def wrong_fetch(net: Internet, good: Good) -> list[str]:
    """What is wrong about how a good address is fetched."""
    said = what_happened(net, get, good.url, good.policy)
    is_encrypted = good.at[1] in (443, 8443)
    site = net.encrypted if is_encrypted else net.plain
    hosts = re.findall(r"\r\nHost: (.*)\r\n", "".join(site.requests[-1:]))
    seen = (hosts, site.paths[-1:], net.dialled[-1:], site.server_names[-1:])
    name = good.host if good.name is None else good.name
    expected = ([good.host], [good.target], [good.at], [name] if is_encrypted else [])
    return [] if seen == expected and said == f"fetched: {BODY!r}" else [f"{good}: {seen}: {said}"]


def test_hostile_addresses_are_refused_and_good_ones_accepted(
    net: Internet, record_property: Callable[[str, object], None]
) -> None:
    """Nothing is dialled for a hostile one; of a redirect, the public part. A good one is fetched as it is written."""
    urls = [(url, words) for words, urls in HOSTILE.items() for url in urls]
    wrong = [problem for url, words in urls for problem in wrong_refusal(net, url, words)]
    for url in NOT_ENCRYPTED:
        said = what_happened(net, get, url, TO_NAS)
        wrong += [] if "it is not encrypted" in said and not net.dialled else [f"{url}: dialled {net.dialled}: {said}"]
    wrong += [problem for hop in REDIRECTS for problem in wrong_hop(net, hop)]
    wrong += [problem for good in GOOD for problem in wrong_fetch(net, good)]
    assert not wrong, "\n".join(wrong)
    hostile = len({*urls}) + len(NOT_ENCRYPTED) + len({*REDIRECTS})
    record_property("counts", f"{hostile} hostile addresses refused, {len({*GOOD})} good ones accepted")
    assert hostile >= 100
    assert len(GOOD) >= 15


@pytest.mark.skipif(not can_dial_6(), reason="no IPv6 here")
def test_good_addresses_of_ipv6_are_accepted(net: Internet) -> None:
    """As a literal in any spelling, and behind a name."""
    assert [problem for good in SIX for problem in wrong_fetch(net, good)] == []


def test_what_is_dialled_is_the_answer_that_was_checked(net: Internet) -> None:
    """DNS rebinding: the name is asked for once for a connection, and its second answer would be private."""
    answers = iter([[PUBLIC], [METADATA], [OWN]])
    net.names["rebind.test"] = lambda: next(answers)
    assert get("https://good.test/a", STRICT) == BODY
    net.forget()
    assert get("http://rebind.test/a", OPEN) == BODY
    assert net.looked_up == ["rebind.test"]
    assert net.dialled == [(PUBLIC, 80)]


def test_a_name_that_turns_private_between_two_hops_is_refused(net: Internet) -> None:
    """Each connection asks anew, and judges anew."""
    answers = iter([[PUBLIC], [METADATA]])
    net.names["rebind.test"] = lambda: next(answers)
    net.plain.answers["/a"] = redirect("/b")
    with pytest.raises(InputError, match=f"rebind.test is not fetched: {METADATA} is a private address"):
        get("http://rebind.test/a", OPEN)
    assert net.looked_up == ["rebind.test"] * 2
    assert net.dialled == [(PUBLIC, 80)]


def test_of_several_addresses_the_next_one_is_dialled_when_one_is_dead(net: Internet) -> None:
    """All from the one answer that was checked."""
    assert get("https://two.test/a", STRICT) == BODY
    assert net.looked_up == ["two.test"]
    assert net.dialled == [(DEAD, 443), (PUBLIC, 443)]


def test_a_name_that_is_found_too_late_is_not_dialled(net: Internet) -> None:
    """A resolver has no timeout: its thread may come back long after the download was given up."""
    found = threading.Event()

    def answer() -> list[str]:
        found.wait(PATIENCE_S)
        return [PUBLIC]

    net.names["late.test"] = answer
    try:
        with pytest.raises(UnreachableError, match="too slow"):
            get("http://late.test/a", OPEN, total_s=0.1)
        assert fetching()
    finally:
        found.set()
    assert ends_within_a_second(lambda: not fetching())
    assert net.looked_up == ["late.test"]
    assert net.dialled == []


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (f"Refresh: 0; url={METADATA_URL}", "bytes"),
        (f"Location: {METADATA_URL}", "bytes"),
        ("Content-Type: text/html", f'<meta http-equiv="refresh" content="0; url={METADATA_URL}">'),
    ],
    ids=["refresh", "location", "HTML"],
)
def test_nothing_but_a_redirect_leads_on(net: Internet, header: str, body: str) -> None:
    """What browsers follow besides is only bytes here."""
    net.plain.answers["/a"] = f"HTTP/1.1 200 OK\r\n{header}\r\nConnection: close\r\n\r\n{body}".encode()
    assert get("http://good.test/a", OPEN) == body.encode()
    assert net.dialled == [(PUBLIC, 80)]


def test_a_redirect_takes_nothing_along(net: Internet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No cookie, no password of this machine's .netrc, no address that the last page had, and no proxy is asked."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password hunter2")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", f"http://{OWN}:3128")
    net.plain.answers["/a?secret"] = redirect("http://other.test/b", 302, "Set-Cookie: id=hunter2; Path=/")
    net.plain.answers["/b"] = redirect("http://good.test/c")
    assert get("http://good.test/a?secret", OPEN) == BODY
    assert net.dialled == [(PUBLIC, 80), (PUBLIC_2, 80), (PUBLIC, 80)]
    seen = "".join(net.plain.requests[1:])
    assert re.findall(r"(?im)^(?:cookie|authorization|referer|proxy-.*):|hunter2|secret", seen) == []


@pytest.mark.parametrize("location", [f"{OWN_ADDRESS}/files/a", f"https://{OWN}:{OWN_PORT}/files/a"])
def test_nobody_else_redirects_to_the_embedded_service(net: Internet, location: str) -> None:
    """It is for links of the pack itself: a stranger's page must not make this machine ask it."""
    net.plain.answers["/a"] = redirect(location)
    with pytest.raises(InputError, match="is not fetched"):
        get("http://good.test/a", OPEN, total_s=0.3)
    assert net.dialled == [(PUBLIC, 80)]


def test_what_is_encoded_stays_encoded(net: Internet) -> None:
    """A line break in a redirect's address is no line break in the request that it leads to."""
    net.plain.answers["/a"] = redirect("/b%0d%0aHost:%20evil.test%0d%0a")
    assert get("http://good.test/a", OPEN) == BODY
    assert re.findall("(?im)^host: (.*)\r$", net.plain.requests[1]) == ["good.test"]


# --- TLS --------------------------------------------------------------------------------------------------------------


def test_a_pinned_connection_speaks_for_the_name(net: Internet) -> None:
    """SNI, the certificate and Host are those of the URL, although what is dialled is a number."""
    assert get("https://good.test/a", STRICT) == BODY
    assert (net.dialled, net.encrypted.server_names) == ([(PUBLIC, 443)], ["good.test"])


@pytest.mark.parametrize("host", ["wrong.test", "selfsigned.test", "expired.test", "unknown.test", PUBLIC_2])
def test_a_certificate_that_does_not_hold_is_refused(net: Internet, host: str) -> None:
    """For another name, by nobody, of yesterday, by a stranger, for another address: no request is sent."""
    with pytest.raises(UnreachableError, match="cannot be reached: SSLError"):
        get(f"https://{host}/a?signature=hunter2", STRICT)
    assert net.dialled == [(PUBLIC_2 if host == PUBLIC_2 else PUBLIC, 443)]
    assert net.encrypted.server_names == ["" if host == PUBLIC_2 else host]
    assert net.encrypted.requests == []


def test_an_authority_that_is_not_trusted_is_refused(net: Internet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without REQUESTS_CA_BUNDLE the small internet's own authority is one of them."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(UnreachableError, match="cannot be reached: SSLError"):
        get("https://good.test/a", STRICT)
    assert net.encrypted.requests == []


# --- time -------------------------------------------------------------------------------------------------------------


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass
class Drip:
    """A server that says one beginning, then a few bytes now and then, until its client has hung up."""

    start: bytes
    part: bytes
    context: ssl.SSLContext | None
    sent: int = 0
    has_seen_the_end: bool = False

    def serve(self, listener: socket.socket) -> None:
        """Serve one connection."""
        connection, _ = listener.accept()
        connection.settimeout(PATIENCE_S)
        if self.context is not None:
            connection = self.context.wrap_socket(connection, server_side=True)
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)  # a request, or the beginning of a handshake
            connection.sendall(self.start)
            connection.settimeout(0.02)
            end = time.monotonic() + PATIENCE_S
            while time.monotonic() < end:
                with contextlib.suppress(TimeoutError):
                    if connection.recv(1) == b"":
                        break
                connection.sendall(self.part)
                self.sent += 1
        self.has_seen_the_end = time.monotonic() < end


def fetching() -> list[str]:
    """The threads that are still downloading."""
    return [thread.name for thread in threading.enumerate() if thread.name == "cartoonize-fetch"]


def ends_within_a_second(is_over: Callable[[], bool]) -> bool:
    """Wait for it."""
    end = time.monotonic() + 1
    while not is_over() and time.monotonic() < end:
        time.sleep(0.005)
    return is_over()


@pytest.mark.parametrize(
    ("scheme", "is_encrypted", "start", "part"),
    [
        ("https", False, b"\x16\x03\x03\x0f\xff", b"\2"), ("https", True, HEAD, b"x"),
        ("https", True, HEAD + b"\r\n", b"x"), ("http", False, b"", b"x"), ("http", False, HEAD, b"x"),
        ("http", False, HEAD + b"\r\n", b"x"), ("http", False, CHUNKED, b"0"),
        ("http", False, CHUNKED + b"0\r\n", b"a: b\r\n"), ("http", False, b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=[
        "handshake", "headers in TLS", "body in TLS", "status", "headers", "body", "length of a chunk", "trailers",
        "100 Continue",
    ],
)  # fmt: skip
def test_a_drip_is_cut_in_time(
    net: Internet, sites: Sites, scheme: str, is_encrypted: bool, start: bytes, part: bytes
) -> None:
    """Every byte starts the socket's own timeout anew, the total does not; and then nobody goes on reading."""
    drip = Drip(start, part, sites.authority.context("good.test") if is_encrypted else None)
    with socket.create_server((OWN, 0)) as listener:
        net.ports[9001] = listener.getsockname()[1]
        thread = threading.Thread(target=drip.serve, args=(listener,))
        thread.start()
        begun = time.monotonic()
        with pytest.raises(UnreachableError, match="too slow: no end after 0.3 s"):
            get(f"{scheme}://good.test:9001/a", OPEN, total_s=0.3)
        took_s = time.monotonic() - begun
        thread.join(1)
        is_cut = not thread.is_alive()
        thread.join()
    assert took_s < 1.3
    assert is_cut
    assert drip.has_seen_the_end
    assert drip.sent > 0
    assert ends_within_a_second(lambda: not fetching())
