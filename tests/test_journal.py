"""The journal: written before anything is sent, shared by processes, without secrets, and loud when it is broken."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from cartoonize_pack.utils.config import Profile, Secret
from cartoonize_pack.utils.contract import ImageResult, Task, TaskStatus
from cartoonize_pack.utils.errors import ConfigurationError, InputError
from cartoonize_pack.utils.journal import FILE, Journal
from cartoonize_pack.utils.monitor import Monitor
from cartoonize_pack.utils.records import State, Submission
from cartoonize_pack.utils.threads import map_bounded
from cartoonize_pack.utils.work import Work
from child_process import killed, output_of, running
from fake_clock import Clock

DAY_S = 24 * 3600.0
K1, K2 = "00000001" + "a" * 56, "00000002" + "b" * 56  # keys as they are, where a lock is made of them
PROFILE = Profile(
    "mine", create_url="https://api.example/batch", result_url="https://api.example/result/{task_id}?token=hunter2",
    app_key=Secret("key-hunter2"), app_secret=Secret("secret-hunter2"),
)  # fmt: skip
SERVICE = PROFILE.task_address
OPEN = """
from cartoonize_pack.utils.config import Profile, Secret
from cartoonize_pack.utils.contract import ImageResult, Task, TaskStatus
from cartoonize_pack.utils.journal import Journal
from cartoonize_pack.utils.records import State
from cartoonize_pack.utils.work import Work
journal = Journal(Path(sys.argv[1]))
url = "https://api.example/result/{task_id}?token=hunter2"
profile = Profile("mine", result_url=url, app_key=Secret("key-hunter2"))
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A state folder that nobody has used yet."""
    return tmp_path / "state"


@pytest.fixture
def journal(home: Path, clock: Clock) -> Journal:
    return Journal(home, clock)


def work(key: str = "k1", *links: str) -> Work:
    """Some work; its key need not be a digest here."""
    links = links or ("https://pictures.example/1.png",)
    return Work(links, tuple(range(1, len(links) + 1)), key)


def latest(journal: Journal, key: str = "k1") -> Submission:
    """The latest record of a key, which must be there."""
    (record,) = journal.latest([key])
    assert record is not None
    return record


def accept(journal: Journal, number: int, task_id: str, what: Work | None = None, variation: int = 0) -> None:
    """Note the service's answer, as the thread that received it does."""
    journal.accept(number, what or work(), PROFILE, variation, task_id)


def accepted(journal: Journal, task_id: str, key: str = "k1") -> int:
    """Submit work to the end of its acceptance."""
    number = journal.begin(work(key), PROFILE, 0)
    accept(journal, number, task_id, work(key))
    return number


def no_wait(_: float) -> None:
    """Stands for a wait where there must be none."""
    pytest.fail("it waited for the lock")


def answer(task_id: str = "t1", code: int = 3, *images: ImageResult, message: str = "") -> Task:
    """A final answer, as the parser makes it."""
    return Task(task_id, TaskStatus.of(code), code, None, images, message)


# Submissions


def test_a_record_is_on_the_disk_before_begin_returns(home: Path, journal: Journal) -> None:
    """Another process sees it while this one goes on to send; so does plain SQLite."""
    number = journal.begin(
        work("k1", "https://pictures.example/1.png?x=1", "https://pictures.example/2.png"), PROFILE, 5
    )
    script = OPEN + "r, = journal.submissions()\nprint(r.number, r.key, r.state.value, r.links, r.variation)"
    expected = "('https://pictures.example/1.png', 'https://pictures.example/2.png')"
    assert output_of(script, home) == f"{number} k1 sending {expected} 5"
    with closing(sqlite3.connect(home / FILE)) as db:
        assert db.execute("SELECT number, state, task_id FROM submissions").fetchall() == [(number, "sending", "")]


def test_a_record_says_what_was_sent_when_and_to_whom(journal: Journal, clock: Clock) -> None:
    """Everything that a person needs to find it in the service's console."""
    begun, what = clock.now, work("k1", "https://a.example/1.png", "https://a.example/2.png")
    number = journal.begin(what, PROFILE, 3)
    clock.now += 2
    accept(journal, number, "t1", what, 3)
    links = ("https://a.example/1.png", "https://a.example/2.png")
    expected = Submission(number, "k1", "mine", SERVICE, State.ACCEPTED, "t1", links, 3, begun, begun + 2)
    assert latest(journal) == expected
    assert journal.submissions() == [expected]
    assert journal.of_task(SERVICE, "t1") == expected


def test_nothing_is_known_of_what_nobody_sent(journal: Journal) -> None:
    """None for each, in the order of the question."""
    accepted(journal, "t1", "k1")
    assert [record and record.task_id for record in journal.latest(["k0", "k1", "k2"])] == [None, "t1", None]
    assert journal.latest([]) == []
    assert journal.of_task(SERVICE, "t2") is None
    assert journal.of_task("https://other.example/{task_id}", "t1") is None
    assert journal.recall(SERVICE, "t1") is None


def test_records_are_listed_oldest_first(journal: Journal) -> None:
    """With ascending numbers, whatever became of them."""
    numbers = [accepted(journal, "t1", "k1"), journal.begin(work("k2"), PROFILE, 0), accepted(journal, "t3", "k3")]
    assert [record.number for record in journal.submissions()] == numbers == sorted(numbers)


@pytest.mark.parametrize("state", [State.REFUSED, State.UNKNOWN], ids=lambda state: state.value)
def test_a_submission_without_a_task_says_why(journal: Journal, state: State) -> None:
    """The reason is for people."""
    journal.end_unaccepted(journal.begin(work(), PROFILE, 0), state, "no answer within 30 s")
    assert (latest(journal).state, latest(journal).detail) == (state, "no answer within 30 s")
    assert latest(journal).task_id == ""


def test_a_late_acceptance_counts(journal: Journal) -> None:
    """The answer came after everybody had given up: the work is found, and not paid twice."""
    number = journal.begin(work(), PROFILE, 0)
    journal.end_unaccepted(number, State.UNKNOWN, "no answer within 30 s")
    accept(journal, number, "t1")
    assert (latest(journal).state, latest(journal).task_id) == (State.ACCEPTED, "t1")
    assert len(journal.submissions()) == 1


def test_the_word_of_a_person_settles_a_submission_of_unknown_outcome(journal: Journal, clock: Clock) -> None:
    """They saw the task in the service's console; when it was begun stays known."""
    begun = clock.now
    number = journal.begin(work(), PROFILE, 0)
    journal.end_unaccepted(number, State.UNKNOWN, "no answer within 30 s")
    clock.now += DAY_S
    journal.settle(number, "t1")
    record = latest(journal)
    assert (record.state, record.task_id, record.created_s) == (State.ACCEPTED, "t1", begun)
    assert record.updated_s == begun + DAY_S


def test_the_word_of_a_person_makes_no_record(journal: Journal) -> None:
    """Of a submission that was forgotten meanwhile nothing is known that it could be made of."""
    journal.settle(7, "t1")
    assert journal.submissions() == []


@pytest.mark.parametrize("late", [State.REFUSED, State.UNKNOWN], ids=lambda state: state.value)
def test_what_is_known_is_not_made_unknown(journal: Journal, late: State) -> None:
    """Giving up late changes neither an accepted, nor a finished, nor a refused submission."""
    number = accepted(journal, "t1")
    journal.end_unaccepted(number, late, "gave up")
    assert (latest(journal).state, latest(journal).detail) == (State.ACCEPTED, "")
    journal.remember(SERVICE, answer("t1"), State.DONE)
    journal.end_unaccepted(number, late, "gave up")
    assert (latest(journal).state, latest(journal).task_id) == (State.DONE, "t1")
    other = journal.begin(work("k2"), PROFILE, 0)
    journal.end_unaccepted(other, State.REFUSED, "first")
    journal.end_unaccepted(other, late, "second")
    assert (latest(journal, "k2").state, latest(journal, "k2").detail) == (State.REFUSED, "first")


@pytest.mark.parametrize("state", [None, State.REFUSED, State.UNKNOWN], ids=["sending", "refused", "unknown"])
def test_a_record_without_a_task_makes_place_for_the_next_attempt(journal: Journal, state: State | None) -> None:
    """Three attempts are one record; those of other work are left alone."""
    other = journal.begin(work("k2"), PROFILE, 0)
    first = journal.begin(work(), PROFILE, 0)
    if state is not None:
        journal.end_unaccepted(first, state, "once")
    second = journal.begin(work(), PROFILE, 0)
    assert [record.number for record in journal.submissions()] == [other, second]
    assert (latest(journal).state, latest(journal).detail) == (State.SENDING, "")


def test_the_number_of_a_removed_record_is_not_given_again(journal: Journal) -> None:
    """A late answer to the first attempt must not be written to the second."""
    first = journal.begin(work(), PROFILE, 0)
    second = journal.begin(work(), PROFILE, 0)
    journal.settle(first, "late")
    assert second != first
    assert (latest(journal).state, latest(journal).task_id) == (State.SENDING, "")


def test_a_late_answer_to_a_removed_record_is_written_beside_the_next_attempt(journal: Journal) -> None:
    """Its task may have been charged: it is listed and can be fetched, and what is being sent stays as it is."""
    first = journal.begin(work(), PROFILE, 0)
    second = journal.begin(work(), PROFILE, 0)
    accept(journal, first, "late")
    assert [(r.number, r.state, r.task_id) for r in journal.submissions()] == [
        (first, State.ACCEPTED, "late"),
        (second, State.SENDING, ""),
    ]
    assert latest(journal).number == second
    accept(journal, second, "t2")
    assert [record.task_id for record in journal.submissions()] == ["late", "t2"]


def test_a_record_with_a_task_is_kept_beside_the_new_one(journal: Journal) -> None:
    """It may have been charged; the newest one is what counts."""
    first = accepted(journal, "t1")
    journal.remember(SERVICE, answer("t1", 4), State.FAILED)
    second = journal.begin(work(), PROFILE, 0)
    assert [record.number for record in journal.submissions()] == [first, second]
    assert latest(journal).number == second
    accept(journal, second, "t2")
    assert latest(journal).task_id == "t2"
    assert journal.of_task(SERVICE, "t1") is not None


def test_a_forgotten_submission_is_gone_with_its_answer(journal: Journal) -> None:
    """The same work counts as new; the other tasks stay, also one with the same id at another service."""
    accepted(journal, "t1", K1)
    accepted(journal, "t2", K2)
    for service, task_id in [(SERVICE, "t1"), (SERVICE, "t2"), ("local", "t1")]:
        journal.remember(service, answer(task_id), State.DONE)
    journal.forget(latest(journal, K1))
    assert journal.latest([K1]) == [None]
    assert journal.recall(SERVICE, "t1") is None
    assert [record.key for record in journal.submissions()] == [K2]
    assert journal.recall(SERVICE, "t2") == answer("t2")
    assert journal.recall("local", "t1") == answer("t1")


def test_what_is_being_sent_cannot_be_forgotten(journal: Journal) -> None:
    """Its answer is on the way; other work can, and it can as soon as it has ended."""
    journal.begin(work(K1), PROFILE, 0)
    accepted(journal, "t2", K2)
    with journal.sending(K1, no_wait):
        with pytest.raises(InputError, match="is being sent at this moment"):
            journal.forget(latest(journal, K1))
        journal.forget(latest(journal, K2))
        assert [(r.key, r.state) for r in journal.submissions()] == [(K1, State.SENDING)]
    journal.forget(latest(journal, K1))
    assert journal.submissions() == []


def test_the_answer_to_a_forgotten_submission_is_written_down_anew(journal: Journal, clock: Clock) -> None:
    """It came after everybody had given up, and after the user had, too: a paid task is never lost."""
    what = work(K1, "https://a.example/1.png?sig=hunter2", "https://a.example/2.png")
    number = journal.begin(what, PROFILE, 5)
    journal.end_unaccepted(number, State.UNKNOWN, "no answer within 30 s")
    journal.forget(latest(journal, K1))
    clock.now += 60
    accept(journal, number, "t1", what, 5)
    links = ("https://a.example/1.png", "https://a.example/2.png")
    assert journal.submissions() == [
        Submission(number, K1, "mine", SERVICE, State.ACCEPTED, "t1", links, 5, clock.now, clock.now)
    ]
    assert journal.begin(work("k2"), PROFILE, 0) > number


def test_the_journal_outlives_its_object(home: Path, journal: Journal) -> None:
    """A restart of ComfyUI forgets nothing."""
    accepted(journal, "t1")
    journal.remember(SERVICE, answer("t1"), State.DONE)
    journal.note_links({"https://host.example/a.png": "content"})
    again = Journal(home)
    assert latest(again).state is State.DONE
    assert again.recall(SERVICE, "t1") == answer("t1")
    assert again.contents_of(["https://host.example/a.png"]) == ["content"]


def test_nothing_is_opened_before_it_is_used(home: Path) -> None:
    """A node that only looks leaves no trace."""
    Journal(home)
    assert not home.exists()


# Answers


@pytest.mark.parametrize("code", [3, 4, 5, 6, 7, 99, -1])
def test_an_answer_is_remembered_as_it_was(journal: Journal, code: int) -> None:
    """Each final status, also undocumented ones, and pictures with and without link, status and reason."""
    images = [ImageResult("https://r.example/1.png", status, "") for status in (None, *TaskStatus)]
    images += [ImageResult(None, status, "no face: 顔がない") for status in (None, *TaskStatus)]
    task = answer("t1", code, *images, message="all well")
    journal.remember(SERVICE, task, State.DONE)
    assert journal.recall(SERVICE, "t1") == task
    assert journal.recall(SERVICE, "t1").status_words == task.status_words  # type: ignore[union-attr]


def test_an_answer_without_pictures_is_remembered(journal: Journal) -> None:
    """So that nobody asks for ever."""
    journal.remember(SERVICE, answer("t1", 4), State.FAILED)
    assert journal.recall(SERVICE, "t1") == answer("t1", 4)


def test_a_newer_answer_takes_the_place_of_the_older(journal: Journal) -> None:
    """There is one answer a task."""
    journal.remember(SERVICE, answer("t1", 3), State.DONE)
    journal.remember(SERVICE, answer("t1", 5), State.FAILED)
    assert journal.recall(SERVICE, "t1") == answer("t1", 5)


@pytest.mark.parametrize("state", [State.DONE, State.FAILED], ids=lambda state: state.value)
def test_an_answer_ends_its_own_submission_only(journal: Journal, state: State) -> None:
    """Not the same id at another service, and no other task."""
    accepted(journal, "t1", "k1")
    accepted(journal, "t2", "k2")
    journal.remember("local", answer("t1"), state)
    assert latest(journal, "k1").state is State.ACCEPTED
    journal.remember(SERVICE, answer("t1"), state)
    assert latest(journal, "k1").state is state
    assert latest(journal, "k2").state is State.ACCEPTED


def test_answers_of_two_services_do_not_mix(journal: Journal) -> None:
    """Ids are unique within a service only."""
    journal.remember(SERVICE, answer("t1", 3), State.DONE)
    journal.remember("local", answer("t1", 4), State.FAILED)
    assert journal.recall(SERVICE, "t1") == answer("t1", 3)
    assert journal.recall("local", "t1") == answer("t1", 4)


def test_all_answers_are_listed_with_the_time_of_each(journal: Journal, clock: Clock) -> None:
    """Oldest first, whoever submitted the task; one that was given anew has the time of the newer."""
    begun = clock.now
    accepted(journal, "t1")
    assert journal.answers() == []
    for service, task_id in [(SERVICE, "t1"), ("local", "t2"), (SERVICE, "t2"), (SERVICE, "t1")]:
        clock.now += 1
        journal.remember(service, answer(task_id), State.DONE)
    assert journal.answers() == [("local", "t2", begun + 2), (SERVICE, "t2", begun + 3), (SERVICE, "t1", begun + 4)]


def test_a_forgotten_answer_is_gone_alone(journal: Journal) -> None:
    """Neither its submission nor the answer about a task of the same id at another service goes with it."""
    number = accepted(journal, "t1")
    for service, task_id in [(SERVICE, "t1"), (SERVICE, "t2"), ("local", "t1")]:
        journal.remember(service, answer(task_id), State.DONE)
    for _ in range(2):
        journal.forget_answer(SERVICE, "t1")
        assert {(service, task_id) for service, task_id, _ in journal.answers()} == {(SERVICE, "t2"), ("local", "t1")}
    assert journal.recall(SERVICE, "t1") is None
    assert [record.number for record in journal.submissions()] == [number]


# What must not be in it


def test_links_are_kept_without_what_signs_them(journal: Journal) -> None:
    """Neither query nor fragment, in submissions and in answers."""
    what = work("k1", "https://a.example/1.png?sig=hunter2", "https://a.example/2.png#x")
    accept(journal, journal.begin(what, PROFILE, 0), "t1", what)
    journal.remember(
        SERVICE, answer("t1", 3, ImageResult("https://r.example/1.png?sig=hunter2#y", None, "")), State.DONE
    )
    assert latest(journal).links == ("https://a.example/1.png", "https://a.example/2.png")
    task = journal.recall(SERVICE, "t1")
    assert task is not None
    assert task.images[0].url == "https://r.example/1.png"


SECRETS = """
basic = sys.argv[2]
link = "https://pictures.example/1.png?signature=sig-hunter2#frag-hunter2"
told = f"GET {link} Authorization: Basic {basic} answered 'https://user:pass-hunter2@r.example/1.png?sig-hunter2'"
journal.note_links({link: "content"})
for state in (State.REFUSED, State.UNKNOWN):
    number = journal.begin(Work((link,), (1,), state.value), profile, 0)
    journal.end_unaccepted(number, state, told)
for number in (journal.begin(Work((link, link), (1, 2), "k1"), profile, 0), 99):  # the second one was forgotten
    journal.accept(number, Work((link, link), (1, 2), "k1"), profile, 0, "t1")
images = tuple(ImageResult(link, status, told) for status in (None, *TaskStatus))
journal.remember(profile.task_address, Task("t1", TaskStatus.COMPLETE, 3, None, images, told), State.DONE)
with journal._database.transaction() as db:  # leave all of it in the log, too
    for table, column in [("submissions", "detail"), ("answers", "answer"), ("links", "content")]:
        assert db.execute(f"UPDATE {table} SET {column} = {column} || ' '").rowcount
    db.execute("COMMIT")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_no_secret_is_in_the_bytes_of_the_files(home: Path) -> None:
    """Not in the journal, not in its write-ahead log, not in what was deleted: neither signatures nor keys."""
    basic = base64.b64encode(b"key-hunter2:secret-hunter2").decode()
    with running(OPEN + SECRETS, home, basic) as child:
        killed(child)
    files = {file.name: file.read_bytes() for file in home.iterdir() if file.is_file()}
    assert set(files) == {FILE, f"{FILE}-wal"}
    for data in files.values():
        assert b"https://pictures.example/1.png" in data  # this is where it would be
        assert b"hunter2" not in data
        assert basic.encode() not in data
        assert b"signature" not in data


# Hosted pictures


HOSTED = "https://host.example/a.png"


def test_a_link_stands_for_the_content_that_was_noted(journal: Journal) -> None:
    """With any signature: hosts sign the same picture anew; other links stand for themselves."""
    journal.note_links({f"{HOSTED}?sig=1": "content a", "https://host.example/b.png": "content b"})
    links = [f"{HOSTED}?sig=1", f"{HOSTED}?sig=2", HOSTED, "https://host.example/b.png?sig=9"]
    assert journal.contents_of(links) == ["content a"] * 3 + ["content b"]
    other = ["https://host.example/c.png?sig=1", "https://host.example/", f"{HOSTED}?x=1", f"{HOSTED}#x"]
    assert journal.contents_of(other) == [f"link {link}" for link in other]
    assert journal.contents_of([]) == []


SIGNATURES = [
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={n}&X-Amz-Signature={n}",
    "x-amz-signature={n}",
    "X-Goog-Expires=60&X-Goog-Signature={n}",
    "x-oss-signature={n}&x-oss-expires=60",
    "Expires={n}&OSSAccessKeyId=me&Signature={n}",
    "sv=2024&se={n}&sig={n}",
]
QUERIES = [
    "id={n}",
    "picture={n}",
    "design={n}",
    "signed={n}",
    "sig-{n}",
    "signature_version={n}",
    "{n}",
    "x=&mysig={n}",
]


@pytest.mark.parametrize("query", SIGNATURES)
def test_a_link_that_is_signed_anew_is_the_same_picture(journal: Journal, query: str) -> None:
    """Every kind of object storage signs in its own words; the path tells the picture."""
    journal.note_links({f"{HOSTED}?{query.format(n=1)}": "content"})
    again = [f"{HOSTED}?{query.format(n=2)}", HOSTED]
    assert journal.contents_of(again) == ["content", "content"]


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_that_is_no_signature_tells_one_picture_from_another(journal: Journal, query: str) -> None:
    """What was noted of one link says nothing about another one: nobody gets the face of somebody else."""
    first, second = (f"https://host.example/get?{query.format(n=n)}" for n in (1, 2))
    journal.note_links({first: "content 1"})
    bare = "https://host.example/get"
    assert journal.contents_of([first, second, bare]) == ["content 1", f"link {second}", f"link {bare}"]


@pytest.mark.parametrize("query", ["id={n}&sig=x{n}", "X-Amz-Signature=x{n}&versionId={n}"])
def test_a_signature_does_not_hide_what_else_tells_one_picture_from_another(journal: Journal, query: str) -> None:
    """A host may serve all pictures below one path, and sign."""
    first, second = (f"https://host.example/get?{query.format(n=n)}" for n in (1, 2))
    journal.note_links({first: "content 1"})
    assert journal.contents_of([second]) == [f"link {second}"]


@pytest.mark.parametrize("calls", [1, 2], ids=["noted at once", "noted one by one"])
def test_pictures_whose_links_differ_in_the_query_only_are_not_mixed_up(journal: Journal, calls: int) -> None:
    """A host that serves all pictures by "?id=": each full link finds its own, any other one stands for itself."""
    notes = {f"{HOSTED}?id=1": "content 1", f"{HOSTED}?id=2": "content 2", f"{HOSTED}?id=3": "content 1"}
    for note in [notes] if calls == 1 else [{link: content} for link, content in notes.items()]:
        journal.note_links(note)
    assert journal.contents_of(list(notes)) == ["content 1", "content 2", "content 1"]
    for link in (f"{HOSTED}?id=4", HOSTED):
        assert journal.contents_of([link]) == [f"link {link}"]


def test_a_link_that_is_noted_again_is_still_the_same_content(journal: Journal) -> None:
    """The same picture is uploaded at every run."""
    for _ in range(3):
        journal.note_links({f"{HOSTED}?sig=1": "content"})
    assert journal.contents_of([f"{HOSTED}?sig=1", f"{HOSTED}?sig=2"]) == ["content"] * 2


def test_links_are_forgotten_after_sixty_days(journal: Journal, clock: Clock) -> None:
    """Longer than any of them lives; those that were noted again stay."""
    journal.note_links({"https://host.example/old.png": "old", "https://host.example/used.png": "used"})
    clock.now += 30 * DAY_S
    journal.note_links({"https://host.example/used.png": "used"})
    clock.now += 30 * DAY_S - 1
    journal.note_links({})
    links = ["https://host.example/old.png", "https://host.example/used.png"]
    assert journal.contents_of(links) == ["old", "used"]
    clock.now += 2
    journal.note_links({})
    assert journal.contents_of(links) == [f"link {links[0]}", "used"]


# Several at once


SUBMIT = """
from cartoonize_pack.utils.monitor import Monitor
from cartoonize_pack.utils.threads import map_bounded
name, workers = sys.argv[2], int(sys.argv[3])
def submit(n):
    work = Work((f"https://a.example/{name}/{n}.png",), (1,), f"{name}-{n}")
    number = journal.begin(work, profile, 0)
    journal.accept(number, work, profile, 0, f"{name}-{n}")
    return number
print("ready", flush=True)
sys.stdin.readline()
numbers = map_bounded(submit, range(25), workers=workers, monitor=Monitor())
print(*numbers)
"""


def test_several_processes_lose_nothing(home: Path) -> None:
    """Four that submit at the same moment, two of them with three threads each, as Submit does."""
    with ExitStack() as stack:
        children = {
            name: stack.enter_context(running(OPEN + SUBMIT, home, name, workers))
            for name, workers in [("a", 1), ("b", 1), ("c", 3), ("d", 3)]
        }
        for child in children.values():
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        expected = {}
        for name, child in children.items():
            out, err = child.communicate()
            assert child.returncode == 0, err
            expected |= {int(number): f"{name}-{n}" for n, number in enumerate(out.split())}
    assert len(expected) == 100
    records = Journal(home).submissions()
    assert {record.number: record.key for record in records} == expected
    assert all((record.state, record.task_id) == (State.ACCEPTED, record.key) for record in records)


def test_several_threads_lose_nothing(home: Path, journal: Journal) -> None:
    """One journal in many threads, and another one of the same folder."""
    other = Journal(home)

    def submit(n: int) -> int:
        return accepted(other if n % 3 == 0 else journal, f"t{n}", f"k{n}")

    numbers = map_bounded(submit, range(40), workers=8, monitor=Monitor())
    assert {record.number: record.task_id for record in journal.submissions()} == {
        number: f"t{n}" for n, number in enumerate(numbers)
    }


SEND = """
with journal.sending("00000001", time.sleep):
    number = journal.begin(Work(("https://a.example/1.png",), (1,), "00000001"), profile, 0)
    print("ready", flush=True)
    time.sleep(60)
"""


def test_a_process_that_is_killed_while_it_sends_leaves_its_record_and_no_lock(home: Path, journal: Journal) -> None:
    """The next one is not held up, and sees that the outcome is unknown; while it lives, nobody can forget it."""
    with running(OPEN + SEND, home) as child:
        with pytest.raises(InputError):
            journal.forget(latest(journal, "00000001"))
        killed(child)
        with journal.sending("00000001", no_wait):
            assert latest(journal, "00000001").state is State.SENDING


# Broken files


USES: list[Callable[[Journal], object]] = [
    lambda journal: journal.latest(["k1"]),
    lambda journal: journal.begin(work(), PROFILE, 0),
    lambda journal: accept(journal, 1, "t1"),
    lambda journal: journal.settle(1, "t1"),
    lambda journal: journal.end_unaccepted(1, State.UNKNOWN, ""),
    lambda journal: journal.submissions(),
    lambda journal: journal.of_task(SERVICE, "t1"),
    lambda journal: journal.forget(Submission(1, K1, "mine", SERVICE, State.DONE, "t1", (), 0, 1.0, 1.0)),
    lambda journal: journal.remember(SERVICE, answer(), State.DONE),
    lambda journal: journal.recall(SERVICE, "t1"),
    lambda journal: journal.answers(),
    lambda journal: journal.forget_answer(SERVICE, "t1"),
    lambda journal: journal.note_links({}),
    lambda journal: journal.contents_of(["x"]),
]
NAMES = [
    "latest",
    "begin",
    "accept",
    "settle",
    "end",
    "submissions",
    "of_task",
    "forget",
    "remember",
    "recall",
    "answers",
    "forget_answer",
    "note",
    "contents",
]


@pytest.mark.parametrize("use", USES, ids=NAMES)
def test_every_use_of_a_broken_journal_says_what_to_do(home: Path, journal: Journal, use: object) -> None:
    """It names the file and says that nothing was sent; nothing is made anew in its place."""
    assert callable(use)
    home.mkdir()
    (home / FILE).write_bytes(b"broken" * 1000)
    with pytest.raises(ConfigurationError) as caught:
        use(journal)
    for words in ("journal of paid tasks", str(home / FILE), "damaged", "Nothing was sent", "Put back a copy"):
        assert words in str(caught.value)
    assert (home / FILE).read_bytes() == b"broken" * 1000


def test_a_journal_of_a_newer_version_is_left_alone(home: Path, journal: Journal) -> None:
    """The pack was set back to an older version."""
    accepted(journal, "t1")
    with closing(sqlite3.connect(home / FILE)) as db:
        db.execute("PRAGMA user_version=7")
    with pytest.raises(ConfigurationError, match=r"newer version.*format 7.*Update the pack\. Nothing was sent"):
        journal.latest(["k1"])


@pytest.mark.parametrize("number", [0, 123, 299])
def test_a_damaged_key_is_noticed(home: Path, journal: Journal, number: int) -> None:
    """Six bytes of one row of three hundred: it would read as "never paid"."""
    journal.begin(work(), PROFILE, 0)
    row = "'mine', 'local', 'accepted', 'task-' || n, '[\"https://a.example/1.png\"]', 0, 1, 1, ''"
    with closing(sqlite3.connect(home / FILE, isolation_level=None)) as db:
        db.execute(
            "WITH RECURSIVE count (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM count WHERE n < 299) INSERT INTO "
            f"submissions SELECT n + 10, printf('key-%04d-%064d', n, n), {row} FROM count"
        )
    key = f"key-{number:04}-{number:064}"
    assert latest(Journal(home), key).task_id == f"task-{number}"
    data = (home / FILE).read_bytes()
    assert data.count(key.encode()) == 2  # in the table and in its index
    (home / FILE).write_bytes(data.replace(key.encode(), key.replace("key-", "k€y-").encode()[: len(key)], 1))
    with pytest.raises(ConfigurationError, match=r"damaged.*Nothing was sent"):
        Journal(home).latest([key])


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (b"accepted", b"acceptex"),
        (b'["https', b'("https'),
        (b'{"status', b'("status'),
        (b'"images": [', b'"imagez": ['),
    ],
    ids=["state", "links", "answer", "answer's parts"],
)
def test_damage_that_sqlite_cannot_see_is_told_all_the_same(
    home: Path, journal: Journal, good: bytes, bad: bytes
) -> None:
    """Other errors than a ConfigurationError would end a run that could go on without the journal."""
    accepted(journal, "t1")
    journal.remember("local", answer("t1"), State.DONE)
    data = (home / FILE).read_bytes()
    assert data.count(good) == 1
    assert len(good) == len(bad)
    (home / FILE).write_bytes(data.replace(good, bad))
    fresh = Journal(home)
    with pytest.raises(ConfigurationError, match="Nothing was sent"):
        assert [fresh.submissions(), fresh.recall("local", "t1")] == []


@pytest.mark.parametrize("below", ["", "below"], ids=["in its place", "in place of its parent"])
def test_a_file_in_the_way_of_the_state_folder_is_told(home: Path, below: str) -> None:
    """The message names the folder and the variable that moves it."""
    home.write_text("in the way")
    with pytest.raises(ConfigurationError, match="CARTOONIZE_HOME") as caught:
        Journal(home / below).latest(["k1"])
    assert str(home / below) in str(caught.value)
