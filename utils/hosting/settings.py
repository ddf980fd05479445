"""Image hosts as the configuration describes them: one frozen dataclass a kind, whose fields are the file's keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar
from urllib.parse import urlsplit

from ..secret import Secret

LOCAL, COMFYUI = "local", "comfyui"
RESULT_STORED = "result stored"
MAX_LIFETIME_H = 168.0  # 7 days, the most that S3 and Google sign for
_WITHOUT_BLANKS = (
    "bucket", "container", "account", "prefix", "endpoint", "region", "access_key", "secret_key", "session_token",
)  # fmt: skip
NO_SECRET = Secret("")


@dataclass(frozen=True)
class HostSettings:
    """What all kinds have: how long links live, and whether an upload is deleted when its result is stored."""

    kind: ClassVar[str]
    name: str
    link_lifetime_h: float = 24.0
    delete_after: str = ""
    public: bool | None = False
    allow_http: bool = False

    @property
    def lifetime_s(self) -> float:
        """How long a link works, in seconds."""
        return self.link_lifetime_h * 3600.0

    @property
    def can_delete(self) -> bool:
        """Whether an upload can be deleted there."""
        return True

    @property
    def names_pictures(self) -> bool:
        """Whether the name of an upload is ours, so that one that broke off can be deleted."""
        return True

    def with_environment(self, env: Mapping[str, str]) -> HostSettings:
        """Return the settings as the environment completes them; credentials are looked up when a host is used."""
        variables = {f.name: f.metadata["variable"] for f in fields(self) if "variable" in f.metadata}
        found: dict[str, Any] = {
            key: getattr(self, key) or env.get(variable, "") for key, variable in variables.items()
        }
        return replace(self, allow_http=self.allow_http or env.get("CARTOONIZE_ALLOW_HTTP") == "1", **found)

    def problem(self) -> str:
        """Return what keeps the host from being used, in words; empty if nothing does."""
        required = [f.name for f in fields(self) if f.metadata.get("required") and not getattr(self, f.name)]
        if required:
            return f"{', '.join(required)} not set"
        if not 0 < self.link_lifetime_h <= MAX_LIFETIME_H:
            return f"link_lifetime_h is {self.link_lifetime_h:g}; links live more than 0 and at most {MAX_LIFETIME_H:g}"
        if self.delete_after not in ("", RESULT_STORED):
            return f"delete_after is {self.delete_after!r}; it may be {RESULT_STORED!r}, or be left out"
        return self._text_problem()

    def _text_problem(self) -> str:
        """Return which of the texts nobody could mean so, in words: libraries break on them in ways of their own."""
        for key in (f.name for f in fields(self)):
            value = getattr(self, key)
            text = value.reveal() if isinstance(value, Secret) else value if isinstance(value, str) else ""
            if key in _WITHOUT_BLANKS and re.search(r"[^!-~]", text):
                return f"{key} has a blank, a line break or another character that cannot be in it"
            if key in ("bucket", "container") and not re.fullmatch(r"[A-Za-z0-9._-]+", text):
                return f"{key} is {text!r}; it is a name alone, what comes after a slash is the prefix"
        return ""


def _required() -> str:
    return field(default="", metadata={"required": True})


def _or_variable(name: str) -> str:
    """Return a field that an environment variable fills, if the file leaves it out."""
    return field(default="", metadata={"variable": name})


@dataclass(frozen=True)
class LocalSettings(HostSettings):
    """The pictures of the embedded service."""

    kind: ClassVar[str] = LOCAL


@dataclass(frozen=True)
class ComfyUISettings(HostSettings):
    """ComfyUI's own server, for people whose ComfyUI can be reached from outside at `public_url`."""

    kind: ClassVar[str] = COMFYUI
    public_url: str = _or_variable("CARTOONIZE_PUBLIC_URL")

    def problem(self) -> str:
        """Return what keeps the host from being used, in words; empty if nothing does."""
        if not self.public_url:
            return "public_url (or CARTOONIZE_PUBLIC_URL), under which the service can reach this ComfyUI, is not set"
        return super().problem() or url_problem(self.public_url, self.allow_http, "public_url")


@dataclass(frozen=True)
class S3Settings(HostSettings):
    """S3 and what speaks like it; without keys those of the environment (AWS_ACCESS_KEY_ID, …) are used."""

    kind: ClassVar[str] = "s3"
    bucket: str = _required()
    prefix: str = ""
    endpoint: str = _or_variable("AWS_ENDPOINT_URL")
    region: str = ""
    access_key: Secret = NO_SECRET
    secret_key: Secret = NO_SECRET
    session_token: Secret = NO_SECRET
    virtual_host: bool = False

    def problem(self) -> str:
        """Return what keeps the host from being used, in words; empty if nothing does."""
        has_half = bool(self.access_key) != bool(self.secret_key)
        endpoint = url_problem(self.endpoint, self.allow_http, "endpoint") if self.endpoint else ""
        return super().problem() or endpoint or "access_key and secret_key belong together" * has_half


@dataclass(frozen=True)
class GcsSettings(HostSettings):
    """Google Cloud Storage; `service_account` is a key file, else GOOGLE_APPLICATION_CREDENTIALS names one."""

    kind: ClassVar[str] = "gcs"
    bucket: str = _required()
    prefix: str = ""
    service_account: str = ""


@dataclass(frozen=True)
class AzureSettings(HostSettings):
    """Azure Blob; without account and key those of the environment (AZURE_STORAGE_ACCOUNT_NAME, …_KEY) are used."""

    kind: ClassVar[str] = "azure"
    container: str = _required()
    prefix: str = ""
    account: str = _or_variable("AZURE_STORAGE_ACCOUNT_NAME")
    access_key: Secret = NO_SECRET

    def problem(self) -> str:
        """Return what keeps the host from being used, in words; empty if nothing does."""
        missing = "" if self.account else "account (or AZURE_STORAGE_ACCOUNT_NAME) not set"
        return super().problem() or missing


StorageSettings = S3Settings | GcsSettings | AzureSettings


def url_problem(url: str, allow_http: bool, name: str) -> str:
    """Return what is wrong with an address, in words; empty if nothing is."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return f"{name} is not an address"
    if parts.scheme != "https" and not (allow_http and parts.scheme == "http"):
        return f"{name} must start with https:// (set allow_http or CARTOONIZE_ALLOW_HTTP=1 to permit http)"
    if not host or parts.username or parts.password:
        return f"{name} must name a host, without user name or password"
    return ""
