"""The command line: pictures, exit codes, errors without tracebacks."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from cartoonize_pack.utils.cli import main
from cartoonize_pack.utils.service.server import stop_embedded
from PIL import Image
from scripted_service import APP_KEY, APP_SECRET, ScriptedService, png
from serve_process import KEYS, serving


@pytest.fixture(autouse=True)
def _stop_service() -> Iterator[None]:
    yield
    stop_embedded(Path(os.environ["CARTOONIZE_HOME"]))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    path.write_bytes(png(260, 1000))  # narrow pictures are drawn quickly
    return path


def test_a_photo_becomes_a_cartoon_with_no_account(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Upload, submit, poll and save; the file's name is the output."""
    monkeypatch.chdir(tmp_path)
    assert main([str(photo), "--style", "manga"]) == 0
    assert capsys.readouterr().out == "photo-manga.png\n"
    with Image.open(tmp_path / "photo-manga.png") as result:
        assert result.size == (260, 1000)


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        (["photo.png"], ["photo-cartoon.png"]),
        (["photo.png", "-o", "out.jpg"], ["out.jpg"]),
        (["photo.png", "-o", "folder"], ["folder/photo-cartoon.png"]),
        (
            ["photo.png", "other.png", "-o", "folder/deep"],
            ["folder/deep/photo-cartoon.png", "folder/deep/other-cartoon.png"],
        ),
    ],
)
def test_results_go_where_they_are_wanted(
    photo: Path, service: ScriptedService, monkeypatch: pytest.MonkeyPatch, arguments: list[str], written: list[str]
) -> None:
    """One submission for all photos; folders are made, the suffix decides the format."""
    monkeypatch.chdir(photo.parent)
    (photo.parent / "other.png").write_bytes(png(300, 300))
    assert main(arguments) == 0
    assert len(service.submissions) == 1
    for name in written:
        with Image.open(name) as image:
            assert image.format == ("JPEG" if name.endswith(".jpg") else "PNG")


def test_a_photo_is_read_upright_and_sent_without_metadata(
    tmp_path: Path, service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orientation is applied; place, camera and comments stay at home."""
    monkeypatch.chdir(tmp_path)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Secret Camera"
    Image.new("RGB", (500, 300), "teal").save("photo.jpg", exif=exif, comment=b"private")
    assert main(["photo.jpg"]) == 0
    (sent,) = (Path(os.environ["CARTOONIZE_HOME"]) / "service" / "pictures").iterdir()
    data = sent.read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (300, 500)
        assert not image.getexif()
    assert b"Secret" not in data
    assert b"private" not in data


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.png"], "missing.png cannot be read: No such file"),
        (["text.png"], "text.png is not a picture of the accepted kinds"),
        (["photo.png", "--profile", "studio"], "no profile 'studio' on this machine"),
        (["photo.png", "-o", "photo.png"], "written over another picture"),
        (["photo.png", "sub/photo.png", "-o", "folder"], "written over another picture"),
        (["photo.png", "text.png", "-o", "one.png"], "one file, but 2 photos"),
        (["photo.png", "-o", "out.webp"], "results are written as .png or .jpg"),
        (["photo.png", "--priority", "12"], "from 0 to 9, not 12"),
        (["photo.png", "-o", "text.png/out.png"], "cannot be written"),
    ],
)
def test_what_goes_wrong_is_one_sentence_and_exit_code_1(
    photo: Path,
    service: ScriptedService,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    """On standard error, without a traceback."""
    monkeypatch.chdir(photo.parent)
    Path("text.png").write_text("no picture")
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_more_photos_than_one_task_takes_are_several_tasks(
    photo: Path, service: ScriptedService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each result is written under its own photo's name, in the order of the photos."""
    monkeypatch.chdir(photo.parent)
    names = [f"p{number}.png" for number in range(21)]
    for number, name in enumerate(names):
        Path(name).write_bytes(png(300, 260, value=number))
    service.sizes = [(300, 260 + index) for index in range(20)]
    assert main([*names, "-o", "out"]) == 0
    assert sorted(len(body["images"]) for body in service.submissions) == [1, 20]  # type: ignore[arg-type]
    written = capsys.readouterr().out.splitlines()
    assert written == [f"out/p{number}-cartoon.png" for number in range(21)]
    for name, size in zip(written, [*service.sizes, service.sizes[0]], strict=True):
        with Image.open(name) as image:
            assert image.size == size


def test_more_photos_than_the_profile_allows_are_not_sent(
    photo: Path, service: ScriptedService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong wildcard must not buy a thousand."""
    monkeypatch.chdir(photo.parent)
    home = Path(os.environ["CARTOONIZE_HOME"])
    home.mkdir()
    (home / "config.toml").write_text("max_images = 1")
    Path("other.png").write_bytes(png(300, 300))
    assert main(["photo.png", "other.png"]) == 1
    assert "2 images would be submitted to profile 'env', more than its max_images, 1" in capsys.readouterr().err
    assert service.submissions == []


def test_a_paid_task_is_named_at_once_and_goes_on_in_the_next_run(
    photo: Path, service: ScriptedService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A timeout costs nothing: the id was printed, and running again, or resuming, submits nothing."""
    monkeypatch.chdir(photo.parent)
    service.task_s = 60
    assert main(["photo.png", "--timeout", "0.1"]) == 1
    errors = capsys.readouterr().err
    assert "task task-1: image 1 accepted by profile 'env'" in errors
    assert "run again to continue, or: portrait-cartoonize tasks resume" in errors
    assert "error: Task task-1: Not finished" in errors
    service.task_s = 0
    assert main(["tasks", "resume", "task-1", "-o", "again"]) == 0
    assert capsys.readouterr().out == "again/task-1-1.png\n"
    assert main(["photo.png"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "photo-cartoon.png\n"
    assert "nothing to send; 1 image already paid for" in captured.err
    assert len(service.submissions) == 1


def test_the_same_photos_are_paid_for_and_fetched_once(
    photo: Path, service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second run writes the same picture without a submission, a question or a download."""
    monkeypatch.chdir(photo.parent)
    assert main(["photo.png", "-o", "one.png"]) == 0
    asked = service.polls, service.downloads
    assert main(["photo.png", "-o", "two.png"]) == 0
    assert Path("two.png").read_bytes() == Path("one.png").read_bytes()
    assert len(service.submissions) == 1
    assert (service.polls, service.downloads) == asked


def test_another_variation_is_a_fresh_paid_result(
    photo: Path, service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each variation of the same photo is one task."""
    monkeypatch.chdir(photo.parent)
    for variation in ([], ["--variation", "1"], ["--variation", "0"], ["--variation", "1"]):
        assert main(["photo.png", *variation]) == 0
    assert len(service.submissions) == 2


def test_a_result_that_cannot_be_written_is_kept(
    photo: Path, service: ScriptedService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error says how to have it; it costs nothing."""
    monkeypatch.chdir(photo.parent)
    Path("photo-cartoon.png").mkdir()
    assert main(["photo.png"]) == 1
    errors = capsys.readouterr().err
    assert "photo-cartoon.png cannot be written" in errors
    assert "The result is kept: run again" in errors
    assert main(["photo.png", "-o", "other"]) == 0
    assert Path("other/photo-cartoon.png").is_file()
    assert (len(service.submissions), service.downloads) == (1, 1)


def test_a_photo_without_a_result_does_not_cost_the_others(
    photo: Path, service: ScriptedService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What came is written; the other one is named by its file, with its reason and what helps; the exit code is 1."""
    monkeypatch.chdir(photo.parent)
    Path("other.png").write_bytes(png(300, 300))
    service.failed["task-1", 0] = "no face found"
    assert main(["photo.png", "other.png"]) == 1
    captured = capsys.readouterr()
    assert captured.out == "other-cartoon.png\n"
    assert "1 of 2 images have no result" in captured.err
    assert "\nphoto.png: failed: no face found (task task-1)\n" in captured.err
    assert "other.png:" not in captured.err
    assert captured.err.endswith("name them alone, with another --variation.\n")
    assert main(["photo.png", "--variation", "1"]) == 0
    assert [len(body["images"]) for body in service.submissions] == [2, 1]  # type: ignore[arg-type]


@pytest.mark.parametrize("results", [1, 3])
def test_results_that_do_not_match_the_photos_are_never_shifted(
    photo: Path,
    service: ScriptedService,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    results: int,
) -> None:
    """They are kept under the task's name, and the exit code says that something is wrong."""
    monkeypatch.chdir(photo.parent)
    (photo.parent / "other.png").write_bytes(png(300, 300))
    service.listed = results
    assert main(["photo.png", "other.png"]) == 1
    captured = capsys.readouterr()
    assert f"the service returned {results} result" in captured.err
    assert "for 2 images; which is whose is not known" in captured.err
    assert captured.out.split() == [f"task-1-{n + 1}.png" for n in range(results)]


def test_results_that_cannot_be_matched_without_a_journal_get_the_name_of_their_task(
    photo: Path, service: ScriptedService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It broke behind the submission, so that nothing knows how many images the task had; what came is written."""
    monkeypatch.chdir(photo.parent)
    create, journal = service.create, Path(os.environ["CARTOONIZE_HOME"]) / "journal.sqlite3"

    def create_and_break(body: dict[str, object]) -> dict[str, object]:
        journal.write_bytes(b"garbage " * 1000)
        return create(body)

    monkeypatch.setattr(service, "create", create_and_break)
    service.listed = 2
    main(["photo.png"])
    captured = capsys.readouterr()
    assert captured.out.split() == ["task-1-1.png", "task-1-2.png"]
    assert "task task-1 was accepted, but the journal cannot note it" in captured.err
    assert len(service.submissions) == 1


def test_results_of_unknown_owner_get_names_that_every_system_accepts(
    photo: Path, service: ScriptedService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are called after their task, and Windows takes no colon."""
    monkeypatch.chdir(photo.parent)
    create, result = service.create, service.result

    def create_with_colon(body: dict[str, object]) -> dict[str, object]:
        create(body)
        service._created["eu:task-1"] = 0.0
        return {"task_id": "eu:task-1"}

    monkeypatch.setattr(service, "create", create_with_colon)
    monkeypatch.setattr(service, "result", lambda task_id: result(unquote(task_id)))
    service.listed = 2
    assert main(["photo.png"]) == 1
    assert capsys.readouterr().out.split() == ["eu_task-1-1.png", "eu_task-1-2.png"]


def test_a_key_that_the_service_echoes_is_neither_shown_nor_written_down(
    photo: Path, service: ScriptedService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The answer to a submission that cannot be used is told, and kept in the journal, without it."""
    monkeypatch.setattr(service, "create", lambda body: {"task_id": f"no task for {APP_KEY} {APP_SECRET}"})
    assert main([str(photo)]) == 1
    assert "not 'no task for [key] [key]'" in capsys.readouterr().err
    journal = (Path(os.environ["CARTOONIZE_HOME"]) / "journal.sqlite3").read_bytes()
    assert b"no task for [key] [key]" in journal
    assert APP_KEY.encode() not in journal
    assert APP_SECRET.encode() not in journal


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["photo.png", "--style", "oil"],
        ["photo.png", "--task", "t"],
        ["photo.png", "--style", "manga", "--profile", "env"],
        ["photo.png", "--variation", "x"],
        ["serve", "--port", "x"],
        ["serve", "--port", "99999"],
        ["serve", "--workers", "0"],
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With the usage line."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: portrait-cartoonize" in capsys.readouterr().err


def test_serve_refuses_to_run_without_a_key_pair(capsys: pytest.CaptureFixture[str]) -> None:
    """There is no default key."""
    assert main(["serve", "--port", "0"]) == 1
    assert "Set CARTOONIZE_APP_KEY and CARTOONIZE_APP_SECRET" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_serve_stops_cleanly_on_signals(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """It has printed its addresses, and ends without a traceback."""
    with serving(tmp_path) as (child, _):
        child.send_signal(number)
        _, errors = child.communicate(timeout=20)
    assert child.returncode == code
    assert "Traceback" not in errors


def test_the_service_of_another_machine_draws_too(photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two homes, as on two machines: one draws, one serves this one's pictures; each permits the other's address."""
    home = Path(os.environ["CARTOONIZE_HOME"])
    permitted = {"CARTOONIZE_ALLOW_HOSTS": "127.0.0.2,localhost"}
    with (
        serving(tmp_path / "studio", **permitted) as (_, studio),
        serving(home, "--host", "127.0.0.2") as (_, pictures),
    ):
        studio = studio.replace("127.0.0.1", "localhost")
        for name, value in {
            "CREATE_URL": f"{studio}/v1/manga/batch",
            "RESULT_URL": f"{studio}/v1/manga/result/{{task_id}}",
            "APP_KEY": KEYS[0],
            "APP_SECRET": KEYS[1],
            "ALLOW_HTTP": "1",
            "ALLOW_HOSTS": "localhost,127.0.0.2",
            "HOST": "local",
            "PUBLIC_URL": pictures,
        }.items():
            monkeypatch.setenv(f"CARTOONIZE_{name}", value)
        assert main([str(photo), "-o", str(tmp_path / "out.png")]) == 0
    with Image.open(tmp_path / "out.png") as result:
        assert result.size == (260, 1000)


def test_ctrl_c_ends_at_once(photo: Path, service: ScriptedService) -> None:
    """Exit code 130 while a task is running, no traceback, and a word about what was sent."""
    service.task_s = 60
    script = "import sys, pack; pack.load(); from cartoonize_pack.utils.cli import main; sys.exit(main(sys.argv[1:]))"
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(photo), "-o", str(photo.parent / "out.png")],
        cwd=Path(__file__).parent,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 20
    while not service.polls and time.monotonic() < end:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    start = time.monotonic()
    _, errors = child.communicate(timeout=20)
    assert child.returncode == 130
    assert "Traceback" not in errors
    assert errors.endswith(
        "interrupted; what was sent is remembered: run again, or see 'portrait-cartoonize tasks list'\n"
    )
    assert time.monotonic() - start < 8
