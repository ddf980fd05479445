"""Image to URL in front of a real S3 server: what strangers get, what is used again, and that nothing stays behind."""

from __future__ import annotations

import io
import itertools
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import child_process
import numpy as np
import pytest
import requests
import swift_server
from cartoonize_pack.utils.cli import main
from cartoonize_pack.utils.errors import CartoonizeError, ConfigurationError, InputError, UnreachableError
from cartoonize_pack.utils.hosting import Upload
from cartoonize_pack.utils.hosting.storage import ObjectStorage
from cartoonize_pack.utils.images import encode_jpeg, encode_png, from_float
from node_calls import IMAGE_TO_URL, POLL, SUBMIT, batch, execute
from PIL import Image
from scripted_service import ScriptedService
from stand_in_host import StandInHost
from swift_server import S3Server

pytestmark = pytest.mark.usefixtures("host")
SOON_S = 20.0  # for a busy machine
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Bucket:
    """A bucket of the server, and what lies in it."""

    server: S3Server
    name: str

    @property
    def table(self) -> dict[str, Any]:
        """What describes it in the configuration."""
        return {
            "kind": "s3",
            "bucket": self.name,
            "endpoint": self.server.endpoint,
            "region": self.server.region,
            "access_key": self.server.access_key,
            "secret_key": self.server.secret_key,
            "allow_http": True,
        }

    @property
    def names(self) -> list[str]:
        """The objects in it."""
        return self.server.names(self.name)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """OpenStack Swift, one for all tests."""
    if not swift_server.is_installed():
        pytest.skip("needs OpenStack Swift: pip install swift, on Linux")
    with swift_server.running(tmp_path_factory.mktemp("swift")) as server:
        yield server


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the person who runs the tests stay out of them."""
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def bucket(server: S3Server) -> Bucket:
    """An empty bucket, described as the host "storage"."""
    bucket = new_bucket(server)
    describe(storage=bucket.table)
    return bucket


def new_bucket(server: S3Server) -> Bucket:
    """An empty bucket."""
    name = f"pictures-{next(_numbers)}"
    server.create_bucket(name)
    return Bucket(server, name)


def describe(**hosts: dict[str, Any]) -> None:
    """Write the configuration of these hosts."""
    home = Path(os.environ["CARTOONIZE_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, table in hosts.items():
        rows += [f"[hosts.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    (home / "config.toml").write_text("\n".join(rows))


def links_of(images: Any, **inputs: Any) -> list[str]:
    """The links that Image to URL makes."""
    return execute(IMAGE_TO_URL, **{"images": images, "host": "storage", **inputs})[0].splitlines()


def noise(seed: int, count: int = 1) -> np.ndarray:
    """Pictures that no other seed has."""
    return np.random.default_rng(seed).random((count, 260, 300, 3), np.float32)


def name_of(link: str) -> str:
    """The object that a link is for."""
    return urlsplit(link).path.rpartition("/")[2]


def fetched(link: str) -> bytes:
    """What a stranger gets."""
    answer = requests.get(link, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.content


def uploads(capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    """How many uploads this machine knows of, by host."""
    capsys.readouterr()
    assert main(["hosts", "--json"]) == 0
    return {row["name"]: row["uploads"] for row in json.loads(capsys.readouterr().out) if row["uploads"]}


def until(is_so: Callable[[], bool]) -> None:
    """Return when something has become true."""
    deadline = time.monotonic() + SOON_S
    while not is_so():
        assert time.monotonic() < deadline, "it does not become true"
        time.sleep(0.1)


# --- what a stranger gets, and what not -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fmt", "media_type", "encoded"), [("png", "image/png", encode_png), ("jpeg", "image/jpeg", encode_jpeg)]
)
def test_a_link_is_all_that_a_stranger_needs(bucket: Bucket, fmt: str, media_type: str, encoded: Any) -> None:
    """The very file, with its type, and not for anybody's cache."""
    picture = noise(1)
    (link,) = links_of(picture, format=fmt)
    answer = requests.get(link, timeout=60)
    assert answer.status_code == 200
    assert answer.content == encoded(from_float(picture[0]))
    assert answer.headers["Content-Type"] == media_type
    assert set(answer.headers["Cache-Control"].split(", ")) == {"private", "no-store"}
    assert not [name for name in answer.headers if "meta" in name.lower()]
    if fmt == "png":
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(answer.content))), np.rint(picture[0] * 255))
    assert [name_of(link)] == bucket.names


def test_a_file_carries_nothing_but_its_pixels(bucket: Bucket) -> None:
    """Of a PNG no chunk that is not needed, of a JPEG no segment for metadata."""
    png, jpeg = (fetched(links_of(noise(1), format=fmt)[0]) for fmt in ("png", "jpeg"))
    chunks, at = [], 8
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        chunks.append(png[at + 4 : at + 8])
        at += 12 + length
    assert set(chunks) == {b"IHDR", b"IDAT", b"IEND"}
    with Image.open(io.BytesIO(jpeg)) as image:
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_names_are_random_and_never_come_again(bucket: Bucket) -> None:
    """256 bits each, also of the same picture."""
    pictures = np.concatenate([noise(seed) for seed in range(6)])
    seen = [name_of(link) for link in links_of(pictures)]
    assert main(["hosts", "purge"]) == 0
    seen += [name_of(link) for link in links_of(pictures)]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}\.png", name) for name in seen)
    assert len(set(seen)) == 12
    assert len({name[:8] for name in seen}) == 12  # no part of them is fixed


@pytest.mark.parametrize(
    ("method", "change", "status"),
    [
        ("GET", lambda link, other: link[:-1] + ("0" if link[-1] != "0" else "1"), 403),
        ("GET", lambda link, other: link.replace(name_of(link), name_of(other)), 403),
        ("GET", lambda link, other: link.replace("X-Amz-Expires=86400", "X-Amz-Expires=604800"), 403),
        ("GET", lambda link, other: link.replace(f"/{name_of(link)}", ""), 403),
        ("GET", lambda link, other: link.partition("?")[0], 400),
        ("PUT", lambda link, other: link, 403),
        ("DELETE", lambda link, other: link, 403),
        ("POST", lambda link, other: link, 501),
    ],
    ids=["signature", "another object", "longer", "the whole bucket", "no signature", "PUT", "DELETE", "POST"],
)
def test_a_link_is_good_for_nothing_else(
    bucket: Bucket, method: str, change: Callable[[str, str], str], status: int
) -> None:
    """Refused, and both pictures are as they were."""
    link, other = links_of(noise(1, 2))
    before = fetched(link), fetched(other)
    changed = change(link, other)
    assert (method, changed) != ("GET", link)
    assert requests.request(method, changed, data=b"x" * (method != "GET"), timeout=60).status_code == status
    assert (fetched(link), fetched(other)) == before
    assert sorted(bucket.names) == sorted([name_of(link), name_of(other)])


def test_a_link_ends_and_then_the_picture_does(bucket: Bucket) -> None:
    """The server refuses it after its time; the next run deletes what lies behind it."""
    describe(storage={**bucket.table, "link_lifetime_h": 0.0003})
    (link,) = links_of(noise(1))
    assert parse_qs(urlsplit(link).query)["X-Amz-Expires"] == ["1"]
    until(lambda: requests.get(link, timeout=60).status_code != 200)
    answer = requests.get(link, timeout=60)
    assert answer.status_code == 403
    assert "expired" in answer.text
    assert bucket.names == [name_of(link)]
    describe(storage=bucket.table)
    (new,) = links_of(noise(2))
    until(lambda: links_of(noise(2)) != [] and bucket.names == [name_of(new)])  # each run deletes what has ended then
    fetched(new)


def test_20_images_have_their_links_in_order(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploaded four at a time, whichever is done first."""
    put, lock = ObjectStorage.put, threading.Lock()
    running, most, begun = 0, 0, 0

    def slower_for_some(self: ObjectStorage, name: str, data: bytes, media_type: str) -> Upload:
        nonlocal running, most, begun
        with lock:
            running, begun = running + 1, begun + 1
            most, wait_s = max(most, running), 0.15 * (begun % 4 == 1)
        time.sleep(wait_s)
        try:
            return put(self, name, data, media_type)
        finally:
            with lock:
                running -= 1

    monkeypatch.setattr(ObjectStorage, "put", slower_for_some)
    links = links_of(np.concatenate([batch(value=k * 10 / 255) for k in range(20)]))
    pictures = [np.asarray(Image.open(io.BytesIO(fetched(link)))) for link in links]
    assert [set(np.unique(picture)) for picture in pictures] == [{k * 10} for k in range(20)]
    assert most == 4


# --- each picture once ------------------------------------------------------------------------------------------------


def test_the_same_pixels_are_not_uploaded_again(bucket: Bucket, host: StandInHost) -> None:
    """The object of before, under a newly signed link, and the node says so."""
    (first,) = links_of(noise(1))
    assert host.texts[-1] == "1 image uploaded to 'storage'"
    again = [first]

    def is_signed_anew() -> bool:
        again.extend(links_of(noise(1)))
        return again[-1] != first

    until(is_signed_anew)  # a signature is of its second
    assert {name_of(link) for link in again} == set(bucket.names)
    assert len(bucket.names) == 1
    assert fetched(again[-1]) == encode_png(from_float(noise(1)[0]))
    assert host.texts[-1] == "1 image already at 'storage'"
    links_of(np.concatenate([noise(1), noise(2), noise(3)]))
    assert host.texts[-1] == "2 images uploaded to 'storage', 1 image already at 'storage'"
    assert len(bucket.names) == 3


@pytest.mark.parametrize("change", [{"format": "jpeg"}, {"images": noise(2)}], ids=["format", "pixels"])
def test_another_file_is_another_upload(bucket: Bucket, change: dict[str, Any]) -> None:
    """What is asked for now is what lies behind the link."""
    links = [*links_of(noise(1)), *links_of(**{"images": noise(1), **change})]
    assert sorted(bucket.names) == sorted(map(name_of, links))
    assert len(set(bucket.names)) == 2


def test_what_somebody_deleted_is_uploaded_again(bucket: Bucket, host: StandInHost) -> None:
    """No link of a picture that is not there."""
    (first,) = links_of(noise(1))
    bucket.server.drop(bucket.name, name_of(first))
    (second,) = links_of(noise(1))
    assert bucket.names == [name_of(second)]
    assert name_of(second) != name_of(first)
    assert fetched(second) == encode_png(from_float(noise(1)[0]))
    assert host.texts[-1] == "1 image uploaded to 'storage'"


def test_the_same_image_twice_in_a_batch_is_one_object(bucket: Bucket) -> None:
    """And two lines."""
    first, other, second = links_of(np.concatenate([noise(1), noise(2), noise(1)]))
    assert first == second != other
    assert sorted(bucket.names) == sorted([name_of(first), name_of(other)])


@pytest.mark.parametrize("change", ["bucket", "prefix", "name"])
def test_another_place_has_its_own_uploads(bucket: Bucket, host: StandInHost, change: str) -> None:
    """Another bucket or folder under the same name, and another name for the same bucket."""
    (first,) = links_of(noise(1))
    table = bucket.table
    if change == "bucket":
        table = new_bucket(bucket.server).table
    elif change == "prefix":
        table["prefix"] = "in/here"
    describe(**{"other" if change == "name" else "storage": table})
    (second,) = links_of(noise(1), host="other" if change == "name" else "storage")
    assert name_of(second) != name_of(first)
    assert fetched(second) == fetched(first)
    assert "already" not in host.texts[-1]
    if change == "prefix":
        assert sorted(bucket.names) == sorted([name_of(first), f"in/here/{name_of(second)}"])


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"secret_key": "wrong-secret"}, ConfigurationError, "refuses the keys"),
        ({"access_key": "nobody"}, ConfigurationError, "refuses the keys"),
        ({"bucket": "no-such-bucket"}, ConfigurationError, "has no such bucket"),
        ({"bucket": "x"}, ConfigurationError, "The specified bucket is not valid"),
        ({"bucket": "my pictures"}, ConfigurationError, "'storage'"),
        ({"access_key": "key\n"}, ConfigurationError, "'storage'"),
        ({"endpoint": "http://127.0.0.1:9"}, UnreachableError, "cannot be reached.*refused"),
        ({"allow_http": False}, ConfigurationError, "allow_http"),
    ],
    ids=[
        "wrong secret",
        "wrong key",
        "no bucket",
        "bad bucket name",
        "space in the bucket",
        "line break in the key",
        "nobody there",
        "http",
    ],
)
def test_what_goes_wrong_is_said_in_words_without_a_secret(
    bucket: Bucket,
    host: StandInHost,
    caplog: pytest.LogCaptureFixture,
    change: dict[str, Any],
    error: type[CartoonizeError],
    words: str,
) -> None:
    """Whose move it is, and which host it was; no key and no signature, not in the log or the traceback either."""
    caplog.set_level(logging.DEBUG)
    table = {**bucket.table, **change}
    describe(storage=table)
    with pytest.raises(error, match=words) as caught:
        links_of(noise(1))
    said = "\n".join([*traceback.format_exception(caught.value), *host.texts, caplog.text])
    assert "'storage'" in str(caught.value)
    assert len(str(caught.value)) < 600
    for secret in (table["secret_key"], "Signature", "Authorization"):
        assert secret not in said
    assert bucket.names == []
    describe(storage=bucket.table)
    fetched(links_of(noise(1))[0])


def test_a_key_of_the_environment_that_can_be_none_is_a_matter_of_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The library breaks at a line's end in it, in a way that would end ComfyUI's worker thread."""
    describe(storage={"kind": "s3", "bucket": "photos", "endpoint": "http://127.0.0.1:9", "allow_http": True})
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key\n")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-env")
    with pytest.raises(ConfigurationError, match="'storage'") as caught:
        links_of(batch())
    assert "secret-of-env" not in "".join(traceback.format_exception(caught.value))


def test_keys_that_may_not_list_do_not_stop_a_picture_that_is_gone(host: StandInHost) -> None:
    """S3 answers them 403 instead of 404 (API reference of HeadObject): it is uploaded anew, which tells the truth."""
    puts = []

    class WithoutList(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(403)

        def do_PUT(self) -> None:
            puts.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer(200)

        def answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("ETag", '"1"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), WithoutList) as http:
        threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
        table = {"kind": "s3", "bucket": "photos", "access_key": "key", "secret_key": "secret", "allow_http": True}
        describe(storage={**table, "endpoint": f"http://127.0.0.1:{http.server_address[1]}"})
        try:
            first, second = links_of(batch()), links_of(batch())
        finally:
            http.shutdown()
    assert first != second
    assert len(puts) == 2


def test_a_batch_with_one_image_outside_the_limits_uploads_nothing(
    bucket: Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    """With out_of_limits "error" all sizes are looked at first."""
    with pytest.raises(InputError, match="image 3 is 300x200 pixels.*at least 257"):
        links_of([noise(1, 2), batch(1, 200, 300)], out_of_limits="error")
    assert bucket.names == []
    assert uploads(capsys) == {}
    assert len(links_of([noise(1, 2), batch(1, 200, 300)])) == len(bucket.names) == 3


def test_a_missing_package_is_named_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """For the Python that runs, from the node and from the command line; other hosts do not need it."""
    monkeypatch.setattr("cartoonize_pack.utils.hosting.hosts.find_spec", lambda name: None)
    describe(storage={"kind": "s3", "bucket": "photos"}, api={"kind": "http"})
    install = f'Install it and restart: "{sys.executable}" -m pip install "obstore>=0.11,<0.13"'
    with pytest.raises(ConfigurationError, match=re.escape(install)):
        links_of(batch())
    assert main(["hosts", "test", "storage"]) == 1
    assert install in capsys.readouterr().err
    assert main(["hosts"]) == 0
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert f"storage s3 0 uploads not ready: object storage needs a package that is not installed. {install}" in rows
    assert main(["hosts", "--json"]) == 0
    problems = {row["name"]: row["problem"] for row in json.loads(capsys.readouterr().out)}
    assert install in problems.pop("storage")
    assert "pip install" not in str(problems)


# --- deleted when the result is stored --------------------------------------------------------------------------------


@pytest.fixture
def tidy(bucket: Bucket, service: ScriptedService, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """The bucket is the default host of a service that costs money, and its uploads go when their results are here."""
    describe(storage={**bucket.table, "delete_after": "result stored"})
    monkeypatch.setenv("CARTOONIZE_HOST", "storage")
    return bucket


def submit(links: list[str], **inputs: Any) -> str:
    """The tasks of links."""
    return execute(SUBMIT, image_urls="\n".join(links), **inputs)["result"][0]


def test_uploads_are_deleted_when_all_results_are_stored(tidy: Bucket, service: ScriptedService) -> None:
    """By Poll Result, and not earlier."""
    links = links_of(noise(1, 2), host="auto")
    task = submit(links)
    assert service.submissions[0]["images"] == links
    assert sorted(tidy.names) == sorted(map(name_of, links))
    assert len(execute(POLL, task_id=task)[0]) == 2
    assert tidy.names == []


def test_without_the_setting_uploads_stay(tidy: Bucket) -> None:
    """For their lifetime."""
    describe(storage=tidy.table)
    execute(POLL, task_id=submit(links_of(noise(1))))
    assert len(tidy.names) == 1


def test_uploads_of_a_task_with_a_failed_image_stay(tidy: Bucket, service: ScriptedService) -> None:
    """It may be submitted once more."""
    service.failed["task-1", 1] = "no face found"
    links = links_of(noise(1, 2))
    report = execute(POLL, task_id=submit(links), on_failure="skip")[4]
    assert len(tidy.names) == 2
    assert submit(links, report=report).splitlines() == ["task-1", "task-2@2"]
    assert service.submissions[1]["images"] == links[1:]
    assert fetched(links[1])


def test_uploads_that_another_task_needs_stay(tidy: Bucket) -> None:
    """The same picture as two variations: it goes with the second result."""
    links = links_of(noise(1, 2))
    first, second = (submit(links, variation=variation) for variation in (0, 1))
    execute(POLL, task_id=first)
    assert len(tidy.names) == 2
    execute(POLL, task_id=second)
    assert tidy.names == []


def test_only_the_uploads_of_the_task_are_deleted(tidy: Bucket) -> None:
    """Others are not touched: of a task that is under way, and of no task yet."""
    first, second, third = links_of(noise(1, 3))
    submit([second])
    execute(POLL, task_id=submit([first]))
    assert sorted(tidy.names) == sorted([name_of(second), name_of(third)])


def test_a_graph_that_runs_again_does_not_lose_what_it_just_uploaded(
    tidy: Bucket, service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its results are on disk, so nobody needs the upload; but another branch may be about to, for ten minutes."""
    for _ in range(2):
        links = links_of(noise(1))
        execute(POLL, task_id=submit(links))
    assert len(service.submissions) == 1
    assert tidy.names == [name_of(links[0])]
    monkeypatch.setattr("cartoonize_pack.utils.hosting.uploads.SPARE_S", 0.0)
    (other,) = links_of(noise(2))
    until(lambda: tidy.names == [name_of(other)])


def test_storage_that_cannot_be_reached_does_not_keep_results_back(
    tidy: Bucket, service: ScriptedService, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are paid for; the upload is deleted another time, and the log says so."""
    task = submit(links_of(noise(1)))
    table = {**tidy.table, "delete_after": "result stored"}
    describe(storage={**table, "secret_key": "wrong-secret"})
    assert len(execute(POLL, task_id=task)[0]) == 1
    assert "Uploads at 'storage' are deleted later: The image host 'storage' refuses the keys" in caplog.text
    assert len(tidy.names) == 1
    assert uploads(capsys) == {"storage": 1}
    describe(storage=table)
    (other,) = links_of(noise(2))
    until(lambda: tidy.names == [name_of(other)])


# --- portrait-cartoonize hosts ----------------------------------------------------------------------------------------


def test_a_host_is_tried_out_and_nothing_is_left(bucket: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    """Uploaded, fetched as a stranger, deleted; each step is a line, or an entry of JSON."""
    assert main(["hosts", "test", "storage"]) == 0
    upload, fetch, delete = capsys.readouterr().out.splitlines()
    size = re.fullmatch(rf"ok      upload: (\d+) bytes to {re.escape(bucket.server.endpoint)}/\S+", upload)
    assert size
    assert fetch == f"ok      fetch without credentials: the same {size[1]} bytes came back from this machine only"
    assert delete == "ok      delete: the link leads nowhere now (HTTP 404)"
    assert "Signature" not in upload
    assert main(["hosts", "test", "storage", "--json"]) == 0
    steps = json.loads(capsys.readouterr().out)
    assert [(step["step"], step["ok"]) for step in steps] == [
        ("upload", True),
        ("fetch without credentials", True),
        ("delete", True),
    ]
    assert bucket.names == []
    assert uploads(capsys) == {}


def test_a_host_that_does_not_work_fails_its_trial(bucket: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    """With the reason, and exit code 1."""
    describe(storage={**bucket.table, "secret_key": "wrong-secret"})
    assert main(["hosts", "test", "storage"]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("FAILED  upload: The image host 'storage' refuses the keys")
    assert main(["hosts", "test", "storage", "--json"]) == 1
    assert [step["ok"] for step in json.loads(capsys.readouterr().out)] == [False]
    assert main(["hosts", "test", "nowhere"]) == 1
    assert "error: There is no image host 'nowhere' on this machine; it has: local," in capsys.readouterr().err


def test_purge_keeps_what_unfinished_tasks_need(
    bucket: Bucket, service: ScriptedService, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless it is told to delete everything; a task that is finished needs nothing."""
    finished, needed, unused = links_of(noise(1, 3))
    execute(POLL, task_id=submit([finished]))
    submit([needed])
    assert uploads(capsys) == {"storage": 3}
    assert main(["hosts", "purge", "storage"]) == 0
    assert capsys.readouterr().err == (
        "2 uploads deleted, 1 left (unfinished tasks need them: --all deletes them, too)\n"
    )
    assert bucket.names == [name_of(needed)]
    assert uploads(capsys) == {"storage": 1}
    assert main(["hosts", "purge", "--all", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"deleted": 1, "left": 0, "problems": {}}
    assert bucket.names == []
    assert uploads(capsys) == {}


def test_purge_of_one_host_leaves_the_others_alone(bucket: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    """And does not say that tasks need what it was not asked to delete."""
    other = new_bucket(bucket.server)
    describe(storage=bucket.table, other=other.table)
    for name in ("storage", "other"):
        links_of(noise(1), host=name)
    assert main(["hosts", "purge", "other"]) == 0
    assert "unfinished tasks" not in capsys.readouterr().err
    assert (len(bucket.names), other.names) == (1, [])
    assert main(["hosts", "purge", "nowhere"]) == 1
    assert "There is no image host 'nowhere'" in capsys.readouterr().err


def test_uploads_of_a_place_that_is_not_described_any_more_are_told_and_can_be_forgotten(
    bucket: Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another bucket under the name, then no such host: nothing is deleted in the wrong place."""
    (link,) = links_of(noise(1))
    other = new_bucket(bucket.server)
    describe(storage=other.table)
    assert main(["hosts", "purge"]) == 1
    assert "storage: The image host 'storage' is another place now" in capsys.readouterr().err
    describe()
    assert main(["hosts"]) == 0
    assert "1 upload     not ready: not described any more" in capsys.readouterr().out
    assert main(["hosts", "purge", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["deleted"], answer["left"]) == (0, 1)
    assert "There is no image host 'storage'" in answer["problems"]["storage"]
    describe(storage=bucket.table)
    assert uploads(capsys) == {"storage": 1}
    describe()
    main(["hosts", "purge", "--forget"])
    assert uploads(capsys) == {}
    assert bucket.names == [name_of(link)]


CHILD = """
import numpy as np, signal
from cartoonize_pack.utils import config
from cartoonize_pack.utils.backend import open_host, open_journal
from cartoonize_pack.utils.contract import Limits
from cartoonize_pack.utils.hosting.storage import ObjectStorage
from cartoonize_pack.utils.hosting.upload import Encoding, upload
from cartoonize_pack.utils.hosting.uploads import Uploads
from cartoonize_pack.utils.images import Picture
from cartoonize_pack.utils.monitor import Monitor

put = ObjectStorage.put

def put_and_die(self, name, data, media_type):
    if sys.argv[1] == "behind":
        put(self, name, data, media_type)
    os.kill(os.getpid(), signal.SIGKILL)

ObjectStorage.put = put_and_die
settings = config.load()
picture = Picture(np.full((260, 300, 3), 128, np.uint8))
upload(
    [lambda: picture],
    open_host(settings, "storage", settings.profile("auto")),
    Encoding("auto", True, Limits()),
    uploads=Uploads(settings),
    journal=open_journal(settings),
    monitor=Monitor(),
)
"""


@pytest.mark.parametrize("place", ["behind", "before"])
def test_a_process_that_dies_at_an_upload_leaves_nothing_for_ever(
    bucket: Bucket, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    """What it was about to upload was written down; it is not handed on as whole, and purge deletes it."""
    child = subprocess.run(child_process.command(CHILD, place), cwd=Path(__file__).parent, capture_output=True)
    assert child.returncode == -signal.SIGKILL, child.stderr
    left = bucket.names
    assert len(left) == (place == "behind")
    assert uploads(capsys) == {"storage": 1}
    (link,) = links_of(batch(value=128 / 255))
    assert name_of(link) not in left
    assert len(bucket.names) == 1 + len(left)
    assert main(["hosts", "purge"]) == 0
    assert bucket.names == []
    assert uploads(capsys) == {}


# --- on their way to a service ----------------------------------------------------------------------------------------


def test_submit_tries_the_links_and_asks_for_new_ones_when_they_are_gone(
    bucket: Bucket, service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is paid for a link that leads nowhere; then ComfyUI does not take the remembered ones again."""
    monkeypatch.setenv("CARTOONIZE_CHECK_LINKS", "1")
    links = links_of(noise(1, 2))
    submit(links)
    assert len(service.submissions) == 1
    age = IMAGE_TO_URL.IS_CHANGED(host=["storage"])
    assert main(["hosts", "purge", "--all"]) == 0
    assert bucket.names == []
    with pytest.raises(InputError, match="image 1: .*which has deleted it since.*\nimage 2: .*Nothing was sent") as no:
        submit(links, variation=1)
    assert "Run again: Image to URL makes new links" in str(no.value)
    assert "Signature" not in str(no.value)
    assert len(service.submissions) == 1
    assert IMAGE_TO_URL.IS_CHANGED(host=["storage"]) != age
    submit(links_of(noise(1, 2)), variation=1)
    assert len(service.submissions) == 2
