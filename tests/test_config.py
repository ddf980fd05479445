"""Profiles, secrets and the state folder: what is read from where, and what each error tells its reader to do."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import os
import pickle
import stat
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest
from cartoonize_pack.utils.config import Config, Profile, Secret, load
from cartoonize_pack.utils.contract import Limits
from cartoonize_pack.utils.errors import ConfigurationError
from cartoonize_pack.utils.home import default_home, ensure_home, platform_home
from cartoonize_pack.utils.hosting.http_settings import HttpSettings
from cartoonize_pack.utils.hosting.settings import ComfyUISettings, LocalSettings, S3Settings
from cartoonize_pack.utils.private_files import make_private_folder

ENV = {
    "CARTOONIZE_CREATE_URL": "https://api.example/v3/pic/cartoon/batch",
    "CARTOONIZE_RESULT_URL": "https://api.example/v3/pic/cartoon/result/{task_id}",
    "CARTOONIZE_APP_KEY": "the-key",
    "CARTOONIZE_APP_SECRET": "hunter2",
}
TOML = """
create_url = "https://api.example/batch"
result_url = "https://api.example/result/{task_id}"
app_key = "the-key"
app_secret = "hunter2"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty state folder."""
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


def read(home: Path, toml: str | None = None, env: Mapping[str, str] | None = None) -> Config:
    """The configuration with this config.toml and this environment, and nothing else."""
    if toml is not None:
        (home / "config.toml").write_text(toml, encoding="utf-8")
    return load(home, env or {})


def refused(home: Path, toml: str, *words: str, use: str = "local") -> str:
    """Read (and use) a configuration that must be refused by name of the file, and return the text."""
    with pytest.raises(ConfigurationError) as caught:
        read(home, toml).profile(use)
    for word in (*words, str(home / "config.toml")):
        assert word in str(caught.value)
    return str(caught.value)


# Without any configuration


def test_without_configuration_the_embedded_service_is_used(home: Path) -> None:
    """Works at once, with no account."""
    config = read(home)
    assert config.home == home
    assert config.default == "local"
    assert config.profile("auto") == config.profile("") == config.profiles["local"]


@pytest.mark.parametrize(("name", "style"), [("local", "anime"), ("local-anime", "anime"), ("local-manga", "manga")])
def test_each_built_in_profile_is_ready_and_has_its_style(home: Path, name: str, style: str) -> None:
    """No address, no key: the embedded service fills them in."""
    profile = read(home).profile(name)
    assert (profile.name, profile.style, profile.is_local) == (name, style, True)
    assert profile.allow_http
    assert profile.limits == Limits()
    assert not profile.create_url
    assert not profile.app_key


def test_only_the_built_in_profiles_exist_without_configuration(home: Path) -> None:
    """Nothing is invented."""
    assert list(read(home).profiles) == ["local", "local-anime", "local-manga"]


# The environment


def test_the_environment_makes_a_profile_and_the_default(home: Path) -> None:
    """Set, they are what "auto" means."""
    config = read(home, env=ENV)
    profile = config.profile("auto")
    assert config.default == profile.name == "env"
    assert profile == config.profiles["env"]
    assert profile.create_url == ENV["CARTOONIZE_CREATE_URL"]
    assert profile.result_url == ENV["CARTOONIZE_RESULT_URL"]
    assert (profile.app_key.reveal(), profile.app_secret.reveal()) == ("the-key", "hunter2")
    assert not profile.is_local
    assert profile.send_priority
    assert not profile.allow_http
    assert config.profile("local").is_local


def test_the_environment_wins_over_the_default_of_the_file(home: Path) -> None:
    """Later sources win."""
    config = read(home, 'default_profile = "mine"\n[profiles.mine]' + TOML, ENV)
    assert config.profile("auto").name == "env"
    assert config.profile("mine").name == "mine"


@pytest.mark.parametrize("missing", list(ENV))
def test_an_incomplete_environment_is_told_exactly_what_to_set_and_where(home: Path, missing: str) -> None:
    """Only the missing name, the place, and the way without an account; never a key."""
    config = read(home, env={name: value for name, value in ENV.items() if name != missing})
    with pytest.raises(ConfigurationError) as caught:
        config.profile("env")
    text = str(caught.value)
    for words in (f"{missing} not set", "'env'", "environment of ComfyUI", "console", "'local' works"):
        assert words in text
    for other in set(ENV) - {missing}:
        assert other not in text
    assert "hunter2" not in text


def test_one_address_alone_is_told_of_all_the_others(home: Path) -> None:
    """All at once, not one a run."""
    with pytest.raises(
        ConfigurationError, match="CARTOONIZE_CREATE_URL, CARTOONIZE_APP_KEY, CARTOONIZE_APP_SECRET not set"
    ):
        read(home, env={"CARTOONIZE_RESULT_URL": ENV["CARTOONIZE_RESULT_URL"]}).profile("auto")


def test_an_incomplete_environment_leaves_the_other_profiles_usable(home: Path) -> None:
    """A remote profile that is not ready does not stop local work that is asked for by name."""
    assert read(home, env={"CARTOONIZE_CREATE_URL": "https://api.example/"}).profile("local").is_local


@pytest.mark.parametrize("env", [{}, dict.fromkeys(ENV, "")], ids=["not set", "empty"])
def test_empty_variables_count_as_not_set(home: Path, env: dict[str, str]) -> None:
    """Containers often set variables to nothing."""
    config = read(home, env=env)
    assert "env" not in config.profiles
    assert config.profile("auto").is_local


def test_the_environment_of_the_process_is_read_when_asked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at import: a key that was set later counts."""
    monkeypatch.setenv("CARTOONIZE_HOME", str(home))
    assert load().default == "local"
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    assert load().profile("auto").app_key.reveal() == "the-key"


def test_the_state_folder_of_the_environment_wins(tmp_path: Path) -> None:
    """Over the folder of ComfyUI, and over the platform's."""
    mine, comfy = tmp_path / "mine", tmp_path / "comfy"
    assert load(comfy, {"CARTOONIZE_HOME": str(mine)}).home == mine
    assert load(comfy, {"CARTOONIZE_HOME": ""}).home == comfy
    assert load(comfy, {}).home == comfy
    assert load(None, {"XDG_DATA_HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path)}).home == platform_home(
        {"XDG_DATA_HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path)}
    )


def test_reading_the_configuration_creates_nothing(tmp_path: Path) -> None:
    """A node that is only looked at leaves no trace."""
    load(tmp_path / "absent", {})
    assert not (tmp_path / "absent").exists()


# Permissions and hosts of the environment


def test_the_allowed_hosts_of_the_environment_are_added_to_every_profile(home: Path) -> None:
    """Spaces and empty entries do no harm, hosts of the file stay."""
    config = read(
        home, "[profiles.mine]\nallow_hosts = ['nas.lan']" + TOML, {"CARTOONIZE_ALLOW_HOSTS": " a.lan , ,10.0.0.7,"}
    )
    assert config.profile("mine").allow_hosts == ("nas.lan", "a.lan", "10.0.0.7")
    assert config.profile("local").allow_hosts == ("a.lan", "10.0.0.7")


def test_image_host_and_public_address_come_from_the_environment_unless_the_file_says_otherwise(home: Path) -> None:
    """The more specific one wins."""
    env = {"CARTOONIZE_HOST": "local", "CARTOONIZE_PUBLIC_URL": "https://me.example"}
    file = "[profiles.a]" + TOML + "[profiles.b]\nhost = 'bucket'\npublic_url = 'https://cdn.example'" + TOML
    config = read(home, file, env)
    assert (config.profiles["a"].host, config.profiles["a"].public_url) == ("local", "https://me.example")
    assert (config.profiles["b"].host, config.profiles["b"].public_url) == ("bucket", "https://cdn.example")
    assert (read(home).profiles["a"].host, read(home).profiles["a"].public_url) == ("", "")


@pytest.mark.parametrize(
    ("env", "top", "own", "expected"),
    [
        ("", "", "", ""),
        ("", "", "own", "own"),
        ("", "top", "", "top"),
        ("", "top", "own", "own"),
        ("env", "", "", "env"),
        ("env", "", "own", "own"),
        ("env", "top", "", "env"),
        ("env", "top", "own", "own"),
    ],
)
def test_the_image_host_is_the_profiles_then_the_environments_then_the_files(
    home: Path, env: str, top: str, own: str, expected: str
) -> None:
    """All three may name one; a profile without its own has what the others have, the embedded service too."""
    toml = f"default_host = '{top}'\n" * bool(top) + "[profiles.a]" + f"\nhost = '{own}'" * bool(own) + TOML
    config = read(home, toml + "[profiles.b]" + TOML, {**ENV, "CARTOONIZE_HOST": env})
    assert config.profiles["a"].host == expected
    for name in ("b", "env", "local", "local-anime", "local-manga"):
        assert config.profiles[name].host == (env or top)


@pytest.mark.parametrize("own", [None, True, False])
@pytest.mark.parametrize("value", [None, "", "0", "1", "no", "00"])
def test_links_are_checked_unless_the_profile_or_the_environment_says_no(
    home: Path, own: bool | None, value: str | None
) -> None:
    """It protects the purse, so only an exact "0" or false does; the environment cannot switch it on again."""
    line = "" if own is None else f"\ncheck_links = {str(own).lower()}"
    env = ENV if value is None else {**ENV, "CARTOONIZE_CHECK_LINKS": value}
    config = read(home, f"[profiles.a]{line}{TOML}[profiles.b]{TOML}", env)
    assert config.profiles["a"].check_links is (own is not False and value != "0")
    for name in ("b", "env", "local"):
        assert config.profiles[name].check_links is (value != "0")


def test_the_expected_wait_is_ten_minutes_unless_the_profile_says_otherwise(home: Path) -> None:
    """It is how long links must still work."""
    config = read(home, f"[profiles.a]\nexpected_wait_s = 7200{TOML}[profiles.b]{TOML}", ENV)
    assert config.profiles["a"].expected_wait_s == 7200
    for name in ("b", "env", "local"):
        assert config.profiles[name].expected_wait_s == 600


@pytest.mark.parametrize("name", ["CARTOONIZE_CREATE_URL", "CARTOONIZE_RESULT_URL"])
def test_plain_http_needs_leave(home: Path, name: str) -> None:
    """The key would travel in the clear: the message names the address's variable and the switch."""
    env = {**ENV, name: ENV[name].replace("https", "http")}
    for refusing in ({}, {"CARTOONIZE_ALLOW_HTTP": "0"}, {"CARTOONIZE_ALLOW_HTTP": ""}):
        with pytest.raises(ConfigurationError, match=rf"{name} must start with https://.*CARTOONIZE_ALLOW_HTTP=1"):
            read(home, env=env | refusing).profile("env")
    assert read(home, env=env | {"CARTOONIZE_ALLOW_HTTP": "1"}).profile("env").allow_http


def test_plain_http_can_be_allowed_for_one_profile(home: Path) -> None:
    """In the file, beside the address."""
    plain = TOML.replace("https", "http")
    config = read(home, "[profiles.lan]\nallow_http = true" + plain + "[profiles.wan]" + plain)
    assert config.profile("lan").create_url.startswith("http://")
    with pytest.raises(ConfigurationError, match="create_url must start with https://|result_url must start"):
        config.profile("wan")


@pytest.mark.parametrize(
    "url", ["ftp://api.example/{task_id}", "api.example/{task_id}", "/result/{task_id}", "file:///{task_id}"]
)
def test_other_kinds_of_addresses_are_refused_even_with_leave_for_http(home: Path, url: str) -> None:
    """Only http and https carry the API."""
    env = {**ENV, "CARTOONIZE_RESULT_URL": url, "CARTOONIZE_ALLOW_HTTP": "1"}
    with pytest.raises(ConfigurationError, match="CARTOONIZE_RESULT_URL must start with https://"):
        read(home, env=env).profile("env")


@pytest.mark.parametrize("url", ["https://[api.example/{task_id}", "https://[::1/{task_id}"])
@pytest.mark.parametrize("name", ["CARTOONIZE_CREATE_URL", "CARTOONIZE_RESULT_URL"])
def test_an_address_that_cannot_be_read_is_a_configuration_error(home: Path, name: str, url: str) -> None:
    """A typing mistake is told by the name of the variable, not by a library's ValueError."""
    with pytest.raises(ConfigurationError, match=name):
        read(home, env={**ENV, name: url}).profile("env")


@pytest.mark.parametrize(
    "url", ["https://api.example/result", "https://api.example/{id}", "https://api.example/{ task_id }"]
)
def test_a_result_address_without_a_place_for_the_task_id_is_refused(home: Path, url: str) -> None:
    """Every task would ask for the same address."""
    with pytest.raises(ConfigurationError, match=r"CARTOONIZE_RESULT_URL must contain \{task_id\}"):
        read(home, env={**ENV, "CARTOONIZE_RESULT_URL": url}).profile("env")
    refused(home, "[profiles.a]" + TOML.replace("{task_id}", ""), "result_url must contain {task_id}", use="a")


# config.toml


def test_a_profile_of_the_file_may_set_everything(home: Path) -> None:
    """Every key arrives in its place."""
    config = read(
        home,
        """
        default_profile = "vendor"
        [profiles.vendor]
        create_url = "http://api.example/batch"
        result_url = "http://api.example/result/{task_id}"
        app_key = "the-key"
        app_secret = "hunter2"
        host = "bucket"
        public_url = "https://me.example"
        allow_http = true
        allow_hosts = ["nas.lan", "10.0.0.7"]
        send_priority = false
        max_images = 7
        check_links = false
        expected_wait_s = 3600
        [profiles.vendor.limits]
        max_images = 5
        min_priority = 1
        max_priority = 3
        max_bytes = 1000000
        min_side = 100
        max_side = 2000
        max_aspect = 2.5
        """,
    )
    found = config.profile("auto")
    assert (found.app_key.reveal(), found.app_secret.reveal()) == ("the-key", "hunter2")
    assert found == Profile(
        "vendor",
        create_url="http://api.example/batch",
        result_url="http://api.example/result/{task_id}",
        app_key=found.app_key,
        app_secret=found.app_secret,
        host="bucket",
        public_url="https://me.example",
        allow_http=True,
        allow_hosts=("nas.lan", "10.0.0.7"),
        send_priority=False,
        limits=Limits(5, 1, 3, 1_000_000, 100, 2000, 2.5),
        max_images=7,
        check_links=False,
        expected_wait_s=3600,
    )


def test_every_field_of_a_profile_can_be_set_in_the_file_except_its_name_and_style(home: Path) -> None:
    """A field that is added later must be readable too; the message lists what is known."""
    text = refused(home, "[profiles.a]\nno_such_key = 1", "no_such_key")
    known = set(text.partition("known are: ")[2].rstrip(".").split(", "))
    assert known == {field.name for field in dataclasses.fields(Profile)} - {"name", "style"}


@pytest.mark.parametrize(
    ("top", "own", "expected"),
    [
        ("", "", 100),
        ("max_images = 30", "", 30),
        ("", "max_images = 7", 7),
        ("max_images = 30", "max_images = 700", 700),
    ],
    ids=["neither", "for all", "for one", "both"],
)
def test_the_most_images_of_one_submission_is_set_for_all_profiles_or_for_one(
    home: Path, top: str, own: str, expected: int
) -> None:
    """The more specific one wins; a wrong wire buys a hundred images at most if nobody says anything."""
    config = read(home, f"{top}\n[profiles.a]\n{own}{TOML}[profiles.b]{TOML}", ENV)
    assert config.profile("a").max_images == expected
    others = 30 if top else 100
    assert (config.profile("b").max_images, config.profile("env").max_images) == (others, others)


def test_the_most_images_of_one_submission_is_not_the_limit_of_one_task(home: Path) -> None:
    """The first protects the purse, the second is the service's; each is set in its own place."""
    profile = read(home, "[profiles.a]\nmax_images = 7\nlimits = { max_images = 5 }" + TOML).profile("a")
    assert (profile.max_images, profile.limits.max_images) == (7, 5)


@pytest.mark.parametrize(("toml", "expected"), [("", 2 * 1024**3), ("max_results_bytes = 1000000", 1_000_000)])
def test_the_room_for_results_is_two_gib_unless_told(home: Path, toml: str, expected: int) -> None:
    """It is one folder for all profiles, with and without a service in the environment."""
    assert read(home, toml).max_results_bytes == read(home, toml, ENV).max_results_bytes == expected


def test_several_profiles_live_side_by_side_and_keep_their_order(home: Path) -> None:
    """As the widget will list them: built-in ones first."""
    config = read(home, "[profiles.b]" + TOML + "[profiles.a]" + TOML)
    assert list(config.profiles) == ["local", "local-anime", "local-manga", "b", "a"]
    assert config.profile("b").name == "b"


@pytest.mark.parametrize("missing", ["create_url", "result_url", "app_key", "app_secret"])
def test_an_incomplete_profile_is_told_exactly_what_to_set_and_where(home: Path, missing: str) -> None:
    """The key, the table and the file."""
    lines = "\n".join(line for line in TOML.splitlines() if not line.startswith(missing))
    text = refused(home, f"[profiles.mine]{lines}", f"{missing} not set", "[profiles.mine]", "'mine'", use="mine")
    for other in {"create_url", "result_url", "app_key", "app_secret"} - {missing}:
        assert other not in text
    assert "hunter2" not in text


@pytest.mark.parametrize("name", ["local", "local-anime", "local-manga", "env", "auto"])
def test_a_name_of_the_pack_cannot_be_taken(home: Path, name: str) -> None:
    """A file must not make "local" mean a paid service."""
    refused(home, f"[profiles.{name}]{TOML}", repr(name), "taken")


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("create_url = 1", "create_url"),
        ("result_url = ['https://a']", "result_url"),
        ("app_key = 12345", "app_key"),
        ("app_secret = true", "app_secret"),
        ("host = {}", "host"),
        ("public_url = 1.5", "public_url"),
        ("allow_http = 1", "allow_http"),
        ("allow_http = 'true'", "allow_http"),
        ("allow_hosts = 'nas.lan'", "allow_hosts"),
        ("allow_hosts = [10, {}]", "allow_hosts"),
        ("send_priority = 0", "send_priority"),
        ("limits = 5", "limits"),
        ("limits = []", "limits"),
        ("limits = { max_images = '5' }", "max_images"),
        ("limits = { max_images = true }", "max_images"),
        ("limits = { max_images = 2.5 }", "max_images"),
        ("limits = { max_aspect = '4:1' }", "max_aspect"),
        ("limits = { max_height = 5 }", "max_height"),
        ("crate_url = 'https://a'", "crate_url"),
        ("name = 'b'", "name"),
        ("style = 'anime'", "style"),
        ("max_images = '5'", "max_images"),
        ("max_images = 2.5", "max_images"),
        ("max_images = true", "max_images"),
        ("max_images = 0", "max_images"),
        ("max_images = -1", "max_images"),
        ("max_results_bytes = 5", "max_results_bytes"),
        ("default_host = 'local'", "default_host"),
        *[
            (f"{key} = {value}", key)
            for key, values in {
                "check_links": ("'false'", "0", "1", "[]", "{}"),
                "expected_wait_s": ("'600'", "600.5", "true", "false", "0", "-1", "inf", "[]"),
            }.items()
            for value in values
        ],
    ],
)
def test_a_wrong_type_or_an_unknown_key_is_refused_by_name(home: Path, line: str, key: str) -> None:
    """The file, the table and the key; a spelling mistake is never ignored."""
    refused(home, f"[profiles.mine]\n{line}", "[profiles.mine]", key)


@pytest.mark.parametrize(
    "limits",
    [
        "max_images = 0",
        "min_side = 5000",
        "max_side = 256",
        "min_priority = 10",
        "max_priority = 3, min_priority = 4",
        "max_aspect = 0.5",
        "max_aspect = 0",
    ],
)
def test_limits_that_nothing_can_keep_are_refused(home: Path, limits: str) -> None:
    """They would be found out picture by picture, or cut a batch into tasks of nothing."""
    refused(home, f"[profiles.mine]\nlimits = {{ {limits} }}{TOML}", "[profiles.mine]", "nothing can be within them")


@pytest.mark.parametrize("limits", ["max_images = 1", "min_side = 300, max_side = 300", "max_aspect = 1"])
def test_the_tightest_limits_are_limits(home: Path, limits: str) -> None:
    """One image a task, one size, squares."""
    read(home, f"[profiles.mine]\nlimits = {{ {limits} }}{TOML}").profile("mine")


def test_a_whole_number_is_good_enough_for_the_aspect(home: Path) -> None:
    """Nobody writes 4.0."""
    profile = read(home, "[profiles.mine]\nlimits = { max_aspect = 3 }" + TOML).profile("mine")
    assert profile.limits.max_aspect == 3


@pytest.mark.parametrize(
    ("toml", "word"),
    [
        ("default_profile = 3", "default_profile"),
        ("default_profile = true", "default_profile"),
        ("default_profile = ['local']", "default_profile"),
        ("default_host = 3", "default_host must be the name of a host"),
        ("default_host = true", "default_host must be the name of a host"),
        ("default_host = ['local']", "default_host must be the name of a host"),
        ("hosts = 3", "[hosts] must be a table of tables"),
        ("hosts = ['a']", "[hosts] must be a table of tables"),
        ("[[hosts]]\nkind = 's3'", "[hosts] must be a table of tables"),
        ("[hosts]\nmine = 's3'", "[hosts.mine] must be a table"),
        ("[hosts.auto]\nkind = 's3'", "[hosts.auto] must be a table, with a name"),
        ("[hosts.'../x']\nkind = 's3'", "[hosts.../x] must be a table, with a name"),
        ("[hosts.mine]", "[hosts.mine] kind is None"),
        ("[hosts.mine]\nkind = 'aws'", "[hosts.mine] kind is 'aws'"),
        ("[hosts.mine]\nkind = 'local'", "[hosts.mine] kind is 'local'"),
        ("[hosts.local]\nkind = 's3'", "[hosts.local] kind is 's3'"),
        ("[hosts.mine]\nkind = 's3'\nbukket = 'b'", "[hosts.mine] has the unknown key 'bukket'"),
        ("[hosts.mine]\nkind = 's3'\nlink_lifetime_h = '24'", "[hosts.mine] link_lifetime_h must be a number"),
        ("[hosts.mine]\nkind = 'http'\nheaders = { a = 1 }", "[hosts.mine] headers must be a table of strings"),
        ("[host.mine]\nkind = 's3'", "unknown key 'host'"),
        ("profiles = 3", "profiles"),
        ("profiles = ['a']", "profiles"),
        ("[profiles]\nmine = 3", "profiles.mine"),
        ("profiles = { mine = [] }", "profiles.mine"),
        *[
            (f"{key} = {value}", key)
            for key in ("max_images", "max_results_bytes")
            for value in ("'5'", "2.5", "true", "false", "0", "-1", "[]", "inf")
        ],
        ("max_image = 5", "max_image"),
    ],
)
def test_a_wrong_shape_of_the_file_is_refused_by_name(home: Path, toml: str, word: str) -> None:
    """The file and the key."""
    refused(home, toml, word)


@pytest.mark.parametrize(
    "toml",
    [
        "[profiles.mine]\napp_secret = hunter2",
        "[profiles.mine]\napp_secret = 'hunter2",
        "[profiles.mine]\napp_secret = 'hunter2' x",
        "[profiles]\napp_secret = 'hunter2'",
        "[profiles.mine.app_secret]\nhunter2 = 1\n",
        "[profiles.mine]\nappsecret = 'hunter2'",
        "[profiles.mine]\napp_secret = ['hunter2']",
        "[profiles.mine]\nlimits = 'hunter2'",
        "profiles = 'hunter2'",
        "hosts = 'hunter2'",
        "[hosts]\nmine = 'hunter2'",
        "[hosts.mine]\nkind = 's3'\nsecretkey = 'hunter2'",
        "[hosts.mine]\nkind = 's3'\nsecret_key = ['hunter2']",
        "[hosts.mine]\nkind = 'http'\nheaders = 'hunter2'",
        "[hosts.mine]\nkind = 'http'\nfields = { key = ['hunter2'] }",
    ],
    ids=[
        "no quotes",
        "open quote",
        "rest",
        "no profile name",
        "a table",
        "misspelt key",
        "a list",
        "limits",
        "no table",
        "no table of hosts",
        "no table of a host",
        "misspelt key of a host",
        "a list in a host",
        "headers",
        "fields",
    ],
)
def test_no_mistake_in_the_file_shows_the_secret(home: Path, toml: str) -> None:
    """Errors end up in screenshots: they name keys, never the values of keys."""
    assert "hunter2" not in refused(home, toml)


@pytest.mark.parametrize(
    "toml", ["[profiles.mine", "a = ", "= 1", "a = 1\na = 2", "\x00", "[profiles.a]\n[profiles.a]", "<html></html>"]
)
def test_broken_toml_names_the_file_and_the_line(home: Path, toml: str) -> None:
    """A sentence, not a traceback of the parser."""
    text = refused(home, toml, "not valid TOML")
    assert "line" in text or "end of document" in text or "mutable" in text


def test_a_file_that_is_not_text_is_refused_by_name(home: Path) -> None:
    """Saved as something else by an editor."""
    (home / "config.toml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigurationError, match="cannot be read") as caught:
        load(home, {})
    assert str(home / "config.toml") in str(caught.value)


def test_the_mark_that_windows_editors_put_first_is_ignored(home: Path) -> None:
    """PowerShell and the old Notepad write "UTF-8 with BOM"."""
    assert read(home, "\ufeff[profiles.mine]" + TOML).profile("mine").app_key.reveal() == "the-key"


def test_a_folder_in_place_of_the_file_is_refused_by_name(home: Path) -> None:
    """Docker makes one when the mounted file does not exist."""
    (home / "config.toml").mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read") as caught:
        load(home, {})
    assert str(home / "config.toml") in str(caught.value)


@pytest.mark.parametrize("toml", ["", "# nothing but a comment\n", "[profiles]\n"])
def test_an_empty_file_changes_nothing(home: Path, toml: str) -> None:
    """As if it were not there."""
    assert list(read(home, toml).profiles) == ["local", "local-anime", "local-manga"]


# Image hosts


def test_without_configuration_there_are_two_image_hosts(home: Path) -> None:
    """The embedded service's, and ComfyUI itself, which is not ready yet."""
    assert read(home).hosts == {"local": LocalSettings("local"), "comfyui": ComfyUISettings("comfyui")}
    assert list(read(home).hosts) == ["local", "comfyui"]


def test_the_hosts_of_the_file_stand_behind_the_built_in_ones(home: Path) -> None:
    """In their order; a built-in one that is described keeps its place."""
    config = read(
        home,
        """
        [hosts.bucket]
        kind = "s3"
        bucket = "faces"
        link_lifetime_h = 48
        [hosts.comfyui]
        link_lifetime_h = 2
        [hosts.Attic]
        kind = "http"
        url = "https://me.example/{name}"
        link = "{upload_url}"
        public = false
        """,
    )
    assert list(config.hosts.items()) == [
        ("local", LocalSettings("local")),
        ("comfyui", ComfyUISettings("comfyui", link_lifetime_h=2)),
        ("bucket", S3Settings("bucket", bucket="faces", link_lifetime_h=48)),
        ("Attic", HttpSettings("Attic", url="https://me.example/{name}", link="{upload_url}", public=False)),
    ]


def test_the_environment_completes_every_host(home: Path) -> None:
    """Leave for plain http goes to all, the public address to ComfyUI's kind, unless the file has one."""
    toml = """
        [hosts.bucket]
        kind = "s3"
        [hosts.outside]
        kind = "comfyui"
        public_url = "https://own.example"
    """
    env = {"CARTOONIZE_ALLOW_HTTP": "1", "CARTOONIZE_PUBLIC_URL": "http://env.example"}
    hosts = read(home, toml, env).hosts
    assert all(settings.allow_http for settings in hosts.values())
    assert hosts["comfyui"] == ComfyUISettings("comfyui", public_url="http://env.example", allow_http=True)
    assert hosts["outside"] == ComfyUISettings("outside", public_url="https://own.example", allow_http=True)
    assert not any(settings.allow_http for settings in read(home, toml).hosts.values())


def test_an_unfinished_host_and_an_unknown_default_stop_nothing(home: Path) -> None:
    """They are told when they are used."""
    config = read(home, "default_host = 'nope'\n[hosts.bucket]\nkind = 's3'\n[profiles.mine]" + TOML)
    assert config.profile("mine").host == "nope"
    assert config.hosts["bucket"].problem() == "bucket not set"


# Names


def test_an_unknown_profile_is_told_the_known_ones_and_where_to_describe_it(home: Path) -> None:
    """A workflow of somebody else names profiles that this machine does not have."""
    config = read(home, "[profiles.mine]" + TOML)
    with pytest.raises(ConfigurationError) as caught:
        config.profile("theirs")
    for words in ("'theirs'", "local, local-anime, local-manga, mine", "[profiles.theirs]", str(home / "config.toml")):
        assert words in str(caught.value)


def test_an_unknown_default_is_told_when_it_is_used(home: Path) -> None:
    """Not before: other profiles go on working."""
    config = read(home, 'default_profile = "nope"')
    assert config.profile("local").is_local
    with pytest.raises(ConfigurationError, match="'nope'"):
        config.profile("auto")


def test_a_workflow_that_names_the_environment_where_there_is_none_is_told_the_variables(home: Path) -> None:
    """The file refuses [profiles.env], so the advice must not be to write it."""
    with pytest.raises(ConfigurationError, match="CARTOONIZE_CREATE_URL") as caught:
        read(home).profile("env")
    assert "[profiles.env]" not in str(caught.value)


@pytest.mark.parametrize("name", ["Local", " local", "local ", "env\n", "../local"])
def test_names_are_taken_literally(home: Path, name: str) -> None:
    """No guessing which profile was meant: it may be the one that costs money."""
    with pytest.raises(ConfigurationError, match="no profile"):
        read(home).profile(name)


# Where state lives


@pytest.mark.parametrize(
    ("platform", "env", "expected"),
    [
        ("linux", {}, "{home}/.local/share"),
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data"),
        ("linux", {"XDG_DATA_HOME": "", "LOCALAPPDATA": "/wrong"}, "{home}/.local/share"),
        ("freebsd14", {}, "{home}/.local/share"),
        ("darwin", {"XDG_DATA_HOME": "/wrong"}, "{home}/Library/Application Support"),
        ("win32", {}, "{home}/AppData/Local"),
        ("win32", {"LOCALAPPDATA": "/appdata", "XDG_DATA_HOME": "/wrong"}, "/appdata"),
    ],
)
def test_each_platform_has_its_own_place_for_data(
    monkeypatch: pytest.MonkeyPatch, platform: str, env: dict[str, str], expected: str
) -> None:
    """Where the platform's own programs keep theirs."""
    base = Path(expected.format(home=Path.home()))
    monkeypatch.setattr(sys, "platform", platform)
    assert platform_home(env) == base / "portrait-cartoonize"


@pytest.mark.parametrize(
    ("pack", "expected"),
    [
        ("ComfyUI/custom_nodes/portrait-cartoonize", "ComfyUI/user/__portrait_cartoonize"),
        ("ComfyUI/custom_nodes/another name", "ComfyUI/user/__portrait_cartoonize"),
        ("src/portrait-cartoonize", "data/portrait-cartoonize"),
        ("custom_nodes/group/portrait-cartoonize", "data/portrait-cartoonize"),
        ("lib/site-packages/portrait_cartoonize", "data/portrait-cartoonize"),
    ],
    ids=["in ComfyUI", "renamed", "a checkout", "one folder deeper", "installed"],
)
@pytest.mark.parametrize("is_made", [False, True], ids=["before the first run", "afterwards"])
def test_beside_comfyui_the_command_line_has_the_state_folder_of_the_nodes(
    tmp_path: Path, pack: str, expected: str, is_made: bool
) -> None:
    """Whoever of the two came first, so that both see the same tasks; looking makes nothing."""
    data = {"XDG_DATA_HOME": str(tmp_path / "data"), "LOCALAPPDATA": str(tmp_path / "data")}
    if is_made:
        (tmp_path / "ComfyUI/user/__portrait_cartoonize").mkdir(parents=True)
    found = default_home(data, tmp_path / pack)
    if "data" in expected:
        assert found == platform_home(data)
    else:
        assert found == tmp_path / expected
        assert found.exists() is is_made


def test_the_state_folder_is_made_with_all_its_parents_and_found_again(tmp_path: Path) -> None:
    """The first run makes it, the second uses it."""
    folder = tmp_path / "a" / "b" / "state"
    assert ensure_home(folder) == folder
    assert folder.is_dir()
    (folder / "journal").touch()
    assert ensure_home(folder) == folder
    assert (folder / "journal").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mode bits")
def test_the_state_folder_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    """It holds faces and, perhaps, keys."""
    assert stat.S_IMODE(ensure_home(tmp_path / "state").stat().st_mode) == 0o700


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mode bits")
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_private_folder_is_private_with_every_parent_that_was_missing(tmp_path: Path, umask: int) -> None:
    """Whatever the umask is; a folder that was there stays as it is, and is no error."""
    there = tmp_path / "there"
    there.mkdir()
    there.chmod(0o755)
    old = os.umask(umask)
    try:
        folder = make_private_folder(there / "a" / "b")
        assert make_private_folder(folder) == make_private_folder(there) / "a" / "b" == folder
    finally:
        os.umask(old)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (there, there / "a", folder)]
    assert modes == [0o755, 0o700, 0o700]


@pytest.mark.parametrize("below", ["", "below", "below/deeper"])
def test_a_file_in_the_way_of_a_private_folder_is_an_os_error(tmp_path: Path, below: str) -> None:
    """The caller knows what it means; the file stays."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=r"exists|directory"):
        make_private_folder(tmp_path / "file" / below)
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.parametrize("below", ["", "below"], ids=["in its place", "in place of its parent"])
def test_a_file_in_the_way_of_the_state_folder_is_named(tmp_path: Path, below: str) -> None:
    """The message names the folder and the variable that moves it."""
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(ConfigurationError, match="CARTOONIZE_HOME") as caught:
        ensure_home(tmp_path / "state" / below)
    assert str(tmp_path / "state" / below) in str(caught.value)


# Secrets


SECRET = "hunter2-c29tZXRoaW5n"


def use_and_fail(key: Secret) -> None:
    """Fails with a secret among its local variables."""
    profile = Profile("mine", app_key=key)
    message = f"cannot use {key} of {profile}"
    raise RuntimeError(message)


def shown_in_traceback(key: Secret) -> str:
    try:
        use_and_fail(key)
    except RuntimeError as error:
        return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    return SECRET


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        format,
        lambda key: f"{key}",
        lambda key: f"{key!r} {key!s} {key!a}",
        lambda key: "%s %r" % (key, key),  # noqa: UP031  # logging formats like this
        lambda key: "{} {!r}".format(key, key),  # noqa: UP032  # and other libraries like this
        lambda key: str([key, {"k": key}]),
        lambda key: repr(Profile("mine", app_key=key, app_secret=key)),
        lambda key: str(Config(Path("x"), {"mine": Profile("mine", app_key=key)}, "mine")),
        lambda key: repr(dataclasses.replace(Profile("mine", app_key=key), host="local")),
        lambda key: json.dumps({"key": key}, default=str),
        lambda key: logging.LogRecord("n", 20, "p", 1, "key %s", (key,), None).getMessage(),
        shown_in_traceback,
        lambda key: repr([getattr(key, "__dict__", None), key.__doc__]),
    ],
    ids=[
        "repr",
        "str",
        "format",
        "f-string",
        "conversions",
        "percent",
        "str.format",
        "containers",
        "profile",
        "config",
        "changed profile",
        "JSON",
        "log record",
        "traceback with variables",
        "attributes",
    ],
)
def test_a_secret_is_not_shown(show: object) -> None:
    """Whatever turns an object into text gets the same word."""
    assert SECRET not in show(Secret(SECRET))


@pytest.mark.parametrize(
    "take",
    [
        pickle.dumps,
        copy.copy,
        copy.deepcopy,
        json.dumps,
        lambda key: pickle.dumps(Profile("mine", app_key=key), protocol=2),
        lambda key: copy.deepcopy(Profile("mine", app_key=key)),
        lambda key: dataclasses.asdict(Profile("mine", app_key=key)),
    ],
    ids=["pickle", "copy", "deep copy", "JSON", "pickled profile", "copied profile", "profile as a dict"],
)
def test_a_secret_is_not_carried_away_by_accident(take: object) -> None:
    """Caches and worker processes must not write it down; the refusal does not show it either."""
    with pytest.raises(TypeError) as caught:
        take(Secret(SECRET))
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_secret_tells_itself_to_who_asks() -> None:
    """And whether there is one at all."""
    assert Secret(SECRET).reveal() == SECRET
    assert Secret(SECRET)
    assert not Secret("")
