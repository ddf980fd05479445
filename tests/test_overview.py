"""What the page and the terminal are told of this machine: all that is there, and nothing that is secret."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from canary import ADDRESS_KEY, APP_KEY, APP_SECRET, BUCKET_SECRET, Search
from cartoonize_pack.utils import release
from cartoonize_pack.utils.overview import current
from cartoonize_pack.utils.profile_entry import add
from cartoonize_pack.utils.secret import HiddenTable
from test_packaging import PROJECT

CONFIG = f"""
default_profile = "studio"
[profiles.studio]
create_url = "https://api.example/{ADDRESS_KEY}/batch"
result_url = "https://api.example/result/{{task_id}}"
app_key = "{APP_KEY}"
app_secret = "{APP_SECRET}"
host = "bucket"
[profiles.unfinished]
app_key = "{APP_KEY}"
[hosts.bucket]
kind = "s3"
bucket = "b"
secret_key = "{BUCKET_SECRET}"
access_key = "a"
[hosts.web]
kind = "http"
url = "https://up.example/{{name}}?key={ADDRESS_KEY}"
link = "{{upload_url}}"
public = true
"""


@pytest.fixture
def home() -> Path:
    """The state folder."""
    folder = Path(os.environ["CARTOONIZE_HOME"])
    folder.mkdir(mode=0o700)
    return folder


def shown(home: Path, why_not: str = "") -> dict[str, Any]:
    """The overview as JSON has it."""
    return json.loads(json.dumps(asdict(current(home, why_not))))


def test_a_machine_without_configuration(home: Path) -> None:
    """Three profiles that work, and the hosts of the pack; these are the names that the page reads."""
    assert shown(home) == {
        "version": PROJECT["project"]["version"],
        "config_file": str(home / "config.toml"),
        "auto": "local",
        "problem": "",
        "may_add": True,
        "why_not": "",
        "profiles": [
            {
                "name": name,
                "ready": True,
                "problem": "",
                "kind": "embedded",
                "style": style,
                "host": "local",
                "removable": False,
            }
            for name, style in (("local", "anime"), ("local-anime", "anime"), ("local-manga", "manga"))
        ],
        "hosts": [
            {"name": "local", "kind": "local", "ready": True, "problem": "", "auto": True, "public": False},
            {
                "name": "comfyui",
                "kind": "comfyui",
                "ready": False,
                "problem": "public_url (or CARTOONIZE_PUBLIC_URL), under which the service can reach this ComfyUI, is "
                "not set",
                "auto": False,
                "public": False,
            },
        ],
    }


def test_services_and_hosts_of_the_file_and_of_the_page(home: Path) -> None:
    """What each lacks, what "auto" means for it, and which of them the page may remove."""
    (home / "config.toml").write_text(CONFIG)
    urls = {"create_url": "https://own.example/", "result_url": "https://own.example/{task_id}"}
    add(home, "own", HiddenTable({**urls, "app_key": APP_KEY, "app_secret": APP_SECRET, "host": "web"}))
    found = shown(home)
    rows = {row["name"]: (row["ready"], row["kind"], row["host"], row["removable"]) for row in found["profiles"]}
    assert list(rows)[3:] == ["studio", "unfinished", "own"]
    assert rows["studio"] == (True, "service", "bucket", False)
    assert rows["unfinished"] == (False, "service", "", False)
    assert rows["own"] == (True, "service", "web", True)
    assert found["profiles"][4]["problem"] == "create_url, result_url, app_secret not set"
    hosts = {row["name"]: (row["kind"], row["ready"], row["auto"], row["public"]) for row in found["hosts"]}
    assert hosts["bucket"] == ("s3", True, True, False)
    assert hosts["web"] == ("http", True, False, True)
    assert (found["auto"], found["problem"]) == ("studio", "")


def test_no_key_and_no_address_is_told(home: Path) -> None:
    """Some services, and most upload hosts, have keys in their addresses."""
    (home / "config.toml").write_text(CONFIG)
    text = json.dumps(shown(home))
    assert not Search().look("overview", text)
    assert "example" not in text


def test_where_nothing_may_be_added_nothing_may_be_removed(home: Path) -> None:
    """The reason is for the person who reads the page."""
    urls = {"create_url": "https://own.example/", "result_url": "https://own.example/{task_id}"}
    add(home, "own", HiddenTable({**urls, "app_key": "k", "app_secret": "s"}))
    found = shown(home, "in words")
    assert (found["may_add"], found["why_not"]) == (False, "in words")
    assert not any(row["removable"] for row in found["profiles"])


@pytest.mark.parametrize("name", ["config.toml", "profiles.json"])
def test_a_broken_file_is_told_and_what_the_pack_has_is_shown(home: Path, name: str) -> None:
    """The page must not be empty when a comma is missing."""
    (home / name).write_text("{ not readable")
    found = shown(home)
    assert name in found["problem"]
    assert [row["name"] for row in found["profiles"]] == ["local", "local-anime", "local-manga"]
    assert [row["name"] for row in found["hosts"]] == ["local", "comfyui"]


def test_a_default_that_nobody_describes_is_told(home: Path) -> None:
    """Else "auto" would fail at the first run only; no host is that of a profile that is not there."""
    (home / "config.toml").write_text('default_profile = "gone"')
    found = shown(home)
    assert found["auto"] == "gone"
    assert "There is no profile 'gone' on this machine" in found["problem"]
    assert not any(row["auto"] for row in found["hosts"])


@pytest.mark.parametrize(("text", "expected"), [('[project]\nversion = "1.2.3"\n', "1.2.3"), ("[project]\n", "")])
def test_a_clone_tells_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: str) -> None:
    """From its own project file, although nothing was installed."""
    (tmp_path / "pyproject.toml").write_text(text)
    monkeypatch.setattr(release, "_PROJECT", tmp_path / "pyproject.toml")
    assert release.version.__wrapped__() == expected


def test_an_installed_pack_tells_the_version_of_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no project file beside it; where it is not installed either, nothing is known."""
    monkeypatch.setattr(release, "_PROJECT", tmp_path / "pyproject.toml")
    monkeypatch.setattr(release.metadata, "version", lambda name: f"of {name}")
    assert release.version.__wrapped__() == "of portrait-cartoonize"

    def unknown(name: str) -> str:
        raise release.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(release.metadata, "version", unknown)
    assert release.version.__wrapped__() == ""
