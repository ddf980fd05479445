"""A profile tried out without spending anything: is it ready, does its service answer, does it take the key pair.

Only the submission of a task costs money. So the service is asked for the result of a task that cannot exist, once with
the key pair of the profile, and once with a made-up one, which tells whether it looks at keys at all.
"""

from __future__ import annotations

import enum
import re
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from .backend import open_host
from .client import Client
from .config import AUTO, Config, Profile, problem_of
from .contract import Task
from .embedded import embedded_service
from .errors import CartoonizeError, ContractError, ServiceError
from .redaction import KEY_SIGN
from .secret import Secret
from .steps import Step
from .threads import within

TOTAL_S = 20.0  # for all steps together
_SHORTEST_S = 0.1
_NOT_TRIED = "create_url is not tried, because a submission costs money."
_STRANGER = Secret("nobody", is_name=True)  # an ordinary word, which the redactor must not learn as a key
# How a service words a refusal of keys in its own codes, in the languages of the vendor's documents.
_OF_KEYS = re.compile(
    r"\b(app_?)?keys?\b|secret|auth|credential|signature|permission|forbidden|token|鉴权|认证|密钥|签名|授权|权限",
    re.IGNORECASE,
)


class Answer(enum.Enum):
    """What a service makes of the question for a task that cannot exist."""

    NO_SUCH_TASK = "says that there is no such task"
    A_TASK = "tells of a task"
    KEY_REFUSED = "refuses the key pair"
    REFUSED = "refuses the request"
    NOT_THE_API = "answers otherwise than the API"
    UNUSABLE = "does not answer, or is in trouble"


@dataclass(frozen=True)
class Reply:
    """An answer, and the words of the client or of the service about it."""

    answer: Answer
    words: str = ""


def steps(
    config: Config, name: str, total_s: float = TOTAL_S, clock: Callable[[], float] = time.monotonic
) -> Iterator[Step]:
    """Return the steps, each yielded when it is done; raises ConfigurationError for a name that nobody describes."""
    profile, end = config.described(name), clock() + total_s
    return _steps(config, profile, lambda: max(_SHORTEST_S, end - clock()))


def _steps(config: Config, profile: Profile, left_s: Callable[[], float]) -> Iterator[Step]:
    if problem := problem_of(profile):
        yield Step("configuration", False, f"{problem}; set it {config.place_of(profile.name)}")
        return
    yield Step("configuration", True, f"the profile {profile.name!r} has all that it needs")
    yield from _local(config, profile, left_s) if profile.is_local else _remote(profile, left_s)
    yield _bounded("image host", lambda: _image_host(config, profile), left_s())


def _local(config: Config, profile: Profile, left_s: Callable[[], float]) -> Iterator[Step]:
    def started() -> Step:
        own = asked(embedded_service(config).filled_in(profile), left_s())
        is_good = own.answer is Answer.NO_SUCH_TASK
        return Step("service", is_good, "the embedded service runs, and answers" if is_good else own.words)

    yield _bounded("service", started, left_s())


def _remote(profile: Profile, left_s: Callable[[], float]) -> Iterator[Step]:
    own = asked(profile, left_s())
    yield service_step(own)
    if own.answer in (Answer.NO_SUCH_TASK, Answer.A_TASK):
        yield key_step(own, asked(replace(profile, app_key=_STRANGER, app_secret=_STRANGER), left_s()))
    elif own.answer is Answer.KEY_REFUSED:
        yield key_step(own, own)


def asked(profile: Profile, left_s: float) -> Reply:
    """Ask a service for a task that cannot exist; costs nothing, and never takes longer."""
    try:
        with Client(profile, left_s) as client:
            return reply_of(client.get_task(secrets.token_hex(16), left_s))
    except ServiceError as error:
        return reply_of(error)


def reply_of(found: Task | ServiceError) -> Reply:
    """Return what an answer, or the error that it was, means for a task that cannot exist."""
    if isinstance(found, Task):
        return Reply(Answer.A_TASK)
    words, status = str(found), found.http_status
    if status in (401, 403) or found.code in (401, 403):
        return Reply(Answer.KEY_REFUSED, words)
    if found.code is not None:
        is_of_keys = _OF_KEYS.search(words.replace(KEY_SIGN, ""))  # a service may repeat one, whatever it is about
        return Reply(Answer.KEY_REFUSED if is_of_keys else Answer.NO_SUCH_TASK, words)
    if isinstance(found, ContractError) or (status is not None and status < 400):
        return Reply(Answer.NOT_THE_API, words)
    if status in (400, 404, 410, 422):
        return Reply(Answer.NO_SUCH_TASK, f"HTTP {status}; a wrong path on the same server may be answered so, too")
    if status is not None and status >= 500:
        return Reply(Answer.UNUSABLE, f"{words} It may be the made-up task that it cannot deal with: try again later.")
    return Reply(Answer.UNUSABLE if status in (None, 429) else Answer.REFUSED, words)


def service_step(own: Reply) -> Step:
    """Return what is known of the service itself."""
    sentences = {
        Answer.NO_SUCH_TASK: f"it answers, and does not know a made-up task, as it should ({own.words}). {_NOT_TRIED}",
        Answer.A_TASK: f"it answers as the API does, although the task that it was asked for is made up. {_NOT_TRIED}",
        Answer.KEY_REFUSED: f"it answers. {_NOT_TRIED}",
        Answer.NOT_THE_API: f"what answers at result_url is not the API: {own.words}",
    }
    is_good = own.answer in (Answer.NO_SUCH_TASK, Answer.A_TASK, Answer.KEY_REFUSED)
    return Step("service", is_good, sentences.get(own.answer, own.words))


def key_step(own: Reply, stranger: Reply) -> Step:
    """Return what is known of the key pair, by what a made-up one is told."""
    if own.answer is Answer.KEY_REFUSED:
        return Step("key pair", False, own.words)
    if stranger.answer is Answer.KEY_REFUSED:
        return Step("key pair", True, "accepted: a made-up key pair is refused, this one is not")
    if stranger.answer is own.answer:
        words = "the service tells a made-up one the same. The first submission will show it"
        return Step("key pair", True, f"not refused, but whether it is right cannot be known: {words}")
    return Step("key pair", True, "not refused, but whether it is right cannot be known before the first submission")


def _image_host(config: Config, profile: Profile) -> Step:
    name = open_host(config, AUTO, profile).settings.name
    more = "" if profile.is_local else f"; 'portrait-cartoonize hosts test {name}' uploads a small picture to try it"
    return Step("image host", True, f"{name!r} is ready{more}")


def _bounded(name: str, work: Callable[[], Step], left_s: float) -> Step:
    try:
        return within(left_s, work, "trial")
    except TimeoutError as error:
        return Step(name, False, f"{error}")
    except CartoonizeError as error:
        return Step(name, False, str(error))
