"""Keys that somebody pastes into a widget are refused before a workflow shows them; links, ids and reports are taken.

Signed links hold ids and tokens of keys, which end with them: they are taken even if this machine has the same ones.
"""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cartoonize_pack import NODE_CLASS_MAPPINGS
from cartoonize_pack.nodes import _prompts, _recipes
from cartoonize_pack.utils import pasted_keys, redaction
from cartoonize_pack.utils.config import load
from cartoonize_pack.utils.errors import InputError
from cartoonize_pack.utils.hosting.hosts import open_named
from cartoonize_pack.utils.redaction import redact
from node_calls import IMAGE_TO_URL, POLL, SUBMIT, execute

APP_KEY, APP_SECRET = "Vq7xT2mKc9RwZ4bLhY8nDs3G", "pX5/w+Jt8QzR2v/LmN6+bK4cYdH7sW=="
ACCESS_KEY, SESSION_TOKEN = "ASIAQ3EXAMPLE7KEY2ID", "IQoJb3JpZ2luX2VjEXAMPLE7tokenTOKEN/+3x9=="
PASSWORD = "hunter2-Zaun"
PAIR = base64.b64encode(f"{APP_KEY}:{APP_SECRET}".encode()).decode()
LINK = "https://images.test/1.png"
UUID, HEX = "6a4eab77-be30-430a-bf0e-3048042a34ef", "0123456789abcdef0123456789abcdef"
PEM = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"

# what it is -> the text, what of it must not be repeated, and what it is called
REFUSED = {
    "Basic": (f"Authorization: Basic {PAIR[:40]}", PAIR[:20], "an Authorization header"),
    "basic alone": ("basic dXNlcjpzZWNyZXQtb2YtdXNlcg==", "dXNlcjpzZWNyZXQ", "an Authorization header"),
    "Bearer": ("Authorization: Bearer abcdefgh.ijklmnop-qrstuvwx", "abcdefgh.ijkl", "an Authorization header"),
    "Bearer in a command": ("curl -H 'authorization: bearer AbCdEfGh1234'", "AbCdEfGh1234", "an Authorization header"),
    "OpenAI": ("sk-proj-AbCdEfGhIjKlMnOp1234567890", "AbCdEfGhIjKl", "a key"),
    "Stripe": ("sk_live_AbCdEfGhIjKlMnOp12345678", "AbCdEfGhIjKl", "a key"),
    "GitHub": ("ghp_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789", "AbCdEfGhIjKl", "a key"),
    "GitHub, fine-grained": ("github_pat_11ABCDEFG0AbCdEfGhIjKlMnOp", "11ABCDEFG0", "a key"),
    "GitLab": ("glpat-AbCdEfGhIjKlMnOpQrSt", "AbCdEfGhIjKl", "a key"),
    "Slack": ("xoxb-1234567890-AbCdEfGhIjKl", "1234567890-AbCd", "a key"),
    "Hugging Face": ("hf_AbCdEfGhIjKlMnOpQrStUvWx", "AbCdEfGhIjKl", "a key"),
    "Replicate": ("r8_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789", "AbCdEfGhIjKl", "a key"),
    "Google": ("AIzaSyAbCdEfGhIjKlMnOpQrStUvWxYz0123456", "SyAbCdEfGhIj", "a key"),
    "ComfyUI": (f"comfyui-{HEX}", HEX[:16], "a key"),
    "fal": (f"{UUID}:{HEX}", HEX[:16], "a key"),
    "JWT": (JWT, "eyJzdWIi", "a key"),
    "in quotes": ('"sk-proj-AbCdEfGhIjKlMnOp1234567890"', "AbCdEfGhIjKl", "a key"),
    "assigned": ("app_key=Ab12Cd34Ef", "Ab12Cd34Ef", "a key"),
    "assigned, in TOML": ('app_secret = "Ab12Cd34Ef"', "Ab12Cd34Ef", "a key"),
    "assigned, in JSON": ('{"api_key": "Ab12Cd34Ef"}', "Ab12Cd34Ef", "a key"),
    "assigned, in YAML": ("token: Ab12Cd34Ef", "Ab12Cd34Ef", "a key"),
    "assigned, with hyphens": ("x-api-key: Ab12Cd34Ef", "Ab12Cd34Ef", "a key"),
    "assigned, a password": ("Password = 'Ab12Cd34Ef'", "Ab12Cd34Ef", "a key"),
    "assigned, loud": ("APP_SECRET=Ab12Cd34Ef", "Ab12Cd34Ef", "a key"),
    "assigned, the pack's own variable": ("CARTOONIZE_APP_SECRET=Ab12Cd34Ef", "Ab12Cd34Ef", "a key"),
    "assigned, Amazon's variable": ("AWS_SECRET_ACCESS_KEY=Ab12Cd34Ef56Gh78", "Ab12Cd34Ef", "a key"),
    "PEM": (f"-----BEGIN PRIVATE KEY-----\n{PEM}\n-----END PRIVATE KEY-----", PEM, "a key"),
    "PEM of RSA": (f"-----BEGIN RSA PRIVATE KEY-----\r\n{PEM}", PEM, "a key"),
    "PEM of OpenSSH": (f"-----BEGIN OPENSSH PRIVATE KEY-----\n{PEM}", PEM, "a key"),
    "PEM in one line": (f"-----BEGIN EC PRIVATE KEY----- {PEM}", PEM, "a key"),
    "password in an address": ("https://me:hunter22@images.test/1.png", "hunter22", "a password in an address"),
    "password alone in an address": ("http://:hunter22@images.test/", "hunter22", "a password in an address"),
    "password in a loud address": ("HTTPS://me:hunter22@images.test/", "hunter22", "a password in an address"),
    "this machine's key": (APP_KEY, APP_KEY, "a key of this machine"),
    "this machine's secret": (APP_SECRET, APP_SECRET, "a key of this machine"),
    "this machine's pair": (f"{APP_KEY}:{APP_SECRET}", APP_KEY, "a key of this machine"),
    "this machine's password": (PASSWORD, PASSWORD, "a key of this machine"),
    "in a text": (f"my key is {APP_KEY}, do not tell", APP_KEY, "a key of this machine"),
    "in JSON": (json.dumps({"report": [APP_SECRET]}), APP_SECRET, "a key of this machine"),
    "in JSON of PHP": ('{"report": "pX5\\/w+Jt8QzR2v\\/LmN6+bK4cYdH7sW=="}', "LmN6+bK4cYdH", "a key of this machine"),
    "in a link's path": (f"https://images.test/{APP_KEY}/1.png", APP_KEY, "a key of this machine"),
    "in a link's query": (f"{LINK}?token={APP_KEY}", APP_KEY, "a key of this machine"),
    "in a link's query, encoded": (f"{LINK}?t={quote(APP_SECRET, safe='')}", "pX5%2Fw%2BJt", "a key of this machine"),
    "in a link's fragment": (f"{LINK}#{APP_KEY}", APP_KEY, "a key of this machine"),
    "in a signed link's path": (f"https://a.test/{APP_KEY}/1.png?sig=x&se=2026", APP_KEY, "a key of this machine"),
    "in a signed link's other part": (f"{LINK}?sig=x&app={APP_KEY}", APP_KEY, "a key of this machine"),
    "an access key alone": (ACCESS_KEY, ACCESS_KEY, "a key of this machine"),
    "a session token alone": (SESSION_TOKEN, SESSION_TOKEN, "a key of this machine"),
    "an access key in an unsigned link": (f"{LINK}?AWSAccessKeyId={ACCESS_KEY}", ACCESS_KEY, "a key of this machine"),
    "in the second line": (f"{LINK}\n{APP_KEY}\n{LINK}", APP_KEY, "a key of this machine"),
    "in the last line": (f"{LINK}\r\n  token=Ab12Cd34Ef", "Ab12Cd34Ef", "a key"),
    "behind a line of another kind": (f"{LINK}\u2028sk-proj-AbCdEfGhIjKlMnOp1234567890", "AbCdEfGhIjKl", "a key"),
    "between blanks": (f" \t {APP_KEY}  ", APP_KEY, "a key of this machine"),
}  # fmt: skip
ENDLESS = "4102444800"


def signed(host: str, *parameters: str) -> str:
    """A link with these in its query."""
    return f"https://{host}/1.png?{'&'.join(parameters)}"


_TOKEN = quote(SESSION_TOKEN, safe="")
_S3, _GOOGLE, _AZURE = "b.s3.amazonaws.com", "storage.googleapis.com/b", "a.blob.core.windows.net/c"
_OSS, _CLOUDFRONT = "b.oss-cn-hangzhou.aliyuncs.com", "d111.cloudfront.net"
_AMZ = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20990101T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
_GOOG = "X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Date=20990101T000000Z&X-Goog-Expires=900&X-Goog-SignedHeaders=host"
_OSS_4 = "x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-date=20990101T000000Z&x-oss-expires=900"
_SAS = "sv=2024-11-04&se=2099-01-01T00%3A00%3A00Z&sr=b&sp=r"
LINKS = {
    "plain": LINK,
    "without encryption, with a port": "http://images.test:8080/a/b.jpg",
    "with a query": "https://images.test/view?filename=a.png&type=temp&subfolder=",
    "a random name": "https://images.test/pQ7xT2mKc9RwZ4bLhY8nDs3GpX5wJt8QzR2vLmN6b4c.png",
    "a uuid": f"https://images.test/{UUID}.png",
    "a digest": f"https://images.test/{HEX * 2}.png",
    "words that sound like keys": "https://images.test/token/monkey/secret-garden/key.png",
    "somebody else's key": f"{LINK}?key=Ab12Cd34Ef56&token=sk-proj-AbCdEfGhIjKlMnOp1234567890",
    "somebody else's JWT": f"{LINK}?token={JWT}",
    "a name in the address": "https://images.test/@me/1.png",
    "S3, V4": signed(_S3, _AMZ, f"X-Amz-Credential={ACCESS_KEY}%2Fus-east-1%2Fs3", f"X-Amz-Signature={HEX * 2}"),
    "S3, V4, with a token": signed(
        _S3, _AMZ, f"X-Amz-Credential={ACCESS_KEY}%2Fx", f"X-Amz-Security-Token={_TOKEN}", f"X-Amz-Signature={HEX}"
    ),
    "S3, V4, in small letters": signed(
        _S3, f"x-amz-credential={ACCESS_KEY}%2Fx", f"x-amz-security-token={_TOKEN}", f"x-amz-signature={HEX}"
    ),
    "S3, V2": signed(_S3, f"AWSAccessKeyId={ACCESS_KEY}", f"Expires={ENDLESS}", "Signature=vjbyPxybdZaNmGa%2ByT272"),
    "S3, V2, with a token": signed(
        _S3, f"AWSAccessKeyId={ACCESS_KEY}", "Signature=vj%3D", f"x-amz-security-token={_TOKEN}", f"Expires={ENDLESS}"
    ),
    "R2": signed(
        "acct.r2.cloudflarestorage.com/b", _AMZ, f"X-Amz-Credential={ACCESS_KEY}%2Fauto", f"X-Amz-Signature={HEX}"
    ),
    "Google, V4": signed(_GOOGLE, _GOOG, f"X-Goog-Credential={ACCESS_KEY}%2Fauto", f"X-Goog-Signature={HEX * 2}"),
    "Google, V2": signed(_GOOGLE, f"GoogleAccessId={ACCESS_KEY}", f"Expires={ENDLESS}", "Signature=abc%2Bdef%3D"),
    "Azure": signed(_AZURE, _SAS, "sig=Ab12Cd34Ef56Gh78%2Bx%2Fy%3D"),
    "Azure, for a user": signed(
        _AZURE, _SAS, f"skoid={UUID}", f"sktid={UUID}", "skt=2099", "ske=2099", "sks=b", "skv=2024", "sig=Ab12Cd34%3D"
    ),
    "OSS, V4": signed(
        _OSS, _OSS_4, f"x-oss-credential={ACCESS_KEY}%2Foss", f"x-oss-security-token={_TOKEN}", f"x-oss-signature={HEX}"
    ),
    "OSS, V1": signed(_OSS, f"OSSAccessKeyId={ACCESS_KEY}", f"Expires={ENDLESS}", "Signature=vjbyPxybdZaNmGa%3D"),
    "OSS, V1, with a token": signed(
        _OSS, f"OSSAccessKeyId={ACCESS_KEY}", f"Expires={ENDLESS}", "Signature=vj%3D", f"security-token={_TOKEN}"
    ),
    "CloudFront": signed(
        _CLOUDFRONT, f"Expires={ENDLESS}", "Signature=nitfHRCrtziwO2HwPfWw~yYDhUF5EwRunQA", f"Key-Pair-Id={ACCESS_KEY}"
    ),
    "CloudFront, with a policy": signed(
        _CLOUDFRONT, "Policy=eyJTdGF0ZW1lbnQiOlt7fV19", "Signature=nitfHRCrtziwO2HwPfWw~", f"Key-Pair-Id={ACCESS_KEY}"
    ),
    "ComfyUI": f"https://pod.test/pictures/{'a1' * 21}B.png?expires={ENDLESS}&signature={'A1' * 21}B",
    "the embedded service": f"http://127.0.0.1:8189/files/{'a1' * 21}B.png",
    "several": f"{LINK}\n\n  https://images.test/2.png\r\nhttp://images.test/3.png\n",
}  # fmt: skip
TASKS = {
    "a word": "task-1",
    "a number": "1795653941414780123",
    "a uuid": UUID,
    "hexadecimal": HEX,
    "a digest": HEX * 2,
    "ULID": "01J9ZK3T5V7X9Z1B3D5F7H9K1M",
    "base64": "pQ7xT2mKc9RwZ4bLhY8nDs3GpX5wJt8QzR2vLmN6b4c",
    "with a prefix": "gen_AbCdEfGhIjKlMnOp1234567890",
    "with dots and colons": "eu-1.2:2099~a_b",
    "short": "7",
    "the longest": "a1" * 100,
    "some images of it": f"{UUID}@2,4",
    "some images of a short one": "TASK@2,4",
    "several": f"{UUID}\n  {HEX}@3\n\n7\n",
}
REPORT = {
    "profile": "studio",
    "tasks": [UUID, "TASK@2"],
    "results": 2,
    "failed": 1,
    "images": [
        {
            "index": 0, "link": f"https://images.test/{HEX}.png", "task_id": UUID, "status": "complete", "reason": "",
            "may_retry": False, "url": f"https://results.test/token/{HEX * 2}.png", "width": 300, "height": 260,
            "file": f"results/{UUID}-{HEX[:12]}/0001-{HEX}.png",
        },
        {
            "index": 1, "link": "", "task_id": "TASK", "status": "failed", "reason": redact("wrong token: Ab12Cd34Ef"),
            "may_retry": True, "url": "", "width": None, "height": None, "file": None,
        },
    ],
}  # fmt: skip
REPORTS = {"one": json.dumps(REPORT, indent=2), "in one line": json.dumps(REPORT), "empty": ""}


@pytest.fixture(autouse=True)
def _keys_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every kind of key is configured, and read, as it is before ComfyUI asks a node."""
    monkeypatch.setattr(redaction, "_known", redaction._Known())
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "config.toml").write_text(
        f'[profiles.studio]\ncreate_url = "https://api.test/b"\nresult_url = "https://api.test/{{task_id}}"\n'
        f'app_key = "{APP_KEY}"\napp_secret = "{APP_SECRET}"\n'
        f'[hosts.bucket]\nkind = "s3"\nbucket = "b"\naccess_key = "{ACCESS_KEY}"\nsecret_key = "{"Ab12" * 10}"\n'
        f'session_token = "{SESSION_TOKEN}"\n[hosts.dav]\nkind = "http"\npassword = "{PASSWORD}"\n'
    )
    load()


class Reached(Exception):
    """The node has taken its texts, and would go to work."""


@pytest.fixture
def _no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*arguments: object) -> None:
        raise Reached

    monkeypatch.setattr(_recipes, "connect", stop)


def judged(node: Any, **texts: str) -> bool | str:
    """What a node says of its widgets."""
    values = {IMAGE_TO_URL: {"host": "auto"}, SUBMIT: {"image_urls": LINK, "profile": "auto"}, POLL: {"task_id": "t"}}
    profile = {} if node is IMAGE_TO_URL else {"profile": "auto"}
    return node.VALIDATE_INPUTS(**{name: [text] for name, text in {**values[node], **profile, **texts}.items()})


def given(rows: dict[str, Any]) -> list[Any]:
    """The rows as parameters."""
    return [pytest.param(*([row] if isinstance(row, str) else row), id=name) for name, row in rows.items()]


RUN = ((SUBMIT, "image_urls"), (SUBMIT, "profile"), (POLL, "task_id"), (POLL, "profile"), (IMAGE_TO_URL, "host"))
ASKED = (*RUN, (SUBMIT, "report"))


@pytest.mark.parametrize(("text", "secret", "what"), given(REFUSED))
def test_a_key_is_refused_in_words_that_do_not_repeat_it(text: str, secret: str, what: str) -> None:
    """By the check, by every node when it is asked, and when it is run with a linked text."""
    assert secret in text
    words = [pasted_keys.problem("task_id", text)]
    words += [str(judged(node, **{widget: text})) for node, widget in ASKED]
    for node, widget in RUN:
        needed = {SUBMIT: {"image_urls": LINK}, POLL: {"task_id": "t"}, IMAGE_TO_URL: {"images": [[]]}}[node]
        with pytest.raises(InputError) as caught:
            execute(node, **{**needed, widget: text})
        words.append(str(caught.value))
    for sentence in words:
        assert re.match(rf"[a-z_]+ holds what looks like {what}\. Workflows", sentence), sentence
        assert secret not in sentence
        assert sentence.endswith("Nothing was sent.")


@pytest.mark.usefixtures("_no_work")
@pytest.mark.parametrize("text", given(LINKS))
def test_links_are_taken(text: str) -> None:
    """Also those of a storage that this machine has the keys of."""
    assert pasted_keys.problem("image_urls", text) == ""
    with pytest.raises(Reached):
        execute(SUBMIT, image_urls=text)


@pytest.mark.parametrize("text", LINKS.values(), ids=LINKS)
def test_links_are_not_complained_about(text: str) -> None:
    """By the node that is asked before the run, alone or beside each other."""
    assert judged(SUBMIT, image_urls=text) is True
    assert SUBMIT.VALIDATE_INPUTS(["auto"], [LINK, text, None], [None]) is True


@pytest.mark.usefixtures("_no_work")
@pytest.mark.parametrize("text", TASKS.values(), ids=TASKS)
def test_task_ids_are_taken(text: str) -> None:
    """Whatever a service makes of them; some look like a key, and none is treated as one."""
    assert judged(POLL, task_id=text) is True
    with pytest.raises(Reached):
        execute(POLL, task_id=text)


@pytest.mark.parametrize("text", REPORTS.values(), ids=REPORTS)
def test_reports_are_taken(text: str) -> None:
    """They hold links, ids, file names, and reasons, which were redacted when they were written."""
    assert "Ab12Cd34Ef" not in text
    assert pasted_keys.problem("report", text) == ""
    assert judged(SUBMIT, report=text) is True


def test_names_of_profiles_and_hosts_are_taken() -> None:
    """Those of this machine; an unknown one is told as before."""
    assert judged(SUBMIT, profile="studio") is True
    assert "There is no profile" in str(judged(POLL, profile="studio-2"))
    assert "is not ready" not in str(judged(IMAGE_TO_URL, host="bucket"))


def test_ordinary_words_of_a_host_are_no_keys(tmp_path: Path) -> None:
    """What its description says of folders and types may stand in its links, in errors and in reports."""
    (tmp_path / "home" / "config.toml").write_text(
        '[hosts.album]\nkind = "http"\nmethod = "POST"\npublic = false\nurl = "https://images.test/upload"\n'
        'link = "{json:/url}"\nfields = { folder = "cartoonize-uploads" }\nheaders = { Accept = "application/json" }\n'
    )
    open_named(load(), "album")
    assert judged(SUBMIT, image_urls="https://images.test/cartoonize-uploads/1.png") is True
    assert redact("the type application/json is not taken") == "the type application/json is not taken"


def test_values_that_are_linked_are_known_only_later() -> None:
    """ComfyUI asks with None then."""
    assert SUBMIT.VALIDATE_INPUTS([None], [None], [None]) is True
    assert POLL.VALIDATE_INPUTS([None], [None]) is True
    assert IMAGE_TO_URL.VALIDATE_INPUTS([None]) is True


def test_one_key_among_a_thousand_links_is_found() -> None:
    """In any line, and in no time."""
    links = [f"https://images.test/{n}.png?sig={n}&se=2099-01-01" for n in range(1000)]
    assert pasted_keys.problem("image_urls", "\n".join(links)) == ""
    assert "a key of this machine" in pasted_keys.problem("image_urls", "\n".join([*links, f"{LINK}?k={APP_KEY}"]))


def test_there_are_enough_of_them() -> None:
    """The table is what was asked for."""
    assert len(REFUSED) + len(LINKS) + len(TASKS) + len(REPORTS) >= 80


KEY = REFUSED["OpenAI"][0]
QUEUED = {
    "prompt": {
        "1": {"class_type": "CartoonizePollResult", "inputs": {"profile": KEY, "task_id": ["2", 0], "timeout": 5}},
        "2": {"class_type": "CartoonizeSubmit", "inputs": {"profile": "auto", "image_urls": LINK}},
        "3": {"class_type": "Foreign", "inputs": {"text": KEY, "api_key": "sk-proj-OfAnotherPack123456789"}},
    },
    "extra_data": {"extra_pnginfo": {"workflow": {"nodes": [{"widgets_values": [KEY, 5]}], "links": [[1, 2]]}}},
    "client_id": "c",
}


def test_a_key_in_a_node_of_the_pack_is_taken_out_of_the_whole_graph() -> None:
    """Wherever it stands, in the prompt or the workflow beside it; keys of other packs are theirs."""
    queued = _prompts.without_keys(QUEUED, NODE_CLASS_MAPPINGS)
    assert KEY not in json.dumps(queued)
    assert json.dumps(queued) == json.dumps(QUEUED).replace(KEY, redaction.KEY_SIGN)
    assert "OfAnotherPack" in json.dumps(queued)
    refusal = POLL.VALIDATE_INPUTS([queued["prompt"]["1"]["inputs"]["profile"]], [None])
    assert "profile holds what looks like a key, which was taken out of the graph" in refusal


@pytest.mark.parametrize(
    "queued",
    [
        None, [], "text", {}, {"prompt": None}, {"prompt": []}, {"prompt": {"1": None, "2": {"inputs": None}}},
        {"prompt": {"1": {"class_type": "CartoonizeSubmit"}}},
        {"prompt": {"1": {"class_type": "CartoonizeSubmit", "inputs": {"image_urls": LINK, "profile": "auto"}}}},
    ],
)  # fmt: skip
def test_a_graph_without_keys_is_left_as_it_is(queued: Any) -> None:
    """The same object, whatever was posted."""
    assert _prompts.without_keys(queued, NODE_CLASS_MAPPINGS) is queued
