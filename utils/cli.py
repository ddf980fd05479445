"""The command `portrait-cartoonize`: photos in, cartoons out."""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from functools import partial
from pathlib import Path

from . import config
from .backend import connect, open_host
from .cli_serve import serve
from .contract import Limits
from .errors import CartoonizeError, InputError
from .hosting.upload import upload
from .images import MAX_PIXELS, READABLE_FORMATS, Picture, decode, encode_jpeg, encode_png
from .monitor import Monitor
from .outcomes import OnFailure, Outcome, collect, settle
from .submission import submit
from .threads import start

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
_SUFFIXES = (".png", ".jpg", ".jpeg")
_BAR_WIDTH = 24


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        return serve(arguments[1:]) if arguments[:1] == ["serve"] else _cartoonize(_parsed(arguments))
    except CartoonizeError as error:
        _say(f"error: {error}")
        return EXIT_FAILED
    except KeyboardInterrupt:
        _say("interrupted")
        return EXIT_INTERRUPTED


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="portrait-cartoonize",
        description="Draw portraits as anime or manga.",
        epilog="portrait-cartoonize serve --help tells how to run the service alone.",
    )
    parser.add_argument("photos", nargs="*", type=Path, metavar="PHOTO", help="PNG, JPEG, BMP or WebP files")
    parser.add_argument("-o", "--out", type=Path, help="a folder, or a .png or .jpg file for a single photo")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--style", choices=config.STYLES, help="a style of the built-in service")
    choice.add_argument("--profile", help="a configured profile (default: auto)")
    parser.add_argument("--priority", type=int, default=1, help="0 to 9, higher is done first (default: 1)")
    parser.add_argument("--timeout", type=float, default=600, help="seconds to wait for the result (default: 600)")
    parser.add_argument("--task", metavar="ID", help="fetch the results of an earlier task; nothing is submitted")
    options = parser.parse_args(arguments)
    if bool(options.photos) == bool(options.task):
        parser.error("name photos, or a task with --task")
    if options.task and options.out and options.out.suffix and not options.out.is_dir():
        parser.error("with --task, -o names a folder: a task may have several results")
    return options


def _cartoonize(options: argparse.Namespace) -> int:
    style = options.style or "cartoon"
    targets = [] if options.task else _targets(options.photos, options.out, style)
    folder = _prepared(targets[0].parent if targets else options.out or Path())
    outcomes = _watched(lambda monitor: _run(options, monitor))
    is_aligned = len(outcomes) == len(targets)
    if targets and not is_aligned:  # which result belongs to which photo is not certain: name them by their task
        _say(f"error: {len(targets)} photos were submitted, but {len(outcomes)} results came back.")
    names = targets if is_aligned else [folder / f"{o.task_id}-{o.index + 1}.png" for o in outcomes]
    for outcome, name in zip(outcomes, names, strict=True):
        if outcome.picture is not None:
            _save(outcome.picture, name)
            print(name)  # noqa: T201  # the file names are this command's output
    settle(outcomes, OnFailure.ERROR, None)
    return EXIT_FAILED if targets and not is_aligned else 0


def _watched(work: Callable[[Monitor], list[Outcome]]) -> list[Outcome]:
    """Run the work with a progress bar; Ctrl-C stops the waiting at once."""
    monitor = Monitor()
    future = start(lambda: work(monitor), "cli")
    bar = _Bar(monitor)
    try:
        while not future.done():
            bar.draw()
            wait([future], timeout=0.1)
    except KeyboardInterrupt:
        monitor.cancel()
        raise
    finally:
        bar.clear()
    return future.result()


def _run(options: argparse.Namespace, monitor: Monitor) -> list[Outcome]:
    settings = config.load()
    backend = connect(settings, f"local-{options.style}" if options.style else options.profile or config.AUTO)
    task_id = options.task
    if not task_id:
        hosted = upload(
            [partial(_read, path) for path in options.photos],
            open_host(settings, config.AUTO, backend.profile),
            fmt="auto",
            may_fit=True,
            limits=backend.profile.limits,
            monitor=monitor,
        )
        task_id = submit(backend, [h.url for h in hosted], options.priority, monitor)
        if not backend.profile.is_local:  # it may have cost money: whatever happens next, the id has been seen
            _say(f"task {task_id} (fetch it again with --task {task_id} --profile {backend.profile.name})")
    return collect(backend, [task_id], timeout_s=options.timeout, monitor=monitor)


def _targets(photos: Sequence[Path], out: Path | None, style: str) -> list[Path]:
    """Return where each result goes; raises InputError for clashes and for results that would replace a photo."""
    if len(photos) > (most := Limits().max_images):
        msg = f"{len(photos)} photos were given; one run takes at most {most}."
        raise InputError(msg)
    is_file = out is not None and bool(out.suffix) and not out.is_dir()
    if out is not None and is_file:
        if len(photos) > 1:
            msg = f"{out} is one file, but {len(photos)} photos were given. Name a folder."
            raise InputError(msg)
        if out.suffix.lower() not in _SUFFIXES:
            msg = f"{out}: results are written as {' or '.join(_SUFFIXES)}."
            raise InputError(msg)
        targets = [out]
    else:
        targets = [(out or Path()) / f"{photo.stem}-{style}.png" for photo in photos]
    for target in targets:
        if targets.count(target) > 1 or any(target.resolve() == photo.resolve() for photo in photos):
            msg = f"{target} would be written over another picture of this run. Choose another -o."
            raise InputError(msg)
    return targets


def _prepared(folder: Path) -> Path:
    """Return the folder, made and writable; raises InputError before anything is sent if it is not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        msg = f"{folder} cannot be written: {error.strerror}. Nothing was sent."
        raise InputError(msg) from error


def _read(path: Path) -> Picture:
    try:
        data = path.read_bytes()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}."
        raise InputError(msg) from error
    return decode(data, READABLE_FORMATS, MAX_PIXELS, str(path))


def _save(picture: Picture, target: Path) -> None:
    data = encode_png(picture) if target.suffix.lower() == ".png" else encode_jpeg(picture)
    try:
        target.write_bytes(data)
    except OSError as error:
        msg = f"{target} cannot be written: {error.strerror}. The result is kept by the service: use --task."
        raise CartoonizeError(msg) from error


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201  # the command line talks to people


class _Bar:
    """A progress bar on standard error, if that is a terminal; drawn anew only when something changed."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._visible = sys.stderr.isatty()
        self._drawn = ""

    def draw(self) -> None:
        """Draw the latest progress over the previous one, cut to the terminal's width."""
        progress = self._monitor.progress
        full = round(_BAR_WIDTH * progress.done / max(1, progress.total))
        text = progress.text.splitlines()[-1] if progress.text else ""
        line = f"[{'#' * full}{'-' * (_BAR_WIDTH - full)}] {text}"[: shutil.get_terminal_size().columns - 1]
        if self._visible and line != self._drawn:
            self._drawn = line
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()

    def clear(self) -> None:
        """Remove the bar."""
        if self._visible:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
