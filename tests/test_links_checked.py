"""Nobody pays for a link that the service cannot fetch: Submit in front of a counting service and a real picture host.

The links that a run is about to send are asked for before it pays, and only those.
"""

from __future__ import annotations

import os
import re
import socket
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from cartoonize_pack.utils import config, reachability
from cartoonize_pack.utils.cli import main
from cartoonize_pack.utils.embedded import embedded_service
from cartoonize_pack.utils.errors import InputError
from cartoonize_pack.utils.hosting.registry import Registry
from cartoonize_pack.utils.service.server import stop_embedded
from node_calls import IMAGE_TO_URL, POLL, SUBMIT, batch, execute
from pytest_httpserver import HTTPServer
from scripted_service import ScriptedService, png
from stand_in_host import Interrupt, StandInHost
from werkzeug import Request, Response

pytestmark = pytest.mark.usefixtures("host")
PATIENCE_S = 10.0  # for what happens at once; only a broken test waits that long
RUN_AGAIN = "Run again: Image to URL makes new links"


@pytest.fixture
def checking(service: ScriptedService, monkeypatch: pytest.MonkeyPatch) -> ScriptedService:
    """The counting service, with the check of its links on."""
    monkeypatch.setenv("CARTOONIZE_CHECK_LINKS", "1")
    return service


def link(api: HTTPServer, name: str, host: str = "127.0.0.1") -> str:
    """The address of a file at the picture host, with a signature that must not be seen."""
    return f"http://{host}:{api.port}/{name}?signature=hunter2"


def good(api: HTTPServer, *numbers: int) -> list[str]:
    """Links to pictures; the results have their numbers as colours."""
    for number in numbers:
        api.expect_request(f"/{number}.png").respond_with_data(png(), content_type="image/png")
    return [link(api, f"{number}.png") for number in numbers]


def asked(api: HTTPServer) -> list[str]:
    """The files that the picture host was asked for."""
    return [request.path for request, _ in api.log]


def submit(links: list[str] | str, **inputs: Any) -> str:
    """The task ids of a run of Submit Cartoonize."""
    text = links if isinstance(links, str) else "\n".join(links)
    return execute(SUBMIT, image_urls=text, **inputs)["result"][0]


def refused(service: ScriptedService, links: list[str] | str, **inputs: Any) -> str:
    """The error of a run that pays nothing."""
    paid = len(service.submissions)
    with pytest.raises(InputError) as caught:
        submit(links, **inputs)
    text = str(caught.value)
    assert len(service.submissions) == paid
    assert "Nothing was sent, nothing was charged" in text
    assert "hunter2" not in text
    return text


def home() -> Path:
    """The state folder."""
    folder = Path(os.environ["CARTOONIZE_HOME"])
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def studio(service: ScriptedService, *lines: str) -> None:
    """Describe the service as the profile 'studio', with these lines besides."""
    table = [
        f'{name.removeprefix("CARTOONIZE_").lower()} = "{value}"'
        for name, value in service.environment.items()
        if name.endswith(("CREATE_URL", "RESULT_URL", "KEY", "SECRET"))
    ]
    (home() / "config.toml").write_text("\n".join(["[profiles.studio]", *table, *lines]))


def names(monkeypatch: pytest.MonkeyPatch, **addresses: str) -> None:
    """Let NAME.test lead to an address, as in the answer of a name server."""
    real = socket.getaddrinfo

    def look_up(host: str, *args: Any, **kwargs: Any) -> Any:
        return real(addresses.get(host.removesuffix(".test"), host), *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


# --- good links -------------------------------------------------------------------------------------------------------


def test_good_links_are_paid_for_once(host: StandInHost, api: HTTPServer, checking: ScriptedService) -> None:
    """Looked at before, each with one ranged request that holds no key; the node says so."""
    links = good(api, 1, 2, 3)
    assert submit(links) == "task-1"
    assert checking.submissions == [{"images": links, "priority": 1}]
    assert sorted(asked(api)) == ["/1.png", "/2.png", "/3.png"]
    for request, _ in api.log:
        assert request.method == "GET"
        assert request.headers["Range"] == f"bytes=0-{reachability.FIRST_BYTES - 1}"
        assert "Authorization" not in request.headers
    looked, sending = (host.texts.index(text) for text in ("checking that the service can fetch 3 links", _sending(3)))
    assert looked < sending


def _sending(images: int) -> str:
    return f"sending {images} images as 1 task to profile 'env'"


def test_links_are_checked_when_nobody_says_otherwise(
    api: HTTPServer, service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the environment nor the file."""
    monkeypatch.delenv("CARTOONIZE_CHECK_LINKS")
    api.expect_request("/gone.png").respond_with_data("", status=404)
    assert "HTTP 404" in refused(service, [link(api, "gone.png")])
    studio(service)
    assert "HTTP 404" in refused(service, [link(api, "gone.png")], profile="studio")


def test_the_same_link_twice_is_asked_once(api: HTTPServer, checking: ScriptedService) -> None:
    """In one task and in the next."""
    (first,) = good(api, 1)
    submit([first] * 25)
    assert asked(api) == ["/1.png"]


# --- bad links --------------------------------------------------------------------------------------------------------

PAGE = "<!DOCTYPE html><title>Photos</title>"
DENIED = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"status": 401}, "asks for a login (HTTP 401)"),
        ({"status": 403, "response_data": DENIED}, "or it is not public; the host says: Request has expired."),
        ({"status": 404}, "is not there, or not any more (HTTP 404)"),
        ({"status": 410}, "is not there any more (HTTP 410)"),
        ({"status": 416}, "leads to an empty file"),
        ({"status": 500}, "answers HTTP 500"),
        ({"response_data": PAGE, "content_type": "image/png"}, "leads to a web page, not to a picture"),
        ({"response_data": "gone, sorry", "content_type": "text/html"}, "leads to a web page, not to a picture"),
        ({"response_data": f"{PAGE}<input type='password'>"}, "leads to a login page"),
        ({"response_data": ""}, "leads to an empty file"),
        ({"response_data": b"GIF89a", "content_type": "image/png"}, "leads to a GIF file; the service takes PNG, JPEG"),
        ({"response_data": b"RIFF\0\0\0\0WEBPVP8 "}, "leads to a WebP file"),
        ({"response_data": "Hello there"}, "leads to no picture"),
        ({"response_data": png(256, 300)}, "is 256x300 pixels: each side must be at least 257"),
        ({"response_data": png(5000, 1300)}, "is 5000x1300 pixels: each side must be at most 4999"),
        ({"response_data": png(1100, 260)}, "is 1100x260 pixels: one side must be at most 4 times the other"),
        (
            {"response_data": png(), "status": 206, "headers": {"Content-Range": "bytes 0-999/50000001"}},
            "has 50000001 bytes; at most 50000000 are accepted",
        ),
        ({"status": 302, "headers": {"Location": "/bad.png"}}, "more than 5 redirects"),
        ({"status": 302, "headers": {"Location": "http://169.254.169.254/latest"}}, "is a private address"),
    ],
)
def test_a_bad_link_is_named_by_its_place_and_nothing_is_paid(
    api: HTTPServer, checking: ScriptedService, answer: dict[str, Any], reason: str
) -> None:
    """The good ones beside it are not sent either; put right, all of them are one task."""
    bad = api.expect_request("/bad.png")
    bad.respond_with_data(**answer)
    first, third = good(api, 1, 3)
    links = [first, link(api, "bad.png"), third]
    text = refused(checking, links)
    assert text.startswith(f"image 2: http://127.0.0.1:{api.port}/bad.png ")
    assert reason in text.partition("Nothing was sent")[0]
    assert "image 1:" not in text
    assert "image 3:" not in text
    bad.respond_with_data(png())
    assert submit(links) == "task-1"
    assert [body["images"] for body in checking.submissions] == [links]


def test_several_bad_links_are_all_named(api: HTTPServer, checking: ScriptedService) -> None:
    """In the order of the images, each with its own reason; a link that stands at two places is named at both."""
    api.expect_request("/gone.png").respond_with_data("", status=404)
    api.expect_request("/page.png").respond_with_data(PAGE)
    (fine,) = good(api, 1)
    gone, page = link(api, "gone.png"), link(api, "page.png")
    rows = refused(checking, [gone, fine, page, gone]).splitlines()
    assert [row.partition(":")[0] for row in rows[:3]] == ["image 1", "image 3", "image 4"]
    assert [next(part for part in ("404", "web page") if part in row) for row in rows[:3]] == ["404", "web page", "404"]
    assert sorted(asked(api)) == ["/1.png", "/gone.png", "/page.png"]


def test_one_bad_link_of_many_keeps_all_tasks_back(api: HTTPServer, checking: ScriptedService) -> None:
    """45 images would be three tasks; the place is the one in the whole batch."""
    links = good(api, *range(45))
    api.expect_oneshot_request("/40.png").respond_with_data("", status=404)
    assert refused(checking, links).startswith("image 41: ")
    assert len(submit(links).splitlines()) == 3


def test_a_link_without_a_server_is_refused(checking: ScriptedService) -> None:
    """As the first image of a new user would be, whose tunnel has ended."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    text = refused(checking, f"http://127.0.0.1:{port}/1.png?signature=hunter2")
    assert text.startswith(f"image 1: http://127.0.0.1:{port}/1.png cannot be fetched from outside: ")
    assert "cannot be reached" in text


def test_the_error_says_what_to_do(api: HTTPServer, checking: ScriptedService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another host, or no check, by the name of the profile; the advice works."""
    api.expect_request("/1.png").respond_with_data("", status=404)
    links = [link(api, "1.png")]
    text = refused(checking, links)
    assert "Choose a host in Image to URL that the service can reach" in text
    assert "set check_links = false for profile 'env' in config.toml, or CARTOONIZE_CHECK_LINKS=0" in text
    assert RUN_AGAIN not in text  # a pasted link is nobody's to make anew
    monkeypatch.setenv("CARTOONIZE_CHECK_LINKS", "0")
    assert submit(links) == "task-1"


def test_without_the_check_no_link_is_called_good(api: HTTPServer, service: ScriptedService) -> None:
    """Nothing is known of those beside the one to this machine."""
    text = refused(service, [link(api, "1.png", "127.0.0.2"), link(api, "never-asked.png")])
    assert "image 1: " in text
    assert "good" not in text


def test_a_link_that_was_not_asked_for_is_not_called_good(api: HTTPServer, checking: ScriptedService) -> None:
    """Those that are paid for already may be long gone."""
    paid = good(api, 1, 2)
    submit(paid)
    api.expect_request("/gone.png").respond_with_data("", status=404)
    assert "good" not in refused(checking, [*paid, link(api, "gone.png")])


# --- without the check ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("switch", ["environment", "file"])
def test_the_check_can_be_turned_off(
    api: HTTPServer, checking: ScriptedService, monkeypatch: pytest.MonkeyPatch, switch: str
) -> None:
    """For a service that is allowed where this machine is not; nobody is asked then."""
    if switch == "environment":
        monkeypatch.setenv("CARTOONIZE_CHECK_LINKS", "0")
    studio(checking, "check_links = false" if switch == "file" else "")
    links = [link(api, "never-asked.png"), f"http://127.0.0.1:{api.port}/2.png?expires=1&signature=a"]
    assert submit(links, profile="studio") == "task-1"
    assert asked(api) == []


@pytest.mark.parametrize("switch", ["1", "0"])
@pytest.mark.parametrize(
    "own", ["http://127.0.0.2:{port}/1.png", "http://localhost:{port}/1.png", "http://[::1]/1.png"]
)
def test_a_link_to_this_machine_is_refused_either_way(
    api: HTTPServer, checking: ScriptedService, monkeypatch: pytest.MonkeyPatch, switch: str, own: str
) -> None:
    """Unless the operator has named the host; it is not asked for."""
    monkeypatch.setenv("CARTOONIZE_CHECK_LINKS", switch)
    text = refused(checking, ["https://images.test/1.png?expires=1&signature=a"] * 2 + [own.format(port=api.port)])
    assert re.search(r"^image 3: \S+ is on this machine, where the service cannot fetch it\.", text, re.MULTILINE)
    assert ("image 1: " in text) is (switch == "1")
    assert asked(api) == []


def test_the_service_of_this_machine_says_itself_what_it_cannot_fetch(
    host: StandInHost, api: HTTPServer, checking: ScriptedService
) -> None:
    """It costs nothing: no check is made for the profile 'local', and none is paid for."""
    api.expect_request("/gone.png").respond_with_data("", status=404)
    assert submit([link(api, "gone.png")], profile="local")
    assert not [text for text in host.texts if "checking" in text]
    stop_embedded(home())  # after which nothing more is asked
    assert not [request for request, _ in api.log if "Range" in request.headers]
    assert checking.submissions == []


# --- what is paid for -------------------------------------------------------------------------------------------------


def test_what_is_paid_for_is_not_checked(api: HTTPServer, checking: ScriptedService) -> None:
    """Its links may be long gone: the picture host is not asked, and the task is handed on."""
    links = good(api, 1, 2)
    assert submit(links) == "task-1"
    api.clear()  # the log, too; whatever is asked from here on fails the test
    assert submit(links) == "task-1"
    assert asked(api) == []
    assert len(checking.submissions) == 1


def test_no_check_is_spoken_of_where_none_is_made(
    host: StandInHost, api: HTTPServer, checking: ScriptedService
) -> None:
    """Whoever runs a paid graph again sees what is paid for, not "0 links", and no bar without a length."""
    links = good(api, 1)
    submit(links)
    host.texts.clear()
    host.bars.clear()
    submit(links)
    assert not [text for text in host.texts if "checking" in text]
    assert all(total > 0 for _, total in host.bars)


def test_only_what_is_new_is_checked(api: HTTPServer, checking: ScriptedService) -> None:
    """A batch that grew; a new link that is bad is named by its place among all."""
    first = good(api, 1, 2)
    submit(first)
    api.clear()
    api.expect_oneshot_request("/3.png").respond_with_data("", status=404)
    links = first + good(api, 3)
    assert refused(checking, links).startswith("image 3: ")
    assert submit(links).splitlines() == ["task-1", "task-2"]
    assert asked(api) == ["/3.png", "/3.png"]


def test_of_a_report_only_the_failed_images_are_checked(api: HTTPServer, checking: ScriptedService) -> None:
    """The second attempt sends one of three links; the others may be gone."""
    checking.failed = {("task-1", 1): "no face found"}
    links = good(api, 1, 2, 3)
    report = execute(POLL, task_id=submit(links), on_failure="skip")[4]
    api.clear()
    api.expect_oneshot_request("/2.png").respond_with_data("", status=404)
    assert refused(checking, links, report=report).startswith("image 2: ")
    good(api, 2)
    assert submit(links, report=report).splitlines() == ["task-1", "task-2@2"]
    assert asked(api) == ["/2.png", "/2.png"]


def test_cancel_during_the_check_pays_nothing(host: StandInHost, api: HTTPServer, checking: ScriptedService) -> None:
    """A picture host that does not answer does not keep the node; the next run pays once."""
    arrived, release = threading.Event(), threading.Event()

    def hang(request: Request) -> Response:
        arrived.set()
        release.wait(PATIENCE_S)
        return Response(png(), content_type="image/png")

    api.expect_request("/1.png").respond_with_handler(hang)
    press = threading.Thread(target=lambda: arrived.wait(PATIENCE_S) and setattr(host, "interrupted", True))
    press.start()
    begun = time.monotonic()
    with pytest.raises(Interrupt):
        submit([link(api, "1.png")])
    assert time.monotonic() - begun < 2
    press.join()
    release.set()
    host.interrupted = False
    assert submit([link(api, "1.png")]) == "task-1"
    assert len(checking.submissions) == 1


# --- addresses and times ----------------------------------------------------------------------------------------------


def test_a_link_into_the_local_network_needs_leave(
    api: HTTPServer, checking: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says how; with it, the service in the same network is paid."""
    good(api, 1)
    links = [link(api, "1.png", "nas.test")]
    with monkeypatch.context() as patch:
        names(patch, nas="192.168.1.5")
        text = refused(checking, links)
        assert "192.168.1.5 is a private address. Allow it with CARTOONIZE_ALLOW_HOSTS=nas.test" in text
    monkeypatch.setenv("CARTOONIZE_ALLOW_HOSTS", "127.0.0.1, nas.test")
    names(monkeypatch, nas="127.0.0.1")
    assert submit(links) == "task-1"
    assert checking.submissions == [{"images": links, "priority": 1}]


def test_a_signed_link_must_last_as_long_as_a_task_is_expected_to_take(
    api: HTTPServer, checking: ScriptedService
) -> None:
    """Five minutes are too few for ten, which a task may take if nobody says otherwise, and enough for two."""
    good(api, 1)
    ends = int(time.time()) + 300
    links = [f"http://127.0.0.1:{api.port}/1.png?AWSAccessKeyId=a&Expires={ends}&Signature=hunter2"]
    assert "/1.png expires in 5 min; a task may take 10 min." in refused(checking, links)
    studio(checking, "expected_wait_s = 7200")
    assert "expires in 5 min; a task may take 2 h." in refused(checking, links, profile="studio")
    assert asked(api) == []
    studio(checking, "expected_wait_s = 120")
    assert submit(links, profile="studio") == "task-1"


def test_an_expired_link_is_named_as_such(checking: ScriptedService) -> None:
    """Nobody has to be asked for that."""
    link = f"https://images.test/1.png?X-Amz-Date={time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(time.time() - 7500))}"
    text = refused(checking, f"{link}&X-Amz-Expires=300&X-Amz-Signature=hunter2")
    assert text.startswith("image 1: https://images.test/1.png has expired 2 h ago.")


# --- links of our own that do not work any more -----------------------------------------------------------------------


@pytest.fixture
def public(host: StandInHost, checking: ScriptedService, monkeypatch: pytest.MonkeyPatch) -> ScriptedService:
    """This machine's pictures can be fetched, at the address of its embedded service."""
    monkeypatch.setenv("CARTOONIZE_PUBLIC_URL", embedded_service(config.load()).base_url)
    return checking


def uploaded(count: int = 2, **inputs: Any) -> list[str]:
    """The links of a run of Image to URL."""
    return execute(IMAGE_TO_URL, images=batch(count, value=0.5), **inputs)[0].splitlines()


def age(host: str = "auto") -> str:
    """What tells ComfyUI to run Image to URL again, when it changes."""
    return IMAGE_TO_URL.IS_CHANGED(host=[host])


def test_links_that_work_are_not_made_anew(public: ScriptedService) -> None:
    """ComfyUI goes on with those that it remembers."""
    before = age()
    assert submit(uploaded()) == "task-1"
    assert age() == before != ""


def test_an_uploaded_picture_that_is_gone_is_uploaded_again_by_the_next_run(public: ScriptedService) -> None:
    """The error says so, Image to URL is told to run again, and then the same work is paid for once."""
    first = uploaded()
    before = age()
    (home() / "service" / "pictures" / first[0].rpartition("/")[2]).unlink()
    text = refused(public, first)
    assert text.startswith(f"image 1: {first[0]} is not there, or not any more (HTTP 404)")
    assert RUN_AGAIN in text
    assert age() != before
    second = uploaded()
    assert not set(first) & set(second)
    assert submit(second) == submit(second) == "task-1"
    assert [body["images"] for body in public.submissions] == [second]


def test_a_machine_that_moved_gets_new_links(public: ScriptedService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tunnel has ended, and another one leads to it: the files are still there, their address is another one."""
    first = uploaded()
    before = age()
    stop_embedded(home())
    text = refused(public, first)
    assert "cannot be reached" in text
    assert RUN_AGAIN in text
    assert age() != before
    monkeypatch.setenv("CARTOONIZE_PUBLIC_URL", embedded_service(config.load()).base_url)
    second = uploaded()
    assert second != first
    assert submit(second) == "task-1"
    assert len(public.submissions) == 1


def test_an_upload_is_known_whatever_has_become_of_its_signature(checking: ScriptedService) -> None:
    """A saved graph brings the link of another day; its query is another one than the last that was made."""
    (fresh,) = uploaded(1, host="comfyui")
    before = age("comfyui")
    stale = re.sub(r"expires=\d+&signature=.*", "expires=1700000000&signature=hunter2", fresh)
    assert stale != fresh
    text = refused(checking, stale)
    assert "has expired" in text
    assert RUN_AGAIN in text
    assert age("comfyui") != before


def test_a_dead_link_among_pasted_ones_makes_only_ours_anew(api: HTTPServer, public: ScriptedService) -> None:
    """A pasted link that is bad is no reason to upload anything again."""
    ours = uploaded(1)
    api.expect_request("/gone.png").respond_with_data("", status=404)
    before = age()
    assert RUN_AGAIN not in refused(public, [*ours, link(api, "gone.png")])
    assert age() == before


def test_a_picture_that_this_machine_has_deleted_is_never_paid_for(
    public: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with the check off: ComfyUI remembers its link, whatever purge and delete_after have done since."""
    monkeypatch.setenv("CARTOONIZE_CHECK_LINKS", "0")
    links, before = uploaded(), age()
    assert main(["hosts", "purge", "--all"]) == 0
    assert "which has deleted it since" in refused(public, links)
    assert age() != before
    submit(uploaded())
    assert len(public.submissions) == 1


def test_an_upload_is_reserved_before_it_is_paid_for(public: ScriptedService, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the submission is on its way purge deletes nothing that it needs; from then on its task keeps it."""
    links = uploaded()
    create, purged = public.create, []

    def creating(body: dict[str, Any]) -> dict[str, object]:
        purged.append(main(["hosts", "purge"]))
        return create(body)

    monkeypatch.setattr(public, "create", creating)
    submit(links)
    assert purged == [0]
    registry = Registry(home())
    assert registry.gone(links) == set()
    assert registry.take(None, {(config.load().profile("env").task_address, "task-1")}) == []
    assert len(registry.take(None, ())) == len(set(links))


def test_what_was_refused_reserves_nothing(public: ScriptedService, api: HTTPServer) -> None:
    """The check found another link bad: nothing was sent, and nothing is needed."""
    links = uploaded()
    api.expect_request("/gone.png").respond_with_data("", status=404)
    refused(public, [*links, link(api, "gone.png")])
    with sqlite3.connect(home() / "uploads.sqlite3") as db:
        assert db.execute("SELECT COUNT(*) FROM uses").fetchone() == (0,)
    db.close()
