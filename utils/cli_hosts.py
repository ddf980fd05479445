"""`portrait-cartoonize hosts`: the image hosts of this machine, tried out and cleaned up from a terminal."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from . import config
from .backend import open_host, open_journal
from .config import Config
from .hosting.hosts import settings_of
from .hosting.self_test import steps
from .hosting.uploads import PENDING, Uploads
from .monitor import count
from .overview import host_rows
from .records import State
from .terminal import say, show, show_json, show_steps


def hosts(arguments: Sequence[str]) -> int:
    """Run one of the commands below and return the exit code."""
    options = _parser().parse_args(arguments)
    settings = config.load()
    return int(options.run(options, settings))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="portrait-cartoonize hosts",
        description="The image hosts of this machine: where Image to URL puts pictures.",
    )
    parser.set_defaults(run=_list)
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")
    commands = parser.add_subparsers(metavar="COMMAND")
    testing = commands.add_parser(
        "test", help="upload a small picture, fetch it without credentials, and delete it again"
    )
    testing.add_argument("name", metavar="NAME")
    testing.set_defaults(run=_test)
    purging = commands.add_parser("purge", help="delete what was uploaded and is not needed any more")
    purging.add_argument("name", metavar="NAME", nargs="?", help="of one host only")
    purging.add_argument("--all", action="store_true", help="also what unfinished tasks may still need")
    purging.add_argument(
        "--forget",
        action="store_true",
        help="forget what cannot be deleted, as of a host that is not described any more",
    )
    purging.set_defaults(run=_purge)
    for command in (testing, purging):
        command.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON, for scripts")
    return parser


@dataclass(frozen=True)
class _Row:
    """A host as the list shows it; what nobody describes any more has no kind."""

    name: str
    uploads: int
    ready: bool = False
    problem: str = "not described any more"
    auto: bool = False
    kind: str = ""
    public: bool = False
    link_lifetime_h: float = 0.0
    delete_after: str = ""


def _list(options: argparse.Namespace, settings: Config) -> int:
    rows = _rows(settings)
    if options.json:
        show_json([asdict(row) for row in rows])
        return 0
    for row in rows:
        marks = ["ready"] + ["auto"] * row.auto + ["public"] * row.public
        state = ", ".join(marks) if row.ready else f"not ready: {row.problem}"
        show(f"{row.name:16}  {row.kind or '-':8}  {count(row.uploads, 'upload'):11}  {state}")
    return 0


def _rows(settings: Config) -> list[_Row]:
    there = Uploads(settings).registry.counts()
    rows = [
        _Row(
            row.name,
            there.pop(row.name, 0),
            row.ready,
            row.problem,
            row.auto,
            row.kind,
            row.public,
            settings.hosts[row.name].link_lifetime_h,
            settings.hosts[row.name].delete_after,
        )
        for row in host_rows(settings)
    ]
    return rows + [_Row(name, uploads) for name, uploads in there.items()]


def _test(options: argparse.Namespace, settings: Config) -> int:
    profile = settings.described(config.AUTO)
    tried = steps(open_host(settings, options.name, profile), profile.allow_hosts)
    return show_steps(tried, as_json=options.json)


def _purge(options: argparse.Namespace, settings: Config) -> int:
    uploads = Uploads(settings)
    registry, name = uploads.registry, options.name
    there = registry.counts()
    if name is not None and name not in there:
        settings_of(settings, name)  # one that nobody knows is a mistake
    submissions = [] if options.all else open_journal(settings).submissions()
    open_ones = [s for s in submissions if s.state in (State.ACCEPTED, State.SENDING, State.UNKNOWN)]
    needed_by = {(s.service, task) for s in open_ones for task in (s.task_id, PENDING + s.key)}
    records = registry.take(name, needed_by)
    problems = uploads.delete(records)
    left = registry.counts()
    deleted = sum(there.values()) - sum(left.values())
    if options.forget:
        registry.forget([record.number for record in records if record.host in problems])
        left = registry.counts()
    failed = bool(problems) and not options.forget
    still_there = sum(n for host, n in left.items() if name in (None, host))
    if options.json:
        show_json({"deleted": deleted, "left": still_there, "problems": problems})
        return int(failed)
    why = " (unfinished tasks need them: --all deletes them, too)" if still_there and not problems else ""
    say(f"{count(deleted, 'upload')} deleted, {still_there} left{why}")
    for host, problem in problems.items():
        say(f"{'error' if failed else 'forgotten'}: {host}: {problem}")
    return int(failed)
