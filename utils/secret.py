"""Keys in memory: strings that do not show themselves."""

from __future__ import annotations


class Secret:
    """A string that does not show itself in `repr`, `str`, f-strings or pickles; `reveal()` returns it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> str:
        msg = "a secret is not pickled"
        raise TypeError(msg)
