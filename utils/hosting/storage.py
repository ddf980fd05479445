"""Object storage as image host: S3 and what speaks like it, Google Cloud Storage, Azure Blob.

The only module that knows obstore, which the extra `storage` installs.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..errors import ConfigurationError, UnreachableError
from ..secret import HiddenTable
from . import Upload
from .settings import GcsSettings, S3Settings, StorageSettings

if TYPE_CHECKING:
    from obstore.store import AzureStore, GCSStore, S3Store

# One request for each picture: a part of a broken multipart upload stays in the bucket, unseen. Hence the long timeout.
_CLIENT = {"connect_timeout": timedelta(seconds=10), "timeout": timedelta(seconds=600)}
_RETRY: Any = {"max_retries": 3, "retry_timeout": timedelta(seconds=60)}
_SAID = re.compile(r"<Message>(.*?)</Message>", re.DOTALL)
_CAUSE = re.compile(r'message: "([^"]{1,200})"')
_REFUSED = re.compile(  # answers of the storage, and what the library says of keys that it cannot use
    r"status code: 4(?!08|29)\d\d|[Cc]redential|Access Key|service account|Unable to parse url"
    r"|must be specified"
)
_NO_KEYS = re.compile(r"169\.254\.169\.254|metadata")  # where a machine is asked for its role


class ObjectStorage:
    """A bucket or container; links are signed for GET only."""

    def __init__(self, settings: StorageSettings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        with _errors_of(settings.name):
            self._store = _opened(settings)

    @property
    def identity(self) -> str:
        """Endpoint, bucket and prefix."""
        return identity_of(self._settings)

    def put(self, name: str, data: bytes, media_type: str) -> Upload:
        """Keep the bytes; the type and a cache header go with them, and nothing else."""
        attributes = {"Content-Type": media_type, "Cache-Control": "private, no-store"}
        with _errors_of(self._settings.name):
            self._store.put(name, data, attributes=attributes, use_multipart=False)
        return self._signed(name)

    def renewed(self, upload: Upload) -> Upload | None:
        """Return the upload with a newly signed link.

        Keys that may not list are told 403 of an object that is gone (S3's HeadObject), so it is uploaded again then.
        """
        from obstore.exceptions import PermissionDeniedError

        with _errors_of(self._settings.name):
            try:
                self._store.head(upload.name)
            except (FileNotFoundError, PermissionDeniedError):
                return None
        return self._signed(upload.name)

    def delete(self, upload: Upload) -> None:
        """Remove the object."""
        with _errors_of(self._settings.name):
            try:
                self._store.delete(upload.name)
            except FileNotFoundError:
                return

    def _signed(self, name: str) -> Upload:
        import obstore

        lifetime_s = self._settings.lifetime_s
        expires_s = self._clock() + lifetime_s
        with _errors_of(self._settings.name):
            link = obstore.sign(self._store, "GET", name, timedelta(seconds=lifetime_s))
        return Upload(name, link, expires_s, is_signed=True)


def identity_of(settings: StorageSettings) -> str:
    """Return endpoint, bucket and prefix of the settings."""
    if isinstance(settings, S3Settings):
        return f"s3 {settings.endpoint or 'aws'} {settings.bucket}/{settings.prefix}"
    if isinstance(settings, GcsSettings):
        return f"gcs {settings.bucket}/{settings.prefix}"
    return f"azure {settings.account} {settings.container}/{settings.prefix}"


def s3_config(settings: S3Settings) -> dict[str, Any]:
    """Return the settings in obstore's words; what is left out comes from the environment.

    obstore uses an endpoint as it is, so one for virtual hosts must have the bucket in it; Aliyun takes no others.
    """
    endpoint = settings.endpoint.rstrip("/")
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    virtual_host = settings.virtual_host or host.endswith(".aliyuncs.com")
    if virtual_host and host and not host.startswith(f"{settings.bucket}."):
        endpoint = f"{parts.scheme}://{settings.bucket}.{parts.netloc}"
    region = settings.region or ("auto" if host.endswith(".cloudflarestorage.com") else "")
    given = {"endpoint": endpoint, "region": region}
    return {name: value for name, value in given.items() if value} | {"virtual_hosted_style_request": virtual_host}


def _s3_keys(settings: S3Settings) -> dict[str, Any]:
    """Return the keys of the settings, if they have any: all of them, so that none of the environment joins in."""
    if not settings.access_key:
        return {}
    keys = HiddenTable(
        {
            "access_key_id": settings.access_key.reveal(),
            "secret_access_key": settings.secret_key.reveal(),
            "token": settings.session_token.reveal() or None,
            "expires_at": None,
        }
    )
    return {"credential_provider": lambda: keys}


def _opened(settings: StorageSettings) -> S3Store | GCSStore | AzureStore:
    from obstore.store import AzureStore, GCSStore, S3Store

    client = {**_CLIENT, "allow_http": settings.allow_http}
    shared: dict[str, Any] = {"client_options": client, "retry_config": _RETRY}
    if isinstance(settings, S3Settings):
        s3: Any = s3_config(settings)
        return S3Store(settings.bucket, prefix=settings.prefix or None, config=s3, **_s3_keys(settings), **shared)
    if isinstance(settings, GcsSettings):
        account: dict[str, Any] = {"service_account": settings.service_account} if settings.service_account else {}
        return GCSStore(settings.bucket, prefix=settings.prefix or None, **account, **shared)
    given = HiddenTable({"account_name": settings.account, "account_key": settings.access_key.reveal()})
    config: Any = HiddenTable({name: value for name, value in given.items() if value})
    return AzureStore(settings.container, prefix=settings.prefix or None, config=config, **shared)


@contextmanager
def _errors_of(name: str) -> Iterator[None]:
    """Turn what obstore raises into the pack's errors, as sentences."""
    import obstore.exceptions as raised

    try:
        yield
    except FileNotFoundError as error:
        msg = f"The image host {name!r} has no such bucket or container. {_said(error)}"
        raise ConfigurationError(msg) from None
    except (raised.PermissionDeniedError, raised.UnauthenticatedError) as error:
        msg = f"The image host {name!r} refuses the keys, or they may not do this. {_said(error)}"
        raise ConfigurationError(msg) from None
    except (raised.BaseError, ValueError) as error:
        has_no_keys = _NO_KEYS.search(str(error))
        is_refused = has_no_keys or isinstance(error, ValueError) or _REFUSED.search(str(error))
        words = "refuses this" if is_refused else "cannot be reached, or does not answer as it should"
        if has_no_keys:
            words = "has no keys: neither its description nor the environment has any, and this machine has no role"
        msg = f"The image host {name!r} {words}. {_said(error)}"
        raise (ConfigurationError if is_refused else UnreachableError)(msg) from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of Rust, for values that it did not expect
            raise
        msg = f"The image host {name!r} cannot be used: a key or an address of it has characters that cannot be in it."
        raise ConfigurationError(msg) from None


def _said(error: Exception) -> str:
    """Return what the storage or the network said, without the library's inner life."""
    text, _, source = str(error).partition("\n\nDebug source")
    if said := _SAID.search(text):
        return f"It says: {said[1].strip()[:300]}"
    cause = _CAUSE.search(source)
    return text.rpartition(" - ")[2].strip()[:300] + (f" ({cause[1]})" if cause else "")
