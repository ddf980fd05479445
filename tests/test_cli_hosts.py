"""`portrait-cartoonize hosts`: what there is, whether it works, and cleaning up, for people and for scripts."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cartoonize_pack.utils import cli_hosts
from cartoonize_pack.utils.cli import main
from cartoonize_pack.utils.config import load
from cartoonize_pack.utils.contract import Task, TaskStatus
from cartoonize_pack.utils.errors import ConfigurationError, UnreachableError
from cartoonize_pack.utils.hosting import Upload, hosts, new_name, uploads
from cartoonize_pack.utils.hosting.records import Place
from cartoonize_pack.utils.hosting.registry import Registry
from cartoonize_pack.utils.hosting.settings import LocalSettings
from cartoonize_pack.utils.hosting.upload import OpenHost
from cartoonize_pack.utils.journal import Journal
from cartoonize_pack.utils.records import State
from cartoonize_pack.utils.routes import UPLOADS_ROUTE
from cartoonize_pack.utils.service.pictures import PictureStore
from cartoonize_pack.utils.service.server import stop_embedded
from cartoonize_pack.utils.work import Work
from PIL import Image
from pytest_httpserver import HTTPServer
from scripted_service import ScriptedService, png
from werkzeug import Request, Response

DAY_S = 24 * 3600.0
CONFIG = """
[hosts.bucket]
kind = "s3"
bucket = "b"
link_lifetime_h = 48
delete_after = "result stored"

[hosts.unfinished]
kind = "s3"

[hosts.web]
kind = "http"
url = "https://up.example/{name}"
link = "{upload_url}"
public = true
"""
STUDIO = """
[profiles.studio]
create_url = "https://api.example/batch"
result_url = "https://api.example/result/{task_id}"
app_key = "key"
app_secret = "secret"
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A working folder, and a state folder without a configuration; the embedded server is stopped afterwards."""
    monkeypatch.chdir(tmp_path)
    home().mkdir(mode=0o700)
    yield
    stop_embedded(home())


def home() -> Path:
    """The state folder."""
    return Path(os.environ["CARTOONIZE_HOME"])


def configure(*texts: str) -> None:
    """Write the configuration."""
    (home() / "config.toml").write_text("\n".join(texts))


def uploaded(host: str, task_id: str = "", identity: str = "") -> str:
    """An upload of earlier, that a task may need; at "local" its file is there. Returns its name."""
    name, registry = new_name("image/png"), Registry(home())
    if host == "local":
        PictureStore(home() / "service" / "pictures").put(b"pixels", "image/png", DAY_S, name)
    link, expires_s = f"https://host.example/{name}", time.time() + DAY_S
    number = registry.begin(Place(host, identity or host, True), "recipe", "content", name, expires_s)
    registry.finish(number, Upload(name, link, expires_s), "")
    if task_id:
        registry.note_uses("local", {task_id: [link]})
    return name


def submitted(task_id: str, state: State = State.ACCEPTED) -> None:
    """A task of the embedded service, as the journal knows it."""
    journal, profile = Journal(home()), load().profile("local")
    work = Work((f"https://host.example/{task_id}.png",), (1,), task_id)
    journal.accept(journal.begin(work, profile, 0), work, profile, 0, task_id)
    if state is not State.ACCEPTED:
        journal.remember("local", Task(task_id, TaskStatus.COMPLETE, 3, None, ()), state)


def files() -> set[str]:
    """The names of the pictures at the host "local"."""
    return {path.name for path in (home() / "service" / "pictures").iterdir()}


class MemoryHost:
    """A host whose pictures an HTTP server hands out; `trouble` is what does not work."""

    identity = "mine"

    def __init__(self, base_url: str = "", trouble: str = "") -> None:
        self.pictures: dict[str, bytes] = {}
        self.deleted: list[str] = []
        self._base_url = base_url
        self._trouble = trouble

    def put(self, name: str, data: bytes, media_type: str) -> Upload:
        if self._trouble == "upload":
            raise UnreachableError("the line is dead")
        self.pictures[name] = data
        return Upload(name, f"{self._base_url}/{name}", time.time() + DAY_S)

    def renewed(self, upload: Upload) -> Upload | None:
        return upload

    def delete(self, upload: Upload) -> None:
        if self._trouble == "delete" and self.deleted:
            raise UnreachableError("the line is dead")
        self.deleted.append(upload.name)
        if self._trouble == "no deleting":
            raise ConfigurationError("these keys may not delete")
        if self._trouble != "stays":
            self.pictures.pop(upload.name, None)

    def answer(self, request: Request) -> Response:
        """What a stranger gets."""
        data = self.pictures.get(request.path[1:])
        if data is None:
            return Response(status=404)
        if self._trouble == "login":
            return Response("<html>please log in</html>", mimetype="text/html")
        if self._trouble == "forbidden":
            return Response(status=403)
        if self._trouble == "converted":
            stream = io.BytesIO()
            Image.open(io.BytesIO(data)).save(stream, "JPEG", quality=30)
            data = stream.getvalue()
        return Response(data, mimetype="image/png")


# What there is


def listed(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """What `hosts` prints, by host: all behind its name."""
    assert main(["hosts"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    rows = (line.partition(" ") for line in captured.out.splitlines())
    return {name: rest.strip() for name, _, rest in rows}


def table(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    """What `hosts --json` prints, by host."""
    assert main(["hosts", "--json"]) == 0
    return {row["name"]: row for row in json.loads(capsys.readouterr().out)}


def test_hosts_are_listed_with_what_they_are_good_for(capsys: pytest.CaptureFixture[str]) -> None:
    """Those of the pack, those of the file, and those that only the list of uploads knows."""
    configure(CONFIG)
    for host in ("bucket", "bucket", "gone", "local"):
        uploaded(host)
    rows = listed(capsys)
    assert list(rows) == ["local", "comfyui", "bucket", "unfinished", "web", "gone"]
    assert re.fullmatch(r"local +1 upload +ready, auto", rows["local"])
    assert re.fullmatch(r"comfyui +0 uploads +not ready: public_url \(or CARTOONIZE_PUBLIC_URL\).*", rows["comfyui"])
    assert re.fullmatch(r"s3 +2 uploads +ready", rows["bucket"])
    assert re.fullmatch(r"s3 +0 uploads +not ready: bucket not set", rows["unfinished"])
    assert re.fullmatch(r"http +0 uploads +ready, public", rows["web"])
    assert re.fullmatch(r"- +1 upload +not ready: not described any more", rows["gone"])


def test_hosts_are_listed_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    """The same, with numbers as numbers."""
    configure(CONFIG)
    uploaded("bucket")
    uploaded("gone")
    rows = table(capsys)
    assert rows["bucket"] == {
        "name": "bucket",
        "kind": "s3",
        "ready": True,
        "problem": "",
        "auto": False,
        "public": False,
        "link_lifetime_h": 48.0,
        "delete_after": "result stored",
        "uploads": 1,
    }
    assert [rows["web"][key] for key in ("public", "ready", "delete_after")] == [True, True, ""]
    assert [rows["unfinished"][key] for key in ("ready", "problem")] == [False, "bucket not set"]
    assert rows["local"]["auto"]
    assert rows["gone"].items() >= {"name": "gone", "problem": "not described any more", "uploads": 1}.items()


def test_object_storage_without_its_package_is_not_ready(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says how to install it, into this Python."""
    configure(CONFIG)
    monkeypatch.setattr(hosts, "find_spec", lambda name: None)
    row = table(capsys)["bucket"]
    assert not row["ready"]
    assert '-m pip install "obstore' in row["problem"]
    assert table(capsys)["web"]["ready"]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], ["local"]),
        (['default_profile = "studio"\ndefault_host = "bucket"', CONFIG, STUDIO], ["bucket"]),
        (['default_profile = "studio"', CONFIG, STUDIO, 'host = "web"'], ["web"]),
        (['default_profile = "studio"', CONFIG, STUDIO], []),  # no host is set
        (['default_profile = "studio"', CONFIG, STUDIO, 'host = "local"'], []),  # where nobody reaches it
        (['default_profile = "missing"', CONFIG], []),
        (['default_profile = "studio"', CONFIG, "[profiles.studio]"], []),  # without addresses and keys
    ],
)
def test_the_host_that_auto_means_is_marked(
    capsys: pytest.CaptureFixture[str], texts: list[str], expected: list[str]
) -> None:
    """That of the default profile; none where it is not known, which is told when something is uploaded."""
    configure(*texts)
    assert [name for name, row in table(capsys).items() if row.get("auto")] == expected
    assert [name for name, words in listed(capsys).items() if ", auto" in words] == expected


def test_a_host_that_the_default_profile_completes_is_ready(capsys: pytest.CaptureFixture[str]) -> None:
    """The public address may stand in the profile: Image to URL uses the host then."""
    configure('default_profile = "studio"', STUDIO, 'host = "comfyui"\npublic_url = "https://me.example"')
    row = table(capsys)["comfyui"]
    assert row["auto"]
    assert (row["ready"], row["problem"]) == (True, "")


def test_a_broken_configuration_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """With the file, the table and the key; nothing is listed."""
    configure('[hosts.bucket]\nkind = "s3"\nbuckets = "b"')
    assert main(["hosts"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert "config.toml: [hosts.bucket] has the unknown key 'buckets'" in captured.err


@pytest.mark.parametrize("arguments", [["test"], ["fetch"], ["test", "local", "web"], ["purge", "--old"]])
def test_wrong_usage_is_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With exit code 2, as everywhere."""
    with pytest.raises(SystemExit) as caught:
        main(["hosts", *arguments])
    assert caught.value.code == 2
    assert "usage: portrait-cartoonize hosts" in capsys.readouterr().err


# Whether one works


@pytest.mark.parametrize("name", ["local", "auto"])
def test_the_host_on_this_machine_works(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """A picture goes there, comes back, and is gone; it says that nobody else was asked."""
    assert main(["hosts", "test", name]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"ok      upload: \d+ bytes to http://127\.0\.0\.1:\d+/files/[\w-]{43}\.png", rows[0])
    assert re.fullmatch(
        r"ok      fetch without credentials: the same \d+ bytes came back from this machine only", rows[1]
    )
    assert rows[2:] == ["ok      delete: the link leads nowhere now (HTTP 404)"]
    assert files() == set()
    assert Registry(home()).counts() == {}


@pytest.mark.parametrize("arguments", [["test", "local", "--json"], ["--json", "test", "local"]])
def test_a_trial_is_told_to_scripts(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """One entry a step, wherever the option stands."""
    assert main(["hosts", *arguments]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["step"], row["ok"]) for row in rows] == [
        ("upload", True),
        ("fetch without credentials", True),
        ("delete", True),
    ]
    assert rows[2]["words"] == "the link leads nowhere now (HTTP 404)"


UPLOADED, FETCHED = r"ok      upload: .*", r"ok      fetch without credentials: the same \d+ bytes came back.*"
GONE = r"ok      delete: the link leads nowhere now \(HTTP 404\)"
TROUBLES = {
    "upload": ["FAILED  upload: the line is dead"],
    "login": [UPLOADED, r"FAILED  fetch without credentials: another file came back: \d+ bytes, .*", GONE],
    "converted": [UPLOADED, r"FAILED  fetch without credentials: another file came back: \d+ bytes, .*", GONE],
    "forbidden": [UPLOADED, r"FAILED  fetch without credentials: .* answered HTTP 403 .*", GONE],
    "no deleting": [UPLOADED, FETCHED, "FAILED  delete: these keys may not delete"],
    "stays": [UPLOADED, FETCHED, r"FAILED  delete: the picture is still there \(HTTP 200\); is delete_url set\?"],
}


@pytest.mark.parametrize("as_json", [False, True], ids=["words", "json"])
@pytest.mark.parametrize(("trouble", "expected"), TROUBLES.items(), ids=TROUBLES)
def test_each_step_that_fails_is_told(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    httpserver: HTTPServer,
    trouble: str,
    expected: list[str],
    as_json: bool,
) -> None:
    """With exit code 1; what was uploaded is deleted all the same, and nothing is tried without an upload."""
    host = MemoryHost(httpserver.url_for("").rstrip("/"), trouble)
    httpserver.expect_request(re.compile("/.*")).respond_with_handler(host.answer)
    monkeypatch.setattr(cli_hosts, "open_host", lambda *_: OpenHost(host, LocalSettings("mine")))
    assert main(["hosts", "test", "mine", *["--json"] * as_json]) == 1
    out = capsys.readouterr().out
    rows = out.splitlines()
    if as_json:
        marks = {True: "ok    ", False: "FAILED"}
        rows = [f"{marks[row['ok']]}  {row['step']}: {row['words']}" for row in json.loads(out)]
    assert len(rows) == len(expected)
    for row, pattern in zip(rows, expected, strict=True):
        assert re.fullmatch(pattern, row)
    assert len(host.deleted) == (trouble != "upload")


def test_a_link_into_a_private_network_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service could not follow it; it is not followed from here either."""
    host = MemoryHost("http://10.1.2.3")
    monkeypatch.setattr(cli_hosts, "open_host", lambda *_: OpenHost(host, LocalSettings("mine")))
    assert main(["hosts", "test", "mine"]) == 1
    rows = capsys.readouterr().out.splitlines()
    assert "FAILED  fetch without credentials: 10.1.2.3 is not fetched: 10.1.2.3 is a private address" in rows[1]
    assert host.pictures == {}


@pytest.mark.parametrize("command", ["test", "purge"])
def test_an_unknown_name_lists_what_there_is(capsys: pytest.CaptureFixture[str], command: str) -> None:
    """A typing error, or a host of another machine."""
    configure(CONFIG)
    assert main(["hosts", command, "buckett"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: There is no image host 'buckett' on this machine; it has: local, comfyui, bucket,")
    assert "Traceback" not in error


def test_an_unfinished_host_says_what_to_set(capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is tried."""
    configure(CONFIG)
    assert main(["hosts", "test", "unfinished"]) == 1
    captured = capsys.readouterr()
    assert "The image host 'unfinished' is not ready: bucket not set" in captured.err
    assert captured.out == ""


# Cleaning up


def purged(capsys: pytest.CaptureFixture[str], *arguments: str, code: int | None = 0) -> str:
    """What `hosts purge` says; its exit code is this one."""
    found = main(["hosts", "purge", *arguments])
    assert code in (None, found)
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


@pytest.mark.parametrize("arguments", [[], ["local"], ["--all"], ["--forget"], ["local", "--all", "--forget"]])
def test_nothing_to_clean_up_is_no_error(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """Also on a machine that never uploaded anything."""
    assert purged(capsys, *arguments) == "0 uploads deleted, 0 left\n"


def test_uploads_are_deleted_and_forgotten(capsys: pytest.CaptureFixture[str]) -> None:
    """What no task needed, and what finished tasks needed; other files of the store are results, and stay."""
    uploaded("local")
    uploaded("local", "done")
    uploaded("local", "failed")
    uploaded("local", "not from here")
    submitted("done", State.DONE)
    submitted("failed", State.FAILED)
    result = PictureStore(home() / "service" / "pictures").put(b"result", "image/png", DAY_S)
    assert purged(capsys) == "4 uploads deleted, 0 left\n"
    assert files() == {result}
    assert Registry(home()).counts() == {}


def test_what_unfinished_tasks_need_stays_unless_all_is_meant(capsys: pytest.CaptureFixture[str]) -> None:
    """The service may fetch it at any moment; a second task that is finished does not change that."""
    name, other = uploaded("local", "open"), uploaded("local", "done")
    Registry(home()).note_uses("local", {"done": [f"https://host.example/{name}"]})
    submitted("open")
    submitted("done", State.DONE)
    assert other in files()
    assert purged(capsys) == "1 upload deleted, 1 left (unfinished tasks need them: --all deletes them, too)\n"
    assert files() == {name}
    assert purged(capsys, "--all") == "1 upload deleted, 0 left\n"
    assert files() == set()


def test_one_host_alone_is_cleaned_up(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is said of unfinished tasks where there are none."""
    uploaded("local")
    uploaded("bucket")
    said = purged(capsys, "local")
    assert Registry(home()).counts() == {"bucket": 1}
    assert files() == set()
    assert said.startswith("1 upload deleted")
    assert "unfinished tasks" not in said


def test_what_was_deleted_is_told_to_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers, and the hosts that failed."""
    uploaded("local")
    uploaded("local", "open")
    submitted("open")
    assert main(["hosts", "purge", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"deleted": 1, "left": 1, "problems": {}}
    uploaded("gone")
    assert main(["hosts", "purge", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["deleted"], found["left"], list(found["problems"])) == (0, 2, ["gone"])
    assert "There is no image host 'gone'" in found["problems"]["gone"]


def test_a_host_that_fails_is_told_and_nothing_of_it_is_forgotten(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With exit code 1; the other hosts are cleaned up, and the next time goes on with the rest."""
    mine = MemoryHost(trouble="delete")
    opened = uploads.open_named

    def open_named(config: Any, name: str, public_url: str = "") -> Any:
        return mine if name == "mine" else opened(config, name, public_url)

    monkeypatch.setattr(uploads, "open_named", open_named)
    for host in ("mine", "mine", "local"):
        uploaded(host)
    said = purged(capsys, code=1)
    assert said == "2 uploads deleted, 1 left\nerror: mine: the line is dead\n"
    assert Registry(home()).counts() == {"mine": 1}
    assert files() == set()
    mine.deleted.clear()
    assert purged(capsys) == "1 upload deleted, 0 left\n"


def test_a_host_that_is_elsewhere_now_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Its old pictures are not looked for at the new place."""
    uploaded("local", identity="where it was before")
    said = purged(capsys, code=1)
    assert "0 uploads deleted, 1 left" in said
    assert "error: local: The image host 'local' is another place now" in said
    assert len(files()) == 1


def test_what_cannot_be_deleted_is_forgotten_on_demand(capsys: pytest.CaptureFixture[str]) -> None:
    """Of a host that is not described any more; it is said that they were not deleted."""
    uploaded("gone")
    uploaded("gone")
    uploaded("local")
    assert "2 left" in purged(capsys, code=1)
    said = purged(capsys, "gone", "--forget", code=None)
    assert said.startswith("0 uploads deleted, 0 left\n")
    assert Registry(home()).counts() == {}
    assert purged(capsys) == "0 uploads deleted, 0 left\n"


def test_what_was_deleted_before_the_host_failed_counts_as_deleted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the rest is forgotten."""
    mine = MemoryHost(trouble="delete")
    monkeypatch.setattr(uploads, "open_named", lambda *_: mine)
    for _ in range(3):
        uploaded("mine")
    said = purged(capsys, "--forget", code=None)
    assert len(mine.deleted) == 1
    assert Registry(home()).counts() == {}
    assert said.startswith("1 upload deleted, 0 left\n")


# A photo and a host


@pytest.fixture
def photo() -> Path:
    path = Path("photo.png")
    path.write_bytes(png(320, 400))
    return path


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        ([], "http://127.0.0.1:9/files/"),
        (["--host", "auto"], "http://127.0.0.1:9/files/"),
        (["--host", "local"], "http://127.0.0.1:9/files/"),
        (["--host", "comfyui"], f"http://127.0.0.1:9{UPLOADS_ROUTE}/"),
    ],
)
def test_a_photo_goes_to_the_host_that_is_named(
    photo: Path, service: ScriptedService, arguments: list[str], start: str
) -> None:
    """The service gets the link of that one."""
    assert main([str(photo), *arguments]) == 0
    ((link,),) = (body["images"] for body in service.submissions)
    assert link.startswith(start)
    (host,) = Registry(home()).counts()
    assert host == ("comfyui" if "comfyui" in arguments else "local")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nobody", "There is no image host 'nobody' on this machine; it has: local, comfyui, bucket"),
        ("unfinished", "The image host 'unfinished' is not ready: bucket not set"),
    ],
)
def test_a_host_that_cannot_be_used_is_one_sentence(
    photo: Path, service: ScriptedService, capsys: pytest.CaptureFixture[str], name: str, words: str
) -> None:
    """Before anything is uploaded or submitted."""
    configure(CONFIG)
    assert main([str(photo), "--host", name]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: {words}")
    assert captured.out == ""
    assert service.submissions == []
    assert Registry(home()).counts() == {}


def test_uploads_end_whatever_profile_they_were_made_for(
    photo: Path, service: ScriptedService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The public address stands in a profile that is not the default one, and only its links need it."""
    for name in ("CREATE_URL", "RESULT_URL", "HOST", "PUBLIC_URL"):
        monkeypatch.delenv(f"CARTOONIZE_{name}")
    addresses = f'create_url = "{service.url}/batch"\nresult_url = "{service.url}/result/{{task_id}}"'
    keys = 'app_key = "key-for-tests"\napp_secret = "secret-for-tests"\npublic_url = "http://127.0.0.1:9"'
    configure("[profiles.studio]", addresses, keys, '[hosts.comfyui]\ndelete_after = "result stored"')
    with caplog.at_level(logging.WARNING):
        assert main([str(photo), "--profile", "studio", "--host", "comfyui"]) == 0
    assert len(service.submissions) == 1
    assert caplog.messages == []
    assert list((home() / "uploads").iterdir()) == []
    assert Registry(home()).counts() == {}
