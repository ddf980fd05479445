"""`portrait-cartoonize serve`: the embedded service alone, for other machines."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from collections.abc import Callable, Sequence

from . import config
from .addresses import Policy
from .errors import ConfigurationError
from .secret import Secret

MAX_WORKERS = 64


def serve(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM or Ctrl-C, printing the addresses first; returns the exit code."""
    from .service.server import Options, Server  # aiohttp is imported when it is needed

    options = _parser().parse_args(arguments)
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
            app_key=Secret(key),
            app_secret=Secret(secret),
            policy=Policy(allow_http=True, allow_hosts=settings.profiles["local"].allow_hosts),
            workers=options.workers,
        )
    )
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
    return 0


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
