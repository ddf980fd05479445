"""`portrait-cartoonize tasks`: every command, for people and for scripts."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from cartoonize_pack.utils.cli import main
from cartoonize_pack.utils.config import load
from cartoonize_pack.utils.contract import Task, TaskStatus
from cartoonize_pack.utils.images import Header
from cartoonize_pack.utils.journal import Journal
from cartoonize_pack.utils.records import State, Submission
from cartoonize_pack.utils.results import ResultStore
from cartoonize_pack.utils.service.server import stop_embedded
from cartoonize_pack.utils.work import Work
from pack import ROOT
from PIL import Image
from scripted_service import APP_KEY, APP_SECRET, ScriptedService, png

LONG_AGO_S = 1_000_000_000.0  # in the year 2001


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A working folder with one photo; the embedded server is stopped afterwards."""
    monkeypatch.chdir(tmp_path)
    Path("photo.png").write_bytes(png(260, 1000))  # narrow pictures are drawn quickly
    yield
    stop_embedded(home())


def home() -> Path:
    """The state folder."""
    return Path(os.environ["CARTOONIZE_HOME"])


def records() -> list[Submission]:
    """All that the journal knows."""
    return Journal(home()).submissions()


def noted(name: str, state: State, at_s: float = LONG_AGO_S, profile: str = "env", images: int = 1) -> int:
    """Let the journal know a submission in this state; one with a task has the id `name`."""
    journal = Journal(home(), clock=lambda: at_s)
    links = tuple(f"https://p.example/{name}/{n}.png?signature=private" for n in range(1, images + 1))
    work = Work(links, tuple(range(1, images + 1)), hashlib.sha256(name.encode()).hexdigest())
    number = journal.begin(work, replace(load().profile("env"), name=profile), 0)
    if state in (State.UNKNOWN, State.REFUSED):
        journal.end_unaccepted(number, state, "no usable answer came back")
    elif state is not State.SENDING:
        journal.settle(number, name)
    if state in (State.DONE, State.FAILED):
        status = TaskStatus.COMPLETE if state is State.DONE else TaskStatus.FAILED
        journal.remember(load().profile("env").task_address, Task(name, status, status, None, ()), state)
    return number


def fetched(task_id: str, at_s: float = LONG_AGO_S, pictures: int = 1) -> None:
    """Let this machine know, and have, a task that was submitted elsewhere."""
    service = load().profile("env").task_address
    answer = Task(task_id, TaskStatus.COMPLETE, TaskStatus.COMPLETE, None, ())
    Journal(home(), clock=lambda: at_s).remember(service, answer, State.DONE)
    for index in range(pictures):
        ResultStore(home(), 10**9).put(service, task_id, index, png(), Header("PNG", 300, 260))


def answered() -> list[str]:
    """The ids of all tasks whose final answer is known."""
    return [task_id for _, task_id, _ in Journal(home()).answers()]


def kept() -> list[str]:
    """The tasks of all pictures that are kept."""
    return sorted(path.parent.name.rpartition("-")[0] for path in (home() / "results").rglob("*.png"))


def lose_the_answer(service: ScriptedService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the service accept submissions with an answer that nobody can use, once."""
    create = service.create

    def create_and_mumble(body: dict[str, object]) -> dict[str, object]:
        create(body)
        monkeypatch.setattr(service, "create", create)
        return {"id": "?"}

    monkeypatch.setattr(service, "create", create_and_mumble)


def printed_json(capsys: pytest.CaptureFixture[str]) -> Any:
    """What was printed, which is JSON and nothing else."""
    return json.loads(capsys.readouterr().out)


# list


def test_a_machine_that_submitted_nothing_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """For people on standard error; scripts get an empty list."""
    assert main(["tasks", "list"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "Nothing was submitted from this machine yet.\n")
    assert main(["tasks", "list", "--json"]) == 0
    captured = capsys.readouterr()
    assert (json.loads(captured.out), captured.err) == ([], "")


def test_list_shows_one_line_a_submission_oldest_first(
    service: ScriptedService, capsys: pytest.CaptureFixture[str]
) -> None:
    """Number, time, state, number of images, profile and task id."""
    for name, state, images in (("a", State.DONE, 3), ("b", State.UNKNOWN, 20), ("c", State.ACCEPTED, 1)):
        noted(name, state, images=images, profile="studio")
    assert main(["tasks", "list"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [[row[0], *row[2:]] for row in rows] == [
        ["1", "done", "3", "studio", "a"],
        ["2", "unknown", "20", "studio", "-"],
        ["3", "accepted", "1", "studio", "c"],
    ]
    assert all(re.fullmatch(r"2001-09-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", row[1]) for row in rows)


def test_list_as_json_has_the_same_for_scripts(service: ScriptedService, capsys: pytest.CaptureFixture[str]) -> None:
    """With links, which have no query, and what is known of the reason."""
    noted("a", State.ACCEPTED, images=2)
    noted("b", State.REFUSED)
    assert main(["tasks", "list", "--json"]) == 0
    first, second = printed_json(capsys)
    assert first.pop("created") == first.pop("updated")
    assert first == {
        "number": 1,
        "state": "accepted",
        "profile": "env",
        "task_id": "a",
        "variation": 0,
        "detail": "",
        "links": ["https://p.example/a/1.png", "https://p.example/a/2.png"],
    }
    assert (second["task_id"], second["state"], second["detail"]) == (None, "refused", "no usable answer came back")


# show


@pytest.mark.parametrize("name", ["1", "task-1", "name"], ids=["number", "task id", "name"])
def test_show_tells_what_became_of_a_submission(
    service: ScriptedService, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """By its number, its task id or its name; the answer is there as soon as it is final."""
    service.failed["task-1", 1] = "no face found"
    Path("other.png").write_bytes(png(300, 300))
    assert main(["photo.png", "other.png"]) == 1
    capsys.readouterr()
    name = records()[0].name if name == "name" else name
    assert main(["tasks", "show", name, "--json"]) == 0
    shown = printed_json(capsys)
    assert (shown["number"], shown["task_id"], shown["state"], len(shown["links"])) == (1, "task-1", "done", 2)
    assert shown["answer"] == {
        "status": "complete",
        "message": "",
        "images": [
            {"url": f"{service.url}/file/task-1/0.png", "status": "complete", "reason": ""},
            {"url": None, "status": "failed", "reason": "no face found"},
        ],
    }
    assert main(["tasks", "show", name]) == 0
    text = capsys.readouterr().out
    for words in ("number: 1\n", "task_id: task-1\n", "state: done\n", "profile: env\n", "no face found"):
        assert words in text
    assert "private" not in text


def test_show_of_what_has_no_answer_yet_shows_none(
    service: ScriptedService, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither for a task that goes on nor for a submission of unknown outcome, whose detail is shown."""
    noted("a", State.ACCEPTED)
    noted("b", State.UNKNOWN)
    assert main(["tasks", "show", "a", "--json"]) == 0
    assert "answer" not in printed_json(capsys)
    assert main(["tasks", "show", "2"]) == 0
    text = capsys.readouterr().out
    assert "state: unknown" in text
    assert "detail: no usable answer came back" in text
    assert "answer" not in text.replace("usable answer", "")


# resume


def test_resume_fetches_every_task_that_is_not_finished(
    service: ScriptedService, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each of its pictures as a file; nothing is submitted, and finished or unknown ones are left alone."""
    service.task_s = 60
    Path("other.png").write_bytes(png(300, 300))
    assert main(["photo.png", "--timeout", "0.1"]) == 1
    assert main(["photo.png", "other.png", "--variation", "1", "--timeout", "0.1"]) == 1
    for name, state in (("done", State.DONE), ("failed", State.FAILED), ("lost", State.UNKNOWN)):
        noted(name, state)
    service.task_s = 0
    capsys.readouterr()
    assert main(["tasks", "resume", "-o", "deep/folder"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"deep/folder/{name}" for name in ("task-1-1.png", "task-2-1.png", "task-2-2.png")
    ]
    for path in Path("deep/folder").iterdir():
        with Image.open(path) as image:
            assert image.size == (300, 260)
    assert len(service.submissions) == 2
    assert [record.state for record in records()[:2]] == [State.DONE, State.DONE]
    assert main(["tasks", "resume"]) == 0
    assert capsys.readouterr().out == ""


def test_resume_as_json_names_every_image(service: ScriptedService, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing else is printed; an image without a picture is an error with exit code 1."""
    service.failed["task-1", 1] = "no face found"
    service.task_s = 60
    Path("other.png").write_bytes(png(300, 300))
    assert main(["photo.png", "other.png", "--timeout", "0.1"]) == 1
    service.task_s = 0
    capsys.readouterr()
    assert main(["tasks", "resume", "1", "--json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {
        "images": [
            {"task_id": "task-1", "index": 1, "status": "complete", "reason": "", "file": "task-1-1.png"},
            {"task_id": "task-1", "index": 2, "status": "failed", "reason": "no face found", "file": None},
        ],
        "problems": [],
    }
    assert captured.err == "error: image 2 of task task-1: no face found\n"


def test_resume_fetches_a_task_of_another_machine(
    service: ScriptedService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its pasted id; the profile is the default one, or a named one."""
    assert main(["photo.png"]) == 0
    monkeypatch.setenv("CARTOONIZE_HOME", str(home().parent / "elsewhere"))
    capsys.readouterr()
    assert main(["tasks", "resume", "task-1"]) == 0
    assert main(["tasks", "resume", "task-1", "--profile", "env", "-o", "again"]) == 0
    assert capsys.readouterr().out.splitlines() == ["task-1-1.png", "again/task-1-1.png"]
    assert main(["tasks", "resume", "task-1", "--profile", "studio"]) == 1
    assert "no profile 'studio' on this machine" in capsys.readouterr().err
    assert records() == []


def test_resume_asks_the_profile_that_a_task_was_submitted_with(
    service: ScriptedService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the default is by now: here the embedded service, which does not know it."""
    service.create({"images": ["https://p.example/1.png"]})
    noted("task-1", State.ACCEPTED, profile="studio")
    (home() / "config.toml").write_text(
        f"""
        [profiles.studio]
        create_url = "{service.url}/batch"
        result_url = "{service.url}/result/{{task_id}}"
        app_key = "{APP_KEY}"
        app_secret = "{APP_SECRET}"
        allow_http = true
        allow_hosts = ["127.0.0.1"]
        """
    )
    for name in service.environment:
        monkeypatch.delenv(name)
    assert main(["tasks", "resume"]) == 0
    assert main(["tasks", "resume", "1", "-o", "again"]) == 0
    assert capsys.readouterr().out.splitlines() == ["task-1-1.png", "again/task-1-1.png"]


def test_resume_goes_on_when_one_task_cannot_be_had(
    service: ScriptedService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others are written; the exit code is 1 and the error names the task and how to go on."""
    service.task_s = 60
    assert main(["photo.png", "--timeout", "0.1"]) == 1
    assert main(["photo.png", "--variation", "1", "--timeout", "0.1"]) == 1
    service.task_s = 0
    result = service.result
    late = {"status": "2", "wait_time": "30", "list": None}
    monkeypatch.setattr(service, "result", lambda task_id: late if task_id == "task-1" else result(task_id))
    capsys.readouterr()
    assert main(["tasks", "resume", "--timeout", "0.1", "--json"]) == 1
    captured = capsys.readouterr()
    table = json.loads(captured.out)
    assert [image["file"] for image in table["images"]] == ["task-2-1.png"]
    (problem,) = table["problems"]
    assert problem.startswith("Task task-1: Not finished")
    assert captured.err == f"error: {problem}\n"


@pytest.mark.parametrize("as_json", [[], ["--json"]], ids=["text", "json"])
def test_resume_goes_on_when_the_profile_of_one_task_is_gone(
    service: ScriptedService, capsys: pytest.CaptureFixture[str], as_json: list[str]
) -> None:
    """Somebody has tidied up config.toml: the tasks of the other profiles are fetched all the same."""
    service.task_s = 60
    noted("gone-1", State.ACCEPTED, profile="gone")
    assert main(["photo.png", "--timeout", "0.1"]) == 1
    service.task_s = 0
    capsys.readouterr()
    assert main(["tasks", "resume", *as_json]) == 1
    assert Path("task-1-1.png").is_file()
    assert "no profile 'gone' on this machine" in capsys.readouterr().err


@pytest.mark.parametrize("as_json", [[], ["--json"]], ids=["text", "json"])
def test_resume_goes_on_when_one_picture_cannot_be_written(
    service: ScriptedService, capsys: pytest.CaptureFixture[str], as_json: list[str]
) -> None:
    """The others are written, and the one in the way is named."""
    service.task_s = 60
    Path("other.png").write_bytes(png(300, 300))
    assert main(["photo.png", "other.png", "--timeout", "0.1"]) == 1
    service.task_s = 0
    Path("task-1-1.png").mkdir()
    capsys.readouterr()
    assert main(["tasks", "resume", *as_json]) == 1
    assert "task-1-1.png cannot be written" in capsys.readouterr().err
    assert Path("task-1-2.png").is_file()


@pytest.mark.parametrize("results", [1, 3])
def test_resume_writes_results_of_unknown_owner_under_the_name_of_their_task(
    service: ScriptedService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], results: int
) -> None:
    """The exit code says that something is wrong, and the error what."""
    service.task_s = 60
    Path("other.png").write_bytes(png(300, 300))
    assert main(["photo.png", "other.png", "--timeout", "0.1"]) == 1
    service.task_s = 0
    service.listed = results
    capsys.readouterr()
    assert main(["tasks", "resume"]) == 1
    captured = capsys.readouterr()
    assert captured.out.split() == [f"task-1-{n + 1}.png" for n in range(results)]
    assert f"error: image 1 of task task-1: the service returned {results} result" in captured.err
    assert "error: image 2 of task task-1: " in captured.err


def test_resume_gives_its_files_names_that_every_system_accepts(
    service: ScriptedService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Windows takes no colon, and would write into a hidden stream of another file."""
    result = service.result
    monkeypatch.setattr(service, "result", lambda task_id: result(unquote(task_id)))
    service.create({"images": ["https://p.example/1.png", "https://p.example/2.png"]})
    service._created["eu:job:task-1"] = 0.0
    assert main(["tasks", "resume", "eu:job:task-1", "--json"]) == 0
    images = printed_json(capsys)["images"]
    assert [image["file"] for image in images] == ["eu_job_task-1-1.png", "eu_job_task-1-2.png"]
    assert {image["task_id"] for image in images} == {"eu:job:task-1"}
    assert all(Path(image["file"]).is_file() for image in images)


def test_resume_into_a_folder_that_cannot_be_asks_nobody(
    service: ScriptedService, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is found out first."""
    noted("task-1", State.ACCEPTED)
    Path("file").write_text("in the way")
    assert main(["tasks", "resume", "-o", "file/folder"]) == 1
    assert "file/folder cannot be written" in capsys.readouterr().err
    assert service.polls == 0


def test_resume_of_a_submission_without_a_task_says_why(
    service: ScriptedService, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is nothing to wait for."""
    noted("lost", State.UNKNOWN)
    assert main(["tasks", "resume", "1"]) == 1
    assert "Submission 1 is unknown: it has no task id. no usable answer came back" in capsys.readouterr().err


# found


def test_a_lost_submission_is_found_again_without_paying_twice(
    service: ScriptedService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Running again sends nothing until the user has looked into the console; then the found task is used."""
    lose_the_answer(service, monkeypatch)
    for _ in range(2):
        assert main(["photo.png"]) == 1
        named = re.search("'tasks found (1-[0-9a-f]{6}) TASK_ID'", capsys.readouterr().err)
        assert named
    (record,) = records()
    assert (record.state, record.name) == (State.UNKNOWN, named[1])
    assert main(["tasks", "found", named[1], "task-1"]) == 0
    assert "Run again" in capsys.readouterr().err
    assert main(["photo.png"]) == 0
    assert capsys.readouterr().out == "photo-cartoon.png\n"
    assert len(service.submissions) == 1


def test_a_submission_whose_sender_died_can_be_found_and_resumed(
    service: ScriptedService, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its record still says "sending"; scripts get the number and the id."""
    service.create({"images": ["https://p.example/1.png"]})
    noted("dead", State.SENDING)
    assert main(["tasks", "found", "1", "task-1", "--json"]) == 0
    captured = capsys.readouterr()
    assert (json.loads(captured.out), captured.err) == ({"number": 1, "task_id": "task-1"}, "")
    assert main(["tasks", "resume"]) == 0
    assert capsys.readouterr().out == "task-1-1.png\n"


@pytest.mark.parametrize("state", [State.ACCEPTED, State.DONE, State.FAILED, State.REFUSED])
def test_only_a_submission_of_unknown_outcome_can_be_found(
    service: ScriptedService, capsys: pytest.CaptureFixture[str], state: State
) -> None:
    """What is known is not overwritten by a mistyped number."""
    noted("a", state)
    before = records()
    assert main(["tasks", "found", "1", "task-9"]) == 1
    assert f"Submission 1 is {state.value}: only one of unknown outcome can be found" in capsys.readouterr().err
    assert records() == before


@pytest.mark.parametrize("task_id", ["../batch", "a b", ""])
def test_what_is_no_task_id_is_not_found(
    service: ScriptedService, capsys: pytest.CaptureFixture[str], task_id: str
) -> None:
    """It would become part of an address."""
    noted("lost", State.UNKNOWN)
    assert main(["tasks", "found", "1", task_id]) == 1
    assert "Not a task id" in capsys.readouterr().err
    assert records()[0].state is State.UNKNOWN


# forget


@pytest.mark.parametrize("name", ["1", "task-1", "name"], ids=["number", "task id", "name"])
def test_forget_deletes_the_pictures_and_makes_the_work_new(
    service: ScriptedService, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """The same photos are submitted, and paid for, again."""
    assert main(["photo.png"]) == 0
    assert kept() == ["task-1"]
    capsys.readouterr()
    assert main(["tasks", "forget", records()[0].name if name == "name" else name]) == 0
    assert capsys.readouterr().err == "1 task forgotten, 1 picture deleted.\n"
    assert (kept(), records(), answered()) == ([], [], [])
    assert main(["photo.png"]) == 0
    assert [record.task_id for record in records()] == ["task-2"]
    assert len(service.submissions) == 2


def test_forgetting_a_lost_submission_lets_it_be_sent_again(
    service: ScriptedService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a look into the console; the error has said how."""
    lose_the_answer(service, monkeypatch)
    assert main(["photo.png"]) == 1
    named = re.search("'tasks forget (1-[0-9a-f]{6})'", capsys.readouterr().err)
    assert named
    assert main(["tasks", "forget", named[1], "--json"]) == 0
    assert printed_json(capsys) == {"forgotten": [1], "elsewhere": [], "pictures": 0}
    assert main(["photo.png"]) == 0
    assert len(service.submissions) == 2


def test_forget_leaves_the_others_alone(service: ScriptedService, capsys: pytest.CaptureFixture[str]) -> None:
    """Their records and their pictures; several may be named at once."""
    for variation in ("0", "1", "2"):
        assert main(["photo.png", "--variation", variation]) == 0
    assert main(["tasks", "forget", "1", "task-3"]) == 0
    assert capsys.readouterr().err.endswith("2 tasks forgotten, 2 pictures deleted.\n")
    assert [record.task_id for record in records()] == ["task-2"]
    polls, downloads = service.polls, service.downloads
    assert main(["photo.png", "--variation", "1"]) == 0
    assert (service.polls, service.downloads, len(service.submissions)) == (polls, downloads, 3)


def test_forget_with_one_wrong_name_forgets_nothing(
    service: ScriptedService, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistyped line is corrected as a whole."""
    noted("a", State.DONE)
    assert main(["tasks", "forget", "1", "7"]) == 1
    assert "There is no submission '7'" in capsys.readouterr().err
    assert len(records()) == 1


def test_forget_takes_a_task_that_was_submitted_elsewhere_and_fetched_here(
    service: ScriptedService, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its answer and its pictures lie here, too; the tasks beside it stay."""
    fetched("theirs", pictures=2)
    fetched("other")
    assert main(["tasks", "forget", "theirs"]) == 0
    assert capsys.readouterr().err == "1 task forgotten, 2 pictures deleted.\n"
    assert (answered(), kept()) == (["other"], ["other"])
    assert main(["tasks", "forget", "theirs"]) == 1
    assert "There is no submission 'theirs'" in capsys.readouterr().err


@pytest.mark.parametrize("names", [["1", "theirs"], ["theirs", "ours", "1", "theirs"]], ids=["once", "twice"])
def test_forget_takes_own_tasks_and_others_at_once_and_each_once(
    service: ScriptedService, capsys: pytest.CaptureFixture[str], names: list[str]
) -> None:
    """Scripts learn which are which."""
    noted("ours", State.DONE)
    fetched("theirs")
    assert main(["tasks", "forget", *names, "--json"]) == 0
    assert printed_json(capsys) == {"forgotten": [1], "elsewhere": ["theirs"], "pictures": 1}
    assert (records(), answered(), kept()) == ([], [], [])


def test_forget_takes_an_own_task_for_an_own_one(service: ScriptedService, capsys: pytest.CaptureFixture[str]) -> None:
    """Its answer is known like those of others, but it is its submission that makes the work new."""
    noted("ours", State.DONE)
    assert answered() == ["ours"]
    assert main(["tasks", "forget", "ours", "--json"]) == 0
    assert printed_json(capsys) == {"forgotten": [1], "elsewhere": [], "pictures": 0}
    assert (records(), answered()) == ([], [])


def test_forget_of_what_is_being_sent_is_refused(service: ScriptedService, capsys: pytest.CaptureFixture[str]) -> None:
    """Its answer is on the way, and may be a charge."""
    noted("sent", State.SENDING)
    with Journal(home()).sending(records()[0].key, lambda _: pytest.fail("it waited")):
        assert main(["tasks", "forget", "1"]) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("error: Submission 1 is being sent at this moment")
    assert [record.state for record in records()] == [State.SENDING]
    assert main(["tasks", "forget", "1"]) == 0
    assert records() == []


def test_forget_leaves_no_pictures_of_what_it_has_forgotten(
    service: ScriptedService, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also when another one of the same line is being sent: nothing could name, or prune, those pictures any more."""
    noted("sent", State.SENDING)
    assert main(["photo.png"]) == 0
    with Journal(home()).sending(records()[0].key, lambda _: pytest.fail("it waited")):
        assert main(["tasks", "forget", "2", "1"]) == 1
    assert "is being sent at this moment" in capsys.readouterr().err
    assert kept() == [record.task_id for record in records() if record.task_id]


# prune


def test_prune_forgets_only_what_is_finished_and_old(
    service: ScriptedService, capsys: pytest.CaptureFixture[str]
) -> None:
    """What goes on, or may have been charged, is kept however old it is."""
    for state in State:
        noted(state.value, state)
    assert main(["tasks", "prune", "--older-than", "30"]) == 0
    assert capsys.readouterr().err == "3 tasks forgotten, 0 pictures deleted.\n"
    assert [record.state for record in records()] == [State.SENDING, State.ACCEPTED, State.UNKNOWN]


def test_prune_keeps_what_is_younger(service: ScriptedService, capsys: pytest.CaptureFixture[str]) -> None:
    """Counted in days since it ended; its pictures stay, those of older ones go."""
    assert main(["photo.png"]) == 0
    noted("old", State.DONE)
    capsys.readouterr()
    assert main(["tasks", "prune", "--older-than", "1", "--json"]) == 0
    assert printed_json(capsys) == {"forgotten": [2], "elsewhere": [], "pictures": 0}
    assert kept() == ["task-1"]
    assert main(["tasks", "prune", "--older-than", "0", "--json"]) == 0
    assert printed_json(capsys) == {"forgotten": [1], "elsewhere": [], "pictures": 1}
    assert kept() == []


def test_prune_forgets_old_tasks_that_were_submitted_elsewhere(
    service: ScriptedService, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their answers and pictures, which no submission names; younger ones stay."""
    fetched("old", pictures=2)
    fetched("young", time.time() - 3600)
    assert main(["tasks", "prune", "--older-than", "1"]) == 0
    assert capsys.readouterr().err == "1 task forgotten, 2 pictures deleted.\n"
    assert (answered(), kept()) == (["young"], ["young"])
    assert main(["tasks", "prune", "--older-than", "0", "--json"]) == 0
    assert printed_json(capsys) == {"forgotten": [], "elsewhere": ["young"], "pictures": 1}
    assert (answered(), kept()) == ([], [])


def test_prune_keeps_what_is_known_of_own_tasks_that_go_on(
    service: ScriptedService, capsys: pytest.CaptureFixture[str]
) -> None:
    """However old an answer is: its submission decides."""
    noted("ours", State.DONE)
    found = Journal(home(), clock=lambda: LONG_AGO_S).submissions()[0]
    Journal(home()).remember(found.service, Task("ours", TaskStatus.COMPLETE, 3, None, ()), State.ACCEPTED)
    assert main(["tasks", "prune", "--older-than", "0", "--json"]) == 0
    assert printed_json(capsys) == {"forgotten": [], "elsewhere": [], "pictures": 0}
    assert answered() == ["ours"]


# What goes wrong


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["list", "extra"],
        ["show"],
        ["show", "1", "2"],
        ["resume", "--timeout", "soon"],
        ["found"],
        ["found", "1"],
        ["forget"],
        ["prune"],
        ["prune", "--older-than", "spring"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With the usage line."""
    with pytest.raises(SystemExit) as caught:
        main(["tasks", *arguments])
    assert caught.value.code == 2
    assert "usage: portrait-cartoonize tasks" in capsys.readouterr().err


@pytest.mark.parametrize(("command", "rest"), [("show", []), ("found", ["task-1"]), ("forget", [])])
@pytest.mark.parametrize("name", ["7", "0", "-", "task-7", ""])
def test_what_the_journal_does_not_know_is_an_error(
    service: ScriptedService, capsys: pytest.CaptureFixture[str], command: str, rest: list[str], name: str
) -> None:
    """One sentence that names it and the command that shows all; nothing is changed, also not by an empty name."""
    noted("lost", State.UNKNOWN)
    before = records()
    assert main(["tasks", command, name, *rest]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error: There is no submission {name!r} in the journal")
    assert "portrait-cartoonize tasks list" in captured.err
    assert records() == before


def test_resume_of_what_looks_like_no_task_is_an_error(
    service: ScriptedService, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody is asked."""
    assert main(["tasks", "resume", "../batch"]) == 1
    assert "Not a task id: '../batch'" in capsys.readouterr().err
    assert service.polls == 0


@pytest.mark.parametrize(
    "arguments",
    [["list"], ["show", "1"], ["resume"], ["found", "1", "task-1"], ["forget", "1"], ["prune", "--older-than", "1"]],
    ids=lambda arguments: arguments[0],
)
def test_a_damaged_journal_is_one_sentence(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, the file and what to do; it is not touched."""
    home().mkdir()
    (home() / "journal.sqlite3").write_bytes(b"garbage " * 1000)
    assert main(["tasks", *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: The journal of paid tasks")
    assert "journal.sqlite3 is damaged" in captured.err
    assert (home() / "journal.sqlite3").read_bytes() == b"garbage " * 1000


@pytest.mark.parametrize("command", [[], ["list"], ["show"], ["resume"], ["found"], ["forget"], ["prune"]])
def test_help_is_there_for_every_command(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """On standard output, exit code 0."""
    with pytest.raises(SystemExit) as caught:
        main(["tasks", *command, "--help"])
    assert caught.value.code == 0
    assert "usage: portrait-cartoonize tasks" in capsys.readouterr().out


def test_the_embedded_service_has_its_place_in_the_journal(capsys: pytest.CaptureFixture[str]) -> None:
    """Its tasks are listed, shown, resumed from disk and forgotten like others."""
    assert main(["photo.png", "--style", "manga"]) == 0
    capsys.readouterr()
    assert main(["tasks", "list", "--json"]) == 0
    (row,) = printed_json(capsys)
    assert (row["profile"], row["state"]) == ("local-manga", "done")
    assert main(["tasks", "resume", "1"]) == 0
    assert capsys.readouterr().out == f"{row['task_id']}-1.png\n"
    assert main(["tasks", "forget", "1"]) == 0
    assert capsys.readouterr().err == "1 task forgotten, 1 picture deleted.\n"


def test_beside_comfyui_the_command_sees_the_tasks_of_the_nodes(tmp_path: Path, service: ScriptedService) -> None:
    """Run in the pack's folder below custom_nodes, with nothing set: the state folder is ComfyUI's, made or not."""
    for comfyui, is_used in ((tmp_path / "used", True), (tmp_path / "new", False)):
        folder, user = comfyui / "custom_nodes" / "portrait-cartoonize", tmp_path / "nobody"
        shutil.copytree(ROOT / "utils", folder / "utils", ignore=shutil.ignore_patterns("__pycache__"))
        state = comfyui / "user" / "__portrait_cartoonize"
        if is_used:
            work = Work(("https://p.example/1.png",), (1,), "0" * 64)
            Journal(state).begin(work, replace(load().profile("env"), name="studio"), 0)
        places = dict.fromkeys(("HOME", "USERPROFILE", "XDG_DATA_HOME", "LOCALAPPDATA"), str(user))
        env = {name: value for name, value in os.environ.items() if not name.startswith("CARTOONIZE_")} | places
        command = [sys.executable, "-m", "utils", "tasks", "list", "--json"]
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert [row["profile"] for row in json.loads(done.stdout)] == ["studio"] * is_used
        assert (state / "journal.sqlite3").is_file()
        assert not user.exists()
