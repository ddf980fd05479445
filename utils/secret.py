"""Keys in memory: strings and tables that do not show themselves."""

from __future__ import annotations

import base64
from typing import Any, NoReturn

from .redaction import learn


class Secret:
    """A string that does not show itself in `repr`, `str`, f-strings or pickles; `reveal()` returns it.

    The redactor knows it from now on, so that no other text shows it either; unless it is the name of a key pair, which
    may be an ordinary word.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str, *, is_name: bool = False) -> None:
        self._value = value
        if not is_name or any(char.isdigit() for char in value):
            learn(value)

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        msg = "a secret is not pickled"
        raise TypeError(msg)

    def __getstate__(self) -> NoReturn:
        self.__reduce__()


def key_pair(name: str, secret: Secret) -> str:
    """Return name and secret as Basic authentication sends them (RFC 7617), whatever bytes an environment held."""
    return base64.b64encode(f"{name}:{secret.reveal()}".encode("utf-8", "surrogateescape")).decode()


class HiddenTable(dict[str, Any]):
    """A table that may hold keys: tracebacks with the values of variables show that it is one, and no more."""

    def __repr__(self) -> str:
        return f"{{{len(self)} hidden}}"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        msg = "a table of secrets is not pickled"
        raise TypeError(msg)

    @classmethod
    def of(cls, value: Any) -> Any:
        """Return the value with every table in it hidden."""
        if isinstance(value, dict):
            return cls({name: cls.of(inner) for name, inner in value.items()})
        return [cls.of(inner) for inner in value] if isinstance(value, list) else value
