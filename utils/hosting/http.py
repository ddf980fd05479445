"""A host that takes uploads over HTTP, as the configuration describes it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from urllib.parse import urljoin, urlsplit

from ..addresses import ENVIRONMENT, Policy
from ..download import peek
from ..errors import ConfigurationError, InputError, UnreachableError
from ..formats import kind_of
from ..redaction import without_query
from ..secret import HiddenTable
from . import Upload
from .exchange import Exchange
from .http_settings import HttpSettings
from .template import Reply, Template, TemplateError

_PEEK_S = 30.0


class HttpHost:
    """PUT to an address with the picture's name in it, or POST of a form; see `HttpSettings`."""

    def __init__(self, settings: HttpSettings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        hosts = (
            urlsplit(text).hostname for text in (settings.url, settings.link, settings.delete_url)
        )  # as the operator says
        self._policy = Policy(settings.allow_http, tuple(host for host in hosts if host), proxy=ENVIRONMENT)
        self._exchange = Exchange(settings, self._policy)

    @property
    def identity(self) -> str:
        """A digest of the address, which may hold a key; without its query, where a key changes."""
        return f"http {hashlib.sha256(without_query(self._settings.url).encode()).hexdigest()[:32]}"

    def put(self, name: str, data: bytes, media_type: str) -> Upload:
        """Upload the bytes; the link stands where the configuration says."""
        settings, url = self._settings, self._url_of(name)
        words = {"name": name, "upload_url": url}
        if settings.method == "PUT":
            reply = self._exchange.reply("PUT", url, data=data, headers={"Content-Type": media_type})
        else:
            file = {settings.file_field: (name, data, media_type)}
            fields = self._texts("fields", settings.fields, words)
            reply = self._exchange.reply("POST", url, data=fields, files=file)
        link = words["link"] = self._link(words, reply)
        if not link:
            msg = (
                f"The image host {settings.name!r} did not reply with a link: {self._exchange.quoted(reply)}. "
                "Check link of its description."
            )
            raise ConfigurationError(msg)
        removal = self._removal(words, reply)
        if self._exchange.has_key(link) or self._exchange.has_key(removal):
            del link, removal, words  # tracebacks may show variables
            msg = f"The image host {settings.name!r} replied with a link that holds its key: it is not handed on."
            raise ConfigurationError(msg)
        return Upload(name, link, self._clock() + settings.lifetime_s, removal)

    def renewed(self, upload: Upload) -> Upload | None:
        """Return the upload if its link still leads to a picture and will for half of its lifetime."""
        if upload.expires_s - self._clock() < self._settings.lifetime_s / 2:
            return None
        try:
            found = peek(upload.link, self._policy, first_bytes=16, total_s=_PEEK_S)
        except (InputError, UnreachableError):
            return None
        return upload if found.status in (200, 206) and kind_of(found.head) else None

    def delete(self, upload: Upload) -> None:
        """Remove the upload; raises ConfigurationError if the configuration does not say how."""
        settings, words = self._settings, {"name": upload.name, "upload_url": self._url_of(upload.name)}
        if not settings.can_delete:
            msg = f"The image host {settings.name!r} has no delete_url: what was uploaded stays there."
            raise ConfigurationError(msg)
        words |= {"link": upload.link} if upload.link else {}
        words |= json.loads(upload.removal or "{}")
        try:
            if not upload.link and "{link}" in (settings.delete_url, *settings.delete_fields.values()):
                words["link"] = self._filled("link", settings.link, words)
            url, fields = self._delete_url(words), self._texts("delete_fields", settings.delete_fields, words)
        except ConfigurationError as error:
            if not upload.link:
                error.amend("", " This upload broke off before the reply that would say how: it may still be there.")
            raise
        self._exchange.reply(settings.delete_method, url, data=fields, gone_is_fine=True)

    def _link(self, words: Mapping[str, str], reply: Reply) -> str:
        """Return the link of an upload, empty if there is none."""
        text = self._filled("link", self._settings.link, words, reply)
        is_word = self._settings.link.strip() == "{text}" and not text.startswith(("http://", "https://", "/"))
        return "" if is_word else _address(words["upload_url"], text)

    def _removal(self, words: Mapping[str, str], reply: Reply) -> str:
        """Return what of the reply is needed to delete the upload; what the configuration holds stays there."""
        settings = self._settings
        if not settings.can_delete:
            return ""
        texts = {"delete_url": settings.delete_url}
        texts |= {f"delete_fields.{name}": text for name, text in settings.delete_fields.items()}
        parts = {part: key for key, text in texts.items() for part in Template(text).parts if part not in words}
        found = {part: self._filled(key, f"{{{part}}}", words, reply) for part, key in parts.items()}
        self._delete_url({**words, **found})  # to be told now, and not when it is needed
        return json.dumps(found)

    def _delete_url(self, words: Mapping[str, str]) -> str:
        url = _address(words["upload_url"], self._filled("delete_url", self._settings.delete_url, words))
        if not url:
            msg = f"The image host {self._settings.name!r}: delete_url is no address. Check its description."
            raise ConfigurationError(msg)
        return url

    def _url_of(self, name: str) -> str:
        return self._filled("url", self._settings.url, {"name": name})

    def _texts(
        self, key: str, texts: Mapping[str, str], words: Mapping[str, str], reply: Reply | None = None
    ) -> dict[str, str]:
        return HiddenTable({name: self._filled(f"{key}.{name}", text, words, reply) for name, text in texts.items()})

    def _filled(self, key: str, text: str, words: Mapping[str, str], reply: Reply | None = None) -> str:
        try:
            return Template(text).filled(words, reply)
        except TemplateError as error:
            said = f" It said: {self._exchange.quoted(reply)}." if reply else ""
            msg = f"The image host {self._settings.name!r}: {key} {error}.{said} Check its description."
            raise ConfigurationError(msg) from None


def _address(base: str, text: str) -> str:
    """Return the address that a text means beside another one, empty if it means none."""
    try:
        url = urljoin(base, text) if text else ""
        parts = urlsplit(url)
    except ValueError:
        return ""
    is_one = parts.scheme in ("http", "https") and parts.hostname and not any(c.isspace() for c in url)
    return url if is_one else ""
