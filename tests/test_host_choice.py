"""Which image host it is: what "auto" means, what the widget offers, and when remembered links are made anew."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cartoonize_pack.utils import config
from cartoonize_pack.utils.backend import host_name, open_host
from cartoonize_pack.utils.errors import ConfigurationError
from cartoonize_pack.utils.hosting import uploads
from cartoonize_pack.utils.hosting.comfyui import ComfyUIHost
from cartoonize_pack.utils.hosting.http import HttpHost
from cartoonize_pack.utils.hosting.local import LocalHost
from cartoonize_pack.utils.hosting.registry import FILE
from cartoonize_pack.utils.hosting.storage import ObjectStorage
from cartoonize_pack.utils.hosting.uploads import Uploads
from cartoonize_pack.utils.routes import UPLOADS_ROUTE
from cartoonize_pack.utils.service import server
from fake_clock import Clock
from node_calls import IMAGE_TO_URL, batch, execute
from scripted_service import ScriptedService
from stand_in_host import StandInHost

NAME = "a" * 43 + ".png"
HOSTS = """
[hosts.bucket]
kind = "s3"
bucket = "b"
region = "eu-central-1"
link_lifetime_h = 2
delete_after = "result stored"

[hosts.unfinished]
kind = "s3"

[hosts.web]
kind = "http"
url = "https://up.example/{name}"
link = "{upload_url}"
public = false
"""
STUDIO = """
[profiles.studio]
create_url = "https://api.example/batch"
result_url = "https://api.example/result/{task_id}"
app_key = "key"
app_secret = "secret"
"""
ME = "https://me.example"


def home() -> Path:
    """The state folder."""
    return Path(os.environ["CARTOONIZE_HOME"])


def configure(*texts: str) -> None:
    """Write the configuration."""
    home().mkdir(exist_ok=True)
    (home() / "config.toml").write_text("\n".join(texts))


def loaded(*texts: str, **env: str) -> config.Config:
    """The configuration of such a file and environment."""
    configure(*texts)
    return config.load(env={"CARTOONIZE_HOME": str(home())} | {f"CARTOONIZE_{key}": env[key] for key in env})


# What "auto" means

CHOICES: dict[str, tuple[str, str, list[str], Mapping[str, str], str]] = {
    # wanted, profile, additions to the profile "studio", environment, what it is
    "the service of this machine": ("auto", "local", [], {}, "local"),
    "nothing chosen": ("", "local-manga", [], {}, "local"),
    "this machine, whatever others need": ("auto", "local", [], {"HOST": "web", "PUBLIC_URL": ME}, "local"),
    "this machine, but another host is named": ("web", "local", [], {}, "web"),
    "the host of the profile": ("auto", "studio", ['host = "web"'], {}, "web"),
    "the host of the environment": ("auto", "studio", [], {"HOST": "bucket"}, "bucket"),
    "the profile before the environment": ("", "studio", ['host = "web"'], {"HOST": "bucket"}, "web"),
    "a host that nobody knows is told later": ("auto", "studio", ['host = "gone"'], {}, "gone"),
    "a name that nobody knows is told later": ("gone", "studio", [], {}, "gone"),
    "this machine, reached from outside": ("auto", "studio", ['host = "local"'], {"PUBLIC_URL": ME}, "local"),
    "the same, by the profile": ("auto", "studio", ['host = "local"', f'public_url = "{ME}"'], {}, "local"),
    "this machine by name, reached or not": ("local", "studio", [], {}, "local"),
    "comfyui, reached or not": ("auto", "studio", ['host = "comfyui"'], {}, "comfyui"),
}


@pytest.mark.parametrize(("wanted", "profile", "more", "env", "expected"), CHOICES.values(), ids=CHOICES)
def test_auto_is_the_host_that_the_profile_needs(
    wanted: str, profile: str, more: list[str], env: Mapping[str, str], expected: str
) -> None:
    """A name is itself; else the service of this machine takes from this machine, and others from what is set."""
    settings = loaded(HOSTS, STUDIO, *more, **env)
    assert host_name(settings, wanted, settings.profile(profile)) == expected


def test_the_default_host_of_the_file_is_below_the_environment() -> None:
    """A machine's own variable wins over the file that machines share."""
    text = 'default_host = "web"'
    settings = loaded(text, HOSTS, STUDIO)
    assert host_name(settings, "auto", settings.profile("studio")) == "web"
    settings = loaded(text, HOSTS, STUDIO, HOST="bucket")
    assert host_name(settings, "auto", settings.profile("studio")) == "bucket"


@pytest.mark.parametrize(
    ("more", "env", "problem"),
    [
        ([], {}, "no image host is set"),
        ([], {"PUBLIC_URL": ME}, "no image host is set"),
        ([], {"HOST": "local"}, "'local' serves pictures on this machine only"),
        (['host = "local"'], {}, "'local' serves pictures on this machine only"),
    ],
)
def test_what_is_missing_for_auto_is_told(more: list[str], env: Mapping[str, str], problem: str) -> None:
    """With the profile, the hosts that there are, and every way out."""
    settings = loaded(HOSTS, STUDIO, *more, **env)
    with pytest.raises(ConfigurationError) as caught:
        open_host(settings, "auto", settings.profile("studio"))
    words = ("profile 'studio'", problem, "local, comfyui, bucket, unfinished, web", "CARTOONIZE_HOST", "default_host")
    for word in (*words, str(home() / "config.toml"), "CARTOONIZE_PUBLIC_URL", "Nothing was sent"):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("gone", "There is no image host 'gone' on this machine; it has: local, comfyui, bucket, unfinished, web"),
        ("unfinished", r"'unfinished' is not ready: bucket not set.*\[hosts\.unfinished\] in .*config\.toml"),
        ("comfyui", r"'comfyui' is not ready: public_url \(or CARTOONIZE_PUBLIC_URL\).*Nothing was sent"),
    ],
)
def test_a_host_that_cannot_be_opened_says_what_to_set(wanted: str, words: str) -> None:
    """And where."""
    settings = loaded(HOSTS, STUDIO)
    with pytest.raises(ConfigurationError, match=words):
        open_host(settings, wanted, settings.profile("studio"))


@pytest.mark.parametrize(
    ("wanted", "kind", "until_stored"),
    [
        ("local", LocalHost, False),
        ("comfyui", ComfyUIHost, False),
        ("bucket", ObjectStorage, True),
        ("web", HttpHost, False),
    ],
)
def test_a_name_becomes_its_host(wanted: str, kind: type, until_stored: bool) -> None:
    """Of its kind, with its settings, and known to the list of uploads by its place; nobody is asked for it."""
    settings = loaded(HOSTS, STUDIO, PUBLIC_URL=ME)
    opened = open_host(settings, wanted, settings.profile("studio"))
    assert isinstance(opened.host, kind)
    assert opened.settings is settings.hosts[wanted]
    assert (opened.place.host, opened.place.identity) == (wanted, opened.host.identity)
    assert opened.place.until_stored is until_stored


@pytest.mark.parametrize(
    ("wanted", "more", "env", "start"),
    [
        ("local", [], {"PUBLIC_URL": ME}, f"{ME}/files/"),
        ("local", [f'public_url = "{ME}/"'], {}, f"{ME}/files/"),
        ("local", ['public_url = "https://own.example"'], {"PUBLIC_URL": ME}, "https://own.example/files/"),
        ("comfyui", [], {"PUBLIC_URL": ME}, f"{ME}{UPLOADS_ROUTE}/"),
        ("comfyui", [f'public_url = "{ME}"'], {}, f"{ME}{UPLOADS_ROUTE}/"),
        ("comfyui", ['[hosts.comfyui]\npublic_url = "https://own.example"'], {"PUBLIC_URL": ME}, "https://own.example"),
    ],
)
def test_links_of_this_machine_bear_its_public_address(
    wanted: str, more: list[str], env: Mapping[str, str], start: str
) -> None:
    """The host's own before the profile's, that before the environment's; no service is started for them."""
    settings = loaded(HOSTS, STUDIO, *more, **env)
    host = open_host(settings, wanted, settings.profile("studio")).host
    assert host.put(NAME, b"pixels", "image/png").link.startswith(start)
    assert home().resolve() not in server._running


def test_links_for_this_machine_bear_the_address_of_its_service(host: StandInHost) -> None:
    """It is started by the first link, and not by the choice."""
    settings = loaded()
    opened = open_host(settings, "auto", settings.profile("auto")).host
    assert home().resolve() not in server._running
    upload = opened.put(NAME, b"pixels", "image/png")
    assert upload.link == f"{server._running[home().resolve()].base_url}/files/{NAME}"


@pytest.mark.parametrize("wanted", ["local", "comfyui"])
def test_the_choice_of_a_host_opens_the_state_folder_to_nobody(wanted: str) -> None:
    """Where it is what makes the folder, on a new machine."""
    settings = config.load(env={"CARTOONIZE_HOME": str(home()), "CARTOONIZE_PUBLIC_URL": ME})
    before = os.umask(0o022)
    try:
        open_host(settings, wanted, settings.profile("auto")).host.put(NAME, b"pixels", "image/png")
    finally:
        os.umask(before)
    assert stat.S_IMODE(home().stat().st_mode) == 0o700


@pytest.mark.parametrize("wanted", ["local", "comfyui"])
def test_a_state_folder_that_cannot_be_used_is_a_sentence(wanted: str) -> None:
    """A file in its place."""
    home().write_text("in the way")
    settings = config.load(home().with_name("another"), env={"CARTOONIZE_PUBLIC_URL": ME})
    settings = config.Config(home(), settings.profiles, settings.default, settings.hosts)
    with pytest.raises(ConfigurationError, match="cannot be (used|written)"):
        open_host(settings, wanted, settings.profile("auto")).host.put(NAME, b"pixels", "image/png")


# The widget


def offered() -> tuple[list[str], dict[str, str]]:
    """What the widget of Image to URL shows."""
    choices, options = IMAGE_TO_URL.INPUT_TYPES()["required"]["host"]
    return choices, options


def test_the_widget_offers_the_hosts_of_this_machine() -> None:
    """Also those that are not finished, which say when they run what to set; the file is read each time."""
    assert offered()[0] == ["auto", "local", "comfyui"]
    configure(HOSTS)
    assert offered()[0] == ["auto", "local", "comfyui", "bucket", "unfinished", "web"]
    assert offered()[1]["default"] == "auto"


def test_a_broken_configuration_still_offers_a_choice(caplog: pytest.LogCaptureFixture) -> None:
    """ComfyUI must start, and show its nodes: the error is logged, and told by the run."""
    configure("[hosts")
    choices, options = offered()
    assert (choices, options["default"]) == (["auto", "local"], "auto")
    assert "config.toml is not valid TOML" in caplog.text
    with pytest.raises(ConfigurationError, match="not valid TOML"):
        execute(IMAGE_TO_URL, images=batch())


@pytest.mark.parametrize("name", ["auto", "", None, "local", "comfyui", "bucket", "unfinished", "web"])
def test_a_host_of_this_machine_is_accepted(name: str | None) -> None:
    """So is one that is linked, which is known only later."""
    configure(HOSTS)
    assert IMAGE_TO_URL.VALIDATE_INPUTS(host=[name]) is True


def test_a_host_of_another_machine_gets_a_sentence() -> None:
    """It lists what there is here, and where to describe it."""
    configure(HOSTS)
    said = IMAGE_TO_URL.VALIDATE_INPUTS(host=["somebody-elses"])
    assert isinstance(said, str)
    assert "no image host 'somebody-elses' on this machine; it has: local, comfyui, bucket, unfinished, web" in said
    assert "[hosts.somebody-elses]" in said
    assert str(home() / "config.toml") in said


@pytest.mark.parametrize(("name", "is_fine"), [("auto", True), (None, True), ("bucket", False), ("local", False)])
def test_a_broken_configuration_is_told_where_it_matters(name: str | None, is_fine: bool) -> None:
    """Whether a name is known cannot be said then; "auto" is told by the run."""
    configure("[hosts")
    said = IMAGE_TO_URL.VALIDATE_INPUTS(host=[name])
    assert said is True if is_fine else "not valid TOML" in said


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("unfinished", "'unfinished' is not ready: bucket not set"),
        ("somebody-elses", "no image host 'somebody-elses' on this machine"),
        ("comfyui", "'comfyui' is not ready: public_url"),
    ],
)
def test_a_host_that_cannot_be_used_is_told_by_the_run(host: StandInHost, name: str, words: str) -> None:
    """As when its name came over a link; nothing is uploaded."""
    configure(HOSTS)
    with pytest.raises(ConfigurationError, match=words):
        execute(IMAGE_TO_URL, images=batch(), host=name)
    assert not (home() / FILE).exists()


def test_the_host_that_is_chosen_gets_the_images(host: StandInHost, service: ScriptedService) -> None:
    """And the page says where they went."""
    links = execute(IMAGE_TO_URL, images=batch(2), host="comfyui")[0].splitlines()
    assert len(links) == 2
    assert all(link.startswith(f"http://127.0.0.1:9{UPLOADS_ROUTE}/") for link in links)
    assert "'comfyui'" in host.texts[-1]
    assert service.submissions == []


# When remembered links are made anew


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens a connection, or looks up a name, fails."""

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("the network was used")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, fail)


@pytest.fixture
def told_time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time that the node goes by, at the beginning of a half of every lifetime here."""
    clock = Clock()
    clock.now = 86_400.0 * 10_000
    monkeypatch.setattr(uploads, "Uploads", partial(Uploads, clock=clock))
    return clock


def changed(host: str | None) -> Any:
    """What ComfyUI compares with that of the run before, asked as it asks; a linked input is None."""
    return IMAGE_TO_URL.IS_CHANGED(images=[None], host=[host], format=["auto"], out_of_limits=["fit"])


@pytest.mark.parametrize(
    ("host", "half_s"), [("auto", 43_200), ("local", 43_200), ("bucket", 3600), ("web", 43_200), (None, 3600)]
)
def test_links_are_remembered_for_half_of_their_lifetime(
    no_network: None, told_time: Clock, host: str | None, half_s: float
) -> None:
    """Until then a run uploads nothing; afterwards they would end too soon."""
    configure(HOSTS)
    first = changed(host)
    told_time.now += half_s - 1
    assert changed(host) == first
    told_time.now += 1
    assert changed(host) != first


def test_auto_goes_by_the_lifetime_of_the_host_that_it_means(no_network: None, told_time: Clock) -> None:
    """That of the default profile."""
    configure('default_profile = "studio"\ndefault_host = "bucket"', HOSTS, STUDIO)
    first = changed("auto")
    told_time.now += 3600
    assert changed("auto") != first
    assert changed("auto") == changed("bucket")


def test_links_that_were_found_dead_are_made_anew_at_the_next_run(no_network: None, told_time: Clock) -> None:
    """Once: the run after it has good ones."""
    configure(HOSTS)
    first = changed("bucket")
    Uploads(config.load()).renew_links()
    second = changed("bucket")
    assert first != second == changed("bucket")


UNUSUAL: dict[str, tuple[str | None, str]] = {
    "a host of another machine": ("somebody-elses", HOSTS),
    "a host that is not finished": ("unfinished", HOSTS),
    "no host is set for the default profile": ("auto", 'default_profile = "studio"\n' + STUDIO),
    "a default profile that is not finished": ("auto", 'default_profile = "studio"\n[profiles.studio]'),
    "the same, with a host": ("bucket", 'default_profile = "studio"\n[profiles.studio]' + HOSTS),
    "a default profile that there is not": ("local", 'default_profile = "gone"'),
    "a broken file": ("local", "[hosts"),
    "an unknown key": ("auto", "colour = 1"),
    "links that live for no time": ("local", "[hosts.local]\nlink_lifetime_h = 0"),
    "links that live for less than no time": ("local", "[hosts.local]\nlink_lifetime_h = -1"),
    "links that live for a moment": ("local", "[hosts.local]\nlink_lifetime_h = 1e-320"),
    "links that live for ever": ("local", "[hosts.local]\nlink_lifetime_h = 1e308"),
    "nothing chosen": ("", ""),
    "a host that is linked": (None, HOSTS),
}


@pytest.mark.parametrize(("host", "text"), UNUSUAL.values(), ids=UNUSUAL)
def test_whatever_is_wrong_is_told_by_the_run_and_not_here(no_network: None, host: str | None, text: str) -> None:
    """ComfyUI would run the node each time, and log an error that nobody understands."""
    configure(text)
    assert isinstance(changed(host), str)
    assert {path.name for path in home().iterdir()} == {"config.toml"}


def test_nobody_is_asked_and_nothing_is_written_on_a_new_machine(no_network: None) -> None:
    """To show a node, to check it, and to see whether it must run."""
    offered()
    assert IMAGE_TO_URL.VALIDATE_INPUTS(host=["local"]) is True
    assert isinstance(changed("auto"), str)
    assert not home().exists()
