"""`portrait-cartoonize profiles`: the services of this machine, added, tried out and removed from a terminal."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict

from . import config, profile_entry, profile_trial
from .errors import InputError
from .home import ADDED_FILE, home_of
from .overview import ProfileRow, profile_rows
from .secret import HiddenTable
from .terminal import say, show, show_json, show_steps

_QUESTIONS = {
    "create_url": "Address that creates a task (create_url): ",
    "result_url": "Address of its result, with {task_id} (result_url): ",
    "app_key": "App key: ",
}


def profiles(arguments: Sequence[str]) -> int:
    """Run one of the commands below and return the exit code."""
    options = _parser().parse_args(arguments)
    return int(options.run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="portrait-cartoonize profiles",
        description="The profiles of this machine: services, their addresses and key pairs. Keys are never shown, and "
        "never given as arguments, which other programs can see.",
    )
    parser.set_defaults(run=_list)
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")
    commands = parser.add_subparsers(metavar="COMMAND")
    testing = commands.add_parser("test", help="ask its service, without spending anything, and look at its image host")
    testing.add_argument("name", metavar="NAME")
    testing.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON, for scripts")
    testing.set_defaults(run=_test)
    adding = commands.add_parser("add", help="add a service, or replace the whole of one that was added")
    adding.add_argument("name", metavar="NAME")
    adding.add_argument("--host", default="", help="the image host that 'auto' means for it")
    source = adding.add_mutually_exclusive_group()
    source.add_argument(
        "--from-env",
        action="store_true",
        help="take the values from CARTOONIZE_CREATE_URL, CARTOONIZE_RESULT_URL, CARTOONIZE_APP_KEY and "
        "CARTOONIZE_APP_SECRET instead of asking for them",
    )
    source.add_argument(
        "--from-stdin", action="store_true", help=f"read them as a JSON object: {', '.join(profile_entry.FIELDS)}"
    )
    adding.set_defaults(run=_add)
    removing = commands.add_parser("remove", help="remove a service that was added, and its keys")
    removing.add_argument("name", metavar="NAME")
    removing.set_defaults(run=_remove)
    return parser


def _list(options: argparse.Namespace) -> int:
    settings = config.load()
    rows = profile_rows(settings)
    if options.json:
        show_json([{**asdict(row), "auto": row.name == settings.default} for row in rows])
        return 0
    for row in rows:
        show(f"{row.name:16}  {row.kind:8}  {_state(row, settings.default)}")
    return 0


def _state(row: ProfileRow, default: str) -> str:
    if not row.ready:
        return f"not ready: {row.problem}"
    marks = ["ready"] + ["auto"] * (row.name == default) + ["added here"] * row.removable
    return ", ".join([*marks, row.style or f"image host: {row.host or 'none'}"])


def _test(options: argparse.Namespace) -> int:
    return show_steps(profile_trial.steps(config.load(), options.name), as_json=options.json)


def _add(options: argparse.Namespace) -> int:
    home = home_of(None, os.environ)
    profile_entry.check_name(options.name)
    profile_entry.check_free(config.load(home), options.name)  # before four questions are asked in vain
    fields = _from_environment() if options.from_env else _from_stdin() if options.from_stdin else _asked()
    if options.host:
        fields["host"] = options.host
    profile_entry.add(home, options.name, fields)
    say(f"{options.name!r} is kept in {home / ADDED_FILE}. To try it: portrait-cartoonize profiles test {options.name}")
    return 0


def _asked() -> HiddenTable:
    if not sys.stdin.isatty():
        msg = "There is no terminal to ask in. Scripts use --from-env or --from-stdin. Nothing was saved."
        raise InputError(msg)
    try:
        fields = HiddenTable({key: input(question) for key, question in _QUESTIONS.items()})
        fields["app_secret"] = getpass.getpass("App secret (not shown): ")
    except EOFError:
        msg = "That was not answered. Nothing was saved."
        raise InputError(msg) from None
    return fields


def _from_environment() -> HiddenTable:
    names = dict(zip(profile_entry.FIELDS, config.VARIABLES, strict=False))
    return HiddenTable({key: os.environ.get(variable, "") for key, variable in names.items()})


def _from_stdin() -> HiddenTable:
    return profile_entry.parsed(sys.stdin.buffer.read(profile_entry.MAX_BYTES + 1))


def _remove(options: argparse.Namespace) -> int:
    profile_entry.remove(home_of(None, os.environ), options.name)
    say(f"{options.name!r} and its keys are removed from this machine.")
    return 0
