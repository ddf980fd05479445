"""The embedded service over real HTTP: the documented API, limits, pictures, and kill -9."""

from __future__ import annotations

import io
import re
import signal
import sqlite3
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from cartoonize_pack.utils.addresses import Policy
from cartoonize_pack.utils.config import Secret
from cartoonize_pack.utils.errors import ConfigurationError
from cartoonize_pack.utils.images import Picture
from cartoonize_pack.utils.service.pictures import PictureStore
from cartoonize_pack.utils.service.server import Options, Server
from cartoonize_pack.utils.service.workers import Workers
from PIL import Image
from scripted_service import png
from serve_process import KEYS, serving

RESULT = re.compile(r"http://127\.0\.0\.1:\d+/files/[A-Za-z0-9_-]{43}\.png")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    options = Options(tmp_path, app_key=Secret(KEYS[0]), app_secret=Secret(KEYS[1]), policy=Policy(allow_http=True))
    server = Server(options)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def quick_drawing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Draws the negative, for tests that are not about what is drawn; the list has the style of each drawing."""
    drawn = []

    def negative(picture: Picture, style: str) -> Picture:
        drawn.append(style)
        return Picture(255 - picture.rgb, picture.alpha)

    monkeypatch.setattr("cartoonize_pack.utils.service.workers.stylize_picture", negative)
    return drawn


def call(method: str, url: str, **options: Any) -> requests.Response:
    """One request with a timeout, with the key pair unless the test brings its own."""
    options.setdefault("auth", KEYS)
    return requests.request(method, url, timeout=20, **options)


def wait_for(base_url: str, task_id: str, timeout_s: float = 60) -> dict[str, Any]:
    """Poll until the task is final."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        data = call("GET", f"{base_url}/v1/anime/result/{task_id}").json()["data"]
        if data["status"] not in ("1", "2"):
            return data
        time.sleep(0.02)
    raise AssertionError(f"task {task_id} is not final: {data}")


def submit(base_url: str, links: list[str], style: str = "anime", priority: int = 1) -> str:
    """Create a task and return its id."""
    reply = call("POST", f"{base_url}/v1/{style}/batch", json={"images": links, "priority": priority})
    assert reply.json()["code"] == 0, reply.text
    return reply.json()["data"]["task_id"]


def hosted(server: Server, data: bytes, media_type: str = "image/png") -> str:
    """Put a picture where the service can fetch it."""
    return f"{server.base_url}/files/{server.pictures.put(data, media_type, 60)}"


def test_a_picture_becomes_a_cartoon(server: Server) -> None:
    """Both styles answer in the documented shape, and the result is a picture of the same size, not the input."""
    source = Image.effect_noise((260, 1000), 90).convert("RGB")
    stream = io.BytesIO()
    source.save(stream, "PNG")
    for style in ("anime", "manga"):
        data = wait_for(server.base_url, submit(server.base_url, [hosted(server, stream.getvalue())], style))
        assert data["status"] == "3"
        assert data["wait_time"] == "0"
        (image,) = data["list"]
        assert image["status"] == "3"
        assert image["reason"] == ""
        assert RESULT.fullmatch(image["image_result"])
        with Image.open(io.BytesIO(call("GET", image["image_result"], auth=None).content)) as result:
            assert result.size == (260, 1000)
            assert not np.array_equal(np.asarray(result.convert("RGB")), np.asarray(source))


def test_transparency_and_rotation_survive(server: Server) -> None:
    """Alpha comes back as it was; a picture rotated by EXIF comes back upright."""
    rgba = np.full((1000, 260, 4), 200, np.uint8)
    rgba[:, :100, 3] = 0
    alpha, exif = io.BytesIO(), io.BytesIO()
    Image.fromarray(rgba).save(alpha, "PNG")
    rotation = Image.Exif()
    rotation[0x0112] = 6
    Image.new("RGB", (1000, 260), "teal").save(exif, "JPEG", exif=rotation)
    links = [hosted(server, alpha.getvalue()), hosted(server, exif.getvalue(), "image/jpeg")]
    data = wait_for(server.base_url, submit(server.base_url, links))
    results = [Image.open(io.BytesIO(call("GET", item["image_result"]).content)) for item in data["list"]]
    assert results[0].mode == "RGBA"
    assert np.array_equal(np.asarray(results[0])[..., 3], rgba[..., 3])
    assert results[1].size == (260, 1000)


def _bytes(mode: str, size: tuple[int, int], fmt: str) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size).save(stream, fmt)
    return stream.getvalue()


def _bomb(width: int, height: int) -> bytes:
    """A whole PNG of one bit per pixel, made in a moment, without its pixels ever being in memory."""
    packer, row = zlib.compressobj(1), bytes(1 + (width + 7) // 8)
    packed = b"".join([packer.compress(row * 1000) for _ in range(height // 1000)] + [packer.flush()])
    chunks = ((b"IHDR", struct.pack(">2I5B", width, height, 1, 0, 0, 0, 0)), (b"IDAT", packed), (b"IEND", b""))
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (lambda: _bytes("RGB", (256, 300), "PNG"), "256x300 pixels: each side must be at least 257"),
        (lambda: _bytes("1", (5000, 2000), "PNG"), "5000x2000 pixels: each side must be at most 4999"),
        (lambda: _bytes("RGB", (1201, 300), "PNG"), "1201x300 pixels: one side must be at most 4 times the other"),
        (lambda: _bytes("RGB", (300, 300), "WEBP"), "not a picture of the accepted kinds (PNG, JPEG, BMP)"),
        (lambda: _bytes("RGB", (900, 900), "JPEG")[:2500], "damaged or cut short"),
        (lambda: _bomb(30000, 30000), "30000x30000 pixels: each side must be at most 4999"),
        (lambda: b"<html>please log in</html>", "not a picture of the accepted kinds"),
        (lambda: png() + b"\0" * 50_000_001, "at most 50000000 are accepted"),
    ],
    ids=["small", "large", "thin", "webp", "truncated", "bomb", "html", "heavy"],
)
@pytest.mark.usefixtures("quick_drawing")
def test_every_broken_limit_is_a_reason_of_that_picture(server: Server, data: Callable[[], bytes], reason: str) -> None:
    """Limits are checked on the file; a good picture beside a bad one is still drawn."""
    links = [hosted(server, data()), hosted(server, png())]
    state = wait_for(server.base_url, submit(server.base_url, links))
    assert state["status"] == "3"
    assert [item["status"] for item in state["list"]] == ["4", "3"]
    assert reason in state["list"][0]["reason"]
    assert state["list"][0]["image_result"] == ""


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("http://127.0.0.1:9/private.png", "private address"),
        ("http://169.254.169.254/latest/meta-data", "private address"),
        ("http://[::1]/x.png", "private address"),
        ("http://name.invalid/x.png", "cannot be found"),
    ],
)
def test_links_into_private_networks_are_not_fetched(server: Server, link: str, reason: str) -> None:
    """A submitted link is no way into the operator's network; a task without any picture has failed."""
    state = wait_for(server.base_url, submit(server.base_url, [link]))
    assert state["status"] == "4"
    assert reason in state["list"][0]["reason"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "must be an object"),
        (b'{"priority": 1}', "images must be a list of links"),
        (b'{"images": [1], "priority": 1}', "images must be a list of links"),
        (b'{"images": [], "priority": 1}', "1 to 20 images, but 0 links"),
        (b'{"images": [' + b",".join([b'"http://a/b"'] * 21) + b'], "priority": 1}', "but 21 links"),
        (b'{"images": ["http://a/b"]}', "from 0 to 9, not None"),
        (b'{"images": ["http://a/b"], "priority": 10}', "from 0 to 9, not 10"),
        (b'{"images": ["http://a/b"], "priority": "1"}', "from 0 to 9, not '1'"),
        (b'{"images": ["http://a/b"], "priority": true}', "from 0 to 9, not True"),
        (b'{"images": ["file:///etc/passwd"], "priority": 1}', "must start with http"),
    ],
)
def test_bad_requests_are_refused_in_the_documented_shape(server: Server, body: bytes, message: str) -> None:
    """A code other than 0, and a message that names the value and the limit."""
    reply = call("POST", f"{server.base_url}/v1/anime/batch", data=body)
    assert reply.status_code == 400
    assert reply.json()["code"] == 400
    assert message in reply.json()["msg"]


def test_an_expired_upload_is_named_as_such(server: Server) -> None:
    """Not as a private address, which its link happens to be."""
    link = hosted(server, png())
    server.pictures.delete(link.rpartition("/")[2])
    state = wait_for(server.base_url, submit(server.base_url, [link]))
    assert "uploaded picture has expired" in state["list"][0]["reason"]


def test_an_oversized_body_is_refused(server: Server) -> None:
    """A body over a megabyte is not read to its end."""
    reply = call("POST", f"{server.base_url}/v1/anime/batch", data=b" " * 1_100_000)
    assert reply.status_code == 413
    assert reply.json()["code"] == 413


@pytest.mark.parametrize("auth", [None, ("key", "wrong"), ("wrong", KEYS[1]), ("", "")])
def test_nobody_gets_in_without_the_key_pair(server: Server, auth: tuple[str, str] | None) -> None:
    """Both calls ask for it, with one answer for every wrong pair."""
    for method, path in (("POST", "/v1/anime/batch"), ("GET", "/v1/anime/result/x")):
        reply = call(method, server.base_url + path, auth=auth)
        assert reply.status_code == 401
        assert reply.json() == {"code": 401, "msg": "the key pair is missing or wrong", "data": None}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/watercolour/batch", 404),
        ("/v1/anime/result/unknown-task", 404),
        ("/files/nothing.png", 404),
        ("/files/..%2f..%2fjobs.sqlite3", 404),
        ("/nothing", 404),
        ("/v1/anime/batch", 405),
    ],
)
def test_unknown_addresses_answer_in_the_documented_shape(server: Server, path: str, status: int) -> None:
    """Whatever is asked, the answer can be parsed."""
    reply = call("POST" if "watercolour" in path else "GET", server.base_url + path)
    assert (reply.status_code, reply.json()["code"]) == (status, status)


def test_the_loop_answers_while_pictures_are_drawn(server: Server) -> None:
    """Drawing happens in threads: the address of a running task answers meanwhile."""
    task_id = submit(server.base_url, [hosted(server, png(300, 900, value)) for value in (10, 200, 90)])
    states = []
    end = time.monotonic() + 60
    while (not states or states[-1] in "12") and time.monotonic() < end:
        states.append(call("GET", f"{server.base_url}/v1/anime/result/{task_id}").json()["data"]["status"])
        time.sleep(0.02)
    assert states[-1] == "3"
    assert states.count("2") > 5


def _unusable(home: Path, how: str) -> None:
    if how == "a file in the way":
        (home / "service").write_text("not a folder")
    elif how == "damaged table":
        (home / "service").mkdir()
        (home / "service" / "jobs.sqlite3").write_bytes(b"no database" * 1000)


@pytest.mark.parametrize("how", ["a file in the way", "damaged table"])
def test_an_unusable_state_folder_is_an_error_before_anything_is_sent(tmp_path: Path, how: str) -> None:
    """It names the folder and what to do."""
    _unusable(tmp_path, how)
    with pytest.raises(ConfigurationError, match="cannot use its folder .*service.*Nothing was sent"):
        Server(Options(tmp_path))


@pytest.mark.parametrize("broken", ["put", "finish", "claim"])
def test_trouble_with_the_disk_loses_no_work_and_no_worker(
    server: Server, quick_drawing: list[str], monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """Storing, recording or claiming fails three times; then the picture is there, drawn once, no file left over."""
    target = server.pictures if broken == "put" else server._jobs
    original, failures = getattr(target, broken), []
    links = [hosted(server, png()), hosted(server, png())]

    def failing(*arguments: Any, **options: Any) -> Any:
        if len(failures) < 3:
            failures.append(broken)
            raise sqlite3.OperationalError("database or disk is full")
        return original(*arguments, **options)

    monkeypatch.setattr("cartoonize_pack.utils.service.workers._IDLE_S", 0.05)
    monkeypatch.setattr(target, broken, failing)
    state = wait_for(server.base_url, submit(server.base_url, links))
    assert len(failures) == 3
    assert len(quick_drawing) == 2
    assert [item["status"] for item in state["list"]] == ["3", "3"]
    assert len(list(server.pictures._folder.iterdir())) == 4


def test_leases_are_renewed_while_a_picture_is_drawn(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process that shares the table does not take it, however long it takes."""
    monkeypatch.setattr("cartoonize_pack.utils.service.workers.LEASE_S", 1.5)
    monkeypatch.setattr("cartoonize_pack.utils.service.jobs.LEASE_S", 1.5)
    drawing, release = threading.Event(), threading.Event()

    def slow(picture: Picture, style: str) -> Picture:
        drawing.set()
        release.wait(20)
        return picture

    monkeypatch.setattr("cartoonize_pack.utils.service.workers.stylize_picture", slow)
    keeper = Workers(server._jobs, server.pictures, Policy(), count=1)
    server._workers.stop()
    keeper.start()
    task_id = submit(server.base_url, [hosted(server, png())])
    try:
        assert drawing.wait(20)
        end = time.monotonic() + 3.0
        while time.monotonic() < end:
            assert server._jobs.claim("another process") is None
            time.sleep(0.05)
    finally:
        release.set()
    assert wait_for(server.base_url, task_id)["status"] == "3"
    keeper.stop()


@pytest.mark.usefixtures("quick_drawing")
def test_a_full_disk_is_refused_and_passes(server: Server) -> None:
    """While the table cannot be written nothing is accepted, and the answer says so; afterwards all goes on."""
    table = server._jobs
    link = hosted(server, png())
    table._db.execute("PRAGMA max_page_count = 12")
    body = {"images": [link + "?" + "x" * 8000] * 20, "priority": 1}
    reply = call("POST", f"{server.base_url}/v1/anime/batch", json=body)
    assert (reply.status_code, reply.json()["code"]) == (503, 503)
    assert "nothing was accepted" in reply.json()["msg"]
    table._db.execute("PRAGMA max_page_count = 100000")
    assert wait_for(server.base_url, submit(server.base_url, [link]))["status"] == "3"


def test_stopping_frees_the_port_and_the_next_start_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Accepted work survives a clean stop, and two servers cannot listen on one port."""
    drawn = []

    def slow(picture: Picture, style: str) -> Picture:
        time.sleep(0.3)
        drawn.append(style)
        return picture

    monkeypatch.setattr("cartoonize_pack.utils.service.workers.stylize_picture", slow)
    first = Server(Options(tmp_path, app_key=Secret(KEYS[0]), app_secret=Secret(KEYS[1])))
    first.start()
    port = int(first.base_url.rpartition(":")[2])
    rival = Server(Options(tmp_path / "rival", port=port))
    with pytest.raises(ConfigurationError, match=f"Cannot listen on 127.0.0.1:{port}"):
        rival.start()
    task_id = submit(first.base_url, [hosted(first, png(300, 300, value)) for value in range(3)])
    first.stop()
    assert len(drawn) < 3, "nothing was left to go on with; the test proved nothing"
    second = Server(Options(tmp_path, port=port, app_key=Secret(KEYS[0]), app_secret=Secret(KEYS[1])))
    second.start()
    try:
        assert second.base_url == first.base_url
        assert [item["status"] for item in wait_for(second.base_url, task_id)["list"]] == ["3"] * 3
    finally:
        second.stop()


def test_kill_9_loses_no_accepted_picture_and_draws_none_twice_in_effect(tmp_path: Path) -> None:
    """Killed three times in the middle of drawing, then left alone: every picture is done, once, in its place."""
    task_id = ""
    for life in range(4):
        with serving(tmp_path, "--workers", "2") as (child, base_url):
            if not task_id:
                store = PictureStore(tmp_path / "service" / "pictures")
                sizes = [(260 + 2 * i, 1000) for i in range(5)]
                names = [store.put(png(*size), "image/png", 600) for size in sizes]
                task_id = submit(base_url, [f"{base_url}/files/{name}" for name in names])
            if life < 3:
                time.sleep(0.3 + 0.25 * life)
                child.send_signal(signal.SIGKILL)
                child.wait()
                continue
            state = wait_for(base_url, task_id, timeout_s=90)
            got = [Image.open(io.BytesIO(call("GET", i["image_result"]).content)).size for i in state["list"]]
            assert state["status"] == "3"
            assert got == sizes
    with sqlite3.connect(tmp_path / "service" / "jobs.sqlite3") as db:
        rows = db.execute("SELECT state, result, attempts FROM images ORDER BY idx").fetchall()
    db.close()
    assert [row[0] for row in rows] == ["done"] * 5
    assert len({row[1] for row in rows}) == 5
    assert max(row[2] for row in rows) > 1, "no kill hit a picture that was being drawn; the test proved nothing"
