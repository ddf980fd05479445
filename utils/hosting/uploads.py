"""The life of uploads after they were handed on: which tasks need them, and their end."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future

from ..config import Config
from ..errors import CartoonizeError, ConfigurationError
from ..home import ensure_home
from ..logs import logger
from ..threads import start, within
from . import ImageHost
from .hosts import open_named
from .records import Record

SPARE_S = 600.0  # how long an upload stays that no task needs any more: other branches of the graph may want it
RENEW_FILE = "uploads.renew"
_DELETING_S = 10.0  # how long finished pictures wait for uploads to be deleted; the deleting goes on behind it
PENDING = "pending "  # in front of the key of work that is being sent, in the place of its task id
_log = logger(__name__)


class Uploads:
    """The uploads of one state folder."""

    def __init__(self, config: Config, clock: Callable[[], float] = time.time) -> None:
        from .registry import Registry  # sqlite3 is imported when it is needed

        self._config = config
        self._clock = clock
        self.registry = Registry(config.home, clock)

    def note_uses(self, service: str, tasks: Mapping[str, Sequence[str]]) -> None:
        """Note which tasks need which links; where that is not possible, they are merely deleted at another time."""
        self._noted(lambda: self.registry.note_uses(service, tasks), tasks)

    def drop_uses(self, service: str, task_ids: Collection[str]) -> None:
        """Forget what was noted of tasks that there are not."""
        self._noted(lambda: self.registry.drop_uses(service, task_ids), task_ids)

    def gone(self, links: Sequence[str]) -> set[str]:
        """Return the links whose uploads this machine has deleted, as far as it knows."""
        try:
            return self.registry.gone(links)
        except ConfigurationError as error:
            _log.warning("It is not known which uploads are gone: %s", error)
            return set()

    def _noted(self, write: Callable[[], None], task_ids: Collection[str]) -> None:
        try:
            if task_ids:
                write()
        except ConfigurationError as error:
            _log.warning("It is not noted which uploads %s needs: %s", ", ".join(task_ids), error)

    def end_of(self, service: str, tasks: Mapping[str, bool]) -> None:
        """Note that all results of tasks are stored, and delete the uploads that nothing needs any more.

        Only hosts with delete_after = "result stored" are concerned. `tasks` says of each whether its results came only
        now: those of earlier runs delete nothing at once, because another branch of the same graph may be about to
        submit the same upload. Nothing here may stop the results on their way.
        """
        try:
            ended = [task_id for task_id in tasks if self.registry.note_stored(service, task_id)]
            if ended:
                spare_s = 0.0 if any(tasks[task_id] for task_id in ended) else SPARE_S
                within(_DELETING_S, lambda: self._delete_leftovers(spare_s), "uploads")
        except (CartoonizeError, TimeoutError) as error:
            _log.warning("Uploads of task %s are deleted later: %s", ", ".join(tasks), error)

    def sweep(self) -> Future[None]:
        """Begin to delete what has expired or is not needed any more, beside the caller."""
        return start(lambda: self._delete_leftovers(SPARE_S), "sweep")

    def _delete_leftovers(self, spare_s: float) -> None:
        try:
            records = self.registry.take_leftovers(spare_s)
            hopeless = [record for record in records if self._is_hopeless(record)]
            self.registry.forget([record.number for record in hopeless])
            problems = self.delete(record for record in records if record not in hopeless)
        except CartoonizeError as error:
            problems = {"uploads": str(error)}
        except Exception as error:  # noqa: BLE001  # whatever it is: pictures are on their way, or nobody is listening
            problems = {"uploads": f"{type(error).__name__}: {error}"}
        for host, problem in problems.items():
            _log.warning("Uploads at %r are deleted later: %s", host, problem)

    def _is_hopeless(self, record: Record) -> bool:
        """Whether nothing can be deleted: purge tells that, a warning at every run would help nobody."""
        settings = self._config.hosts.get(record.host)
        return settings is not None and not (settings.can_delete and (record.is_done or settings.names_pictures))

    def delete(self, records: Iterable[Record]) -> dict[str, str]:
        """Delete uploads that were taken from the registry; returns the hosts where that failed, with the reason.

        What could not be deleted stays in the registry, for the next time.
        """
        by_place: dict[tuple[str, str], list[Record]] = {}
        for record in records:
            by_place.setdefault((record.host, record.identity), []).append(record)
        problems: dict[str, str] = {}
        for (name, identity), uploads in by_place.items():
            deleted: list[int] = []
            try:
                host = self._host(name, identity)
                for record in uploads:
                    try:
                        if not self.registry.is_shared(record):
                            host.delete(record.upload)
                        deleted.append(record.number)
                    except ConfigurationError as error:  # of this one; the others need not wait for it
                        problems[name] = str(error)
            except CartoonizeError as error:
                problems[name] = str(error)
            self.registry.forget(deleted)
        return problems

    def _host(self, name: str, identity: str) -> ImageHost:
        """Return the host of uploads; raises ConfigurationError if it is not described any more, or is another one."""
        host = open_named(self._config, name, "https://unused.invalid")  # deleting needs no public address
        if host.identity != identity:
            msg = f"The image host {name!r} is another place now than when these were uploaded."
            raise ConfigurationError(msg)
        return host

    # Links that ComfyUI remembers

    def age_of_links(self, host: str | None) -> str:
        """Return a text that changes when links of a host that were handed on before should be made anew.

        That is twice in their lifetime, and after `renew_links`. None is a host that is not known yet: the one with the
        shortest lifetime decides.
        """
        hosts = self._config.hosts
        known = [hosts[host]] if host and host in hosts else list(hosts.values())
        half_life_s = max(1.0, min(settings.lifetime_s for settings in known) / 2)
        try:
            asked = (self._config.home / RENEW_FILE).stat().st_mtime_ns
        except OSError:
            asked = 0
        return f"{int(self._clock() / half_life_s)} {asked}"

    def renew_links(self) -> None:
        """Let the next run make all links anew: one that was handed on does not work any more."""
        try:
            ensure_home(self._config.home)
            (self._config.home / RENEW_FILE).touch(mode=0o600)
        except (OSError, ConfigurationError) as error:
            _log.warning("Links are not made anew: %s", error)
