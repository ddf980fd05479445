"""Trying again: which attempts are made, after which waits, and what is raised in the end."""

from __future__ import annotations

import pytest
from cartoonize_pack.utils.errors import Cancelled, ConfigurationError, UnreachableError
from cartoonize_pack.utils.monitor import Monitor
from cartoonize_pack.utils.patience import patiently

WAITS_S = (0.5, 2.0)


class Attempts:
    """Raises these errors one after the other, then gives an answer."""

    def __init__(self, *errors: Exception) -> None:
        self.made = 0
        self._errors = list(errors)

    def __call__(self) -> str:
        self.made += 1
        if self._errors:
            raise self._errors.pop(0)
        return "the answer"


@pytest.mark.parametrize("failures", [0, 1, 2])
def test_what_succeeds_in_time_is_the_result(failures: int) -> None:
    """After as many waits as there were failures."""
    attempts, slept = Attempts(*[UnreachableError("no")] * failures), []
    assert patiently(attempts, WAITS_S, slept.append) == "the answer"
    assert (attempts.made, slept) == (failures + 1, list(WAITS_S[:failures]))


def test_the_last_failure_is_raised() -> None:
    """When the waits are used up."""
    errors = [UnreachableError(str(n)) for n in range(4)]
    attempts = Attempts(*errors)
    with pytest.raises(UnreachableError) as caught:
        patiently(attempts, WAITS_S, lambda seconds: None)
    assert caught.value is errors[2]


def test_what_would_not_help_is_not_repeated() -> None:
    """Another error, and one that the caller does not want again."""
    for error, may_repeat in ((ConfigurationError("no"), True), (UnreachableError("no"), False)):
        attempts = Attempts(error)
        with pytest.raises(type(error)):
            patiently(attempts, WAITS_S, pytest.fail, lambda error, wait_s, may=may_repeat: may)
        assert attempts.made == 1


def test_the_caller_is_told_the_error_and_the_wait() -> None:
    """To compare it with its deadline."""
    told: list[tuple[str, float]] = []
    attempts = Attempts(UnreachableError("a"), UnreachableError("b"))
    patiently(attempts, WAITS_S, lambda seconds: None, lambda error, wait_s: not told.append((str(error), wait_s)))
    assert told == [("a", 0.5), ("b", 2.0)]


def test_cancel_ends_a_wait() -> None:
    """No further attempt is made."""
    monitor, attempts = Monitor(), Attempts(UnreachableError("no"))
    monitor.cancel()
    with pytest.raises(Cancelled):
        patiently(attempts, (60.0,), monitor.pause)
    assert attempts.made == 1
