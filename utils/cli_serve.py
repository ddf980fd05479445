"""`portrait-cartoonize serve`: the embedded service alone, for other machines."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from . import config
from .errors import ConfigurationError
from .hosting.settings import url_problem
from .secret import Secret

MAX_WORKERS = 64


def serve(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM or Ctrl-C, printing the addresses first; returns the exit code."""
    from .service import access_log  # aiohttp is imported when it is needed
    from .service.limits import ServiceLimits
    from .service.server import Options, Server

    options = _parser().parse_args(arguments)
    key, secret = os.environ.get("CARTOONIZE_APP_KEY", ""), os.environ.get("CARTOONIZE_APP_SECRET", "")
    if not key or not secret:
        msg = "Set CARTOONIZE_APP_KEY and CARTOONIZE_APP_SECRET: whoever uses the service must know them."
        raise ConfigurationError(msg)
    settings = config.load()
    if options.public_url and (problem := url_problem(options.public_url, True, "--public-url")):
        raise ConfigurationError(problem)
    names = {_name_of(profile.public_url) for profile in settings.profiles.values()}
    server = Server(
        Options(
            home=settings.home,
            host=options.host,
            port=options.port,
            app_key=Secret(key),
            app_secret=Secret(secret),
            policy=settings.profiles["local"].policy,
            workers=options.workers,
            limits=ServiceLimits(
                max_queued_images=options.max_queue, requests_per_s=options.rate, burst=max(5, round(5 * options.rate))
            ),
            names=(*options.name, *names),
            public_url=options.public_url,
        )
    )
    try:
        log = access_log.send_to(options.access_log)
    except OSError as error:
        msg = f"{options.access_log} cannot be written: {error.strerror}."
        raise ConfigurationError(msg) from error
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.set())
    server.start()
    try:
        for style in config.STYLES:
            profile = server.filled_in(settings.profiles[f"local-{style}"])
            print(f"{style}: create {profile.create_url}  result {profile.result_url}", flush=True)  # noqa: T201
        while not stopping.wait(1.0):
            pass
    finally:
        server.stop()
        access_log.stop(log)
    return 0


def _name_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # told when the profile is used
        return ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="portrait-cartoonize serve",
        description="Run the embedded service alone.",
        epilog="The key pair comes from the environment: CARTOONIZE_APP_KEY and CARTOONIZE_APP_SECRET.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument(
        "--port", type=_between(0, 65535), default=8189, help="port to listen on, 0 for any (default: 8189)"
    )
    parser.add_argument(
        "--workers",
        type=_between(1, MAX_WORKERS),
        help="pictures drawn at the same time (default: cores - 1, at most 4)",
    )
    parser.add_argument(
        "--max-queue",
        type=_between(20, 1_000_000),
        default=1000,
        help="pictures that may wait to be drawn; more are refused (default: 1000)",
    )
    parser.add_argument(
        "--rate", type=_between(1, 100_000), default=20, help="requests a second from one address (default: 20)"
    )
    parser.add_argument(
        "--name", action="append", default=[], help="a name of this machine under which it is asked; may be repeated"
    )
    parser.add_argument("--public-url", default="", help="what stands in front of the links of results, behind a proxy")
    parser.add_argument(
        "--access-log", default="-", metavar="FILE", help="where requests are logged, as JSON (default: standard error)"
    )
    return parser


def _between(low: int, high: int) -> Callable[[str], int]:
    """Return what reads a whole number within bounds for argparse."""

    def number(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            msg = f"{value} is not from {low} to {high}"
            raise argparse.ArgumentTypeError(msg)
        return value

    return number
