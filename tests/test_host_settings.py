"""Image hosts as config.toml describes them: each key read or refused by name, and what keeps a host from being used.

No secret is shown on the way.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping

import pytest
from cartoonize_pack.utils.errors import ConfigurationError
from cartoonize_pack.utils.hosting.http_settings import HttpSettings
from cartoonize_pack.utils.hosting.settings import (
    MAX_LIFETIME_H,
    RESULT_STORED,
    AzureSettings,
    ComfyUISettings,
    GcsSettings,
    HostSettings,
    LocalSettings,
    S3Settings,
    url_problem,
)
from cartoonize_pack.utils.hosting.tables import KINDS, built_in, read_hosts
from cartoonize_pack.utils.secret import Secret

WHERE = "/state/config.toml"
COMMON = {"link_lifetime_h": 3, "delete_after": "result stored", "public": True, "allow_http": True}
READY: Mapping[str, HostSettings] = {
    "local": LocalSettings("h"),
    "comfyui": ComfyUISettings("h", public_url="https://me.example"),
    "s3": S3Settings("h", bucket="b"),
    "gcs": GcsSettings("h", bucket="b"),
    "azure": AzureSettings("h", container="c", account="a"),
    "http": HttpSettings("h", url="https://me.example/{name}", link="{upload_url}", public=False),
}


def host(table: object, name: str = "mine") -> HostSettings:
    """The settings that one table becomes."""
    (found,) = read_hosts({name: table}, WHERE).values()
    return found


def refused(table: object, *words: str, name: str = "mine") -> str:
    """Read a table that must be refused by name of file and table, and return the text."""
    with pytest.raises(ConfigurationError) as caught:
        read_hosts({"good": {"kind": "s3"}, name: table}, WHERE)
    for word in (WHERE, f"[hosts.{name}]", *words):
        assert word in str(caught.value)
    return str(caught.value)


def http(**changes: object) -> HttpSettings:
    """A ready host of the kind "http", but for these changes."""
    return dataclasses.replace(READY["http"], **changes)


def plain(settings: HostSettings) -> dict[str, object]:
    """The values of all fields, secrets revealed."""
    values = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    return {name: value.reveal() if isinstance(value, Secret) else value for name, value in values.items()}


# Reading tables


@pytest.mark.parametrize(
    ("cls", "own"),
    [
        (ComfyUISettings, {"public_url": "https://me.example"}),
        (
            S3Settings,
            {
                "bucket": "faces",
                "prefix": "in/",
                "endpoint": "https://s3.example",
                "region": "eu-1",
                "access_key": "hunter2-a",
                "secret_key": "hunter2-b",
                "session_token": "hunter2-c",
                "virtual_host": True,
            },
        ),
        (GcsSettings, {"bucket": "faces", "prefix": "in/", "service_account": "/key.json"}),
        (AzureSettings, {"container": "faces", "prefix": "in/", "account": "me", "access_key": "hunter2-a"}),
        (
            HttpSettings,
            {
                "url": "https://me.example/up",
                "method": "POST",
                "link": "{json:/url}",
                "file_field": "picture",
                "fields": {"key": "hunter2-a", "name": "{name}"},
                "headers": {"Authorization": "hunter2-b"},
                "user": "me",
                "password": "hunter2-c",
                "delete_url": "{json:/delete}",
                "delete_method": "POST",
                "delete_fields": {"token": "{json:/token}"},
            },
        ),
    ],
    ids=lambda value: value.kind if isinstance(value, type) else "",
)
def test_every_key_of_a_kind_arrives_in_its_place(cls: type[HostSettings], own: dict[str, object]) -> None:
    """Every field can be set, except the name, which stands above the table."""
    found = host({"kind": cls.kind, **COMMON, **own})
    assert type(found) is cls
    assert plain(found) == {"name": "mine", **COMMON, **own}
    assert found.lifetime_s == 3 * 3600
    assert found.problem() == ""


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "local"])
def test_a_table_with_nothing_but_its_kind_is_read_with_the_defaults(kind: str) -> None:
    """An unfinished host must not stop the others: what is missing is told when it is used."""
    found = host({"kind": kind})
    assert type(found) is KINDS[kind]
    assert found == KINDS[kind]("mine")
    assert (found.lifetime_s, found.delete_after, found.allow_http) == (24 * 3600, "", False)
    assert found.public is (None if kind == "http" else False)


def test_the_defaults_of_an_http_host_are_a_put_and_a_delete() -> None:
    """As WebDAV has it."""
    found = HttpSettings("h")
    assert (found.method, found.delete_method, found.file_field) == ("PUT", "DELETE", "file")
    assert (found.fields, found.headers, found.delete_fields, found.delete_url) == ({}, {}, {}, "")


def test_hosts_keep_their_order_and_their_names() -> None:
    """As a list shows them; two of one kind are two hosts."""
    found = read_hosts({"b": {"kind": "s3", "bucket": "1"}, "a": {"kind": "gcs"}, "c.d-e_f 1": {"kind": "s3"}}, WHERE)
    assert [(name, settings.name, settings.kind) for name, settings in found.items()] == [
        ("b", "b", "s3"),
        ("a", "a", "gcs"),
        ("c.d-e_f 1", "c.d-e_f 1", "s3"),
    ]


def test_no_hosts_at_all_are_no_error() -> None:
    """An empty [hosts]."""
    assert read_hosts({}, WHERE) == {}


@pytest.mark.parametrize("tables", [None, 3, "x", [], [{"kind": "s3"}], True], ids=repr)
def test_hosts_that_are_no_table_are_refused(tables: object) -> None:
    """The file and the key."""
    with pytest.raises(ConfigurationError, match=r"/state/config\.toml: \[hosts\] must be a table of tables"):
        read_hosts(tables, WHERE)


@pytest.mark.parametrize("table", [None, 3, "s3", [], [{"kind": "s3"}], True], ids=repr)
def test_a_host_that_is_no_table_is_refused_by_name(table: object) -> None:
    """Somebody wrote mine = "s3"."""
    refused(table, "must be a table")


@pytest.mark.parametrize(
    "name", ["", "auto", ".hidden", "-x", "_x", " x", "../x", "a/b", "a\\b", "a:b", "a\nb", "x\n", "ä", "a" * 65, "{x}"]
)
def test_a_bad_name_is_refused(name: str) -> None:
    """It is shown in lists and written into the registry; "auto" means another thing."""
    refused({"kind": "s3"}, "a name of letters, digits", name=name)


@pytest.mark.parametrize("name", ["a", "7", "A.b", "my-host_2", "my host", "a" * 64, "Auto", "Local", "env", "x."])
def test_a_good_name_is_taken_as_it_is(name: str) -> None:
    """Names of profiles are no names of hosts."""
    assert host({"kind": "s3"}, name).name == name


@pytest.mark.parametrize("kind", ["S3", "aws", "", "env", "s3 ", "auto", None, 3, True, [], ["s3"], {}], ids=repr)
def test_an_unknown_kind_is_refused_with_the_known_ones(kind: object) -> None:
    """In words that can be copied, and spelled exactly."""
    refused({"kind": kind}, f"kind is {kind!r}", "known are: comfyui, s3, gcs, azure, http.")


def test_a_missing_kind_is_refused_with_the_known_ones() -> None:
    """The same sentence."""
    refused({"bucket": "b"}, "kind is None", "known are: comfyui, s3, gcs, azure, http.")


def test_local_is_the_kind_of_the_built_in_host_only() -> None:
    """There is one embedded service."""
    refused({"kind": "local"}, "kind is 'local'", "known are: comfyui, s3, gcs, azure, http.")


@pytest.mark.parametrize(("name", "cls"), [("local", LocalSettings), ("comfyui", ComfyUISettings)])
def test_a_built_in_host_can_be_described_and_needs_no_kind(name: str, cls: type[HostSettings]) -> None:
    """For its lifetime, for instance."""
    for kind in ({}, {"kind": name}):
        found = host({**kind, "link_lifetime_h": 2, "delete_after": "result stored"}, name)
        assert found == cls(name, link_lifetime_h=2, delete_after="result stored")


@pytest.mark.parametrize("name", ["local", "comfyui"])
@pytest.mark.parametrize("kind", ["s3", "http", "local", "comfyui", "", None])
def test_a_built_in_name_cannot_mean_another_kind(name: str, kind: str | None) -> None:
    """A file must not make "local" mean a place on the internet."""
    if kind == name:
        assert host({"kind": kind}, name).kind == name
    else:
        refused({"kind": kind}, f"kind is {kind!r}; known are: {name}.", name=name)


def test_a_second_host_may_be_of_comfyuis_kind() -> None:
    """ComfyUI under another address, with another lifetime."""
    found = host({"kind": "comfyui", "public_url": "https://b.example"}, "outside")
    assert found == ComfyUISettings("outside", public_url="https://b.example")


def test_the_built_in_hosts_are_local_and_comfyui() -> None:
    """Each knows its own name, and they are made anew each time."""
    assert built_in() == {"local": LocalSettings("local"), "comfyui": ComfyUISettings("comfyui")}
    assert list(built_in()) == ["local", "comfyui"]
    built_in().clear()
    assert built_in()


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("s3", "bukket"),
        ("s3", "name"),
        ("s3", "container"),
        ("s3", "public_url"),
        ("gcs", "access_key"),
        ("azure", "bucket"),
        ("http", "bucket"),
        ("http", "Url"),
        ("comfyui", "url"),
    ],
)
def test_an_unknown_key_is_refused_with_the_known_ones(kind: str, key: str) -> None:
    """Of this kind, all of them: a spelling mistake is never ignored."""
    text = refused({"kind": kind, key: "hunter2"}, f"unknown key {key!r}")
    known = {field.name for field in dataclasses.fields(KINDS[kind])} - {"name"} | {"kind"}
    assert set(text.partition("known are: ")[2].rstrip(".").split(", ")) == known
    assert "hunter2" not in text


@pytest.mark.parametrize(
    ("kind", "key", "values", "expected"),
    [
        ("s3", "bucket", [1, True, ["b"], {}, 1.5], "a string"),
        ("s3", "access_key", [12345, True, ["hunter2"], {"hunter2": "hunter2"}], "a string"),
        ("s3", "secret_key", [12345, False], "a string"),
        ("s3", "virtual_host", ["true", 1, 0, [], {}], "true or false"),
        ("s3", "allow_http", ["hunter2", 1, 0.0], "true or false"),
        ("s3", "public", ["yes", 1, 0, [], {}], "true or false"),
        ("http", "public", ["yes", 1, 0, [], {}], "true or false"),
        ("s3", "link_lifetime_h", ["24", True, False, [], {}], "a number"),
        ("s3", "link_lifetime_h", [float("inf"), float("-inf"), float("nan")], "a number"),
        ("s3", "link_lifetime_h", [10**400], "a number"),
        ("s3", "delete_after", [True, 24, []], "a string"),
        ("azure", "access_key", [12345], "a string"),
        ("http", "url", [1, ["https://a"]], "a string"),
        ("http", "password", [12345, True], "a string"),
        ("http", "fields", ["hunter2", ["hunter2"], 1, True], "a table of strings"),
        (
            "http",
            "fields",
            [{"a": 1}, {"a": True}, {"a": {"hunter2": "x"}}, {"a": "x", "b": None}],
            "a table of strings",
        ),
        ("http", "headers", ["X: hunter2", [["X", "hunter2"]], {"X": ["hunter2"]}], "a table of strings"),
        ("http", "delete_fields", ["x", {"a": 1}], "a table of strings"),
        ("comfyui", "public_url", [1, True, []], "a string"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_name_and_not_shown(
    kind: str, key: str, values: list[object], expected: str
) -> None:
    """The table, the key, and what it must be; the value may be a secret in the wrong place."""
    for value in values:
        text = refused({"kind": kind, key: value}, f"[hosts.mine] {key} must be {expected}.")
        assert "hunter2" not in text


@pytest.mark.parametrize("hours", [1, 1.5, 0, -1, 169])
def test_a_lifetime_is_any_number_when_it_is_read(hours: float) -> None:
    """Whole or not; whether it can be used is told by problem()."""
    found = host({"kind": "s3", "link_lifetime_h": hours})
    assert found.link_lifetime_h == hours
    assert type(found.link_lifetime_h) is float


# What keeps a host from being used


@pytest.mark.parametrize("kind", list(READY))
def test_a_host_with_what_its_kind_needs_is_ready(kind: str) -> None:
    """Nothing more than that is asked for."""
    assert READY[kind].kind == kind
    assert READY[kind].problem() == ""


def test_every_kind_has_its_ready_example_here() -> None:
    """A kind that is added later must be looked at too."""
    assert list(READY) == list(KINDS)


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("s3", "bucket not set"),
        ("gcs", "bucket not set"),
        ("azure", "container not set"),
        ("http", "url, link not set"),
        (
            "comfyui",
            "public_url (or CARTOONIZE_PUBLIC_URL), under which the service can reach this ComfyUI, is not set",
        ),
    ],
)
def test_what_is_missing_is_named_all_at_once(kind: str, problem: str) -> None:
    """By the keys of the file."""
    assert KINDS[kind]("h").problem() == problem


@pytest.mark.parametrize("key", ["url", "link"])
def test_only_what_is_missing_is_named(key: str) -> None:
    """Not what is there."""
    assert http(**{key: ""}).problem() == f"{key} not set"


@pytest.mark.parametrize("kind", list(READY))
@pytest.mark.parametrize(
    ("hours", "is_fine"),
    [
        (0, False),
        (-1, False),
        (-0.001, False),
        (0.001, True),
        (24, True),
        (168, True),
        (168.001, False),
        (169, False),
        (float("nan"), False),
        (float("inf"), False),
    ],
)
def test_links_live_more_than_nothing_and_at_most_seven_days(kind: str, hours: float, is_fine: bool) -> None:
    """That is the most that S3 and Google sign for; every kind says so before the first upload."""
    problem = dataclasses.replace(READY[kind], link_lifetime_h=float(hours)).problem()
    assert MAX_LIFETIME_H == 168
    assert bool(problem) is not is_fine
    if problem:
        assert problem.startswith(f"link_lifetime_h is {hours:g}; ")
        assert "at most 168" in problem


@pytest.mark.parametrize("kind", list(READY))
@pytest.mark.parametrize("wrong", ["Result stored", "result_stored", "result stored ", "stored", "24h", "true"])
def test_a_wrong_time_of_deletion_is_named_with_the_right_one(kind: str, wrong: str) -> None:
    """Spelled wrong it would never delete anything."""
    more = {"delete_url": "{upload_url}"} if kind == "http" else {}
    problem = dataclasses.replace(READY[kind], delete_after=wrong, **more).problem()
    assert problem == f"delete_after is {wrong!r}; it may be 'result stored', or be left out"
    assert dataclasses.replace(READY[kind], delete_after=RESULT_STORED, **more).problem() == ""


@pytest.mark.parametrize(
    ("kind", "key"),
    [("s3", key) for key in ("bucket", "prefix", "endpoint", "region", "access_key", "secret_key", "session_token")]
    + [("gcs", "bucket"), ("gcs", "prefix")]
    + [("azure", key) for key in ("container", "prefix", "account", "access_key")],
)
@pytest.mark.parametrize(
    "bad", ["hunter2\n", " hunter2", "hunter 2", "hunter2\t", "hünter2", "hunter2\x7f", "\x00hunter2"]
)
def test_a_text_that_storage_cannot_have_meant_is_named_and_not_shown(kind: str, key: str, bad: str) -> None:
    """A key that was pasted with its line break is told as such, not by a library's panic."""
    problem = host({"kind": kind, "bucket" if kind != "azure" else "container": "b", key: bad}).problem()
    assert problem == f"{key} has a blank, a line break or another character that cannot be in it"


@pytest.mark.parametrize(
    ("keys", "is_fine"),
    [
        ({}, True),
        ({"access_key": "a", "secret_key": "b"}, True),
        ({"access_key": "a", "secret_key": "b", "session_token": "c"}, True),
        ({"access_key": "a"}, False),
        ({"secret_key": "b"}, False),
        ({"access_key": "a", "secret_key": ""}, False),
    ],
)
def test_the_two_keys_of_s3_are_given_together_or_not_at_all(keys: dict[str, str], is_fine: bool) -> None:
    """Half of a pair would be completed by another pair's half from the environment."""
    problem = host({"kind": "s3", "bucket": "b", **keys}).problem()
    assert problem == ("" if is_fine else "access_key and secret_key belong together")


def test_deletion_at_an_http_host_needs_an_address_for_it() -> None:
    """Nobody knows how such a host deletes."""
    assert http(delete_after="result stored").problem() == "delete_after needs delete_url"
    assert http(delete_after="result stored", delete_url="{upload_url}").problem() == ""
    assert http(delete_url="{upload_url}").problem() == ""


@pytest.mark.parametrize("method", ["", "put", "post", "Put", "PATCH", "GET", "PUT ", "DELETE"])
def test_an_upload_is_a_put_or_a_post(method: str) -> None:
    """Spelled as HTTP does."""
    assert http(method=method).problem() == f"method is {method!r}; it may be 'PUT' or 'POST'"


@pytest.mark.parametrize(
    ("method", "url", "is_fine"),
    [
        ("PUT", "https://me.example/{name}", True),
        ("PUT", "https://me.example/up?file={name}", True),
        ("PUT", "https://me.example/{name}/raw", True),
        ("PUT", "https://me.example/", False),
        ("PUT", "https://me.example/name", False),
        ("PUT", "https://me.example/%7Bname%7D", False),
        ("POST", "https://me.example/", True),
        ("POST", "https://me.example/{name}", True),
    ],
)
def test_a_put_needs_a_place_for_the_name(method: str, url: str, is_fine: bool) -> None:
    """All pictures would go to the same address, each over the one before."""
    problem = http(method=method, url=url).problem()
    assert problem == ("" if is_fine else "url must contain {name} for PUT: it is where each picture goes")


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("url", {"url": "https://me.example/{name}/{nmae}"}),
        ("link", {"link": "https://me.example/{nmae}"}),
        ("delete_url", {"delete_url": "{upload_url}/{nmae}"}),
        ("fields.token", {"fields": {"ok": "{name}", "token": "{nmae}"}}),
        ("delete_fields.token", {"delete_fields": {"ok": "{name}", "token": "{nmae}"}}),
    ],
)
@pytest.mark.parametrize("part", ["nmae", "json:url", "header:", "filename", ""])
def test_an_unknown_part_in_braces_is_named_with_its_key(key: str, change: dict[str, object], part: str) -> None:
    """Before the first upload, and not by the host's answer to it."""
    change = json.loads(json.dumps(change).replace("nmae", part))
    problem = http(**change).problem()
    assert problem.startswith(f"{key} has the unknown part {{{part}}}; known are: {{name}}, ")


def test_all_texts_of_an_http_host_may_hold_parts() -> None:
    """Known ones, in every key that is filled in."""
    settings = http(
        method="POST",
        url="https://me.example/{name}",
        link="{json:/data/url}",
        fields={"a": "{name}", "b": "plain"},
        headers={"X-Format": '{"json": 1}'},
        delete_url="{header:Location}",
        delete_fields={"token": "{json:/token}", "url": "{link}"},
    )
    assert settings.problem() == ""


ADDRESSES = [
    ("https://me.example{}", False, ""),
    ("https://me.example:8443{}", False, ""),
    ("HTTPS://me.example{}", False, ""),
    ("https://[::1]:8443{}", False, ""),
    ("http://me.example{}", True, ""),
    ("http://me.example{}", False, "must start with https://"),
    ("ftp://me.example{}", True, "must start with https://"),
    ("file://{}", True, "must start with https://"),
    ("me.example{}", True, "must start with https://"),
    ("//me.example{}", True, "must start with https://"),
    ("{}", True, "must start with https://"),
    ("https://{}", True, "must name a host"),
    ("https:me.example{}", True, "must name a host"),
    ("https://me:hunter2@me.example{}", False, "without user name or password"),
    ("https://hunter2@me.example{}", False, "without user name or password"),
    ("https://:hunter2@me.example{}", False, "without user name or password"),
    ("http://me:hunter2@me.example{}", True, "without user name or password"),
    ("https://[::1{}", False, "is not an address"),
    ("https://me.example:port{}", False, "is not an address"),
    ("https://me.example:99999{}", False, "is not an address"),
]


@pytest.mark.parametrize(("address", "allow_http", "problem"), ADDRESSES)
def test_an_address_that_cannot_be_used_is_refused_by_name_of_its_key(
    address: str, allow_http: bool, problem: str
) -> None:
    """In every kind that has one; a password in it is not shown."""
    found = {
        "url": http(url=address.format("/{name}"), allow_http=allow_http).problem(),
        "public_url": ComfyUISettings("h", public_url=address.format("/x"), allow_http=allow_http).problem(),
        "endpoint": S3Settings("h", bucket="b", endpoint=address.format("/x"), allow_http=allow_http).problem(),
        "create_url": url_problem(address.format("/x"), allow_http, "create_url"),
    }
    for key, words in found.items():
        assert bool(words) is bool(problem)
        assert problem in words
        assert words.startswith(f"{key} " if problem else "")
        assert "hunter2" not in words


def test_the_way_to_permit_plain_http_is_told() -> None:
    """Both switches, as the picture would travel in the clear."""
    problem = http(url="http://nas.lan/{name}").problem()
    assert "allow_http" in problem
    assert "CARTOONIZE_ALLOW_HTTP=1" in problem


# Public hosts


@pytest.mark.parametrize("public", [None, False])
@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://imgbb.com/up", "imgbb.com"),
        ("https://api.imgbb.com/1/upload?key=hunter2", "api.imgbb.com"),
        ("https://a.b.imgbb.com", "a.b.imgbb.com"),
        ("https://0x0.st", "0x0.st"),
        ("https://0x0.st:443/", "0x0.st"),
        ("https://litterbox.catbox.moe/resources/internals/api.php", "litterbox.catbox.moe"),
        ("https://API.ImgBB.com/1/upload", "api.imgbb.com"),
        ("https://{name}.imgbb.com/", "{name}.imgbb.com"),
        ("https://tmpfiles.org/api/v1/upload", "tmpfiles.org"),
    ],
)
def test_a_known_public_host_is_not_used_before_somebody_says_so(url: str, name: str, public: bool | None) -> None:
    """It publishes faces or keeps them for ever; that it is not public is not believed either."""
    settings = http(method="POST", url=url, public=public)
    problem = settings.problem()
    assert problem.startswith(f"{name} is a public host. Set public = true")
    assert "public = false" not in problem
    assert "hunter2" not in problem
    assert dataclasses.replace(settings, public=True).problem() == ""


@pytest.mark.parametrize(
    "url",
    [
        "https://me.example/up",
        "https://notimgbb.com/up",
        "https://my0x0.st",
        "https://imgbb.com.example/up",
        "https://me.example/imgbb.com",
        "https://me.example/?to=0x0.st",
        "https://0x0.store/",
        "https://st/",
    ],
)
def test_any_other_http_host_must_say_whether_it_is_public(url: str) -> None:
    """Both answers are told and both are believed; a name that only looks like a public one is not taken for it."""
    settings = http(method="POST", url=url, public=None)
    problem = settings.problem()
    assert problem.startswith("it does not say whether the host is public. Set public = true")
    assert "public = false" in problem
    for public in (True, False):
        assert dataclasses.replace(settings, public=public).problem() == ""


@pytest.mark.parametrize("kind", [kind for kind in READY if kind != "http"])
def test_the_other_kinds_are_private_unless_told(kind: str) -> None:
    """Their links are signed, so nobody has to say so."""
    assert READY[kind].public is False
    assert dataclasses.replace(READY[kind], public=True).problem() == ""


# Secrets

SECRET = "hunter2-c29tZXRoaW5n"


@pytest.mark.parametrize(
    "table",
    [
        {"kind": "s3", "access_key": SECRET, "secret_key": SECRET, "session_token": SECRET},
        {"kind": "azure", "access_key": SECRET},
        {"kind": "http", "url": f"https://me.example/{{name}}?key={SECRET}"},
        {"kind": "http", "fields": {"key": SECRET, SECRET: "x"}},
        {"kind": "http", "headers": {"Authorization": f"Bearer {SECRET}"}},
        {"kind": "http", "user": "me", "password": SECRET},
        {"kind": "http", "delete_fields": {"key": SECRET}},
        {"kind": "http", "delete_url": f"https://me.example/delete/{{name}}?key={SECRET}"},
    ],
    ids=["S3 keys", "Azure key", "url", "fields", "headers", "password", "delete_fields", "delete_url"],
)
def test_no_secret_of_a_host_is_shown(table: dict[str, object]) -> None:
    """Whatever turns the settings into text, with the environment and in containers too."""
    settings = host(table)
    changed = settings.with_environment({"CARTOONIZE_ALLOW_HTTP": "1"})
    for shown in (repr(settings), str(settings), f"{settings}", repr({"mine": settings}), repr(changed)):
        assert SECRET not in shown
    assert SECRET in str(plain(settings)), "the secret is not even there"
    assert SECRET not in settings.problem()


@pytest.mark.parametrize("kind", ["s3", "http"])
def test_what_is_no_secret_is_shown(kind: str) -> None:
    """So that a log tells which host it was."""
    shown = repr(host({"kind": kind, "link_lifetime_h": 3}, "my-bucket"))
    assert "my-bucket" in shown
    assert "link_lifetime_h=3.0" in shown


# The environment


@pytest.mark.parametrize("kind", list(READY))
@pytest.mark.parametrize(
    ("own", "value", "expected"),
    [
        (False, None, False),
        (False, "", False),
        (False, "0", False),
        (False, "true", False),
        (False, "1", True),
        (True, None, True),
        (True, "0", True),
        (True, "1", True),
    ],
)
def test_the_environment_may_permit_plain_http_and_never_forbids_it(
    kind: str, own: bool, value: str | None, expected: bool
) -> None:
    """Exactly "1" does, as for profiles; nothing else of the settings is changed."""
    settings = dataclasses.replace(READY[kind], allow_http=own)
    found = settings.with_environment({} if value is None else {"CARTOONIZE_ALLOW_HTTP": value})
    assert found == dataclasses.replace(settings, allow_http=expected)
    assert type(found) is type(settings)


@pytest.mark.parametrize(
    ("own", "env", "expected"),
    [
        ("", {}, ""),
        ("", {"CARTOONIZE_PUBLIC_URL": ""}, ""),
        ("", {"CARTOONIZE_PUBLIC_URL": "https://env.example"}, "https://env.example"),
        ("https://own.example", {"CARTOONIZE_PUBLIC_URL": "https://env.example"}, "https://own.example"),
        ("https://own.example", {}, "https://own.example"),
    ],
)
def test_the_public_address_of_the_environment_completes_comfyui(own: str, env: dict[str, str], expected: str) -> None:
    """The file's own wins."""
    found = ComfyUISettings("comfyui", public_url=own).with_environment(env)
    assert found == ComfyUISettings("comfyui", public_url=expected)
    assert bool(found.problem()) is not bool(expected)


def test_both_variables_work_together() -> None:
    """A plain public address in the environment is usable only with leave for it."""
    env = {"CARTOONIZE_PUBLIC_URL": "http://me.example"}
    assert "public_url must start with https://" in built_in()["comfyui"].with_environment(env).problem()
    assert built_in()["comfyui"].with_environment({**env, "CARTOONIZE_ALLOW_HTTP": "1"}).problem() == ""


@pytest.mark.parametrize("kind", [kind for kind in READY if kind != "comfyui"])
def test_no_other_kind_takes_the_public_address(kind: str) -> None:
    """It is ComfyUI's."""
    assert READY[kind].with_environment({"CARTOONIZE_PUBLIC_URL": "https://env.example"}) == READY[kind]
