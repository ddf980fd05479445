"""No key leaves its place: every node and command, through success and each failure, and then a search everywhere.

The servers repeat the keys that they know in all that they say. Each run has a machine of its own, with a canary for
every kind of key in its config.toml, and a process that has seen no key before. tests/test_comfyui_leaks.py does the
same in a real ComfyUI.
"""

from __future__ import annotations

import json
import re
import sqlite3
import zlib
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import canary
import pytest
from canary import APP_KEY, APP_SECRET, FORM_KEY, HEADER_KEY, PASSWORD, Hit, Search, png_with
from leak_world import LINK, Run, World, run_of
from leaky_servers import HALF, RESET, Answer, Asked, Respond, Servers, as_json
from node_calls import IMAGE_TO_URL, POLL, SUBMIT

Work = Callable[[World], object]
Cases = dict[str, tuple[Work, str]]  # what is done, and what the error says; nothing if it succeeds


# --- submitting -------------------------------------------------------------------------------------------------------


def submitting(answer: Callable[[World], Answer | Respond]) -> Work:
    """The service answers so to a submission."""
    return lambda w: w.creates(answer(w)).submit()


def refused(status: int, **headers: str) -> Callable[[World], Answer]:
    """An error in the documented shape, with the keys in its message."""
    return lambda w: w.service.refuses(status, **headers)


def said(status: int, **headers: str) -> Callable[[World], Answer]:
    """The keys, and nothing else."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return lambda w: Answer(status, w.service.repeats.encode(), named)


def elsewhere(status: int) -> Callable[[World], Answer]:
    """A redirect to somebody else's server."""
    return lambda w: Answer(status, b"not here", {"Location": f"{w.servers.stranger.url}/here"})


def unknown_and_again(world: World) -> None:
    """Run once more after an answer was lost: the journal tells why."""
    with pytest.raises(Exception, match="may have been accepted and charged"):
        submitting(refused(500))(world)
    world.submit()


def answered_too_late(world: World) -> None:
    """The answer arrives when nobody waits for it any more."""

    def late(asked: Asked) -> Answer:
        world.service.stall(asked)
        return world.service.created("task-late")

    world.creates(late).submit()


def nobody_there(world: World) -> None:
    """The service is at an address where nobody listens."""
    world.configure(world.servers.configuration().replace(world.service.url, "http://127.0.0.1:9"))
    world.submit()


def a_link_that_does_not_work(world: World) -> None:
    """Links are checked before anything is paid, and the host of this one repeats its keys."""
    world.describe(profile="check_links = true")
    world.servers.dav.respond = lambda asked: as_json({"message": world.servers.dav.repeats}, 404)
    world.submit(f"{world.servers.dav.url}/pictures/1.png")


SUBMITTING: Cases = {
    "unknown profile": (lambda w: w.submit(profile="studio-2"), "There is no profile 'studio-2'"),
    "unready profile": (lambda w: w.submit(profile="unready"), "is not ready: create_url, result_url, app_secret"),
    "wrong key": (submitting(refused(401)), "did not accept the key pair"),
    "forbidden": (submitting(refused(403)), "does not let the key pair"),
    "bad request": (submitting(refused(400)), "refused the request"),
    "nothing there": (submitting(refused(404)), "has nothing at this address"),
    "refusal code": (submitting(refused(200)), "refused with code 40200"),
    "too many requests": (submitting(refused(429)), "too many requests"),
    "told to wait": (submitting(refused(429, Retry_After="7")), "asks to wait 7 s"),
    "told to wait in riddles": (submitting(refused(503, Retry_After=APP_KEY)), "is in trouble"),
    "trouble": (submitting(refused(500)), "may have been accepted and charged"),
    "trouble, and run again": (unknown_and_again, "and no answer is known"),
    "reset": (submitting(lambda w: RESET), "may have been accepted and charged"),
    "no answer in time": (submitting(lambda w: w.service.stall), "did not answer"),
    "an answer too late": (answered_too_late, "did not answer"),
    "half an answer": (submitting(said(HALF)), "stopped in the middle"),
    "no JSON": (submitting(said(200)), "is not JSON"),
    "a key for a task id": (submitting(lambda w: w.service.created(APP_KEY)), "should be a task id"),
    "a key in a task id": (submitting(lambda w: w.service.created(f"t-{APP_KEY}-1")), "should be a task id"),
    "packed in riddles": (submitting(said(200, Content_Encoding=f"br, {APP_KEY}")), "sends it compressed"),
    "packed, and damaged": (submitting(said(200, Content_Encoding="gzip")), "no usable answer came back"),
    "redirected": (submitting(elsewhere(307)), "answered with a redirect"),
    "redirected, and perhaps done": (submitting(elsewhere(303)), "answered with a redirect"),
    "nobody there": (nobody_there, "cannot be reached"),
    "no link": (lambda w: w.submit("ftp://images.test/1.png"), "must start with http"),
    "too many links": (lambda w: w.submit("\n".join(f"{LINK}?{n}" for n in range(101))), "than its max_images"),
    "a link that does not work": (a_link_that_does_not_work, "is not there"),
}


# --- waiting and fetching ---------------------------------------------------------------------------------------------


def polling(answer: Callable[[World], Answer | Respond], timeout: float = 5) -> Work:
    """The service answers so to a question about a task."""
    return lambda w: w.tells(answer(w)).poll(timeout=timeout)


def finishing(*statuses: str, count: int = 1, **inputs: Any) -> Work:
    """Some pictures, of which those with the word "failed" fail; the first status is the task's."""
    return lambda w: w.tells(w.service.finished(*statuses)).chain(count=count, **inputs)


def fetching(name: str, url: str = "") -> Work:
    """The result lies at a link that ends so."""
    return lambda w: w.tells(w.service.told("3", w.service.picture(name, url))).chain()


def cancelled(world: World) -> None:
    """Cancel is pressed as soon as the service is asked."""

    def respond(asked: Asked) -> Answer:
        world.page.interrupted = True
        return world.service.told("2", wait_time="30")

    world.tells(respond).poll()


def nowhere(world: World) -> None:
    """A result of which the link is a key."""
    picture = world.service.picture() | {"image_result": APP_KEY}
    world.tells(world.service.told("3", picture)).chain()


def redirected_result(world: World) -> None:
    """The server of the pictures points at somebody else's."""
    world.servers.pictures.respond = lambda asked: elsewhere(302)(world)
    world.chain()


FETCHING: Cases = {
    "poll: wrong key": (polling(refused(401)), "did not accept the key pair"),
    "poll: unknown task": (polling(refused(404)), "does not know this task"),
    "poll: trouble": (polling(refused(500), 0.1), "is in trouble"),
    "poll: too many requests": (polling(refused(429), 0.1), "too many requests"),
    "poll: refusal code": (polling(refused(200)), "refused with code"),
    "poll: reset": (polling(lambda w: RESET, 0.1), "cannot be reached"),
    "poll: no answer": (polling(lambda w: w.service.stall, 0.1), "did not answer"),
    "poll: half an answer": (polling(said(HALF), 0.1), "stopped in the middle"),
    "poll: no JSON": (polling(said(200)), "is not JSON"),
    "poll: redirected": (polling(elsewhere(307)), "answered with a redirect"),
    "poll: a key for a status": (polling(lambda w: w.service.told(APP_KEY)), "should be a whole number"),
    "poll: a key for a wait": (polling(lambda w: w.service.told("2", wait_time=APP_KEY)), "should be seconds"),
    "deadline": (polling(lambda w: w.service.told("2", wait_time="9"), 0.1), "Not finished after"),
    "cancelled": (cancelled, "Interrupt"),
    "task failed": (polling(lambda w: w.service.told("4")), "failed"),
    "task closed": (finishing("5", "failed"), "have no result"),
    "undocumented status": (finishing("17", "failed"), "have no result"),
    "pictures failed": (finishing("3", "fine", "failed", count=2), "1 of 2 images"),
    "pictures failed, skipped": (finishing("3", "fine", "failed", count=2, on_failure="skip"), ""),
    "all failed, skipped": (finishing("4", "failed", on_failure="skip"), ""),
    "pictures failed, no originals": (finishing("3", "failed", on_failure="original"), "needs one original"),
    "list too short": (finishing("3", "fine", count=3), "returned 1 result"),
    "list too long": (finishing("3", "fine", "fine", "failed", count=2), "returned 3 results"),
    "picture at the service itself": (lambda w: fetching("fine.png", w.service.url)(w), "not downloaded"),
    "picture gone": (fetching("gone.png"), "answered HTTP 410"),
    "picture is a page": (fetching("page.png"), "is not a picture of the accepted kinds"),
    "picture is a key": (fetching("key.png"), "is not a picture of the accepted kinds"),
    "picture is packed": (fetching("packed.png"), "sends it compressed"),
    "picture is half": (fetching("half.png"), "stopped in the middle"),
    "picture is damaged": (fetching("damaged.png"), "not downloaded"),
    "picture is not sent": (fetching("reset.png"), "cannot be reached"),
    "picture is elsewhere": (redirected_result, "answered HTTP 404"),
    "picture is not at an address": (nowhere, "is not fetched"),
    "picture is at a login": (fetching("fine.png", f"http://me:{APP_KEY}@127.0.0.1"), "is not fetched"),
}


# --- uploading --------------------------------------------------------------------------------------------------------


def uploading(host: str, answer: Callable[[World], Answer]) -> Work:
    """An upload to a host that gives this answer."""

    def work(world: World) -> None:
        world.servers.named(host).respond = lambda asked: answer(world)
        world.urls(host)

    return work


def repeating(host: str, status: int, times: int = 1, **headers: str) -> Work:
    """A host that repeats its keys."""
    return uploading(host, lambda w: Answer(status, w.servers.named(host).repeats.encode() * times, headers))


def linking(host: str, path: str, delete_path: str = "") -> Work:
    """All three nodes, and a host that says that the picture lies there, and may be deleted there."""

    def work(world: World) -> None:
        server = world.servers.named(host)
        links = {"url": server.url + path, "delete_url": server.url + (delete_path or path)}
        server.respond = lambda asked: as_json(links)
        world.chain(host)

    return work


def talking_bucket(status: int) -> Work:
    """A bucket that repeats the secret, which it cannot know, at length."""
    said = canary.repeated(canary.BUCKET_SECRET)
    body = f"<Error><Code>SignatureDoesNotMatch</Code><Message>{said}{'.' * 200}{said}</Message></Error>"
    return uploading("bucket", lambda w: Answer(status, body.encode(), {"Content-Type": "application/xml"}))


def described(kind: str, *lines: str) -> Work:
    """An upload to a host with this description."""
    return lambda w: w.describe("[hosts.new]", f'kind = "{kind}"', *lines).urls("new")


def service_account(world: World) -> None:
    """A key file of Google's with a key that is none."""
    path = world.run.folder / "google.json"
    key = {"private_key": f"-----BEGIN PRIVATE KEY-----\n{APP_KEY}\n", "private_key_id": APP_SECRET}
    path.write_text(json.dumps({"client_email": "me@google.test", **key}))
    try:
        described("gcs", 'bucket = "faces"', f"service_account = {json.dumps(str(path))}")(world)
    finally:
        path.unlink()


_STATUSES = {401: "does not accept", 403: "does not let", 404: "has nothing", 413: "of this size", 500: "is in trouble"}
UPLOADING: Cases = {
    "unknown host": (lambda w: w.urls("attic"), "There is no image host 'attic'"),
    "unready host": (described("http", f'password = "{APP_KEY}"'), "is not ready"),
    **{f"dav: HTTP {status}": (repeating("dav", status), words) for status, words in _STATUSES.items()},
    **{f"album: HTTP {status}": (repeating("album", status), words) for status, words in _STATUSES.items()},
    "dav: redirected": (uploading("dav", elsewhere(307)), "has moved"),
    "album: redirected": (uploading("album", elsewhere(302)), "has moved"),
    "dav: reset": (uploading("dav", lambda w: RESET), "cannot be reached"),
    "album: reset": (uploading("album", lambda w: RESET), "cannot be reached"),
    "dav: half an answer": (repeating("dav", HALF), "stopped in the middle"),
    "album: half an answer": (repeating("album", HALF), "stopped in the middle"),
    "album: packed": (repeating("album", 200, Content_Encoding=f"br, {HEADER_KEY}"), "."),
    "album: much said": (repeating("album", 403, 30), "does not let"),
    "album: too much said": (repeating("album", 200, 10_000), "did not reply with a link"),
    "album: no link": (repeating("album", 200), "is not in the host's reply"),
    "album: no address": (uploading("album", lambda w: as_json({"url": f"ftp://{HEADER_KEY}/"})), "with a link"),
    "album: a key in the link": (linking("album", f"/pictures/0.png?key={FORM_KEY}"), ".*"),
    "album: a key in the link's path": (linking("album", f"/{HEADER_KEY}/0.png"), ".*"),
    "album: a key in the link that deletes": (linking("album", "/0.png", f"/delete/0?key={FORM_KEY}"), ".*"),
    "dav: a key in the link": (linking("dav", f"/pictures/{quote(PASSWORD, safe='')}.png"), ".*"),
    "bucket: refused": (talking_bucket(403), "refuses the keys"),
    "bucket: not there": (talking_bucket(404), "no such bucket"),
    "bucket: trouble": (talking_bucket(400), "refuses this"),
    "azure: a key that is none": (
        described("azure", 'container = "c"\naccount = "a"', f'access_key = "{APP_KEY}!"'), "The image host 'new'",
    ),
    "google: a key that is none": (service_account, "The image host 'new'"),
    "a password that is a list": (described("http", f'password = ["{APP_KEY}"]'), "password must be a string"),
    "headers that are no table": (described("http", f'headers = ["{APP_KEY}"]'), "headers must be a table"),
}  # fmt: skip


# --- success ----------------------------------------------------------------------------------------------------------


def again(world: World) -> None:
    """The same work twice: the second time from the journal and the results store."""
    world.chain()
    world.chain()


def on_this_machine(world: World) -> None:
    """The embedded service, which makes a key pair of its own."""
    world.configure("")
    world.chain("auto")


def through_a_proxy(world: World) -> None:
    """Pictures come through a proxy that wants a password."""
    world.describe(profile=proxy_at(world.servers.proxy.url)).chain()
    assert world.servers.proxy.asked


def proxy_at(url: str) -> str:
    """Lines that name a proxy, and how to log in there."""
    return f'check_links = false\nproxy = "{url.replace("//", f"//studio:{canary.PROXY_PASSWORD}@")}"'


def from_the_environment(world: World) -> None:
    """The profile "env"."""
    world.configure("")
    for name, value in {
        "CREATE_URL": f"{world.service.url}/batch",
        "RESULT_URL": f"{world.service.url}/result/{{task_id}}",
        "APP_KEY": APP_KEY,
        "APP_SECRET": APP_SECRET,
        "ALLOW_HTTP": "1",
        "ALLOW_HOSTS": "127.0.0.1",
        "CHECK_LINKS": "0",
    }.items():
        world.patch.setenv(f"CARTOONIZE_{name}", value)
    world.poll(world.submit())


def failed_ones_again(world: World) -> None:
    """One of two fails, and is submitted once more with the report."""
    world.tells(world.service.finished("3", "fine", "failed"), world.service.finished("3", "fine"))
    links = world.urls(count=2)
    report = world.poll(world.submit(links), on_failure="skip")[4]
    world.poll(world.submit(links, report=report))


def keys_in_addresses(then: Work) -> Work:
    """The addresses of the service and of a host have keys in their paths, which both repeat."""

    def work(world: World) -> None:
        world.describe(address=canary.ADDRESS_KEY)
        for server in (world.service, world.servers.dav):
            server.repeats += f" {canary.repeated(canary.ADDRESS_KEY)}"
        then(world)

    return work


SUCCESS: Cases = {
    "a host with a password": (lambda w: w.chain("dav"), ""),
    "a host with keys in header and form": (lambda w: w.chain("album"), ""),
    "a bucket": (lambda w: w.chain("bucket"), ""),
    "this ComfyUI": (lambda w: w.chain("comfyui"), ""),
    "the embedded service": (on_this_machine, ""),
    "run again": (again, ""),
    "through a proxy": (through_a_proxy, ""),
    "through a dead proxy": (lambda w: w.describe(profile=proxy_at("http://127.0.0.1:9")).chain(), "ProxyError"),
    "links checked": (lambda w: w.describe(profile="check_links = true").chain(), ""),
    "keys of the environment": (from_the_environment, ""),
    "failed ones again": (failed_ones_again, ""),
    "keys in addresses": (keys_in_addresses(lambda w: w.chain()), ""),
    "keys in addresses: refused": (keys_in_addresses(submitting(refused(400))), "refused the request"),
    "keys in addresses: host refuses": (keys_in_addresses(repeating("dav", 403)), "does not let"),
    "keys in addresses: half an answer": (keys_in_addresses(polling(said(HALF), 0.1)), "stopped in the middle"),
}


# --- config.toml and the state folder ---------------------------------------------------------------------------------


def broken(line: str, encoding: str = "utf-8") -> Work:
    """A config.toml of which the line of the secret is another one."""

    def work(world: World) -> None:
        text, good = world.servers.configuration(), f"app_secret = {json.dumps(APP_SECRET)}"
        assert good in text
        world.configure(text.replace(good, line).encode(encoding))
        world.submit()

    return work


def closed(name: str, then: Work) -> Work:
    """A folder is in the place of a file."""

    def work(world: World) -> None:
        (world.home / name).mkdir()
        then(world)

    return work


def damaged(world: World) -> None:
    """A page in the middle of the journal is overwritten."""
    world.chain()
    path = world.home / "journal.sqlite3"
    data = bytearray(path.read_bytes())
    data[4096:4600] = b"\xff" * 504
    path.write_bytes(data)
    world.submit(variation=1)


def of_a_newer_version(world: World) -> None:
    """The journal is from the future."""
    with closing(sqlite3.connect(world.home / "journal.sqlite3")) as db:
        db.execute("PRAGMA user_version = 99")
    world.submit()


STATE: Cases = {
    "syntax: no end": (broken(f'app_secret = "{APP_SECRET}'), "is not valid TOML"),
    "syntax: no quotes": (broken(f"app_secret = {APP_SECRET}"), "is not valid TOML"),
    "syntax: twice": (broken(f'app_secret = "{APP_SECRET}"\napp_secret = "{APP_SECRET}"'), "is not valid TOML"),
    "syntax: bad escape": (broken(f'app_secret = "\\{APP_SECRET}"'), "is not valid TOML"),
    "type: a list": (broken(f'app_secret = ["{APP_SECRET}"]'), "app_secret must be a str, not a list"),
    "type: a table": (broken(f'app_secret = {{ value = "{APP_SECRET}" }}'), "app_secret must be a str"),
    "type of its neighbour": (broken(f'app_secret = "{APP_SECRET}"\nmax_images = "50"'), "max_images must be a int"),
    "a misspelt name": (broken(f'app_secrett = "{APP_SECRET}"'), "unknown key 'app_secrett'"),
    "an unknown neighbour": (broken(f'app_secret = "{APP_SECRET}"\nsecret = "x"'), "unknown key 'secret'"),
    "not UTF-8": (broken(f'# schön\napp_secret = "{APP_SECRET}"', "latin-1"), "cannot be read"),
    "journal is closed": (closed("journal.sqlite3", World.submit), "journal of paid tasks"),
    "journal is closed, fetching": (closed("journal.sqlite3", World.poll), ""),
    "list of uploads is closed": (closed("uploads.sqlite3", World.urls), "list of uploads"),
    "journal of a newer version": (of_a_newer_version, "newer version"),
    "journal is damaged": (damaged, "is damaged"),
}  # fmt: skip


# --- a key in a widget ------------------------------------------------------------------------------------------------


def pasted(node: Any, widget: str, text: str) -> Work:
    """ComfyUI asks the node whether it takes the text, and runs it all the same, as it does with linked ones."""

    def work(world: World) -> None:
        node.INPUT_TYPES()  # as ComfyUI does before it asks
        inputs = {
            IMAGE_TO_URL: {"host": "auto"},
            SUBMIT: {"image_urls": LINK, "profile": "auto"},
            POLL: {"task_id": "task", "profile": "auto"},
        }[node] | {widget: text}
        told = node.VALIDATE_INPUTS(**{name: [value] for name, value in inputs.items()})
        world.run.outputs.append(str(told))
        assert isinstance(told, str)
        assert f"{widget} holds what looks like" in told
        world.call(node, **inputs, **({"images": [[]]} if node is IMAGE_TO_URL else {}))

    return work


_WIDGETS = (
    (SUBMIT, "image_urls"), (SUBMIT, "profile"), (SUBMIT, "report"), (POLL, "task_id"), (POLL, "profile"),
    (IMAGE_TO_URL, "host"),
)  # fmt: skip
_TEXTS = {"the secret": APP_SECRET, "a header": f"Authorization: {canary.basic(APP_KEY, APP_SECRET)}"}
PASTED: Cases = {
    **{
        f"{node.__name__}.{widget}: {name}": (pasted(node, widget, text), "holds what looks like|Not a report")
        for node, widget in _WIDGETS
        for name, text in _TEXTS.items()
    },
    "in a link's path": (pasted(SUBMIT, "image_urls", f"https://images.test/{APP_KEY}/1.png"), "a key of this machine"),
    "in a link's query": (pasted(SUBMIT, "image_urls", f"{LINK}?key={APP_KEY}"), "a key of this machine"),
    "as a link's password": (pasted(SUBMIT, "image_urls", f"https://me:{APP_KEY}@images.test/1.png"), "a password"),
}


# --- the command line -------------------------------------------------------------------------------------------------


def cartoonize(*more: str) -> Work:
    """The main command."""
    return lambda w: w.command(w.photo(), "-o", str(w.run.folder / "out.png"), "--timeout", "0.1", *more)


def with_service(then: Work, create: Callable[[World], Answer] | None = None, *statuses: str) -> Work:
    """The same, with a service that answers so."""

    def work(world: World) -> None:
        if create:
            world.creates(create(world))
        if statuses:
            world.tells(world.service.finished(*statuses))
        then(world)

    return work


def command(*arguments: str) -> Work:
    """A command, in words and as JSON, after one task was finished in part and the outcome of another was lost."""

    def work(world: World) -> None:
        world.tells(world.service.finished("3", "fine", "failed"))
        world.poll(world.submit(world.urls(count=2)), on_failure="skip")
        with pytest.raises(Exception, match="may have been accepted"):
            world.creates(refused(500)(world)).submit(variation=1)
        problems = []
        for more in ((), ("--json",)):
            try:
                world.command(*(text.replace("FOLDER", str(world.run.folder)) for text in arguments), *more)
            except AssertionError as error:
                problems.append(error)
        if problems:
            raise problems[0]

    return work


COMMANDS: Cases = {
    "command": (cartoonize("--timeout", "5"), ""),
    "command: wrong key": (with_service(cartoonize(), refused(401)), "did not accept the key pair"),
    "command: unknown": (with_service(cartoonize(), refused(500)), "may have been accepted"),
    "command: deadline": (with_service(cartoonize(), None, "2"), "Not finished"),
    "command: failed": (with_service(cartoonize(), None, "3", "failed"), "have no result"),
    "command: a key for a host": (cartoonize("--host", APP_KEY), "There is no image host"),
    "tasks list": (command("tasks", "list"), ""),
    "tasks show": (command("tasks", "show", "1"), ""),
    "tasks show, unknown": (command("tasks", "show", "2"), ""),
    "tasks show, a key": (command("tasks", "show", APP_KEY), "There is no submission"),
    "tasks resume": (command("tasks", "resume", "1", "-o", "FOLDER"), "image 2 of task"),
    "tasks resume, unknown": (command("tasks", "resume", "2", "-o", "FOLDER"), "it has no task id"),
    "hosts": (command("hosts"), ""),
    "hosts test dav": (command("hosts", "test", "dav"), ""),
    "hosts test album": (command("hosts", "test", "album"), ""),
    "hosts test bucket": (command("hosts", "test", "bucket"), "fetch without credentials"),
    "hosts purge": (command("hosts", "purge", "--all"), ""),
}

BY_RIGHTS = {  # variables hold the text of a widget, an address, or the words of a bucket, which knows no secret
    *PASTED, *(name for name in SUCCESS if "addresses" in name), *(name for name in UPLOADING if "bucket" in name),
}  # fmt: skip
CASES = SUCCESS | SUBMITTING | FETCHING | UPLOADING | STATE | PASTED | COMMANDS


# --- where it is looked for -------------------------------------------------------------------------------------------


def picture_with(text: str) -> bytes:
    """A PNG with a text, as ComfyUI writes its workflow into one."""
    return png_with(b"tEXt", b"workflow\0" + text.encode())


@dataclass(frozen=True)
class Place:
    """Where a key may turn up in a run, and how to put one there."""

    look: Callable[[Search, Run], Iterable[Hit]]
    plant: Callable[[Run, str], object]


def texts(name: str) -> Place:
    """A list of texts."""
    return Place(
        lambda search, run: [hit for text in getattr(run, name) for hit in search.look(name, text)],
        lambda run, text: getattr(run, name).append(text),
    )


def state(search: Search, run: Run) -> list[Hit]:
    """All files of the machine but those that are there to hold keys."""
    return search.folder(run.folder, [run.folder / "home" / name for name in ("config.toml", "links.key")])


def received(search: Search, run: Run) -> list[Hit]:
    """All that the servers got, without what is theirs."""
    return [hit for name, asked in run.received.items() for data in asked for hit in search.look(name, data)]


PLACES = {
    "errors": Place(
        lambda search, run: [hit for error in run.errors for hit in search.look("error", f"{error} {error.args}")],
        lambda run, text: run.errors.append(ValueError(text)),
    ),
    "tracebacks with all variables": texts("tracebacks"),
    "the configuration and errors in a debugger": texts("objects"),
    "pickles": Place(texts("pickles").look, lambda run, text: run.pickles.append(text.encode())),
    "outputs of nodes": texts("outputs"),
    "widgets, and what is said of them": texts("widgets"),
    "progress": texts("progress"),
    "the log": texts("log"),
    "the terminal": texts("terminal"),
    "the state folder": Place(state, lambda run, text: (run.folder / "home" / "new").write_text(text)),
    "requests": Place(received, lambda run, text: run.received.setdefault("x", []).append(text.encode())),
    "uploaded files": Place(texts("uploaded").look, lambda run, text: run.uploaded.append(picture_with(text))),
}


@dataclass(frozen=True)
class Campaign:
    """All runs, and what was found in them, by place."""

    runs: dict[str, Run]
    hits: dict[str, list[Hit]]
    searches: dict[str, Search]

    def figures(self) -> str:
        """What was done, in a line."""
        failures, found = sum(bool(run.errors) for run in self.runs.values()), sum(map(len, self.hits.values()))
        count, size = (sum(getattr(search, name) for search in self.searches.values()) for name in ("texts", "size"))
        return (
            f"canary: {len(self.runs)} runs, {failures} failures, {len(canary.CANARIES)} keys, {len(PLACES)} places, "
            f"{count:,} files and texts ({size / 1e6:.1f} MB) searched, {found} hits"
        )


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """Everything is run once, and looked at in every place."""
    folder, runs = tmp_path_factory.mktemp("leaks"), {}
    searches = {place: Search() for place in PLACES}
    hits: dict[str, list[Hit]] = {place: [] for place in PLACES}
    with Servers().running() as servers:
        for number, (name, (work, _)) in enumerate(CASES.items()):
            run = runs[name] = run_of(work, servers, folder / str(number), with_locals=name not in BY_RIGHTS)
            for place, at in PLACES.items():
                hits[place] += [replace(hit, where=f"{name}: {hit.where}") for hit in at.look(searches[place], run)]
    return Campaign(runs, hits, searches)


@pytest.mark.parametrize("name", CASES)
def test_each_run_ends_as_it_is_meant_to(campaign: Campaign, name: str) -> None:
    """A run that fails for another reason would prove nothing."""
    says = CASES[name][1]
    errors = campaign.runs[name].errors
    text = f"{type(errors[0]).__name__}: {errors[0]}" if errors else ""
    assert re.search(says, text, re.DOTALL) if says else not text, text


@pytest.mark.parametrize("place", PLACES)
def test_no_key_is_found(campaign: Campaign, place: str) -> None:
    """Not in any spelling, and not half of one."""
    found = {(hit.where, hit.key): hit for hit in campaign.hits[place]}
    assert not found, f"{len(found)} hits:\n" + "\n".join(map(str, found.values()))


def test_who_redirects_gives_away_nothing(campaign: Campaign) -> None:
    """Neither the service nor a host can send a request of ours elsewhere; only pictures are fetched there."""
    for name, run in campaign.runs.items():
        if "redirected" in name:
            assert run.received["stranger"] == [], name
    assert all(b"GET /here" in request for request in campaign.runs["picture is elsewhere"].received["stranger"])


def test_what_was_looked_at(campaign: Campaign, record_property: Callable[[str, object], None]) -> None:
    """Every place had something to look at, and the figures are printed at the end of the run, see conftest."""
    record_property("counts", campaign.figures())
    assert [place for place, search in campaign.searches.items() if not search.size] == []


# --- the search finds what there is -----------------------------------------------------------------------------------


@pytest.mark.parametrize("place", PLACES)
def test_a_key_is_found_in_every_place(tmp_path: Path, place: str) -> None:
    """Put there by hand."""
    (tmp_path / "home").mkdir()
    run, search = Run(folder=tmp_path), Search()
    assert not list(PLACES[place].look(search, run))
    PLACES[place].plant(run, f"it says {APP_SECRET}")
    assert [hit.key for hit in PLACES[place].look(search, run)] == ["app secret"]


@pytest.mark.parametrize("key", canary.CANARIES)
def test_a_key_is_found_in_every_spelling(key: str) -> None:
    """Alone, and inside of something longer, in small letters and in capitals."""
    search = Search()
    for name, form in canary.spellings(canary.CANARIES[key]).items():
        for text in (form, b"x" + form + b"y", form.upper()):
            assert key in [hit.key for hit in search.look("here", text)], name


WRAPPED = {
    "base64 of the pair": canary.basic(APP_KEY, APP_SECRET).encode(),
    "JSON in JSON in JSON": json.dumps({"a": json.dumps([json.dumps({"b": PASSWORD})])}).encode(),
    "a name in JSON": json.dumps({"a": [{PASSWORD: 1}]}).encode(),
    "tEXt": png_with(b"tEXt", b"workflow\0" + APP_KEY.encode()),
    "tEXt with JSON": png_with(b"tEXt", b"prompt\0" + json.dumps({"a": PASSWORD}).encode()),
    "zTXt": png_with(b"zTXt", b"workflow\0\0" + zlib.compress(b"." * 99 + APP_KEY.encode())),
    "iTXt": png_with(b"iTXt", b"workflow\0\0\0en\0Name\0" + APP_KEY.encode()),
    "iTXt, packed": png_with(b"iTXt", b"workflow\0\1\0en\0Name\0" + zlib.compress(b"." * 99 + APP_KEY.encode())),
    "percent, but slashes": quote(PASSWORD).encode(),
    "percent, as scripts do": quote(PASSWORD, safe="!'()*").encode(),
    "percent, in small letters": quote(PASSWORD, safe="").lower().encode(),
    "percent, twice": quote(quote(PASSWORD, safe=""), safe="").encode(),
    "a query in JSON": json.dumps({"url": f"/?{urlencode({'key': PASSWORD})}"}).encode(),
    "HTML of Go": PASSWORD.replace("&", "&amp;").replace('"', "&#34;").replace("'", "&#39;").encode(),
    "HTML, but quotes": PASSWORD.replace("&", "&amp;").encode(),
    "a cut text": APP_SECRET[: len(APP_SECRET) // 2].encode(),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_a_key_is_found_in_its_wrapping(tmp_path: Path, name: str) -> None:
    """In what servers, workflows and pictures have around it."""
    (tmp_path / "file").write_bytes(WRAPPED[name])
    assert Search().folder(tmp_path)
    assert not Search(dict.fromkeys(["other"], "Xk2vN8qWz5TtL1mR")).folder(tmp_path)


def test_a_key_is_found_in_a_database(tmp_path: Path) -> None:
    """In a value that SQLite has cut over several pages, and in the WAL of a file that is still open."""
    with closing(sqlite3.connect(tmp_path / "db")) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA page_size=512")
        db.execute("CREATE TABLE t (value)")
        db.execute("INSERT INTO t VALUES (?)", ("." * 400 + APP_SECRET * 3 + "." * 2000,))
        db.execute("INSERT INTO t VALUES (?)", (APP_KEY.encode("utf-16-le"),))
        db.commit()
        assert {"app key", "app secret"} <= {hit.key for hit in Search().folder(tmp_path)}


def test_names_of_files_and_servers_are_looked_at(tmp_path: Path) -> None:
    """A name is a text, too."""
    (tmp_path / APP_KEY).mkdir()
    (tmp_path / APP_KEY / "empty").touch()
    assert [hit.where for hit in Search().folder(tmp_path)] == ["names of files"]


def test_what_is_its_own_may_reach_a_server_and_nothing_else() -> None:
    """A key in another header than its own, in a path or in a body is found."""
    own = {"authorization": canary.basic(APP_KEY, APP_SECRET), "x-api-key": HEADER_KEY}
    form = f'--x\r\nContent-Disposition: form-data; name="key"\r\n\r\n{FORM_KEY}\r\n--x--\r\n'.encode()
    asked = Asked("POST", f"/{canary.ADDRESS_KEY}/batch", own, form)
    assert len(Search().look("", asked.without())) == 5
    assert not Search().look("", asked.without("authorization", "x-api-key", "form", "address"))
    for other in (
        Asked("POST", f"/?key={FORM_KEY}", {}, b""),
        Asked("POST", "/", {"cookie": FORM_KEY}, b""),
        Asked("POST", "/", {}, FORM_KEY.encode()),
    ):
        assert Search().look("", other.without("authorization", "form"))
