"""The first sentence of an error, as a node shows it."""

from __future__ import annotations

import pytest
from cartoonize_pack.utils.errors import InputError


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Not finished after 5 s. Run again.", "Not finished after 5 s."),
        ("no full stop", "no full stop"),
        ("Version 1.2 of https://h.test/a.png is wrong", "Version 1.2 of https://h.test/a.png is wrong"),
        ("First line\nsecond line. More.", "First line"),
        ("1 of 2 images have no result:\nimage 2: failed\nThe others", "1 of 2 images have no result: image 2: failed"),
        ("\n  Spaces. More", "Spaces."),
        (1000 * "x", 300 * "x"),
        ("", ""),
    ],
)
def test_a_sentence(text: str, sentence: str) -> None:
    """Up to its full stop or line; of a list, the first entry; never longer than a node has room for."""
    assert InputError(text).sentence == sentence
