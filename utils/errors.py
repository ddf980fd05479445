"""The error family, cut by whose move it is.

CartoonizeError            every error of the pack; its text says what happened and what to do next
|- ConfigurationError      yours: a profile, an address or a key is missing or wrong; nothing was sent
|- InputError              yours: a picture, a link or a widget value is outside the limits; nothing was sent
|  |- TakenError           a profile is to have a name that belongs to another one; nothing was changed
|  `- UnknownProfileError  there is no such profile among those that were added; nothing was changed
|- ServiceError            the service's: it refused, or its answer cannot be used
|  |- ContractError        its answer is not what the API document describes
|  |- UnreachableError     no usable answer arrived this time; asking again may help
|  `- OutcomeUnknownError  a submission may or may not have been accepted; never repeated by the pack
|- TaskFailedError         the service's: the task, or pictures of it, ended without a result
|- DeadlineError           nobody's: the time set for waiting is over; the task goes on
`- Cancelled               yours: you pressed Cancel; the task goes on
"""

from __future__ import annotations

from .redaction import redact

# ComfyUI puts an error's module in front of its text, and gives a pack's modules the path of its folder as a name: in
# the few words of its notice nothing else would be left to read.
_SHOWN_AS = "portrait_cartoonize"
_LONGEST_SENTENCE = 300  # characters


class CartoonizeError(Exception):
    """Base of every error that the pack raises on purpose; its text is redacted here, once for all of them."""

    __module__ = _SHOWN_AS

    def __init_subclass__(cls) -> None:
        cls.__module__ = _SHOWN_AS

    def __init__(self, message: str) -> None:
        super().__init__(redact(message))

    def amend(self, before: str, after: str) -> None:
        """Set the text between what a caller knows: which task it is about, and the next step."""
        self.args = (redact(f"{before}{self}{after}"),)

    @property
    def sentence(self) -> str:
        """The first sentence of the text, for a node; ComfyUI's error message and log have the whole of it."""
        first, _, rest = str(self).strip().partition("\n")
        if first.endswith(":"):  # a list follows
            first += " " + rest.partition("\n")[0]
        end = first.find(". ")
        return (first if end < 0 else first[: end + 1])[:_LONGEST_SENTENCE]


class ConfigurationError(CartoonizeError):
    """Something must be set up before this can work; nothing was sent."""


class InputError(CartoonizeError):
    """A value given by the user is outside the limits; nothing was sent."""


class TakenError(InputError):
    """A profile's name belongs to the pack, or to a profile that another source describes."""


class UnknownProfileError(InputError):
    """There is no such profile among those that were added."""


class ServiceError(CartoonizeError):
    """The service refused a request; `http_status` and the API's own `code` say how.

    `is_refusal` says that the request was certainly not accepted.
    """

    def __init__(
        self, message: str, *, http_status: int | None = None, code: int | None = None, is_refusal: bool = False
    ) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.code = code
        self.is_refusal = is_refusal


class ContractError(ServiceError):
    """The service's answer is not what the API document describes."""


class UnreachableError(ServiceError):
    """No usable answer arrived; `retry_after_s` is what the service asked to wait, if it did."""

    def __init__(
        self,
        message: str,
        *,
        http_status: int | None = None,
        retry_after_s: float | None = None,
        is_refusal: bool = False,
    ) -> None:
        super().__init__(message, http_status=http_status, is_refusal=is_refusal)
        self.retry_after_s = retry_after_s


class OutcomeUnknownError(ServiceError):
    """A submission may have been accepted and charged, but no answer says so."""


class TaskFailedError(CartoonizeError):
    """The task, or some pictures of it, ended without a result."""


class DeadlineError(CartoonizeError):
    """The time set for waiting is over; the task itself goes on."""


class Cancelled(CartoonizeError):
    """The user pressed Cancel; the task itself goes on."""
