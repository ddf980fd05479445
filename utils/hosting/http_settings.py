"""An HTTP upload host as the configuration describes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar
from urllib.parse import urlsplit

from ..secret import Secret
from .settings import NO_SECRET, HostSettings, url_problem
from .template import Template, TemplateError

# They publish what they get, or keep it for ever: only somebody who knows that may put faces there.
_PUBLIC_DOMAINS = (
    "0x0.st", "catbox.moe", "file.io", "freeimage.host", "gofile.io", "imgbb.com", "imgur.com", "imgbox.com",
    "pixeldrain.com", "postimages.org", "sm.ms", "temp.sh", "tmpfiles.org", "transfer.sh", "uguu.se",
)  # fmt: skip


@dataclass(frozen=True)
class HttpSettings(HostSettings):
    """A host that takes uploads over HTTP; see `template` for what may stand in braces."""

    kind: ClassVar[str] = "http"
    url: str = field(default="", repr=False, metadata={"required": True})
    method: str = "PUT"
    link: str = field(default="", repr=False, metadata={"required": True})
    file_field: str = "file"
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    user: str = ""
    password: Secret = NO_SECRET
    delete_url: str = field(default="", repr=False)
    delete_method: str = "DELETE"
    delete_fields: Mapping[str, str] = field(default_factory=dict, repr=False)
    public: bool | None = None  # to be decided by whoever configures it

    @property
    def can_delete(self) -> bool:
        """Whether the description says how."""
        return bool(self.delete_url)

    @property
    def names_pictures(self) -> bool:
        """Whether the address of an upload is ours."""
        return self.method == "PUT"

    def problem(self) -> str:
        """Return what keeps the host from being used, in words; empty if nothing does."""
        if self.delete_after and not self.can_delete:
            return "delete_after needs delete_url"
        return super().problem() or self._method_problem() or self._text_problems() or self._public_problem()

    def _method_problem(self) -> str:
        if self.method not in ("PUT", "POST"):
            return f"method is {self.method!r}; it may be 'PUT' or 'POST'"
        if self.method == "PUT" and "{name}" not in self.url:
            return "url must contain {name} for PUT: it is where each picture goes"
        if self.delete_method not in ("DELETE", "POST", "PUT", "GET"):
            return f"delete_method is {self.delete_method!r}; it may be 'DELETE', 'POST', 'PUT' or 'GET'"
        return ""

    def _text_problems(self) -> str:
        texts = {"url": self.url, "link": self.link, "delete_url": self.delete_url}
        texts |= {f"fields.{name}": text for name, text in self.fields.items()}
        texts |= {f"delete_fields.{name}": text for name, text in self.delete_fields.items()}
        for key, text in texts.items():
            try:
                unknown = set(Template(text).parts) - ({"name"} if key == "url" else {"name", "upload_url"})
            except TemplateError as error:
                return f"{key} {error}"
            if unknown and (key == "url" or key.startswith("fields.")):
                return f"{key} cannot have {{{min(unknown)}}}: there is no reply before the upload"
        for name, text in self.headers.items():
            if not re.fullmatch(r"[!-~]+", name) or not re.fullmatch(r"[ -~\t\u00a0-\u00ff]*", text):
                return f"headers.{name} has a character that cannot be in a header"
        return url_problem(self.url, self.allow_http, "url")

    def _public_problem(self) -> str:
        host = (urlsplit(self.url).hostname or "").rstrip(".")
        is_known = any(host == domain or host.endswith("." + domain) for domain in _PUBLIC_DOMAINS)
        if self.public is None or (is_known and not self.public):
            known = f"{host} is a public host" if is_known else "it does not say whether the host is public"
            return f"{known}. Set public = true if others may see the pictures there, or they are kept for ever" + (
                "" if is_known else "; public = false if it is your own and nobody guesses its links"
            )
        return ""
