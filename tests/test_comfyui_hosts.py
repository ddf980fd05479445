"""Image hosts in a real ComfyUI: its own route, a bucket, workflows from elsewhere, links made anew.

Runs when COMFYUI_PATH names a ComfyUI (and COMFYUI_PYTHON the Python it runs with); skipped otherwise. Screenshots go
to COMFYUI_SHOTS, if set.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib.util
import io
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import swift_server
from comfyui_host import ComfyUI, running
from comfyui_page import CHROMIUM, open_page
from comfyui_prompts import Prompt, chain, empty_image, node
from pack import ROOT
from PIL import Image
from scripted_service import ScriptedService

pytestmark = pytest.mark.skipif("COMFYUI_PATH" not in os.environ, reason="COMFYUI_PATH does not name a ComfyUI")


@pytest.fixture(scope="module")
def service() -> Iterator[ScriptedService]:
    with ScriptedService().running() as service:
        yield service


@pytest.fixture(scope="module")
def comfy(tmp_path_factory: pytest.TempPathFactory, service: ScriptedService) -> Iterator[ComfyUI]:
    """A ComfyUI that says under which address it can be reached, and checks every link before it pays."""
    environment = service.environment | {"CARTOONIZE_CHECK_LINKS": "1", "CARTOONIZE_PUBLIC_URL": ""}
    with running(tmp_path_factory.mktemp("comfyui"), environment) as comfy:
        configure(comfy, "")
        yield comfy


def home(comfy: ComfyUI) -> Path:
    """The state folder."""
    return comfy.folder / "user" / "__portrait_cartoonize"


def configure(comfy: ComfyUI, more: str) -> None:
    """Describe the hosts; read when a node runs, so that ComfyUI need not be started again."""
    home(comfy).mkdir(mode=0o700, exist_ok=True)
    own = f'[hosts.comfyui]\npublic_url = "{comfy.url}"\n'
    (home(comfy) / "config.toml").write_text(own + more)


def hosts_command(comfy: ComfyUI, *arguments: str) -> str:
    """What `portrait-cartoonize hosts …` prints, run beside ComfyUI with its Python, as a user does."""
    done = subprocess.run(
        [os.environ.get("COMFYUI_PYTHON", "python"), "-m", "utils", "hosts", *arguments],
        cwd=ROOT,
        env={**os.environ, "CARTOONIZE_HOME": str(home(comfy)), "CARTOONIZE_ALLOW_HTTP": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def prompt(color: int, host: str, variation: int = 0, batch: int = 1) -> Prompt:
    """The three nodes over plain pictures, put at a host."""
    graph = {"load": empty_image(color=color, batch=batch), **chain(["load", 0])}
    graph["url"]["inputs"]["host"] = host
    graph["submit"]["inputs"]["variation"] = variation
    return graph | {"show": node("PreviewImage", images=["poll", 0])}


def links_of_last(service: ScriptedService) -> list[str]:
    """The links of the last submission, as the service got them."""
    return service.submissions[-1]["images"]  # type: ignore[return-value]


def test_comfyui_itself_is_a_host(comfy: ComfyUI, service: ScriptedService) -> None:
    """Its own route hands out what was uploaded, while the graph is still running, to whoever has the link."""
    comfy.run(prompt(0x102030, "comfyui", batch=2))
    first, second = links_of_last(service)
    assert first == second  # the same pixels, uploaded once
    reply = requests.get(first, timeout=10)
    assert reply.status_code == 200
    assert (reply.headers["Content-Type"], reply.headers["Cache-Control"]) == ("image/png", "private, no-store")
    picture = Image.open(io.BytesIO(reply.content))
    assert (picture.size, picture.getpixel((5, 5)), picture.info) == ((300, 260), (16, 32, 48), {})
    head = requests.head(first, timeout=10)
    assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", str(len(reply.content)))
    part = requests.get(first, headers={"Range": "bytes=1-3"}, timeout=10)
    assert (part.status_code, part.content) == (206, b"PNG")


def test_its_route_gives_away_nothing_else(comfy: ComfyUI, service: ScriptedService) -> None:
    """Tampered and expired links, and every path trick, in the real server."""
    comfy.run(prompt(0x102031, "comfyui"))
    link = links_of_last(service)[0]
    base, _, query = link.partition("?")
    name = base.rpartition("/")[2]
    signature = query.rpartition("=")[2]
    tampered = [
        base,
        link.replace(signature, signature[:-2] + "AA"),
        link.replace("expires=", "expires=9"),
        link.replace(name, "A" * 43 + ".png"),
    ]
    assert [requests.get(url, timeout=10).status_code for url in tampered] == [403] * 4
    key, past = (home(comfy) / "links.key").read_bytes(), str(int(time.time()) - 1)
    digest = hmac.new(key, f"{name}\n{past}".encode(), hashlib.sha256).digest()
    expired = f"{base}?expires={past}&signature={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
    assert requests.get(expired, timeout=10).status_code == 410
    folder = urlsplit(base).path.rpartition("/")[0]
    for trick in ("", "..%2f..%2flinks.key", "%2e%2e/links.key", "..%5clinks.key", "links.key", f"{name}.part", "%00"):
        with requests.Session() as session:
            request = requests.Request("GET", comfy.url).prepare()
            request.url = f"{comfy.url}{folder}/{trick}?{query}"  # requests itself would tidy the path
            assert session.send(request, timeout=10).status_code == 404, trick
    assert requests.get(f"{comfy.url}/api{folder}/{name}?{query}", timeout=10).status_code == 200  # ComfyUI's mirror


@pytest.mark.skipif(
    not swift_server.is_installed() or importlib.util.find_spec("obstore") is None, reason="needs Swift and obstore"
)
def test_a_bucket_is_a_host(comfy: ComfyUI, service: ScriptedService, tmp_path: Path) -> None:
    """Uploaded, checked, paid, fetched, and removed when the result is stored."""
    with swift_server.running(tmp_path) as s3:
        s3.create_bucket("faces")
        configure(
            comfy,
            f'[hosts.bucket]\nkind = "s3"\nendpoint = "{s3.endpoint}"\nbucket = "faces"\nregion = "{s3.region}"\n'
            f'access_key = "{s3.access_key}"\nsecret_key = "{s3.secret_key}"\ndelete_after = "result stored"\n',
        )
        assert "the link leads nowhere now" in hosts_command(comfy, "test", "bucket")
        offered = comfy.get("/object_info/CartoonizeImageToURL")["CartoonizeImageToURL"]["input"]["required"]["host"]
        assert offered[0] == ["auto", "local", "comfyui", "bucket"]
        comfy.run(prompt(0x102032, "bucket"))
        assert "X-Amz-Signature" in links_of_last(service)[0]
        assert s3.names("faces") == []
        assert s3.secret_key not in comfy.log()
        assert "X-Amz-Signature" not in comfy.log()
    configure(comfy, "")


def test_a_workflow_with_a_strange_host_is_refused_in_words(comfy: ComfyUI) -> None:
    """Before anything runs, with the names that this machine has."""
    with pytest.raises(AssertionError, match="There is no image host 'studio-bucket' on this machine; it has: local"):
        comfy.queue(prompt(1, "studio-bucket"))


def test_a_link_that_died_is_made_anew_by_running_again(comfy: ComfyUI, service: ScriptedService) -> None:
    """ComfyUI remembers a link; when Submit finds it dead nothing is paid, and the next Run uploads anew."""
    comfy.run(prompt(0x102033, "comfyui"))
    before = len(service.submissions)
    assert "deleted" in hosts_command(comfy, "purge", "comfyui")
    entry = comfy.wait(comfy.queue(prompt(0x102033, "comfyui", variation=1)))
    messages = json.dumps(entry["status"]["messages"])
    assert entry["status"]["status_str"] == "error"
    assert "was uploaded by this machine, which has deleted it since" in messages
    assert "Run again: Image to URL makes new links" in messages
    assert len(service.submissions) == before
    comfy.run(prompt(0x102033, "comfyui", variation=1))
    assert len(service.submissions) == before + 1


@pytest.mark.skipif(
    importlib.util.find_spec("playwright") is None or not Path(CHROMIUM).exists(),
    reason="needs Playwright for Python and Chromium",
)
def test_the_page_shows_hosts_and_what_happened(comfy: ComfyUI, tmp_path: Path) -> None:
    """A workflow from another machine opens, says what is wrong, and works with a host of this one."""
    shots = Path(os.environ.get("COMFYUI_SHOTS", tmp_path))
    shots.mkdir(parents=True, exist_ok=True)
    workflow: dict[str, Any] = json.loads((ROOT / "examples" / "portrait-to-cartoon.json").read_text())
    upload = next(entry for entry in workflow["nodes"] if entry["type"] == "CartoonizeImageToURL")
    upload["widgets_values"][0] = "studio-bucket"
    (comfy.folder / "input" / "portrait.jpg").write_bytes((ROOT / "examples" / "portrait.jpg").read_bytes())
    with open_page(comfy) as page:
        assert page.load(workflow) == []
        page.wait_for_text("CartoonizeImageToURL", "Made for the image host 'studio-bucket'")
        assert page.widgets("CartoonizeImageToURL")["host"] == "auto"
        assert "studio-bucket" in page.toasts()[0]
        prompt = page.prompt()
        next(e for e in prompt.values() if e["class_type"] == "CartoonizeImageToURL")["inputs"]["host"] = (
            "studio-bucket"
        )
        with pytest.raises(AssertionError, match="There is no image host 'studio-bucket'"):
            comfy.queue(prompt)  # without a page nobody would see what stands in its place
        page.page.wait_for_timeout(1500)
        page.page.screenshot(path=shots / "strange-host.png")
        upload["widgets_values"][0] = "comfyui"
        page.load(workflow)
        page.run()
        page.screenshot(shots / "comfyui-host.png")
