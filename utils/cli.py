"""The command `portrait-cartoonize`: photos in, cartoons out, or the service alone."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from . import config
from .backend import connect, open_host
from .contract import Limits
from .download import Policy
from .errors import CartoonizeError, ConfigurationError, InputError
from .hosting.upload import upload
from .images import Picture, decode, encode_jpeg, encode_png
from .monitor import Monitor
from .outcomes import OnFailure, Outcome, collect, settle
from .submission import submit
from .threads import start

EXIT_FAILED = 1
EXIT_USAGE = 2  # argparse's own
EXIT_INTERRUPTED = 130
INPUT_FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
_SUFFIXES = (".png", ".jpg", ".jpeg")
_BAR_WIDTH = 24


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        if arguments[:1] == ["serve"]:
            return _serve(_serve_parser().parse_args(arguments[1:]))
        return _cartoonize(_photo_parser().parse_args(arguments))
    except CartoonizeError as error:
        _say(f"error: {error}")
        return EXIT_FAILED
    except KeyboardInterrupt:
        _say("interrupted")
        return EXIT_INTERRUPTED


def _photo_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="portrait-cartoonize",
        description="Draw portraits as anime or manga.",
        epilog="portrait-cartoonize serve --help tells how to run the service alone.",
    )
    parser.add_argument("photos", nargs="+", type=Path, metavar="PHOTO", help="PNG, JPEG, BMP or WebP files")
    parser.add_argument("-o", "--out", type=Path, help="a folder, or a .png or .jpg file for a single photo")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--style", choices=("anime", "manga"), help="a style of the built-in service")
    choice.add_argument("--profile", help="a configured profile (default: auto)")
    parser.add_argument("--priority", type=int, default=1, help="0 to 9, higher is done first (default: 1)")
    parser.add_argument("--timeout", type=float, default=600, help="seconds to wait for the result (default: 600)")
    return parser


def _serve_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="portrait-cartoonize serve",
        description="Run the embedded service alone.",
        epilog="The key pair comes from the environment: CARTOONIZE_APP_KEY and CARTOONIZE_APP_SECRET.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8189, help="port to listen on, 0 for any (default: 8189)")
    parser.add_argument("--workers", type=int, help="pictures drawn at the same time (default: cores - 1, at most 4)")
    return parser


def _cartoonize(options: argparse.Namespace) -> int:
    profile = f"local-{options.style}" if options.style else options.profile or config.AUTO
    targets = _targets(options.photos, options.out, options.style or "cartoon")
    monitor = Monitor()
    future = start(lambda: _run(options, profile, monitor), "cli")
    bar = _Bar(monitor)
    try:
        while not future.done():
            bar.draw()
            threading.Event().wait(0.1)
    except KeyboardInterrupt:
        monitor.cancel()
        raise
    finally:
        bar.clear()
    outcomes = future.result()
    done = [(o.picture, target) for o, target in zip(outcomes, targets, strict=False) if o.picture is not None]
    for picture, target in done:
        _save(picture, target)
        print(target)  # noqa: T201  # the file names are this command's output
    settle(outcomes, OnFailure.ERROR, None)
    return 0


def _run(options: argparse.Namespace, profile: str, monitor: Monitor) -> list[Outcome]:
    settings = config.load()
    backend = connect(settings, profile)
    hosted = upload(
        [partial(_read, path) for path in options.photos],
        open_host(settings, "local" if backend.profile.is_local else config.AUTO),
        fmt="auto",
        may_fit=True,
        limits=backend.profile.limits,
        monitor=monitor,
    )
    task_id = submit(backend, [h.url for h in hosted], options.priority, monitor)
    return collect(backend, [task_id], timeout_s=options.timeout, monitor=monitor)


def _serve(options: argparse.Namespace) -> int:
    from .service.server import Options, Server

    key, secret = os.environ.get("CARTOONIZE_APP_KEY", ""), os.environ.get("CARTOONIZE_APP_SECRET", "")
    if not key or not secret:
        msg = "Set CARTOONIZE_APP_KEY and CARTOONIZE_APP_SECRET: whoever uses the service must know them."
        raise ConfigurationError(msg)
    settings = config.load()
    server = Server(
        Options(
            home=settings.home,
            host=options.host,
            port=options.port,
            app_key=config.Secret(key),
            app_secret=config.Secret(secret),
            policy=Policy(allow_http=True, allow_hosts=settings.profiles["local"].allow_hosts),
            workers=options.workers,
        )
    )
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.set())
    server.start()
    try:
        for style in ("anime", "manga"):
            profile = server.filled_in(settings.profiles[f"local-{style}"])
            print(f"{style}: create {profile.create_url}  result {profile.result_url}", flush=True)  # noqa: T201
        while not stopping.wait(1.0):
            pass
    finally:
        server.stop()
    return 0


def _targets(photos: Sequence[Path], out: Path | None, style: str) -> list[Path]:
    """Return where each result goes; raises InputError for clashes and for results that would replace a photo."""
    if len(photos) > (most := Limits().max_images):
        msg = f"{len(photos)} photos were given; one run takes at most {most}."
        raise InputError(msg)
    if out is not None and out.suffix.lower() in _SUFFIXES and not out.is_dir():
        if len(photos) > 1:
            msg = f"{out} is one file, but {len(photos)} photos were given. Name a folder."
            raise InputError(msg)
        targets = [out]
    else:
        targets = [(out or Path()) / f"{photo.stem}-{style}.png" for photo in photos]
    for target in targets:
        if targets.count(target) > 1 or any(target.resolve() == photo.resolve() for photo in photos):
            msg = f"{target} would be written over another picture of this run. Choose another -o."
            raise InputError(msg)
    return targets


def _read(path: Path) -> Picture:
    try:
        data = path.read_bytes()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}."
        raise InputError(msg) from error
    return decode(data, INPUT_FORMATS, 100_000_000, str(path))


def _save(picture: Picture, target: Path) -> None:
    data = encode_png(picture) if target.suffix.lower() == ".png" else encode_jpeg(picture)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    except OSError as error:
        msg = f"{target} cannot be written: {error.strerror}."
        raise ConfigurationError(msg) from error


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201  # the command line talks to people


class _Bar:
    """A progress bar on standard error, if that is a terminal."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._visible = sys.stderr.isatty()

    def draw(self) -> None:
        """Draw the latest progress over the previous one."""
        progress = self._monitor.progress
        if self._visible:
            full = round(_BAR_WIDTH * progress.done / max(1, progress.total))
            bar = "#" * full + "-" * (_BAR_WIDTH - full)
            sys.stderr.write(f"\r\x1b[K[{bar}] {progress.text.splitlines()[-1] if progress.text else ''}")
            sys.stderr.flush()

    def clear(self) -> None:
        """Remove the bar."""
        if self._visible:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
