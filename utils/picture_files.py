"""Pictures as files of a person at the command line: read, checked for room, written."""

from __future__ import annotations

import tempfile
from pathlib import Path

from .errors import CartoonizeError, InputError
from .images import MAX_PIXELS, READABLE_FORMATS, Picture, decode, encode_jpeg, encode_png
from .outcomes import Outcome

SUFFIXES = (".png", ".jpg", ".jpeg")


def name_of(outcome: Outcome) -> str:
    """Return the file name of a result whose photo is not known; Windows takes no colon."""
    return f"{outcome.task_id.replace(':', '_')}-{outcome.index + 1}.png"


def prepared(folder: Path) -> Path:
    """Return the folder, made and writable; raises InputError before anything is sent if it is not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        msg = f"{folder} cannot be written: {error.strerror}. Nothing was sent."
        raise InputError(msg) from error


def read(path: Path) -> Picture:
    """Return the picture of a file; raises InputError naming it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}."
        raise InputError(msg) from error
    return decode(data, READABLE_FORMATS, MAX_PIXELS, str(path))


def save(picture: Picture, target: Path) -> None:
    """Write a picture in the format of the file's suffix; raises CartoonizeError naming it."""
    data = encode_png(picture) if target.suffix.lower() == ".png" else encode_jpeg(picture)
    try:
        target.write_bytes(data)
    except OSError as error:
        msg = f"{target} cannot be written: {error.strerror}. The result is kept: run again with another -o."
        raise CartoonizeError(msg) from error
