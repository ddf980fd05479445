"""Work beside the caller: bounded, in order, quick to fail and quick to cancel."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest
from cartoonize_pack.utils.errors import Cancelled
from cartoonize_pack.utils.monitor import Monitor, Progress
from cartoonize_pack.utils.threads import map_bounded, start, within

PATIENCE_S = 10.0  # for what happens at once; only a broken test waits that long


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """What hanging work waits for; set at the end, so that no thread outlives its test."""
    event = threading.Event()
    yield event
    event.set()


def in_background(
    monitor: Monitor, never: threading.Event, count: int, workers: int
) -> tuple[list[int], threading.Event, list[BaseException], threading.Thread]:
    """Start a map whose items all hang: what has started, when the first has, what was raised, and its thread."""
    started: list[int] = []
    running = threading.Event()
    raised: list[BaseException] = []

    def work(item: int) -> None:
        started.append(item)
        running.set()
        never.wait(PATIENCE_S)

    def call() -> None:
        try:
            map_bounded(work, range(count), workers=workers, monitor=monitor)
        except Cancelled as error:
            raised.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return started, running, raised, thread


@pytest.mark.parametrize("workers", [1, 2, 5, 50])
@pytest.mark.parametrize("count", [0, 1, 5, 23])
def test_results_come_in_the_order_of_the_items(count: int, workers: int) -> None:
    """Each item is worked on once, whatever the number of workers."""
    calls: list[int] = []

    def work(item: int) -> int:
        calls.append(item)
        return item * item

    assert map_bounded(work, range(count), workers=workers, monitor=Monitor()) == [i * i for i in range(count)]
    assert sorted(calls) == list(range(count))


def test_results_keep_their_order_when_the_last_finishes_first() -> None:
    """Each item waits for the one after it."""
    finished = [threading.Event() for _ in range(4)]

    def work(item: int) -> int:
        if item < 3:
            assert finished[item + 1].wait(PATIENCE_S)
        finished[item].set()
        return item

    assert map_bounded(work, range(4), workers=4, monitor=Monitor()) == [0, 1, 2, 3]


def test_as_many_items_run_at_once_as_there_are_workers_and_never_more() -> None:
    """Each group of three meets at a barrier, so three do run; the count never passes three."""
    barrier, lock = threading.Barrier(3), threading.Lock()
    running, most = 0, 0

    def work(_: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        barrier.wait(PATIENCE_S)
        with lock:
            running -= 1

    map_bounded(work, range(12), workers=3, monitor=Monitor())
    assert most == 3


def test_the_first_error_is_raised_at_once_while_other_items_hang(never: threading.Event) -> None:
    """It is the very error, nobody waits for the hanging items, and nothing new starts."""
    started: list[int] = []
    wrong = ValueError("broken item")

    def work(item: int) -> None:
        started.append(item)
        if item == 1:
            raise wrong
        never.wait(PATIENCE_S)

    begin = time.monotonic()
    with pytest.raises(ValueError, match="broken item") as caught:
        map_bounded(work, range(10), workers=3, monitor=Monitor())
    assert caught.value is wrong
    assert time.monotonic() - begin < 1
    never.set()
    assert set(started) <= {0, 1, 2, 3}


def test_cancel_is_heard_within_three_tenths_of_a_second_while_items_hang(never: threading.Event) -> None:
    """The items are left behind, and none of those that wait starts."""
    monitor = Monitor()
    started, running, raised, thread = in_background(monitor, never, count=5, workers=1)
    assert running.wait(PATIENCE_S)
    begin = time.monotonic()
    monitor.cancel()
    thread.join(PATIENCE_S)
    assert time.monotonic() - begin < 0.3
    assert [type(error) for error in raised] == [Cancelled]
    never.set()
    assert started == [0]


def test_cancel_is_heard_when_every_item_already_runs(never: threading.Event) -> None:
    """The last wait listens as the ones before it do."""
    monitor = Monitor()
    _, running, raised, thread = in_background(monitor, never, count=2, workers=4)
    assert running.wait(PATIENCE_S)
    begin = time.monotonic()
    monitor.cancel()
    thread.join(PATIENCE_S)
    assert time.monotonic() - begin < 0.3
    assert len(raised) == 1


def test_nothing_starts_after_cancel() -> None:
    """A download that nobody wants any more is not begun."""
    monitor, started = Monitor(), []
    monitor.cancel()
    with pytest.raises(Cancelled):
        map_bounded(started.append, range(3), workers=4, monitor=monitor)
    assert started == []


def test_nothing_starts_after_cancel_when_a_place_becomes_free() -> None:
    """Cancel pressed while the first item was finishing stops the second."""
    monitor, started = Monitor(), []

    def work(item: int) -> None:
        started.append(item)
        monitor.cancel()

    with pytest.raises(Cancelled):
        map_bounded(work, range(3), workers=1, monitor=monitor)
    assert started == [0]


def test_work_is_started_before_start_returns_control_to_a_waiting_loop(never: threading.Event) -> None:
    """The caller goes on while the work hangs."""
    running = threading.Event()

    def work() -> str:
        running.set()
        never.wait(PATIENCE_S)
        return "done"

    future = start(work, "test")
    assert running.wait(PATIENCE_S)
    assert not future.done()
    never.set()
    assert future.result(PATIENCE_S) == "done"


def test_every_thread_is_a_named_daemon() -> None:
    """A stuck request must not keep ComfyUI from exiting, and its thread can be told in a dump."""
    threads = [start(threading.current_thread, "test").result(PATIENCE_S)]
    threads += map_bounded(lambda _: threading.current_thread(), range(3), workers=2, monitor=Monitor())
    assert len(threads) == 4
    assert all(thread.daemon for thread in threads)
    assert all(thread.name.startswith("cartoonize-") for thread in threads)


@pytest.mark.parametrize("wrong", [ValueError("x"), KeyboardInterrupt(), SystemExit(3)], ids=repr)
def test_whatever_the_work_raises_is_handed_to_whoever_asks(wrong: BaseException) -> None:
    """Nothing is printed by a dying thread, nothing is lost."""

    def work() -> None:
        raise wrong

    assert start(work, "test").exception(PATIENCE_S) is wrong


def test_a_running_future_cannot_be_cancelled_behind_the_threads_back(never: threading.Event) -> None:
    """asyncio cancels the futures it wraps; a result set after that would raise in the thread."""
    future = start(lambda: never.wait(PATIENCE_S), "test")
    assert not future.cancel()
    never.set()
    assert future.result(PATIENCE_S) is True


# Work with a limit of time


def test_work_within_its_time_hands_on_what_it_made(never: threading.Event) -> None:
    """A result or its very error; nobody is told anything later."""
    told: list[Future[int]] = []
    wrong = ValueError("broken")

    def fail() -> int:
        raise wrong

    assert within(PATIENCE_S, lambda: 7, "test", told.append) == 7
    with pytest.raises(ValueError, match="broken") as caught:
        within(PATIENCE_S, fail, "test", told.append)
    assert caught.value is wrong
    assert told == []


@pytest.mark.parametrize("wrong", [None, ValueError("broken")], ids=["a result", "an error"])
def test_what_comes_after_the_time_is_told_once(never: threading.Event, wrong: ValueError | None) -> None:
    """A task that was accepted late must not be lost; until it ends, nothing is told."""
    told: list[Future[int]] = []
    heard = threading.Event()

    def work() -> int:
        never.wait(PATIENCE_S)
        if wrong is not None:
            raise wrong
        return 7

    def late(future: Future[int]) -> None:
        told.append(future)
        heard.set()

    begin = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no end after 0\.01 s"):
        within(0.01, work, "test", late)
    assert time.monotonic() - begin < 1
    assert told == []
    never.set()
    assert heard.wait(PATIENCE_S)
    (future,) = told
    assert future.exception(0) is wrong
    assert wrong is not None or future.result(0) == 7


def test_what_ends_between_the_limit_and_the_question_is_told(never: threading.Event) -> None:
    """However close the end is to the limit: it is handed on, or told, and never both or neither."""
    for _ in range(50):
        told: list[Future[int]] = []
        heard = threading.Event()

        def late(future: Future[int], told: list[Future[int]] = told, heard: threading.Event = heard) -> None:
            told.append(future)
            heard.set()

        try:
            assert within(0.001, lambda: time.sleep(0.001) or 7, "test", late) == 7
            assert told == []
        except TimeoutError:
            assert heard.wait(PATIENCE_S)
            assert [future.result(0) for future in told] == [7]


def test_without_anybody_to_tell_late_work_ends_in_silence(never: threading.Event) -> None:
    """It is left behind."""
    ended = threading.Event()

    def work() -> None:
        never.wait(PATIENCE_S)
        ended.set()

    with pytest.raises(TimeoutError):
        within(0.001, work, "test")
    never.set()
    assert ended.wait(PATIENCE_S)


# The monitor that they share


def test_a_monitor_counts_steps_up_to_the_total_from_any_thread() -> None:
    """No step is lost between threads, and none goes beyond the end."""
    monitor = Monitor()
    monitor.report(0, 40, "begin")
    map_bounded(lambda i: monitor.step(f"step {i}"), range(40), workers=8, monitor=monitor)
    assert (monitor.progress.done, monitor.progress.total) == (40, 40)
    monitor.step("one too many")
    assert monitor.progress == Progress(40, 40, "one too many")


def test_cancel_wakes_a_sleeper_at_once() -> None:
    """Ten seconds of waiting end when Cancel is pressed."""
    monitor = Monitor()
    sleeping = start(lambda: monitor.sleep(PATIENCE_S), "test")
    begin = time.monotonic()
    monitor.cancel()
    sleeping.result(PATIENCE_S)
    assert time.monotonic() - begin < 0.3
    assert monitor.is_cancelled()
    with pytest.raises(Cancelled):
        monitor.check()


def test_a_monitor_that_was_not_cancelled_lets_work_go_on() -> None:
    """check() is silent until Cancel."""
    monitor = Monitor()
    monitor.check()
    assert not monitor.is_cancelled()
    assert monitor.progress == Progress(0, 1, "")


def told_by(work: Callable[[Monitor], object]) -> list[Progress]:
    """All that a monitor tells while the work reports to it."""
    told: list[Progress] = []
    work(Monitor(told.append))
    return told


def test_everything_is_told_at_once_and_in_order() -> None:
    """What is said quickly, one after the other, is told, too; and nothing twice in a row."""

    def work(monitor: Monitor) -> None:
        monitor.report(0, 2, "begin")
        monitor.step("one")
        monitor.step("two")
        for _ in range(3):
            monitor.report(0, 2, "waiting")  # a service that is asked every second gives the same answer many times
        for done, total, text in [(1, 2, "waiting"), (1, 3, "waiting"), (1, 3, "drawing")]:
            monitor.report(done, total, text)
        monitor.say("trouble")

    expected = [(0, 2, "begin"), (1, 2, "one"), (2, 2, "two"), (0, 2, "waiting"), (1, 2, "waiting"), (1, 3, "waiting")]
    expected += [(1, 3, "drawing"), (1, 3, "trouble")]
    assert told_by(work) == [Progress(*each) for each in expected]


def test_the_share_of_the_whole_never_goes_back() -> None:
    """Parts within parts; a step back, or more to do than was thought, leaves the bar where it is."""

    def work(monitor: Monitor) -> None:
        with monitor.part(0.0, 0.5):
            monitor.report(1, 2, "a")
            monitor.report(0, 2, "b")
            with monitor.part(0.5, 1.0):
                monitor.report(1, 2, "c")
        with monitor.part(0.5, 1.0):
            monitor.report(0, 0, "nothing to do")
            monitor.report(1, 1, "d")

    assert [(p.text, p.share) for p in told_by(work)] == [
        ("a", 0.25), ("b", 0.25), ("c", 0.375), ("nothing to do", 0.5), ("d", 1.0),
    ]  # fmt: skip


def test_after_cancel_nothing_is_told_any_more() -> None:
    """The node says that it was cancelled, and work that ends behind it must not write over that."""

    def work(monitor: Monitor) -> None:
        monitor.report(0, 2, "begin")
        monitor.cancel()
        monitor.step("late")
        assert monitor.progress.text == "late"

    assert [progress.text for progress in told_by(work)] == ["begin"]


def test_nothing_is_lost_or_doubled_between_threads() -> None:
    """Many say something at the same time."""

    def work(monitor: Monitor) -> None:
        map_bounded(lambda n: monitor.report(n, 40, ""), range(40), workers=4, monitor=monitor)

    assert sorted(progress.done for progress in told_by(work)) == list(range(40))
