"""`portrait-cartoonize tasks resume`: pictures of earlier tasks, into a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from . import picture_files
from .backend import Backend, connect
from .collection import collect
from .config import Config
from .contract import check_task_id
from .errors import CartoonizeError, InputError
from .journal import Journal
from .outcomes import Collection, Outcome
from .records import State, named
from .references import TaskRef
from .terminal import say, show, show_json, watched


def resume(options: argparse.Namespace, settings: Config, journal: Journal) -> int:
    """Fetch what was chosen, else all that is not finished; what goes wrong with one does not stop the others."""
    folder = picture_files.prepared(options.out)
    if options.tasks:
        wanted = [_profile_and_id(journal, name, options.profile) for name in options.tasks]
    else:
        wanted = [(s.profile, s.task_id) for s in journal.submissions() if s.state is State.ACCEPTED]
    rows, problems = [], []
    for profile, task_id in wanted:
        try:
            found = _collected(connect(settings, profile), task_id, options.timeout)
        except CartoonizeError as error:
            problems.append(str(error))
            continue
        for outcome in (*found.outcomes, *found.unassigned):
            try:
                rows.append(_written(outcome, folder, options.json))
            except CartoonizeError as error:
                problems.append(str(error))
    if options.json:
        show_json({"images": rows, "problems": problems})
    problems += [f"image {row['index']} of task {row['task_id']}: {row['reason']}" for row in rows if not row["file"]]
    for problem in problems:
        say(f"error: {problem}")
    return 1 if problems else 0


def _collected(backend: Backend, task_id: str, timeout_s: float) -> Collection:
    return watched(lambda monitor: collect(backend, [TaskRef(task_id)], timeout_s=timeout_s, monitor=monitor))


def _written(outcome: Outcome, folder: Path, quiet: bool) -> dict[str, object]:
    path = None
    if outcome.picture is not None:
        path = folder / picture_files.name_of(outcome)
        picture_files.save(outcome.picture, path)
        if not quiet:
            show(str(path))
    return {
        "task_id": outcome.task_id,
        "index": outcome.index + 1,
        "status": outcome.status,
        "reason": outcome.reason,
        "file": None if path is None else str(path),
    }


def _profile_and_id(journal: Journal, name: str, profile: str) -> tuple[str, str]:
    """Return profile and id of a task, which may have been submitted on another machine."""
    try:
        submission = named(journal.submissions(), name)
    except InputError:
        if name.isdigit():  # a number of the journal, and no task id
            raise
        return profile, check_task_id(name)
    if not submission.task_id:
        msg = f"Submission {submission.number} is {submission.state.value}: it has no task id. {submission.detail}"
        raise InputError(msg)
    return submission.profile, submission.task_id
