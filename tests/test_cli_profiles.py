"""`portrait-cartoonize profiles`: the services of this machine, for people and for scripts; keys stay hidden."""

from __future__ import annotations

import getpass
import io
import json
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from canary import APP_KEY, APP_SECRET, Search
from cartoonize_pack.utils import cli_profiles
from cartoonize_pack.utils.cli import main
from cartoonize_pack.utils.config import load
from cartoonize_pack.utils.steps import Step

VALUES = {
    "create_url": "https://api.example/batch",
    "result_url": "https://api.example/result/{task_id}",
    "app_key": APP_KEY,
    "app_secret": APP_SECRET,
}
ENVIRONMENT = {f"CARTOONIZE_{key.upper()}": value for key, value in VALUES.items()}
Output = pytest.CaptureFixture[str]


def home() -> Path:
    """The state folder."""
    return Path(os.environ["CARTOONIZE_HOME"])


def ran(capsys: Output, *arguments: str) -> tuple[int, str, str]:
    """Exit code and what was printed; no key is ever in it."""
    code = main(["profiles", *arguments])
    out, err = capsys.readouterr()
    assert not Search().look("terminal", out + err)
    return code, out, err


def add(monkeypatch: pytest.MonkeyPatch, capsys: Output, name: str = "studio", *more: str) -> tuple[int, str, str]:
    """Add a profile as a script does that has its keys in the environment."""
    with monkeypatch.context() as patch:
        for variable, value in ENVIRONMENT.items():
            patch.setenv(variable, value)
        return ran(capsys, "add", name, "--from-env", *more)


def typing(monkeypatch: pytest.MonkeyPatch, answers: Mapping[str, str], is_terminal: bool = True) -> None:
    """A person at a terminal, who is asked for these."""

    def asked(question: str) -> str:
        try:
            return next(answer for name, answer in answers.items() if name in question)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", asked)
    monkeypatch.setattr(getpass, "getpass", lambda question: asked("app_secret" if "ecret" in question else question))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: is_terminal, raising=False)


PERSON = {"(create_url)": VALUES["create_url"], "(result_url)": VALUES["result_url"], "App key": APP_KEY}


# What there is


def test_profiles_are_listed_with_what_they_are_good_for(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    """Those of the pack, those of the file, and those that were added."""
    home().mkdir(mode=0o700)
    (home() / "config.toml").write_text('default_profile = "studio"\n[profiles.unfinished]\napp_key = "k"\n')
    assert add(monkeypatch, capsys, "studio", "--host", "local")[0] == 0
    code, out, err = ran(capsys)
    assert (code, err) == (0, "")
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in out.splitlines()}
    assert rows == {
        "local": "embedded ready, anime",
        "local-anime": "embedded ready, anime",
        "local-manga": "embedded ready, manga",
        "unfinished": "service not ready: create_url, result_url, app_secret not set",
        "studio": "service ready, auto, added here, image host: none",  # "local" has no public address
    }


def test_profiles_are_listed_for_scripts(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    """The same, with truth values as such."""
    add(monkeypatch, capsys)
    code, out, _ = ran(capsys, "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0
    assert rows["studio"] == {
        "name": "studio",
        "ready": True,
        "problem": "",
        "kind": "service",
        "style": "",
        "host": "",
        "removable": True,
        "auto": False,
    }
    assert [name for name, row in rows.items() if row["auto"]] == ["local"]


def test_a_broken_configuration_is_one_sentence(capsys: Output) -> None:
    """With the file; nothing is listed."""
    home().mkdir(mode=0o700)
    (home() / "profiles.json").write_text("{")
    code, out, err = ran(capsys)
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert "profiles.json is not JSON" in err


# Adding and removing


def test_a_person_is_asked_for_each_value(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    """The secret is not shown while it is typed; the words say where it is kept, and what to do next."""
    typing(monkeypatch, {**PERSON, "app_secret": APP_SECRET})
    code, out, err = ran(capsys, "add", "studio", "--host", "local")
    assert (code, out) == (0, "")
    assert "profiles.json" in err
    assert "portrait-cartoonize profiles test studio" in err
    profile = load().profile("studio")
    assert (profile.app_key.reveal(), profile.app_secret.reveal(), profile.host) == (APP_KEY, APP_SECRET, "local")
    assert stat.S_IMODE((home() / "profiles.json").stat().st_mode) == 0o600


def test_values_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    """That of one command, under the names that the profile "env" has."""
    assert add(monkeypatch, capsys)[0] == 0
    assert load().profile("studio").create_url == VALUES["create_url"]
    code, _, err = ran(capsys, "add", "another", "--from-env")
    assert code == 1
    assert "create_url, result_url, app_key, app_secret not set" in err


def test_values_come_from_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    """As JSON, from a vault's own command."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(VALUES).encode())))
    assert ran(capsys, "add", "studio", "--from-stdin")[0] == 0
    assert load().profile("studio").app_secret.reveal() == APP_SECRET
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(VALUES)[:-1].encode())))
    code, _, err = ran(capsys, "add", "studio", "--from-stdin")
    assert code == 1
    assert "An entry is a JSON object" in err


def test_without_a_terminal_nobody_is_asked(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    """A script would wait for ever, or hand on a secret that is shown."""
    typing(monkeypatch, {**PERSON, "app_secret": APP_SECRET}, is_terminal=False)
    code, _, err = ran(capsys, "add", "studio")
    assert code == 1
    assert "Scripts use --from-env or --from-stdin. Nothing was saved." in err
    assert not home().exists()


def test_whoever_stops_answering_has_added_nothing(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    """Ctrl-D at the last question."""
    typing(monkeypatch, PERSON)
    code, _, err = ran(capsys, "add", "studio")
    assert code == 1
    assert "That was not answered. Nothing was saved." in err
    assert not (home() / "profiles.json").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("local", "is given by the pack itself"),
        ("described", "config.toml, where it can be changed"),
        (APP_KEY, "what looks like a key"),
        ("a b", "A profile's name has"),
    ],
)
def test_a_name_that_cannot_be_is_told_before_anything_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: Output, name: str, words: str
) -> None:
    """Four answers in vain are four too many."""
    home().mkdir(mode=0o700)
    (home() / "config.toml").write_text("[profiles.described]\n")
    typing(monkeypatch, {})
    code, _, err = ran(capsys, "add", name)
    assert code == 1
    assert words in err


def test_a_profile_is_removed(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    """With its keys; one that is not there is an error."""
    add(monkeypatch, capsys)
    code, out, err = ran(capsys, "remove", "studio")
    assert (code, out) == (0, "")
    assert "'studio' and its keys are removed" in err
    assert not load().added
    code, _, err = ran(capsys, "remove", "studio")
    assert code == 1
    assert "No profile 'studio' was added on this machine" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["add"],
        ["remove"],
        ["test"],
        ["list"],
        ["add", "studio", "secret"],
        ["add", "studio", "--app-secret", "s"],
        ["add", "studio", "--from-env", "--from-stdin"],
    ],
)
def test_wrong_usage_is_told(capsys: Output, arguments: list[str]) -> None:
    """No argument takes a key: other programs can see them."""
    with pytest.raises(SystemExit) as caught:
        main(["profiles", *arguments])
    assert caught.value.code == 2


# Trying


def steps(*good: bool) -> list[Step]:
    """Steps that worked or did not."""
    return [Step(f"step {number}", is_good, "in words") for number, is_good in enumerate(good, 1)]


@pytest.mark.parametrize(("good", "code"), [((True, True), 0), ((True, False), 1), ((False,), 1)])
def test_a_trial_prints_each_step(
    monkeypatch: pytest.MonkeyPatch, capsys: Output, good: tuple[bool, ...], code: int
) -> None:
    """For people as lines, for scripts as JSON; the exit code says whether all is well."""
    monkeypatch.setattr(cli_profiles.profile_trial, "steps", lambda config, name: iter(steps(*good)))
    found, out, err = ran(capsys, "test", "studio")
    assert (found, err) == (code, "")
    marks = [f"{'ok    ' if is_good else 'FAILED'}  step {n}: in words" for n, is_good in enumerate(good, 1)]
    assert out.splitlines() == marks
    found, out, _ = ran(capsys, "test", "studio", "--json")
    assert found == code
    assert json.loads(out) == [step.table for step in steps(*good)]


def test_a_profile_that_is_not_ready_says_what_to_set(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    """Through the real steps; a name that nobody describes is an error of the command."""
    monkeypatch.setenv("CARTOONIZE_CREATE_URL", "https://api.example/")
    code, out, _ = ran(capsys, "test", "auto")
    assert code == 1
    assert out.startswith("FAILED  configuration: CARTOONIZE_RESULT_URL")
    code, _, err = ran(capsys, "test", "stduio")
    assert code == 1
    assert "There is no profile 'stduio'" in err
