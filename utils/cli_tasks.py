"""`portrait-cartoonize tasks`: what the journal knows, from a terminal."""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from . import config
from .backend import open_journal, open_results
from .cli_resume import resume
from .config import Config
from .contract import check_task_id
from .errors import InputError
from .journal import Journal
from .monitor import count
from .records import State, Submission, named
from .terminal import say, show, show_json

_DAY_S = 24 * 3600.0
_FINISHED = (State.DONE, State.FAILED, State.REFUSED)


def tasks(arguments: Sequence[str]) -> int:
    """Run one of the commands below and return the exit code."""
    options = _parser().parse_args(arguments)
    settings = config.load()
    command: Callable[[argparse.Namespace, Config, Journal], int] = options.run
    return command(options, settings, open_journal(settings))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="portrait-cartoonize tasks",
        description="What was submitted from this machine, and what became of it.",
        epilog="A TASK is a task id, or the number that 'list' shows.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace, Config, Journal], int], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--json", action="store_true", help="print JSON, for scripts")
        command.set_defaults(run=run)
        return command

    add("list", _list, "List all submissions, oldest first.")
    add("show", _show, "Show one submission and its images.").add_argument("task", metavar="TASK")
    resuming = add("resume", resume, "Wait for tasks and write their pictures; nothing is submitted.")
    resuming.add_argument("tasks", nargs="*", metavar="TASK", help="(default: all that are not finished)")
    resuming.add_argument("-o", "--out", type=Path, default=Path(), help="folder for the pictures (default: this one)")
    resuming.add_argument("--profile", default=config.AUTO, help="of a task that was not submitted from this machine")
    resuming.add_argument("--timeout", type=float, default=600, help="seconds to wait for each task (default: 600)")
    found = add("found", _found, "Tell that a submission of unknown outcome was accepted: its task is in the console.")
    found.add_argument("task", metavar="NUMBER")
    found.add_argument("task_id", metavar="TASK_ID", help="as the service's console shows it")
    forget = add("forget", _forget, "Forget tasks and delete their pictures: the same work is paid for again then.")
    forget.add_argument("tasks", nargs="+", metavar="TASK")
    prune = add("prune", _prune, "Forget finished tasks that are older than so many days.")
    prune.add_argument("--older-than", type=_days, required=True, metavar="DAYS")
    return parser


def _days(text: str) -> float:
    days = float(text)
    if not 0 <= days < math.inf:
        msg = f"{text} is no number of days"
        raise argparse.ArgumentTypeError(msg)
    return days


def _list(options: argparse.Namespace, settings: Config, journal: Journal) -> int:
    submissions = journal.submissions()
    if options.json:
        return _shown([_table(submission) for submission in submissions])
    for s in submissions:
        show(f"{s.number:>5}  {_when(s.created_s)}  {s.state.value:8}  {s.images:>3}  {s.profile}  {s.task_id or '-'}")
    if not submissions:
        say("Nothing was submitted from this machine yet.")
    return 0


def _show(options: argparse.Namespace, settings: Config, journal: Journal) -> int:
    submission = named(journal.submissions(), options.task)
    answer = journal.recall(submission.service, submission.task_id) if submission.task_id else None
    table = _table(submission)
    if answer is not None:
        table["answer"] = {
            "status": answer.status_words,
            "message": answer.message,
            "images": [
                {
                    "url": image.url,
                    "status": None if image.status is None else image.status.words,
                    "reason": image.reason,
                }
                for image in answer.images
            ],
        }
    if options.json:
        return _shown(table)
    for name, value in table.items():
        show(f"{name}: {json.dumps(value, indent=2, ensure_ascii=False) if isinstance(value, (list, dict)) else value}")
    return 0


def _found(options: argparse.Namespace, settings: Config, journal: Journal) -> int:
    submission = named(journal.submissions(), options.task)
    if submission.state not in (State.SENDING, State.UNKNOWN):
        msg = f"Submission {submission.number} is {submission.state.value}: only one of unknown outcome can be found."
        raise InputError(msg)
    task_id = check_task_id(options.task_id)
    if known := journal.of_task(submission.service, task_id):
        msg = f"The task {task_id} is that of submission {known.number} already."
        raise InputError(msg)
    journal.settle(submission.number, task_id)
    return _done(options, {"number": submission.number, "task_id": options.task_id}, "Run again to fetch its pictures.")


def _forget(options: argparse.Namespace, settings: Config, journal: Journal) -> int:
    submissions, answers = journal.submissions(), journal.answers()
    chosen: dict[Submission, None] = {}
    pasted: dict[tuple[str, str], None] = {}  # tasks that were submitted elsewhere, and fetched here
    for name in options.tasks:
        elsewhere = [(service, task_id) for service, task_id, _ in answers if task_id == name]
        if elsewhere and not any(submission.task_id == name for submission in submissions):
            pasted |= dict.fromkeys(elsewhere)
        else:
            chosen[named(submissions, name)] = None
    return _forgotten(options, settings, journal, list(chosen), list(pasted))


def _prune(options: argparse.Namespace, settings: Config, journal: Journal) -> int:
    oldest = time.time() - options.older_than * _DAY_S
    submissions = journal.submissions()
    old = [s for s in submissions if s.state in _FINISHED and s.updated_s < oldest]
    own = {(s.service, s.task_id) for s in submissions}
    pasted = [(service, task) for service, task, noted in journal.answers() if noted < oldest]
    return _forgotten(options, settings, journal, old, [task for task in pasted if task not in own])


def _forgotten(
    options: argparse.Namespace,
    settings: Config,
    journal: Journal,
    old: Sequence[Submission],
    pasted: Sequence[tuple[str, str]],
) -> int:
    results, pictures = open_results(settings), 0
    for submission in old:
        journal.forget(submission)
        pictures += results.forget(submission.service, submission.task_id) if submission.task_id else 0
    for service, task_id in pasted:
        journal.forget_answer(service, task_id)
        pictures += results.forget(service, task_id)
    table = {"forgotten": [s.number for s in old], "elsewhere": [task for _, task in pasted], "pictures": pictures}
    return _done(
        options, table, f"{count(len(old) + len(pasted), 'task')} forgotten, {count(pictures, 'picture')} deleted."
    )


def _table(submission: Submission) -> dict[str, object]:
    return {
        "number": submission.number,
        "created": _when(submission.created_s),
        "updated": _when(submission.updated_s),
        "state": submission.state.value,
        "profile": submission.profile,
        "task_id": submission.task_id or None,
        "variation": submission.variation,
        "detail": submission.detail,
        "links": list(submission.links),
    }


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")


def _done(options: argparse.Namespace, table: dict[str, object], text: str) -> int:
    if options.json:
        return _shown(table)
    say(text)
    return 0


def _shown(value: object) -> int:
    show_json(value)
    return 0
