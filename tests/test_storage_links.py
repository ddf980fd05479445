"""The links of object storage, made without a network: their addresses, and what exactly their signatures allow."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from cartoonize_pack.utils.config import load
from cartoonize_pack.utils.errors import ConfigurationError
from cartoonize_pack.utils.hosting import new_name
from cartoonize_pack.utils.hosting.hosts import open_named
from cartoonize_pack.utils.hosting.settings import HostSettings
from cartoonize_pack.utils.hosting.storage import ObjectStorage
from cartoonize_pack.utils.hosting.tables import read_hosts
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from fake_clock import Clock

NAME = new_name("image/png")
SECRET = "secret/key+for=tests"
S3 = {"kind": "s3", "bucket": "photos", "access_key": "KEY", "secret_key": SECRET}
AZURE_KEY = base64.b64encode(b"key for tests " * 4).decode()
AZURE = {"kind": "azure", "container": "photos", "account": "studio", "access_key": AZURE_KEY}
SLOW_S = 120.0  # how much later than its link's second a test may look at it


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the person who runs the tests stay out of them."""
    for name in [n for n in os.environ if n.startswith(("AWS_", "AZURE_", "GOOGLE_"))]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def service_account(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, rsa.RSAPublicKey]:
    """A key file as Google's console hands it out, and what its signatures are checked with."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    account = {
        "type": "service_account",
        "project_id": "studio",
        "private_key_id": "1",
        "private_key": pem,
        "client_email": "pictures@studio.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    path = tmp_path_factory.mktemp("google") / "account.json"
    path.write_text(json.dumps(account))
    return path, key.public_key()


def settings_of(table: dict[str, Any]) -> HostSettings:
    """The host that a table of the configuration describes."""
    return read_hosts({"storage": table}, "config.toml")["storage"]


def opened(table: dict[str, Any]) -> ObjectStorage:
    """The host, opened by its name as the node does."""
    home = Path(os.environ["CARTOONIZE_HOME"])
    home.mkdir()
    rows = [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    (home / "config.toml").write_text("\n".join(["[hosts.storage]", *rows]))
    host = open_named(load(), "storage")
    assert isinstance(host, ObjectStorage)
    return host


def link_of(**table: Any) -> str:
    """A link of such a host; only uploading it would need the network."""
    return ObjectStorage(settings_of(table))._signed(NAME).link


def query_of(link: str) -> dict[str, str]:
    """What stands in the query of a link."""
    return dict(parse_qsl(urlsplit(link).query, strict_parsing=True))


def string_to_sign(link: str, method: str, vendor: str) -> str:
    """What the V4 signature of a link is made of, as S3 and Google document it alike."""
    parts, query = urlsplit(link), query_of(link)
    rest = sorted((name, value) for name, value in query.items() if name != f"X-{vendor}-Signature")
    canonical = "\n".join(
        [
            method,
            parts.path,
            "&".join(f"{quote(name, '-_.~')}={quote(value, '-_.~')}" for name, value in rest),
            f"host:{parts.netloc}\n",
            "host",
            "UNSIGNED-PAYLOAD",
        ]
    )
    scope = query[f"X-{vendor}-Credential"].partition("/")[2]
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return "\n".join([query[f"X-{vendor}-Algorithm"], query[f"X-{vendor}-Date"], scope, digest])


def s3_signature(link: str, method: str, secret: str) -> str:
    """The V4 signature of an S3 link."""
    key = f"AWS4{secret}".encode()
    for part in query_of(link)["X-Amz-Credential"].split("/")[1:]:
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, string_to_sign(link, method, "Amz").encode(), "sha256").hex()


def is_now(text: str, later_s: float = 0.0, pattern: str = "%Y%m%dT%H%M%SZ") -> bool:
    """Whether a time is that of now, or of so much later."""
    stamp = datetime.strptime(text, pattern).replace(tzinfo=timezone.utc).timestamp()
    return -SLOW_S < stamp - later_s - time.time() < 2


# --- S3 and what speaks like it ---------------------------------------------------------------------------------------

OSS = "oss-cn-hangzhou.aliyuncs.com"


@pytest.mark.parametrize(
    ("table", "folder", "region"),
    [
        ({"region": "eu-central-1"}, "https://s3.eu-central-1.amazonaws.com/photos", "eu-central-1"),
        (
            {"region": "eu-central-1", "virtual_host": True},
            "https://photos.s3.eu-central-1.amazonaws.com",
            "eu-central-1",
        ),
        ({"region": "eu-central-1", "prefix": "a/b"}, "https://s3.eu-central-1.amazonaws.com/photos/a/b", None),
        (
            {"endpoint": "https://id.r2.cloudflarestorage.com"},
            "https://id.r2.cloudflarestorage.com/photos",
            "auto",
        ),
        (
            {"endpoint": "https://id.r2.cloudflarestorage.com/", "region": "weur"},
            "https://id.r2.cloudflarestorage.com/photos",
            "weur",
        ),
        (
            {"endpoint": "https://s3.us-west-004.backblazeb2.com", "region": "us-west-004"},
            "https://s3.us-west-004.backblazeb2.com/photos",
            "us-west-004",
        ),
        (
            {"endpoint": "https://s3.us-west-004.backblazeb2.com", "region": "us-west-004", "virtual_host": True},
            "https://photos.s3.us-west-004.backblazeb2.com",
            "us-west-004",
        ),
        ({"endpoint": "http://nas.test:9000", "allow_http": True}, "http://nas.test:9000/photos", "us-east-1"),
        ({"endpoint": f"https://{OSS}", "region": "cn-hangzhou"}, f"https://photos.{OSS}", "cn-hangzhou"),
        ({"endpoint": f"https://photos.{OSS}/", "prefix": "a"}, f"https://photos.{OSS}/a", None),
        ({"session_token": "token of an hour"}, "https://s3.us-east-1.amazonaws.com/photos", "us-east-1"),
    ],
    ids=[
        "AWS",
        "AWS, virtual host",
        "AWS, prefix",
        "R2",
        "R2, own region",
        "B2",
        "B2, virtual host",
        "MinIO",
        "OSS",
        "OSS, bucket in the endpoint",
        "session token",
    ],
)
def test_s3_links_have_each_providers_address_and_are_signed_for_get(
    table: dict[str, Any], folder: str, region: str | None
) -> None:
    """The signature is the documented one, of this method, host, region, token and lifetime; the key is not in it."""
    link = link_of(**S3, **table)
    query = query_of(link)
    assert link.partition("?")[0] == f"{folder}/{NAME}"
    assert query["X-Amz-Credential"].startswith("KEY/")
    assert region in (None, query["X-Amz-Credential"].split("/")[2])
    assert (query["X-Amz-Expires"], query["X-Amz-SignedHeaders"]) == ("86400", "host")
    assert query.get("X-Amz-Security-Token") == table.get("session_token")
    assert is_now(query["X-Amz-Date"])
    assert query["X-Amz-Signature"] == s3_signature(link, "GET", SECRET)
    assert all(query["X-Amz-Signature"] != s3_signature(link, method, SECRET) for method in ("PUT", "DELETE", "HEAD"))
    assert SECRET not in link
    assert quote(SECRET, "") not in link


def test_s3_keys_of_the_environment_serve_a_host_without_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine of AWS: keys, token and region."""
    given = {"ACCESS_KEY_ID": "ENV", "SECRET_ACCESS_KEY": "of env", "SESSION_TOKEN": "token", "REGION": "us-west-2"}
    for name, value in given.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    link = link_of(kind="s3", bucket="photos")
    query = query_of(link)
    assert query["X-Amz-Credential"].startswith("ENV/")
    assert urlsplit(link).hostname == "s3.us-west-2.amazonaws.com"
    assert query["X-Amz-Security-Token"] == "token"
    assert query["X-Amz-Signature"] == s3_signature(link, "GET", "of env")


def test_s3_keys_of_the_file_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them: a token that belongs to other keys makes every request a refused one."""
    given = {"ACCESS_KEY_ID": "ENV", "SECRET_ACCESS_KEY": "of env", "SESSION_TOKEN": "token", "REGION": "us-west-2"}
    for name, value in given.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    link = link_of(**S3, region="eu-central-1")
    query = query_of(link)
    assert query["X-Amz-Credential"].startswith("KEY/")
    assert urlsplit(link).hostname == "s3.eu-central-1.amazonaws.com"
    assert query["X-Amz-Signature"] == s3_signature(link, "GET", SECRET)
    assert "X-Amz-Security-Token" not in query


# --- Google -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lifetime_h", "expires"), [(24, "86400"), (168, "604800"), (0.25, "900")])
@pytest.mark.parametrize("by_environment", [False, True])
def test_google_links_are_signed_by_the_service_account_for_get_only(
    service_account: tuple[Path, rsa.RSAPublicKey],
    monkeypatch: pytest.MonkeyPatch,
    lifetime_h: float,
    expires: str,
    by_environment: bool,
) -> None:
    """Google's document of V4 signing, step by step; the same signature is none for any other method."""
    path, key = service_account
    given = {} if by_environment else {"service_account": str(path)}
    if by_environment:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    link = link_of(kind="gcs", bucket="photos", prefix="in", link_lifetime_h=lifetime_h, **given)
    query = query_of(link)
    assert link.partition("?")[0] == f"https://storage.googleapis.com/photos/in/{NAME}"
    assert query["X-Goog-Credential"].startswith("pictures@studio.iam.gserviceaccount.com/")
    assert query["X-Goog-Credential"].endswith("/storage/goog4_request")
    assert query["X-Goog-Algorithm"] == "GOOG4-RSA-SHA256"
    assert (query["X-Goog-Expires"], query["X-Goog-SignedHeaders"]) == (expires, "host")
    assert is_now(query["X-Goog-Date"])

    def check(method: str) -> None:
        text = string_to_sign(link, method, "Goog").encode()
        key.verify(bytes.fromhex(query["X-Goog-Signature"]), text, padding.PKCS1v15(), hashes.SHA256())

    check("GET")
    for method in ("PUT", "DELETE", "HEAD"):
        with pytest.raises(InvalidSignature):
            check(method)


# --- Azure ------------------------------------------------------------------------------------------------------------


def sas_signature(link: str, path: str, key: str) -> str:
    """The signature of a service SAS for a blob, of its versions since 2020-12-06."""
    query = query_of(link)
    assert query["sv"] >= "2020-12-06"
    fields = [
        query["sp"],
        query.get("st", ""),
        query["se"],
        f"/blob/{path}",
        "",  # no stored policy
        query.get("sip", ""),
        query.get("spr", ""),
        query["sv"],
        query["sr"],
        *[""] * 7,  # no snapshot, no encryption scope, no headers in the place of the blob's own
    ]
    return base64.b64encode(hmac.digest(base64.b64decode(key), "\n".join(fields).encode(), "sha256")).decode()


@pytest.mark.parametrize("by_environment", [False, True])
def test_azure_links_may_read_one_blob_until_they_end(monkeypatch: pytest.MonkeyPatch, by_environment: bool) -> None:
    """A SAS of the account key, with the documented string: reading, this blob, this time; the key is not in it."""
    table: dict[str, Any] = {**AZURE, "prefix": "in", "link_lifetime_h": 2}
    if by_environment:
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", table.pop("account"))
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", table.pop("access_key"))
    link = link_of(**table)
    query = query_of(link)
    assert link.partition("?")[0] == f"https://studio.blob.core.windows.net/photos/in/{NAME}"
    assert (query["sp"], query["sr"]) == ("r", "b")
    assert is_now(query["st"], 0, "%Y-%m-%dT%H:%M:%SZ")
    assert is_now(query["se"], 7200, "%Y-%m-%dT%H:%M:%SZ")
    assert query["sig"] == sas_signature(link, f"studio/photos/in/{NAME}", AZURE_KEY)
    assert query["sig"] != sas_signature(link, f"studio/photos/in/{new_name('image/png')}", AZURE_KEY)
    assert AZURE_KEY not in link


def test_the_azure_account_of_the_file_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever other ways to log in are named there."""
    other = base64.b64encode(b"another key").decode()
    for name, value in {"ACCOUNT_NAME": "other", "ACCOUNT_KEY": other, "SAS_TOKEN": "sv=1&sig=x"}.items():
        monkeypatch.setenv(f"AZURE_STORAGE_{name}", value)
    link = link_of(**AZURE)
    assert urlsplit(link).hostname == "studio.blob.core.windows.net"
    assert query_of(link)["sig"] == sas_signature(link, f"studio/photos/{NAME}", AZURE_KEY)


# --- all kinds --------------------------------------------------------------------------------------------------------


def test_an_upload_knows_when_its_link_ends(clock: Clock) -> None:
    """The clock's time and the lifetime of the configuration."""
    upload = ObjectStorage(settings_of({**S3, "link_lifetime_h": 168}), clock)._signed(NAME)
    assert (upload.name, upload.expires_s) == (NAME, clock.now + 604800)
    assert query_of(upload.link)["X-Amz-Expires"] == "604800"


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({**S3, "link_lifetime_h": 168.1}, "link_lifetime_h is 168.1; links live more than 0 and at most 168"),
        ({**AZURE, "link_lifetime_h": 200}, "link_lifetime_h is 200"),
        ({"kind": "gcs", "bucket": "photos", "link_lifetime_h": 0}, "link_lifetime_h is 0"),
        ({**S3, "link_lifetime_h": -1}, "link_lifetime_h is -1"),
        ({"kind": "s3"}, "bucket not set"),
        ({"kind": "gcs"}, "bucket not set"),
        ({"kind": "azure"}, "container not set"),
        ({**S3, "bucket": "photos/"}, "bucket"),
        ({**AZURE, "container": "photos/in"}, "container"),
        ({**S3, "delete_after": "a day"}, "delete_after is 'a day'; it may be 'result stored'"),
    ],
)
def test_a_host_that_cannot_be_used_says_what_to_set_and_where(table: dict[str, Any], problem: str) -> None:
    """Seven days is the most that S3 and Google sign for; the sentence names the table of the file."""
    with pytest.raises(ConfigurationError) as caught:
        opened(table)
    assert f"The image host 'storage' is not ready: {problem}" in str(caught.value)
    assert f"[hosts.storage] in {Path(os.environ['CARTOONIZE_HOME'], 'config.toml')}" in str(caught.value)


@pytest.mark.parametrize(
    "table",
    [
        {**S3, "endpoint": "s3 of the studio"},
        {**S3, "endpoint": "nas.test:9000"},
        {**AZURE, "access_key": "no base64, a secret"},
        {"kind": "gcs", "bucket": "photos", "service_account": "missing.json"},
        {"kind": "gcs", "bucket": "photos", "service_account": "empty.json"},
    ],
    ids=["no address", "no scheme", "Azure key", "no key file", "empty key file"],
)
def test_a_slip_in_the_description_is_a_matter_of_configuration(
    table: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that trying again would help; the sentence names the host and holds no key."""
    monkeypatch.chdir(tmp_path)
    Path("empty.json").write_text("{}")
    with pytest.raises(ConfigurationError, match="'storage'") as caught:
        opened(table)._signed(NAME)
    assert "a secret" not in str(caught.value)


def test_descriptions_do_not_show_their_keys() -> None:
    """In logs and tracebacks they are seen as `repr`."""
    for table in ({**S3, "session_token": "token of an hour"}, AZURE):
        text = repr(settings_of(table))
        assert "photos" in text
        assert not [secret for secret in (SECRET, AZURE_KEY, "token of an hour", "'KEY'") if secret in text]
