"""The command `portrait-cartoonize`: photos in, cartoons out."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from . import config, picture_files
from .backend import connect, open_host
from .cli_hosts import hosts
from .cli_profiles import profiles
from .cli_serve import serve
from .cli_tasks import tasks
from .collection import collect
from .errors import CartoonizeError, InputError, TaskFailedError
from .hosting.upload import Encoding, upload
from .monitor import Monitor
from .outcomes import Collection, Outcome
from .submission import Request, submit
from .terminal import say, watched

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
_COMMANDS = {"serve": serve, "tasks": tasks, "hosts": hosts, "profiles": profiles}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        command = _COMMANDS.get(arguments[0]) if arguments else None
        return _cartoonize(_parsed(arguments)) if command is None else command(arguments[1:])
    except CartoonizeError as error:
        say(f"error: {error}")
        return EXIT_FAILED
    except KeyboardInterrupt:
        say("interrupted; what was sent is remembered: run again, or see 'portrait-cartoonize tasks list'")
        return EXIT_INTERRUPTED


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="portrait-cartoonize",
        description="Draw portraits as anime or manga.",
        epilog="portrait-cartoonize tasks --help tells about earlier tasks, portrait-cartoonize hosts --help about "
        "image hosts, portrait-cartoonize profiles --help about services and their keys, portrait-cartoonize serve "
        "--help how to run the service alone.",
    )
    parser.add_argument("photos", nargs="+", type=Path, metavar="PHOTO", help="PNG, JPEG, BMP or WebP files")
    parser.add_argument("-o", "--out", type=Path, help="a folder, or a .png or .jpg file for a single photo")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--style", choices=config.STYLES, help="a style of the built-in service")
    choice.add_argument("--profile", help="a configured profile (default: auto)")
    parser.add_argument(
        "--host", default=config.AUTO, help="image host (default: auto, the one that the profile needs)"
    )
    parser.add_argument("--priority", type=int, default=1, help="0 to 9, higher is done first (default: 1)")
    parser.add_argument("--timeout", type=float, default=600, help="seconds to wait for each task (default: 600)")
    parser.add_argument(
        "--variation", type=int, default=0, help="another number asks for a fresh, paid result of the same photos"
    )
    return parser.parse_args(arguments)


def _cartoonize(options: argparse.Namespace) -> int:
    targets = _targets(options.photos, options.out, options.style or "cartoon")
    folder = picture_files.prepared(targets[0].parent)
    collection = watched(lambda monitor: _run(options, monitor))
    for outcome, target in _placed(collection, targets, folder):
        if outcome.picture is not None:
            picture_files.save(outcome.picture, target)
            print(target)  # noqa: T201  # the file names are this command's output
    failed = [outcome for outcome in collection.outcomes if outcome.picture is None]
    if failed:
        raise TaskFailedError(_failures(failed, options.photos))
    return 0 if len(collection.outcomes) == len(targets) else EXIT_FAILED


def _placed(collection: Collection, targets: Sequence[Path], folder: Path) -> Iterator[tuple[Outcome, Path]]:
    """Yield each result and its file; one of which it is not certain whose it is gets the name of its task."""
    unassigned = list(collection.unassigned)
    if len(collection.outcomes) == len(targets):
        yield from zip(collection.outcomes, targets, strict=True)
    else:
        unassigned += collection.outcomes
    for outcome in unassigned:
        yield outcome, folder / picture_files.name_of(outcome)


def _failures(failed: Sequence[Outcome], photos: Sequence[Path]) -> str:
    rows = []
    for outcome in failed:
        photo = photos[outcome.index] if outcome.index < len(photos) else f"image {outcome.index + 1}"
        rows.append(f"{photo}: {outcome.status}: {outcome.reason} (task {outcome.task_id})")
    return (
        f"{len(failed)} of {len(photos)} images have no result:\n" + "\n".join(rows) + "\nThe same command submits "
        "nothing anew. To submit only these photos once more, name them alone, with another --variation."
    )


def _run(options: argparse.Namespace, monitor: Monitor) -> Collection:
    settings = config.load()
    backend = connect(settings, f"local-{options.style}" if options.style else options.profile or config.AUTO)
    with monitor.part(0.0, 0.15):
        hosted = upload(
            [partial(picture_files.read, path) for path in options.photos],
            open_host(settings, options.host, backend.profile),
            Encoding("auto", may_fit=True, limits=backend.profile.limits),
            uploads=backend.uploads,
            journal=backend.journal,
            monitor=monitor,
        )
    request = Request(tuple(h.url for h in hosted), options.priority, options.variation)
    with monitor.part(0.15, 0.2):
        refs = submit(backend, request, monitor)
    if not backend.profile.is_local:  # it may have cost money: whatever happens next, the ids have been seen
        say(f"{monitor.progress.text}\nrun again to continue, or: portrait-cartoonize tasks resume")
    with monitor.part(0.2, 1.0):
        return collect(backend, refs, timeout_s=options.timeout, monitor=monitor)


def _targets(photos: Sequence[Path], out: Path | None, style: str) -> list[Path]:
    """Return where each result goes; raises InputError for clashes and for results that would replace a photo."""
    is_file = out is not None and bool(out.suffix) and not out.is_dir()
    if out is not None and is_file:
        if len(photos) > 1:
            msg = f"{out} is one file, but {len(photos)} photos were given. Name a folder."
            raise InputError(msg)
        if out.suffix.lower() not in picture_files.SUFFIXES:
            msg = f"{out}: results are written as {' or '.join(picture_files.SUFFIXES)}."
            raise InputError(msg)
        targets = [out]
    else:
        targets = [(out or Path()) / f"{photo.stem}-{style}.png" for photo in photos]
    for target in targets:
        if targets.count(target) > 1 or any(target.resolve() == photo.resolve() for photo in photos):
            msg = f"{target} would be written over another picture of this run. Choose another -o."
            raise InputError(msg)
    return targets
