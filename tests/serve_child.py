"""Runs `portrait-cartoonize serve` from the checkout, as a process of its own that tests may kill."""

import sys

import pack

pack.load()

from cartoonize_pack.utils.cli import main  # noqa: E402  # the pack has no import name before it is loaded

if __name__ == "__main__":
    sys.exit(main(["serve", *sys.argv[1:]]))
