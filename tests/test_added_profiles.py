"""Profiles that somebody enters: what is taken, what is refused and in which words, and the file that keeps them."""

from __future__ import annotations

import json
import os
import signal
import stat
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest
from canary import APP_KEY, APP_SECRET, PASSWORD, Search
from cartoonize_pack.utils import added_profiles
from cartoonize_pack.utils.config import Config, load
from cartoonize_pack.utils.errors import ConfigurationError, InputError
from cartoonize_pack.utils.home import ensure_home
from cartoonize_pack.utils.monitor import Monitor
from cartoonize_pack.utils.profile_entry import MAX_BYTES, TakenError, UnknownProfileError, add, parsed, remove
from cartoonize_pack.utils.redaction import redact
from cartoonize_pack.utils.secret import HiddenTable
from cartoonize_pack.utils.threads import map_bounded
from child_process import running

FIELDS = {
    "create_url": "https://api.example/batch",
    "result_url": "https://api.example/result/{task_id}",
    "app_key": APP_KEY,
    "app_secret": APP_SECRET,
}
STUDIO = "[profiles.studio]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in FIELDS.items())


@pytest.fixture
def home() -> Path:
    """An empty state folder."""
    folder = Path(os.environ["CARTOONIZE_HOME"])
    folder.mkdir(mode=0o700)
    return folder


def fields(**changed: object) -> HiddenTable:
    """An entry as it arrives; what is None is left out."""
    return HiddenTable({key: value for key, value in {**FIELDS, **changed}.items() if value is not None})


def enter(home: Path, name: str = "studio", env: Mapping[str, str] | None = None, **changed: object) -> Config:
    """The configuration after an entry."""
    add(home, name, fields(**changed), env or {})
    return load(home, env or {})


def file_of(home: Path) -> Path:
    """Where added profiles are kept."""
    return home / "profiles.json"


def told(error: BaseException | None) -> str:
    """Its text and those of the errors behind it, with all variables of their frames, but those of this file."""
    texts = []
    while error is not None:
        texts.append(str(error))
        frames = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), capture_locals=True)
        texts += [f"{frame.filename} {frame.locals}" for frame in frames if frame.filename != __file__]
        error = error.__context__
    return "\n".join(texts)


# What is kept


def test_an_entry_is_a_profile_like_others(home: Path) -> None:
    """Complete, and completed by the environment and by what config.toml says for all."""
    (home / "config.toml").write_text('max_images = 7\ndefault_host = "web"\ndefault_profile = "studio"\n')
    config = enter(home, env={"CARTOONIZE_PROXY": "environment", "CARTOONIZE_CHECK_LINKS": "0"})
    profile = config.profile("auto")
    assert (profile.name, profile.create_url, profile.result_url) == (
        "studio",
        FIELDS["create_url"],
        FIELDS["result_url"],
    )
    assert (profile.app_key.reveal(), profile.app_secret.reveal()) == (APP_KEY, APP_SECRET)
    assert (profile.max_images, profile.host, profile.proxy, profile.check_links) == (7, "web", "environment", False)
    assert config.added == {"studio"}


def test_profiles_of_the_file_come_first(home: Path) -> None:
    """As the widget lists them: the pack's, config.toml's, those that were added."""
    (home / "config.toml").write_text(STUDIO)
    assert list(enter(home, "another").profiles) == ["local", "local-anime", "local-manga", "studio", "another"]


@pytest.mark.parametrize("mask", [0, 0o077])
def test_only_its_owner_can_read_the_file(home: Path, mask: int) -> None:
    """Whatever the umask says, at the first entry and at the next one; nothing else is left in the folder."""
    before = os.umask(mask)
    try:
        for name in ("studio", "another"):
            enter(home, name)
            assert stat.S_IMODE(file_of(home).stat().st_mode) == 0o600
    finally:
        os.umask(before)
    assert {path.name for path in home.iterdir()} == {"profiles.json", "locks"}


def test_an_entry_replaces_the_whole_of_an_earlier_one(home: Path) -> None:
    """So nobody keeps a key and changes the address that it goes to."""
    enter(home, host="local")
    other = {"create_url": "https://other.example/batch", "result_url": "https://other.example/{task_id}"}
    profile = enter(home, **other, app_key="k", app_secret="s").profile("studio")
    assert (profile.app_key.reveal(), profile.app_secret.reveal(), profile.host) == ("k", "s", "")
    assert not Search().file(file_of(home))
    for missing in FIELDS:
        with pytest.raises(InputError, match=f"{missing} not set"):
            enter(home, **{**other, missing: None})
    assert load(home, {}).profile("studio").create_url == other["create_url"]


def test_blanks_around_what_was_pasted_are_left_out(home: Path) -> None:
    """A console's copy button takes the line break along."""
    padded = {key: f" {value}\r\n" for key, value in FIELDS.items()}
    profile = enter(home, **padded, host="auto").profile("studio")
    assert (profile.create_url, profile.app_secret.reveal(), profile.host) == (FIELDS["create_url"], APP_SECRET, "")


def test_a_password_with_every_kind_of_character_is_kept_as_it_is(home: Path) -> None:
    """JSON writes some of them as something else."""
    assert enter(home, app_secret=PASSWORD).profile("studio").app_secret.reveal() == PASSWORD


def test_a_profile_is_removed_with_its_keys(home: Path) -> None:
    """The others stay; a second time there is nothing to remove."""
    enter(home, "first", app_key="k", app_secret="s")
    enter(home)
    assert Search().file(file_of(home))
    remove(home, "studio", {})
    assert list(load(home, {}).added) == ["first"]
    assert not Search().folder(home)
    with pytest.raises(UnknownProfileError, match=r"No profile 'studio' was added.*profiles\.json"):
        remove(home, "studio", {})


def test_config_toml_wins_over_an_entry_of_the_same_name(home: Path) -> None:
    """The operator has described it since; the entry with its keys can still be removed."""
    enter(home, app_key="of-the-page")
    (home / "config.toml").write_text(STUDIO)
    config = load(home, {})
    assert config.profile("studio").app_key.reveal() == APP_KEY
    assert config.added == set()
    remove(home, "studio", {})
    assert json.loads(file_of(home).read_bytes()) == {}


def test_what_an_added_profile_lacks_is_to_be_set_where_it_was_added(home: Path) -> None:
    """Not in config.toml, where it is not: plain http was permitted when it was entered."""
    url = FIELDS["create_url"].replace("https", "http")
    enter(home, create_url=url, env={"CARTOONIZE_ALLOW_HTTP": "1"})
    with pytest.raises(ConfigurationError, match=r"create_url must start with https://.*ComfyUI's settings, or with"):
        load(home, {}).profile("studio")


# What is refused


@pytest.mark.parametrize("name", ["local", "local-anime", "local-manga", "env", "auto"])
def test_a_name_of_the_pack_cannot_be_taken(home: Path, name: str) -> None:
    """Neither added nor removed, whether or not the environment describes "env"."""
    for change in (lambda: add(home, name, fields(), {}), lambda: remove(home, name, {})):
        with pytest.raises(TakenError, match=f"'{name}' is given by the pack itself"):
            change()
    assert not file_of(home).exists()


def test_a_name_of_config_toml_cannot_be_taken(home: Path) -> None:
    """The words say where it is described."""
    (home / "config.toml").write_text(STUDIO)
    for change in (lambda: add(home, "studio", fields(), {}), lambda: remove(home, "studio", {})):
        with pytest.raises(TakenError, match=r"described under \[profiles\.studio\] in .*config\.toml"):
            change()
    assert not file_of(home).exists()


NAMES = [
    "", "-x", "--json", "a b", "a.b", "a/b", "../x", "ä", "a\n", "a" * 65, "\ud800", "a\0",
    APP_KEY, "c41f9b07e2d85a36f0b1c7d94e6a2835", "sk-" + "a1" * 12, "short1",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_what_is_no_name_is_refused_and_not_repeated(home: Path, name: str) -> None:
    """It may be a key that slipped a field: a name is saved with every workflow."""
    with pytest.raises(InputError, match="name") as caught:
        add(home, name, fields(app_secret="short1"), {})
    assert len(name) < 3 or name not in str(caught.value)
    assert not file_of(home).exists()


@pytest.mark.parametrize("name", ["studio", "S", "1", "_x", "a-b_c", "a" * 64, "studio-production-2026"])
def test_what_could_be_a_bare_key_of_toml_is_a_name(home: Path, name: str) -> None:
    """Up to 64 letters."""
    assert enter(home, name).profile(name).name == name


WRONG: dict[str, tuple[dict[str, object], str]] = {
    **{f"no {key}": ({key: None}, f"{key} not set") for key in FIELDS},
    **{f"empty {key}": ({key: " "}, f"{key} not set") for key in FIELDS},
    **{f"{key} that is no text": ({key: 12345}, f"{key} must be a text") for key in FIELDS},
    **{f"{key} that is null": ({key: [None]}, f"{key} must be a text") for key in FIELDS},
    **{f"{key} that is long": ({key: "a" * 2001}, f"{key} has more than 2000 characters") for key in FIELDS},
    **{f"{key} with a control character": ({key: "a\x07b"}, f"{key} has a blank, a line break") for key in FIELDS},
    **{f"{key} in two lines": ({key: "a\nb"}, f"{key} has a blank, a line break") for key in FIELDS},
    **{f"{key} with half a letter": ({key: "a\ud800b"}, f"{key} has a blank, a line break") for key in FIELDS},
    "a blank in an address": ({"create_url": "https://api.example/a b"}, "create_url has a blank"),
    "plain http": ({"create_url": "http://api.example/"}, "create_url must start with https://"),
    "plain http, where to ask": ({"result_url": "http://api.example/{task_id}"}, "result_url must start with https://"),
    "no address": ({"create_url": "api.example"}, "create_url must start with https://"),
    "a file": ({"create_url": "file:///etc/passwd"}, "create_url must start with https://"),
    "no host": ({"create_url": "https:///batch"}, "create_url must name a host"),
    "a password": ({"create_url": "https://me:pass@api.example/"}, "create_url must name a host, without user name"),
    "what nobody can read": ({"create_url": "https://[api.example/"}, "create_url is not an address"),
    "no place for the id": ({"result_url": "https://api.example/"}, r"result_url must contain \{task_id\}"),
    "the id as host": ({"result_url": "https://{task_id}.example/"}, r"must not have \{task_id\} in its host"),
    "a host that is not there": ({"host": "bucket"}, "There is no such image host on this machine; it has: local"),
    "a host that is no text": ({"host": True}, "host must be a text"),
    "another field": ({"allow_http": "true"}, "There is a field that is not known; known are: create_url"),
    "a key as a field": ({APP_SECRET: "x"}, "There is a field that is not known"),
}


@pytest.mark.parametrize(("changed", "words"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_without_repeating_it(home: Path, changed: dict[str, object], words: str) -> None:
    """Nothing is saved then, and no error holds a key, not even among the variables of its traceback."""
    with pytest.raises(InputError, match=rf"{words}.*Nothing was saved") as caught:
        enter(home, **changed)
    assert "profile_entry.py" in told(caught.value)
    assert not Search().look("error", told(caught.value))
    assert not file_of(home).exists()


def test_the_redactor_knows_the_keys_of_an_entry_that_was_refused(home: Path) -> None:
    """Whatever was wrong with it: somebody may log what they have sent."""
    secret, address_key = "zQ8-refused-before-it-was-kept", "kT7xN2vB9mQ4wZ1c"
    with pytest.raises(InputError, match="name"):
        add(home, "no name", fields(app_secret=secret, create_url=f"https://api.example/{address_key}/batch"), {})
    assert redact(f"{secret} {address_key}") == "[key] [key]"


def test_plain_http_needs_the_leave_of_the_environment(home: Path) -> None:
    """As for every other profile."""
    url = FIELDS["create_url"].replace("https", "http")
    assert enter(home, create_url=url, env={"CARTOONIZE_ALLOW_HTTP": "1"}).profiles["studio"].create_url == url


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"text"', b"1", b"\xff", b"[" * 10_000, b"{}" + b" " * MAX_BYTES], ids=lambda b: b[:8]
)
def test_what_is_no_entry_is_refused(body: bytes) -> None:
    """Whatever somebody sends."""
    with pytest.raises(InputError, match="An entry is a JSON object of at most 16384 bytes"):
        parsed(body)


def test_an_entry_that_cannot_be_read_is_in_no_traceback() -> None:
    """A comma is missing; the keys are there."""
    with pytest.raises(InputError) as caught:
        parsed(json.dumps(FIELDS)[:-1].encode())
    assert "profile_entry.py" in told(caught.value)
    assert not Search().look("error", told(caught.value))


def test_an_entry_hides_its_values() -> None:
    """Whoever prints it."""
    assert str(parsed(json.dumps(FIELDS).encode())) == "{4 hidden}"


# The file


BROKEN = {
    "empty": b"",
    "cut": json.dumps({"studio": FIELDS}).encode()[:-1],
    "no object": b"[]",
    "no text": b"\xff\xfe",
    "deep": b"[" * 10_000,
    "a number that is too long": b'{"a": ' + b"9" * 10_000 + b"}",
    "no table": json.dumps({"studio": APP_SECRET}).encode(),
    "another key": json.dumps({"studio": {**FIELDS, "style": "anime"}}).encode(),
    "another type": json.dumps({"studio": {**FIELDS, "app_key": [APP_SECRET]}}).encode(),
    "no name": json.dumps({"": FIELDS}).encode(),
    "a name of the pack": json.dumps({"local": FIELDS}).encode(),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_told_by_name_and_never_written_over(home: Path, content: bytes) -> None:
    """Neither read as empty nor repaired in silence: it holds keys that somebody has entered."""
    file_of(home).write_bytes(content)
    for use in (lambda: load(home, {}), lambda: add(home, "another", fields(), {})):
        with pytest.raises(ConfigurationError, match=r"profiles\.json") as caught:
            use()
        assert "config.py" in told(caught.value)
        assert not Search().look("error", told(caught.value))
    assert file_of(home).read_bytes() == content


@pytest.mark.parametrize("change", ["put", "remove"])
def test_what_nobody_understands_is_not_written_over(home: Path, change: str) -> None:
    """Whoever asks for it: a newer version may have written it."""
    content = BROKEN["another key"]
    file_of(home).write_bytes(content)
    with pytest.raises(ConfigurationError, match="has the unknown key 'style'"):
        added_profiles.put(home, "another", FIELDS) if change == "put" else added_profiles.remove(home, "studio")
    assert file_of(home).read_bytes() == content


def test_a_file_that_others_could_read_is_closed(home: Path) -> None:
    """Restored from a backup, for instance; at the first use of the folder."""
    file_of(home).write_text("{}")
    file_of(home).chmod(0o644)
    ensure_home(home)
    assert stat.S_IMODE(file_of(home).stat().st_mode) == 0o600


def test_a_file_that_cannot_be_read_is_told(home: Path) -> None:
    """A folder in its place, for instance."""
    file_of(home).mkdir()
    with pytest.raises(ConfigurationError, match=r"profiles\.json cannot be read: Is a directory"):
        load(home, {})


def test_a_file_that_cannot_be_written_is_told_without_its_content(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk: what was there before is there still."""
    enter(home, "first")
    before = file_of(home).read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigurationError, match=r"profiles\.json cannot be written: No space left") as caught:
        enter(home)
    assert not Search().look("error", told(caught.value))
    monkeypatch.undo()
    assert file_of(home).read_bytes() == before
    assert {path.name for path in home.iterdir()} == {"profiles.json", "locks"}


def test_a_lock_that_is_held_too_long_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a process that hangs."""
    monkeypatch.setattr(added_profiles, "LOCK_TIMEOUT_S", 0.05)
    inside, leave = threading.Event(), threading.Event()

    def hold(tables: HiddenTable) -> bool:
        inside.set()
        return not leave.wait(10)

    holder = threading.Thread(target=lambda: added_profiles._change(home, hold))
    holder.start()
    try:
        assert inside.wait(10)
        with pytest.raises(ConfigurationError, match=r"another process has been changing it.*Nothing was changed"):
            enter(home)
    finally:
        leave.set()
        holder.join()
    assert enter(home).added == {"studio"}


def test_two_that_write_at_once_lose_nothing(home: Path) -> None:
    """The page and a terminal."""
    together = threading.Barrier(6)

    def write(number: int) -> None:
        together.wait(10)
        add(home, f"p{number}", fields(), {})

    map_bounded(write, range(6), workers=6, monitor=Monitor())
    assert load(home, {}).added == {f"p{number}" for number in range(6)}


WRITE_AND_DIE = """
import signal
from cartoonize_pack.utils import added_profiles
print("ready", flush=True)
sys.stdin.readline()
os.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
added_profiles.put(Path(sys.argv[1]), "second", {"app_secret": sys.argv[2]})
"""


def test_a_process_that_is_killed_while_it_writes_leaves_the_old_file_whole(home: Path) -> None:
    """What it leaves behind holds keys, too, and goes with the next entry."""
    enter(home, "first", app_key="k", app_secret="s")
    before = file_of(home).read_bytes()
    with running(WRITE_AND_DIE, home, APP_SECRET) as child:
        child.communicate("go\n")
        assert child.returncode == -signal.SIGKILL
    assert file_of(home).read_bytes() == before
    assert len(list(home.glob(".part-*"))) == 1
    remove(home, "first", {})
    assert not Search().folder(home)
